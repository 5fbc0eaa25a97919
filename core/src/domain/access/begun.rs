//! Writes that were begun: what is noted before each, and what a crash before its end leaves to be found.

use jiff::Timestamp;

use super::books::written;
use super::claims::World;
use super::diff::limit;
use super::grant::{Grant, Target};
use super::inventory::{Held, Inventory};
use super::observed::{Located, Named};
use crate::api::access_binding::Intent;
use crate::domain::plan::Change;

/// What a change would add to the inventory, as an intent keeps it.
pub fn intent(change: &Change, authoritative: bool, now: Timestamp) -> Intent {
    let mut adds = Inventory::default();
    let mut only_adds = change.clone();
    only_adds.remove.clear();
    only_adds.delete = false;
    written(&mut adds, &only_adds, &change.target, false, now);
    if authoritative && change.create.is_some() {
        adds.authoritative.insert(change.target.clone());
    }
    for held in adds.rows.values_mut().chain(adds.groups.values_mut()) {
        held.confirming = None;
    }
    Intent {
        target: change.target.to_string(),
        digest: change.digest().0,
        since: now,
        adds: adds.write(),
    }
}

/// Rows of a write that was begun and whose outcome nobody heard: what is there now is the writer's.
pub fn recover(inventory: &mut Inventory, intents: &[Intent], world: &World, now: Timestamp) -> Vec<Grant> {
    let mut recovered = Vec::new();
    for intent in intents {
        let (adds, _) = Inventory::read(&intent.adds);
        for (target, held) in adds.groups {
            let real = whereabouts(&target, world);
            if let Some(observed) = real.as_ref().and_then(|real| world.observed.get(real))
                && observed.present
                && observed.taken >= intent.since
            {
                let real = observed.target.clone();
                inventory.groups.entry(real.clone()).or_insert(Held {
                    since: now,
                    confirming: None,
                    ..held
                });
                if adds.authoritative.contains(&target) {
                    inventory.authoritative.insert(real);
                }
            }
        }
        for (grant, held) in adds.rows {
            let Some(real) = whereabouts(&grant.target, world) else {
                continue;
            };
            let Some(observed) = world.observed.get(&real) else {
                continue;
            };
            if observed.taken >= intent.since && observed.rows.contains(&grant.right()) {
                let grant = Grant {
                    target: real,
                    ..grant
                };
                let known = inventory.rows.get(&grant);
                if known.is_none_or(|known| known.origin != held.origin) {
                    inventory.rows.insert(
                        grant.clone(),
                        Held {
                            since: now,
                            confirming: None,
                            ..held
                        },
                    );
                    recovered.push(grant);
                }
            }
        }
    }
    recovered.sort();
    recovered
}

/// Whether it is still unknown what became of a write that was begun: nobody has looked since, or what it gives may
/// not be readable yet.
pub fn still_open(intent: &Intent, world: &World, now: Timestamp) -> bool {
    let Ok(target) = intent.target.parse::<Target>() else {
        return false;
    };
    let may_appear = now < intent.since + limit(&target);
    let Some(real) = whereabouts(&target, world) else {
        // A name nobody could look up now, or that may not be listed yet.
        return may_appear || unlocated(&target, world);
    };
    let Some(observed) = world.observed.get(&real) else {
        return true;
    };
    if observed.taken < intent.since {
        return true;
    }
    let (adds, _) = Inventory::read(&intent.adds);
    let there = |grant: &Grant| observed.rows.contains(&grant.right());
    may_appear && !(adds.rows.keys().all(there) && (adds.groups.is_empty() || observed.present))
}

/// Whether the name of a group that was to be created was not looked up.
fn unlocated(target: &Target, world: &World) -> bool {
    let Target::NewGroup { system, name } = target else {
        return false;
    };
    !world.located.contains_key(&Named::Group {
        system: system.clone(),
        name: name.clone(),
    })
}

/// A group that was to be created may have an id by now.
fn whereabouts(target: &Target, world: &World) -> Option<Target> {
    let Target::NewGroup { system, name } = target else {
        return Some(target.clone());
    };
    match world.located.get(&Named::Group {
        system: system.clone(),
        name: name.clone(),
    }) {
        Some(Located::At(target)) => Some(target.clone()),
        _ => None,
    }
}
