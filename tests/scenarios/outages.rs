//! Systems that are down: the rest goes on, and everything resumes by itself.

use serde_json::json;

use crate::support::gate::{Gate, Trouble};
use crate::support::operator;
use crate::support::team::Team;
use crate::support::{becomes, eventually, stays};

#[tokio::test(flavor = "multi_thread")]
async fn while_gerrit_is_down_databricks_goes_on() {
    let gate = Gate::default();
    let Some(team) = Team::behind("gerritdown", Some(&gate), None).await else {
        return;
    };
    let numbers = team.people(&["ada", "ben"]).await;
    team.bind("crew", &["ada"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    gate.trouble(Some(Trouble::Down));
    team.bind("crew", &["ada", "ben"], json!({})).await;
    let group = team.name("crew");
    let both = Some(vec![team.email("ada"), team.email("ben")]);
    becomes("Databricks goes on", both, || team.sim.account_group(&group)).await;
    team.until("crew", "Ready", "False").await;
    assert_eq!(team.gerrit.members(&group).await, Some(numbers[..1].to_vec()));
    gate.trouble(None);
    becomes("Gerrit follows by itself", Some(numbers), || {
        team.gerrit.members(&group)
    })
    .await;
    team.until("crew", "Ready", "True").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_databricks_is_down_gerrit_goes_on() {
    let gate = Gate::default();
    let Some(team) = Team::behind("bricksdown", None, Some(&gate)).await else {
        return;
    };
    let numbers = team.people(&["ada", "ben"]).await;
    team.bind("crew", &["ada"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    gate.trouble(Some(Trouble::Down));
    team.bind("crew", &["ada", "ben"], json!({})).await;
    let group = team.name("crew");
    becomes("Gerrit goes on", Some(numbers), || team.gerrit.members(&group)).await;
    team.until("crew", "Ready", "False").await;
    gate.trouble(None);
    let both = Some(vec![team.email("ada"), team.email("ben")]);
    becomes("Databricks follows by itself", both, || {
        team.sim.account_group(&group)
    })
    .await;
    team.until("crew", "Ready", "True").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_may_be_killed_and_come_back() {
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let team = Team::of(&operator, "apiserver", None).await;
    let numbers = team.people(&["ada", "ben"]).await;
    operator.start_afresh().await;
    team.bind_gerrit("crew", &["ada"], json!({}), json!({})).await;
    team.until("crew", "Ready", "True").await;
    let group = team.name("crew");

    team.stack.manage(&["stop", "--kill", "kube-apiserver"]);
    // Whoever cannot keep the lease does nothing: a stranger stays until the API server is back.
    operator.until_it_says("no longer leading", 60).await;
    team.gerrit.add_member(&group, numbers[1]).await;
    // Longer than the interval: a pass that went on by itself would have come by.
    stays(
        "nothing is written without a lease",
        13,
        Some(numbers.clone()),
        || team.gerrit.members(&group),
    )
    .await;
    team.stack.manage(&["start", "kube-apiserver"]);
    becomes(
        "the stranger goes once it is back",
        Some(numbers[..1].to_vec()),
        || team.gerrit.members(&group),
    )
    .await;
    team.bind_gerrit("crew", &["ada", "ben"], json!({}), json!({}))
        .await;
    becomes("changes are seen again", Some(numbers), || {
        team.gerrit.members(&group)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_one_acts_and_the_other_takes_over() {
    let Some((_alone, mut first)) = operator::alone().await else {
        return;
    };
    let gate = Gate::default();
    let team = Team::of(&first, "twins", Some(&gate)).await;
    let numbers = team.people(&["ada", "ben"]).await;
    first.start_afresh().await;
    first.until_it_says(" leading", 30).await;
    let mut second = first.twin("second");
    second.start().await;
    team.bind_gerrit("crew", &["ada"], json!({}), json!({})).await;
    team.until("crew", "Ready", "True").await;
    let (before, group) = (gate.writes(), team.name("crew"));
    second.until_it_says("the cluster has been read", 30).await;
    team.gerrit.add_member(&group, numbers[1]).await;
    becomes("the stranger goes", Some(numbers[..1].to_vec()), || {
        team.gerrit.members(&group)
    })
    .await;
    team.pass("crew").await;
    assert_eq!(gate.writes(), before + 1, "one writes once");
    assert!(
        !second.said().contains(" leading") && !second.said().contains("pass{"),
        "{}",
        second.said()
    );

    first.kill();
    let began = std::time::Instant::now();
    eventually("the other leads", 40, || async {
        second
            .said()
            .contains(" leading")
            .then_some(())
            .ok_or_else(|| "it waits".into())
    })
    .await;
    println!("taken over after {} s", began.elapsed().as_secs());
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    team.bind_gerrit("crew", &["ada", "ben"], json!({}), json!({}))
        .await;
    becomes("the other goes on", Some(numbers), || team.gerrit.members(&group)).await;
}
