//! Everything the bindings in sight declare, hold and were seen to have: what answers about access rest on.
//!
//! Bindings are read as their controller reads them. A member entry is read once more on its own, from the same
//! readings, so that an answer can name the entry that brought somebody in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::AccessBinding;
use lockstep_core::api::access_binding::{AccessBindingSpec, Member};
use lockstep_core::api::reference::Mode;
use lockstep_core::domain::access::claims::join;
use lockstep_core::domain::access::directory::Directory;
use lockstep_core::domain::access::grant::{Grant, Principal, Privilege, System, Target};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::access::observed::{Located, Named, Observed};
use lockstep_core::domain::access::people::{Who, resolve};
use lockstep_core::domain::defaults;
use lockstep_core::domain::plan::Problem;
use lockstep_core::domain::ports::{Cluster, ObjectKey};

use crate::controllers::Context;
use crate::controllers::access_binding::{Oldest, gather, key};

/// Bindings read at once; what limits the systems is their own budget.
const AT_ONCE: usize = 8;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    pub bindings: Vec<Surveyed>,
    pub directories: BTreeMap<System, Arc<Directory>>,
    pub observed: BTreeMap<Target, Arc<Observed>>,
    pub located: BTreeMap<Named, Located>,
    /// Systems that one connection reaches: a group of the account is a principal in its workspaces and metastores.
    pub neighbours: Vec<BTreeSet<System>>,
    /// What could not be read: answers are incomplete there.
    pub unread: BTreeMap<String, Problem>,
}

/// One binding.
#[derive(Clone, Debug)]
pub struct Surveyed {
    pub key: ObjectKey,
    pub mode: Mode,
    pub entries: Vec<Entry>,
    /// Rights the binding declares.
    pub claims: BTreeSet<Grant>,
    /// What the binding calls its targets.
    pub labels: BTreeMap<Target, String>,
    pub inventory: Inventory,
    /// Whom each entry means, by system.
    pub people: Vec<BTreeMap<System, BTreeSet<Principal>>>,
}

/// One entry of `spec.members`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `spec.members[3]`.
    pub path: String,
    /// The entry in words.
    pub words: String,
    /// The group whose members it names, where it is a source.
    pub source: Option<Source>,
    pub people: Vec<Who>,
}

/// A group as a source of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `GerritConnection ml/gerrit`.
    pub connection: String,
    pub group: String,
}

