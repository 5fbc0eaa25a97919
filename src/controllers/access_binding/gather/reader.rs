//! Reads directories, names and targets through the adapters; what fails is noted, and the rest goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use kube::ResourceExt;
use lockstep_core::api::AccessBinding;
use lockstep_core::api::access_binding::Intent;
use lockstep_core::api::reference::Mode;
use lockstep_core::domain::access::claims::{Claimant, World};
use lockstep_core::domain::access::declared::{claim_words, declare};
use lockstep_core::domain::access::grant::{System, Target};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::access::names::gerrit_group_uuid;
use lockstep_core::domain::access::observed::{Located, Named, Observed};
use lockstep_core::domain::access::pins::{self, Pin};
use lockstep_core::domain::defaults;
use lockstep_core::domain::plan::Problem;
use lockstep_core::domain::ports::{AccessSystem, Cluster, ConnectionKey, SystemError, SystemErrorKind};

use super::super::super::Context;
use super::super::key;
use super::connections::{all_connections, connections_of, facts, is_going, systems_of};

/// Readings under way at once for one binding; the connection's own budget is what really limits.
const READS: usize = 8;

/// What was read so far, and through what.
pub(super) struct Reader<'a> {
    pub(super) context: &'a Context,
    pub(super) fresh: Timestamp,
    /// The same for directories.
    pub(super) people: Timestamp,
    pub(super) systems: BTreeMap<System, Arc<dyn AccessSystem>>,
    pub(super) world: World,
    pub(super) errors: Vec<SystemError>,
}

impl Reader<'_> {
    pub(super) async fn open(&mut self, connection: &ConnectionKey, cluster: &dyn Cluster) {
        match self.context.systems.open(connection).await {
            Ok(system) => {
                for reached in systems_of(cluster, connection) {
                    self.systems.entry(reached).or_insert_with(|| system.clone());
                }
            }
            Err(error) => {
                self.world.frozen.extend(systems_of(cluster, connection));
                self.fail(connection.to_string(), error);
            }
        }
    }

    /// Opens whichever connection still reaches a system, to take back what was given there: a line was removed, or
    /// the object goes. Answers whether there is hope that one ever will.
    pub(super) async fn reach(&mut self, system: &System, binding: &AccessBinding) -> bool {
        let cluster = self.context.cluster.clone();
        let own = connections_of(binding);
        let mut usable: Vec<_> = all_connections(&*cluster)
            .into_iter()
            .filter(|key| systems_of(&*cluster, key).contains(system))
            .collect();
        // Another's connection only where no own one answers.
        usable.sort_by_key(|key| !own.contains(key));
        let before = self.errors.len();
        for connection in &usable {
            self.open(connection, &*cluster).await;
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

    fn fail(&mut self, label: String, error: SystemError) {
        let problem = Problem {
            label: label.clone(),
            reason: Some(error.reason()),
            message: error.message.clone(),
        };
        self.world.failures.insert(label, problem);
        self.errors.push(error);
    }

    /// Other bindings that may meet this one on a target.
    pub(super) async fn others(
        &mut self,
        binding: &AccessBinding,
        inventory: &Inventory,
        pins: &[Pin],
    ) -> Vec<Claimant> {
        let mut words = claim_words(&binding.spec);
        words.extend(pins.iter().filter_map(|pin| {
            let (kind, name) = pin.name.split_once('/').filter(|(kind, _)| *kind != "person")?;
            Some(if kind == "group" {
                format!("group {}", name.to_lowercase())
            } else {
                format!("{kind} {name}")
            })
        }));
        words.extend(inventory.targets().into_iter().filter_map(|target| match target {
            Target::GerritRef {
                project, ref_name, ..
            } => Some(format!("ref {project} {ref_name}")),
            Target::Securable { kind, name, .. } => Some(format!("{kind} {name}")),
            Target::Roles { application_id, .. } => Some(format!("servicePrincipal {application_id}")),
            _ => None,
        }));
        let cluster = &*self.context.cluster;
        let mut others = Vec::new();
        for other in cluster.claimants(&words) {
            let counts = other.uid() != binding.uid()
                && other.metadata.deletion_timestamp.is_none()
                && defaults::mode(&other.spec) == Mode::Enforce;
            if !counts {
                continue;
            }
            let namespace = other.namespace().unwrap_or_default();
            let mut declared = declare(&other.spec, &namespace, &|key| facts(cluster, key, &namespace));
            let team = match &other.spec.members {
                Some(members) => {
                    let team = self.team(members, &namespace).await;
                    Some(team.declared_in(&mut declared))
                }
                None => None,
            };
            let status = other.status.clone().unwrap_or_default();
            others.push(Claimant {
                key: key(&other),
                created: other
                    .creation_timestamp()
                    .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
                declared,
                team,
                inventory: Inventory::read(status.inventory.as_deref().unwrap_or_default()).0,
                pins: pins::read(status.pins.as_deref().unwrap_or_default()),
            });
        }
        others.sort_by(|a, b| a.key.uid.cmp(&b.key.uid));
        others
    }

    /// Reads directories, names and targets of this binding and of whoever shares them.
    pub(super) async fn read(&mut self, me: &Claimant, others: &[Claimant], intents: &[Intent]) {
        // Whoever shares a group has people in it too: who they are must be known before anybody is taken for a stranger.
        let teams = std::iter::once(me)
            .chain(others)
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
        for claimant in std::iter::once(me).chain(others.iter()) {
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

/// Runs readings side by side, a few at once, and keeps their order.
async fn at_once<T: Send + 'static>(reads: impl Iterator<Item = BoxFuture<'static, T>>) -> Vec<T> {
    let reads: Vec<_> = reads.collect();
    futures::stream::iter(reads).buffered(READS).collect().await
}
