use std::sync::Arc;

use lockstep_core::domain::promotion::gate::people::{Alias, People};
use serde_json::Value;

use super::*;

fn at(clock: &str) -> Timestamp {
    format!("2026-07-04T{clock}:00Z").parse().unwrap()
}

fn object(name: &str, spec: Value, status: Value) -> Promotion {
    let mut promotion = Promotion::new(name, serde_json::from_value(spec).unwrap());
    promotion.metadata.namespace = Some("ml".into());
    promotion.metadata.uid = Some(format!("uid-{name}"));
    promotion.status = Some(serde_json::from_value(status).unwrap());
    promotion
}

fn deploy(status: Value) -> Promotion {
    let spec = json!({"policyRef": {"name": "fraud"}, "environment": "prod", "deploy":
        {"change": 42, "revision": "89abcdef0123456789abcdef0123456789abcdef", "position": 1, "attempt": 1}});
    object("deploy", spec, status)
}

/// A change of Ada's, judged, with what speaks against it.
fn waiting(findings: &[&str]) -> Value {
    let findings: Vec<Value> = findings
        .iter()
        .map(|kind| json!({"kind": kind, "message": "m"}))
        .collect();
    json!({
        "phase": "Waiting", "judgedAt": "2026-07-04T09:00:00Z", "verdict": {"passes": false, "findings": findings},
        "evidence": [{"change": 42, "revision": "89abcdef", "owner": "ada (account 7)", "author": "ada@x"}],
    })
}

/// The world of one override, asked for by Olga.
struct World {
    promotion: Promotion,
    wish: Override,
    gathered: Gathered,
    now: Timestamp,
}

impl World {
    fn new(target: Option<Promotion>) -> Self {
        let wish = json!({"promotion": "deploy", "findings": ["OutsideWindow"], "reason": "it burns"});
        let spec = json!({"policyRef": {"name": "fraud"}, "environment": "prod", "override": wish});
        let mut promotion = object("glass", spec, json!({}));
        promotion
            .annotations_mut()
            .insert(CHANGED_BY.into(), "oidc:olga@x".into());
        Self {
            wish: promotion.spec.override_.clone().unwrap(),
            promotion,
            gathered: Gathered {
                glass: GlassStatus::default(),
                target: target.map(Arc::new),
                approvals: Vec::new(),
                protected_since: Some(at("08:00")),
                people: People {
                    aliases: vec![Alias {
                        emails: [Email::from("cy@x"), Email::from("cy-admin")].into(),
                        ..Alias::default()
                    }],
                    ..People::default()
                },
                problem: None,
                held: None,
            },
            now: at("10:00"),
        }
    }

    fn plan(&self) -> Planned {
        plan(&self.promotion, &self.wish, &self.gathered, self.now)
    }

    /// Somebody says yes to what waits now.
    fn say(&mut self, who: &str) {
        let digest = self.plan().pending.unwrap().digest;
        let name = format!("yes-{}", self.gathered.approvals.len());
        let body = json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "PlanApproval",
            "metadata": {"name": name, "creationTimestamp": "2026-07-04T09:30:00Z"},
            "spec": {"planRef": {"kind": "Promotion", "namespace": "ml", "name": "glass", "uid": "uid-glass"},
                     "digest": digest, "approver": who, "reason": "r", "expires": "2026-07-09T00:00:00Z"},
        });
        self.gathered
            .approvals
            .push(Arc::new(serde_json::from_value(body).unwrap()));
    }

    /// What a pass keeps.
    fn pass(&mut self) -> Planned {
        let planned = self.plan();
        let before = self.gathered.glass.clone();
        let mut glass = planned.glass.clone();
        let rows = planned.uses.iter().map(|(approval, _)| ApprovalRow {
            approval: approval.name_any(),
            approver: approval.spec.approver.clone(),
            at: self.now,
            entry: "1".into(),
        });
        if before.lifted_at.is_none() && glass.lifted_at.is_some() {
            glass.approvals = rows.collect();
        } else {
            glass.reviewed = glass.reviewed.or(rows.into_iter().next());
        }
        self.gathered.glass = glass;
        planned
    }

    fn becomes(&mut self, status: Value) {
        self.gathered.target = Some(Arc::new(deploy(status)));
    }
}

#[test]
fn two_people_who_neither_asked_nor_made_the_change_lift_it() {
    let mut world = World::new(Some(deploy(waiting(&["OutsideWindow", "Soaking"]))));
    let planned = world.plan();
    assert_eq!(planned.said.0, Reason::AwaitingApproval);
    let pending = planned.pending.unwrap();
    assert_eq!(
        (pending.subject, pending.approvers),
        (PlanSubject::Override, Some(2))
    );
    assert!(
        pending.summary[0].contains("it burns") && pending.summary[0].contains("change 42"),
        "{pending:?}"
    );
    assert!(
        pending
            .summary
            .iter()
            .any(|line| line == "still waits for Soaking: m"),
        "{pending:?}"
    );

    for who in ["olga@x", "ada@x", "ada", "ben@x", "corp:ben@x"] {
        world.say(who);
        let planned = world.plan();
        assert_eq!(planned.glass.lifted_at, None, "{who}");
        assert_eq!(planned.said.0, Reason::AwaitingApproval);
    }
    let said = world.plan().said.1;
    assert!(
        said.contains("1 of 2") && said.contains("ada@x would gain"),
        "{said}"
    );
    world.say("cy@x");
    let planned = world.pass();
    assert_eq!(planned.uses.len(), 2);
    assert_eq!(planned.glass.lifted_at, Some(world.now));
    assert!(
        planned.said.1.contains("still waits for Soaking"),
        "{:?}",
        planned.said
    );
}

