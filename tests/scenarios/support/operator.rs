//! The operator as a process: one that all scenarios share, and one on a cluster of its own to be killed at will.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams};
use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

use super::eventually;
use super::stack::{Stack, aside, place, stack};

pub struct Operator {
    child: Option<Child>,
    pub stack: &'static Stack,
    pub log: PathBuf,
    pub record: PathBuf,
    /// Instead of the stack's own.
    kubeconfig: Option<PathBuf>,
}

/// Held for reading by everybody who uses the shared operator.
pub static SHARED: RwLock<Option<Operator>> = RwLock::const_new(None);
static ALONE: Mutex<()> = Mutex::const_new(());

/// Namespace of the operator itself: its Lease and cluster-wide approvals.
pub const NAMESPACE: &str = "lockstep-system";

/// The shared operator, running; others use it at the same time.
pub async fn shared() -> Option<RwLockReadGuard<'static, Option<Operator>>> {
    let stack = stack()?;
    {
        let operator = SHARED.read().await;
        if operator.is_some() {
            return Some(operator);
        }
    }
    {
        let mut operator = SHARED.write().await;
        if operator.is_none() {
            let mut new = Operator::new(stack, "shared");
            new.start_afresh().await;
            *operator = Some(new);
        }
    }
    Some(SHARED.read().await)
}

/// An operator for this scenario alone on a cluster beside the shared one; not running yet. Stopped when dropped.
pub async fn alone() -> Option<(MutexGuard<'static, ()>, Operator)> {
    let guard = ALONE.lock().await;
    let stack = tokio::task::spawn_blocking(aside).await.unwrap()?;
    Some((guard, Operator::new(stack, "alone")))
}

/// Returns once nobody is at work on the cluster beside the shared one, and keeps it so.
pub async fn nobody_alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

impl Operator {
    fn new(stack: &'static Stack, name: &str) -> Self {
        let place = place().join(name);
        Self {
            child: None,
            stack,
            log: place.join("operator.log"),
            record: place.join("record"),
            kubeconfig: None,
        }
    }

    /// Another one of the same cluster and record, with a log of its own.
    pub fn twin(&self, name: &str) -> Self {
        Self {
            child: None,
            stack: self.stack,
            log: self.log.with_file_name(format!("{name}.log")),
            record: self.record.clone(),
            kubeconfig: self.kubeconfig.clone(),
        }
    }

    /// From its next start on it reaches the cluster as this kubeconfig says.
    pub fn reach_by(&mut self, kubeconfig: &serde_json::Value) {
        let file = self.log.with_file_name("kubeconfig.json");
        std::fs::write(&file, kubeconfig.to_string()).unwrap();
        self.kubeconfig = Some(file);
    }

    /// Starts the operator and returns at once.
    pub async fn start(&mut self) {
        super::team::prepare_cluster(self.stack).await;
        self.child = Some(spawn(self));
    }

    /// Starts the operator as the only one there ever was: without the Lease of one that was killed.
    pub async fn start_afresh(&mut self) {
        let leases: Api<Lease> = Api::namespaced(self.stack.kube().await, NAMESPACE);
        for lease in leases.list(&ListParams::default()).await.unwrap() {
            let _ = leases.delete(&lease.name_any(), &DeleteParams::default()).await;
        }
        self.start().await;
    }

    /// SIGKILL: no goodbye, no lease released.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The shell in between takes the end of its input as the order to kill its child hard.
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log says this.
    pub async fn until_it_says(&self, words: &str, seconds: u64) {
        eventually(&format!("the log says {words:?}"), seconds, || async {
            self.said()
                .contains(words)
                .then_some(())
                .ok_or_else(|| "nothing".to_owned())
        })
        .await;
    }

    /// What it serves at /metrics.
    pub async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.address("serving metrics"));
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }

    /// Where it hears webhooks.
    pub fn webhooks(&self) -> String {
        self.address("hearing webhooks")
    }

    /// The address of a listener, as it says itself.
    fn address(&self, listener: &str) -> String {
        let said = self.said();
        let line = said.lines().rfind(|line| line.contains(listener)).unwrap();
        line.split("address=").nth(1).unwrap().trim().to_owned()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A shell stands between, holding our pipe: should this test process die, the operator dies with it.
fn spawn(operator: &Operator) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&operator.log)
        .unwrap();
    let usual = || PathBuf::from(operator.stack.get("KUBECONFIG"));
    let kubeconfig = operator.kubeconfig.clone().unwrap_or_else(usual);
    Command::new("bash")
        .args([
            "-c",
            "\"$@\" </dev/null & pid=$!; cat >/dev/null; kill -KILL $pid; wait $pid 2>/dev/null",
            "operator",
        ])
        .arg(env!("CARGO_BIN_EXE_lockstep"))
        .args(["run", "--namespace", NAMESPACE, "--allow-loopback"])
        .args(["--webhook-address", "127.0.0.1:0"])
        .args(["--metrics-address", "127.0.0.1:0", "--record"])
        .arg(&operator.record)
        .env("KUBECONFIG", kubeconfig)
        .env("RUST_LOG", "lockstep=debug,info")
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .process_group(0)
        .spawn()
        .unwrap()
}

impl Operator {
    /// The record as it stands in its files.
    pub fn recorded(&self) -> String {
        let mut files: Vec<_> = std::fs::read_dir(&self.record)
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap_or_default())
            .collect()
    }
}
