//! The pure middle of AccessBinding: declared and observed in, plan and bookkeeping out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::claims::{Claimant, Claims, Extent, TargetClaims, World, join};
use super::diff::{Difference, Phase, difference};
use super::grant::{Grant, Right, Target};
use super::inventory::{Held, Inventory};
use super::safety::{Circumstances, brakes};
use crate::api::access_binding::{Intent, MembersStatus, Origin, Pin};
use crate::domain::defaults::Limits;
use crate::domain::plan::{BlockedChange, Change, ForeignRight, Plan};

/// Everything one decision rests on.
#[derive(Clone, Debug)]
pub struct Question {
    pub me: Claimant,
    pub others: Vec<Claimant>,
    pub world: World,
    pub intents: Vec<Intent>,
    pub phase: Phase,
    pub limits: Limits,
    /// Inventory and record are both lost: add, but remove nothing.
    pub inventory_lost: bool,
    /// Keep what is held (`onDelete: Orphan`).
    pub orphan: bool,
    pub source_empty: Option<String>,
    pub mass_deletion: Option<String>,
}

/// What was decided.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    pub plan: Plan,
    /// What is held before anything is written: after adopting, forgetting, confirming and recovering.
    pub inventory: Inventory,
    pub pins: Vec<Pin>,
    pub members: MembersStatus,
    /// A doubt about somebody's identity needs a person.
    pub doubtful: bool,
    /// Writes that no fresh reading has shown yet, and since when.
    pub pending: BTreeMap<Target, Timestamp>,
    /// Writes that should have been seen by now.
    pub unconfirmed: Vec<String>,
    pub drift: Vec<String>,
    /// Rights held from now on without a write of this pass, and rights found gone.
    pub adopted: Vec<Grant>,
    pub recovered: Vec<Grant>,
    pub lost: Vec<Grant>,
    /// Groups whose members this plan makes Lockstep's alone.
    pub authoritative: BTreeSet<Target>,
    /// Taken when the readings that removals rest on were begun, the oldest.
    pub removals_read: Option<Timestamp>,
}

/// Decides. Deterministic: the same question has the same answer, whatever the order of objects.
pub fn decide(question: &Question, now: Timestamp) -> Decision {
    let mut me = question.me.clone();
    let recovered = recover(&mut me.inventory, &question.intents, &question.world, now);
    let claims = join(&me, &question.others, &question.world);
    let mut decision = Decision {
        recovered,
        inventory: me.inventory.clone(),
        ..Decision::default()
    };
    let mut grants = Vec::new();
    let mut revocations = Vec::new();
    for (target, claimed) in &claims.targets {
        let Some(observed) = question
            .world
            .observed
            .get(target)
            .filter(|_| !question.world.frozen.contains(&target.system()))
        else {
            continue;
        };
        if claims.frozen.contains(target) {
            continue;
        }
        let mut found = difference(target, claimed, observed, &me.inventory, question.phase, now);
        if question.inventory_lost {
            found.change.remove.clear();
            found.change.delete = false;
        }
        if question.orphan {
            continue;
        }
        keep_books(
            &mut decision,
            target,
            claimed,
            &found,
            &question.others,
            observed.taken,
            now,
        );
        if found.change.is_empty() {
            continue;
        }
        if !found.change.remove.is_empty() || found.change.delete {
            decision.removals_read = Some(
                decision
                    .removals_read
                    .map_or(observed.taken, |old| old.min(observed.taken)),
            );
        }
        let circumstances = Circumstances {
            limits: question.limits,
            phase: question.phase,
            source_empty: question.source_empty.as_deref(),
            mass_deletion: question.mass_deletion.as_deref(),
        };
        let why = brakes(&found.change, claimed, observed, &me.inventory, circumstances);
        if why.is_empty() {
            if claimed.extent == Extent::All {
                decision.authoritative.insert(target.clone());
            }
            let side = if found.change.only_removes() {
                &mut revocations
            } else {
                &mut grants
            };
            side.push(found.change);
        } else {
            decision.plan.blocked.push(BlockedChange {
                change: found.change,
                brakes: why,
            });
        }
    }
    // Groups before what is given to them; what is taken goes the other way round.
    grants.sort_by_key(|change: &Change| (change.target.rank(), change.target.clone()));
    revocations
        .sort_by_key(|change: &Change| (std::cmp::Reverse(change.target.rank()), change.target.clone()));
    decision.plan.changes = grants.into_iter().chain(revocations).collect();
    finish(&mut decision, claims, question);
    decision
}

/// Whether a person's yes lets the blocked part of a plan through: moves it among the changes, in order.
pub fn release(plan: &mut Plan) -> Vec<Change> {
    let released: Vec<_> = std::mem::take(&mut plan.blocked)
        .into_iter()
        .map(|blocked| blocked.change)
        .collect();
    plan.changes.extend(released.iter().cloned());
    plan.changes.sort_by_key(|change| {
        let rank = i16::from(change.target.rank());
        (
            change.only_removes(),
            if change.only_removes() { -rank } else { rank },
            change.target.clone(),
        )
    });
    released
}

