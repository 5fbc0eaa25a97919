//! What ten thousand bindings cost, measured on the real binary as a replica that waits for its turn.

use std::process::Stdio;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams, PostParams};
use lockstep_core::api::AccessBinding;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::{World, answered, binding, kubeconfig};

/// Objects made here; what one costs is scaled to [`MANY`].
const OBJECTS: usize = 2_000;
const MANY: usize = 10_000;
/// The most that the caches may take for so many.
const LIMIT_MB: f64 = 80.0;

struct Replica {
    child: Child,
    address: String,
}

impl Replica {
    async fn start(world: &World) -> Self {
        let record = std::env::temp_dir().join(format!("lockstep-memory-{}", world.namespace));
        let mut child = Command::new(env!("CARGO_BIN_EXE_lockstep"))
            .args([
                "run",
                "--log-format",
                "json",
                "--metrics-address",
                "127.0.0.1:0",
                "--namespace",
            ])
            .arg(&world.namespace)
            .arg("--record")
            .arg(record)
            .env("KUBECONFIG", kubeconfig().unwrap())
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("it goes on");
            let line: Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = line["address"].as_str() {
                break address.to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let replica = Self { child, address };
        answered("the replica is ready", || async {
            replica.get("readyz").await.filter(|text| text == "ok\n")
        })
        .await;
        replica
    }

    async fn get(&self, page: &str) -> Option<String> {
        let answer = reqwest::get(format!("http://{}/{page}", self.address))
            .await
            .ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    async fn bindings(&self) -> usize {
        let text = self.get("metrics").await.unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(r#"lockstep_objects{kind="AccessBinding"} "#));
        line.unwrap().parse().unwrap()
    }

    fn megabytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kilobytes / 1024.0
    }
}

fn spec(n: usize) -> Value {
    let people: Vec<Value> = (0..5)
        .map(|p| json!({"person": {"email": format!("person-{n}-{p}@example.com")}}))
        .collect();
    json!({
        "mode": "Enforce",
        "members": people,
        "gerrit": [{"connectionRef": {"name": "gerrit"}, "group": {"name": format!("team-{n}"), "membership": "Authoritative"}}],
        "databricks": {"workspaces": [{"connectionRef": {"name": "prod"}, "group": {"name": format!("team-{n}")},
                                       "entitlements": ["workspace-access"]}]},
    })
}

fn status(n: usize) -> Value {
    let principals: Vec<String> = (0..5)
        .map(|p| format!("account:{}", 1_000_000 + n * 5 + p))
        .collect();
    let row = |target: String| json!({"target": target, "principals": principals, "privilege": "member", "origin": "Created", "since": "2026-01-01T00:00:00Z"});
    let condition = |kind: &str| {
        json!({"type": kind, "status": "True", "reason": "Succeeded", "message": "All 12 rights are as declared.",
               "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1})
    };
    json!({"status": {
        "observedGeneration": 1,
        "members": {"resolved": 5},
        "inventory": [row(format!("gerrit://gerrit.example.com/groups/{n:040x}")), row(format!("databricks://123/groups/{n}"))],
        "intents": [],
        "pins": (0..5).map(|p| json!({"system": "gerrit://gerrit.example.com", "name": format!("{p:064x}"), "means": principals[p]})).collect::<Vec<_>>(),
        "conditions": [condition("Ready"), condition("Drifted")],
    }})
}

#[tokio::test]
async fn ten_thousand_bindings_fit() {
    let Some(world) = World::new().await else { return };
    // Somebody else leads: this replica only watches.
    let lease: Lease = serde_json::from_value(json!({
        "metadata": {"name": "lockstep"}, "spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600},
    }))
    .unwrap();
    world.api().create(&PostParams::default(), &lease).await.unwrap();
    let replica = Replica::start(&world).await;
    let (few, small) = (replica.bindings().await, replica.megabytes());
    drop(replica);

    let api = world.api::<AccessBinding>();
    stream::iter(0..OBJECTS)
        .for_each_concurrent(16, |n| {
            let api = api.clone();
            async move {
                let name = format!("b{n}");
                api.create(&PostParams::default(), &binding(&name, spec(n)))
                    .await
                    .unwrap();
                api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status(n)))
                    .await
                    .unwrap();
            }
        })
        .await;
    let replica = Replica::start(&world).await;
    let (many, large) = (replica.bindings().await, replica.megabytes());
    assert!(many >= OBJECTS);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let scaled = (large - small) * MANY as f64 / (many.saturating_sub(few)) as f64;
    eprintln!("{few} bindings: {small:.1} MB; {many}: {large:.1} MB; {MANY} would add {scaled:.0} MB");
    world.clean().await;
    assert!(scaled < LIMIT_MB, "{scaled:.0} MB");
}
