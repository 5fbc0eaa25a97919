use lockstep_core::api::Promotion;
use serde_json::{Value, json};

use crate::queries::promotions::detail;

const COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

fn shown(spec: &Value, status: Value) -> String {
    let mut whole = json!({"policyRef": {"name": "fraud"}, "environment": "prod"});
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let mut promotion = Promotion::new("fraud.prod.42.89abcdef", serde_json::from_value(whole).unwrap());
    promotion.metadata.namespace = Some("ml-fraud".into());
    promotion.status = Some(serde_json::from_value(status).unwrap());
    let mut known = detail::detail(&promotion, None);
    for change in &mut known.changes {
        // As a policy would have it.
        for vote in std::mem::take(&mut change.other_votes) {
            if vote.label == "Verified" {
                change.verified.push(vote);
            } else {
                change.approved.push(vote);
            }
        }
    }
    let text = super::detail(&known, "2026-07-04T12:00:00Z".parse().unwrap());
    anstream::adapter::strip_str(&text).to_string()
}

fn deploy() -> Value {
    json!({"deploy": {"change": 42, "revision": COMMIT, "position": 7, "attempt": 2}})
}

fn has(text: &str, all: &[&str]) {
    for said in all {
        assert!(text.contains(said), "{said:?} in\n{text}");
    }
}

#[test]
fn everybody_who_had_a_hand_in_it_is_named() {
    let text = shown(
        &deploy(),
        json!({"phase": "Waiting", "judgedAt": "2026-07-04T11:00:00Z", "verdict": {"passes": true}, "evidence": [{
            "change": 42, "revision": COMMIT, "owner": "Ada", "uploader": "Bot", "author": "ada@x", "submitter": "Ben",
            "submitted": "2026-07-04T10:30:00Z", "requirements": ["Code-Review: Satisfied"],
            "votes": [{"label": "Code-Review", "value": 2, "by": "Ben", "at": "2026-07-04T10:00:00Z"},
                      {"label": "Verified", "value": 1, "by": "CI"}],
        }]}),
    );
    has(
        &text,
        &[
            "Promotion ml-fraud/fraud.prod.42.89abcdef  Waiting",
            &format!("change 42, commit {COMMIT}, attempt 2"),
            "none: it passes the gate",
            "Change 42  89abcdef",
            "owned       Ada",
            "uploaded    Bot",
            "wrote       ada@x",
            "approved    Code-Review+2 Ben, 2026-07-04T10:00:00Z",
            "verified    Verified+1 CI",
            "submitted   Ben, 2026-07-04T10:30:00Z",
            "at submit   Code-Review: Satisfied",
            "judged      2026-07-04T11:00:00Z, 1h ago",
        ],
    );
}

#[test]
fn who_is_unknown_and_who_did_not_vote_is_said() {
    let text = shown(
        &deploy(),
        json!({"evidence": [{"change": 42, "revision": COMMIT, "owner": "Ada"}]}),
    );
    has(
        &text,
        &[
            "not seen yet",
            "not judged yet",
            "uploaded    unknown",
            "approved    by nobody",
            "verified    by nobody",
        ],
    );
}

#[test]
fn every_finding_is_shown_with_the_time_from_which_it_may_be_over() {
    let text = shown(
        &deploy(),
        json!({"phase": "Waiting", "judgedAt": "2026-07-04T11:00:00Z", "verdict": {"passes": false,
            "findings": [{"kind": "Soaking", "message": "not for 1h yet", "again": "2026-07-04T12:30:00Z"},
                         {"kind": "UpstreamMissing", "message": "staging has not run it"}],
            "overridden": [{"kind": "OutsideWindow", "message": "closed"}]}}),
    );
    has(
        &text,
        &[
            "Soaking: not for 1h yet (again 2026-07-04T12:30:00Z, in 30m)",
            "UpstreamMissing: staging has not run it",
            "lifted OutsideWindow: closed",
        ],
    );
}

#[test]
fn the_range_shows_how_every_commit_is_accounted_for() {
    let text = shown(
        &deploy(),
        json!({"range": {"tip": COMMIT, "baseline": "0000000000000000", "count": 3, "commits": [
            {"commit": "1111111122222222", "standing": "Unreviewed", "message": "pushed around review"},
            {"commit": COMMIT, "standing": "Change", "change": 42}]}}),
    );
    has(
        &text,
        &[
            "Brings 3 commits from nothing to 89abcdef (history begins at 00000000)",
            "11111111",
            "pushed around review",
            "and 1 more",
        ],
    );
}

#[test]
fn every_step_shows_where_it_is_and_what_it_left() {
    let long = "x".repeat(200);
    let text = shown(
        &deploy(),
        json!({"phase": "Running", "steps": [
            {"name": "train", "kind": "job", "state": "Done", "externalId": "databricks://1/runs/9", "link": "https://d/run/9",
             "outputs": {"job": "7", "settings": long, "link": "https://d/run/9"},
             "startedAt": "2026-07-04T11:00:00Z", "endedAt": "2026-07-04T11:20:00Z"},
            {"name": "model", "kind": "modelAlias", "state": "NotUndone", "message": "another hand moved it", "undo": {"version": "6"}},
            {"name": "serve", "kind": "servingEndpoint", "state": "Pending"}]}),
    );
    has(
        &text,
        &[
            "20m",
            "outside     databricks://1/runs/9",
            "link        https://d/run/9",
            "left        job=7  settings of 200 characters",
            "says        another hand moved it",
            "undone by   version=6",
            "Pending",
        ],
    );
    assert!(!text.contains("xxxxx"), "{text}");
}

#[test]
fn what_a_person_asked_for_and_what_waits_for_others_is_said() {
    let text = shown(
        &json!({"override": {"promotion": "fraud.prod.42.89abcdef", "findings": ["OutsideWindow"], "reason": "it burns"}}),
        json!({"plans": [{"subject": "Override", "digest": "sha256:d", "approvers": 2, "summary": ["lifts OutsideWindow"]}]}),
    );
    has(
        &text,
        &[
            "asked       to let fraud.prod.42.89abcdef go on in spite of OutsideWindow",
            "because     it burns",
            "Waits for 2 people to approve: Override",
            "lifts OutsideWindow",
            "--digest sha256:d",
        ],
    );
    let text = shown(
        &json!({"rollback": {"to": "fraud.prod.41.01234567", "reason": "it drifts"}}),
        json!({}),
    );
    has(
        &text,
        &[
            "to go back to fraud.prod.41.01234567",
            "a rollback asks Gerrit nothing",
        ],
    );
}
