//! Whose word counts where. Anybody may make a connection of their own to a system that others use too, so what the
//! owner of one connection allows is nothing to the owner of another: a system is written through one connection, and
//! there only what the tenants of that very connection admit is a claim.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::{Claimant, World};
use super::declared::{Declared, DeclaredGroup, DeclaredRight};
use super::grant::{Privilege, System, Target};
use super::inventory::Inventory;
use super::observed::{Located, Named};
use super::reach::Tenancy;
use crate::api::access_binding::HeldThrough;
use crate::api::condition::Reason;
use crate::api::objects::ObjectName;
use crate::domain::plan::Problem;
use crate::domain::ports::{ConnectionKey, ConnectionKind};

/// The one connection for each system.
pub type Ways = BTreeMap<System, ConnectionKey>;

/// The connection through which what is held in a system was given, by the system's address.
pub type Through = BTreeMap<String, ConnectionKey>;

impl Declared {
    /// The connection through which each declared system is reached.
    pub fn ways(&self) -> Ways {
        let mut ways = Ways::new();
        let groups = self.groups.iter().map(|row| (&row.named, &row.connection));
        let rights = self.rights.iter().map(|row| (&row.on, &row.connection));
        for (named, connection) in groups.chain(rights) {
            ways.entry(named.system()).or_insert_with(|| connection.clone());
        }
        ways
    }

    /// Refuses what would reach a system by a second connection: with whose rights it is written must not depend on
    /// which of the two comes first.
    pub(super) fn keep_to_one_way(&mut self) {
        let ways = self.ways();
        let mut strays: Vec<(Named, ConnectionKey)> = Vec::new();
        let mut keeps = |named: &Named, connection: &ConnectionKey| {
            let keeps = ways.get(&named.system()) == Some(connection);
            if !keeps {
                strays.push((named.clone(), connection.clone()));
            }
            keeps
        };
        self.groups.retain(|row| keeps(&row.named, &row.connection));
        self.rights.retain(|row| keeps(&row.on, &row.connection));
        for (named, connection) in strays {
            let system = named.system();
            let first = ways.get(&system).map_or_else(String::new, ToString::to_string);
            self.problem(Problem {
                label: named.label(),
                reason: Some(Reason::InvalidSpec),
                message: format!(
                    "{connection} and {first} both reach {system}: name one of them in the whole binding"
                ),
            });
            self.frozen.insert(named);
        }
    }
}

/// What another binding declares, as far as it counts where our ways lead: what went by our own connection, and what
/// our connection would have admitted too. `judged` is the same declaration as our connection's tenants judge it.
pub fn admitted(declared: Declared, ways: &Ways, judged: &dyn Fn(&ConnectionKey) -> Declared) -> Declared {
    let Declared {
        groups,
        rights,
        problems,
        // What is out of another's reach is no claim of theirs.
        frozen: _,
        blind,
        connections,
    } = declared;
    let mut verdicts: BTreeMap<ConnectionKey, Declared> = BTreeMap::new();
    let mut verdict = |named: &Named, connection: &ConnectionKey| {
        let way = ways.get(&named.system()).filter(|way| *way != connection)?;
        let verdict = verdicts.entry(way.clone()).or_insert_with(|| judged(way));
        Some(verdict.clone())
    };
    let groups: Vec<DeclaredGroup> = groups
        .into_iter()
        .filter(|row| verdict(&row.named, &row.connection).is_none_or(|verdict| verdict.groups.contains(row)))
        .collect();
    let rights: Vec<DeclaredRight> = rights
        .into_iter()
        .filter_map(|mut row| {
            let Some(verdict) = verdict(&row.on, &row.connection) else {
                return Some(row);
            };
            let same = |other: &&DeclaredRight| {
                (&other.on, &other.group, &other.connection) == (&row.on, &row.group, &row.connection)
            };
            let allowed: BTreeSet<Privilege> = verdict
                .rights
                .iter()
                .filter(same)
                .flat_map(|other| other.privileges.iter().cloned())
                .collect();
            row.privileges.retain(|privilege| allowed.contains(privilege));
            (!row.privileges.is_empty()).then_some(row)
        })
        .collect();
    Declared {
        groups,
        rights,
        problems,
        frozen: BTreeSet::new(),
        blind,
        connections,
    }
}

/// Systems on our ways in which what a claimant remembers may have come by another connection: it holds something
/// there through another one, or something through nobody knows what while it names another one that leads there.
pub fn doubted(
    named: &BTreeSet<ConnectionKey>,
    through: &Through,
    ways: &Ways,
    reaches: &dyn Fn(&ConnectionKey) -> Vec<System>,
) -> BTreeSet<System> {
    let strays: BTreeSet<System> = named
        .iter()
        .flat_map(|key| reaches(key).into_iter().map(move |system| (system, key)))
        .filter(|(system, key)| ways.get(system).is_some_and(|way| way != *key))
        .map(|(system, _)| system)
        .collect();
    let doubts = |(system, way): &(&System, &ConnectionKey)| match through.get(&system.to_string()) {
        Some(given) => given != *way,
        None => strays.contains(*system),
    };
    ways.iter()
        .filter(doubts)
        .map(|(system, _)| system.clone())
        .collect()
}

