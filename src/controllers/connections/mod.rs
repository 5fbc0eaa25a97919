//! Connections are probes: who is there, whom we are, what we may do. gather and report, nothing is written outside.

mod gather;
mod report;
pub mod webhook;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use lockstep_core::api::{DatabricksConnection, GerritConnection};
use lockstep_core::domain::ports::{ConnectionKey, ConnectionKind, ObjectKey};

use super::{Context, Next, Reconcile};

/// Looks after Gerrit connections.
#[derive(Debug)]
pub struct Gerrit {
    /// Where the tokens of their webhooks come from.
    pub draw: webhook::Draw,
}

/// Looks after Databricks connections.
#[derive(Debug, Default)]
pub struct Databricks;

/// What both kinds have in common.
struct Connection<'a> {
    key: ConnectionKey,
    object: ObjectKey,
    meta: &'a kube::core::ObjectMeta,
    conditions: &'a [Condition],
    /// Where it is told of changes, if it wants to be.
    webhook_path: Option<String>,
}

fn connection<'a, K: ResourceExt>(
    kind: ConnectionKind,
    object: &'a K,
    conditions: Option<&'a Vec<Condition>>,
) -> Connection<'a> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    Connection {
        key: ConnectionKey {
            kind,
            namespace: namespace.clone(),
            name: name.clone(),
        },
        object: ObjectKey {
            kind: kind.word().into(),
            namespace,
            name,
            uid: object.uid().unwrap_or_default(),
        },
        meta: object.meta(),
        conditions: conditions.map(Vec::as_slice).unwrap_or_default(),
        webhook_path: None,
    }
}

#[async_trait]
impl Reconcile for Gerrit {
    type Object = GerritConnection;

    async fn reconcile(&self, object: Arc<GerritConnection>, context: &Context) -> Next {
        let conditions = object.status.as_ref().map(|status| &status.conditions);
        let connection = Connection {
            webhook_path: webhook::path(&object, self.draw),
            ..connection(ConnectionKind::Gerrit, &*object, conditions)
        };
        pass(connection, context).await
    }
}

#[async_trait]
impl Reconcile for Databricks {
    type Object = DatabricksConnection;

    async fn reconcile(&self, object: Arc<DatabricksConnection>, context: &Context) -> Next {
        let conditions = object.status.as_ref().map(|status| &status.conditions);
        pass(
            connection(ConnectionKind::Databricks, &*object, conditions),
            context,
        )
        .await
    }
}

async fn pass(connection: Connection<'_>, context: &Context) -> Next {
    let gathered = gather::gather(&connection, context).await;
    report::report(&connection, gathered, context).await
}
