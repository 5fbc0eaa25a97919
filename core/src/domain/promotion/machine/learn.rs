//! What an answer means to the state that asked for it. Only a look says that something is done; a write that was
//! taken, or whose answer never came, is looked for in the next pass.

use jiff::{SignedDuration, Timestamp};

use super::guards::{Guard, Guards};
use super::state::{Failure, FailureKind, Look, Promotion, Step, StepState};
use super::steps::{Effect, Seen};
use super::undo;

/// Seconds for which a call whose answer never came may still arrive. An exchange that writes ends after 10 s at most,
/// as a lease permits no longer; waiting for its turn and repetitions come before it, and a proxy may hold it beyond
/// that. It counts from the announcement: a pass that is held up longer has no permit to send any more.
pub const SETTLE: i64 = 60;

/// A new pass knows nothing of what an earlier one saw.
pub(super) fn forget(promotion: &mut Promotion) {
    for step in &mut promotion.steps {
        if let StepState::Acting { look, .. }
        | StepState::Stopping { look, .. }
        | StepState::Undoing { look, .. } = &mut step.state
        {
            *look = Look::Not;
        }
    }
}

/// Takes in what came of an effect. An answer to a question that the state no longer asks is dropped.
pub(super) fn learn(promotion: &mut Promotion, effect: Effect, seen: Seen, now: Timestamp, guards: Guards) {
    let (Effect::Prepare { step }
    | Effect::Look { step, .. }
    | Effect::Act { step, .. }
    | Effect::Stop { step, .. }
    | Effect::LookUndone { step }
    | Effect::Undo { step }) = effect;
    let Some(step) = promotion.steps.get_mut(step) else {
        return;
    };
    match (&mut step.state, effect) {
        (StepState::Pending, Effect::Prepare { .. }) => prepared(step, seen),
        (StepState::Prepared, Effect::Act { attempt, .. }) if !guards.hold(Guard::IntentFirst) => {
            step.state = StepState::Acting {
                attempt,
                since: now,
                sent: Some(now),
                look: Look::Later,
            };
        }
        (StepState::Acting { attempt, .. }, Effect::Look { attempt: asked, .. }) if *attempt == asked => {
            looked(step, seen, now, guards);
        }
        (StepState::Acting { attempt, look, .. }, Effect::Act { attempt: asked, .. })
            if *attempt == asked || !guards.hold(Guard::OneToken) =>
        {
            match seen {
                Seen::Refused(why) => step.state = StepState::Failed(why),
                Seen::Unknown if !guards.hold(Guard::AmbiguousIsNoRefusal) => {
                    step.state = StepState::Failed(Failure::new(FailureKind::Refused, "no answer"));
                }
                _ => *look = Look::Later,
            }
        }
        (StepState::Stopping { attempt, .. }, Effect::Look { attempt: asked, .. }) if *attempt == asked => {
            looked_while_stopping(step, &seen, now, guards);
        }
        (StepState::Stopping { look, .. }, Effect::Stop { .. }) => *look = Look::Later,
        (StepState::Undoing { .. }, Effect::LookUndone { .. }) => undo::looked(step, seen, now, guards),
        (StepState::Undoing { .. }, Effect::Undo { .. }) => undo::sent(step, seen, guards),
        _ => {}
    }
}

fn prepared(step: &mut Step, seen: Seen) {
    match seen {
        Seen::Prepared(words) => {
            step.undo = Some(words);
            step.state = StepState::Prepared;
        }
        // Nothing was written yet, so there is nothing to undo.
        Seen::Refused(why) | Seen::Failed(why) => step.state = StepState::Failed(why),
        _ => {}
    }
}

/// What a look at an acting step shows.
fn looked(step: &mut Step, seen: Seen, now: Timestamp, guards: Guards) {
    let StepState::Acting { attempt, look, .. } = &mut step.state else {
        return;
    };
    match seen {
        Seen::Absent => *look = Look::Absent,
        Seen::Going => *look = Look::Going,
        Seen::Unknown if !guards.hold(Guard::UnreadIsNoSuccess) => step.state = StepState::Done,
        Seen::Succeeded(outputs) => {
            step.outputs = outputs;
            step.state = StepState::Done;
        }
        Seen::Failed(why) => {
            let again = why.kind.is_transient() || !guards.hold(Guard::RetryTransientOnly);
            let left = *attempt < step.attempts || !guards.hold(Guard::TriesEnd);
            step.state = if again && left {
                retry(*attempt + 1, now, guards)
            } else {
                StepState::Failed(why)
            };
        }
        _ => *look = Look::Later,
    }
}

fn retry(attempt: u32, now: Timestamp, guards: Guards) -> StepState {
    if !guards.hold(Guard::UndoSavedOnce) {
        return StepState::Pending;
    }
    StepState::Acting {
        attempt,
        since: now,
        sent: None,
        look: Look::Not,
    }
}

/// What a look at a step shows that is to stop. However it ended, it counts as stopped for the reason it was stopped.
fn looked_while_stopping(step: &mut Step, seen: &Seen, now: Timestamp, guards: Guards) {
    let StepState::Stopping { sent, why, look, .. } = &mut step.state else {
        return;
    };
    let settle = SignedDuration::from_secs(SETTLE);
    let settled = sent.is_none_or(|sent| now >= sent.checked_add(settle).unwrap_or(Timestamp::MAX));
    match seen {
        Seen::Succeeded(_) | Seen::Failed(_) => step.state = StepState::Failed(why.clone()),
        Seen::Absent if settled || !guards.hold(Guard::AbsentMaySettle) => {
            step.state = StepState::Failed(why.clone());
        }
        Seen::Going => *look = Look::Going,
        _ => *look = Look::Later,
    }
}
