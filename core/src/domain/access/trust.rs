//! Whose word counts where. Anybody may make a connection of their own to a system that others use too, so what the
//! owner of one connection allows is nothing to the owner of another: a system is written through one connection, and
//! there only what the tenants of that very connection admit is a claim.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::{Claimant, World};
use super::declared::{Declared, DeclaredGroup, DeclaredRight};
use super::grant::{Privilege, System, Target};
use super::inventory::Inventory;
use super::observed::{Located, Named};
use super::place::place_of_other;
use super::reach::Tenancy;
use crate::api::access_binding::{HeldThrough, RefAction};
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

/// Systems on our ways that a claimant also reaches, or once reached, by another connection: what its status says
/// of them came from there.
pub fn doubted(
    named: &BTreeSet<ConnectionKey>,
    through: &Through,
    ways: &Ways,
    reaches: &dyn Fn(&ConnectionKey) -> Vec<System>,
) -> BTreeSet<System> {
    let by_name = named
        .iter()
        .flat_map(|key| reaches(key).into_iter().map(move |system| (system, key)));
    let mut doubted: BTreeSet<System> = by_name
        .filter(|(system, key)| ways.get(system).is_some_and(|way| way != *key))
        .map(|(system, _)| system)
        .collect();
    doubted.extend(
        ways.iter()
            .filter(|(system, way)| through.get(&system.to_string()).is_some_and(|key| key != *way))
            .map(|(system, _)| system.clone()),
    );
    doubted
}

/// Forgets what a claimant remembers of doubted systems, but for what it holds on targets that it may claim there:
/// where those are, our own reading says.
pub fn believe(claimant: &mut Claimant, doubted: &BTreeSet<System>, world: &World) {
    if doubted.is_empty() {
        return;
    }
    let addresses: BTreeSet<String> = doubted.iter().map(ToString::to_string).collect();
    claimant.pins.retain(|pin| !addresses.contains(&pin.system));
    let groups = claimant.declared.groups.iter().map(|group| &group.named);
    let rights = claimant.declared.rights.iter().map(|right| &right.on);
    let claimed: BTreeSet<Target> = groups
        .chain(rights)
        .filter_map(|named| place_of_other(named, claimant, world).target())
        .collect();
    let Inventory {
        rows,
        groups,
        authoritative,
    } = &mut claimant.inventory;
    let counts = |target: &Target| !doubted.contains(&target.system()) || claimed.contains(target);
    rows.retain(|grant, _| counts(&grant.target));
    groups.retain(|target, _| counts(target));
    authoritative.retain(counts);
}

/// Held targets that may not be touched through the connection that now leads there: they were given through another
/// one, and this one's tenants do not cover them.
pub fn beyond(
    inventory: &Inventory,
    through: &Through,
    ways: &Ways,
    world: &World,
    tenancy: &dyn Fn(&ConnectionKey) -> Option<Tenancy>,
) -> BTreeSet<Target> {
    let mut beyond = BTreeSet::new();
    for (system, way) in ways {
        let given = through.get(&system.to_string());
        if given == Some(way) {
            continue;
        }
        let tenancy = tenancy(way);
        let held = inventory
            .targets()
            .into_iter()
            .filter(|target| target.system() == *system);
        beyond.extend(held.filter(|target| {
            let covered = tenancy
                .as_ref()
                .is_some_and(|tenancy| tenancy.covers(target, name(target, world).as_ref()));
            !covered
        }));
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
    /// Whether a target is within reach at all, whatever the right: enough to take something back.
    fn covers(&self, target: &Target, name: Option<&ObjectName>) -> bool {
        let read = Privilege::Rule {
            permission: "read".into(),
            action: RefAction::Allow,
            force: false,
            range: None,
        };
        match target {
            Target::GerritGroup { .. } | Target::Group { .. } => match name {
                Some(ObjectName::Name(name) | ObjectName::Id(name)) => self.group(name).is_ok(),
                None => false,
            },
            Target::NewGroup { name, .. } => self.group(name).is_ok(),
            Target::GerritRef {
                project, ref_name, ..
            } => self.ref_right(project, ref_name, &read).is_ok(),
            Target::Roles { application_id, .. } => self
                .service_principal(application_id, "roles/servicePrincipal.user")
                .is_ok(),
            Target::Workspace { workspace } => self
                .workspace(workspace, &Privilege::Entitlement(String::new()))
                .is_ok(),
            Target::Object { kind, id, .. } => {
                let by_id = ObjectName::Id(id.clone());
                self.object(kind, name.unwrap_or(&by_id), "CAN_VIEW").is_ok()
            }
            Target::Securable { kind, name, .. } => self.securable(kind, name, "BROWSE").is_ok(),
        }
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
