//! Yeses that count, and all the others.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::api::plan_approval::{PlanApprovalSpec, PlanApprovalStatus, PlanRef};

const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Made at second 10 for the object `n/b`.
fn approval(change: impl FnOnce(&mut PlanApproval)) -> PlanApproval {
    let spec = PlanApprovalSpec {
        plan_ref: PlanRef {
            kind: "AccessBinding".into(),
            namespace: "n".into(),
            name: "b".into(),
            uid: "u".into(),
        },
        digest: "sha256:d".into(),
        approver: "lead@x".into(),
        reason: "because".into(),
        expires: Some(at(100)),
    };
    let mut approval = PlanApproval::new("yes", spec);
    approval.metadata.creation_timestamp = Some(Time(at(10)));
    change(&mut approval);
    approval
}

/// What it is judged by: at second 50, the policy being there since second 5.
struct Case {
    since: Option<i64>,
    gaining: &'static [&'static str],
    identities: &'static [&'static str],
    changed_by: Option<&'static str>,
    now: i64,
}

const CASE: Case = Case {
    since: Some(5),
    gaining: &[],
    identities: &[],
    changed_by: None,
    now: 50,
};

fn refusal(approval: &PlanApproval, case: &Case) -> Option<Refused> {
    let set = |names: &[&str]| -> BTreeSet<String> { names.iter().map(ToString::to_string).collect() };
    let risk = Risk {
        gaining: set(case.gaining),
        gaining_identities: set(case.identities),
        ..Risk::default()
    };
    let object = ObjectKey {
        kind: "AccessBinding".into(),
        namespace: "n".into(),
        name: "b".into(),
        uid: "u".into(),
    };
    let asked = Asked {
        object: &object,
        digest: &EffectDigest("sha256:d".into()),
        risk: &risk,
        changed_by: case.changed_by,
        protected_since: case.since.map(at),
        now: at(case.now),
    };
    find([approval], asked).err().map(|mut refused| refused.remove(0))
}

fn verdict(approval: &PlanApproval, case: &Case) -> Option<Reason> {
    refusal(approval, case).map(|refused| refused.reason)
}

#[test]
fn only_a_fresh_unused_yes_to_exactly_this_plan_counts() {
    assert_eq!(verdict(&approval(|_| ()), &CASE), None);
    let older = approval(|a| a.spec.digest = "sha256:e".into());
    assert_eq!(verdict(&older, &CASE), Some(Reason::Superseded));
    let late = approval(|a| a.spec.expires = Some(at(50)));
    assert_eq!(verdict(&late, &CASE), Some(Reason::Expired));
    let used = approval(|a| {
        a.status = Some(PlanApprovalStatus {
            used_at: Some(Timestamp::UNIX_EPOCH),
            ..PlanApprovalStatus::default()
        });
    });
    assert_eq!(verdict(&used, &CASE), Some(Reason::Used));
}

#[test]
fn every_word_that_names_the_object_must_be_right() {
    let changes: [fn(&mut PlanRef); 4] = [
        |named| named.kind = "Promotion".into(),
        |named| named.namespace = "mallory".into(),
        |named| named.name = "c".into(),
        |named| named.uid = "v".into(),
    ];
    for change in changes {
        let stranger = approval(|a| change(&mut a.spec.plan_ref));
        assert_eq!(
            verdict(&stranger, &CASE),
            Some(Reason::Superseded),
            "{:?}",
            stranger.spec
        );
    }
}

#[test]
fn what_was_approved_while_nobody_held_approvers_to_their_names_never_counts() {
    let since = |since| Case { since, ..CASE };
    let yes = approval(|_| ());
    assert_eq!(verdict(&yes, &since(None)), Some(Reason::ApprovalsUnprotected));
    for later in [10, 20] {
        let refused = refusal(&yes, &since(Some(later))).unwrap();
        assert_eq!(refused.reason, Reason::Expired);
        assert!(
            refused.message.contains("before the admission policy"),
            "{refused:?}"
        );
    }
    assert_eq!(verdict(&yes, &since(Some(9))), None);
    let undated = approval(|a| a.metadata.creation_timestamp = None);
    assert!(verdict(&undated, &CASE).is_some());
}

#[test]
fn no_approval_counts_for_longer_than_a_month() {
    let long = approval(|a| a.spec.expires = Some(at(365 * DAY)));
    let on = |day: i64| {
        refusal(
            &long,
            &Case {
                now: day * DAY,
                ..CASE
            },
        )
    };
    assert_eq!(on(29), None);
    let refused = on(31).unwrap();
    assert_eq!(refused.reason, Reason::Expired);
    assert!(
        refused.message.contains("30 days after it was made"),
        "{refused:?}"
    );
}

#[test]
fn identities_of_the_cluster_do_not_approve() {
    for approver in [
        "system:serviceaccount:ci:deployer",
        "system:node:n1",
        "system:admin",
    ] {
        let yes = approval(|a| a.spec.approver = approver.into());
        assert_eq!(verdict(&yes, &CASE), Some(Reason::NotAPerson), "{approver}");
    }
}

#[test]
fn who_gains_does_not_approve_by_whatever_name() {
    let by = |approver: &str| approval(|a| a.spec.approver = approver.into());
    let gaining = Case {
        gaining: &["ghost@x"],
        identities: &["ghost@x", "mallory", "mallory@corp"],
        ..CASE
    };
    for approver in [
        "Ghost@X",
        "mallory@corp",
        "oidc:mallory@corp",
        "https://issuer#mallory",
        "arn:aws:sts::1234:assumed-role/Role/mallory@corp",
        "corp-sso_mallory@corp",
    ] {
        let verdict = verdict(&by(approver), &gaining);
        assert_eq!(verdict, Some(Reason::SelfApproval), "{approver}");
    }
    for approver in ["lead@x", "notmallory@corp", "mallory@elsewhere", "oidc:lead@x"] {
        assert_eq!(verdict(&by(approver), &gaining), None, "{approver}");
    }
    let nameless = Case {
        identities: &[""],
        ..CASE
    };
    assert_eq!(verdict(&by("lead@x"), &nameless), None);
}

#[test]
fn who_changed_the_spec_does_not_approve_by_whatever_way_in() {
    let changed = Case {
        changed_by: Some("oidc:lead@x"),
        ..CASE
    };
    for approver in ["lead@x", "arn:aws:sts::1:assumed-role/R/lead@x"] {
        let yes = approval(|a| a.spec.approver = approver.into());
        assert_eq!(verdict(&yes, &changed), Some(Reason::SelfApproval), "{approver}");
    }
}
