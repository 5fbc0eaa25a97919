//! Who is meant: people who are missing, doubtful, gone, or named by a group.

use serde_json::json;

use crate::support::becomes;
use crate::support::team::Team;

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_an_account_waits_and_the_others_go_on() {
    let Some(team) = Team::new("missing").await else {
        return;
    };
    let ada = team.person("ada").await;
    team.bind("crew", &["ada", "ghost"], json!({})).await;
    let ready = team.until("crew", "Ready", "True").await;
    let members = ready.status.unwrap().members.unwrap();
    assert_eq!(members.resolved, 1);
    let ghost = team.email("ghost");
    for system in ["gerrit:", "databricks:"] {
        let missing = members
            .unresolved
            .iter()
            .any(|row| row.who == ghost && row.system.starts_with(system) && row.reason == "NoAccount");
        assert!(missing, "{system} {:?}", members.unresolved);
    }
    let group = team.name("crew");
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada]));

    let ghost = team.person("ghost").await;
    becomes(
        "whoever gets an account comes in by himself",
        Some(vec![ada, ghost]),
        || team.gerrit.members(&group),
    )
    .await;
    let both = Some(vec![team.email("ada"), team.email("ghost")]);
    becomes("in Databricks, too", both, || team.sim.account_group(&group)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_of_one_address_are_nobody_until_somebody_decides() {
    let Some(team) = Team::new("ambiguous").await else {
        return;
    };
    let (ada, ben) = (team.person("ada").await, team.person("ben").await);
    let group = team.name("crew");
    let both = Some(vec![team.email("ada"), team.email("ben")]);
    team.sim
        .user_with_address(&team.email("other"), &team.email("ada"))
        .await;
    team.bind("crew", &["ada", "ben"], json!({})).await;
    team.until_reason("crew", "Ready", "Ambiguous").await;
    assert_eq!(
        team.sim.account_group(&group).await,
        Some(vec![team.email("ben")])
    );
    // The doubt is Databricks' alone.
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada, ben]));

    let decided = json!({"members": [
        {"person": {"email": team.email("ada"), "databricksUser": team.email("ada")}},
        {"person": {"email": team.email("ben")}},
    ]});
    team.bind("crew", &[], decided).await;
    team.until("crew", "Ready", "True").await;
    assert_eq!(team.sim.account_group(&group).await, both);

    // Doubt that comes later takes nobody away.
    team.sim
        .user_with_address(&team.email("another"), &team.email("ben"))
        .await;
    team.until_reason("crew", "Ready", "Ambiguous").await;
    team.pass("crew").await;
    assert_eq!(team.sim.account_group(&group).await, both);
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada, ben]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recycled_address_touches_neither_the_old_nor_the_new_account() {
    let Some(team) = Team::new("recycled").await else {
        return;
    };
    let (ada, ben, newcomer) = (
        team.person("ada").await,
        team.person("ben").await,
        team.person("newcomer").await,
    );
    team.bind_gerrit("crew", &["ada", "ben"], json!({}), json!({}))
        .await;
    team.until("crew", "Ready", "True").await;
    team.gerrit.take_email(ada, &team.email("ada")).await;
    team.gerrit.give_email(newcomer, &team.email("ada")).await;
    let message = team.until_reason("crew", "Ready", "IdentityChanged").await;
    assert!(message.contains(&team.email("ada")), "{message}");
    team.pass("crew").await;
    assert_eq!(
        team.gerrit.members(&team.name("crew")).await,
        Some(vec![ada, ben])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_deactivated_goes_at_once_and_no_brake_asks() {
    let Some(team) = Team::new("inactive").await else {
        return;
    };
    let numbers = team.people(&["ada", "ben", "cy", "dee"]).await;
    team.bind_gerrit("crew", &["ada", "ben", "cy", "dee"], json!({}), json!({}))
        .await;
    team.until("crew", "Ready", "True").await;
    for gone in &numbers[..2] {
        team.gerrit.deactivate(*gone).await;
    }
    let group = team.name("crew");
    becomes("half of the team is gone", Some(numbers[2..].to_vec()), || {
        team.gerrit.members(&group)
    })
    .await;
    let binding = team.pass("crew").await;
    let unresolved = binding.status.unwrap().members.unwrap().unresolved;
    assert!(
        unresolved.len() == 2 && unresolved.iter().all(|row| row.reason == "Inactive"),
        "{unresolved:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_missing_touches_nobody_and_one_that_is_suddenly_empty_asks_first() {
    let Some(team) = Team::new("source").await else {
        return;
    };
    let (ada, ben) = (team.person("ada").await, team.person("ben").await);
    let leads = team.name("leads");
    let source = json!([{"gerritGroup": {"connectionRef": {"name": "gerrit"}, "name": leads}}]);
    team.bind_gerrit("crew", &[], json!({}), json!({"members": source}))
        .await;
    let message = team.until_reason("crew", "Ready", "NotFound").await;
    assert!(message.contains(&leads), "{message}");
    let group = team.name("crew");
    assert_eq!(team.gerrit.members(&group).await, None);

    team.gerrit.make_group(&leads, &[ada, ben]).await;
    team.until("crew", "Ready", "True").await;
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada, ben]));

    for person in [ada, ben] {
        team.gerrit.remove_member(&leads, person).await;
    }
    let message = team.until_message("crew", "Blocked", &["SourceEmpty"]).await;
    assert!(message.contains("sha256:"), "{message}");
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada, ben]));
    team.gerrit.add_member(&leads, ada).await;
    team.gerrit.add_member(&leads, ben).await;
    team.until("crew", "Ready", "True").await;
}