#[test]
fn one_human_by_two_names_is_one() {
    let mut world = World::new(Some(deploy(waiting(&["OutsideWindow"]))));
    world.say("cy@x");
    world.say("cy-admin");
    assert_eq!(world.plan().glass.lifted_at, None);
}

#[test]
fn what_does_not_wait_for_what_can_be_lifted_is_refused_with_the_reason() {
    let mut elsewhere = deploy(waiting(&["OutsideWindow"]));
    elsewhere.spec.environment = "staging".into();
    let rollback = json!({"policyRef": {"name": "fraud"}, "environment": "prod", "rollback": {"to": "a", "reason": "r"}});
    for (target, words) in [
        (deploy(json!({"phase": "Running"})), "is Running"),
        (deploy(json!({"phase": "Succeeded"})), "has ended (Succeeded)"),
        (deploy(json!({"phase": "Superseded"})), "has ended (Superseded)"),
        (
            deploy(waiting(&["OutsideWindow", "Vetoed"])),
            "what nobody can lift: Vetoed: m",
        ),
        (elsewhere, "belongs to environment staging"),
        (object("deploy", rollback, json!({})), "is no deploy"),
    ] {
        let planned = World::new(Some(target)).plan();
        assert_eq!(planned.phase, PromotionPhase::Refused, "{words}");
        assert!(planned.said.1.contains(words), "{words}: {}", planned.said.1);
        assert!(planned.pending.is_none() && planned.review.is_none());
    }
    let missing = World::new(None).plan();
    assert_eq!((missing.said.0, missing.stalled), (Reason::NotFound, true));
    let unjudged = World::new(Some(deploy(json!({"phase": "Waiting"})))).plan();
    assert_eq!(
        (unjudged.said.0, unjudged.glass.ended),
        (Reason::Progressing, None)
    );
}

/// Lifted by Ben and Cy, and run.
fn run() -> World {
    let mut world = World::new(Some(deploy(waiting(&["OutsideWindow"]))));
    world.say("ben@x");
    world.say("cy@x");
    world.pass();
    world.gathered.approvals.clear();
    world.becomes(json!({"phase": "Running"}));
    assert_eq!(world.pass().phase, PromotionPhase::Running);
    world.becomes(json!({"phase": "Succeeded", "endedAt": "2026-07-04T10:30:00Z"}));
    world.now = at("11:00");
    world
}

#[test]
fn a_third_person_is_asked_to_look_at_it_until_one_has() {
    let mut world = run();
    let planned = world.pass();
    let due: Timestamp = "2026-07-05T10:30:00Z".parse().unwrap();
    assert_eq!(planned.review, Some(AfterReview::Due(due)));
    let pending = planned.pending.unwrap();
    assert_eq!(pending.subject, PlanSubject::AfterReview);
    assert!(pending.summary[0].contains("ben@x and cy@x"), "{pending:?}");
    for who in ["ben@x", "cy-admin", "olga@x"] {
        world.say(who);
        assert_eq!(world.pass().review, Some(AfterReview::Due(due)), "{who}");
    }
    world.now = due;
    assert_eq!(world.pass().review, Some(AfterReview::Overdue(due)));
    world.say("eve@x");
    let planned = world.pass();
    assert!(matches!(planned.review, Some(AfterReview::Done(_))));
    assert_eq!(planned.uses.len(), 1);
    assert!(planned.pending.is_none());
    let later = world.pass();
    assert!(matches!(later.review, Some(AfterReview::Done(_))) && later.uses.is_empty());
}

#[test]
fn nobody_looks_at_what_did_nothing() {
    let mut world = World::new(Some(deploy(waiting(&["OutsideWindow"]))));
    world.say("ben@x");
    world.say("cy@x");
    world.pass();
    world.becomes(json!({"phase": "Superseded", "endedAt": "2026-07-04T10:30:00Z"}));
    let planned = world.pass();
    assert_eq!(planned.phase, PromotionPhase::Superseded);
    assert_eq!((planned.review, planned.glass.review_due), (None, None));
}

#[test]
fn what_is_cancelled_before_anything_went_on_lifts_nothing() {
    let mut world = World::new(Some(deploy(waiting(&["OutsideWindow"]))));
    world.say("ben@x");
    world.say("cy@x");
    world.pass();
    world
        .promotion
        .annotations_mut()
        .insert(CANCEL.into(), "true".into());
    assert_eq!(world.pass().phase, PromotionPhase::Cancelled);
    let ended = Arc::new({
        let mut promotion = world.promotion.clone();
        promotion.status.as_mut().unwrap().glass = Some(world.gathered.glass.clone());
        promotion
    });
    assert_eq!(super::super::lifted(&[ended], "deploy", "prod"), None);
}
