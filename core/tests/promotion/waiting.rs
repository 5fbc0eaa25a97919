//! What only waits: other environments, freezes, windows; and who may break the glass.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use lockstep_core::api::text::Duration;
use lockstep_core::domain::promotion::gate::break_glass::{
    AfterReview, NotLifted, Override, Yes, after_review, lift,
};
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, PatchId};
use lockstep_core::domain::promotion::gate::finding::{Finding, FindingKind, FindingKind::*, Verdict};
use lockstep_core::domain::promotion::gate::freeze::{Exception, Freeze, Stopped};
use lockstep_core::domain::promotion::gate::people::{Account, AccountId, People};
use lockstep_core::domain::promotion::gate::range::Judgement;
use lockstep_core::domain::promotion::gate::{Moment, Success, judge};
use lockstep_core::domain::windows::{WindowText, Windows};

use crate::review::*;

fn in_staging(succeeded: impl FnOnce(&mut Success)) -> BTreeSet<FindingKind> {
    let mut review = needs_staging();
    let mut success = success(&review, -30);
    succeeded(&mut success);
    review
        .surroundings
        .upstream
        .insert("staging".into(), vec![success]);
    review.kinds()
}

fn only(kind: FindingKind) -> BTreeSet<FindingKind> {
    BTreeSet::from([kind])
}

#[test]
fn what_has_not_succeeded_upstream_waits() {
    assert_eq!(needs_staging().kinds(), only(UpstreamMissing));
    let mut unread = needs_staging();
    unread.surroundings.upstream.clear();
    assert_eq!(unread.kinds(), only(UpstreamMissing));
}

#[test]
fn the_same_commit_or_the_same_patch_under_the_same_name_has_succeeded_upstream() {
    assert_eq!(in_staging(|_| ()), BTreeSet::new());
    assert_eq!(
        in_staging(|success| success.revision = commit("picked")),
        BTreeSet::new()
    );
    assert_eq!(
        in_staging(|success| {
            success.revision = commit("picked");
            success.change_id = "Iother".into();
            success.cherry_pick_of = Some(ChangeNumber(42));
        }),
        BTreeSet::new()
    );
}

#[test]
fn the_same_name_with_another_patch_differs() {
    for patch in [Some(PatchId("other".into())), None] {
        assert_eq!(
            in_staging(|success| {
                success.revision = commit("picked");
                success.patch = patch;
            }),
            only(DiffersFromUpstream)
        );
    }
    let mut unread = needs_staging();
    let mut picked = success(&unread, -30);
    picked.revision = commit("picked");
    picked.patch = None;
    unread.change.patch = None;
    unread
        .surroundings
        .upstream
        .insert("staging".into(), vec![picked]);
    assert_eq!(unread.kinds(), only(DiffersFromUpstream));
}

#[test]
fn another_change_with_the_same_patch_is_another_change() {
    assert_eq!(
        in_staging(|success| {
            success.revision = commit("picked");
            success.change_id = "Iother".into();
            success.change = ChangeNumber(7);
        }),
        only(UpstreamMissing)
    );
}

#[test]
fn what_was_rolled_back_upstream_proves_nothing() {
    assert_eq!(
        in_staging(|success| success.taken_back = true),
        only(UpstreamMissing)
    );
}

#[test]
fn it_soaks_to_the_second_and_says_until_when() {
    let soaking = |minute, now: i64| {
        let mut review = needs_staging();
        let success = success(&review, minute);
        review
            .surroundings
            .upstream
            .insert("staging".into(), vec![success]);
        review.now = at(now) - SignedDuration::from_secs(1);
        review.findings()
    };
    assert_eq!(
        soaking(0, 60),
        [Finding::new(Soaking, soaking(0, 60)[0].message.clone()).again(Some(at(60)))]
    );
    let mut review = needs_staging();
    let success = success(&review, 0);
    review
        .surroundings
        .upstream
        .insert("staging".into(), vec![success]);
    review.now = at(60);
    assert_eq!(review.kinds(), BTreeSet::new());
}

fn freeze(change: impl FnOnce(&mut Freeze)) -> Freeze {
    let mut freeze = Freeze {
        namespace: "ml".into(),
        name: "holidays".into(),
        reason: "nobody is in".into(),
        until: at(120),
        kinds: None,
        selector: None,
        except: BTreeSet::new(),
        everywhere: false,
    };
    change(&mut freeze);
    freeze
}

fn stops(freeze: &Freeze, rollback: bool, minute: i64) -> bool {
    let labels = BTreeMap::from([("team".to_owned(), "fraud".to_owned())]);
    let stopped = Stopped {
        kind: "PromotionPolicy",
        namespace: "ml",
        labels: &labels,
        rollback,
    };
    freeze.applies(&stopped, at(minute))
}

#[test]
fn a_freeze_stops_what_it_names_until_it_is_over() {
    assert!(stops(&freeze(|_| ()), false, 60));
    assert!(stops(&freeze(|_| ()), true, 60), "a rollback waits too");
    assert!(!stops(&freeze(|_| ()), false, 120));
    assert!(!stops(
        &freeze(|freeze| freeze.namespace = "other".into()),
        false,
        60
    ));
    let everywhere = |freeze: &mut Freeze| {
        freeze.namespace = "lockstep".into();
        freeze.everywhere = true;
    };
    assert!(stops(&freeze(everywhere), false, 60));
    let kinds = |kind: &str| Some(BTreeSet::from([kind.to_owned()]));
    assert!(stops(
        &freeze(|freeze| freeze.kinds = kinds("PromotionPolicy")),
        false,
        60
    ));
    assert!(!stops(
        &freeze(|freeze| freeze.kinds = kinds("AccessBinding")),
        false,
        60
    ));
    let team = |team: &str| Some(BTreeMap::from([("team".to_owned(), team.to_owned())]));
    assert!(stops(
        &freeze(|freeze| freeze.selector = team("fraud")),
        false,
        60
    ));
    assert!(!stops(
        &freeze(|freeze| freeze.selector = team("search")),
        false,
        60
    ));
    let except = |freeze: &mut Freeze| {
        freeze.except.insert(Exception::Rollback);
    };
    assert!(!stops(&freeze(except), true, 60));
    assert!(stops(&freeze(except), false, 60));
}

