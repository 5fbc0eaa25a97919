//! Who has the turn in an environment, who steps aside, and what holds it.

use lockstep_core::domain::promotion::machine::attempt::{PromotionName, StepName};
use lockstep_core::domain::promotion::machine::queue::{
    Contender, Contenders, Environment, Place, Want, Wishes,
};
use lockstep_core::domain::promotion::machine::state::{End, Failure, FailureKind, Phase};
use lockstep_core::domain::promotion::machine::steps::Gate;

fn name(n: u64) -> PromotionName {
    PromotionName(format!("p{n}"))
}

fn deploy(position: u64, gate: Gate, phase: Phase) -> (PromotionName, Contender) {
    let want = Want::Deploy(Place { position, attempt: 1 });
    (name(position), Contender { want, gate, phase })
}

fn failure(left: &[(&str, &str)]) -> Phase {
    let left = left
        .iter()
        .map(|(step, why)| (StepName((*step).into()), (*why).to_owned()))
        .collect();
    Phase::Ended(End::Failed {
        why: Failure::new(FailureKind::Failed, "smoke test failed"),
        left,
    })
}

#[test]
fn of_a_thousand_merges_the_newest_runs_and_the_rest_are_superseded_at_once() {
    let contenders: Contenders = (1..=1_000)
        .map(|n| deploy(n, Gate::Passes, Phase::Waiting))
        .collect();
    let environment = Environment::default().next(&contenders, &Wishes::default());
    assert!(environment.has_turn(&name(1_000)));
    for n in 1..1_000 {
        assert_eq!(
            environment.superseded_by(&name(n), &contenders),
            Some(name(1_000))
        );
    }
    assert_eq!(environment.superseded_by(&name(1_000), &contenders), None);
}

#[test]
fn a_newer_one_that_the_gate_refused_takes_nobodys_place() {
    let refused = Phase::Ended(End::Refused);
    let contenders: Contenders = [
        deploy(1, Gate::Passes, Phase::Waiting),
        deploy(2, Gate::Refuses, refused),
    ]
    .into();
    let environment = Environment::default().next(&contenders, &Wishes::default());
    assert!(environment.has_turn(&name(1)));
}

#[test]
fn a_newer_one_that_only_waits_does() {
    let contenders: Contenders = [
        deploy(1, Gate::Passes, Phase::Waiting),
        deploy(2, Gate::Waits, Phase::Waiting),
    ]
    .into();
    let environment = Environment::default().next(&contenders, &Wishes::default());
    assert_eq!(environment.acting, None);
    assert_eq!(environment.superseded_by(&name(1), &contenders), Some(name(2)));
}

#[test]
fn who_acts_finishes_although_something_newer_merged() {
    let first: Contenders = [deploy(1, Gate::Passes, Phase::Waiting)].into();
    let environment = Environment::default().next(&first, &Wishes::default());
    let both: Contenders = [
        deploy(1, Gate::Passes, Phase::Running),
        deploy(2, Gate::Passes, Phase::Waiting),
    ]
    .into();
    let environment = environment.next(&both, &Wishes::default());
    assert!(environment.has_turn(&name(1)));
    assert_eq!(environment.superseded_by(&name(1), &both), None);
    let done: Contenders = [
        deploy(1, Gate::Passes, Phase::Ended(End::Succeeded)),
        deploy(2, Gate::Passes, Phase::Waiting),
    ]
    .into();
    let environment = environment.next(&done, &Wishes::default());
    assert_eq!(
        (environment.current.clone(), environment.acting.clone()),
        (Some(name(1)), Some(name(2)))
    );
}

#[test]
fn a_failure_holds_the_environment_until_a_person_resumes_and_then_nothing_older_runs() {
    let turn: Contenders = [deploy(5, Gate::Passes, Phase::Waiting)].into();
    let environment = Environment::default().next(&turn, &Wishes::default());
    let failed: Contenders = [
        deploy(4, Gate::Passes, Phase::Waiting),
        deploy(5, Gate::Passes, failure(&[("model", "eve moved it")])),
        deploy(6, Gate::Passes, Phase::Waiting),
    ]
    .into();
    let held = environment.next(&failed, &Wishes::default());
    assert_eq!(held.acting, None);
    let hold = held.held.clone().unwrap();
    assert!(
        hold.reason.contains("smoke test failed") && hold.reason.contains("model: eve moved it"),
        "{hold:?}"
    );
    assert_eq!(held.next(&failed, &Wishes::default()), held, "it stays held");
    let resume = Wishes {
        resume: true,
        unexplained: None,
    };
    assert!(held.next(&failed, &resume).has_turn(&name(6)));
    let mut only_older = failed.clone();
    only_older.remove(&name(6));
    assert_eq!(held.next(&only_older, &resume).acting, None);
    assert_eq!(held.superseded_by(&name(4), &only_older), Some(name(5)));
}

#[test]
fn the_next_attempt_of_the_same_commit_is_newer() {
    let turn: Contenders = [deploy(5, Gate::Passes, Phase::Waiting)].into();
    let environment = Environment::default().next(&turn, &Wishes::default());
    let mut contenders: Contenders = [deploy(5, Gate::Passes, failure(&[]))].into();
    let want = Want::Deploy(Place {
        position: 5,
        attempt: 2,
    });
    let again = PromotionName("p5.2".into());
    contenders.insert(
        again.clone(),
        Contender {
            want,
            gate: Gate::Passes,
            phase: Phase::Waiting,
        },
    );
    let resume = Wishes {
        resume: true,
        unexplained: None,
    };
    // The failure is seen in the pass that releases it, so the hold stands until the next approval.
    let held = environment.next(&contenders, &Wishes::default());
    assert!(held.next(&contenders, &resume).has_turn(&again));
}

#[test]
fn a_rollback_passes_a_hold_but_not_the_one_that_acts() {
    let rollback = |phase| {
        let contender = Contender {
            want: Want::Rollback,
            gate: Gate::Passes,
            phase,
        };
        (PromotionName("back".into()), contender)
    };
    let turn: Contenders = [deploy(5, Gate::Passes, Phase::Waiting)].into();
    let environment = Environment::default().next(&turn, &Wishes::default());
    let running: Contenders = [deploy(5, Gate::Passes, Phase::Running), rollback(Phase::Waiting)].into();
    assert!(environment.next(&running, &Wishes::default()).has_turn(&name(5)));
    let failed: Contenders = [deploy(5, Gate::Passes, failure(&[])), rollback(Phase::Waiting)].into();
    let back = environment.next(&failed, &Wishes::default());
    assert!(back.has_turn(&PromotionName("back".into())));
    assert!(back.held.is_some(), "it goes back and stays held");
}

#[test]
fn a_promotion_that_vanished_in_the_middle_holds_its_environment() {
    let turn: Contenders = [deploy(5, Gate::Passes, Phase::Waiting)].into();
    let environment = Environment::default().next(&turn, &Wishes::default());
    let held = environment.next(&Contenders::new(), &Wishes::default());
    assert!(held.held.unwrap().reason.contains("deleted"));
}

#[test]
fn something_unexplained_holds_where_the_policy_says_so() {
    let contenders: Contenders = [deploy(1, Gate::Passes, Phase::Waiting)].into();
    let wishes = Wishes {
        resume: false,
        unexplained: Some("run 7 is unexplained".into()),
    };
    let held = Environment::default().next(&contenders, &wishes);
    assert_eq!((held.acting.clone(), held.held.unwrap().promotion), (None, None));
}
