//! The machine of one promotion. [`next`] takes what is known and what was just seen, and gives what is to be written
//! down and then done: the state always first, the effect after. It never advances on an answer that did not come.
//!
//! Step by step: save what undoes it, announce that it acts, look whether it already does, act under the token of this
//! try, look until it is done. Failing, it goes back the same way, last step first.

use jiff::{SignedDuration, Timestamp};

use super::attempt::PromotionName;
use super::guards::{Guard, Guards};
use super::state::{End, Failure, FailureKind, Look, OnFailure, Phase, Promotion, Step, StepState, Words};
use super::{learn, undo};

/// One thing to do outside. `step` counts from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Read what undoes the step; writes nothing.
    Prepare { step: usize },
    /// Look for the step's effect under this try's token; writes nothing.
    Look { step: usize, attempt: u32 },
    /// Do it, under this try's token.
    Act { step: usize, attempt: u32 },
    /// Stop what runs under this try's token.
    Stop { step: usize, attempt: u32 },
    /// Look whether the step is undone; writes nothing.
    LookUndone { step: usize },
    /// Put back what was saved.
    Undo { step: usize },
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A pass begins: nothing was seen yet.
    Pass,
    Prepared(Words),
    /// A write was taken.
    Accepted,
    /// A write certainly did nothing.
    Refused(Failure),
    /// A write may or may not have happened, or a look could not be had.
    Unknown,
    Absent,
    Going,
    Succeeded(Words),
    Failed(Failure),
    /// What was saved is in place again.
    Undone,
    /// Our effect still shows.
    NotUndone,
    /// Another hand has moved it since.
    TakenByOthers(String),
}

/// What the gate says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Not judged in this pass.
    Unknown,
    Passes,
    Waits,
    Refuses,
}

/// What others want of this promotion now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    pub gate: Gate,
    /// The environment gave it the turn.
    pub turn: bool,
    /// A newer one takes its place.
    pub superseded_by: Option<PromotionName>,
    /// A person wants it to stop.
    pub cancel: bool,
    /// A freeze stops what would act.
    pub frozen: bool,
    /// A freeze, one that does not except rollbacks, stops what would undo.
    pub undo_frozen: bool,
}

/// What is to be written down, and then done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    pub promotion: Promotion,
    /// `None`: nothing more in this pass.
    pub effect: Option<Effect>,
    /// When time alone changes something.
    pub again: Option<Timestamp>,
}

/// One move of a promotion. `seen` answers `effect`, the one that the last move asked for; a pass begins with
/// [`Seen::Pass`] and no effect.
pub fn next(
    promotion: Promotion,
    effect: Option<Effect>,
    seen: Seen,
    orders: &Orders,
    now: Timestamp,
) -> Next {
    next_under(promotion, effect, seen, orders, now, Guards::ALL)
}

pub(super) fn next_under(
    mut promotion: Promotion,
    effect: Option<Effect>,
    seen: Seen,
    orders: &Orders,
    now: Timestamp,
    guards: Guards,
) -> Next {
    if let Phase::Waiting = promotion.phase {
        begin(&mut promotion, orders, guards);
    } else if let Some(by) = &orders.superseded_by
        && promotion.acts()
        && !guards.hold(Guard::SupersedeWaitingOnly)
    {
        promotion.phase = Phase::Ended(End::Superseded(by.clone()));
    }
    match effect {
        None => learn::forget(&mut promotion),
        Some(effect) => learn::learn(&mut promotion, effect, seen, now, guards),
    }
    let effect = match &promotion.phase {
        Phase::Running => forward(&mut promotion, orders, now, guards),
        Phase::Undoing(_) => undo::backward(&mut promotion, orders, now, guards),
        Phase::Waiting | Phase::Ended(_) => None,
    };
    let again = deadline(&promotion);
    Next {
        promotion,
        effect,
        again,
    }
}

/// Whether what waits may begin, or will not.
fn begin(promotion: &mut Promotion, orders: &Orders, guards: Guards) {
    let end = if orders.cancel {
        Some(End::Cancelled)
    } else if let Some(by) = &orders.superseded_by {
        Some(End::Superseded(by.clone()))
    } else if orders.gate == Gate::Refuses {
        Some(End::Refused)
    } else {
        None
    };
    if let Some(end) = end {
        promotion.phase = Phase::Ended(end);
        return;
    }
    let passes = orders.gate == Gate::Passes || !guards.hold(Guard::GateNeeded);
    let turn = orders.turn || !guards.hold(Guard::TurnNeeded);
    if passes && turn {
        promotion.phase = Phase::Running;
    }
}

