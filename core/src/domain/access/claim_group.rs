//! Groups that stand for teams: who says what they are, and who belongs to them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::claims::{Claimant, Claims, Extent, World, is_clear, people};
use super::declared::DeclaredGroup;
use super::grant::{Privilege, Target};
use super::observed::{GroupProperties, Named};
use super::place::{Place, place, place_of_other};
use crate::api::access_binding::Membership;
use crate::api::condition::Reason;
use crate::domain::plan::Problem;

/// A group as another claimant declares it.
type Rival<'a> = (&'a Claimant, &'a DeclaredGroup);

/// Claims the groups that this binding declares, and learns who else claims those that it holds.
pub(super) fn claim_groups(claims: &mut Claims, me: &Claimant, others: &[&Claimant], world: &World) {
    let mut mine: BTreeMap<Target, Vec<&DeclaredGroup>> = BTreeMap::new();
    for group in &me.declared.groups {
        match place(&group.named, me, world) {
            Place::ToCreate(target) if group.membership == Membership::External => {
                claims.frozen.insert(target);
                claims.problems.push(Problem {
                    label: group.named.label(),
                    reason: Some(Reason::NotFound),
                    message: "an External group comes from elsewhere and does not exist yet".into(),
                });
            }
            Place::At(target) | Place::ToCreate(target) => mine.entry(target).or_default().push(group),
            Place::Not(problem) => claims.leave(&group.named, me, problem),
        }
    }
    for (target, groups) in &mine {
        let rivals = rivals(target, others, world);
        claim(claims, target, groups, me, (others, &rivals), world);
    }
    for target in me.inventory.targets() {
        if !mine.contains_key(&target) {
            for rival in rivals(&target, others, world) {
                yield_to(claims, &target, rival, true, world);
            }
        }
    }
}

fn rivals<'a>(target: &Target, others: &[&'a Claimant], world: &World) -> Vec<Rival<'a>> {
    let all = others.iter().flat_map(|other| {
        other
            .declared
            .groups
            .iter()
            .map(move |declared| (*other, declared))
    });
    let shown = world
        .observed
        .get(target)
        .and_then(|observed| observed.group.as_ref());
    let called = |named: &Named| {
        let Named::Group { system, name } = named else {
            return false;
        };
        *system == target.system() && shown.is_some_and(|group| group.name.eq_ignore_ascii_case(name))
    };
    all.filter(
        |(other, declared)| match place_of_other(&declared.named, other, world) {
            Place::At(theirs) | Place::ToCreate(theirs) => theirs == *target,
            // Where the name cannot be looked up, the group that bears it is taken to be meant.
            Place::Not(_) => called(&declared.named),
        },
    )
    .collect()
}

/// Who comes first: whose members they are already, then who holds the group, then the oldest, then by uid so that
/// the answer never changes.
fn order<'a>(claimant: &'a Claimant, target: &Target) -> (bool, bool, Timestamp, &'a str) {
    (
        !claimant.inventory.authoritative.contains(target),
        !claimant.inventory.groups.contains_key(target),
        claimant.created,
        &claimant.key.uid,
    )
}

fn claims_alone(claimant: &Claimant, declared: &DeclaredGroup) -> bool {
    claimant.team.is_some() && declared.membership == Membership::Authoritative
}

