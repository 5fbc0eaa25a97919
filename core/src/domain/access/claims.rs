//! Desired access is the union of the claims of all bindings. A conflict exists only for two authoritative member
//! sets of one group, or for values that cannot be joined; then the holder keeps it and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::claim_group::claim_groups;
use super::claim_right::{Bids, claim_rights};
use super::declared::Declared;
use super::directory::Directory;
use super::grant::{Grant, Principal, Privilege, Right, System, Target};
use super::inventory::Inventory;
use super::labels::Labels;
use super::observed::{GroupProperties, Located, Named, Observed};
use super::people::{Resolved, Who, is_person, resolve};
use super::pins::Pin;
use super::place::{Place, pinned, place, place_of_other};
use super::weakening::Governed;
use crate::domain::plan::Problem;
use crate::domain::ports::ObjectKey;

pub use super::claim_right::rank;

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
    /// Labels of the projects of refs on which rights to vote are declared.
    pub labels: BTreeMap<Target, Arc<Labels>>,
    /// Why something could not be read, by the address of the system, or the label of the thing.
    pub failures: BTreeMap<String, Problem>,
    /// Branches that policies govern.
    pub governed: Vec<Governed>,
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

impl Extent {
    /// Whether an undeclared row of this privilege goes.
    pub fn covers(&self, privilege: &Privilege) -> bool {
        match self {
            Self::Report => false,
            Self::Families(families) => families.contains(privilege.family()),
            Self::All => true,
        }
    }
}

/// Who claims a right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    pub mine: bool,
    pub others: bool,
    /// Another claims it, and nobody else holds it yet: it is ours to hold until somebody takes it over.
    pub awaited: bool,
}

/// Everything claimed on one target that this binding has to do with.
#[derive(Clone, Debug, Default)]
pub struct TargetClaims {
    pub label: String,
    /// For groups this binding declares: what the group should be.
    pub properties: Option<GroupProperties>,
    /// Whether this binding is the one to say what an existing group should be.
    pub describes: bool,
    /// Whether this binding declares the group (and may create it).
    pub declares_group: bool,
    /// Whether another binding declares the group, so that it must not be deleted.
    pub group_of_others: bool,
    /// Another declares the group, and nobody else holds it yet.
    pub group_awaited: bool,
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

impl Claims {
    /// Shows why a name cannot be used, and leaves alone what it is known to mean.
    pub(super) fn leave(&mut self, named: &Named, me: &Claimant, problem: Problem) {
        self.frozen.extend(match named {
            Named::Plain(target) => Some(target.clone()),
            named => pinned(named, me),
        });
        self.problems.push(problem);
    }

