//! Desired access is the union of the claims of all bindings. A conflict exists only for two authoritative member
//! sets of one group, or for values that cannot be joined; then the holder keeps it and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::catalog::level_rank;
use super::declared::{Declared, DeclaredGroup, DeclaredRight};
use super::directory::Directory;
use super::grant::{Principal, Privilege, Right, System, Target};
use super::inventory::Inventory;
use super::names::gerrit_group_uuid;
use super::observed::{GroupProperties, Located, Named, Observed};
use super::people::{Resolved, Who, resolve};
use crate::api::access_binding::{Foreign, Membership, Pin};
use crate::api::condition::Reason;
use crate::domain::plan::Problem;
use crate::domain::ports::ObjectKey;

/// One binding as a claimant.
#[derive(Clone, Debug)]
pub struct Claimant {
    pub key: ObjectKey,
    pub created: Timestamp,
    pub declared: Declared,
    /// `None`: the spec says nothing of members.
    pub team: Option<Vec<Who>>,
    pub inventory: Inventory,
    pub pins: Vec<Pin>,
}

/// What was read outside, from shared snapshots.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub directories: BTreeMap<System, Arc<Directory>>,
    pub located: BTreeMap<Named, Located>,
    pub observed: BTreeMap<Target, Arc<Observed>>,
    /// Why something could not be read, by the address of the system, or the label of the thing.
    pub failures: BTreeMap<String, Problem>,
    /// Systems of connections that cannot be used now: what is held there stays as it is.
    pub frozen: BTreeSet<System>,
}

/// How far undeclared rows of a target go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// They stay.
    #[default]
    Report,
    /// Those of these families go.
    Families(BTreeSet<String>),
    /// All go.
    All,
}

/// Who claims a right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    pub mine: bool,
    pub others: bool,
}

/// Everything claimed on one target that this binding has to do with.
#[derive(Clone, Debug, Default)]
pub struct TargetClaims {
    pub label: String,
    /// For groups this binding declares: what the group should be, if this binding is the one to say so.
    pub properties: Option<GroupProperties>,
    /// Whether this binding declares the group (and may create it).
    pub declares_group: bool,
    /// Whether another binding declares the group, so that it must not be deleted.
    pub group_of_others: bool,
    /// Whether membership is looked after at all.
    pub members_managed: bool,
    pub rights: BTreeMap<Right, Claimed>,
    pub extent: Extent,
    pub untouched: BTreeSet<Principal>,
    /// Principals deactivated at the source: their going is never braked.
    pub inactive: BTreeSet<Principal>,
}

/// The outcome of joining all claims.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    pub targets: BTreeMap<Target, TargetClaims>,
    pub problems: Vec<Problem>,
    pub conflicts: Vec<Problem>,
    /// Targets that may not be touched now, whatever is held there.
    pub frozen: BTreeSet<Target>,
    /// The team as each system knows it.
    pub resolved: BTreeMap<System, Resolved>,
    /// What names were found to mean.
    pub pins: Vec<Pin>,
}

/// Where a declared name is.
enum Place {
    At(Target),
    ToCreate(Target),
    Not(Problem),
}

