//! What apply says to the record.

use lockstep_core::api::access_binding::{InventoryRow, Origin};
use lockstep_core::domain::access::decide::Decision;
use lockstep_core::domain::access::inventory::{Held, Inventory};
use lockstep_core::domain::plan::{Change, EffectDigest};
use lockstep_core::domain::ports::{Entry, Event, KeepError, ObjectKey};

use super::super::super::Context;

/// Rights that came to be held, or were found gone, without a write of this pass.
pub(super) async fn note_bookkeeping(
    object: &ObjectKey,
    decision: &Decision,
    context: &Context,
) -> Result<(), KeepError> {
    for (event, grants) in [
        (Event::Adopted, &decision.adopted),
        (Event::Recovered, &decision.recovered),
        (Event::Lost, &decision.lost),
    ] {
        if grants.is_empty() {
            continue;
        }
        let mut rows = Inventory::default();
        for grant in grants {
            let held = decision.inventory.rows.get(grant).copied();
            let gone = Held {
                origin: Origin::Created,
                since: context.clock.now(),
                confirming: None,
            };
            rows.rows.insert(grant.clone(), held.unwrap_or(gone));
        }
        let (gained, gave_up) = if event == Event::Lost {
            (Vec::new(), rows.write())
        } else {
            (rows.write(), Vec::new())
        };
        let entry = entry(
            object,
            event,
            Vec::new(),
            None,
            gained,
            gave_up,
            String::new(),
            context,
        );
        context.record.append(entry).await?;
    }
    Ok(())
}

/// What one inventory holds beyond the other, both ways.
pub(super) fn moved(before: &Inventory, after: &Inventory) -> (Vec<InventoryRow>, Vec<InventoryRow>) {
    let beyond = |a: &Inventory, b: &Inventory| {
        let mut rest = a.clone();
        rest.rows.retain(|grant, _| !b.rows.contains_key(grant));
        rest.groups.retain(|target, _| !b.groups.contains_key(target));
        rest.authoritative
            .retain(|target| rest.groups.contains_key(target));
        rest.write()
    };
    (beyond(after, before), beyond(before, after))
}

#[allow(clippy::too_many_arguments)]
pub(super) fn entry(
    object: &ObjectKey,
    event: Event,
    changes: Vec<Change>,
    digest: Option<EffectDigest>,
    gained: Vec<InventoryRow>,
    gave_up: Vec<InventoryRow>,
    note: String,
    context: &Context,
) -> Entry {
    Entry {
        time: context.clock.now(),
        actor: context.actor.clone(),
        object: object.clone(),
        event,
        changes,
        digest,
        gained,
        gave_up,
        note,
    }
}
