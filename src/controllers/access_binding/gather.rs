//! Reads the object, what it refers to, and the outside world. Nothing here writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use kube::ResourceExt;
use lockstep_core::api::access_binding::{Intent, Member};
use lockstep_core::api::condition::Reason;
use lockstep_core::api::connection::Use;
use lockstep_core::api::reference::{Mode, OnDelete};
use lockstep_core::api::{AccessBinding, FINALIZER};
use lockstep_core::domain::access::claims::{Claimant, World};
use lockstep_core::domain::access::decide::Question;
use lockstep_core::domain::access::declared::{ConnectionFacts, Declared, claim_words, declare};
use lockstep_core::domain::access::diff::Phase;
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, Privilege, System, Target};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::access::observed::{Located, Named, Observed};
use lockstep_core::domain::access::people::Who;
use lockstep_core::domain::access::reach::Tenancy;
use lockstep_core::domain::access::safety::is_mass_deletion;
use lockstep_core::domain::defaults;
use lockstep_core::domain::plan::Problem;
use lockstep_core::domain::ports::{
    AccessSystem, Cluster, ConnectionKey, ConnectionKind, KeepError, SystemError,
};

use super::super::Context;
use super::key;

/// Readings under way at once for one binding; the connection's own budget is what really limits.
const READS: usize = 8;
/// Databricks nests groups ten deep at most (vendor's limits page).
const NESTING: usize = 10;

/// Everything one pass read.
pub struct Gathered {
    pub question: Question,
    pub systems: BTreeMap<System, Arc<dyn AccessSystem>>,
    /// What could not be read, for classes and messages.
    pub errors: Vec<SystemError>,
    /// Inventory was rebuilt from the record, or is lost.
    pub rebuilt: bool,
    /// Held targets whose connection is gone altogether.
    pub unreachable: BTreeSet<System>,
    pub taken: Timestamp,
}

/// What a connection says of itself; `Err` when it cannot be used now.
fn facts(cluster: &dyn Cluster, key: &ConnectionKey, namespace: &str) -> Result<ConnectionFacts, Problem> {
    let labels = cluster.namespace_labels(namespace);
    let problem = |message: String| Problem {
        label: key.to_string(),
        reason: Some(Reason::DependencyNotReady),
        message,
    };
    let missing = || problem(format!("{key} does not exist"));
    let ready = |conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]| match conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
    {
        Some(condition) if condition.status == "True" => Ok(()),
        Some(condition) => Err(problem(format!(
            "{key} is not Ready ({}): {}",
            condition.reason, condition.message
        ))),
        None => Err(problem(format!("{key} has not been probed yet"))),
    };
    match key.kind {
        ConnectionKind::Gerrit => {
            let connection = cluster
                .gerrit_connection(&key.namespace, &key.name)
                .ok_or_else(missing)?;
            let tenancy = Tenancy::gerrit(
                connection.spec.tenants.as_ref(),
                namespace,
                labels.as_ref(),
                Use::Access,
            );
            let status = connection.status.clone().unwrap_or_default();
            if tenancy.is_some() {
                ready(&status.conditions)?;
            }
            Ok(ConnectionFacts {
                gerrit: status.server,
                workspace: None,
                account: None,
                metastore: None,
                tenancy,
            })
        }
        ConnectionKind::Databricks => {
            let connection = cluster
                .databricks_connection(&key.namespace, &key.name)
                .ok_or_else(missing)?;
            let tenancy = Tenancy::databricks(
                connection.spec.tenants.as_ref(),
                namespace,
                labels.as_ref(),
                Use::Access,
            );
            let status = connection.status.clone().unwrap_or_default();
            if tenancy.is_some() {
                ready(&status.conditions)?;
            }
            Ok(ConnectionFacts {
                gerrit: None,
                workspace: status.workspace_id,
                account: status.account_id,
                metastore: status.metastore_id,
                tenancy,
            })
        }
    }
}

