//! Reads directories, names and targets through the adapters; what fails is noted, and the rest goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use kube::ResourceExt;
use lockstep_core::api::AccessBinding;
use lockstep_core::api::access_binding::Intent;
use lockstep_core::domain::access::claims::{Claimant, World};
use lockstep_core::domain::access::declared::{ConnectionFacts, Declared};
use lockstep_core::domain::access::grant::{System, Target};
use lockstep_core::domain::access::names::gerrit_group_uuid;
use lockstep_core::domain::access::observed::{Located, Named, Observed};
use lockstep_core::domain::access::pins::Pin;
use lockstep_core::domain::access::trust::{Through, Ways};
use lockstep_core::domain::plan::Problem;
use lockstep_core::domain::ports::{AccessSystem, ConnectionKey, SystemError, SystemErrorKind};

use super::super::super::Context;
use super::connections::{all_connections, connections_of, facts, has_entry, is_going, systems_of};

/// Readings under way at once for one binding; the connection's own budget is what really limits.
const READS: usize = 8;

/// What was read so far, and through what.
pub(super) struct Reader<'a> {
    pub(super) context: &'a Context,
    pub(super) fresh: Timestamp,
    /// The same for directories.
    pub(super) people: Timestamp,
    pub(super) systems: BTreeMap<System, Arc<dyn AccessSystem>>,
    /// The connection behind each of them.
    pub(super) ways: Ways,
    pub(super) world: World,
    pub(super) errors: Vec<SystemError>,
}