    pub(super) fn pin(&mut self, named: &Named, target: &Target) {
        if let (Some(name), false) = (named.pin_name(), matches!(target, Target::NewGroup { .. })) {
            self.pins.push(Pin {
                system: named.system().to_string(),
                name,
                means: target.to_string(),
            });
        }
    }
}

/// Joins this binding's claims with those of the others.
pub fn join(me: &Claimant, others: &[Claimant], world: &World) -> Claims {
    let mut others: Vec<&Claimant> = others.iter().collect();
    others.sort_by(|a, b| a.key.uid.cmp(&b.key.uid));
    let mut claims = Claims {
        problems: me.declared.problems.clone(),
        ..Claims::default()
    };
    for named in &me.declared.frozen {
        claims.frozen.extend(pinned(named, me));
        claims.frozen.extend(place(named, me, world).target());
    }
    let mut bids = Bids::default();
    claim_groups(&mut claims, me, &others, world);
    claim_rights(&mut claims, &mut bids, me, world, true);
    for other in &others {
        claim_rights(&mut claims, &mut bids, other, world, false);
        if !is_clear(other, world) {
            holds_on(&mut claims, &mut bids, other, world);
        }
    }
    bids.settle(&mut claims, world);
    hand_over(&mut claims, &others);
    let held = me.inventory.targets();
    label_held(&mut claims, &held, world);
    leave_unknown(&mut claims, &held, me);
    claims.targets.retain(|target, claimed| {
        claimed.declares_group || claimed.rights.values().any(|claimed| claimed.mine) || held.contains(target)
    });
    // Lists are shown and compared: no order of objects may show through.
    for list in [&mut claims.problems, &mut claims.conflicts] {
        list.sort_by(|a, b| (&a.label, a.reason, &a.message).cmp(&(&b.label, b.reason, &b.message)));
        list.dedup();
    }
    claims.pins.sort();
    claims.pins.dedup();
    claims
}

/// Whether everything another binding claims is known.
pub(super) fn is_clear(other: &Claimant, world: &World) -> bool {
    let declared = &other.declared;
    let known = |named: &Named| !matches!(place_of_other(named, other, world), Place::Not(_));
    declared.problems.is_empty()
        && declared.frozen.is_empty()
        && declared.rights.iter().all(|right| known(&right.on))
        && declared.groups.iter().all(|group| {
            let people = other.team.is_none() || world.directories.contains_key(&group.named.system());
            known(&group.named) && people
        })
}

/// While it is not known what another binding claims, what it holds stands for it, and whom and what it found.
fn holds_on<'a>(claims: &mut Claims, bids: &mut Bids<'a>, other: &'a Claimant, world: &World) {
    for grant in other.inventory.rows.keys() {
        let right = grant.right();
        bids.put(claims, &grant.target, right, other, false);
    }
    let frozen = other.declared.frozen.iter();
    let meant = frozen.filter_map(|named| place_of_other(named, other, world).target());
    let groups = other.pins.iter().filter(|pin| pin.name.starts_with("group/"));
    let found: Vec<Target> = groups.filter_map(|pin| pin.means.parse().ok()).collect();
    for target in &found {
        let entry = claims.targets.entry(target.clone()).or_default();
        let system = target.system().to_string();
        let people = other
            .pins
            .iter()
            .filter(|pin| pin.system == system && is_person(&pin.name));
        for principal in people.filter_map(|pin| pin.means.parse().ok()) {
            entry
                .rights
                .entry((principal, Privilege::Member))
                .or_default()
                .others = true;
        }
    }
    for target in other.inventory.groups.keys().cloned().chain(meant).chain(found) {
        claims.targets.entry(target).or_default().group_of_others = true;
    }
}

/// Awaits nobody where somebody holds already.
fn hand_over(claims: &mut Claims, others: &[&Claimant]) {
    for (target, claimed) in &mut claims.targets {
        let mut holders = others.iter();
        claimed.group_awaited &= !holders.any(|other| other.inventory.groups.contains_key(target));
        for (right, claim) in &mut claimed.rights {
            let grant = Grant::of(target, right);
            let mut holders = others.iter();
            claim.awaited &= !holders.any(|other| other.inventory.rows.contains_key(&grant));
        }
    }
}

fn label_held(claims: &mut Claims, held: &BTreeSet<Target>, world: &World) {
    for target in held {
        let entry = claims.targets.entry(target.clone()).or_default();
        if entry.label.is_empty() {
            let observed = world.observed.get(target);
            let group = observed.and_then(|observed| observed.group.as_ref());
            entry.label = group.map_or_else(
                || target.label(),
                |group| {
                    let name = group.name.clone();
                    let system = target.system();
                    Named::Group { system, name }.label()
                },
            );
        }
    }
}

/// A connection that cannot be used may be the one through which a held right is declared. What is held in systems
/// that no other declaration speaks of is left alone until that is known.
fn leave_unknown(claims: &mut Claims, held: &BTreeSet<Target>, me: &Claimant) {
    let groups = me.declared.groups.iter().map(|group| group.named.system());
    let rights = me.declared.rights.iter().map(|right| right.on.system());
    let spoken_of: BTreeSet<System> = groups.chain(rights).collect();
    let unknown = held.iter().filter(|target| {
        let system = target.system();
        me.declared.blind.contains(&system.kind()) && !spoken_of.contains(&system)
    });
    claims.frozen.extend(unknown.cloned());
}

/// A claimant's team as one system knows it; `None`: no team, or nobody could be asked.
pub(super) fn people(claimant: &Claimant, system: &System, world: &World) -> Option<Resolved> {
    let team = claimant.team.as_ref()?;
    Some(resolve(team, world.directories.get(system)?, &claimant.pins))
}
