//! Whom a hint concerns, and what they must read anew. A hint saves waiting and decides nothing: whoever is woken by one
//! looks for themselves, and would have looked at the next poll anyway.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use lockstep_core::api::access_binding::{AccessBindingStatus, GerritAccess, Member};
use lockstep_core::api::{AccessBinding, PromotionPolicy};
use lockstep_core::domain::access::grant::{System, Target};
use lockstep_core::domain::access::names::gerrit_group_uuid;
use lockstep_core::domain::access::pins;
use lockstep_core::domain::defaults;
use lockstep_core::domain::hint::Hint;
use lockstep_core::domain::ports::{Cluster, ConnectionKey, ConnectionKind, ObjectKey};
use lockstep_core::domain::promotion::ports::objects::Objects;

use super::Context;
use super::access_binding::{self, depends_on};
use super::branches::Branches;
use super::promotion_policy::{self, reading};

/// Makes what a hint names be read anew, and answers who should look. A hint that concerns nobody costs no reading and
/// leaves nothing behind.
pub async fn heed(
    connection: &ConnectionKey,
    hint: &Hint,
    branches: &Branches,
    context: &Context,
) -> Vec<ObjectKey> {
    let concerned = concerned(connection, hint, &*context.cluster, &*context.objects);
    if concerned.is_empty() {
        return concerned;
    }
    branches.distrust(connection, hint, context.clock.now());
    if !matches!(hint, Hint::Branch { .. }) {
        // A system that cannot be opened has nothing in memory that could be believed.
        if let Ok(system) = context.systems.open(connection).await {
            system.distrust(hint);
        }
    }
    concerned
}

/// Objects that would see a difference if the hint were true.
pub fn concerned(
    connection: &ConnectionKey,
    hint: &Hint,
    cluster: &dyn Cluster,
    objects: &dyn Objects,
) -> Vec<ObjectKey> {
    let policies = objects.policies().into_iter();
    let policies = policies.filter(|policy| policy_looks(policy, connection, hint, cluster));
    let mut concerned: Vec<ObjectKey> = policies.map(|policy| promotion_policy::key(&policy)).collect();
    // Merges change no rights.
    if !matches!(hint, Hint::Branch { .. }) {
        let known = cluster.gerrit_connection(&connection.namespace, &connection.name);
        let server = known.and_then(|known| known.status.as_ref()?.server.clone());
        let bindings = cluster.bindings().into_iter().filter(|binding| {
            binding_looks(binding, connection, server.as_deref(), hint)
                && depends_on(cluster, binding, connection)
        });
        concerned.extend(bindings.map(|binding| access_binding::key(&binding)));
    }
    concerned
}

fn policy_looks(
    policy: &PromotionPolicy,
    connection: &ConnectionKey,
    hint: &Hint,
    cluster: &dyn Cluster,
) -> bool {
    let (project, branch) = match hint {
        Hint::Branch { project, branch } => (project, Some(branch)),
        Hint::Config { project } => (project, None),
        // Who is in a group is asked of a change when it is judged.
        Hint::Group { .. } => return false,
    };
    if policy.metadata.deletion_timestamp.is_some() || defaults::policy_suspended(&policy.spec) {
        return false;
    }
    let Ok(read) = reading::whole(policy) else {
        return false;
    };
    let namespace = policy.namespace().unwrap_or_default();
    read.gerrit == *connection
        && read.project == *project
        && read.environments.iter().any(|environment| {
            branch.is_none_or(|branch| environment.branch == *branch)
                && reading::admitted(&read, environment, &namespace, cluster).is_ok()
        })
}

/// Whether a binding declares or holds what the hint names, or may do so as far as its status tells. `server` is the name
/// of the connection's Gerrit, if it is known.
fn binding_looks(
    binding: &AccessBinding,
    connection: &ConnectionKey,
    server: Option<&str>,
    hint: &Hint,
) -> bool {
    let namespace = binding.namespace().unwrap_or_default();
    let here = |access: &&GerritAccess| {
        defaults::connection(ConnectionKind::Gerrit, &access.connection_ref, &namespace) == *connection
    };
    let mut declared = binding.spec.gerrit.iter().flatten().filter(here);
    let status = binding.status.clone().unwrap_or_default();
    match hint {
        Hint::Branch { .. } => false,
        Hint::Config { project } => {
            let mut rows = declared.flat_map(|access| access.access.iter().flatten());
            let rights_there = |target: &Target| match target {
                Target::GerritRef {
                    server: held,
                    project: name,
                    ..
                } => server == Some(held) && name == project,
                _ => false,
            };
            rows.any(|row| row.project == *project) || remembered(&status).iter().any(rights_there)
        }
        Hint::Group { uuid } => {
            let Some(server) = server else {
                return false;
            };
            let group = Target::GerritGroup {
                server: server.to_owned(),
                uuid: uuid.clone(),
            };
            let system = System::Gerrit(server.to_owned()).to_string();
            let named: BTreeSet<String> = pins::read(status.pins.as_deref().unwrap_or_default())
                .into_iter()
                .filter(|pin| pin.system == system)
                .map(|pin| pin.name)
                .collect();
            // What a name means that was never resolved may be any group.
            let unresolved = |access: &GerritAccess| !named.contains(&format!("group/{}", access.group.name));
            let ours = |access: &GerritAccess| gerrit_group_uuid(server, &access.group.name) == *uuid;
            remembered(&status).contains(&group)
                || declared.any(|access| unresolved(access) || ours(access))
                || has_source(binding, connection)
        }
    }
}

/// Targets that a status names.
fn remembered(status: &AccessBindingStatus) -> BTreeSet<Target> {
    let rows = status.inventory.iter().flatten().map(|row| row.target.as_str());
    let begun = status
        .intents
        .iter()
        .flatten()
        .map(|intent| intent.target.as_str());
    let pinned = status.pins.iter().flatten().flat_map(|system| &system.names);
    let pinned = pinned.map(|name| name.means.as_str());
    rows.chain(begun)
        .chain(pinned)
        .filter_map(|target| target.parse().ok())
        .collect()
}

/// Whether members come from groups there: which ones, nested ones included, no status tells.
fn has_source(binding: &AccessBinding, connection: &ConnectionKey) -> bool {
    let namespace = binding.namespace().unwrap_or_default();
    binding.spec.members.iter().flatten().any(|member| match member {
        Member::GerritGroup { connection_ref, .. } => {
            defaults::connection(ConnectionKind::Gerrit, connection_ref, &namespace) == *connection
        }
        _ => false,
    })
}

#[cfg(test)]
#[path = "hinted_tests.rs"]
mod tests;
