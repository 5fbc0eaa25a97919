//! How a promotion goes, as stories; the model checker tells all the others.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_core::domain::promotion::gate::evidence::ChangeNumber;
use lockstep_core::domain::promotion::machine::attempt::{Cause, PromotionName, StepName, Subject};
use lockstep_core::domain::promotion::machine::state::{
    End, Failure, FailureKind, OnFailure, Phase, Promotion, Step, StepState, Words,
};
use lockstep_core::domain::promotion::machine::steps::{Effect, Gate, Next, Orders, Seen, next};

use crate::review::{at, commit};

fn promotion(on_failure: OnFailure, steps: &[&str]) -> Promotion {
    Promotion {
        name: PromotionName("fraud.prod.42.c42".into()),
        subject: Subject {
            policy_uid: "uid".into(),
            environment: "prod".into(),
            change: ChangeNumber(42),
            revision: commit("c42"),
            cause: Cause::Deploy { attempt: 1 },
        },
        on_failure,
        phase: Phase::Waiting,
        steps: steps
            .iter()
            .map(|name| Step::new(StepName((*name).into()), 7_200, 3))
            .collect(),
    }
}

fn go() -> Orders {
    Orders {
        gate: Gate::Passes,
        turn: true,
        superseded_by: None,
        cancel: false,
        frozen: false,
        undo_frozen: false,
    }
}

/// A promotion with what its last move asked for.
struct Story {
    next: Next,
    orders: Orders,
    now: Timestamp,
}

impl Story {
    fn begin(on_failure: OnFailure, steps: &[&str]) -> Self {
        let mut story = Self {
            next: Next {
                promotion: promotion(on_failure, steps),
                effect: None,
                again: None,
            },
            orders: go(),
            now: at(0),
        };
        story.pass();
        story
    }

    fn pass(&mut self) -> Option<Effect> {
        self.move_on(None, Seen::Pass)
    }

    fn answer(&mut self, seen: Seen) -> Option<Effect> {
        let effect = self.next.effect;
        assert!(effect.is_some(), "nothing was asked");
        self.move_on(effect, seen)
    }

    fn move_on(&mut self, effect: Option<Effect>, seen: Seen) -> Option<Effect> {
        self.next = next(self.next.promotion.clone(), effect, seen, &self.orders, self.now);
        self.next.effect
    }

    /// The status is written and read again, as after a crash.
    fn crash(&mut self) -> Option<Effect> {
        let json = serde_json::to_string(&self.next.promotion).unwrap();
        self.next.promotion = serde_json::from_str(&json).unwrap();
        self.pass()
    }

    /// One step from preparation to success.
    fn succeed(&mut self, outputs: &[(&str, &str)]) {
        self.answer(Seen::Prepared(words(&[("was", "before")])));
        self.answer(Seen::Absent);
        self.answer(Seen::Accepted);
        self.pass();
        self.answer(Seen::Succeeded(words(outputs)));
    }

    fn phase(&self) -> &Phase {
        &self.next.promotion.phase
    }

    fn end(&self) -> &End {
        self.next.promotion.ended().unwrap()
    }
}

