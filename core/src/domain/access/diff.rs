//! `desired - observed` is to add; `inventory ∩ observed - desired` is to remove; what is undeclared goes only where
//! the target is Lockstep's alone, and is foreign elsewhere.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::catalog::propagation_seconds;
use super::claim_right::wider;
use super::claims::TargetClaims;
use super::drift::{Deed, Drift};
use super::grant::{Grant, Principal, Privilege, Right, Target};
use super::inventory::Inventory;
use super::observed::{GroupProperties, Observed};
use crate::api::access_binding::Origin;
use crate::domain::plan::Change;

/// Whether the binding lives or is going away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Living,
    /// What was adopted stays; a group that Lockstep made goes.
    Deleting,
}

/// One target compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub change: Change,
    /// Declared and already there: held from now on, without a write.
    pub adopt: BTreeSet<Right>,
    /// Held, but neither there nor declared any more.
    pub forget: BTreeSet<Right>,
    /// Written, and now seen.
    pub seen: BTreeSet<Right>,
    /// Written, and not seen yet: the reading may be older than the write.
    pub pending: BTreeSet<Right>,
    /// Written, and not seen although everybody should see it by now.
    pub unconfirmed: BTreeSet<Right>,
    /// The group was held, and is gone.
    pub gone: bool,
    /// Undeclared and left alone.
    pub foreign: BTreeSet<Right>,
    /// What somebody changed by hand, for people.
    pub drift: Vec<Drift>,
}

impl Difference {
    fn drifted(&mut self, text: String) {
        self.drift.push(Drift {
            target: self.change.target.clone(),
            member: None,
            text,
        });
    }

    /// Somebody came or went by hand.
    fn touched(&mut self, label: &str, (principal, privilege): &Right, deed: Deed) {
        let name = &principal.name;
        let (is_member, what) = match privilege {
            Privilege::Member => (true, name.clone()),
            privilege => (false, format!("{name} {privilege}")),
        };
        let verb = match deed {
            Deed::Added => "added",
            Deed::Removed => "removed",
        };
        self.drift.push(Drift {
            target: self.change.target.clone(),
            member: is_member.then(|| (principal.clone(), deed)),
            text: format!("{label}: {what} was {verb} by hand"),
        });
    }
}

/// Compares one target. `created_by_others` are rights that another binding gave and still claims.
pub fn difference(
    target: &Target,
    claims: &TargetClaims,
    observed: &Observed,
    inventory: &Inventory,
    phase: Phase,
    now: Timestamp,
) -> Difference {
    let mut out = Difference {
        change: Change::new(target.clone(), &claims.label),
        adopt: BTreeSet::new(),
        forget: BTreeSet::new(),
        seen: BTreeSet::new(),
        pending: BTreeSet::new(),
        unconfirmed: BTreeSet::new(),
        gone: false,
        foreign: BTreeSet::new(),
        drift: Vec::new(),
    };
    let mut present = observed.rows.clone();
    for (right, held) in inventory.on(target) {
        let Some(written) = held.confirming else { continue };
        if observed.rows.contains(&right) {
            if observed.taken >= written {
                out.seen.insert(right);
            }
        } else if observed.taken <= written || now < written + limit(target) {
            // A reading that does not show it yet may still show what it replaced.
            if right.1.slot().is_some() {
                present.retain(|other| !same_slot(other, &right));
            }
            present.insert(right.clone());
            out.pending.insert(right);
        } else {
            out.unconfirmed.insert(right);
        }
    }
    let held: BTreeSet<Right> = inventory.on(target).map(|(right, _)| right).collect();
    group_itself(target, claims, observed, inventory, phase, now, &mut out);
    add(target, claims, observed, &present, &held, &mut out);
    remove(claims, observed, inventory, &present, phase, &mut out);
    delete_group(target, claims, observed, inventory, &present, phase, &mut out);
    for right in &held {
        let claimed = claims.rights.get(right).copied().unwrap_or_default();
        let stays = claimed.mine || claims.untouched.contains(&right.0) || out.change.remove.contains(right);
        if !stays && (!present.contains(right) || (claimed.others && !claimed.awaited)) {
            out.forget.insert(right.clone());
        }
    }
    out
}

/// How long a write may stay unseen.
pub(super) fn limit(target: &Target) -> SignedDuration {
    match target {
        // Gerrit answers what was written at once (3.13.5: every write re-read in the next call).
        Target::GerritGroup { .. } | Target::GerritRef { .. } => SignedDuration::ZERO,
        Target::Object { kind, .. } => SignedDuration::from_secs(propagation_seconds(Some(kind))),
        _ => SignedDuration::from_secs(propagation_seconds(None)),
    }
}

/// Whether two rights are two values where one principal can hold only one.
pub(super) fn same_slot((who, what): &Right, (other_who, other_what): &Right) -> bool {
    who == other_who && what.slot().is_some() && what.slot() == other_what.slot()
}

