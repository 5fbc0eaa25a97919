//! What the record is told of a promotion: each intent before its effect, each end, and of a success everything that a
//! way back needs.

use lockstep_core::api::Promotion;
use lockstep_core::domain::ports::Event;
use lockstep_core::domain::promotion::gate::finding::Verdict;
use lockstep_core::domain::promotion::machine::attempt::StepName;
use lockstep_core::domain::promotion::machine::kept::Kept;
use lockstep_core::domain::promotion::machine::ready::Course;
use lockstep_core::domain::promotion::machine::rollback::{Recorded, RecordedStep, StepKind};
use lockstep_core::domain::promotion::machine::state::{End, StepState, Words};
use lockstep_core::domain::promotion::machine::steps::Effect;
use lockstep_core::domain::promotion::ports::deployments::words;
use lockstep_core::domain::promotion::proof::fact::{PolicyId, PromotionFact, StepFact};

/// One entry: what happened, in words and as a fact. `None`: this move is worth none.
pub(super) fn entry(
    promotion: &Promotion,
    kept: &Kept,
    course: Option<&Course>,
    verdict: Option<&Verdict>,
    effect: Option<Effect>,
) -> Option<(Event, String, PromotionFact)> {
    let machine = &kept.promotion;
    let policy = PolicyId {
        name: promotion.spec.policy_ref.name.clone(),
        uid: machine.subject.policy_uid.clone(),
    };
    let mut fact = PromotionFact::about(policy, machine.subject.environment.clone());
    fact.change = Some(machine.subject.change);
    fact.revision = Some(machine.subject.revision.clone());
    if let Some(end) = machine.ended() {
        fact.verdict = verdict.cloned();
        fact.ended = Some(end.clone());
        if !end.without_effect() {
            fact.recorded = course.map(|course| recorded(kept, course));
        }
        let (event, note) = ended(end);
        return Some((event, note, fact));
    }
    let (step, note) = match effect? {
        // An act is announced when it is first looked for: from then on it may be sent.
        Effect::Look { step, attempt } => {
            let state = machine.steps.get(step)?;
            fact.verdict = verdict.cloned();
            fact.step = Some(StepFact {
                name: state.name.clone(),
                attempt,
                token: machine.subject.token(&state.name, attempt),
            });
            (step, format!("acts, try {attempt}"))
        }
        Effect::Stop { step, .. } => (step, "is stopped".to_owned()),
        Effect::LookUndone { step } | Effect::Undo { step } => (step, "is undone".to_owned()),
        Effect::Prepare { .. } | Effect::Act { .. } => return None,
    };
    let name = &machine.steps.get(step)?.name;
    Some((Event::Intent, format!("step {name} {note}"), fact))
}

fn ended(end: &End) -> (Event, String) {
    match end {
        End::Succeeded => (Event::Succeeded, "succeeded".to_owned()),
        End::Failed { why, left } if left.is_empty() => (
            Event::Failed,
            format!("failed, everything undone: {}", why.message),
        ),
        End::Failed { why, left } => {
            let left: Vec<String> = left.iter().map(|(step, why)| format!("{step}: {why}")).collect();
            let left = left.join("; ");
            (
                Event::Failed,
                format!("failed: {}; still in place: {left}", why.message),
            )
        }
        End::Refused => (Event::Failed, "refused by the gate".to_owned()),
        End::Superseded(by) => (Event::Failed, format!("superseded by {by}")),
        End::Cancelled => (Event::Failed, "cancelled before it began".to_owned()),
    }
}

/// What it left behind: of a success as a later rollback needs it, of a failure what still shows. A step that was taken
/// back has left nothing.
fn recorded(kept: &Kept, course: &Course) -> Recorded {
    let machine = &kept.promotion;
    let succeeded = machine.ended() == Some(&End::Succeeded);
    let outputs = kept.outputs();
    let left = |name: &StepName| {
        let step = machine.steps.iter().find(|step| step.name == *name);
        match step.map(|step| (&step.state, step)) {
            None | Some((StepState::Done, _)) => outputs.get(name).cloned(),
            Some((StepState::Pending | StepState::Prepared, _)) => None,
            Some((StepState::Undone, _)) => Some(Words::new()),
            // Whether it did anything is unknown; where is not.
            Some((
                StepState::Failed(_)
                | StepState::NotUndone(_)
                | StepState::Acting { .. }
                | StepState::Stopping { .. }
                | StepState::Undoing { .. },
                step,
            )) => Some(if step.outputs.is_empty() {
                place(step.undo.as_ref())
            } else {
                step.outputs.clone()
            }),
        }
    };
    let steps = course.recipe.steps.iter().filter_map(|step| {
        Some(RecordedStep {
            name: step.name.clone(),
            kind: step.action.kind(),
            on_rollback: step.action.on_rollback(),
            outputs: left(&step.name)?,
        })
    });
    let steps: Vec<RecordedStep> = steps.collect();
    let files = steps.iter().filter(|step| step.kind == StepKind::Files);
    let directory = files
        .filter_map(|step| step.outputs.get(words::DIRECTORY))
        .next_back();
    Recorded {
        promotion: machine.name.clone(),
        policy_uid: machine.subject.policy_uid.clone(),
        environment: machine.subject.environment.clone(),
        change: machine.subject.change,
        revision: machine.subject.revision.clone(),
        ended: kept.ended.unwrap_or_default(),
        succeeded,
        directory: directory.cloned(),
        steps,
    }
}

/// Where a step acts, of all that was saved before it did.
fn place(undo: Option<&Words>) -> Words {
    let saved = undo.into_iter().flatten();
    let place = saved.filter(|(word, _)| [words::DIRECTORY, words::ADDRESS].contains(&word.as_str()));
    place.map(|(word, value)| (word.clone(), value.clone())).collect()
}
