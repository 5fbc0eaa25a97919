//! Shapes as a Gerrit 3.13.5 posted them, names changed; and what somebody else may post.

use serde_json::{Value, json};

use super::*;

fn merged() -> Value {
    json!({
        "submitter": {"name": "Ada", "email": "ada@example.com", "username": "ada"},
        "newRev": "454d22c2a6ee0ff04ee5bd4a1ab8b0e0c5bdd6b5",
        "patchSet": {
            "number": 1, "revision": "454d22c2a6ee0ff04ee5bd4a1ab8b0e0c5bdd6b5",
            "parents": ["08ca2b31c3e1d2a4b5f60718293a4b5c6d7e8f90"], "ref": "refs/changes/07/7/1",
            "uploader": {"name": "Ben", "email": "ben@example.com", "username": "ben"}, "createdOn": 1_795_377_767,
            "author": {"name": "Ben", "email": "ben@example.com", "username": "ben"}, "kind": "REWORK",
            "sizeInsertions": 1, "sizeDeletions": 0
        },
        "change": {
            "project": "ml/fraud", "branch": "prod", "id": "I0123456789012345678901234567890123456789", "number": 7,
            "subject": "Raise the threshold", "owner": {"name": "Ben", "username": "ben"},
            "url": "http://gerrit.example.com/c/ml/fraud/+/7", "commitMessage": "Raise the threshold\n",
            "createdOn": 1_795_377_700, "status": "MERGED"
        },
        "project": {"name": "ml/fraud"}, "refName": "refs/heads/prod",
        "changeKey": {"key": "I0123456789012345678901234567890123456789"},
        "type": "change-merged", "eventCreatedOn": 1_795_377_768
    })
}

fn moved(project: &str, ref_name: &str) -> Value {
    json!({
        "submitter": {"name": "Ada", "email": "ada@example.com", "username": "ada"},
        "refUpdate": {
            "oldRev": "08ca2b31c3e1d2a4b5f60718293a4b5c6d7e8f90",
            "newRev": "454d22c2a6ee0ff04ee5bd4a1ab8b0e0c5bdd6b5", "refName": ref_name, "project": project
        },
        "type": "ref-updated", "eventCreatedOn": 1_795_377_767
    })
}

fn read(body: &Value) -> Vec<Hint> {
    hints(body.to_string().as_bytes()).unwrap().into_iter().collect()
}

fn branch() -> Hint {
    Hint::Branch {
        project: "ml/fraud".into(),
        branch: "prod".into(),
    }
}

#[test]
fn a_merge_names_its_branch_in_both_of_its_events() {
    assert_eq!(read(&merged()), [branch()]);
    assert_eq!(read(&moved("ml/fraud", "refs/heads/prod")), [branch()]);
    let mut streamed = merged();
    streamed["project"] = json!("ml/fraud");
    streamed["change"]["number"] = json!("7");
    assert_eq!(
        read(&streamed),
        [branch()],
        "as other channels and older versions write it"
    );
}

#[test]
fn an_edit_of_rights_names_the_project_and_one_of_a_group_the_group() {
    let config = Hint::Config {
        project: "ml/fraud".into(),
    };
    assert_eq!(read(&moved("ml/fraud", "refs/meta/config")), [config]);
    let uuid = "6ee0ff04ee5bd4a1ab8b0e0c5bdd6b5454d22c2a";
    let group = Hint::Group { uuid: uuid.into() };
    assert_eq!(
        read(&moved("All-Users", &format!("refs/groups/6e/{uuid}"))),
        [group]
    );
}

#[test]
fn several_refs_of_one_event_are_named_once_each() {
    let one = |ref_name: &str| moved("ml/fraud", ref_name)["refUpdate"].clone();
    let names = [
        "refs/heads/prod",
        "refs/changes/07/7/meta",
        "refs/heads/prod",
        "refs/meta/config",
    ];
    let event = json!({
        "type": "batch-ref-updated", "eventCreatedOn": 1_795_377_767, "refUpdates": names.map(one),
    });
    let config = Hint::Config {
        project: "ml/fraud".into(),
    };
    assert_eq!(read(&event), [branch(), config]);
}

#[test]
fn what_concerns_nobody_names_nothing() {
    for event in [
        moved("ml/fraud", "refs/changes/07/7/meta"),
        moved("All-Users", "refs/sequences/groups"),
        moved("All-Users", "refs/meta/group-names"),
        moved("All-Users", "refs/users/04/1000004"),
        json!({"type": "comment-added", "change": {"project": "ml/fraud", "branch": "prod"}}),
        json!({"type": "dropped-output"}),
    ] {
        assert_eq!(read(&event), [], "{event}");
    }
}

#[test]
fn what_is_no_event_is_refused() {
    let deep = |open: &str, close: &str| {
        let depth = 100_000;
        format!("{}{}", open.repeat(depth), close.repeat(depth))
    };
    for body in [
        String::new(),
        "null".into(),
        "[]".into(),
        "\"ref-updated\"".into(),
        "<html>".into(),
        "{\"type\": \"ref-updated\"}".into(),
        "{\"type\": \"change-merged\"}".into(),
        "{\"type\": 7}".into(),
        "{\"type\": \"ref-updated\", \"type\": \"change-merged\"}".into(),
        moved("ml/fraud", "refs/heads/prod")
            .to_string()
            .replace("\"ml/fraud\"", "{\"name\": \"ml/fraud\"}"),
        moved("ml/fraud", "refs/heads/prod")
            .to_string()
            .replace("\"refs/heads/prod\"", "[]"),
        format!("{}}}", moved("ml/fraud", "refs/heads/prod")),
        format!("{{\"type\": {}}}", deep("[", "]")),
        deep("[", "]"),
        deep("{\"change\":", "}"),
        "{\"type\": \"ref-updated\", \"refUpdate\": {\"project\": \"\\ud800\", \"refName\": \"x\"}}".into(),
    ] {
        let short: String = body.chars().take(80).collect();
        assert!(hints(body.as_bytes()).is_err(), "{short}");
    }
    assert!(hints(&[0xff, 0xfe, b'{', b'}']).is_err(), "not UTF-8");
}

#[test]
fn what_else_an_event_holds_is_not_looked_at() {
    let mut event = merged();
    let mut nested = json!(7);
    for _ in 0..100 {
        nested = json!([nested]);
    }
    event["patchSet"] = nested;
    event["submitter"] = json!({"username": "x".repeat(200_000)});
    event["eventCreatedOn"] = json!("yesterday");
    assert_eq!(read(&event), [branch()]);
}

#[test]
fn names_stay_what_they_are() {
    for project in [
        "ml/../etc",
        "ml%2Ffraud",
        "a\"b\\c",
        "мл/обман",
        "a\nb\u{202e}c",
        "'; drop",
    ] {
        let expected = Hint::Branch {
            project: project.into(),
            branch: "prod".into(),
        };
        assert_eq!(read(&moved(project, "refs/heads/prod")), [expected]);
    }
    assert_eq!(read(&moved(&"x".repeat(100_000), "refs/heads/prod")), []);
}
