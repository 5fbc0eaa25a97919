//! What a reviewer is told of a change before it merges.

use std::process::Output;

use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::promotion::PromotionPhase;
use serde_json::{Value, json};

use crate::support::changes::{Change, Reviewed};
use crate::support::cli::lockstep;
use crate::support::promoting::POLICY;

/// Asks as a reviewer does.
fn ask(team: &Reviewed, words: &str, more: &[&str]) -> Output {
    let arguments = [&["promotions", "check", words, "-n", &team.prefix], more].concat();
    lockstep(team.stack, &arguments, "")
}

/// The exit code and the answer for programs.
fn check(team: &Reviewed, words: &str) -> (Option<i32>, Vec<Value>) {
    let output = ask(team, words, &["--output", "json"]);
    let rows = serde_json::from_slice(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    (
        output.status.code(),
        rows.unwrap_or_else(|error| panic!("{error}: {said}")),
    )
}

/// Kinds of a row's findings of one sort.
fn kinds(row: &Value, sort: &str) -> Vec<String> {
    let rows = row[sort].as_array().unwrap().iter();
    rows.map(|finding| finding["kind"].as_str().unwrap().to_owned())
        .collect()
}

fn number(change: &Change) -> String {
    change.number.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_is_told_what_is_missing_until_nothing_is() {
    let Some(team) = Reviewed::new("checked").await else {
        return;
    };
    team.policy(&[team.code()], json!({})).await;
    let change = team.propose("train.py", "print('better')\n");
    let (code, rows) = check(&team, &number(&change));
    assert_eq!((code, rows.len()), (Some(2), 1), "{rows:?}");
    let row = &rows[0];
    assert_eq!(kinds(row, "missing"), ["NotEnoughApprovals", "NotVerified"]);
    assert_eq!(kinds(row, "withTheMerge"), ["NotMerged"]);
    assert_eq!(
        row["notSubmittable"],
        json!(["Code-Review", "Reviewed-And-Checked"])
    );
    assert_eq!(
        (&row["revision"], &row["passes"]),
        (&json!(change.commit), &json!(false))
    );

    team.approve(&change).await;
    let (code, rows) = check(&team, &number(&change));
    assert_eq!(
        (code, kinds(&rows[0], "missing")),
        (Some(2), vec!["NotVerified".to_owned()])
    );

    team.verify(&change).await;
    let url = format!("{}/c/{}/+/{}", team.gerrit_url, team.project, change.number);
    let people = ask(&team, &url, &[]);
    let said = String::from_utf8_lossy(&people.stdout).into_owned();
    assert_eq!(people.status.code(), Some(0), "{said}");
    assert!(
        said.contains("environment prod") && said.contains("passes as soon as it merges"),
        "{said}"
    );
    let told: Vec<Value> = serde_json::from_slice(&ask(&team, &url, &["--output", "json"]).stdout).unwrap();
    assert_eq!(told[0]["waitsFor"], json!([]));

    team.submit(&change).await;
    team.until_promotion(&change, PromotionPhase::Succeeded).await;
    let (code, rows) = check(&team, &number(&change));
    assert_eq!(
        (code, &rows[0]["status"]),
        (Some(0), &json!("merged")),
        "{rows:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_is_warned_of_what_was_pushed_below_and_of_nothing_once_it_is_reverted() {
    let Some(team) = Reviewed::new("warned").await else {
        return;
    };
    team.policy(&[team.code()], json!({})).await;
    let slipped = team.push_directly("evil.py", "print('evil')\n");
    let clean = team.propose("train.py", "print('clean')\n");
    team.approve(&clean).await;
    team.verify(&clean).await;
    let (code, rows) = check(&team, &number(&clean));
    assert_eq!(
        (code, kinds(&rows[0], "missing")),
        (Some(2), vec!["UnreviewedAncestor".to_owned()])
    );
    let said = rows[0]["missing"][0]["message"].as_str().unwrap();
    assert!(said.contains(&slipped), "{said}");

    let revert = team.revert(&slipped);
    team.approve(&revert).await;
    team.verify(&revert).await;
    let (code, rows) = check(&team, &number(&revert));
    assert_eq!(
        (code, kinds(&rows[0], "missing")),
        (Some(0), Vec::<String>::new()),
        "{rows:?}"
    );
    team.submit(&revert).await;
    team.until_promotion(&revert, PromotionPhase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_and_environment_that_a_change_would_go_to_is_shown() {
    let Some(team) = Reviewed::new("several").await else {
        return;
    };
    team.policy(&[team.code()], json!({})).await;
    let path = format!("/Workspace/{}/strict/${{environment}}/${{revision}}", team.prefix);
    let elsewhere = json!({"name": "code", "files": {"path": path}});
    let mut strict = team.policy_spec(&[elsewhere], json!({"gate": {"approval": {"count": 2}}}));
    strict["mode"] = json!("Observe");
    let _: PromotionPolicy = team.apply("PromotionPolicy", "strict", &strict).await;
    team.until_object::<PromotionPolicy>("strict", "Observing").await;
    let change = team.propose("train.py", "print('for both')\n");
    team.approve(&change).await;
    team.verify(&change).await;
    let (code, rows) = check(&team, &number(&change));
    assert_eq!(code, Some(2), "{rows:?}");
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row["policy"].as_str().unwrap(), kinds(row, "missing")))
        .collect();
    assert_eq!(
        seen,
        [
            (POLICY, vec![]),
            ("strict", vec!["NotEnoughApprovals".to_owned()])
        ]
    );
    let one = ask(&team, &number(&change), &["--policy", POLICY]);
    assert_eq!(
        one.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&one.stderr)
    );
    let none = ask(&team, &number(&change), &["--environment", "moon"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no environment moon"));
    let gone = ask(&team, "99999999", &[]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("shows no such change"));
}
