//! A budget that cannot hold the intervals stretches them, and the connection says by how much.

use lockstep_core::api::connection::Pace;
use lockstep_core::api::{AccessBinding, GerritConnection};
use serde_json::json;

use crate::support::team::Team;
use crate::support::{PATIENCE, eventually};

/// Waits until the connection says this of its pace.
async fn until(team: &Team, wanted: Option<Pace>) {
    eventually(&format!("the pace is {wanted:?}"), PATIENCE, || async {
        let connection = team.all::<GerritConnection>().get("gerrit").await.unwrap();
        let pace = connection.status.and_then(|status| status.pace);
        (pace == wanted).then_some(()).ok_or_else(|| format!("{pace:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_too_small_stretches_the_intervals_and_says_so() {
    let Some(team) = Team::new("pace").await else {
        return;
    };
    team.person("ada").await;
    let projects: Vec<String> = (0..12).map(|at| team.name(&format!("p{at}"))).collect();
    for project in &projects {
        team.gerrit.project(project).await;
    }
    let row = |project: &String| json!({"project": project, "ref": "refs/heads/*", "label": {"name": "Code-Review", "min": -1, "max": 1}});
    let mut spec = team.gerrit_spec("crew", &["ada"], json!({}));
    spec["gerrit"][0]["access"] = projects.iter().map(row).collect();
    let _: AccessBinding = team.apply("AccessBinding", "crew", &spec).await;
    team.until("crew", "Ready", "True").await;
    until(&team, None).await;

    // Labels of twelve projects every ten seconds are 72 reads a minute, their rights a little more.
    team.connect_gerrit("gerrit", json!({"limits": {"requestsPerSecond": 1}}))
        .await;
    let pace = Pace {
        reads_per_check: 13,
        budget_per_minute: 60,
        interval_percent: 130,
    };
    until(&team, Some(pace)).await;

    team.connect_gerrit("gerrit", json!({})).await;
    until(&team, None).await;
    team.until("crew", "Ready", "True").await;
}