/// Joins this binding's claims with those of the others.
pub fn join(me: &Claimant, others: &[Claimant], world: &World) -> Claims {
    let mut claims = Claims {
        problems: me.declared.problems.clone(),
        ..Claims::default()
    };
    for named in &me.declared.frozen {
        if let Place::At(target) = place(named, me, world) {
            claims.frozen.insert(target);
        }
    }
    for group in &me.declared.groups {
        claim_group(&mut claims, group, me, others, world);
    }
    for right in &me.declared.rights {
        claim_right(&mut claims, right, me, world, true);
    }
    for other in others {
        for group in &other.declared.groups {
            if let Place::At(target) = place(&group.named, other, world)
                && !claims.targets.contains_key(&target)
                && me.inventory.groups.contains_key(&target)
            {
                // We hold a group we no longer declare, but somebody else does.
                let entry = claims.targets.entry(target).or_default();
                entry.label = group.named.label();
                entry.group_of_others = true;
                for principal in people(other, &group.named.system(), world).principals.into_keys() {
                    entry
                        .rights
                        .entry((principal, Privilege::Member))
                        .or_default()
                        .others = true;
                }
            }
        }
        for right in &other.declared.rights {
            claim_right(&mut claims, right, other, world, false);
        }
    }
    let held = me.inventory.targets();
    for target in &held {
        let entry = claims.targets.entry(target.clone()).or_default();
        if entry.label.is_empty() {
            let group = world
                .observed
                .get(target)
                .and_then(|observed| observed.group.as_ref());
            entry.label = match (group, target) {
                (Some(group), _) => Named::Group {
                    system: target.system(),
                    name: group.name.clone(),
                }
                .label(),
                (None, target) => target.label(),
            };
        }
    }
    claims.targets.retain(|target, claimed| {
        claimed.declares_group || claimed.rights.values().any(|claimed| claimed.mine) || held.contains(target)
    });
    for (target, claimed) in &mut claims.targets {
        join_exclusive(target, &mut claimed.rights);
        for clash in join_ranges(&mut claimed.rights) {
            claims.conflicts.push(Problem {
                label: claimed.label.clone(),
                reason: Some(Reason::ClaimedByAnother),
                message: clash,
            });
        }
    }
    claims.pins.sort();
    claims.pins.dedup();
    claims
}

fn people(claimant: &Claimant, system: &System, world: &World) -> Resolved {
    match (&claimant.team, world.directories.get(system)) {
        (Some(team), Some(directory)) => resolve(team, directory, &claimant.pins),
        _ => Resolved::default(),
    }
}

fn place(named: &Named, claimant: &Claimant, world: &World) -> Place {
    let system = named.system();
    if let Some(problem) = world.failures.get(&system.to_string()) {
        return Place::Not(problem.clone());
    }
    if let Named::Plain(target) = named {
        return Place::At(target.clone());
    }
    let pinned = named.pin_name().and_then(|name| {
        let pin = claimant
            .pins
            .iter()
            .find(|pin| pin.name == name && pin.system == system.to_string())?;
        pin.means.parse::<Target>().ok()
    });
    // What was pinned stays ours under whatever name, for as long as it exists.
    if let Some(target) = pinned
        && world
            .observed
            .get(&target)
            .is_some_and(|observed| observed.present)
    {
        return Place::At(target);
    }
    match (world.located.get(named), named) {
        (Some(Located::At(target)), _) => Place::At(target.clone()),
        (Some(Located::Ambiguous(candidates)), _) => {
            let candidates: Vec<_> = candidates.iter().map(ToString::to_string).collect();
            Place::Not(Problem {
                label: named.label(),
                reason: Some(Reason::Ambiguous),
                message: format!(
                    "several things have this name ({}): name one by id",
                    candidates.join(", ")
                ),
            })
        }
        (
            Some(Located::Absent),
            Named::Group {
                system: System::Gerrit(server),
                name,
            },
        ) => Place::ToCreate(Target::GerritGroup {
            server: server.clone(),
            uuid: gerrit_group_uuid(server, name),
        }),
        (Some(Located::Absent), Named::Group { system, name }) => Place::ToCreate(Target::NewGroup {
            system: system.clone(),
            name: name.clone(),
        }),
        (Some(Located::Absent), _) => Place::Not(Problem {
            label: named.label(),
            reason: Some(Reason::NotFound),
            message: format!(
                "{} does not exist, or Lockstep's identity cannot see it",
                named.label()
            ),
        }),
        (None, _) => Place::Not(
            world
                .failures
                .get(&named.label())
                .cloned()
                .unwrap_or_else(|| Problem {
                    label: named.label(),
                    reason: Some(Reason::DependencyNotReady),
                    message: "not read yet".into(),
                }),
        ),
    }
}

/// Who comes first: whoever holds it already, then the oldest, then by uid so that the answer never changes.
fn order(claimant: &Claimant, target: &Target) -> (bool, Timestamp, String) {
    (
        !claimant.inventory.groups.contains_key(target),
        claimant.created,
        claimant.key.uid.clone(),
    )
}

