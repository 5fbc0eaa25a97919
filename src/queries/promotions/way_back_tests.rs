use serde_json::json;

use super::super::samples::{Made, at, freeze, policy, sight};
use super::*;

/// A promotion that trained, set an alias, served and smoked.
fn ran(change: i64, ended: &str, version: &str, retries: i64) -> Made {
    let settings = json!({"name": "fraud-train", "tasks": [{"max_retries": retries}]}).to_string();
    let job = |name: &str, on_rollback: &str| json!({"job": {"name": name, "run": true, "onRollback": on_rollback, "acceptFailures": false}});
    Made::deploy("prod", change)
        .left(
            "code",
            json!({"directory": format!("/Workspace/lockstep/{change}")}),
        )
        .taking("code", json!({"files": {"path": "p"}}))
        .left("train", json!({"job": "7", "run": "9", "settings": settings}))
        .taking("train", job("fraud-train", "Skip"))
        .left(
            "model",
            json!({"model": "ml.fraud.scorer", "alias": "champion", "version": version}),
        )
        .taking(
            "model",
            json!({"modelAlias": {"model": "m", "alias": "champion", "fromStep": "train"}}),
        )
        .left(
            "serve",
            json!({"endpoint": "scorer", "version": version, "config": format!(r#"{{"v":"{version}"}}"#)}),
        )
        .taking(
            "serve",
            json!({"servingEndpoint": {"name": "scorer", "servedEntity": "s", "entity": "e",
                                                    "fromStep": "model", "traffic": 100}}),
        )
        .left(
            "smoke",
            json!({"job": "8", "settings": "{\"name\":\"fraud-smoke\"}"}),
        )
        .taking("smoke", job("fraud-smoke", "Run"))
        .succeeded(ended)
}

fn in_place(change: i64, more: Value) -> PromotionPolicy {
    let mut row = json!({"name": "prod", "current":
        {"change": change, "revision": "89abcdef", "promotion": format!("fraud.prod.{change}.89abcdef")}});
    for (key, value) in more.as_object().unwrap() {
        row[key] = value.clone();
    }
    policy(json!({"environments": [row]}))
}

fn back(sight: &Sight, to: &str) -> Result<WayBack, String> {
    way_back(sight, &sight.policies[0], "prod", to, at("12:00"))
}

fn both() -> Vec<Promotion> {
    vec![
        ran(41, "09:00", "6", 1).object(),
        ran(42, "10:00", "7", 2).object(),
    ]
}

#[test]
fn every_step_says_what_it_is_pointed_at_again() {
    let back = back(
        &sight(vec![in_place(42, json!({}))], both()),
        "fraud.prod.41.89abcdef",
    )
    .unwrap();
    let told: Vec<String> = back
        .steps
        .iter()
        .map(|step| {
            let changes: Vec<String> = step
                .changes
                .iter()
                .map(|change| {
                    format!(
                        "{} {}->{}",
                        change.what,
                        change.from.as_deref().unwrap_or("?"),
                        change.to.as_deref().unwrap_or("?")
                    )
                })
                .collect();
            let run = if step.runs { ", runs" } else { "" };
            format!("{}: {}: {}{run}", step.name, step.what, changes.join(", "))
        })
        .collect();
    assert_eq!(
        told,
        [
            "code: directory /Workspace/lockstep/41: ",
            "train: job fraud-train: tasks[0].max_retries 2->1",
            "model: alias champion of ml.fraud.scorer: version 7->6",
            "serve: endpoint scorer: version 7->6",
            "smoke: job fraud-smoke: , runs",
        ]
    );
    assert_eq!(back.change, Some(41));
    assert_eq!(back.from.unwrap().change, 42);
    assert_eq!(back.notes, [] as [&str; 0]);
}

#[test]
fn what_is_in_place_and_unknown_is_not_taken_for_the_same() {
    let only = vec![ran(41, "09:00", "6", 1).object()];
    let back = back(
        &sight(vec![in_place(42, json!({}))], only),
        "fraud.prod.41.89abcdef",
    )
    .unwrap();
    let model = &back.steps[2];
    assert!(!model.known);
    assert_eq!(
        (&model.changes[0].from, model.changes[0].to.as_deref()),
        (&None, Some("6"))
    );
    assert_eq!(back.steps[1].changes[0].what, "definition");
}

#[test]
fn one_that_is_not_in_the_cluster_is_left_to_the_record() {
    let back = back(
        &sight(vec![in_place(42, json!({}))], both()),
        "fraud.prod.9.89abcdef",
    )
    .unwrap();
    assert!(back.steps.is_empty());
    assert!(back.notes[0].contains("record"), "{:?}", back.notes);
}

#[test]
fn what_did_not_succeed_here_is_no_way_back() {
    let failed = Made::deploy("prod", 40)
        .status(json!({"phase": "Failed"}))
        .object();
    let elsewhere = Made::deploy("staging", 41).succeeded("08:00").object();
    let sight = sight(vec![in_place(42, json!({}))], vec![failed, elsewhere]);
    let refused = |to: &str| back(&sight, to).unwrap_err();
    assert!(refused("fraud.prod.40.89abcdef").contains("is Failed"));
    assert!(refused("fraud.staging.41.89abcdef").contains("environment staging, not prod"));
    let nowhere = way_back(&sight, &sight.policies[0], "live", "x", at("12:00"));
    assert!(nowhere.unwrap_err().contains("no environment live"));
}

#[test]
fn what_stands_in_the_way_is_said_before_anybody_says_yes() {
    let more = json!({"acting": "fraud.prod.43.89abcdef", "held": {"reason": "it failed"}});
    let mut policy = in_place(42, more);
    policy.spec.history = serde_json::from_value(json!({"directories": 1})).unwrap();
    policy.spec.mode = None;
    let mut sight = sight(vec![policy], both());
    let until = json!({"reason": "closing", "until": "2026-07-05T00:00:00Z"});
    sight.freezes = vec![freeze("hard", until)];
    let notes = back(&sight, "fraud.prod.41.89abcdef").unwrap().notes.join("\n");
    for said in [
        "only observes",
        "ml/hard",
        "has the turn",
        "is held",
        "beyond the 1 that are kept",
    ] {
        assert!(notes.contains(said), "{said} in {notes}");
    }
    let same = back(&sight, "fraud.prod.42.89abcdef").unwrap().notes.join("\n");
    assert!(same.contains("in place already"), "{same}");
}

#[test]
fn a_name_says_policy_environment_and_time() {
    let policy = policy(json!({}));
    let now = "2026-07-04T12:00:05.7Z".parse().unwrap();
    assert_eq!(
        name(&policy, "prod", "rollback", now),
        "fraud.prod.rollback.20260704t120005z"
    );
}
