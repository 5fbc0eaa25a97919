//! What connections say of themselves, and which of them reach a system.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use lockstep_core::api::AccessBinding;
use lockstep_core::api::access_binding::Member;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::connection::{Pace, Use};
use lockstep_core::domain::access::declared::ConnectionFacts;
use lockstep_core::domain::access::grant::System;
use lockstep_core::domain::access::reach::Tenancy;
use lockstep_core::domain::access::trust;
use lockstep_core::domain::defaults;
use lockstep_core::domain::pace::stretched;
use lockstep_core::domain::plan::Problem;
use lockstep_core::domain::ports::{Cluster, ConnectionKey, ConnectionKind};

/// What a connection says of itself; `Err` when it cannot be used now.
pub(super) fn facts(
    cluster: &dyn Cluster,
    key: &ConnectionKey,
    namespace: &str,
) -> Result<ConnectionFacts, Problem> {
    let problem = |message: String| Problem {
        label: key.to_string(),
        reason: Some(Reason::DependencyNotReady),
        message,
    };
    let missing = || problem(format!("{key} does not exist"));
    let ready = |conditions: &[Condition]| match conditions
        .iter()
        .find(|condition| ConditionType::Ready.is(&condition.type_))
    {
        Some(condition) if condition.status == "True" => Ok(()),
        Some(condition) => Err(problem(format!(
            "{key} is not Ready ({}): {}",
            condition.reason, condition.message
        ))),
        None => Err(problem(format!("{key} has not been probed yet"))),
    };
    let (conditions, known) = match key.kind {
        ConnectionKind::Gerrit => {
            let connection = cluster
                .gerrit_connection(&key.namespace, &key.name)
                .ok_or_else(missing)?;
            let status = connection.status.clone().unwrap_or_default();
            let known = ConnectionFacts {
                gerrit: status.server,
                ..ConnectionFacts::default()
            };
            (status.conditions, known)
        }
        ConnectionKind::Databricks => {
            let connection = cluster
                .databricks_connection(&key.namespace, &key.name)
                .ok_or_else(missing)?;
            let status = connection.status.clone().unwrap_or_default();
            let known = ConnectionFacts {
                workspace: status.workspace_id,
                account: status.account_id,
                metastore: status.metastore_id,
                ..ConnectionFacts::default()
            };
            (status.conditions, known)
        }
    };
    let tenancy = tenancy(cluster, key, namespace);
    if tenancy.is_some() {
        ready(&conditions)?;
    }
    Ok(ConnectionFacts { tenancy, ..known })
}

/// The systems a connection is known to reach, whether or not it may be used now.
pub(super) fn systems_of(cluster: &dyn Cluster, key: &ConnectionKey) -> Vec<System> {
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

/// Whether a connection has a tenant entry for this namespace, whether or not it may be used now.
pub(super) fn has_entry(cluster: &dyn Cluster, key: &ConnectionKey, namespace: &str) -> bool {
    tenancy(cluster, key, namespace).is_some()
}

/// What this namespace may do through a connection.
pub(super) fn tenancy(cluster: &dyn Cluster, key: &ConnectionKey, namespace: &str) -> Option<Tenancy> {
    let labels = cluster.namespace_labels(namespace);
    match key.kind {
        ConnectionKind::Gerrit => {
            let connection = cluster.gerrit_connection(&key.namespace, &key.name)?;
            let tenants = connection.spec.tenants.as_ref();
            Tenancy::gerrit(tenants, namespace, labels.as_ref(), Use::Access)
        }
        ConnectionKind::Databricks => {
            let connection = cluster.databricks_connection(&key.namespace, &key.name)?;
            let tenants = connection.spec.tenants.as_ref();
            Tenancy::databricks(tenants, namespace, labels.as_ref(), Use::Access)
        }
    }
}

/// Whether a binding depends on a connection: it names it and may use it, or holds something that was given through
/// it. Anybody may name any connection, and that alone must neither pin it nor count for anything.
pub fn depends_on(cluster: &dyn Cluster, binding: &AccessBinding, key: &ConnectionKey) -> bool {
    let namespace = binding.namespace().unwrap_or_default();
    // Of a connection that is gone nobody can say whom it let in, and everybody may have been one.
    let may = || is_gone(cluster, key) || has_entry(cluster, key, &namespace);
    holds_through(binding, key) || (connections_of(binding).contains(key) && may())
}

fn is_gone(cluster: &dyn Cluster, key: &ConnectionKey) -> bool {
    match key.kind {
        ConnectionKind::Gerrit => cluster.gerrit_connection(&key.namespace, &key.name).is_none(),
        ConnectionKind::Databricks => cluster.databricks_connection(&key.namespace, &key.name).is_none(),
    }
}

/// Whether something that the binding holds, or began to write, goes back through this connection.
fn holds_through(binding: &AccessBinding, key: &ConnectionKey) -> bool {
    let through = binding
        .status
        .as_ref()
        .and_then(|status| status.through.as_deref());
    trust::read(through.unwrap_or_default())
        .values()
        .any(|through| through == key)
}

/// Seconds between two checks of a binding: what it asks for, or longer where a connection cannot hold that.
pub fn interval(cluster: &dyn Cluster, binding: &AccessBinding) -> u64 {
    let paces: Vec<Pace> = connections_of(binding)
        .iter()
        .filter_map(|key| match key.kind {
            ConnectionKind::Gerrit => {
                let connection = cluster.gerrit_connection(&key.namespace, &key.name)?;
                connection.status.as_ref()?.pace.clone()
            }
            ConnectionKind::Databricks => {
                let connection = cluster.databricks_connection(&key.namespace, &key.name)?;
                connection.status.as_ref()?.pace.clone()
            }
        })
        .collect();
    stretched(defaults::interval(binding.spec.interval.as_ref()), &paces)
}

/// Whether somebody has deleted a connection that is still there.
pub(super) fn is_going(cluster: &dyn Cluster, key: &ConnectionKey) -> bool {
    let (namespace, name) = (&key.namespace, &key.name);
    let deleted = match key.kind {
        ConnectionKind::Gerrit => cluster
            .gerrit_connection(namespace, name)
            .map(|connection| connection.metadata.deletion_timestamp.is_some()),
        ConnectionKind::Databricks => cluster
            .databricks_connection(namespace, name)
            .map(|connection| connection.metadata.deletion_timestamp.is_some()),
    };
    deleted.unwrap_or(true)
}

/// Every connection in the cluster.
pub(super) fn all_connections(cluster: &dyn Cluster) -> Vec<ConnectionKey> {
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