impl Reader<'_> {
    /// Opens the way to these systems.
    async fn open(&mut self, connection: &ConnectionKey, systems: impl IntoIterator<Item = System>) {
        match self.context.systems.open(connection).await {
            Ok(adapter) => {
                for system in systems {
                    self.ways.insert(system.clone(), connection.clone());
                    self.systems.insert(system, adapter.clone());
                }
            }
            Err(error) => {
                self.world.frozen.extend(systems);
                self.fail(connection.to_string(), error);
            }
        }
    }

    /// Opens what a declaration needs. What is held behind a connection that cannot be used now stays as it is.
    pub(super) async fn open_declared(&mut self, declared: &Declared, through: &Through, namespace: &str) {
        let cluster = self.context.cluster.clone();
        let ways = declared.ways();
        for connection in &declared.connections {
            let usable = facts(&*cluster, connection, namespace)
                .is_ok_and(|ConnectionFacts { tenancy, .. }| tenancy.is_some());
            let reached = systems_of(&*cluster, connection).into_iter();
            if usable {
                let by_it: Vec<_> = ways.iter().filter(|(_, way)| *way == connection).collect();
                let systems: Vec<System> = by_it.into_iter().map(|(system, _)| system.clone()).collect();
                self.open(connection, systems).await;
            } else {
                let gave = |system: &System| through.get(&system.to_string()) == Some(connection);
                let stays = reached.filter(|system| !ways.contains_key(system) || gave(system));
                self.world.frozen.extend(stays);
            }
        }
    }

    /// Opens a way to a system that nothing is declared in any more, to take back what was given there: the one by
    /// which it was given, or, when that connection is gone, one of the binding's own or of the same owner that lets
    /// this namespace in. Answers whether there is hope that one ever will.
    pub(super) async fn reach(
        &mut self,
        system: &System,
        binding: &AccessBinding,
        through: Option<&ConnectionKey>,
    ) -> bool {
        let cluster = self.context.cluster.clone();
        let namespace = binding.namespace().unwrap_or_default();
        let own = connections_of(binding);
        let mut usable: Vec<_> = all_connections(&*cluster)
            .into_iter()
            .filter(|key| systems_of(&*cluster, key).contains(system))
            .collect();
        if through.is_some_and(|key| usable.contains(key)) {
            usable.retain(|key| Some(key) == through);
        } else {
            let same_owner =
                |key: &ConnectionKey| through.is_some_and(|gone| gone.namespace == key.namespace);
            usable.retain(|key| {
                (own.contains(key) || same_owner(key)) && has_entry(&*cluster, key, &namespace)
            });
            usable.sort_by_key(|key| (!own.contains(key), key.clone()));
        }
        let before = self.errors.len();
        for connection in &usable {
            self.open(connection, [system.clone()]).await;
            if self.systems.contains_key(system) {
                // What stands in the way of the others is not ours to report.
                self.errors.truncate(before);
                self.world.frozen.remove(system);
                return true;
            }
        }
        // A connection that is going, its credential gone before it, as in a deleted namespace, comes back no more.
        let lost = self.errors[before..]
            .iter()
            .all(|error| matches!(error.kind, SystemErrorKind::Connection(_)));
        !(lost && usable.iter().all(|key| is_going(&*cluster, key)))
    }

    pub(super) fn fail(&mut self, label: String, error: SystemError) {
        let problem = Problem {
            label: label.clone(),
            reason: Some(error.reason()),
            message: error.message.clone(),
        };
        self.world.failures.insert(label, problem);
        self.errors.push(error);
    }

    /// Reads directories, names and targets of this binding and of whoever shares them.
    pub(super) async fn read(
        &mut self,
        me: &Claimant,
        others: &[&Claimant],
        intents: &[Intent],
        strays: &BTreeSet<System>,
    ) {
        // Whoever shares a group has people in it too: who they are must be known before anybody is taken for a stranger.
        let teams = std::iter::once(me)
            .chain(others.iter().copied())
            .filter(|claimant| claimant.team.is_some());
        let homes: BTreeSet<System> = teams
            .flat_map(|claimant| claimant.declared.groups.iter().map(|group| group.named.system()))
            .collect();
        for system in homes {
            if !self.world.directories.contains_key(&system) {
                self.read_directory(&system).await;
            }
        }
        let mut names: BTreeSet<Named> = BTreeSet::new();
        for claimant in std::iter::once(me).chain(others.iter().copied()) {
            for group in &claimant.declared.groups {
                names.insert(group.named.clone());
                names.extend(group.owner.iter().map(|owner| Named::Group {
                    system: group.named.system(),
                    name: owner.clone(),
                }));
            }
            names.extend(claimant.declared.rights.iter().map(|right| right.on.clone()));
        }
        names.extend(me.declared.frozen.iter().cloned());
        for target in me.inventory.targets() {
            if let Target::NewGroup { system, name } = target {
                names.insert(Named::Group { system, name });
            }
        }
        let mut targets: BTreeSet<Target> = me.inventory.targets();
        // What was begun is looked up, whether or not anything is declared there any more.
        for target in begun(intents) {
            if let Target::NewGroup { system, name } = target {
                names.insert(Named::Group { system, name });
            } else {
                targets.insert(target);
            }
        }
        // What things were called elsewhere is asked again by the connection that leads there now.
        let elsewhere = me.pins.iter().filter_map(Pin::named);
        names.extend(elsewhere.filter(|named| strays.contains(&named.system())));
        targets.extend(me.pins.iter().filter_map(|pin| pin.means.parse().ok()));
        let wanted: Vec<_> = names
            .into_iter()
            .filter_map(|named| Some((self.systems.get(&named.system())?.clone(), named)))
            .collect();
        let fresh = self.fresh;
        // Everything that somebody may have given already.
        let known: BTreeSet<Target> = intents
            .iter()
            .filter_map(|intent| intent.target.parse().ok())
            .chain(others.iter().flat_map(|other| other.inventory.targets()))
            .chain(targets.iter().cloned())
            .collect();
        let located = at_once(wanted.into_iter().map(|(adapter, named)| {
            async move {
                let answer = match &named {
                    Named::Plain(target) => Ok(Located::At(target.clone())),
                    named => adapter.locate(named, fresh).await,
                };
                (named, answer)
            }
            .boxed()
        }))
        .await;
        for (named, answer) in located {
            match answer {
                Ok(found) => {
                    match (&found, &named) {
                        (Located::At(target), _) => {
                            targets.insert(target.clone());
                        }
                        (
                            Located::Absent,
                            Named::Group {
                                system: System::Gerrit(server),
                                name,
                            },
                        ) => {
                            let uuid = gerrit_group_uuid(server, name);
                            let target = Target::GerritGroup {
                                server: server.clone(),
                                uuid,
                            };
                            if known.contains(&target) {
                                targets.insert(target);
                            } else {
                                // To prove that it is not there costs three calls; to create it in the belief that
                                // it is not fails harmlessly.
                                self.absent(target);
                            }
                        }
                        (Located::Absent, Named::Group { system, name }) => {
                            targets.insert(Target::NewGroup {
                                system: system.clone(),
                                name: name.clone(),
                            });
                        }
                        _ => {}
                    }
                    self.world.located.insert(named, found);
                }
                Err(error) => self.fail(named.label(), error),
            }
        }
        for unclear in self.read_labels(me).await {
            targets.remove(&unclear);
        }
        self.observe(targets).await;
    }

    /// A listing that was fresh enough did not show it.
    fn absent(&mut self, target: Target) {
        let taken = self.fresh.min(self.context.clock.now());
        let absent = Observed::absent(target.clone(), taken);
        self.world.observed.insert(target, Arc::new(absent));
    }

    async fn read_directory(&mut self, system: &System) {
        let Some(adapter) = self.systems.get(system).cloned() else {
            return;
        };
        match adapter.directory(system, self.people).await {
            Ok(directory) => {
                self.world.directories.insert(system.clone(), directory);
            }
            Err(error) => self.fail(format!("people of {system}"), error),
        }
    }

    async fn observe(&mut self, targets: BTreeSet<Target>) {
        let fresh = self.fresh;
        let mut reads = Vec::new();
        for target in targets {
            if self.world.frozen.contains(&target.system()) {
                continue;
            }
            if matches!(target, Target::NewGroup { .. }) {
                self.absent(target);
            } else if let Some(adapter) = self.systems.get(&target.system()) {
                reads.push((adapter.clone(), target));
            }
        }
        let observed = at_once(reads.into_iter().map(|(adapter, target)| {
            async move {
                let answer = adapter.observe(&target, fresh).await;
                (target, answer)
            }
            .boxed()
        }))
        .await;
        for (target, answer) in observed {
            match answer {
                Ok(observed) => {
                    self.world.observed.insert(target, observed);
                }
                Err(error) => self.fail(target.label(), error),
            }
        }
    }
}

/// Targets of writes that were begun.
pub(super) fn begun(intents: &[Intent]) -> impl Iterator<Item = Target> {
    intents.iter().filter_map(|intent| intent.target.parse().ok())
}

/// Runs readings side by side, a few at once, and keeps their order.
pub(super) async fn at_once<T: Send + 'static>(reads: impl Iterator<Item = BoxFuture<'static, T>>) -> Vec<T> {
    let reads: Vec<_> = reads.collect();
    futures::stream::iter(reads).buffered(READS).collect().await
}
