//! How a failed promotion goes back: the last step first, each put back from what it saved, each seen to be back. What
//! cannot be put back is named, and the rest goes back all the same.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::attempt::StepName;
use super::guards::{Guard, Guards};
use super::state::{End, Look, OnFailure, Phase, Promotion, Step, StepState};
use super::steps::{Effect, Orders, Seen, ends};

/// The next thing to do with steps that go back.
pub(super) fn backward(
    promotion: &mut Promotion,
    orders: &Orders,
    now: Timestamp,
    guards: Guards,
) -> Option<Effect> {
    let due = |step: &Step| shows(step, guards) || matches!(step.state, StepState::Undoing { .. });
    let at = if guards.hold(Guard::UndoInReverse) {
        promotion.steps.iter().rposition(due)
    } else {
        promotion.steps.iter().position(due)
    };
    let Some(at) = at else {
        end(promotion, guards);
        return None;
    };
    let step = &mut promotion.steps[at];
    if !matches!(step.state, StepState::Undoing { .. }) {
        if step.undo.is_none() {
            step.state = StepState::NotUndone("nothing was saved to undo it from".into());
            return backward(promotion, orders, now, guards);
        }
        step.state = StepState::Undoing {
            since: None,
            look: Look::Not,
        };
    }
    let StepState::Undoing { since, look } = &mut step.state else {
        return None;
    };
    match look {
        Look::Not => Some(Effect::LookUndone { step: at }),
        Look::Going if orders.undo_frozen && guards.hold(Guard::FreezeStopsUndo) => None,
        Look::Going => {
            since.get_or_insert(now);
            Some(Effect::Undo { step: at })
        }
        Look::Absent | Look::Later => None,
    }
}

/// Whether a step may show outside and was not taken back yet. One that failed while it was only prepared saved
/// nothing and did nothing.
fn shows(step: &Step, guards: Guards) -> bool {
    match &step.state {
        StepState::Done => true,
        StepState::Failed(_) => step.undo.is_some() && guards.hold(Guard::UndoWhatFailed),
        StepState::Acting { .. } | StepState::Stopping { .. } => true,
        StepState::Pending
        | StepState::Prepared
        | StepState::Undoing { .. }
        | StepState::Undone
        | StepState::NotUndone(_) => false,
    }
}

/// What a look at a step that is taken back shows.
pub(super) fn looked(step: &mut Step, seen: Seen, now: Timestamp, guards: Guards) {
    let StepState::Undoing { since, look } = &mut step.state else {
        return;
    };
    match seen {
        Seen::Undone => step.state = StepState::Undone,
        Seen::TakenByOthers(who) if guards.hold(Guard::OthersWin) => {
            step.state = StepState::NotUndone(who);
        }
        Seen::Failed(why) | Seen::Refused(why) => step.state = StepState::NotUndone(why.message),
        Seen::NotUndone | Seen::TakenByOthers(_)
            if since.is_some_and(|since| now >= ends(since, step.timeout)) =>
        {
            step.state = StepState::NotUndone(format!("it was not seen undone within {} s", step.timeout));
        }
        Seen::NotUndone | Seen::TakenByOthers(_) => *look = Look::Going,
        _ => *look = Look::Later,
    }
}

/// What came of putting a step back.
pub(super) fn sent(step: &mut Step, seen: Seen, guards: Guards) {
    let StepState::Undoing { look, .. } = &mut step.state else {
        return;
    };
    match seen {
        Seen::Refused(why) | Seen::Failed(why) => step.state = StepState::NotUndone(why.message),
        Seen::TakenByOthers(who) => step.state = StepState::NotUndone(who),
        _ if !guards.hold(Guard::UndoIsSeen) => step.state = StepState::Undone,
        _ => *look = Look::Later,
    }
}

fn end(promotion: &mut Promotion, guards: Guards) {
    if let Phase::Undoing(why) = &promotion.phase {
        let why = why.clone();
        let left = left(promotion, guards);
        promotion.phase = Phase::Ended(End::Failed { why, left });
    }
}

/// Every step that still shows, and why.
pub(super) fn left(promotion: &Promotion, guards: Guards) -> BTreeMap<StepName, String> {
    if !guards.hold(Guard::LeftIsSaid) {
        return BTreeMap::new();
    }
    promotion
        .steps
        .iter()
        .filter_map(|step| {
            let why = match &step.state {
                StepState::NotUndone(why) => why.clone(),
                _ if promotion.on_failure == OnFailure::Hold && shows(step, guards) => {
                    "onFailure: Hold leaves it as it is".to_owned()
                }
                _ => return None,
            };
            Some((step.name.clone(), why))
        })
        .collect()
}
