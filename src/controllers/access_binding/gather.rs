//! Reads the object, what it refers to, and the outside world. Nothing here writes.

mod connections;
mod labels;
mod others;
mod reader;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use lockstep_core::api::access_binding::{Intent, InventoryRow};
use lockstep_core::api::condition::Reason;
use lockstep_core::api::reference::OnDelete;
use lockstep_core::api::{AccessBinding, FINALIZER};
use lockstep_core::domain::access::catalog::too_large_a_team;
use lockstep_core::domain::access::claims::{Claimant, World};
use lockstep_core::domain::access::decide::Question;
use lockstep_core::domain::access::declared::{Declared, declare};
use lockstep_core::domain::access::diff::Phase;
use lockstep_core::domain::access::grant::{System, Target};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::access::observed::Named;
use lockstep_core::domain::access::pins;
use lockstep_core::domain::access::safety::is_mass_deletion;
use lockstep_core::domain::access::trust::{self, Ways, beyond, strays};
use lockstep_core::domain::defaults;
use lockstep_core::domain::plan::Problem;
use lockstep_core::domain::ports::{
    AccessSystem, Cluster, ConnectionKey, KeepError, SystemError, SystemErrorKind,
};

pub use connections::{connections_of, depends_on, interval};
use connections::{facts, tenancy};
use reader::{Reader, begun};

use super::super::{Context, governed};
use super::key;

/// Most writes are seen sooner.
const UNSEEN: SignedDuration = SignedDuration::from_secs(6);

/// Everything one pass read.
pub struct Gathered {
    pub question: Question,
    pub systems: BTreeMap<System, Arc<dyn AccessSystem>>,
    /// What could not be read, for classes and messages.
    pub errors: Vec<SystemError>,
    /// What is held cannot be known now: nothing may be written, outside or into the journal.
    pub blind: bool,
    /// Inventory was rebuilt from the record, or is lost.
    pub rebuilt: bool,
    /// Held targets whose connection is gone altogether.
    pub unreachable: BTreeSet<System>,
    /// The connection behind each system.
    pub ways: Ways,
    /// Held targets that are not this connection's to take back.
    pub beyond: BTreeSet<Target>,
    pub taken: Timestamp,
}

impl Gathered {
    /// Whether no connection that may be used will ever take back what is held there.
    pub fn is_lost(&self, target: &Target) -> bool {
        self.unreachable.contains(&target.system()) || self.beyond.contains(target)
    }
}

/// The oldest readings that a pass may rest on. Who somebody is does not change with what we write; what a target
/// holds does.
#[derive(Clone, Copy, Debug)]
pub struct Oldest {
    pub people: Timestamp,
    pub targets: Timestamp,
}

impl Oldest {
    pub fn all(fresh: Timestamp) -> Self {
        Self {
            people: fresh,
            targets: fresh,
        }
    }
}

