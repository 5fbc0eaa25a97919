//! Tries what Lockstep takes for granted about the system behind a connection, with a client of its own.

use std::sync::Arc;
use std::time::Duration;

use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{
    Cluster, ConnectionKey, ConnectionKind, NoPermit, Permit, SystemError, SystemErrorKind,
};

use super::adapters::{Adapters, Settings};
use crate::clients::contract::{Finding, Tell};
use crate::clients::databricks::DatabricksSystem;
use crate::clients::gerrit::GerritSystem;

/// Lets the suite write: it touches nothing but what it has just made, so no lease need guard it.
pub(super) struct ScratchPermit;

impl Permit for ScratchPermit {
    fn check(&self, _needed: Duration) -> Result<(), NoPermit> {
        Ok(())
    }
}

/// Runs the suite of one connection under names that begin with `prefix`.
pub(super) async fn contract(
    adapters: Adapters,
    cluster: &dyn Cluster,
    key: &ConnectionKey,
    prefix: &str,
    tell: &Tell<'_>,
) -> Result<Vec<Finding>, SystemError> {
    let (namespace, name) = (&key.namespace, &key.name);
    let gone = || {
        let message = format!("{key} does not exist");
        let kind = SystemErrorKind::Connection(Reason::DependencyNotReady);
        SystemError::new(key.to_string(), kind, message)
    };
    let material = match key.kind {
        ConnectionKind::Gerrit => {
            let connection = cluster.gerrit_connection(namespace, name);
            adapters.gerrit(&*connection.ok_or_else(gone)?).await?
        }
        ConnectionKind::Databricks => {
            let connection = cluster.databricks_connection(namespace, name);
            adapters.databricks(&*connection.ok_or_else(gone)?).await?
        }
    };
    let (permit, clock, metrics) = (adapters.permit, adapters.clock, Some(adapters.metrics));
    match material.settings {
        Settings::Gerrit(settings) => {
            let system = Arc::new(GerritSystem::new(*settings, permit, clock, metrics)?);
            system.contract(prefix, tell, interrupted()).await
        }
        Settings::Databricks(settings) => {
            let system = DatabricksSystem::new(*settings, permit, clock, metrics)?;
            system.contract(prefix, tell, interrupted()).await
        }
    }
}

/// Returns when somebody presses Ctrl-C: what was made is then taken away all the same.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
