//! Rights of teams on things. Where a principal can hold one value only, the bids for it are joined to the highest;
//! of values that cannot be joined the holder's stays.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::catalog::{join_levels, level_rank};
use super::claims::{Claimant, Claims, Extent, World, is_clear};
use super::declared::DeclaredRight;
use super::grant::{Principal, Privilege, Right, System, Target};
use super::labels::fault;
use super::observed::Named;
use super::place::{Place, place, place_of_other};
use crate::api::access_binding::{Foreign, Membership};
use crate::api::condition::Reason;
use crate::domain::plan::Problem;

/// One claimant's wish for a value where a principal can hold only one.
struct Bid<'a> {
    by: &'a Claimant,
    mine: bool,
    privilege: Privilege,
}

/// All bids for single values.
#[derive(Default)]
pub(super) struct Bids<'a>(BTreeMap<(Target, Principal, String), Vec<Bid<'a>>>);

/// Claims the rights that one claimant declares.
pub(super) fn claim_rights<'a>(
    claims: &mut Claims,
    bids: &mut Bids<'a>,
    claimant: &'a Claimant,
    world: &World,
    mine: bool,
) {
    for right in &claimant.declared.rights {
        let at = if mine {
            place(&right.on, claimant, world)
        } else {
            place_of_other(&right.on, claimant, world)
        };
        let target = match at {
            Place::At(target) => target,
            Place::Not(problem) if mine => {
                claims.leave(&right.on, claimant, problem);
                continue;
            }
            _ => continue,
        };
        if mine {
            claims.pin(&right.on, &target);
        }
        let principal = match subject(right, claimant, world, mine.then_some(&claims.frozen)) {
            Ok(principal) => principal,
            Err(problem) => {
                if mine {
                    claims.frozen.insert(target);
                    claims.problems.extend(problem);
                }
                continue;
            }
        };
        let faults: Vec<String> = world.labels.get(&target).map_or_else(Vec::new, |labels| {
            let privileges = right.privileges.iter();
            privileges
                .filter_map(|privilege| fault(privilege, labels))
                .collect()
        });
        if !faults.is_empty() {
            // What the group holds there stays until the label is clear.
            let entry = claims.targets.entry(target).or_default();
            entry.untouched.insert(principal);
            if mine {
                claims.problems.extend(faults.into_iter().map(|message| Problem {
                    label: right.on.label(),
                    reason: Some(Reason::LevelNotSupported),
                    message,
                }));
            }
            continue;
        }
        for privilege in &right.privileges {
            bids.put(
                claims,
                &target,
                (principal.clone(), privilege.clone()),
                claimant,
                mine,
            );
        }
        let entry = claims.targets.entry(target).or_default();
        let label = right.on.label();
        if entry.label.is_empty() || (mine && label < entry.label) {
            entry.label = label;
        }
        if mine && right.foreign == Foreign::Remove {
            let families = right
                .privileges
                .iter()
                .map(|privilege| privilege.family().to_owned());
            match &mut entry.extent {
                Extent::Families(known) => known.extend(families),
                Extent::Report => entry.extent = Extent::Families(families.collect()),
                Extent::All => {}
            }
        }
    }
}

