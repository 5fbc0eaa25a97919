//! The pure middle of AccessBinding: declared and observed in, plan and bookkeeping out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::books::{follow_renames, keep_books, pins};
use super::claim_right::wider;
use super::claims::{Claimant, Claims, Extent, TargetClaims, World, join};
use super::diff::{Phase, difference, same_slot};
use super::drift::Drift;
use super::grant::{Grant, Right, Target};
use super::inventory::Inventory;
use super::pins::Pin;
use super::safety::{Circumstances, brakes};
use super::stakes::{members, risk};
use crate::api::access_binding::{Intent, MembersStatus};
use crate::api::condition::Reason;
use crate::domain::defaults::Limits;
use crate::domain::plan::{BlockedChange, Brake, BrakeRule, Change, Plan, Problem};

pub use super::begun::{intent, recover, still_open};
pub use super::books::{pin_of, written};

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
    /// What somebody changed by hand.
    pub drift: Vec<Drift>,
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
    follow_renames(&mut me, &question.world);
    let mut claims = join(&me, &question.others, &question.world);
    let mut decision = Decision {
        recovered,
        inventory: me.inventory.clone(),
        ..Decision::default()
    };
    let mut grants = Vec::new();
    let mut revocations = Vec::new();
    for (target, claimed) in &mut claims.targets {
        let Some(observed) = question
            .world
            .observed
            .get(target)
            .filter(|_| !question.world.frozen.contains(&target.system()))
        else {
            continue;
        };
        if question.orphan || claims.frozen.contains(target) {
            continue;
        }
        if observed.external && target.is_group() {
            claims.problems.extend(external(claimed));
            if !claimed.declares_group {
                // Nobody can take anything away there, so nothing is owed.
                decision.inventory.forget(target);
            }
            continue;
        }
        if question.inventory_lost {
            // Whose an undeclared row is cannot be known, nor whether the group was taken over before.
            claimed.extent = Extent::Report;
        }
        let mut found = difference(target, claimed, observed, &me.inventory, question.phase, now);
        if question.inventory_lost {
            take_nothing(&mut found.change);
        }
        keep_books(&mut decision, target, claimed, &found, question, observed, now);
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
            governed: &question.world.governed,
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
    let Claims {
        targets: _,
        problems,
        conflicts,
        frozen: _,
        resolved,
        pins: found,
    } = claims;
    decision.pins = pins(found, &resolved, &decision.inventory, question);
    decision.members = members(&resolved);
    decision.doubtful = resolved.values().any(|resolved| resolved.doubtful);
    decision.plan.risk = risk(&decision.plan, &resolved, &me.inventory, &question.world);
    decision.plan.problems = problems;
    decision.plan.conflicts = conflicts;
    decision
}

/// Leaves what would go, also where something else would take its place: a value is at most raised.
fn take_nothing(change: &mut Change) {
    let Change {
        target,
        add,
        remove,
        delete,
        ..
    } = change;
    add.retain(|new| {
        let lowers =
            |old: &Right| same_slot(old, new) && wider(target, &old.1, &new.1).as_ref() != Some(&new.1);
        !remove.iter().any(lowers)
    });
    remove.clear();
    *delete = false;
}

/// Why a group that comes from an identity provider is left alone although a binding would edit it.
fn external(claimed: &TargetClaims) -> Option<Problem> {
    claimed.declares_group.then(|| Problem {
        label: claimed.label.clone(),
        reason: Some(Reason::InvalidSpec),
        message: "its members come from the identity provider: set `membership: External`".into(),
    })
}

/// Lets the blocked part of a plan through because a person said yes: moves it among the changes, in order. Answers
/// the changes by which a group becomes Lockstep's alone for the first time.
pub fn release(plan: &mut Plan) -> Vec<Change> {
    let mut takeovers = Vec::new();
    for BlockedChange { change, brakes } in std::mem::take(&mut plan.blocked) {
        let takeover = |brake: &Brake| brake.rule == BrakeRule::FirstAuthoritative;
        if brakes.iter().any(takeover) {
            takeovers.push(change.clone());
        }
        plan.changes.push(change);
    }
    plan.changes.sort_by_key(|change| {
        let rank = i16::from(change.target.rank());
        (
            change.only_removes(),
            if change.only_removes() { -rank } else { rank },
            change.target.clone(),
        )
    });
    takeovers
}