/// Reads everything for one binding. Readings are at least as fresh as asked.
pub async fn gather(binding: &AccessBinding, context: &Context, oldest: Oldest) -> Gathered {
    let cluster = &*context.cluster;
    let namespace = binding.namespace().unwrap_or_default();
    let status = binding.status.clone().unwrap_or_default();
    let deleting = binding.metadata.deletion_timestamp.is_some();
    let has_finalizer = is_ours(binding);
    let intents = status.intents.clone().unwrap_or_default();
    let known = pins::read(status.pins.as_deref().unwrap_or_default());
    let through = trust::read(status.through.as_deref().unwrap_or_default());
    let mut unread = Vec::new();
    let (inventory, rebuilt, lost) = match inventory_of(
        status.inventory.as_deref(),
        has_finalizer,
        &namespace,
        &binding.name_any(),
        context,
    )
    .await
    {
        Ok(found) => found,
        // A record that cannot be read now is not a record that says nothing: remove nothing, and come back.
        Err(error) => {
            let error = SystemError::new("memory", SystemErrorKind::Unreachable, error.to_string());
            unread.push(error);
            (Inventory::default(), false, true)
        }
    };
    // A reading of a target must be newer than what was written and not yet seen.
    let Oldest { people, targets } = oldest;
    let newest = intents.iter().map(|intent| intent.since);
    let confirming = inventory
        .rows
        .values()
        .chain(inventory.groups.values())
        .filter_map(|held| held.confirming);
    let written = newest.chain(confirming).max();
    let fresh = written.map_or(targets, |written| {
        targets.max(halfway(written, context.clock.now()))
    });

    let mut reader = Reader {
        context,
        fresh,
        people,
        systems: BTreeMap::new(),
        ways: Ways::new(),
        world: World {
            governed: governed::branches(context),
            ..World::default()
        },
        errors: unread,
    };
    let blind = !reader.errors.is_empty();
    let ask = |key: &ConnectionKey| facts(cluster, key, &namespace);
    let mut declared = if deleting {
        Declared::default()
    } else {
        declare(&binding.spec, &namespace, &ask)
    };
    reader.open_declared(&declared, &through, &namespace).await;
    let mut unreachable = BTreeSet::new();
    let left_alone = reader.world.frozen.clone();
    let held = inventory.targets().into_iter().chain(begun(&intents));
    for system in held.map(|target| target.system()).collect::<BTreeSet<_>>() {
        if reader.systems.contains_key(&system) || left_alone.contains(&system) {
            continue;
        }
        let given = through.get(&system.to_string());
        if !reader.reach(&system, binding, given).await {
            unreachable.insert(system);
        }
    }
    let others = reader.others(binding, &inventory, &known).await;
    let team = match &binding.spec.members {
        Some(members) if !deleting => Some(reader.team(members, &namespace).await),
        _ => None,
    };
    if let Some(team) = &team {
        reader.errors.extend(team.errors.iter().cloned());
    }
    let source_empty = team.as_ref().and_then(|team| team.empty.clone());
    let team = team.map(|team| team.declared_in(&mut declared));
    let mut me = Claimant {
        key: key(binding),
        created: binding
            .creation_timestamp()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        declared,
        team,
        inventory,
        pins: known,
    };
    let people = me.team.as_ref().map_or(0, Vec::len);
    let homes: BTreeSet<System> = me
        .declared
        .groups
        .iter()
        .map(|group| group.named.system())
        .collect();
    if let Some(why) = too_large_a_team(people, homes.len()) {
        return too_large(me, why, intents, reader, binding);
    }
    let them: Vec<&Claimant> = others.iter().map(|(other, _)| other).collect();
    let strays = strays(&me.inventory, &through, &reader.ways);
    reader.read(&me, &them, &intents, &strays).await;
    let others = reader.believed(others);
    let beyond = leave_beyond(&mut me, &strays, &reader, &namespace);
    let question = question(
        binding,
        me,
        others,
        reader.world,
        intents,
        lost,
        source_empty,
        cluster,
    );
    Gathered {
        question,
        systems: reader.systems,
        errors: reader.errors,
        blind,
        rebuilt,
        unreachable,
        ways: reader.ways,
        beyond,
        taken: fresh,
    }
}

/// How fresh a reading must be to show a write: newer than the write, and the longer nothing shows it the fresher,
/// because a reading that did not show it is shared by all who ask for nothing newer.
fn halfway(written: Timestamp, now: Timestamp) -> Timestamp {
    let since = now.duration_since(written);
    if since < UNSEEN {
        return written;
    }
    written.checked_add(since / 2).unwrap_or(written)
}

/// Leaves alone what was given through a connection that is not the one used now, where this one's tenants do not
/// cover it.
fn leave_beyond(
    me: &mut Claimant,
    strays: &BTreeSet<System>,
    reader: &Reader<'_>,
    namespace: &str,
) -> BTreeSet<Target> {
    let cluster = &*reader.context.cluster;
    let of = |system: &System| tenancy(cluster, reader.ways.get(system)?, namespace);
    let beyond = beyond(&me.inventory, strays, &reader.world, &of);
    for target in &beyond {
        let way = reader
            .ways
            .get(&target.system())
            .map_or_else(String::new, ToString::to_string);
        me.declared.frozen.insert(Named::Plain(target.clone()));
        me.declared.problems.push(Problem {
            label: target.label(),
            reason: Some(Reason::OutOfReach),
            message: format!(
                "is held through another connection, and {way} does not reach it for this namespace: it stays as it is"
            ),
        });
    }
    beyond
}

