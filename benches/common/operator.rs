//! The operator under measurement: a process, its metrics, and what the kernel says of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, ListParams};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::support::operator::NAMESPACE;
use crate::support::stack::{root, stack};
use crate::support::team::prepare_cluster;

/// Clock ticks a second, as Linux shows times to programs on every machine.
const TICKS: f64 = 100.0;

pub struct Operator {
    shell: Child,
    pid: u32,
    metrics: String,
    webhooks: String,
    http: reqwest::Client,
    pub started: Instant,
}

/// Where its record goes.
pub fn record() -> PathBuf {
    root().join("target/bench/record")
}

impl Operator {
    /// On its own stack as the only one there ever was.
    pub async fn fresh() -> Self {
        prepare_cluster(stack().unwrap()).await;
        let leases: Api<Lease> = Api::namespaced(stack().unwrap().kube().await, NAMESPACE);
        let all = leases
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await;
        all.unwrap();
        Self::start().await
    }

    pub async fn start() -> Self {
        let [address, webhooks] = [free_address(), free_address()];
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(root().join("target/bench/operator.log"))
            .unwrap();
        let started = Instant::now();
        // A shell stands between, holding our pipe: should this process die, the operator dies with it.
        let script = r#""$@" </dev/null >&2 & pid=$!; echo $pid; cat >/dev/null; kill -TERM $pid; wait $pid"#;
        let mut shell = Command::new("bash")
            .args(["-c", script, "operator", env!("CARGO_BIN_EXE_lockstep")])
            .args(["run", "--namespace", NAMESPACE, "--allow-loopback"])
            .args(["--webhook-address", &webhooks])
            .args(["--metrics-address", &address, "--record"])
            .arg(record())
            .env("KUBECONFIG", stack().unwrap().get("KUBECONFIG"))
            .env("RUST_LOG", "warn,lockstep=info")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(shell.stdout.take().unwrap()).lines();
        let pid = said.next_line().await.unwrap().unwrap().parse().unwrap();
        Self {
            shell,
            pid,
            metrics: format!("http://{address}/metrics"),
            webhooks: format!("http://{webhooks}"),
            http: reqwest::Client::new(),
            started,
        }
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().await.unwrap();
    }

    /// Values by name and labels; empty while it does not answer.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let text = match self.http.get(&self.metrics).send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        text.lines()
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// Passes over bindings that have ended.
    pub async fn passes(&self) -> u64 {
        let of = r#"controller_runtime_reconcile_total{controller="AccessBinding""#;
        let metrics = self.metrics().await;
        let counts = metrics.iter().filter(|(name, _)| name.starts_with(of));
        counts.map(|(_, count)| *count as u64).sum()
    }

    /// Waits until so many bindings are Ready as they stand and none is worked on.
    pub async fn until_ready(&self, bindings: usize) {
        self.until("bindings Ready", |metrics| {
            let ready = get(metrics, r#"lockstep_objects_ready{kind="AccessBinding"}"#);
            (ready as usize, bindings)
        })
        .await;
    }

    /// Waits until every object has had a complete pass.
    pub async fn until_seen(&self, bindings: usize) {
        self.until("objects seen", |metrics| {
            let passes: f64 = metrics
                .iter()
                .filter(|(name, _)| name.starts_with("controller_runtime_reconcile_total"))
                .map(|(_, count)| count)
                .sum();
            let begun = get(metrics, "lockstep_leading") > 0.0 && passes > 0.0;
            let unseen = get(metrics, "lockstep_objects_unseen") as usize;
            let seen = if begun { bindings.saturating_sub(unseen) } else { 0 };
            (seen, bindings)
        })
        .await;
    }

    /// Waits until every object that there was at the beginning has had a complete pass.
    pub async fn until_all_seen(&self) {
        self.until("objects seen", |metrics| {
            let objects: f64 = metrics
                .iter()
                .filter(|(name, _)| name.starts_with("lockstep_objects{"))
                .map(|(_, count)| count)
                .sum();
            let leading = get(metrics, "lockstep_leading") > 0.0;
            let unseen = get(metrics, "lockstep_objects_unseen");
            let seen = if leading { objects - unseen } else { 0.0 };
            (seen as usize, objects.max(1.0) as usize)
        })
        .await;
    }

    async fn until(&self, what: &str, look: impl Fn(&BTreeMap<String, f64>) -> (usize, usize)) {
        let (begun, mut said) = (Instant::now(), Instant::now());
        loop {
            assert!(
                std::fs::exists(format!("/proc/{}", self.pid)).unwrap(),
                "the operator has ended: see target/bench/operator.log"
            );
            let (now, wanted) = look(&self.metrics().await);
            if now >= wanted {
                return;
            }
            if said.elapsed() > Duration::from_secs(15) {
                eprintln!(
                    "   {:.0} s: {now} of {wanted} {what}",
                    begun.elapsed().as_secs_f64()
                );
                said = Instant::now();
            }
            assert!(
                begun.elapsed() < Duration::from_hours(1),
                "{now} of {wanted} {what} after an hour"
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Where Gerrit would post what happened, up to the path.
    pub fn webhooks(&self) -> &str {
        &self.webhooks
    }

    /// Most memory it ever held, in MB.
    pub fn peak_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Seconds of processor it has used.
    pub fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
        // utime and stime are the 14th and 15th of all, after pid and name.
        (ticks(11) + ticks(12)) / TICKS
    }
}

/// An address that nobody listened at a moment ago.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn get(metrics: &BTreeMap<String, f64>, name: &str) -> f64 {
    metrics.get(name).copied().unwrap_or_default()
}
