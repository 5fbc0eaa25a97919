//! Writes what was planned, and nothing else. The intent is journalled and recorded first; then each write; then
//! what is held from now on. Killed anywhere in between, the next pass finds the intent and looks.

mod confirm;
mod entries;
mod intents;
mod leaving;

use kube::ResourceExt;
use lockstep_core::api::access_binding::Intent;
use lockstep_core::api::{AccessBinding, FINALIZER};
use lockstep_core::domain::access::decide::{pin_of, written};
use lockstep_core::domain::access::diff::Phase;
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::access::pins;
use lockstep_core::domain::access::trust::{self, Through, through_now};
use lockstep_core::domain::plan::{Change, EffectDigest, Plan};
use lockstep_core::domain::ports::{
    Applied, Entry, EntryId, Event, JournalState, KeepError, ObjectKey, SystemError,
};

use super::super::Context;
use super::plan::Planned;
use super::{Controller, Gathered, key};
use confirm::confirm_twice;
use entries::{entry, moved, note_bookkeeping};
use intents::Intents;
use leaving::finish_deletion;

/// What a pass came to.
pub struct Outcome {
    pub planned: Planned,
    /// What is held now.
    pub inventory: Inventory,
    /// Whether this pass was allowed to write.
    pub enforced: bool,
    /// Lines of what was written.
    pub written: Vec<String>,
    pub failed: Vec<(String, SystemError)>,
    /// Journal, record or finalizer could not be written: nothing was begun, or the outcome is looked up next time.
    pub kept: Result<(), KeepError>,
    /// The finalizer is gone, or going with this pass.
    pub released: bool,
}

impl Outcome {
    /// A pass that only looks.
    pub fn observed(planned: Planned) -> Self {
        let inventory = planned.decision.inventory.clone();
        Self {
            planned,
            inventory,
            enforced: false,
            written: Vec::new(),
            failed: Vec::new(),
            kept: Ok(()),
            released: false,
        }
    }
}

/// Applies a plan as far as it may be applied now.
pub async fn apply(
    controller: &Controller,
    binding: &AccessBinding,
    gathered: &Gathered,
    planned: Planned,
    context: &Context,
) -> Outcome {
    let inventory = planned.decision.inventory.clone();
    let mut outcome = Outcome {
        planned,
        inventory,
        enforced: true,
        written: Vec::new(),
        failed: Vec::new(),
        kept: Ok(()),
        released: false,
    };
    outcome.kept = run(controller, binding, gathered, &mut outcome, context).await;
    outcome
}

async fn run(
    controller: &Controller,
    binding: &AccessBinding,
    gathered: &Gathered,
    outcome: &mut Outcome,
    context: &Context,
) -> Result<(), KeepError> {
    if gathered.blind {
        // What cannot be remembered now must not be written over.
        return Ok(());
    }
    let object = key(binding);
    let before = journalled(binding);
    let deleting = gathered.question.phase == Phase::Deleting;
    confirm_twice(controller, gathered, outcome);
    let intents = Intents::of(gathered, &outcome.planned, context.clock.now());
    let mut state = JournalState {
        inventory: outcome.inventory.write(),
        intents: intents.free(),
        pins: outcome.planned.decision.pins.clone(),
        through: through(binding, gathered, outcome, &intents.all()),
    };
    let has_finalizer = binding
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER);
    let holds = !outcome.inventory.is_empty() || !outcome.planned.decision.plan.changes.is_empty();
    if before.as_ref() != Some(&state) && (holds || before.is_some()) {
        context.journal.write(&object, &state).await?;
    }
    if holds && !has_finalizer && !deleting {
        context.cluster.add_finalizer(&object, FINALIZER).await?;
    }
    note_bookkeeping(
        &object,
        &gathered.question.me.inventory,
        &outcome.planned.decision,
        context,
    )
    .await?;
    if !outcome.planned.decision.plan.changes.is_empty() {
        let entry = use_approval(&object, outcome, context).await?;
        if entry.is_some() {
            // Only now: an intent that was journalled is carried out after a crash without asking again.
            state.intents = intents.all();
            context.journal.write(&object, &state).await?;
        }
        write_all(&object, gathered, outcome, entry, context).await?;
        state.inventory = outcome.inventory.write();
        state.pins.clone_from(&outcome.planned.decision.pins);
        state.intents = intents.left(before.as_ref(), &outcome.failed);
        state.through = through(binding, gathered, outcome, &state.intents);
        context.journal.write(&object, &state).await?;
    }
    if deleting {
        finish_deletion(&object, gathered, outcome, &mut state, context).await?;
    }
    Ok(())
}

