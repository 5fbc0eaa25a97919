//! A cluster of a test's own beside the local stack, with its kubectl and the real Helm.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::cluster;

/// A cluster beside the local stack, gone when dropped.
pub struct Cluster {
    state: PathBuf,
}

impl Cluster {
    pub fn start() -> Option<Self> {
        // Where the stack never ran, its programs would first have to be built: that is `make up`.
        if cluster::exported(&cluster::state(), "HELM").is_none() {
            cluster::skip();
            return None;
        }
        let state =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("chart-cluster-{}", std::process::id()));
        let cluster = Self { state };
        let up = cluster.stack(&["up", "--only", "kubernetes"]);
        assert!(up.status.success(), "{}", said(&up));
        Some(cluster)
    }

    fn stack(&self, arguments: &[&str]) -> Output {
        Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dev/stack"))
            .args(arguments)
            .env("LOCKSTEP_STATE_DIR", &self.state)
            .output()
            .unwrap()
    }

    fn run(&self, tool: &str, arguments: &[&str], given: &str) -> Output {
        let program = cluster::exported(&self.state, tool).unwrap();
        let mut child = Command::new(program)
            .args(arguments)
            .env(
                "KUBECONFIG",
                cluster::exported(&self.state, "KUBECONFIG").unwrap(),
            )
            // Helm's caches are not this machine's.
            .env("HELM_CACHE_HOME", self.state.join("helm"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    pub fn helm(&self, arguments: &[&str]) -> String {
        let done = self.run("HELM", arguments, "");
        assert!(done.status.success(), "helm {arguments:?}: {}", said(&done));
        said(&done)
    }

    /// What kubectl says if it succeeds, and if it fails.
    pub fn try_kubectl(&self, arguments: &str, given: &str) -> Result<String, String> {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let done = self.run("KUBECTL", &arguments, given);
        if done.status.success() {
            Ok(said(&done))
        } else {
            Err(said(&done))
        }
    }

    pub fn kubectl(&self, arguments: &str, given: &str) -> String {
        self.try_kubectl(arguments, given)
            .unwrap_or_else(|said| panic!("kubectl {arguments}: {said}"))
    }

    /// Whether the operator may do this.
    pub fn operator_may(&self, what: &str) -> bool {
        let asked = format!("auth can-i {what} --as=system:serviceaccount:lockstep-system:lockstep");
        self.try_kubectl(&asked, "").is_ok()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.stack(&["reset"]);
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Tries until it holds: policies and controllers take a moment.
pub fn eventually(what: &str, mut holds: impl FnMut() -> Result<(), String>) {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        match holds() {
            Ok(()) => return,
            Err(last) => assert!(Instant::now() < end, "{what}: {last}"),
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

pub fn expect(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}