#[test]
fn the_verdict_says_range_freeze_and_window_together_and_when_to_come_back() {
    let review = reviewed();
    let labels = BTreeMap::new();
    let stopped = Stopped {
        kind: "PromotionPolicy",
        namespace: "ml",
        labels: &labels,
        rollback: false,
    };
    let window = WindowText {
        start: "0 14 * * *".into(),
        duration: Duration("1h".into()),
        time_zone: None,
    };
    let windows = Windows::parse(&[window], &[]).unwrap();
    let freezes = [freeze(|_| ())];
    let moment = Moment {
        windows: &windows,
        freezes: &freezes,
        stopped: &stopped,
        now: review.now,
    };
    let range = Judgement {
        tip: commit("c42"),
        own: commit("c42"),
        current: None,
        baseline: commit("c41"),
        commits: BTreeMap::new(),
        waiting: vec![
            Finding::new(Soaking, "change 40 soaks").again(Some(at(90))),
            Finding::new(Soaking, "change 41 soaks").again(Some(at(80))),
        ],
        broken: Vec::new(),
    };
    let verdict = judge(&review.case(), &range, &moment);
    let kinds: Vec<FindingKind> = verdict.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Soaking, Frozen, OutsideWindow]);
    assert_eq!(verdict.findings[0].message, "change 40 soaks; change 41 soaks");
    assert_eq!(verdict.findings[0].again, Some(at(90)));
    assert!(verdict.waits());
    // 14:00 is five hours after the first patch set.
    assert_eq!(verdict.again(), Some(at(300)));
}

fn verdict(kinds: &[FindingKind]) -> Verdict {
    Verdict {
        findings: kinds.iter().map(|kind| Finding::new(*kind, "because")).collect(),
        overridden: Vec::new(),
        exceptions: BTreeMap::new(),
    }
}

fn wish(kinds: &[FindingKind]) -> Override {
    Override {
        findings: kinds.iter().copied().collect(),
        reason: "fraud is going on".into(),
        requested_by: Some(email("ada")),
    }
}

/// Nobody has more than one address.
fn nobody_else() -> People {
    People::default()
}

fn yes(people: &[&str]) -> BTreeSet<Yes> {
    (0..)
        .zip(people)
        .map(|(n, who)| Yes {
            approval: format!("yes-{n}"),
            approver: email(who),
        })
        .collect()
}

#[test]
fn two_people_lift_what_only_waits() {
    let lifted = lift(
        verdict(&[Soaking, OutsideWindow]),
        &wish(&[OutsideWindow, Soaking]),
        &yes(&["bob", "cy"]),
        &nobody_else(),
    );
    let lifted = lifted.unwrap();
    assert!(lifted.passes());
    assert_eq!(lifted.overridden.len(), 2);
}

#[test]
fn what_is_not_named_still_stands() {
    let lifted = lift(
        verdict(&[Vetoed, OutsideWindow]),
        &wish(&[OutsideWindow]),
        &yes(&["bob", "cy"]),
        &nobody_else(),
    )
    .unwrap();
    assert!(lifted.refuses() && lifted.has(Vetoed));
}

#[test]
fn what_got_around_review_is_never_lifted() {
    for kind in [
        UnreviewedAncestor,
        SelfApproval,
        Vetoed,
        DiffersFromUpstream,
        NotVerified,
    ] {
        let lifted = lift(
            verdict(&[kind]),
            &wish(&[kind]),
            &yes(&["bob", "cy"]),
            &nobody_else(),
        );
        assert_eq!(lifted, Err(NotLifted::NeverLifted(kind)));
    }
}

#[test]
fn one_person_alone_breaks_no_glass() {
    // Bob has a second address.
    let bob = Account {
        emails: [email("bob"), email("robert")].into(),
        ..Account::default()
    };
    let known = People {
        accounts: BTreeMap::from([(AccountId(7), bob)]),
        ..People::default()
    };
    for people in [
        &["bob"][..],
        &["bob", "BOB"],
        &["bob", "ada"],
        &["bob", "robert"],
        &[],
    ] {
        let lifted = lift(verdict(&[Frozen]), &wish(&[Frozen]), &yes(people), &known);
        assert!(
            matches!(lifted, Err(NotLifted::NotEnoughPeople { .. })),
            "{people:?}"
        );
    }
}

#[test]
fn a_third_person_looks_at_it_afterwards_and_that_is_demanded_until_done() {
    let before = yes(&["bob", "cy"]);
    let ada = email("ada");
    let looked = |people: &[&str], minute| {
        after_review(
            at(0),
            Some(&ada),
            &before,
            &yes(people),
            &nobody_else(),
            at(minute),
        )
    };
    assert_eq!(looked(&[], 1), AfterReview::Due(at(24 * 60)));
    assert_eq!(
        looked(&["bob", "cy", "ada"], 24 * 60),
        AfterReview::Overdue(at(24 * 60))
    );
    assert!(matches!(looked(&["eve"], 48 * 60), AfterReview::Done(_)));
}
