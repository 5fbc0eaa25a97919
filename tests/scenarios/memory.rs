//! Memory that is lost: the status, and the record as well.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::support::team::Team;

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_status_is_read_back_from_the_record() {
    let Some(team) = Team::new("wiped").await else {
        return;
    };
    team.person("ada").await;
    team.bind("crew", &["ada"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    let before = team.bindings().get("crew").await.unwrap().status.unwrap();
    // As a restored backup or an overzealous tool leaves it.
    let nothing = json!({"status": {"inventory": null, "intents": null, "pins": null, "conditions": []}});
    team.bindings()
        .patch_status("crew", &PatchParams::default(), &Patch::Merge(nothing))
        .await
        .unwrap();
    team.until_event("InventoryLost").await;
    team.until("crew", "Ready", "True").await;
    let after = team.bindings().get("crew").await.unwrap().status.unwrap();
    let rows = |rows: Option<Vec<lockstep_core::api::access_binding::InventoryRow>>| {
        let mut rows: Vec<_> = rows
            .unwrap()
            .into_iter()
            .map(|row| (row.target, row.principals, row.privilege))
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(rows(after.inventory), rows(before.inventory));
    team.delete("crew").await;
    let group = team.name("crew");
    assert_eq!(team.gerrit.members(&group).await, None);
    assert!(!team.sim.snapshot().await.to_string().contains(&group));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_status_and_record_rights_are_added_and_none_removed() {
    let Some(team) = Team::new("amnesia").await else {
        return;
    };
    let (ada, ben) = (team.person("ada").await, team.person("ben").await);
    let group = team.name("crew");
    team.gerrit.make_group(&group, &[ben]).await;
    // An object that came out of a backup: it once held something, and nobody knows what.
    let body = json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "AccessBinding",
        "metadata": {"name": "crew", "finalizers": [lockstep_core::api::FINALIZER]},
        "spec": team.gerrit_spec("crew", &["ada"], json!({})),
    });
    team.bindings()
        .patch("crew", &crate::support::world::manager(), &Patch::Apply(&body))
        .await
        .unwrap();
    team.until_reason("crew", "Ready", "InventoryLost").await;
    let members = team.gerrit.members(&group).await;
    assert_eq!(members, Some(vec![ada, ben]), "added, and none removed");
}
