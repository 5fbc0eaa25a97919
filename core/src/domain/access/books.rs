//! The books: what is held, kept in step with what was found and what was written.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::claims::{Claimant, Extent, TargetClaims, World};
use super::decide::{Decision, Question};
use super::diff::{Difference, Phase, same_slot};
use super::grant::{Grant, Principal, Right, System, Target};
use super::inventory::{Held, Inventory};
use super::observed::{Named, Observed};
use super::people::{Resolved, is_person};
use super::pins::Pin;
use crate::api::access_binding::Origin;
use crate::domain::plan::{Change, ForeignRight};
use crate::domain::ports::ConnectionKind;

/// Databricks lists groups by name, so a group that was renamed by hand takes its rows along. One that is declared
/// gets its name back; of one that is not, what we gave is found under the new name.
pub(super) fn follow_renames(me: &mut Claimant, world: &World) {
    for pin in &me.pins {
        let Some(old) = pin.name.strip_prefix("group/") else {
            continue;
        };
        let declared = me
            .declared
            .groups
            .iter()
            .any(|group| group.properties.name == old);
        let target = pin.means.parse().ok();
        let observed = target.and_then(|target: Target| world.observed.get(&target));
        let Some(group) = observed.and_then(|observed| observed.group.as_ref()) else {
            continue;
        };
        if declared || group.name == old {
            continue;
        }
        let old = Principal::group(old, old);
        let moved: Vec<Grant> = me
            .inventory
            .rows
            .keys()
            .filter(|grant| {
                grant.principal == old && grant.target.system().kind() == ConnectionKind::Databricks
            })
            .cloned()
            .collect();
        for grant in moved {
            if let Some(held) = me.inventory.rows.remove(&grant) {
                let principal = Principal::group(&group.name, &group.name);
                me.inventory.rows.insert(Grant { principal, ..grant }, held);
            }
        }
    }
}

/// Keeps what is held in step with what was found: adopted, seen, gone.
pub(super) fn keep_books(
    decision: &mut Decision,
    target: &Target,
    claimed: &TargetClaims,
    found: &Difference,
    question: &Question,
    observed: &Observed,
    now: Timestamp,
) {
    let Difference {
        change,
        adopt,
        forget,
        seen,
        pending,
        unconfirmed,
        gone,
        foreign,
        drift,
    } = found;
    let held_anew = |origin| Held {
        origin,
        since: now,
        confirming: None,
    };
    let created = |held: &Held| held.origin == Origin::Created;
    let grant = |right: &Right| Grant::of(target, right);
    let inventory = &mut decision.inventory;
    // What another binding gave, or what took the place of something we gave, is no stranger's gift.
    let given = |grant: &Grant| {
        let mut others = question.others.iter();
        others.any(|other| other.inventory.rows.get(grant).is_some_and(created))
    };
    for right in adopt {
        let instead = inventory
            .on(target)
            .any(|(old, held)| created(&held) && same_slot(&old, right));
        let origin = if instead || given(&grant(right)) {
            Origin::Created
        } else {
            Origin::Adopted
        };
        inventory.rows.insert(grant(right), held_anew(origin));
        decision.adopted.push(grant(right));
    }
    for (right, _) in claimed.rights.iter().filter(|(_, claimed)| claimed.mine) {
        if let Some(held) = inventory.rows.get_mut(&grant(right))
            && given(&grant(right))
        {
            held.origin = Origin::Created;
        }
    }
    if claimed.declares_group && observed.present {
        let mut others = question.others.iter();
        let given = others.any(|other| other.inventory.groups.get(target).is_some_and(created));
        let origin = if given { Origin::Created } else { Origin::Adopted };
        let held = inventory
            .groups
            .entry(target.clone())
            .or_insert_with(|| held_anew(origin));
        if given {
            held.origin = Origin::Created;
        }
    }
    for right in forget {
        decision.lost.push(grant(right));
        inventory.rows.remove(&grant(right));
    }
    for right in seen {
        if let Some(held) = inventory.rows.get_mut(&grant(right)) {
            held.confirming = None;
        }
    }
    if let Some(held) = inventory.groups.get_mut(target)
        && observed.present
        && held.confirming.is_some_and(|written| observed.taken >= written)
    {
        held.confirming = None;
    }
    for right in pending {
        if let Some(since) = inventory.rows.get(&grant(right)).and_then(|held| held.confirming) {
            let entry = decision.pending.entry(target.clone()).or_insert(since);
            *entry = (*entry).max(since);
        }
    }
    if claimed.extent == Extent::All {
        if observed.present && change.remove.is_empty() {
            inventory.authoritative.insert(target.clone());
        }
    } else if claimed.declares_group && question.phase == Phase::Living && !question.inventory_lost {
        // Shared again: taking it over anew asks anew.
        inventory.authoritative.remove(target);
    }
    if *gone && change.create.is_none() {
        inventory.forget(target);
    }
    // A group that is neither declared nor ours to delete is let go once we took back what we gave there.
    let owes = claimed.group_awaited || inventory.on(target).any(|(_, held)| created(&held));
    if !claimed.declares_group && change.is_empty() && !owes {
        inventory.groups.remove(target);
        inventory.authoritative.remove(target);
    }
    decision.unconfirmed.extend(
        unconfirmed
            .iter()
            .map(|(who, what)| format!("{}: {} {what}", claimed.label, who.name)),
    );
    decision.drift.extend(drift.iter().cloned());
    decision
        .plan
        .foreign
        .extend(foreign.iter().map(|(principal, privilege)| ForeignRight {
            target: target.clone(),
            label: claimed.label.clone(),
            principal: principal.clone(),
            privilege: privilege.clone(),
        }));
}