fn group_itself(
    target: &Target,
    claims: &TargetClaims,
    observed: &Observed,
    inventory: &Inventory,
    phase: Phase,
    now: Timestamp,
    out: &mut Difference,
) {
    let declared = phase == Phase::Living && claims.declares_group;
    if !observed.present {
        let held = inventory.groups.get(target);
        let written = held.and_then(|held| held.confirming);
        // A listing may have shown it and lack it again: until everybody should see it, its absence says nothing.
        let made = held
            .filter(|held| held.origin == Origin::Created)
            .map(|held| held.since);
        let born = written.max(made);
        if born.is_some_and(|born| observed.taken <= born || now < born + limit(target)) {
            return;
        }
        // Whatever bore an id of Databricks is gone for good; its name is made anew under another id.
        if declared && matches!(target, Target::GerritGroup { .. } | Target::NewGroup { .. }) {
            out.change.create.clone_from(&claims.properties);
        }
        out.gone = held.is_some();
        if out.gone && phase == Phase::Living {
            out.drifted(match written {
                None => format!("{} was deleted by hand", claims.label),
                Some(_) => format!("{} was made, but never seen since", claims.label),
            });
        }
        return;
    }
    if !declared {
        return;
    }
    if !claims.describes {
        return;
    }
    let (Some(wanted), Some(is)) = (&claims.properties, &observed.group) else {
        return;
    };
    let GroupProperties {
        name,
        description,
        owner,
        visible_to_all,
    } = wanted;
    let changed = |differs: bool| differs.then_some(());
    let describe = GroupProperties {
        name: name.clone(),
        description: changed(
            description.is_some()
                && description.as_deref().unwrap_or("") != is.description.as_deref().unwrap_or(""),
        )
        .and_then(|()| description.clone()),
        owner: changed(owner.is_some() && *owner != is.owner).and_then(|()| owner.clone()),
        visible_to_all: changed(
            visible_to_all.is_some() && *visible_to_all != Some(is.visible_to_all.unwrap_or(false)),
        )
        .and(*visible_to_all),
    };
    let renamed = *name != is.name && !name.eq_ignore_ascii_case(&is.name);
    if renamed {
        out.drifted(format!("{} was renamed to {:?} by hand", claims.label, is.name));
    }
    if renamed
        || describe
            != (GroupProperties {
                name: name.clone(),
                ..GroupProperties::default()
            })
    {
        out.change.describe = Some(describe);
    }
}

fn add(
    target: &Target,
    claims: &TargetClaims,
    observed: &Observed,
    present: &BTreeSet<Right>,
    held: &BTreeSet<Right>,
    out: &mut Difference,
) {
    for (right, _) in claims.rights.iter().filter(|(_, claimed)| claimed.mine) {
        let (principal, privilege) = right;
        if present.contains(right) {
            if !held.contains(right) {
                out.adopt.insert(right.clone());
            }
            continue;
        }
        if let Some(existing) = present.iter().find(|other| same_slot(other, right)) {
            let ours = held.iter().any(|other| same_slot(other, right));
            let enough = wider(target, &existing.1, privilege).as_ref() == Some(&existing.1);
            // Somebody gave more than is declared before we came: enough for us, and not ours to take.
            if enough && !ours && !claims.extent.covers(&existing.1) {
                out.foreign.insert(existing.clone());
                continue;
            }
            if observed.protected.contains(principal) {
                continue;
            }
            out.change.remove.insert(existing.clone());
            if ours && !held.contains(existing) {
                out.drifted(format!(
                    "{}: {} was changed to {} by hand",
                    claims.label, principal.name, existing.1
                ));
            }
        }
        if held.contains(right) && !out.unconfirmed.contains(right) && out.change.create.is_none() {
            out.touched(&claims.label, right, Deed::Removed);
        }
        out.change.add.insert(right.clone());
    }
}

fn remove(
    claims: &TargetClaims,
    observed: &Observed,
    inventory: &Inventory,
    present: &BTreeSet<Right>,
    phase: Phase,
    out: &mut Difference,
) {
    let target = out.change.target.clone();
    for right in present {
        if claims.rights.contains_key(right)
            || claims.untouched.contains(&right.0)
            || out.change.remove.contains(right)
        {
            continue;
        }
        let grant = Grant::of(&target, right);
        let held = inventory.rows.get(&grant).map(|held| held.origin);
        let mine = match (held, phase) {
            (Some(Origin::Created), _) | (Some(Origin::Adopted), Phase::Living) => true,
            (Some(Origin::Adopted), Phase::Deleting) | (None, _) => false,
        };
        let undeclared = claims.extent.covers(&right.1)
            && phase == Phase::Living
            && !observed.protected.contains(&right.0);
        if mine || undeclared {
            out.change.remove.insert(right.clone());
            // A lower level that another binding still claims takes the place of the one that goes.
            let instead = claims.rights.iter().find(|(other, _)| same_slot(other, right));
            out.change.add.extend(instead.map(|(right, _)| right.clone()));
            if !mine && inventory.authoritative.contains(&target) {
                out.touched(&claims.label, right, Deed::Added);
            }
        } else if held.is_none() && is_of_interest(&target, claims, &right.0) {
            out.foreign.insert(right.clone());
        }
    }
}

/// Members of a group we look after, and other rights of our own groups: the rest of a busy object's rows is nobody
/// else's business.
fn is_of_interest(target: &Target, claims: &TargetClaims, principal: &Principal) -> bool {
    (target.is_group() && claims.members_managed)
        || claims
            .rights
            .iter()
            .any(|((who, _), claimed)| claimed.mine && who == principal)
}

fn delete_group(
    target: &Target,
    claims: &TargetClaims,
    observed: &Observed,
    inventory: &Inventory,
    present: &BTreeSet<Right>,
    phase: Phase,
    out: &mut Difference,
) {
    let held = inventory.groups.get(target);
    let created = held.is_some_and(|held| held.origin == Origin::Created);
    let wanted = claims.group_of_others || (claims.declares_group && phase == Phase::Living);
    if !target.is_group() || !observed.present || !created || wanted {
        return;
    }
    // People whom others put into an additive group keep it.
    let keeps = present.iter().any(|right| !out.change.remove.contains(right));
    if !keeps || inventory.authoritative.contains(target) {
        out.change.delete = true;
        out.change.add.clear();
    }
}
