//! Answers that are no answers: refusals, login pages, ten megabytes, half a document, the wrong time.

use lockstep_core::api::{DatabricksConnection, GerritConnection};
use serde_json::json;

use crate::support::gate::{Arrival, Gate, Trouble};
use crate::support::secrets::search;
use crate::support::team::{Team, host};
use crate::support::{PATIENCE, becomes, eventually, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_databricks_refuses_stops_its_target_alone() {
    let gate = Gate::default();
    let Some(team) = Team::behind("level", None, Some(&gate)).await else {
        return;
    };
    let ada = team.person("ada").await;
    let refusal = json!({"error_code": "INVALID_PARAMETER_VALUE", "message": "no such level for this job"});
    gate.trouble(Some(Trouble::RefuseWrites(
        "/permissions/jobs/".into(),
        400,
        refusal.to_string(),
    )));
    team.bind("crew", &["ada"], json!({})).await;
    team.until_message("crew", "Ready", &["no such level for this job"])
        .await;
    let group = team.name("crew");
    becomes("Gerrit has it", Some(vec![ada]), || team.gerrit.members(&group)).await;
    let wanted = Some(vec![team.email("ada")]);
    becomes("the group is filled", wanted, || team.sim.account_group(&group)).await;

    // A level that no job has is known without asking.
    let unknown = json!({"databricks": {"workspaces": [{
        "connectionRef": {"name": "prod"}, "permission": "USER",
        "objects": [{"job": {"name": team.name("train")}, "level": "CAN_READ"}],
    }]}});
    team.bind("crew", &["ada"], unknown).await;
    team.until_message("crew", "Stalled", &["CAN_READ", "CAN_MANAGE_RUN"])
        .await;

    gate.trouble(None);
    team.bind("crew", &["ada"], json!({})).await;
    team.until("crew", "Ready", "True").await;
}

/// Breaks a system in every way in turn, and looks that nothing is touched and everything comes back.
async fn survive(team: &Team, gate: &Gate, troubles: &[(Trouble, &[&str])]) {
    let numbers = team.people(&["ada", "ben"]).await;
    team.bind("crew", &["ada", "ben"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    let group = team.name("crew");
    for (trouble, reasons) in troubles {
        let writes = gate.writes();
        gate.trouble(Some(trouble.clone()));
        team.ask("crew").await;
        let what = format!("{trouble:?} makes one of {reasons:?}");
        let binding = team
            .until_seen("crew", &what, |conditions| {
                conditions.iter().any(|c| {
                    c.type_ == "Ready" && c.status == "False" && reasons.contains(&c.reason.as_str())
                })
            })
            .await;
        let said = serde_json::to_string(&binding.status).unwrap();
        search("the status", &said);
        assert!(said.len() < 20_000, "{said}");
        if *trouble == Trouble::Echo && gate.arrived(Arrival::is_login) > 0 {
            log_in_again(team, gate).await;
        }
        assert_eq!(gate.writes(), writes, "{trouble:?}");
        gate.trouble(None);
        team.ask("crew").await;
        team.until("crew", "Ready", "True").await;
        assert_eq!(gate.writes(), writes, "{trouble:?}");
    }
    assert_eq!(team.gerrit.members(&group).await, Some(numbers));
    let both = Some(vec![team.email("ada"), team.email("ben")]);
    assert_eq!(team.sim.account_group(&group).await, both);
}

/// Makes the operator show its client secret to whatever answers now, and looks where the answer went.
async fn log_in_again(team: &Team, gate: &Gate) {
    let before = gate.arrived(|request| request.is_login() && request.authorized);
    // The same once more is no change: something else in the Secret is.
    let data = json!({
        "clientId": world::APPLICATION, "clientSecret": world::CLIENT_SECRET, "note": "zanzibar-written-again",
    });
    team.secret("databricks", &host(&team.databricks_url), &data)
        .await;
    eventually("the operator logs in again", PATIENCE, || async {
        let logins = gate.arrived(|request| request.is_login() && request.authorized);
        (logins > before)
            .then_some(())
            .ok_or_else(|| format!("{logins} logins"))
    })
    .await;
    let said = team
        .until_object::<DatabricksConnection>("prod", "Unreachable")
        .await;
    search("what the connection says", &said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gerrit_that_talks_nonsense_changes_nothing() {
    let gate = Gate::default();
    let Some(team) = Team::behind("nonsense", Some(&gate), None).await else {
        return;
    };
    let bad: &[&str] = &["BadAnswer", "Unauthorized", "DependencyNotReady"];
    let down: &[&str] = &["Unreachable", "DependencyNotReady"];
    let troubles = [
        (Trouble::LoginPage, bad),
        (Trouble::LoginRedirect, bad),
        (Trouble::Huge, bad),
        (Trouble::Garbage, bad),
        (Trouble::Echo, down),
    ];
    survive(&team, &gate, &troubles).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_databricks_that_talks_nonsense_changes_nothing() {
    let gate = Gate::default();
    let Some(team) = Team::behind("babble", None, Some(&gate)).await else {
        return;
    };
    let bad: &[&str] = &["BadAnswer", "Unauthorized", "DependencyNotReady"];
    let down: &[&str] = &["Unreachable", "DependencyNotReady"];
    let troubles = [
        (Trouble::LoginPage, bad),
        (Trouble::LoginRedirect, bad),
        (Trouble::Huge, bad),
        (Trouble::Garbage, bad),
        (Trouble::Echo, down),
    ];
    survive(&team, &gate, &troubles).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_days_off_is_said_and_harms_nobody() {
    let gate = Gate::default();
    gate.date("Thu, 01 Jan 2026 00:00:00 GMT");
    let Some(team) = Team::behind("clock", Some(&gate), Some(&gate)).await else {
        return;
    };
    let ada = team.person("ada").await;
    team.bind("crew", &["ada"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    let group = team.name("crew");
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada]));
    let of_gerrit = team.until_object::<GerritConnection>("gerrit", "Succeeded").await;
    let of_databricks = team
        .until_object::<DatabricksConnection>("prod", "Succeeded")
        .await;
    for message in [of_gerrit, of_databricks] {
        assert!(message.contains("clock"), "{message}");
    }
}