/// Rows of a write that was begun and whose outcome nobody heard: what is there now is ours.
fn recover(inventory: &mut Inventory, intents: &[Intent], world: &World, now: Timestamp) -> Vec<Grant> {
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
            let right = (grant.principal.clone(), grant.privilege.clone());
            if observed.taken >= intent.since && observed.rows.contains(&right) {
                let grant = Grant {
                    target: real,
                    ..grant
                };
                if !inventory.rows.contains_key(&grant) {
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
    recovered
}

/// A group that was to be created may have an id by now.
fn whereabouts(target: &Target, world: &World) -> Option<Target> {
    use super::observed::{Located, Named};
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

fn keep_books(
    decision: &mut Decision,
    target: &Target,
    claimed: &TargetClaims,
    found: &Difference,
    others: &[Claimant],
    taken: Timestamp,
    now: Timestamp,
) {
    let Difference {
        change,
        adopt,
        forget,
        seen,
        pending,
        unconfirmed,
        foreign,
        drift,
    } = found;
    let grant = |right: &Right| Grant {
        target: target.clone(),
        principal: right.0.clone(),
        privilege: right.1.clone(),
    };
    let inventory = &mut decision.inventory;
    for right in adopt {
        let grant = grant(right);
        // What another binding gave and still claims is ours to give up too, not a stranger's gift.
        let created = others.iter().any(|other| {
            other
                .inventory
                .rows
                .get(&grant)
                .is_some_and(|held| held.origin == Origin::Created)
        });
        let origin = if created { Origin::Created } else { Origin::Adopted };
        inventory.rows.insert(
            grant.clone(),
            Held {
                origin,
                since: now,
                confirming: None,
            },
        );
        decision.adopted.push(grant);
    }
    if claimed.declares_group && change.create.is_none() && !inventory.groups.contains_key(target) {
        let created = others.iter().any(|other| {
            other
                .inventory
                .groups
                .get(target)
                .is_some_and(|held| held.origin == Origin::Created)
        });
        let origin = if created { Origin::Created } else { Origin::Adopted };
        inventory.groups.insert(
            target.clone(),
            Held {
                origin,
                since: now,
                confirming: None,
            },
        );
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
        && held.confirming.is_some_and(|written| taken >= written)
    {
        held.confirming = None;
    }
    for right in pending {
        if let Some(since) = inventory.rows.get(&grant(right)).and_then(|held| held.confirming) {
            let entry = decision.pending.entry(target.clone()).or_insert(since);
            *entry = (*entry).max(since);
        }
    }
    if claimed.extent == Extent::All && change.remove.is_empty() && change.create.is_none() {
        inventory.authoritative.insert(target.clone());
    }
    // Nothing is held on a group that is neither there nor wanted.
    if !claimed.declares_group && inventory.groups.contains_key(target) && change.is_empty() {
        let left = inventory.rows.keys().any(|grant| grant.target == *target);
        if !left {
            inventory.forget(target);
        }
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

fn finish(decision: &mut Decision, claims: Claims, question: &Question) {
    let Claims {
        targets: _,
        problems,
        conflicts,
        frozen: _,
        resolved,
        mut pins,
    } = claims;
    let held: BTreeSet<String> = decision
        .inventory
        .targets()
        .iter()
        .map(ToString::to_string)
        .collect();
    // A pin of something that could not be looked at now, or is still held, is kept.
    for pin in &question.me.pins {
        let silent = !pins
            .iter()
            .any(|new| new.system == pin.system && new.name == pin.name);
        let unread = question.world.failures.contains_key(&pin.system)
            || question
                .world
                .frozen
                .iter()
                .any(|system| system.to_string() == pin.system);
        if silent && (unread || held.contains(&pin.means)) {
            pins.push(pin.clone());
        }
    }
    pins.sort();
    decision.pins = pins;
    decision.plan.problems = problems;
    decision.plan.conflicts = conflicts;
    let mut unresolved = BTreeSet::new();
    let mut people: BTreeSet<String> = BTreeSet::new();
    for resolved in resolved.values() {
        unresolved.extend(resolved.unresolved.iter().cloned());
        people.extend(resolved.principals.values().cloned());
        decision.doubtful |= resolved.doubtful;
    }
    for missing in &unresolved {
        people.remove(&missing.who);
    }
    decision.members = MembersStatus {
        resolved: i64::try_from(people.len()).unwrap_or(i64::MAX),
        unresolved: unresolved.into_iter().collect(),
    };
    let changes: Vec<Change> = decision.plan.all().cloned().collect();
    for change in &changes {
        let known = resolved.get(&change.target.system());
        let everybody = || {
            known
                .into_iter()
                .flat_map(|known| known.principals.values().cloned())
        };
        for (rights, side) in [
            (&change.add, &mut decision.plan.risk.gaining),
            (&change.remove, &mut decision.plan.risk.losing),
        ] {
            for (principal, _) in rights {
                if principal.is_person() {
                    let person = known.and_then(|known| known.principals.get(principal));
                    side.insert(person.cloned().unwrap_or_else(|| principal.name.clone()));
                } else {
                    // What the team's group gains, everybody in the team gains.
                    side.extend(everybody());
                }
            }
        }
        if change.delete {
            decision.plan.risk.losing.extend(everybody());
        }
    }
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
    let grant = |right: &Right| Grant {
        target: at.clone(),
        principal: right.0.clone(),
        privilege: right.1.clone(),
    };
    for right in remove {
        inventory.rows.remove(&grant(right));
    }
    for right in add {
        let held = inventory.rows.entry(grant(right)).or_insert(Held {
            origin: Origin::Created,
            since: now,
            confirming,
        });
        held.confirming = confirming;
    }
}

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
