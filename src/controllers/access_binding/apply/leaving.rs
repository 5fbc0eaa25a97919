//! The end of a binding: its finalizer goes when nothing is owed any more, or when a person accepts what is left behind.

use kube::ResourceExt;
use lockstep_core::api::FINALIZER;
use lockstep_core::api::access_binding::{Intent, InventoryRow, Origin};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::ports::{Entry, Event, JournalState, KeepError, ObjectKey};

use super::super::super::Context;
use super::super::Gathered;
use super::super::plan::Abandon;
use super::Outcome;
use super::entries::{entry, moved};

pub(super) async fn finish_deletion(
    object: &ObjectKey,
    gathered: &Gathered,
    outcome: &mut Outcome,
    state: &mut JournalState,
    context: &Context,
) -> Result<(), KeepError> {
    if let Some(Abandon {
        changes,
        digest,
        approval: Some(approval),
        refused: _,
    }) = &outcome.planned.abandon
    {
        let held = outcome.inventory.clone();
        for change in changes {
            outcome.inventory.forget(&change.target);
        }
        let (_, gave_up) = moved(&held, &outcome.inventory);
        let note = format!(
            "left behind: PlanApproval {}: {}",
            approval.name_any(),
            approval.spec.reason
        );
        let left = Entry {
            actor: approval.spec.approver.clone(),
            changes: changes.clone(),
            digest: Some(digest.clone()),
            ..abandoned(object, gave_up, &note, context)
        };
        let id = context.record.append(left).await?;
        context
            .cluster
            .use_approval(approval, &id, context.clock.now())
            .await?;
        state.inventory = outcome.inventory.write();
        let lost = |intent: &Intent| {
            intent
                .target
                .parse()
                .is_ok_and(|target| gathered.is_lost(&target))
        };
        state.intents.retain(|intent| !lost(intent));
        context.journal.write(object, state).await?;
    }
    if gathered.question.orphan && !outcome.inventory.is_empty() {
        let note = "onDelete: Orphan leaves everything behind";
        let left = abandoned(object, outcome.inventory.write(), note, context);
        context.record.append(left).await?;
        outcome.inventory = Inventory::default();
    }
    // What was adopted stays where it is and needs nobody any more.
    let owed = outcome
        .inventory
        .rows
        .values()
        .chain(outcome.inventory.groups.values());
    let owes = owed.filter(|held| held.origin == Origin::Created).count() > 0;
    let waits = !outcome.planned.decision.plan.blocked.is_empty()
        || !outcome.failed.is_empty()
        || !(state.intents.is_empty() || gathered.question.orphan);
    let blind = gathered.question.inventory_lost && !gathered.errors.is_empty();
    if !owes && !waits && !blind {
        if gathered.question.inventory_lost {
            let note = "status and record were lost: what was given is not known, and stays";
            let left = abandoned(object, Vec::new(), note, context);
            context.record.append(left).await?;
        }
        if !outcome.inventory.is_empty() {
            // Else it would belong to the next object of this name, which could take it away.
            let note = "what was there before stays";
            let left = abandoned(object, outcome.inventory.write(), note, context);
            context.record.append(left).await?;
        }
        context.cluster.remove_finalizer(object, FINALIZER).await?;
        outcome.released = true;
    }
    Ok(())
}

/// The entry that rows are left behind on purpose.
fn abandoned(object: &ObjectKey, rows: Vec<InventoryRow>, note: &str, context: &Context) -> Entry {
    Entry {
        gave_up: rows,
        note: note.to_owned(),
        ..entry(object, Event::Abandoned, context)
    }
}
