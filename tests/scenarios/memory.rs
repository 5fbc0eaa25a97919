//! Memory that is lost: the status, and the record as well.

use kube::api::{Patch, PatchParams};
use lockstep_core::api::AccessBinding;
use lockstep_core::api::access_binding::Origin;
use serde_json::json;

use crate::support::gate::{Gate, Trouble};
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

#[tokio::test(flavor = "multi_thread")]
async fn an_object_made_again_past_its_finalizer_still_takes_back_what_it_gave() {
    let gate = Gate::default();
    let Some(team) = Team::behind("again", Some(&gate), Some(&gate)).await else {
        return;
    };
    team.people(&["ada", "ben"]).await;
    team.bind("crew", &["ada", "ben"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    let group = team.name("crew");
    // Nothing can be taken back just now, and somebody does not want to wait.
    gate.trouble(Some(Trouble::Down));
    team.go("crew").await;
    team.strip::<AccessBinding>("crew").await;
    team.gone("crew").await;
    gate.trouble(None);
    assert!(team.gerrit.members(&group).await.is_some());

    // GitOps makes it again, as if it were new.
    team.bind("crew", &["ada", "ben"], json!({})).await;
    let ready = team.until("crew", "Ready", "True").await;
    let inventory = ready.status.unwrap().inventory.unwrap();
    assert!(
        !inventory.is_empty() && inventory.iter().all(|row| row.origin == Origin::Created),
        "{inventory:?}"
    );
    team.delete("crew").await;
    assert_eq!(team.gerrit.members(&group).await, None);
    assert!(!team.sim.snapshot().await.to_string().contains(&group));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_adopted_under_a_name_does_not_belong_to_the_next_of_that_name() {
    let Some(team) = Team::new("heir").await else {
        return;
    };
    let (ada, ben) = (team.person("ada").await, team.person("ben").await);
    let group = team.name("crew");
    team.gerrit.make_group(&group, &[ada]).await;
    let additive = json!({"membership": "Additive"});
    team.bind_gerrit("crew", &["ada"], additive.clone(), json!({}))
        .await;
    team.until("crew", "Ready", "True").await;
    team.delete("crew").await;
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada]));
    // Whoever was in the group before the first object is a stranger to the second, and stays.
    team.bind_gerrit("crew", &["ben"], additive, json!({})).await;
    team.until("crew", "Ready", "True").await;
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada, ben]));
}