/// What names meant stays known for as long as it may matter: while the name is declared, while what it meant is
/// held, and while nobody could be asked.
pub(super) fn pins(
    mut found: Vec<Pin>,
    resolved: &BTreeMap<System, Resolved>,
    inventory: &Inventory,
    question: &Question,
) -> Vec<Pin> {
    let Question { me, world, .. } = question;
    let targets = inventory.targets();
    let held: BTreeSet<String> = targets.iter().map(ToString::to_string).collect();
    let groups = me.declared.groups.iter().map(|group| &group.named);
    let rights = me.declared.rights.iter().map(|right| &right.on);
    let declared: BTreeSet<(String, String)> = groups
        .chain(rights)
        .chain(&me.declared.frozen)
        .filter_map(|named| Some((named.system().to_string(), named.pin_name()?)))
        .collect();
    let asked: BTreeSet<String> = resolved.keys().map(ToString::to_string).collect();
    let busy: BTreeSet<String> = targets.iter().map(|target| target.system().to_string()).collect();
    let frozen: BTreeSet<String> = world.frozen.iter().map(ToString::to_string).collect();
    for pin in &me.pins {
        let anew = found
            .iter()
            .any(|new| new.system == pin.system && new.name == pin.name);
        let unread = world.failures.contains_key(&pin.system) || frozen.contains(&pin.system);
        let matters = if is_person(&pin.name) {
            !asked.contains(&pin.system) && busy.contains(&pin.system)
        } else {
            held.contains(&pin.means) || declared.contains(&(pin.system.clone(), pin.name.clone()))
        };
        if !anew && (unread || matters) {
            found.push(pin.clone());
        }
    }
    found.sort();
    found.dedup();
    found
}

/// What the name of a group means from the moment it was made: before anybody has listed it, it may be renamed.
pub fn pin_of(planned: &Target, made: &Target) -> Option<Pin> {
    let Target::NewGroup { system, name } = planned else {
        return None;
    };
    let named = Named::Group {
        system: system.clone(),
        name: name.clone(),
    };
    Some(Pin {
        system: system.to_string(),
        name: named.pin_name()?,
        means: made.to_string(),
    })
}

/// What is held once a change was written.
pub fn written(inventory: &mut Inventory, change: &Change, at: &Target, authoritative: bool, now: Timestamp) {
    let Change {
        target,
        create,
        describe: _,
        add,
        remove,
        delete,
        label: _,
    } = change;
    inventory.readdress(target, at);
    if *delete {
        inventory.forget(at);
        return;
    }
    let confirming = Some(now);
    if create.is_some() {
        let held = Held {
            origin: Origin::Created,
            since: now,
            confirming,
        };
        inventory.groups.insert(at.clone(), held);
    }
    if authoritative {
        inventory.authoritative.insert(at.clone());
    }
    for right in remove {
        inventory.rows.remove(&Grant::of(at, right));
    }
    for right in add {
        // Also what was adopted once: it was gone, so it is our gift now.
        let held = Held {
            origin: Origin::Created,
            since: now,
            confirming,
        };
        inventory.rows.insert(Grant::of(at, right), held);
    }
}