/// The systems a connection is known to reach, whether or not it may be used now.
fn systems_of(cluster: &dyn Cluster, key: &ConnectionKey) -> Vec<System> {
    match key.kind {
        ConnectionKind::Gerrit => cluster
            .gerrit_connection(&key.namespace, &key.name)
            .and_then(|connection| connection.status.as_ref()?.server.clone())
            .map(System::Gerrit)
            .into_iter()
            .collect(),
        ConnectionKind::Databricks => {
            let Some(connection) = cluster.databricks_connection(&key.namespace, &key.name) else {
                return Vec::new();
            };
            let status = connection.status.clone().unwrap_or_default();
            let workspace = status.workspace_id.map(System::Workspace);
            let account = status.account_id.map(System::Account);
            let metastore = status.metastore_id.map(System::Metastore);
            [workspace, account, metastore].into_iter().flatten().collect()
        }
    }
}

/// Every connection in the cluster.
fn all_connections(cluster: &dyn Cluster) -> Vec<ConnectionKey> {
    let key = |kind, meta: &kube::core::ObjectMeta| ConnectionKey {
        kind,
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
    };
    let gerrit = cluster
        .gerrit_connections()
        .into_iter()
        .map(|c| key(ConnectionKind::Gerrit, &c.metadata));
    let databricks = cluster
        .databricks_connections()
        .into_iter()
        .map(|c| key(ConnectionKind::Databricks, &c.metadata));
    gerrit.chain(databricks).collect()
}

struct Reader<'a> {
    context: &'a Context,
    fresh: Timestamp,
    systems: BTreeMap<System, Arc<dyn AccessSystem>>,
    world: World,
    errors: Vec<SystemError>,
}

/// Reads everything for one binding. Readings are at least as fresh as asked.
pub async fn gather(binding: &AccessBinding, context: &Context, fresh: Timestamp) -> Gathered {
    let cluster = &*context.cluster;
    let namespace = binding.namespace().unwrap_or_default();
    let status = binding.status.clone().unwrap_or_default();
    let deleting = binding.metadata.deletion_timestamp.is_some();
    let has_finalizer = binding
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER);
    let intents = status.intents.clone().unwrap_or_default();
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
        // A record that cannot be read now is not a record that says nothing: remove nothing.
        Err(_) => (Inventory::default(), false, true),
    };
    // A reading must be newer than what was written and not yet seen.
    let newest = intents.iter().map(|intent| intent.since);
    let confirming = inventory
        .rows
        .values()
        .chain(inventory.groups.values())
        .filter_map(|held| held.confirming);
    let fresh = newest
        .chain(confirming)
        .max()
        .map_or(fresh, |written| fresh.max(written));

    let mut reader = Reader {
        context,
        fresh,
        systems: BTreeMap::new(),
        world: World::default(),
        errors: Vec::new(),
    };
    let ask = |key: &ConnectionKey| facts(cluster, key, &namespace);
    let mut declared = if deleting {
        Declared::default()
    } else {
        declare(&binding.spec, &namespace, &ask)
    };
    for connection in &declared.connections {
        match ask(connection) {
            Ok(ConnectionFacts { tenancy: Some(_), .. }) => reader.open(connection, cluster).await,
            // What is held behind a connection that cannot be used now stays as it is.
            _ => reader.world.frozen.extend(systems_of(cluster, connection)),
        }
    }
    let mut unreachable = BTreeSet::new();
    for system in inventory
        .targets()
        .iter()
        .map(Target::system)
        .collect::<BTreeSet<_>>()
    {
        if reader.systems.contains_key(&system) || reader.world.frozen.contains(&system) {
            continue;
        }
        // A removed line, or a deletion: whichever connection still reaches the system may take back what we gave.
        let usable: Vec<_> = all_connections(cluster)
            .into_iter()
            .filter(|key| systems_of(cluster, key).contains(&system))
            .collect();
        if usable.is_empty() {
            unreachable.insert(system.clone());
        }
        for connection in usable {
            if !reader.systems.contains_key(&system) {
                reader.open(&connection, cluster).await;
            }
        }
    }
    let mut others = reader
        .others(binding, &inventory, &status.pins.clone().unwrap_or_default())
        .await;
    let team = match &binding.spec.members {
        Some(members) if !deleting => Some(reader.team(members, &namespace).await),
        _ => None,
    };
    let mut source_empty = None;
    let team = team.map(|team| {
        let Team {
            people,
            broken,
            empty,
        } = team;
        source_empty = empty;
        if !broken.is_empty() {
            // Who the team is cannot be known now: nobody comes and nobody goes.
            declared
                .frozen
                .extend(declared.groups.drain(..).map(|group| group.named));
            declared.problems.extend(broken);
        }
        people
    });
    let me = Claimant {
        key: key(binding),
        created: binding
            .creation_timestamp()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        declared,
        team,
        inventory,
        pins: status.pins.clone().unwrap_or_default(),
    };
    if me
        .team
        .as_ref()
        .is_some_and(|team| team.len() > lockstep_core::domain::access::catalog::MAX_MEMBERS)
    {
        return too_large(me, intents, reader, binding);
    }
    reader.read(&me, &mut others).await;
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
        rebuilt,
        unreachable,
        taken: fresh,
    }
}

