//! An unchanged world: passes go on, and nothing is written, neither outside nor to Kubernetes.

use kube::ResourceExt as _;
use lockstep_core::api::{DatabricksConnection, GerritConnection};
use reqwest::Method;
use serde_json::json;

use crate::support::gate::Gate;
use crate::support::team::Team;
use crate::support::{PATIENCE, eventually};

/// Everything that a write would move on: writes to the systems, and versions of the objects.
async fn marks(team: &Team, gate: &Gate) -> (usize, Vec<Option<String>>) {
    let versions = vec![
        team.bindings().get("crew").await.unwrap().resource_version(),
        team.all::<GerritConnection>()
            .get("gerrit")
            .await
            .unwrap()
            .resource_version(),
        team.all::<DatabricksConnection>()
            .get("prod")
            .await
            .unwrap()
            .resource_version(),
    ];
    (gate.writes(), versions)
}

/// Readings of both systems so far: a pass at the interval begins with new ones. Asking for a pass by annotation would
/// be a write.
fn readings(gate: &Gate) -> (usize, usize) {
    let of = |listing: &str| {
        gate.arrived(|request| request.method == Method::GET && request.path.contains(listing))
    };
    (of("/a/groups/"), of("/Groups"))
}

/// Waits until both systems have been read anew.
async fn another_pass(gate: &Gate) {
    let before = readings(gate);
    eventually("both systems are read anew", PATIENCE, || async {
        let now = readings(gate);
        (now.0 > before.0 && now.1 > before.1)
            .then_some(())
            .ok_or_else(|| format!("{before:?} {now:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_over_an_unchanged_world_writes_nothing() {
    let gate = Gate::default();
    let Some(team) = Team::behind("quiet", Some(&gate), Some(&gate)).await else {
        return;
    };
    team.people(&["ada", "ben"]).await;
    team.bind("crew", &["ada", "ben"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    // What was written is confirmed by the passes after it.
    eventually("the world has settled", PATIENCE, || async {
        let before = marks(&team, &gate).await;
        another_pass(&gate).await;
        let after = marks(&team, &gate).await;
        (before == after)
            .then_some(())
            .ok_or_else(|| format!("{before:?} {after:?}"))
    })
    .await;
    let settled = marks(&team, &gate).await;
    for _ in 0..3 {
        another_pass(&gate).await;
        assert_eq!(marks(&team, &gate).await, settled);
    }
}