/// The next thing to do with steps that go forward.
fn forward(promotion: &mut Promotion, orders: &Orders, now: Timestamp, guards: Guards) -> Option<Effect> {
    let cancelled = || Failure::new(FailureKind::Cancelled, "a person cancelled the promotion");
    let cancel = orders.cancel && guards.hold(Guard::CancelStops);
    let Some(at) = promotion
        .steps
        .iter()
        .position(|step| step.state != StepState::Done)
    else {
        promotion.phase = Phase::Ended(End::Succeeded);
        return None;
    };
    let step = &mut promotion.steps[at];
    match &mut step.state {
        StepState::Pending | StepState::Prepared if cancel => {
            return fail(promotion, cancelled(), orders, now, guards);
        }
        StepState::Pending if guards.hold(Guard::UndoSavedFirst) => {
            return Some(Effect::Prepare { step: at });
        }
        StepState::Pending | StepState::Prepared => {
            if orders.frozen && guards.hold(Guard::FreezeStops) {
                return None;
            }
            if !guards.hold(Guard::IntentFirst) {
                return Some(Effect::Act { step: at, attempt: 1 });
            }
            step.state = StepState::Acting {
                attempt: 1,
                since: now,
                sent: None,
                look: Look::Not,
            };
        }
        StepState::Failed(why) => {
            let why = why.clone();
            return fail(promotion, why, orders, now, guards);
        }
        _ => {}
    }
    let step = &mut promotion.steps[at];
    stop_if_due(step, cancel.then(cancelled), now, guards);
    if let StepState::Failed(why) = &step.state {
        let why = why.clone();
        return fail(promotion, why, orders, now, guards);
    }
    act(step, at, orders, now, guards)
}

/// Turns an acting step into a stopping one when a person or the clock says so.
fn stop_if_due(step: &mut Step, cancelled: Option<Failure>, now: Timestamp, guards: Guards) {
    let StepState::Acting {
        attempt,
        since,
        sent,
        look,
    } = &step.state
    else {
        return;
    };
    // What a freeze keeps from being sent does not grow old. What came to its end while nobody looked, or before the
    // clock was set forward, is seen first: success is not thrown away for being read late.
    let late = sent.is_some() && now >= ends(*since, step.timeout) && guards.hold(Guard::TimeoutStops);
    let overdue = late && *look != Look::Not;
    let timed_out = || {
        Failure::new(
            FailureKind::TimedOut,
            format!("it took longer than its timeout of {} s", step.timeout),
        )
    };
    let Some(why) = cancelled.or_else(|| overdue.then(timed_out)) else {
        return;
    };
    step.state = if guards.hold(Guard::StopBeforeUndo) {
        StepState::Stopping {
            attempt: *attempt,
            sent: *sent,
            why,
            look: if *look == Look::Going {
                Look::Going
            } else {
                Look::Not
            },
        }
    } else {
        StepState::Failed(why)
    };
}

/// Looks, acts or stops.
fn act(step: &mut Step, at: usize, orders: &Orders, now: Timestamp, guards: Guards) -> Option<Effect> {
    match &mut step.state {
        StepState::Acting {
            attempt,
            since,
            sent,
            look,
        } => match look {
            Look::Not if guards.hold(Guard::LookFirst) || sent.is_none() => Some(Effect::Look {
                step: at,
                attempt: *attempt,
            }),
            Look::Not | Look::Absent => {
                if orders.frozen && guards.hold(Guard::FreezeStops) {
                    return None;
                }
                if !guards.hold(Guard::OneToken) && sent.is_some() {
                    *attempt += 1;
                }
                if sent.is_none() {
                    *since = now;
                }
                *sent = Some(now);
                Some(Effect::Act {
                    step: at,
                    attempt: *attempt,
                })
            }
            Look::Going | Look::Later => None,
        },
        StepState::Stopping { attempt, look, .. } => match look {
            Look::Not => Some(Effect::Look {
                step: at,
                attempt: *attempt,
            }),
            Look::Going => Some(Effect::Stop {
                step: at,
                attempt: *attempt,
            }),
            Look::Absent | Look::Later => None,
        },
        _ => None,
    }
}

/// A step failed: everything goes back, or stays as it is for a person to look at.
fn fail(
    promotion: &mut Promotion,
    why: Failure,
    orders: &Orders,
    now: Timestamp,
    guards: Guards,
) -> Option<Effect> {
    match promotion.on_failure {
        OnFailure::Rollback => {
            promotion.phase = Phase::Undoing(why);
            undo::backward(promotion, orders, now, guards)
        }
        OnFailure::Hold => {
            let left = undo::left(promotion, guards);
            promotion.phase = Phase::Ended(End::Failed { why, left });
            None
        }
    }
}

pub(super) fn ends(since: Timestamp, seconds: u64) -> Timestamp {
    let length = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    since.checked_add(length).unwrap_or(Timestamp::MAX)
}

/// When time alone changes something: a step's limit.
fn deadline(promotion: &Promotion) -> Option<Timestamp> {
    promotion
        .steps
        .iter()
        .filter_map(|step| match &step.state {
            StepState::Acting {
                since, sent: Some(_), ..
            }
            | StepState::Undoing {
                since: Some(since), ..
            } => Some(ends(*since, step.timeout)),
            _ => None,
        })
        .min()
}