fn words(pairs: &[(&str, &str)]) -> Words {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn failed(kind: FailureKind) -> Seen {
    Seen::Failed(Failure::new(kind, "it broke"))
}

#[test]
fn a_step_saves_its_undo_looks_acts_and_is_looked_at_in_a_later_pass() {
    let mut story = Story::begin(OnFailure::Rollback, &["train"]);
    assert_eq!(story.next.effect, Some(Effect::Prepare { step: 0 }));
    assert_eq!(
        story.answer(Seen::Prepared(words(&[("was", "1")]))),
        Some(Effect::Look { step: 0, attempt: 1 })
    );
    assert_eq!(
        story.answer(Seen::Absent),
        Some(Effect::Act { step: 0, attempt: 1 })
    );
    assert_eq!(story.answer(Seen::Accepted), None, "a pass never waits");
    assert_eq!(story.pass(), Some(Effect::Look { step: 0, attempt: 1 }));
    assert_eq!(story.answer(Seen::Going), None);
    assert_eq!(story.next.again, Some(at(120)), "the step's timeout");
    story.pass();
    assert_eq!(story.answer(Seen::Succeeded(words(&[("run", "7")]))), None);
    assert_eq!(story.end(), &End::Succeeded);
    assert_eq!(story.next.promotion.steps[0].outputs, words(&[("run", "7")]));
}

#[test]
fn a_crash_right_after_run_now_finds_the_same_run() {
    let mut story = Story::begin(OnFailure::Rollback, &["train"]);
    story.answer(Seen::Prepared(Words::new()));
    story.answer(Seen::Absent);
    let token = |story: &Story| {
        let promotion = &story.next.promotion;
        promotion.subject.token(&promotion.steps[0].name, 1)
    };
    let before = token(&story);
    assert_eq!(story.crash(), Some(Effect::Look { step: 0, attempt: 1 }));
    assert_eq!(token(&story), before);
    assert_eq!(story.answer(Seen::Going), None);
}

#[test]
fn an_answer_that_never_came_advances_nothing() {
    let mut story = Story::begin(OnFailure::Rollback, &["train"]);
    story.answer(Seen::Prepared(Words::new()));
    story.answer(Seen::Absent);
    assert_eq!(story.answer(Seen::Unknown), None);
    assert_eq!(story.pass(), Some(Effect::Look { step: 0, attempt: 1 }));
    assert_eq!(story.answer(Seen::Unknown), None);
    assert_eq!(story.phase(), &Phase::Running);
}

#[test]
fn only_faults_of_the_cloud_are_tried_again_and_not_for_ever() {
    for kind in [FailureKind::InternalError, FailureKind::CloudFailure] {
        let mut story = Story::begin(OnFailure::Hold, &["train"]);
        story.answer(Seen::Prepared(Words::new()));
        for attempt in 1..=3 {
            assert_eq!(story.next.effect, Some(Effect::Look { step: 0, attempt }));
            story.answer(Seen::Absent);
            story.answer(Seen::Accepted);
            story.pass();
            story.answer(failed(kind));
        }
        assert!(matches!(story.end(), End::Failed { why, .. } if why.kind == kind));
    }
    let mut story = Story::begin(OnFailure::Hold, &["train"]);
    story.answer(Seen::Prepared(Words::new()));
    story.answer(failed(FailureKind::Failed));
    assert!(matches!(story.end(), End::Failed { .. }));
}

#[test]
fn a_failure_takes_everything_back_last_step_first() {
    let mut story = Story::begin(OnFailure::Rollback, &["code", "model", "smoke"]);
    story.succeed(&[]);
    story.succeed(&[]);
    story.answer(Seen::Prepared(Words::new()));
    story.answer(Seen::Absent);
    story.answer(Seen::Accepted);
    story.pass();
    assert_eq!(
        story.answer(failed(FailureKind::Failed)),
        Some(Effect::LookUndone { step: 2 })
    );
    assert_eq!(story.answer(Seen::Undone), Some(Effect::LookUndone { step: 1 }));
    assert_eq!(story.answer(Seen::NotUndone), Some(Effect::Undo { step: 1 }));
    assert_eq!(story.answer(Seen::Accepted), None);
    assert_eq!(story.crash(), Some(Effect::LookUndone { step: 1 }));
    assert_eq!(story.answer(Seen::Undone), Some(Effect::LookUndone { step: 0 }));
    story.answer(Seen::Undone);
    assert!(matches!(story.end(), End::Failed { left, .. } if left.is_empty()));
}

#[test]
fn what_another_hand_moved_is_reported_and_not_moved_back() {
    let mut story = Story::begin(OnFailure::Rollback, &["model", "smoke"]);
    story.succeed(&[]);
    story.answer(Seen::Refused(Failure::new(
        FailureKind::JobRunsOtherCode,
        "the job runs /Shared/x.py",
    )));
    assert_eq!(story.next.effect, Some(Effect::LookUndone { step: 0 }));
    story.answer(Seen::TakenByOthers(
        "eve moved alias champion to version 9".into(),
    ));
    let End::Failed { why, left } = story.end() else {
        panic!()
    };
    assert_eq!(why.kind, FailureKind::JobRunsOtherCode);
    let said = BTreeMap::from([(
        StepName("model".into()),
        "eve moved alias champion to version 9".to_owned(),
    )]);
    assert_eq!(left, &said);
}

#[test]
fn hold_leaves_everything_and_says_what() {
    let mut story = Story::begin(OnFailure::Hold, &["model", "smoke"]);
    story.succeed(&[]);
    story.answer(failed(FailureKind::Failed));
    let End::Failed { left, .. } = story.end() else {
        panic!()
    };
    assert_eq!(
        left.keys().map(|step| step.0.as_str()).collect::<Vec<_>>(),
        ["model"]
    );
}

#[test]
fn a_run_that_outlives_its_time_is_stopped_before_anything_is_undone() {
    let mut story = Story::begin(OnFailure::Rollback, &["train"]);
    story.answer(Seen::Prepared(Words::new()));
    story.answer(Seen::Absent);
    story.answer(Seen::Accepted);
    story.now = at(120);
    assert_eq!(story.pass(), Some(Effect::Look { step: 0, attempt: 1 }));
    assert_eq!(
        story.answer(Seen::Going),
        Some(Effect::Stop { step: 0, attempt: 1 })
    );
    assert_eq!(story.answer(Seen::Accepted), None);
    story.pass();
    assert_eq!(
        story.answer(failed(FailureKind::Failed)),
        Some(Effect::LookUndone { step: 0 })
    );
    story.answer(Seen::Undone);
    assert!(matches!(story.end(), End::Failed { why, .. } if why.kind == FailureKind::TimedOut));
}

#[test]
fn cancelling_before_it_began_does_nothing_and_later_takes_back() {
    let mut waiting = promotion(OnFailure::Rollback, &["train"]);
    waiting.phase = Phase::Waiting;
    let cancel = Orders { cancel: true, ..go() };
    let ended = next(waiting, None, Seen::Pass, &cancel, at(0));
    assert_eq!(ended.promotion.ended(), Some(&End::Cancelled));

    let mut story = Story::begin(OnFailure::Rollback, &["code", "train"]);
    story.succeed(&[]);
    story.orders = cancel;
    assert_eq!(story.pass(), Some(Effect::LookUndone { step: 0 }));
}

#[test]
fn a_freeze_lets_no_step_begin_and_the_running_one_end() {
    let mut story = Story::begin(OnFailure::Rollback, &["code", "train"]);
    story.answer(Seen::Prepared(Words::new()));
    story.answer(Seen::Absent);
    story.answer(Seen::Accepted);
    story.orders.frozen = true;
    story.pass();
    assert_eq!(
        story.answer(Seen::Succeeded(Words::new())),
        Some(Effect::Prepare { step: 1 })
    );
    assert_eq!(story.answer(Seen::Prepared(Words::new())), None);
    assert_eq!(story.next.promotion.steps[1].state, StepState::Prepared);
    story.orders.frozen = false;
    assert_eq!(story.pass(), Some(Effect::Look { step: 1, attempt: 1 }));
}

#[test]
fn a_frozen_step_does_not_grow_old_while_it_waits() {
    let mut story = Story::begin(OnFailure::Rollback, &["train"]);
    story.answer(Seen::Prepared(Words::new()));
    story.orders.frozen = true;
    assert_eq!(story.answer(Seen::Absent), None);
    story.now = at(60 * 24 * 7);
    story.orders.frozen = false;
    story.pass();
    assert_eq!(
        story.answer(Seen::Absent),
        Some(Effect::Act { step: 0, attempt: 1 })
    );
}

#[test]
fn an_answer_to_another_try_is_dropped() {
    let mut story = Story::begin(OnFailure::Rollback, &["train"]);
    story.answer(Seen::Prepared(Words::new()));
    story.move_on(
        Some(Effect::Look { step: 0, attempt: 2 }),
        Seen::Succeeded(Words::new()),
    );
    assert_eq!(story.phase(), &Phase::Running);
}

#[test]
fn a_clock_that_jumps_starts_nothing_twice_and_fails_nothing_that_succeeded() {
    let mut story = Story::begin(OnFailure::Rollback, &["train", "smoke"]);
    story.answer(Seen::Prepared(Words::new()));
    story.answer(Seen::Absent);
    story.answer(Seen::Accepted);
    let look = Some(Effect::Look { step: 0, attempt: 1 });
    for minute in [-1_440, 0, -10_000, 119] {
        story.now = at(minute);
        assert_eq!(story.pass(), look, "{minute}");
        assert_eq!(story.answer(Seen::Going), None, "{minute}");
        assert_eq!(story.crash(), look, "{minute}");
        assert_eq!(story.answer(Seen::Unknown), None, "{minute}");
    }
    // A year ahead: its time is over, but what came to its end meanwhile has.
    story.now = at(525_600);
    assert_eq!(story.pass(), look);
    assert_eq!(
        story.answer(Seen::Succeeded(Words::new())),
        Some(Effect::Prepare { step: 1 })
    );
    // And back again: the next step counts from when it began.
    story.now = at(0);
    story.answer(Seen::Prepared(Words::new()));
    story.answer(Seen::Absent);
    story.answer(Seen::Accepted);
    story.pass();
    assert_eq!(story.answer(Seen::Going), None);
    story.pass();
    story.answer(Seen::Succeeded(Words::new()));
    assert_eq!(story.end(), &End::Succeeded);
}
