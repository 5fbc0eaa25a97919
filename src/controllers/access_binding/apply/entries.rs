//! What apply says to the record.

use std::collections::BTreeMap;

use lockstep_core::api::access_binding::{InventoryRow, Origin};
use lockstep_core::domain::access::decide::Decision;
use lockstep_core::domain::access::inventory::{Held, Inventory};
use lockstep_core::domain::ports::{Entry, Event, KeepError, ObjectKey};

use super::super::super::Context;

/// Rights and groups that came to be held, or were found gone, without a write of this pass.
pub(super) async fn note_bookkeeping(
    object: &ObjectKey,
    before: &Inventory,
    decision: &Decision,
    context: &Context,
) -> Result<(), KeepError> {
    let only_groups = |inventory: &Inventory| Inventory {
        rows: BTreeMap::new(),
        ..inventory.clone()
    };
    let (came, went) = moved(&only_groups(before), &only_groups(&decision.inventory));
    let (recovered, adopted): (Vec<_>, Vec<_>) =
        came.into_iter().partition(|row| row.origin == Origin::Created);
    for (event, grants, groups) in [
        (Event::Adopted, &decision.adopted, adopted),
        (Event::Recovered, &decision.recovered, recovered),
        (Event::Lost, &decision.lost, went),
    ] {
        if grants.is_empty() && groups.is_empty() {
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
        let rows: Vec<_> = rows.write().into_iter().chain(groups).collect();
        let (gained, gave_up) = if event == Event::Lost {
            (Vec::new(), rows)
        } else {
            (rows, Vec::new())
        };
        let noted = Entry {
            gained,
            gave_up,
            ..entry(object, event, context)
        };
        context.record.append(noted).await?;
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

/// An entry of this pass that says no more than what happened.
pub(super) fn entry(object: &ObjectKey, event: Event, context: &Context) -> Entry {
    Entry {
        time: context.clock.now(),
        actor: context.actor.clone(),
        object: object.clone(),
        event,
        changes: Vec::new(),
        digest: None,
        gained: Vec::new(),
        gave_up: Vec::new(),
        promotion: None,
        credential: None,
        note: String::new(),
    }
}
