//! The suite that `lockstep doctor --probe` runs, against the simulator.

use std::future::pending;

use lockstep::runtime::CameOut;
use serde_json::json;

use crate::sim::{Sim, US};

#[tokio::test]
async fn every_assumption_holds_on_the_simulator_and_what_was_made_goes_again() {
    let sim = Sim::start().await;
    sim.seed(json!({"securables": [{"type": "CATALOG", "fullName": "ml", "owner": US}]}))
        .await;
    // The scratch run must still go on when it is cancelled, and takes half as long to end.
    sim.settings(json!({"taskSeconds": 4})).await;
    let system = sim.system().system;
    let findings = system
        .contract("lockstep-probe-1", &|_| {}, pending())
        .await
        .unwrap();
    let not_held: Vec<_> = findings
        .iter()
        .filter(|finding| !matches!(finding.came_out, CameOut::Holds { .. }))
        .collect();
    assert!(not_held.is_empty(), "{not_held:#?}");
    let left = sim.snapshot().await;
    for kind in ["groups", "objects", "securables", "models"] {
        let left = left[kind].to_string();
        let ours = left.contains("lockstep-probe-1") || left.contains("lockstep_probe_1");
        assert!(!ours, "{kind}: {left}");
    }
    let runs = left["runs"].as_array().map(Vec::len);
    assert_eq!(runs, Some(1), "the vendor keeps runs in their list");
}