/// Forgets what a claimant remembers of doubted systems, but for those rights that our own connection would let it
/// give there. What targets are called, our own reading says.
pub fn believe(
    claimant: &mut Claimant,
    doubted: &BTreeSet<System>,
    world: &World,
    tenancy: &dyn Fn(&System) -> Option<Tenancy>,
) {
    if doubted.is_empty() {
        return;
    }
    let addresses: BTreeSet<String> = doubted.iter().map(ToString::to_string).collect();
    claimant.pins.retain(|pin| !addresses.contains(&pin.system));
    let counts = |target: &Target, privilege: &Privilege| {
        let system = target.system();
        !doubted.contains(&system)
            || tenancy(&system)
                .is_some_and(|tenancy| tenancy.admits(target, name(target, world).as_ref(), privilege))
    };
    let Inventory {
        rows,
        groups,
        authoritative,
    } = &mut claimant.inventory;
    rows.retain(|grant, _| counts(&grant.target, &grant.privilege));
    groups.retain(|target, _| counts(target, &Privilege::Member));
    authoritative.retain(|target| counts(target, &Privilege::Member));
}

/// Systems in which something is held that was given through another connection than the one that leads there now, or
/// through nobody knows which.
pub fn strays(inventory: &Inventory, through: &Through, ways: &Ways) -> BTreeSet<System> {
    let systems: BTreeSet<System> = inventory.targets().iter().map(Target::system).collect();
    let stray = |system: &System| {
        ways.get(system)
            .is_some_and(|way| through.get(&system.to_string()) != Some(way))
    };
    systems.into_iter().filter(stray).collect()
}

/// Held targets that may not be touched through the connection that now leads there: they were given through another
/// one, and this one's tenants would not let all of it be given.
pub fn beyond(
    inventory: &Inventory,
    strays: &BTreeSet<System>,
    world: &World,
    tenancy: &dyn Fn(&System) -> Option<Tenancy>,
) -> BTreeSet<Target> {
    let mut beyond = BTreeSet::new();
    for target in inventory.targets() {
        let system = target.system();
        let absent = world.observed.get(&target).is_some_and(|seen| !seen.present);
        if !strays.contains(&system) || absent {
            continue;
        }
        let name = name(&target, world);
        let admits = |tenancy: Tenancy| {
            let mut held = inventory.on(&target).map(|((_, privilege), _)| privilege);
            let group = !inventory.groups.contains_key(&target)
                || tenancy.admits(&target, name.as_ref(), &Privilege::Member);
            group && held.all(|privilege| tenancy.admits(&target, name.as_ref(), &privilege))
        };
        if !tenancy(&system).is_some_and(admits) {
            beyond.insert(target);
        }
    }
    beyond
}

/// What our own reading calls a target.
fn name(target: &Target, world: &World) -> Option<ObjectName> {
    let group = world.observed.get(target).and_then(|seen| seen.group.as_ref());
    if let Some(group) = group {
        return Some(ObjectName::Name(group.name.clone()));
    }
    world
        .located
        .iter()
        .find_map(|(named, located)| match (named, located) {
            (Named::Object { name, .. }, Located::At(at)) if at == target => Some(name.clone()),
            (Named::Group { name, .. }, Located::At(at)) if at == target => {
                Some(ObjectName::Name(name.clone()))
            }
            _ => None,
        })
}

impl Tenancy {
    /// Whether this right could be given on a target.
    fn admits(&self, target: &Target, name: Option<&ObjectName>, privilege: &Privilege) -> bool {
        let verdict = match (target, privilege) {
            (Target::GerritGroup { .. } | Target::Group { .. }, _) => match name {
                Some(ObjectName::Name(name) | ObjectName::Id(name)) => self.target_group(name),
                None => return false,
            },
            (Target::NewGroup { name, .. }, _) => self.target_group(name),
            (
                Target::GerritRef {
                    project, ref_name, ..
                },
                _,
            ) => self.ref_right(project, ref_name, privilege),
            (Target::Roles { application_id, .. }, Privilege::Role(role)) => {
                self.service_principal(application_id, role)
            }
            (Target::Workspace { workspace }, _) => self.workspace(workspace, privilege),
            (Target::Object { kind, id, .. }, Privilege::Level(level)) => {
                let by_id = ObjectName::Id(id.clone());
                self.object(kind, name.unwrap_or(&by_id), level)
            }
            (Target::Securable { kind, name, .. }, Privilege::Securable(privilege)) => {
                self.securable(kind, name, privilege)
            }
            _ => return false,
        };
        verdict.is_ok()
    }
}

/// Through which connections what is held from now on was given: by the way that leads there now, unless something
/// held there is beyond it.
pub fn through_now(
    before: &Through,
    ways: &Ways,
    beyond: &BTreeSet<Target>,
    held: &BTreeSet<System>,
) -> Through {
    let apart: BTreeSet<System> = beyond.iter().map(Target::system).collect();
    held.iter()
        .filter_map(|system| {
            let address = system.to_string();
            let way = ways.get(system).filter(|_| !apart.contains(system));
            let key = way.or_else(|| before.get(&address))?.clone();
            Some((address, key))
        })
        .collect()
}

/// As a status holds it.
pub fn write(through: &Through) -> Vec<HeldThrough> {
    let row = |(system, key): (&String, &ConnectionKey)| HeldThrough {
        system: system.clone(),
        kind: key.kind.word().into(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    };
    through.iter().map(row).collect()
}

/// As a status held it.
pub fn read(rows: &[HeldThrough]) -> Through {
    let key = |row: &HeldThrough| {
        let key = ConnectionKey {
            kind: ConnectionKind::parse(&row.kind)?,
            namespace: row.namespace.clone(),
            name: row.name.clone(),
        };
        Some((row.system.clone(), key))
    };
    rows.iter().filter_map(key).collect()
}
