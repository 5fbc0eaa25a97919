//! The operator as a process: shared by scenarios that leave it alone, stopped and started by those that do not.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::stack::{Stack, root, stack};

pub struct Operator {
    child: Option<Child>,
    pub log: PathBuf,
    pub record: PathBuf,
}

static SHARED: RwLock<Operator> = RwLock::const_new(Operator {
    child: None,
    log: PathBuf::new(),
    record: PathBuf::new(),
});

/// Namespace of the operator itself: its Lease and cluster-wide approvals.
pub const NAMESPACE: &str = "lockstep-system";

/// The running operator; others may use it at the same time.
pub async fn shared() -> RwLockReadGuard<'static, Operator> {
    {
        let operator = SHARED.read().await;
        if operator.child.is_some() {
            return operator;
        }
    }
    {
        let mut operator = SHARED.write().await;
        if operator.child.is_none() {
            operator.start(&[]).await;
        }
    }
    SHARED.read().await
}

/// The operator for this scenario alone, not running.
pub async fn alone() -> RwLockWriteGuard<'static, Operator> {
    let mut operator = SHARED.write().await;
    operator.stop().await;
    operator
}

impl Operator {
    /// Starts the operator and returns at once.
    pub async fn start(&mut self, more: &[&str]) {
        let stack = stack().expect("the stack is up");
        super::team::prepare_cluster(stack).await;
        let place = root().join("target/scenarios");
        std::fs::create_dir_all(&place).unwrap();
        self.log = place.join("operator.log");
        self.record = place.join("record");
        self.child = Some(spawn(stack, &self.log, &self.record, more));
    }

    /// Starts the operator as the only one there ever was: without the Lease of one that was killed.
    pub async fn start_afresh(&mut self, client: &kube::Client) {
        use k8s_openapi::api::coordination::v1::Lease;
        let leases: kube::Api<Lease> = kube::Api::namespaced(client.clone(), NAMESPACE);
        for lease in leases.list(&kube::api::ListParams::default()).await.unwrap() {
            let name = lease.metadata.name.unwrap_or_default();
            leases
                .delete(&name, &kube::api::DeleteParams::default())
                .await
                .unwrap();
        }
        self.start(&[]).await;
    }

    /// SIGKILL: no goodbye, no lease released.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The shell in between takes SIGTERM as the order to kill its child hard.
            drop(child.stdin.take());
            child.wait().await.unwrap();
        }
    }

    pub async fn stop(&mut self) {
        self.kill().await;
    }
}

/// A shell stands between, holding our pipe: should this test process die, the operator dies with it.
fn spawn(stack: &Stack, log: &PathBuf, record: &PathBuf, more: &[&str]) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    Command::new("bash")
        .args([
            "-c",
            "\"$@\" </dev/null & pid=$!; cat >/dev/null; kill -KILL $pid; wait $pid",
            "operator",
        ])
        .arg(env!("CARGO_BIN_EXE_lockstep"))
        .args([
            "run",
            "--namespace",
            NAMESPACE,
            "--allow-loopback",
            "--metrics-address",
            "127.0.0.1:0",
            "--record",
        ])
        .arg(record)
        .args(more)
        .env("KUBECONFIG", stack.get("KUBECONFIG"))
        .env("RUST_LOG", "lockstep=debug,info")
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
