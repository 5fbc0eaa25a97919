//! The main job, from nothing to nothing.

use crate::support::becomes;
use crate::support::team::Team;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_team_appears_in_both_systems_is_kept_and_goes_without_a_trace() {
    let Some(team) = Team::new("story").await else {
        return;
    };
    let (ada, ben) = (team.person("ada").await, team.person("ben").await);
    let mallory = team.person("mallory").await;
    let group = team.name("engineers");

    team.bind("engineers", &["ada", "ben"], json!({})).await;
    let ready = team.until("engineers", "Ready", "True").await;
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada, ben]));
    assert_eq!(
        team.sim.account_group(&group).await,
        Some(vec![team.email("ada"), team.email("ben")])
    );
    let access = team.gerrit.access(&team.name("project")).await;
    assert!(
        access["refs/heads/*"]["permissions"]["label-Code-Review"].is_object(),
        "{access}"
    );
    assert!(ready.status.unwrap().inventory.unwrap().len() >= 6);

    team.gerrit.add_member(&group, mallory).await;
    becomes("the stranger is taken away", Some(vec![ada, ben]), || {
        team.gerrit.members(&group)
    })
    .await;
    assert!(team.until_event("Repaired").await.contains("added by hand"));

    team.delete("engineers").await;
    assert_eq!(team.gerrit.members(&group).await, None);
    assert_eq!(team.sim.account_group(&group).await, None);
    let access = team.gerrit.access(&team.name("project")).await;
    assert!(
        access["refs/heads/*"]["permissions"]["label-Code-Review"].is_null(),
        "{access}"
    );
    assert!(!team.sim.snapshot().await.to_string().contains(&group));
}
