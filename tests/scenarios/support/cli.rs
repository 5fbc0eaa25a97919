//! The binary as people run it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use super::secrets::search;
use super::stack::Stack;

/// Runs it with stdin from `input`; nobody watches it. Whatever it says holds no secret.
pub fn lockstep(stack: &Stack, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .args(args)
        .env("KUBECONFIG", stack.get("KUBECONFIG"))
        .env("LOCKSTEP_ALLOW_LOOPBACK", "true")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let command = args.join(" ");
    for said in [&output.stdout, &output.stderr] {
        search(&command, &String::from_utf8_lossy(said));
    }
    output
}