fn claim_group(
    claims: &mut Claims,
    group: &DeclaredGroup,
    me: &Claimant,
    others: &[Claimant],
    world: &World,
) {
    let system = group.named.system();
    let target = match place(&group.named, me, world) {
        Place::At(target) => target,
        Place::ToCreate(target) if group.membership == Membership::External => {
            claims.frozen.insert(target);
            return claims.problems.push(Problem {
                label: group.named.label(),
                reason: Some(Reason::NotFound),
                message: "an External group comes from elsewhere and does not exist yet".into(),
            });
        }
        Place::ToCreate(target) => target,
        Place::Not(problem) => return claims.problems.push(problem),
    };
    if let (Some(name), true) = (group.named.pin_name(), !matches!(target, Target::NewGroup { .. })) {
        claims.pins.push(Pin {
            system: system.to_string(),
            name,
            means: target.to_string(),
        });
    }
    let rivals: Vec<(&Claimant, &DeclaredGroup)> = others
        .iter()
        .flat_map(|other| {
            other
                .declared
                .groups
                .iter()
                .map(move |declared| (other, declared))
        })
        .filter(|(other, declared)| match place(&declared.named, other, world) {
            Place::At(theirs) | Place::ToCreate(theirs) => theirs == target,
            Place::Not(_) => false,
        })
        .filter(|(_, declared)| declared.membership != Membership::External)
        .collect();
    let authoritative = |claimant: &Claimant, declared: &DeclaredGroup| {
        claimant.team.is_some() && declared.membership == Membership::Authoritative
    };
    let mine = order(me, &target);
    let first = |test: &dyn Fn(&Claimant, &DeclaredGroup) -> bool| {
        rivals
            .iter()
            .filter(|(other, declared)| test(other, declared))
            .all(|(other, _)| mine < order(other, &target))
    };
    let lost = authoritative(me, group) && !first(&|other, declared| authoritative(other, declared));
    let clashes = authoritative(me, group);
    for (other, _) in rivals
        .iter()
        .filter(|(other, declared)| clashes && authoritative(other, declared))
    {
        let message = if mine < order(other, &target) {
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
        claims.conflicts.push(Problem {
            label: group.named.label(),
            reason: Some(Reason::ClaimedByAnother),
            message,
        });
    }
    let resolved = people(me, &system, world);
    if group.membership != Membership::External
        && me.team.is_some()
        && !world.directories.contains_key(&system)
    {
        claims.frozen.insert(target);
        return claims.problems.push(Problem {
            label: group.named.label(),
            reason: Some(Reason::DependencyNotReady),
            message: format!("the people of {system} could not be read"),
        });
    }
    if lost || group.membership == Membership::External {
        claims.frozen.insert(target.clone());
    }
    let owner = match owner_uuid(group, me, world) {
        Ok(owner) => owner,
        Err(problem) => {
            claims.problems.push(problem);
            None
        }
    };
    let entry = claims.targets.entry(target.clone()).or_default();
    entry.label = group.named.label();
    entry.declares_group = group.membership != Membership::External;
    entry.group_of_others = !rivals.is_empty();
    entry.members_managed = me.team.is_some() && !lost && entry.declares_group;
    if entry.declares_group && first(&|_, _| true) {
        entry.properties = Some(GroupProperties {
            owner,
            ..group.properties.clone()
        });
    }
    if entry.members_managed {
        for principal in resolved.principals.keys() {
            entry
                .rights
                .entry((principal.clone(), Privilege::Member))
                .or_default()
                .mine = true;
        }
        entry.untouched.clone_from(&resolved.untouched);
        entry.inactive.clone_from(&resolved.inactive);
        if group.membership == Membership::Authoritative {
            entry.extent = Extent::All;
        }
    }
    for (other, declared) in &rivals {
        if other.team.is_some() && !(authoritative(me, group) && !lost && authoritative(other, declared)) {
            for principal in people(other, &system, world).principals.into_keys() {
                entry
                    .rights
                    .entry((principal, Privilege::Member))
                    .or_default()
                    .others = true;
            }
        }
    }
    if me.team.is_some() {
        claims.pins.extend(resolved.pins.clone());
        claims.resolved.insert(system, resolved);
    }
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

fn claim_right(claims: &mut Claims, right: &DeclaredRight, claimant: &Claimant, world: &World, mine: bool) {
    let system = right.on.system();
    let at = place(&right.on, claimant, world);
    let target = match at {
        Place::At(target) => target,
        Place::Not(problem) if mine => return claims.problems.push(problem),
        _ => return,
    };
    if let (true, Some(name)) = (mine, right.on.pin_name()) {
        claims.pins.push(Pin {
            system: system.to_string(),
            name,
            means: target.to_string(),
        });
    }
    let principal = match &system {
        System::Gerrit(_) => {
            let named = Named::Group {
                system,
                name: right.group.clone(),
            };
            match place(&named, claimant, world) {
                Place::At(Target::GerritGroup { uuid, .. })
                | Place::ToCreate(Target::GerritGroup { uuid, .. }) => Principal::group(uuid, &right.group),
                Place::Not(problem) if mine => return claims.problems.push(problem),
                _ => return,
            }
        }
        _ => Principal::group(&right.group, &right.group),
    };
    let entry = claims.targets.entry(target).or_default();
    if mine || entry.label.is_empty() {
        entry.label = right.on.label();
    }
    for privilege in &right.privileges {
        let claimed = entry
            .rights
            .entry((principal.clone(), privilege.clone()))
            .or_default();
        claimed.mine |= mine;
        claimed.others |= !mine;
        if mine && right.foreign == Foreign::Remove {
            let family = privilege.family().to_owned();
            match &mut entry.extent {
                Extent::Families(families) => {
                    families.insert(family);
                }
                Extent::Report => entry.extent = Extent::Families(BTreeSet::from([family])),
                Extent::All => {}
            }
        }
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

/// Of several levels for one principal the highest is claimed, by everybody who claims any.
fn join_exclusive(target: &Target, rights: &mut BTreeMap<Right, Claimed>) {
    let mut best: BTreeMap<Principal, (Option<usize>, Privilege, Claimed)> = BTreeMap::new();
    rights.retain(|(principal, privilege), claimed| {
        if !privilege.is_exclusive() {
            return true;
        }
        let new = rank(target, privilege);
        match best.get_mut(principal) {
            Some((old, kept, joined)) => {
                joined.mine |= claimed.mine;
                joined.others |= claimed.others;
                if new > *old {
                    *old = new;
                    *kept = privilege.clone();
                }
            }
            None => {
                best.insert(principal.clone(), (new, privilege.clone(), *claimed));
            }
        }
        false
    });
    rights.extend(
        best.into_iter()
            .map(|(principal, (_, privilege, claimed))| ((principal, privilege), claimed)),
    );
}

/// Label ranges of one rule join to the wider one if one holds the other; else the one that is not only mine stays.
fn join_ranges(rights: &mut BTreeMap<Right, Claimed>) -> Vec<String> {
    let mut clashes = Vec::new();
    let ranged: Vec<Right> = rights
        .keys()
        .filter(|(_, privilege)| matches!(privilege, Privilege::Rule { range: Some(_), .. }))
        .cloned()
        .collect();
    for (at, a) in ranged.iter().enumerate() {
        for b in &ranged[at + 1..] {
            let (Some(in_a), Some(in_b)) = (rights.get(a).copied(), rights.get(b).copied()) else {
                continue;
            };
            let Some(((a_min, a_max), (b_min, b_max))) = same_rule(a, b) else {
                continue;
            };
            let (wide, narrow) = if a_min <= b_min && b_max <= a_max {
                (a, b)
            } else if b_min <= a_min && a_max <= b_max {
                (b, a)
            } else {
                let loser = if in_a.others { b } else { a };
                rights.remove(loser);
                clashes.push(format!(
                    "two bindings claim {} and {} for one group: neither range holds the other",
                    a.1, b.1
                ));
                continue;
            };
            rights.remove(narrow);
            rights.insert(
                wide.clone(),
                Claimed {
                    mine: in_a.mine || in_b.mine,
                    others: in_a.others || in_b.others,
                },
            );
        }
    }
    clashes
}

fn same_rule(a: &Right, b: &Right) -> Option<((i32, i32), (i32, i32))> {
    match (&a.1, &b.1) {
        (
            Privilege::Rule {
                permission: p,
                action: x,
                force: f,
                range: Some(r),
            },
            Privilege::Rule {
                permission: q,
                action: y,
                force: g,
                range: Some(s),
            },
        ) if a.0 == b.0 && p == q && x == y && f == g => Some((*r, *s)),
        _ => None,
    }
}
