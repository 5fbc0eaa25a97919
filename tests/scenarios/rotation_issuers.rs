//! Bad days of an issuer: it forgets, is full, loses its answer, lags. Nothing lives that nobody knows of, and what others
//! made is named and left alone.

use std::collections::BTreeSet;

use lockstep_core::api::{ROTATE, ServiceCredential};
use serde_json::json;

use crate::support::sim::Apart;
use crate::support::team::Team;
use crate::support::waiting::condition;
use crate::support::{becomes, stays};

/// What takes longer than a minute by itself: for so long an issuer's list is not believed.
const A_MINUTE_AND_MORE: u64 = 180;

const SECRETS: &str = "*/credentials/secrets";

impl Team {
    /// What a condition of a credential says.
    async fn said(&self, name: &str, kind: &str) -> Option<String> {
        let found = self.all::<ServiceCredential>().get(name).await.unwrap();
        let conditions = found.status?.conditions;
        condition(&conditions, kind).map(|said| said.message.clone())
    }

    async fn strangers(&self, name: &str) -> Vec<String> {
        let found = self.all::<ServiceCredential>().get(name).await.unwrap();
        found.status.unwrap_or_default().strangers
    }

    /// Every secret that lives is one that the status knows, or was made by hand.
    async fn nothing_is_unknown(&self, name: &str, by_hand: &[String]) {
        let live: BTreeSet<String> = self.live_secrets().await.into_iter().collect();
        let known: BTreeSet<String> = self
            .known_ids(name)
            .await
            .into_iter()
            .chain(by_hand.iter().cloned())
            .collect();
        let unknown: Vec<&String> = live.difference(&known).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_somebody_deletes_by_hand_is_replaced_at_once_and_stated() {
    let Some(team) = Team::new("forgotten").await else {
        return;
    };
    team.may_rotate().await;
    team.rotate_token("ci", json!({})).await;
    team.until_current("ci", 1).await;
    let [id] = <[String; 1]>::try_from(team.tokens().await).unwrap();
    team.delete_token(&id).await;
    // For a minute what was minted counts as there.
    team.until_current_within("ci", 2, A_MINUTE_AND_MORE).await;
    let held = team.held("ci").await.unwrap();
    assert!(team.gerrit_lets_in(&held["token"]).await);
    let said = team.until_event("Drifted").await;
    assert!(
        said.contains("generation 1 is not at the issuer any more"),
        "{said}"
    );
    team.until_state("ci", 1, "Revoked").await;
    assert_eq!(team.tokens().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_full_is_stated_with_its_limit_and_nothing_of_others_is_revoked() {
    let Some(team) = Team::new("full").await else {
        return;
    };
    team.may_rotate().await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(team.secret_by_hand().await);
    }
    others.sort();
    let spec = team.secret_spec("dbx");
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &spec).await;
    let said = team.until_object::<ServiceCredential>("dbx", "Blocked").await;
    println!("    {said}");
    assert!(said.contains("NoSlot") && said.contains("allows 5"), "{said}");
    for other in &others {
        assert!(said.contains(other.as_str()), "{other} is not named: {said}");
    }
    assert_eq!(team.said("dbx", "Blocked").await, Some(said));
    stays("theirs are left alone", 3, others.clone(), || team.live_secrets()).await;
    // Where somebody makes room it goes on by itself, and one place stays free.
    for other in &others[..2] {
        team.delete_secret(other).await;
    }
    team.until_current("dbx", 1).await;
    assert_eq!(team.said("dbx", "Blocked").await, None);
    team.nothing_is_unknown("dbx", &others).await;
    assert_eq!(team.strangers("dbx").await, others[2..]);
    team.annotate_credential("dbx", ROTATE, "1").await;
    let said = team.until_object::<ServiceCredential>("dbx", "Blocked").await;
    assert!(said.contains("NoSlot"), "{said}");
    let secret = team.held("dbx").await.unwrap()["client_secret"].clone();
    assert!(team.databricks_lets_in(&secret).await, "the current one goes on");
    team.drop_credential("dbx").await;
    assert_eq!(team.live_secrets().await, others[2..], "theirs are left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_at_the_issuer_are_named_and_live_on_whatever_we_rotate() {
    let Some(team) = Team::new("strangers").await else {
        return;
    };
    team.may_rotate().await;
    let theirs = vec![team.secret_by_hand().await];
    for exclusive in [true, false] {
        let name = format!("exclusive-{exclusive}");
        let mut spec = team.secret_spec(&name);
        spec["exclusive"] = json!(exclusive);
        let _: ServiceCredential = team.apply("ServiceCredential", &name, &spec).await;
        team.until_current(&name, 1).await;
        team.annotate_credential(&name, ROTATE, "1").await;
        team.until_current(&name, 2).await;
        team.until_state(&name, 1, "Revoked").await;
        becomes("the stranger is named", theirs.clone(), || team.strangers(&name)).await;
        assert_eq!(team.live_secrets().await.len(), 2);
        team.drop_credential(&name).await;
        assert_eq!(team.live_secrets().await, theirs);
    }
}

/// Lets the next mint of the simulator take effect and answer this status.
async fn lose_the_next(apart: &Apart, route: &str) {
    let fault =
        json!({"route": route, "method": "POST", "times": 1, "action": {"FailAfter": {"status": 500}}});
    apart
        .sim
        .control(reqwest::Method::POST, "faults", Some(fault))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_issuer_minted_before_it_answered_500_is_found_and_revoked_where_nobody_else_mints() {
    let Some(stack) = crate::support::stack::stack() else {
        return;
    };
    let apart = Apart::start(stack).await;
    let Some(team) = Team::with("lost", &apart).await else {
        return;
    };
    team.may_rotate().await;
    lose_the_next(&apart, SECRETS).await;
    let spec = team.secret_spec("dbx");
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &spec).await;
    team.until_current("dbx", 2).await;
    let row = team.until_state("dbx", 1, "Revoked").await;
    assert_eq!(row.why.as_deref(), Some("ValueLost"));
    assert_eq!(team.live_secrets().await.len(), 1);
    team.nothing_is_unknown("dbx", &[]).await;

    // And in the middle of a rotation, where the last one goes on meanwhile.
    let first = team.held("dbx").await.unwrap()["client_secret"].clone();
    lose_the_next(&apart, SECRETS).await;
    team.annotate_credential("dbx", ROTATE, "1").await;
    team.until_current("dbx", 4).await;
    team.until_state("dbx", 3, "Revoked").await;
    team.until_state("dbx", 2, "Revoked").await;
    assert!(!team.databricks_lets_in(&first).await);
    let secret = team.held("dbx").await.unwrap()["client_secret"].clone();
    assert!(team.databricks_lets_in(&secret).await);
    assert_eq!(team.live_secrets().await.len(), 1);
    team.nothing_is_unknown("dbx", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_answer_was_lost_is_known_by_its_comment_whoever_else_mints() {
    let Some(stack) = crate::support::stack::stack() else {
        return;
    };
    let apart = Apart::start(stack).await;
    let Some(team) = Team::with("comment", &apart).await else {
        return;
    };
    let principal = team.may_rotate().await;
    team.may_have_tokens(&[&principal]).await;
    let spec = json!({
        "mode": "Enforce", "interval": "10s", "overlap": "3s", "schedule": {"every": "1d"},
        "issuer": {"databricksToken": {
            "connectionRef": {"name": "prod"}, "applicationId": principal, "lifetime": "30d",
        }},
        "stores": [{"kubernetesSecret": {"name": "dbx", "keys": {"value": "token"}}}],
    });
    lose_the_next(&apart, "/api/2.0/token-management/on-behalf-of/tokens").await;
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &spec).await;
    team.until_current("dbx", 2).await;
    let row = team.until_state("dbx", 1, "Revoked").await;
    assert_eq!(row.why.as_deref(), Some("ValueLost"));
    let known = team.known_ids("dbx").await;
    let tokens = team.sim.snapshot().await["credentials"]["tokens"].clone();
    let ours: Vec<&String> = tokens
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, row)| row["comment"].as_str().unwrap().starts_with("lockstep-"))
        .map(|(id, _)| id)
        .collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert!(known.contains(ours[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_somebody_elses_after_an_answer_that_was_lost_is_named_and_left_to_people() {
    let Some(stack) = crate::support::stack::stack() else {
        return;
    };
    let apart = Apart::start(stack).await;
    let Some(team) = Team::with("stray", &apart).await else {
        return;
    };
    team.may_rotate().await;
    let theirs = team.secret_by_hand().await;
    let mut spec = team.secret_spec("dbx");
    spec["exclusive"] = json!(false);
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &spec).await;
    team.until_current("dbx", 1).await;
    let current = team.held("dbx").await.unwrap()["client_secret"].clone();
    let before = team.live_secrets().await;
    lose_the_next(&apart, SECRETS).await;
    team.annotate_credential("dbx", ROTATE, "1").await;
    let said = team.until_object::<ServiceCredential>("dbx", "Blocked").await;
    println!("    {said}");
    let live = team.live_secrets().await;
    let stray = live.iter().find(|id| !before.contains(id)).unwrap();
    assert!(said.contains("Stray") && said.contains(stray.as_str()), "{said}");
    assert!(!said.contains(&theirs), "it was there before: {said}");
    assert!(team.strangers("dbx").await.contains(&theirs));
    stays("nobody's is revoked", 3, live.clone(), || team.live_secrets()).await;
    assert!(team.databricks_lets_in(&current).await, "the current one goes on");
    // Somebody finds out that nobody uses it.
    team.delete_secret(stray).await;
    team.until_current_within("dbx", 3, A_MINUTE_AND_MORE).await;
    team.until_state("dbx", 1, "Revoked").await;
    team.nothing_is_unknown("dbx", std::slice::from_ref(&theirs))
        .await;
    assert!(team.live_secrets().await.contains(&theirs));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_lags_makes_nobody_mint_twice_or_forget() {
    let Some(stack) = crate::support::stack::stack() else {
        return;
    };
    let apart = Apart::start(stack).await;
    let Some(team) = Team::with("lagging", &apart).await else {
        return;
    };
    team.may_rotate().await;
    let spec = team.secret_spec("dbx");
    team.until_object::<lockstep_core::api::DatabricksConnection>("prod", "Succeeded")
        .await;
    let lag = json!({"lag": 5});
    apart
        .sim
        .control(reqwest::Method::POST, "settings", Some(lag))
        .await;
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &spec).await;
    team.until_current("dbx", 1).await;
    for round in 2..4 {
        team.annotate_credential("dbx", ROTATE, &round.to_string()).await;
        team.until_current("dbx", round).await;
        team.nothing_is_unknown("dbx", &[]).await;
        team.until_state("dbx", round - 1, "Revoked").await;
    }
    let found = team.all::<ServiceCredential>().get("dbx").await.unwrap();
    let rows = found.status.unwrap().generations.unwrap();
    assert_eq!(rows.len(), 3, "one mint each: {rows:?}");
    // A reading that goes back in time may still show one as alive that is gone.
    becomes("one lives", 1, || async { team.live_secrets().await.len() }).await;
    team.drop_credential("dbx").await;
    assert_eq!(team.live_secrets().await, Vec::<String>::new());
}
