use serde_json::{Value, json};

use super::super::samples::{Made, policy, sight};
use super::*;

fn running(on_failure: &str) -> Made {
    Made::deploy("prod", 42)
        .left("code", json!({}))
        .left("train", json!({}))
        .machine(json!("running"), on_failure, None)
}

/// With its last step acting.
fn acting(on_failure: &str) -> Promotion {
    let mut object = running(on_failure).object();
    let machine = object.status.as_mut().unwrap().machine.as_mut().unwrap();
    machine["promotion"]["steps"][1]["state"] =
        json!({"acting": {"attempt": 1, "since": "2026-07-04T10:00:00Z"}});
    object
}

fn judged(phase: &str, findings: &[&str]) -> Promotion {
    let findings: Vec<Value> = findings
        .iter()
        .map(|kind| json!({"kind": kind, "message": format!("because {kind}")}))
        .collect();
    Made::deploy("prod", 42)
        .status(json!({"phase": phase, "verdict": {"passes": false, "findings": findings}}))
        .object()
}

#[test]
fn who_cancels_reads_what_is_stopped_and_what_is_undone() {
    let told = cancelling(&acting("Rollback")).unwrap().join("\n");
    assert!(told.contains("step train is stopped"), "{told}");
    assert!(told.contains("last step first: train, code"), "{told}");
    assert!(told.contains("prod is held"), "{told}");
    let told = cancelling(&acting("Hold")).unwrap().join("\n");
    assert!(told.contains("stays as it is: code, train"), "{told}");
    assert_eq!(cancelling(&judged("Waiting", &[])).unwrap(), [NEVER_BEGINS]);
    assert_eq!(
        cancelling(&Made::deploy("prod", 1).object()).unwrap(),
        [NEVER_BEGINS]
    );
}

#[test]
fn what_is_over_or_asked_already_is_not_cancelled() {
    let succeeded = Made::deploy("prod", 41).succeeded("09:00").object();
    assert!(cancelling(&succeeded).unwrap_err().contains("roll back"));
    assert!(
        cancelling(&judged("Refused", &[]))
            .unwrap_err()
            .contains("has ended (Refused)")
    );
    let undoing = json!({"undoing": {"kind": "Failed", "message": "m"}});
    let undoing = Made::deploy("prod", 42)
        .machine(undoing, "Rollback", None)
        .object();
    assert!(cancelling(&undoing).unwrap_err().contains("goes back already"));
    let mut asked = acting("Hold");
    asked.metadata.annotations = Some([(CANCEL.to_owned(), "true".to_owned())].into());
    assert!(cancelling(&asked).unwrap_err().contains("already"));
    let mut strange = acting("Hold");
    strange.status.as_mut().unwrap().machine = Some(json!({"promotion": 1}));
    assert!(cancelling(&strange).unwrap_err().contains("cannot be read"));
}

#[test]
fn another_try_has_a_name_and_may_have_to_wait() {
    let retry = |status: Value, more: Vec<Promotion>| {
        let promotion = judged("Failed", &[]);
        let mut all = more;
        all.push(promotion.clone());
        let sight = sight(vec![policy(status)], all);
        retrying(&sight, sight.policies.first(), &promotion)
    };
    let told = retry(json!({}), vec![]).unwrap();
    assert_eq!(
        told,
        ["the operator makes promotion fraud.prod.42.89abcdef.2, which is judged anew"]
    );
    let held = json!({"environments": [{"name": "prod", "held": {"reason": "it failed"}}]});
    assert!(retry(held, vec![]).unwrap()[1].contains("until a person resumes"));
    let passed = json!({"environments": [{"name": "prod", "held": {"reason": "it failed"},
        "reached": {"position": 43, "attempt": 1, "promotion": "fraud.prod.43.89abcdef"}}]});
    assert!(retry(passed, vec![]).unwrap()[1].contains("will not run: fraud.prod.43.89abcdef"));
    let again = Made::new("fraud.prod.42.89abcdef.2", json!(judged("Failed", &[]).spec)).object();
    assert!(
        retry(json!({}), vec![again])
            .unwrap_err()
            .contains("fraud.prod.42.89abcdef.2 instead")
    );
}

#[test]
fn only_a_deploy_that_has_ended_is_tried_again() {
    let sight = sight(vec![policy(json!({}))], vec![]);
    let refused = |promotion: &Promotion| retrying(&sight, sight.policies.first(), promotion).unwrap_err();
    assert!(refused(&judged("Running", &[])).contains("cancel it first"));
    assert!(refused(&Made::deploy("prod", 1).object()).contains("has not ended"));
    let rollback = json!({"policyRef": {"name": "fraud"}, "environment": "prod", "rollback": {"to": "x", "reason": "y"}});
    assert!(refused(&Made::new("r", rollback).object()).contains("no deploy"));
    let gone = retrying(&sight, None, &judged("Failed", &[]));
    assert!(gone.unwrap_err().contains("is gone"));
}

#[test]
fn breaking_the_glass_says_what_it_lifts_and_what_still_stands() {
    let lifted = BTreeSet::from([OverridableFinding::OutsideWindow, OverridableFinding::Frozen]);
    let told = overriding(&judged("Waiting", &["Soaking", "OutsideWindow"]), &lifted)
        .unwrap()
        .join("\n");
    for said in [
        "lifts OutsideWindow: because OutsideWindow",
        "does not lift Soaking",
        "Frozen does not keep it now",
        "2 people other than you",
        "within 24 hours",
    ] {
        assert!(told.contains(said), "{said} in {told}");
    }
}

#[test]
fn what_got_around_review_is_lifted_by_nobody() {
    let lifted = BTreeSet::from([OverridableFinding::Soaking]);
    let refused = |promotion: &Promotion| overriding(promotion, &lifted).unwrap_err();
    let around = refused(&judged("Waiting", &["Soaking", "UnreviewedAncestor"]));
    assert!(around.contains("UnreviewedAncestor: because"), "{around}");
    assert!(refused(&judged("Refused", &["Soaking"])).contains("has ended"));
    assert!(refused(&judged("Running", &[])).contains("is Running"));
}

#[test]
fn a_finding_is_read_in_any_case_and_no_other_word_is() {
    assert_eq!(
        overridable("outsidewindow"),
        Ok(OverridableFinding::OutsideWindow)
    );
    assert!(
        overridable("Vetoed")
            .unwrap_err()
            .contains("OutsideWindow, Soaking, UpstreamMissing, Frozen")
    );
}