/// The group that gets a right; `frozen` for ours. `Err(None)`: it does not exist and is not made now, which is said
/// elsewhere.
fn subject(
    right: &DeclaredRight,
    claimant: &Claimant,
    world: &World,
    frozen: Option<&BTreeSet<Target>>,
) -> Result<Principal, Option<Problem>> {
    let system = right.on.system();
    let gerrit = matches!(system, System::Gerrit(_));
    let place = |named: &Named| {
        if frozen.is_some() {
            place(named, claimant, world)
        } else {
            place_of_other(named, claimant, world)
        }
    };
    let not_made = |target| frozen.is_some_and(|frozen| frozen.contains(target));
    let stands_for_team = |named: &Named| {
        matches!(named, Named::Group { system: home, name }
            if *name == right.group && (*home == system || !gerrit && !matches!(home, System::Gerrit(_))))
    };
    let declared = claimant.declared.groups.iter();
    let declared: Vec<_> = declared.filter(|group| stands_for_team(&group.named)).collect();
    let own = declared.iter().find(|group| group.named.system() == system);
    let Some(group) = own.or(declared.first()) else {
        // Declared, but not to be touched now: it keeps its name, and its uuid if it has one.
        if !gerrit {
            return Ok(Principal::group(&right.group, &right.group));
        }
        let name = right.group.clone();
        return match place(&Named::Group { system, name }) {
            Place::At(Target::GerritGroup { uuid, .. }) => Ok(Principal::group(uuid, &right.group)),
            Place::Not(problem) => Err(Some(problem)),
            _ => Err(None),
        };
    };
    match place(&group.named) {
        Place::ToCreate(_) if group.membership == Membership::External => Err(None),
        Place::ToCreate(target) if not_made(&target) => Err(None),
        Place::At(Target::GerritGroup { uuid, .. }) | Place::ToCreate(Target::GerritGroup { uuid, .. }) => {
            Ok(Principal::group(uuid, &right.group))
        }
        Place::Not(problem) if gerrit => Err(Some(problem)),
        Place::At(target) => {
            // Databricks finds names whatever their case, and lists them in the case in which they were made.
            let observed = world.observed.get(&target);
            let shown = observed
                .and_then(|observed| observed.group.as_ref())
                .map(|group| group.name.as_str())
                .filter(|name| name.eq_ignore_ascii_case(&right.group));
            let name = shown.unwrap_or(&right.group);
            Ok(Principal::group(name, name))
        }
        _ => Ok(Principal::group(&right.group, &right.group)),
    }
}

impl<'a> Bids<'a> {
    /// Claims a right: at once where others may stand beside it, else as a bid.
    pub fn put(&mut self, claims: &mut Claims, target: &Target, right: Right, by: &'a Claimant, mine: bool) {
        let entry = claims.targets.entry(target.clone()).or_default();
        let (principal, privilege) = right;
        if let Some(slot) = privilege.slot() {
            let slot = (target.clone(), principal, slot.to_owned());
            self.0.entry(slot).or_default().push(Bid { by, mine, privilege });
            return;
        }
        let claimed = entry.rights.entry((principal, privilege)).or_default();
        claimed.mine |= mine;
        claimed.others |= !mine;
        claimed.awaited |= !mine;
    }

    /// Lets the holder's bid take in what can be joined with it, and names the rest as conflicts.
    pub fn settle(self, claims: &mut Claims, world: &World) {
        for ((target, principal, slot), mut bids) in self.0 {
            bids.sort_by_cached_key(|bid| (bid.order(&target, &principal, &slot), bid.privilege.clone()));
            let mut rest = bids.split_off(1);
            let mut joined = bids;
            let Some(mut value) = joined.first().map(|bid| bid.privilege.clone()) else {
                continue;
            };
            // A bid taken in widens the value, which may then take in what it could not before.
            while let Some(at) = rest
                .iter()
                .position(|bid| wider(&target, &value, &bid.privilege).is_some())
            {
                let bid = rest.remove(at);
                value = wider(&target, &value, &bid.privilege).unwrap_or(value);
                joined.push(bid);
            }
            let entry = claims.targets.entry(target).or_default();
            let label = entry.label.clone();
            let claimed = entry
                .rights
                .entry((principal.clone(), value.clone()))
                .or_default();
            claimed.mine |= joined.iter().any(|bid| bid.mine);
            claimed.others |= joined.iter().any(|bid| !bid.mine);
            claimed.awaited |= joined.iter().any(|bid| !bid.mine && is_clear(bid.by, world));
            let mine = claimed.mine;
            let holder = joined.iter().find(|bid| !bid.mine).map(|bid| &bid.by.key);
            for lost in &rest {
                let clash = format!("{value} and {}", lost.privilege);
                let message = match (lost.mine, holder) {
                    (true, Some(holder)) => format!(
                        "{holder} holds {} already ({clash} cannot be joined): this binding touches nothing there",
                        principal.name
                    ),
                    (true, None) => {
                        format!("this binding declares {clash} for one group: neither holds the other")
                    }
                    (false, _) if mine => format!(
                        "{} also claims {} ({clash} cannot be joined); this binding holds it and goes on",
                        lost.by.key, principal.name
                    ),
                    (false, _) => continue,
                };
                if lost.mine && !mine {
                    entry.untouched.insert(principal.clone());
                }
                claims.conflicts.push(Problem {
                    label: label.clone(),
                    reason: Some(Reason::ClaimedByAnother),
                    message,
                });
            }
        }
    }
}

