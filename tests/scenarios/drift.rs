//! Drift: what is changed by hand is told with the name of whose hand it was, counted, and said once.

use kube::ResourceExt as _;
use serde_json::json;

use crate::support::operator::SHARED;
use crate::support::team::Team;
use crate::support::{becomes, eventually, stays};

/// A metric of the shared operator; 0 where it has not been counted yet.
async fn metric(name: &str) -> u64 {
    let text = SHARED.read().await.as_ref().unwrap().metrics().await;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_or_went_by_hand_is_told_with_the_name_of_whose_hand_it_was() {
    let Some(team) = Team::new("hands").await else {
        return;
    };
    let (ada, ben) = (team.person("ada").await, team.person("ben").await);
    let mallory = team.person("mallory").await;
    let group = team.name("crew");
    team.bind_gerrit("crew", &["ada", "ben"], json!({}), json!({}))
        .await;
    team.until("crew", "Ready", "True").await;
    let before = metric("lockstep_drift_total{system_kind=\"gerrit\"}").await;

    team.gerrit.add_member(&group, mallory).await;
    becomes("the stranger is gone", Some(vec![ada, ben]), || {
        team.gerrit.members(&group)
    })
    .await;
    let said = team.until_event("Repaired").await;
    let (stranger, hand) = (team.email("mallory"), team.stack.get("GERRIT_ADMIN_USER"));
    assert!(
        said.contains(&format!("{stranger} was added by hand by {hand}")),
        "{said}"
    );

    team.gerrit.remove_member(&group, ben).await;
    becomes("ben is back", Some(vec![ada, ben]), || {
        team.gerrit.members(&group)
    })
    .await;
    let gone = format!("{} was removed by hand by {hand}", team.email("ben"));
    eventually("an event names the hand that took ben away", 30, || async {
        let events = team.events().await;
        let found = events.iter().any(|(_, note)| note.contains(&gone));
        found.then_some(()).ok_or_else(|| format!("{events:?}"))
    })
    .await;
    let after = metric("lockstep_drift_total{system_kind=\"gerrit\"}").await;
    assert!(after >= before + 2, "{before} {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_that_stands_is_said_once_and_rights_that_nobody_looks_after_are_counted() {
    let Some(team) = Team::new("stands").await else {
        return;
    };
    let (ada, mallory) = (team.person("ada").await, team.person("mallory").await);
    let group = team.name("crew");
    team.bind_gerrit("crew", &["ada"], json!({}), json!({})).await;
    team.until("crew", "Ready", "True").await;
    team.bind_gerrit("crew", &["ada"], json!({}), json!({"mode": "Observe"}))
        .await;
    team.until_reason("crew", "Ready", "Observing").await;
    assert!(metric("lockstep_bindings_unattended{why=\"Observe\"}").await >= 1);

    team.gerrit.add_member(&group, mallory).await;
    let hand = team.stack.get("GERRIT_ADMIN_USER");
    let told = format!("{} was added by hand by {hand}", team.email("mallory"));
    team.until_message("crew", "Drifted", &["1 changes", &told]).await;
    let said = || async {
        let binding = team.bindings().get("crew").await.unwrap();
        (binding.resource_version(), binding.status)
    };
    // Two checks at least.
    stays("what is said of the drift", 25, said().await, said).await;
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada, mallory]));
}