fn too_large(
    mut me: Claimant,
    message: String,
    intents: Vec<Intent>,
    reader: Reader<'_>,
    binding: &AccessBinding,
) -> Gathered {
    me.declared
        .frozen
        .extend(me.declared.groups.drain(..).map(|group| group.named));
    me.declared.rights.clear();
    me.declared.problems.push(Problem {
        label: "members".into(),
        reason: Some(Reason::TooLarge),
        message,
    });
    let mut world = reader.world;
    world.frozen.extend(reader.systems.keys().cloned());
    let cluster = &*reader.context.cluster;
    let question = question(binding, me, Vec::new(), world, intents, false, None, cluster);
    Gathered {
        question,
        systems: reader.systems,
        errors: reader.errors,
        blind: false,
        rebuilt: false,
        unreachable: BTreeSet::new(),
        ways: reader.ways,
        beyond: BTreeSet::new(),
        taken: reader.fresh,
    }
}

/// The pure question from what was read.
#[allow(clippy::too_many_arguments)]
pub fn question(
    binding: &AccessBinding,
    me: Claimant,
    others: Vec<Claimant>,
    world: World,
    intents: Vec<Intent>,
    inventory_lost: bool,
    source_empty: Option<String>,
    cluster: &dyn Cluster,
) -> Question {
    let deleting = binding.metadata.deletion_timestamp.is_some();
    let mass_deletion = deleting.then(|| mass_deletion(binding, cluster)).flatten();
    Question {
        phase: if deleting { Phase::Deleting } else { Phase::Living },
        limits: defaults::limits(binding.spec.safety.as_ref()),
        orphan: deleting && defaults::on_delete(&binding.spec) == OnDelete::Orphan,
        me,
        others,
        world,
        intents,
        inventory_lost,
        source_empty,
        mass_deletion,
    }
}

fn mass_deletion(binding: &AccessBinding, cluster: &dyn Cluster) -> Option<String> {
    if cluster.kind_is_going("AccessBinding") {
        return Some("the CRD of AccessBinding itself is being deleted, and every binding with it".into());
    }
    let mine = connections_of(binding);
    let counts = |other: &AccessBinding| mine.iter().any(|key| depends_on(cluster, other, key));
    // Who goes without our finalizer takes nothing away, and is gone already as far as we are concerned.
    let mut going: BTreeMap<Option<String>, bool> = cluster
        .bindings()
        .into_iter()
        .filter(|other| counts(other))
        .filter_map(|other| match other.metadata.deletion_timestamp {
            None => Some((other.uid(), false)),
            Some(_) => is_ours(&other).then(|| (other.uid(), true)),
        })
        .collect();
    // One after another they are as many: those that went shortly before this one count although they are gone.
    let began = binding.metadata.deletion_timestamp.as_ref()?.0;
    let since = began
        .checked_sub(SignedDuration::from_secs(defaults::FLOOD))
        .unwrap_or(began);
    let gone = cluster.deletions(since);
    going.extend(
        gone.iter()
            .filter(|other| counts(other))
            .map(|other| (other.uid(), true)),
    );
    let (all, going) = (going.len(), going.values().filter(|going| **going).count());
    is_mass_deletion(going, all).then(|| {
        format!(
            "{going} of the connection's {all} bindings are being deleted, or were within {} minutes of this one",
            defaults::FLOOD / 60
        )
    })
}

/// Whether we have something to do before the object may go.
fn is_ours(binding: &AccessBinding) -> bool {
    binding
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
}

async fn inventory_of(
    rows: Option<&[InventoryRow]>,
    has_finalizer: bool,
    namespace: &str,
    name: &str,
    context: &Context,
) -> Result<(Inventory, bool, bool), KeepError> {
    if let Some(rows) = rows {
        let (inventory, unreadable) = Inventory::read(rows);
        if unreadable.is_empty() {
            return Ok((inventory, false, false));
        }
        // Written by a newer version: what is not understood must not be lost by writing the rest anew.
        return Err(KeepError {
            what: "status.inventory",
            message: format!("this version does not understand: {}", unreadable.join("; ")),
        });
    }
    // Without a finalizer it is new, or somebody took the finalizer away and made the object again.
    if !has_finalizer && !context.record.may_hold(namespace, name).await? {
        return Ok((Inventory::default(), false, false));
    }
    match context.record.inventory_of(namespace, name).await? {
        Some(rows) if rows.is_empty() && !has_finalizer => Ok((Inventory::default(), false, false)),
        Some(rows) => Ok((Inventory::read(&rows).0, true, false)),
        // The finalizer says that something was held, neither status nor record does: it was lost.
        None => Ok((Inventory::default(), false, has_finalizer)),
    }
}
