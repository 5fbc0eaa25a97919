//! The admission policies that the chart renders, judged without a cluster.

use std::fs;

use serde_json::{Value, json};

use super::offline::{Judge, cel};
use super::rendered::{chart, helm, objects, of_kind, render};

/// The expressions of a policy, read from the template: everything that Helm fills in stands in lines of its own.
fn policy(file: &str) -> Value {
    let template = fs::read_to_string(chart().join("templates").join(file)).unwrap();
    let plain: Vec<&str> = template.lines().filter(|line| !line.contains("{{")).collect();
    objects(&plain.join("\n"))
        .into_iter()
        .find(|object| object["kind"] == "ValidatingAdmissionPolicy")
        .unwrap()
}

#[test]
fn an_approval_names_who_makes_it() {
    let policy = policy("approvals.yaml");
    let expression = policy["spec"]["validations"][0]["expression"].as_str().unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        words(expression),
        words(lockstep::kubernetes::RULE),
        "the operator would not take the chart's policy for protection"
    );
    let approval = |approver: &str, label: &str| json!({"metadata": {"labels": {"l": label}}, "spec": {"approver": approver}});
    let mut judge = Judge::default();
    for (operation, user, new, old, allowed) in [
        ("CREATE", "ada", approval("ada", ""), Value::Null, true),
        ("CREATE", "ada", approval("ben", ""), Value::Null, false),
        ("UPDATE", "eve", approval("ada", "new"), approval("ada", ""), true),
        ("UPDATE", "eve", approval("ben", ""), approval("ada", ""), false),
    ] {
        let request = json!({"operation": operation, "userInfo": {"username": user}});
        let variables = [
            ("request", cel(&request)),
            ("object", cel(&new)),
            ("oldObject", cel(&old)),
        ];
        assert_eq!(
            judge.holds(expression, &variables),
            allowed,
            "{operation} by {user}: {new}"
        );
    }
}

#[test]
fn nobody_but_the_operator_makes_a_promotion_that_deploys() {
    let policy = policy("deploys.yaml");
    let validation = &policy["spec"]["validations"][0];
    let expression = validation["expression"].as_str().unwrap();
    let operator = "system:serviceaccount:lockstep-system:lockstep";
    let mut judge = Judge::default();
    for (user, spec, allowed) in [
        (operator, json!({"deploy": {"change": 1}}), true),
        ("ada", json!({"deploy": {"change": 1}}), false),
        (
            "system:serviceaccount:ml-fraud:lockstep",
            json!({"deploy": {"change": 1}}),
            false,
        ),
        ("ada", json!({"rollback": {"to": "a"}}), true),
        ("ada", json!({"override": {"promotion": "a"}}), true),
    ] {
        let variables = [
            ("request", cel(&json!({"userInfo": {"username": user}}))),
            ("object", cel(&json!({"spec": spec}))),
            ("variables", cel(&json!({"deployers": [operator]}))),
        ];
        assert_eq!(judge.holds(expression, &variables), allowed, "{user}: {spec}");
    }
}

#[test]
fn an_operator_that_runs_elsewhere_can_be_named() {
    let Some(helm) = helm() else { return };
    let deployers = |values: &[&str]| {
        let rendered = render(&helm, values).unwrap();
        let policies = of_kind(&rendered, "ValidatingAdmissionPolicy");
        let policy = policies
            .into_iter()
            .find(|policy| policy["metadata"]["name"] == "lockstep-deploys")?;
        let expression = policy["spec"]["variables"][0]["expression"].as_str().unwrap();
        Some(expression.to_owned())
    };
    assert_eq!(
        deployers(&[]).unwrap(),
        r#"["system:serviceaccount:lockstep-system:lockstep"]"#
    );
    assert_eq!(
        deployers(&["serviceAccount.name=other", "promotions.deployers={admin}"]).unwrap(),
        r#"["system:serviceaccount:lockstep-system:other","admin"]"#
    );
    assert_eq!(deployers(&["promotions.protect=false"]), None);
}

#[test]
fn the_stamp_of_the_last_change_is_not_to_be_forged() {
    let policy = policy("changed-by.yaml");
    let expression = policy["spec"]["validations"][0]["expression"].as_str().unwrap();
    let object = |stamp: Option<&str>, mode: &str| {
        let annotations = stamp.map_or(json!({}), |stamp| json!({"lockstep.dev/changed-by": stamp}));
        json!({"metadata": {"annotations": annotations}, "spec": {"mode": mode}})
    };
    let mut judge = Judge::default();
    for (operation, new, old, allowed) in [
        ("CREATE", object(Some("ada"), "Observe"), Value::Null, true),
        ("CREATE", object(Some("ben"), "Observe"), Value::Null, false),
        ("CREATE", object(None, "Observe"), Value::Null, false),
        (
            "UPDATE",
            object(Some("ada"), "Enforce"),
            object(Some("ben"), "Observe"),
            true,
        ),
        (
            "UPDATE",
            object(Some("ben"), "Enforce"),
            object(Some("ben"), "Observe"),
            false,
        ),
        (
            "UPDATE",
            object(Some("ben"), "Observe"),
            object(Some("ben"), "Observe"),
            true,
        ),
        // As long as the spec stays, nobody puts themselves or anybody else in its author's place.
        (
            "UPDATE",
            object(Some("ada"), "Observe"),
            object(Some("ben"), "Observe"),
            false,
        ),
        (
            "UPDATE",
            object(None, "Observe"),
            object(Some("ben"), "Observe"),
            false,
        ),
        (
            "UPDATE",
            object(Some("ada"), "Observe"),
            object(None, "Observe"),
            false,
        ),
        ("UPDATE", object(None, "Observe"), object(None, "Observe"), true),
        ("UPDATE", object(None, "Enforce"), object(None, "Observe"), false),
    ] {
        let request = json!({"operation": operation, "userInfo": {"username": "ada"}});
        let variables = [
            ("request", cel(&request)),
            ("object", cel(&new)),
            ("oldObject", cel(&old)),
        ];
        assert_eq!(
            judge.holds(expression, &variables),
            allowed,
            "{operation} of {old} to {new}"
        );
    }
}
