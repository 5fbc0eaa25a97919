//! How a program of measurements is started: on a stack that is brought up for it, told to this very program as its
//! environment, and forgotten.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};
use serde_json::Value;

use crate::support::stack::root;

/// Measures the operator on real systems.
#[derive(Parser)]
pub struct Args<S: ValueEnum + Send + Sync + 'static> {
    /// Only these measurements; the others keep what they had in the result.
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<S>,
    /// A tenth of everything, to see that it works; goes into a result of its own.
    #[arg(long)]
    pub quick: bool,
    /// Leave the stack up for the next run.
    #[arg(long)]
    keep: bool,
    /// The stack is up and in the environment.
    #[arg(long, hide = true)]
    inside: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

impl<S: ValueEnum + PartialEq + Send + Sync + 'static> Args<S> {
    /// What is to be measured, in this order.
    pub fn wanted(&self) -> Vec<S> {
        let all = S::value_variants().iter().cloned();
        all.filter(|stage| self.only.is_empty() || self.only.contains(stage))
            .collect()
    }

    /// Where the result of this name goes.
    pub fn file(&self, name: &str) -> PathBuf {
        let place = root().join("target/bench");
        std::fs::create_dir_all(&place).expect("a place for the result");
        place.join(format!("{name}{}.json", if self.quick { "-quick" } else { "" }))
    }

    /// The result so far of what is not measured now.
    pub fn kept(&self, file: &Path) -> Option<Value> {
        let before = std::fs::read_to_string(file).ok();
        let kept = before.filter(|_| !self.only.is_empty());
        kept.and_then(|text| serde_json::from_str(&text).ok())
    }
}

/// Measures on a stack of its own; `measure` says whether what must hold does.
pub fn run<S, M>(measure: impl FnOnce(Args<S>) -> M) -> ExitCode
where
    S: ValueEnum + Send + Sync + 'static,
    M: Future<Output = bool>,
{
    let args = Args::<S>::parse();
    if !args.inside {
        return inside(args.keep);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if runtime.block_on(measure(args)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs this program again with `--inside`, on a stack that is there for it.
fn inside(keep: bool) -> ExitCode {
    let state = root().join("target/bench/stack");
    let program = std::env::current_exe().expect("this program has a path");
    // As it was built itself, so that trying a measurement out needs no other build.
    let profile = program.ancestors().nth(2).expect("target/release/deps/name");
    let simulator = profile.join("databricks-sim");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .args(["build", "--locked", "-p", "databricks-sim"])
        .current_dir(root());
    if profile.ends_with("release") {
        build.arg("--release");
    }
    let stack = |arguments: &[&str]| {
        let mut command = Command::new(root().join("dev/stack"));
        command
            .args(arguments)
            .env("LOCKSTEP_STATE_DIR", &state)
            .env("DATABRICKS_SIM_BIN", &simulator);
        command
    };
    let mut run = stack(&["run"]);
    run.arg(&program)
        .args(std::env::args_os().skip(1))
        .arg("--inside");
    let measured = succeeds(&mut build) && succeeds(&mut stack(&["up"])) && succeeds(&mut run);
    let ended = keep || succeeds(&mut stack(&["reset"]));
    if measured && ended {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn succeeds(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("{command:?}: {error}");
            false
        }
    }
}