fn journalled(binding: &AccessBinding) -> Option<JournalState> {
    let status = binding.status.as_ref()?;
    Some(JournalState {
        inventory: status.inventory.clone()?,
        intents: status.intents.clone().unwrap_or_default(),
        pins: pins::read(status.pins.as_deref().unwrap_or_default()),
        through: trust::read(status.through.as_deref().unwrap_or_default()),
    })
}

/// Through which connections everything is held that is held, or may be once it is known what became of it.
fn through(binding: &AccessBinding, gathered: &Gathered, outcome: &Outcome, intents: &[Intent]) -> Through {
    let before = binding
        .status
        .as_ref()
        .and_then(|status| status.through.as_deref());
    let begun = intents
        .iter()
        .filter_map(|intent| intent.target.parse::<Target>().ok());
    let held = outcome.inventory.targets().into_iter().chain(begun);
    let systems = held.map(|target| target.system()).collect();
    through_now(
        &trust::read(before.unwrap_or_default()),
        &gathered.ways,
        &gathered.beyond,
        &systems,
    )
}

/// Uses the approval that released this plan, once, before anything it released is begun.
async fn use_approval(
    object: &ObjectKey,
    outcome: &Outcome,
    context: &Context,
) -> Result<Option<EntryId>, KeepError> {
    let Some((approval, digest)) = &outcome.planned.approval else {
        return Ok(None);
    };
    let said = Entry {
        actor: approval.spec.approver.clone(),
        changes: outcome.planned.decision.plan.changes.clone(),
        digest: Some(digest.clone()),
        note: format!("PlanApproval {}: {}", approval.name_any(), approval.spec.reason),
        ..entry(object, Event::Approved, context)
    };
    let id = context.record.append(said).await?;
    context
        .cluster
        .use_approval(approval, &id, context.clock.now())
        .await?;
    Ok(Some(id))
}

async fn write_all(
    object: &ObjectKey,
    gathered: &Gathered,
    outcome: &mut Outcome,
    approved: Option<EntryId>,
    context: &Context,
) -> Result<(), KeepError> {
    let plan = outcome.planned.decision.plan.clone();
    let begun = Entry {
        changes: plan.changes.clone(),
        digest: Some(EffectDigest::of(&plan.changes)),
        note: approved.map_or(String::new(), |id| format!("approved by entry {}", id.0)),
        ..entry(object, Event::Intent, context)
    };
    context.record.append(begun).await?;
    for unit in plan.units() {
        let Some(first) = unit.first() else { continue };
        let Some(system) = gathered.systems.get(&first.target.system()) else {
            continue;
        };
        let changes: Vec<Change> = unit.iter().map(|change| (*change).clone()).collect();
        let digest = Some(EffectDigest::of(&changes));
        match system.apply(&unit).await {
            Ok(applied) => {
                let held = outcome.inventory.clone();
                keep(outcome, &changes, &applied, context);
                let (gained, gave_up) = moved(&held, &outcome.inventory);
                outcome.written.extend(
                    Plan {
                        changes: changes.clone(),
                        ..Plan::default()
                    }
                    .lines(),
                );
                let done = Entry {
                    changes,
                    digest,
                    gained,
                    gave_up,
                    ..entry(object, Event::Succeeded, context)
                };
                context.record.append(done).await?;
            }
            Err(error) => {
                let note = error.to_string();
                outcome.failed.push((first.target.write_unit(), error));
                let failed = Entry {
                    changes,
                    digest,
                    note,
                    ..entry(object, Event::Failed, context)
                };
                context.record.append(failed).await?;
            }
        }
    }
    Ok(())
}

fn keep(outcome: &mut Outcome, changes: &[Change], applied: &[Applied], context: &Context) {
    let now = context.clock.now();
    for change in changes {
        let at = applied
            .iter()
            .find(|done| done.planned == change.target)
            .map_or(&change.target, |done| &done.target);
        let authoritative = outcome.planned.decision.authoritative.contains(&change.target);
        outcome.planned.decision.pins.extend(pin_of(&change.target, at));
        written(&mut outcome.inventory, change, at, authoritative, now);
    }
}