impl Survey {
    /// Reads these bindings. `progress` is told how many are done.
    pub async fn take(
        bindings: &[Arc<AccessBinding>],
        context: &Context,
        fresh: Timestamp,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Self {
        let mut survey = Self {
            neighbours: neighbours(&*context.cluster),
            ..Self::default()
        };
        let mut readings = futures::stream::iter(bindings.iter().cloned().map(|binding| {
            let context = context.clone();
            async move { survey_one(&binding, &context, fresh).await }
        }))
        .buffered(AT_ONCE);
        let mut done = 0;
        while let Some(one) = readings.next().await {
            survey.merge(one);
            done += 1;
            progress(done);
        }
        survey
    }

    /// Takes in what another survey saw.
    pub fn merge(&mut self, one: Self) {
        let Self {
            bindings,
            directories,
            observed,
            located,
            neighbours,
            unread,
        } = one;
        for known in neighbours {
            if !self.neighbours.contains(&known) {
                self.neighbours.push(known);
            }
        }
        self.bindings.extend(bindings);
        self.directories.extend(directories);
        self.observed.extend(observed);
        self.located.extend(located);
        self.unread.extend(unread);
    }

    /// What people call a target.
    pub fn label(&self, target: &Target) -> String {
        let declared = self
            .bindings
            .iter()
            .find_map(|binding| binding.labels.get(target));
        if let Some(label) = declared {
            return label.clone();
        }
        let group = self.observed.get(target).and_then(|seen| seen.group.as_ref());
        match group {
            Some(group) => Named::Group {
                system: target.system(),
                name: group.name.clone(),
            }
            .label(),
            None => target.label(),
        }
    }

    /// Whether a group of one system is a principal in the other.
    pub fn reaches(&self, home: &System, other: &System) -> bool {
        home == other
            || self
                .neighbours
                .iter()
                .any(|known| known.contains(home) && known.contains(other))
    }
}

/// Systems by connection. A workspace's own groups are nobody elsewhere, so only accounts have neighbours.
fn neighbours(cluster: &dyn Cluster) -> Vec<BTreeSet<System>> {
    let connections = cluster.databricks_connections();
    connections
        .iter()
        .filter_map(|connection| {
            let status = connection.status.as_ref()?;
            let systems = [
                status.workspace_id.clone().map(System::Workspace),
                status.account_id.clone().map(System::Account),
                status.metastore_id.clone().map(System::Metastore),
            ];
            Some(systems.into_iter().flatten().collect())
        })
        .collect()
}

async fn survey_one(binding: &AccessBinding, context: &Context, fresh: Timestamp) -> Survey {
    let gathered = gather(binding, context, Oldest::all(fresh)).await;
    let question = gathered.question;
    let claims = join(&question.me, &question.others, &question.world);
    let mut rights = BTreeSet::new();
    let mut labels = BTreeMap::new();
    for (target, claimed) in &claims.targets {
        labels.insert(target.clone(), claimed.label.clone());
        let mine = claimed.rights.iter().filter(|(_, who)| who.mine);
        rights.extend(mine.map(|(right, _)| Grant::of(target, right)));
    }
    let mut entries = Vec::new();
    let mut people = Vec::new();
    for (at, member) in binding.spec.members.iter().flatten().enumerate() {
        let entry = entry(at, member, binding, context, fresh).await;
        let mut meant = BTreeMap::new();
        for (system, directory) in &question.world.directories {
            let resolved = resolve(&entry.people, directory, &question.me.pins);
            meant.insert(system.clone(), resolved.principals.into_keys().collect());
        }
        entries.push(entry);
        people.push(meant);
    }
    Survey {
        bindings: vec![Surveyed {
            key: key(binding),
            mode: defaults::mode(&binding.spec),
            entries,
            claims: rights,
            labels,
            inventory: question.me.inventory,
            people,
        }],
        directories: question.world.directories,
        observed: question.world.observed,
        located: question.world.located,
        neighbours: Vec::new(),
        unread: question.world.failures,
    }
}

async fn entry(
    at: usize,
    member: &Member,
    binding: &AccessBinding,
    context: &Context,
    fresh: Timestamp,
) -> Entry {
    let namespace = binding.namespace().unwrap_or_default();
    let source = source(member, &namespace);
    let people = if source.is_none() {
        Who::written(member).into_iter().collect()
    } else {
        // A binding of this one entry: the same reading tells whom it alone names.
        let mut alone = AccessBinding::new(
            &binding.name_any(),
            AccessBindingSpec {
                members: Some(vec![member.clone()]),
                ..AccessBindingSpec::default()
            },
        );
        alone.metadata.namespace = Some(namespace);
        alone.metadata.uid.clone_from(&binding.metadata.uid);
        gather(&alone, context, Oldest::all(fresh))
            .await
            .question
            .me
            .team
            .unwrap_or_default()
    };
    Entry {
        path: format!("spec.members[{at}]"),
        words: words(member),
        source,
        people,
    }
}

fn source(member: &Member, namespace: &str) -> Option<Source> {
    use lockstep_core::domain::ports::ConnectionKind::{Databricks, Gerrit};
    let (kind, reference, name) = match member {
        Member::GerritGroup { connection_ref, name } => (Gerrit, connection_ref, name),
        Member::DatabricksGroup { connection_ref, name } => (Databricks, connection_ref, name),
        Member::Person { .. } | Member::ServiceUser { .. } | Member::ServicePrincipal { .. } => return None,
    };
    Some(Source {
        connection: defaults::connection(kind, reference, namespace).to_string(),
        group: name.clone(),
    })
}

fn words(member: &Member) -> String {
    match member {
        Member::Person { email, .. } => format!("person {email}"),
        Member::ServiceUser { username } => format!("service user {username}"),
        Member::ServicePrincipal { application_id } => format!("service principal {application_id}"),
        Member::GerritGroup { connection_ref, name } => {
            format!("Gerrit group {name} through {}", connection_ref.name)
        }
        Member::DatabricksGroup { connection_ref, name } => {
            format!("Databricks group {name} through {}", connection_ref.name)
        }
    }
}

/// A group target's own name as a principal, where its members are what somebody holds through it.
pub(super) fn principal_of(target: &Target, observed: &Observed) -> Option<Principal> {
    let group = observed.group.as_ref()?;
    match target {
        Target::GerritGroup { uuid, .. } => Some(Principal::group(uuid, &group.name)),
        Target::Group { .. } => Some(Principal::group(&group.name, &group.name)),
        _ => None,
    }
}

/// Whether a row is a membership.
pub(super) fn is_membership(privilege: &Privilege) -> bool {
    *privilege == Privilege::Member
}