fn too_large(
    mut me: Claimant,
    intents: Vec<Intent>,
    reader: Reader<'_>,
    binding: &AccessBinding,
) -> Gathered {
    let people = me.team.as_ref().map_or(0, Vec::len);
    me.declared
        .frozen
        .extend(me.declared.groups.drain(..).map(|group| group.named));
    me.declared.rights.clear();
    me.declared.problems.push(Problem {
        label: "members".into(),
        reason: Some(Reason::TooLarge),
        message: format!(
            "{people} members are more than {}: name groups of the identity provider instead",
            lockstep_core::domain::access::catalog::MAX_MEMBERS
        ),
    });
    let mut world = reader.world;
    world.frozen.extend(reader.systems.keys().cloned());
    let cluster = &*reader.context.cluster;
    let question = question(binding, me, Vec::new(), world, intents, false, None, cluster);
    Gathered {
        question,
        systems: reader.systems,
        errors: reader.errors,
        rebuilt: false,
        unreachable: BTreeSet::new(),
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
    let connections = |binding: &AccessBinding| connections_of(binding);
    let mine = connections(binding);
    let sharing: Vec<_> = cluster
        .bindings()
        .into_iter()
        .filter(|other| !connections(other).is_disjoint(&mine))
        .collect();
    let going = sharing
        .iter()
        .filter(|other| other.metadata.deletion_timestamp.is_some())
        .count();
    is_mass_deletion(going, sharing.len()).then(|| {
        format!(
            "{going} of the connection's {} bindings are being deleted at once",
            sharing.len()
        )
    })
}

/// The connections a binding names.
pub fn connections_of(binding: &AccessBinding) -> BTreeSet<ConnectionKey> {
    let namespace = binding.namespace().unwrap_or_default();
    let gerrit = binding
        .spec
        .gerrit
        .iter()
        .flatten()
        .map(|access| (ConnectionKind::Gerrit, &access.connection_ref));
    let databricks = binding.spec.databricks.iter().flat_map(|databricks| {
        let account = databricks.account.iter().map(|account| &account.connection_ref);
        let catalog = databricks.catalog.iter().map(|catalog| &catalog.connection_ref);
        let workspaces = databricks
            .workspaces
            .iter()
            .flatten()
            .map(|workspace| &workspace.connection_ref);
        account
            .chain(catalog)
            .chain(workspaces)
            .map(|reference| (ConnectionKind::Databricks, reference))
    });
    let sources = binding
        .spec
        .members
        .iter()
        .flatten()
        .filter_map(|member| match member {
            Member::GerritGroup { connection_ref, .. } => Some((ConnectionKind::Gerrit, connection_ref)),
            Member::DatabricksGroup { connection_ref, .. } => {
                Some((ConnectionKind::Databricks, connection_ref))
            }
            _ => None,
        });
    gerrit
        .chain(databricks)
        .chain(sources)
        .map(|(kind, reference)| defaults::connection(kind, reference, &namespace))
        .collect()
}

async fn inventory_of(
    rows: Option<&[lockstep_core::api::access_binding::InventoryRow]>,
    has_finalizer: bool,
    namespace: &str,
    name: &str,
    context: &Context,
) -> Result<(Inventory, bool, bool), KeepError> {
    match rows {
        Some(rows) => Ok((Inventory::read(rows).0, false, false)),
        None if !has_finalizer => Ok((Inventory::default(), false, false)),
        // The finalizer says that something was held, the status does not: it was lost.
        None => match context.record.inventory_of(namespace, name).await? {
            Some(rows) => Ok((Inventory::read(&rows).0, true, false)),
            None => Ok((Inventory::default(), false, true)),
        },
    }
}

struct Team {
    people: Vec<Who>,
    broken: Vec<Problem>,
    empty: Option<String>,
}

impl Reader<'_> {
    async fn open(&mut self, connection: &ConnectionKey, cluster: &dyn Cluster) {
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
    async fn others(
        &mut self,
        binding: &AccessBinding,
        inventory: &Inventory,
        pins: &[lockstep_core::api::access_binding::Pin],
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
            let declared = declare(&other.spec, &namespace, &|key| facts(cluster, key, &namespace));
            let team = match &other.spec.members {
                Some(members) => Some(self.team(members, &namespace).await.people),
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
                pins: status.pins.unwrap_or_default(),
            });
        }
        others.sort_by(|a, b| a.key.uid.cmp(&b.key.uid));
        others
    }

    /// Who the members are, group sources read.
    async fn team(&mut self, members: &[Member], namespace: &str) -> Team {
        let mut team = Team {
            people: Vec::new(),
            broken: Vec::new(),
            empty: None,
        };
        for member in members {
            let (kind, reference, name) = match member {
                Member::GerritGroup { connection_ref, name } => {
                    (ConnectionKind::Gerrit, connection_ref, name)
                }
                Member::DatabricksGroup { connection_ref, name } => {
                    (ConnectionKind::Databricks, connection_ref, name)
                }
                written => {
                    team.people.extend(Who::written(written));
                    continue;
                }
            };
            let connection = defaults::connection(kind, reference, namespace);
            match self.source(&connection, name, namespace).await {
                Ok(people) if people.is_empty() => {
                    team.empty = Some(format!("member source {name:?} of {connection}"))
                }
                Ok(people) => team.people.extend(people),
                Err(problem) => team.broken.push(problem),
            }
        }
        let mut seen = BTreeSet::new();
        team.people.retain(|who| seen.insert(who.clone()));
        team
    }

    async fn source(
        &mut self,
        connection: &ConnectionKey,
        name: &str,
        namespace: &str,
    ) -> Result<Vec<Who>, Problem> {
        let cluster = self.context.cluster.clone();
        let facts = facts(&*cluster, connection, namespace)?;
        let label = format!("member source {name:?} of {connection}");
        let refuse = |reason, message: String| Problem {
            label: label.clone(),
            reason: Some(reason),
            message,
        };
        let Some(tenancy) = &facts.tenancy else {
            return Err(refuse(
                Reason::NotAllowed,
                format!("{connection} has no tenant entry for this namespace"),
            ));
        };
        tenancy
            .group(name)
            .map_err(|refusal| refuse(refusal.reason, refusal.message))?;
        // Groups of the account where there is one: it is where people are.
        let system = facts
            .gerrit
            .map(System::Gerrit)
            .or(facts.account.map(System::Account))
            .or(facts.workspace.map(System::Workspace))
            .ok_or_else(|| refuse(Reason::DependencyNotReady, "its system is not known yet".into()))?;
        if !self.systems.contains_key(&system) {
            self.open(connection, &*cluster).await;
        }
        let Some(adapter) = self.systems.get(&system).cloned() else {
            return Err(refuse(
                Reason::DependencyNotReady,
                format!("{system} cannot be reached"),
            ));
        };
        let failed = |error: SystemError| refuse(error.reason(), error.message);
        let directory = adapter.directory(&system, self.fresh).await.map_err(failed)?;
        self.world.directories.insert(system.clone(), directory.clone());
        let mut people = BTreeSet::new();
        let mut groups = vec![name.to_owned()];
        let mut visited = BTreeSet::new();
        for _ in 0..NESTING {
            let mut nested = Vec::new();
            for group in groups.drain(..) {
                if !visited.insert(group.clone()) {
                    continue;
                }
                let named = Named::Group {
                    system: system.clone(),
                    name: group.clone(),
                };
                let target = match adapter.locate(&named, self.fresh).await.map_err(failed)? {
                    Located::At(target) => target,
                    Located::Absent => {
                        return Err(refuse(
                            Reason::NotFound,
                            format!("there is no group {group:?} in {system}"),
                        ));
                    }
                    Located::Ambiguous(_) => {
                        return Err(refuse(
                            Reason::Ambiguous,
                            format!("several groups are called {group:?}"),
                        ));
                    }
                };
                let observed = adapter.observe(&target, self.fresh).await.map_err(failed)?;
                for (principal, privilege) in &observed.rows {
                    match (principal.kind, privilege) {
                        (PrincipalKind::Group, Privilege::Member) => nested.push(principal.name.clone()),
                        (_, Privilege::Member) => {
                            people.insert(found(&system, principal, &directory));
                        }
                        _ => {}
                    }
                }
            }
            groups = nested;
        }
        Ok(people.into_iter().flatten().collect())
    }

    /// Reads directories, names and targets of this binding and of whoever shares them.
    async fn read(&mut self, me: &Claimant, others: &mut [Claimant]) {
        for system in me
            .declared
            .groups
            .iter()
            .map(|group| group.named.system())
            .collect::<BTreeSet<_>>()
        {
            if me.team.is_some() && !self.world.directories.contains_key(&system) {
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
                            let uuid = lockstep_core::domain::access::names::gerrit_group_uuid(server, name);
                            targets.insert(Target::GerritGroup {
                                server: server.clone(),
                                uuid,
                            });
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

    async fn read_directory(&mut self, system: &System) {
        let Some(adapter) = self.systems.get(system).cloned() else {
            return;
        };
        match adapter.directory(system, self.fresh).await {
            Ok(directory) => {
                self.world.directories.insert(system.clone(), directory);
            }
            Err(error) => self.fail(format!("people of {system}"), error),
        }
    }

    async fn observe(&mut self, targets: BTreeSet<Target>) {
        let fresh = self.fresh;
        let now = self.context.clock.now();
        let mut reads = Vec::new();
        for target in targets {
            if self.world.frozen.contains(&target.system()) {
                continue;
            }
            if matches!(target, Target::NewGroup { .. }) {
                let absent = Observed::absent(target.clone(), fresh.min(now));
                self.world.observed.insert(target, Arc::new(absent));
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

fn found(
    system: &System,
    principal: &Principal,
    directory: &lockstep_core::domain::access::directory::Directory,
) -> Option<Who> {
    let account = directory.get(principal);
    // Deactivated at the source counts as removed everywhere.
    if account.is_some_and(|account| !account.active) {
        return None;
    }
    let email = account.and_then(|account| account.emails.first().cloned());
    Some(Who::Found {
        system: system.clone(),
        principal: principal.clone(),
        email,
    })
}