fn claim(
    claims: &mut Claims,
    target: &Target,
    groups: &[&DeclaredGroup],
    me: &Claimant,
    (others, rivals): (&[&Claimant], &[Rival<'_>]),
    world: &World,
) {
    let Some((group, rest)) = groups.split_first() else {
        return;
    };
    let system = group.named.system();
    let label = group.named.label();
    claims.pin(&group.named, target);
    let entry = claims.targets.entry(target.clone()).or_default();
    entry.label.clone_from(&label);
    entry.declares_group = group.membership != Membership::External;
    entry.group_of_others = !rivals.is_empty();
    let same = |other: &&DeclaredGroup| {
        (other.membership, &other.properties, &other.owner)
            == (group.membership, &group.properties, &group.owner)
    };
    let refuse = |reason, message: String| Problem {
        label: label.clone(),
        reason: Some(reason),
        message,
    };
    if !rest.iter().all(same) {
        claims.frozen.insert(target.clone());
        let message = "two entries name this one group and differ in what it should be".into();
        return claims.problems.push(refuse(Reason::InvalidSpec, message));
    }
    let alone = claims_alone(me, group);
    let mut lost = false;
    for other in others.iter().filter(|_| alone) {
        let declares = rivals
            .iter()
            .any(|rival| rival.0.key == other.key && claims_alone(rival.0, rival.1));
        // Whose declaration is not known in full still has what it holds.
        let holds = other.inventory.authoritative.contains(target) && !is_clear(other, world);
        if !declares && !holds {
            continue;
        }
        let first = order(me, target) < order(other, target);
        lost |= !first;
        let message = if first {
            format!(
                "{} also claims its members for itself alone; this binding holds it and goes on",
                other.key
            )
        } else {
            format!(
                "{} holds its members already: this binding touches nothing there",
                other.key
            )
        };
        claims.conflicts.push(refuse(Reason::ClaimedByAnother, message));
    }
    if lost || group.membership == Membership::External {
        claims.frozen.insert(target.clone());
    }
    let resolved = people(me, &system, world);
    if group.membership != Membership::External && me.team.is_some() && resolved.is_none() {
        claims.frozen.insert(target.clone());
        let message = format!("the people of {system} could not be read");
        return claims.problems.push(refuse(Reason::DependencyNotReady, message));
    }
    let owner = owner_uuid(group, me, world).unwrap_or_else(|problem| {
        claims.problems.push(problem);
        None
    });
    let entry = claims.targets.entry(target.clone()).or_default();
    entry.properties = Some(GroupProperties {
        owner,
        ..group.properties.clone()
    });
    entry.describes = rivals
        .iter()
        .filter(|(_, theirs)| theirs.membership != Membership::External)
        .all(|(other, _)| order(me, target) < order(other, target));
    entry.members_managed = me.team.is_some() && !lost && entry.declares_group;
    if let Some(resolved) = resolved {
        if entry.members_managed {
            for principal in resolved.principals.keys() {
                let right = (principal.clone(), Privilege::Member);
                entry.rights.entry(right).or_default().mine = true;
            }
            entry.untouched.clone_from(&resolved.untouched);
            entry.inactive.clone_from(&resolved.inactive);
            if alone {
                entry.extent = Extent::All;
            }
        }
        claims.pins.extend(resolved.pins.clone());
        claims.resolved.insert(system, resolved);
    }
    for rival in rivals {
        // Of two that claim the members for themselves alone, the holder owes the other nothing.
        let counts = !(alone && !lost && claims_alone(rival.0, rival.1));
        yield_to(claims, target, *rival, counts, world);
    }
}

/// What another binding declares of a group stands beside what this one does.
fn yield_to(claims: &mut Claims, target: &Target, (other, declared): Rival<'_>, counts: bool, world: &World) {
    let clear = is_clear(other, world);
    let entry = claims.targets.entry(target.clone()).or_default();
    if entry.label.is_empty() {
        entry.label = declared.named.label();
    }
    entry.group_of_others = true;
    if declared.membership == Membership::External {
        return;
    }
    entry.group_awaited |= clear;
    let Some(theirs) = people(other, &declared.named.system(), world).filter(|_| counts) else {
        return;
    };
    for principal in theirs.principals.into_keys() {
        let claimed = entry.rights.entry((principal, Privilege::Member)).or_default();
        claimed.others = true;
        claimed.awaited |= clear;
    }
    // Whom the other is in doubt about is not ours to take away either.
    for principal in theirs.untouched {
        entry
            .rights
            .entry((principal, Privilege::Member))
            .or_default()
            .others = true;
    }
    entry.inactive.extend(theirs.inactive);
}

fn owner_uuid(group: &DeclaredGroup, me: &Claimant, world: &World) -> Result<Option<String>, Problem> {
    let Some(owner) = &group.owner else {
        return Ok(None);
    };
    let named = Named::Group {
        system: group.named.system(),
        name: owner.clone(),
    };
    match place(&named, me, world) {
        Place::At(Target::GerritGroup { uuid, .. }) => Ok(Some(uuid)),
        // The owner is itself declared here and made in the same pass: its uuid is known beforehand.
        Place::ToCreate(Target::GerritGroup { uuid, .. })
            if me.declared.groups.iter().any(|declared| declared.named == named) =>
        {
            Ok(Some(uuid))
        }
        Place::Not(problem) => Err(problem),
        _ => Err(Problem {
            label: group.named.label(),
            reason: Some(Reason::NotFound),
            message: format!("its owner, group {owner:?}, does not exist"),
        }),
    }
}