impl Bid<'_> {
    /// Whoever holds a value there, then the oldest, then by uid so that the answer never changes.
    fn order(&self, target: &Target, principal: &Principal, slot: &str) -> (bool, Timestamp, String) {
        let holds = self
            .by
            .inventory
            .on(target)
            .any(|((who, what), _)| who == *principal && what.slot() == Some(slot));
        (!holds, self.by.created, self.by.key.uid.clone())
    }
}

/// How high an exclusive privilege stands on a target.
pub fn rank(target: &Target, privilege: &Privilege) -> Option<usize> {
    match (privilege, target) {
        (Privilege::Level(level), Target::Object { kind, .. }) => level_rank(kind, level),
        (Privilege::Permission(level), _) => ["USER", "ADMIN"].iter().position(|known| known == level),
        _ => None,
    }
}

/// The least value that holds both; `None`: there is none.
pub(super) fn wider(target: &Target, a: &Privilege, b: &Privilege) -> Option<Privilege> {
    if let (Privilege::Level(a), Privilege::Level(b), Target::Object { kind, .. }) = (a, b, target) {
        return Some(Privilege::Level(join_levels(kind, a, b).to_owned()));
    }
    let wide = match (a, b) {
        (a, b) if a == b => a,
        (Privilege::Rule { .. }, Privilege::Rule { .. }) if holds(a, b) => a,
        (Privilege::Rule { .. }, Privilege::Rule { .. }) if holds(b, a) => b,
        (Privilege::Rule { .. }, Privilege::Rule { .. }) => return None,
        (a, b) if rank(target, b) > rank(target, a) => b,
        (a, _) => a,
    };
    Some(wide.clone())
}

/// Whether one rule of a permission includes another: same action, at least its force and its range.
fn holds(wide: &Privilege, narrow: &Privilege) -> bool {
    let (
        Privilege::Rule {
            permission,
            action,
            force,
            range,
        },
        Privilege::Rule {
            permission: other_permission,
            action: other_action,
            force: other_force,
            range: other_range,
        },
    ) = (wide, narrow)
    else {
        return false;
    };
    let ranges = match (range, other_range) {
        (None, None) => true,
        (Some((min, max)), Some((other_min, other_max))) => min <= other_min && other_max <= max,
        _ => false,
    };
    permission == other_permission && action == other_action && (*force || !other_force) && ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_beside_each_other_are_joined_to_the_one_that_holds_both() {
        let warehouse = Target::Object {
            workspace: "1".into(),
            kind: "sql/warehouses".into(),
            id: "w".into(),
        };
        let level = |level: &str| Privilege::Level(level.into());
        let joined = wider(&warehouse, &level("CAN_USE"), &level("CAN_VIEW"));
        assert_eq!(joined, Some(level("CAN_MONITOR")));
        let joined = wider(&warehouse, &level("CAN_USE"), &level("CAN_MANAGE"));
        assert_eq!(joined, Some(level("CAN_MANAGE")));
    }
}
