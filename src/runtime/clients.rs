//! Opens the systems behind connections, once for everybody: two objects with one connection have one budget, one
//! snapshot and one breaker, be it for access, for reviews or for deployments.
//!
//! A client is made anew when the connection's spec or one of its Secrets changed. Secrets are read when a client is
//! made and at each probe; a change of one wakes the connection, whose probe then finds the new version.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{
    AccessSystem, Cluster, ConnectionKey, ConnectionKind, Probe, Probes, SystemError, SystemErrorKind,
    Systems,
};
use lockstep_core::domain::promotion::ports::deployments::{Deployment, Deployments};
use lockstep_core::domain::promotion::ports::reviews::{Review, Reviews};
use lockstep_core::domain::rotation::ports::objects::Credentials;

use super::adapters::{Adapters, Material};
use super::reached::Reached;
use super::stores::OpenStores;

/// The clients of all connections.
pub struct Clients {
    cluster: Arc<dyn Cluster>,
    adapters: Adapters,
    slots: Mutex<HashMap<ConnectionKey, Slot>>,
    /// Of the stores.
    pub(super) stores: OpenStores,
}

/// One connection's client; whoever makes it holds the lock, so that it is made once.
type Slot = Arc<tokio::sync::Mutex<Option<Client>>>;

struct Client {
    made_from: MadeFrom,
    /// Versions of the Secrets it was made from.
    secrets: Vec<String>,
    system: Reached,
}

/// The connection a client was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MadeFrom {
    uid: Option<String>,
    generation: Option<i64>,
    /// Deleted, and held back by those who still depend on it.
    going: bool,
}

impl MadeFrom {
    /// A name that no other connection ever has, not even one made later in this one's place.
    fn names(&self, key: &ConnectionKey) -> String {
        format!("{key} {}", self.uid.as_deref().unwrap_or_default())
    }
}

impl Clients {
    pub(super) fn new(
        cluster: Arc<dyn Cluster>,
        credentials: Arc<dyn Credentials>,
        adapters: Adapters,
    ) -> Self {
        Self {
            cluster,
            adapters,
            slots: Mutex::default(),
            stores: OpenStores::new(credentials),
        }
    }

    pub(super) fn adapters(&self) -> &Adapters {
        &self.adapters
    }

    fn slot(&self, key: &ConnectionKey) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(key.clone()).or_default().clone()
    }

    fn forget(&self, key: &ConnectionKey) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.remove(key);
    }

    /// The connection as it is now; without it there is no client either.
    fn current(&self, key: &ConnectionKey) -> Result<MadeFrom, SystemError> {
        let (namespace, name) = (&key.namespace, &key.name);
        let meta = match key.kind {
            ConnectionKind::Gerrit => {
                let connection = self.cluster.gerrit_connection(namespace, name);
                connection.map(|connection| connection.metadata.clone())
            }
            ConnectionKind::Databricks => {
                let connection = self.cluster.databricks_connection(namespace, name);
                connection.map(|connection| connection.metadata.clone())
            }
        };
        let Some(meta) = meta else {
            self.forget(key);
            return Err(gone(key));
        };
        Ok(MadeFrom {
            uid: meta.uid,
            generation: meta.generation,
            going: meta.deletion_timestamp.is_some(),
        })
    }

    async fn read(&self, key: &ConnectionKey) -> Result<Material, SystemError> {
        let (namespace, name) = (&key.namespace, &key.name);
        match key.kind {
            ConnectionKind::Gerrit => {
                let connection = self.cluster.gerrit_connection(namespace, name);
                self.adapters.gerrit(&*connection.ok_or_else(|| gone(key))?).await
            }
            ConnectionKind::Databricks => {
                let connection = self.cluster.databricks_connection(namespace, name);
                self.adapters
                    .databricks(&*connection.ok_or_else(|| gone(key))?)
                    .await
            }
        }
    }

    /// The client of a connection. `anew` reads its Secrets even if the connection itself is unchanged.
    pub(super) async fn reach(&self, key: &ConnectionKey, anew: bool) -> Result<Reached, SystemError> {
        let current = self.current(key)?;
        let slot = self.slot(key);
        let mut slot = slot.lock().await;
        let same = |client: &Client| client.made_from == current;
        if let Some(client) = slot.as_ref().filter(|client| same(client) && !anew) {
            return Ok(client.system.clone());
        }
        let material = match self.read(key).await {
            Ok(material) => material,
            Err(error) => {
                // With a namespace its Secrets go at once, and what was given must still be taken back: a connection
                // that goes itself keeps the client it had.
                let last = |client: &&Client| current.going && client.made_from.uid == current.uid;
                if let Some(client) = slot.as_ref().filter(last) {
                    return Ok(client.system.clone());
                }
                // A credential that was taken away must not live on in a client.
                if matches!(error.kind, SystemErrorKind::Connection(_)) {
                    *slot = None;
                }
                return Err(error);
            }
        };
        let unchanged = |client: &&Client| same(client) && client.secrets == material.versions;
        if let Some(client) = slot.as_ref().filter(unchanged) {
            return Ok(client.system.clone());
        }
        let system = self.adapters.build(material.settings, &current.names(key))?;
        *slot = Some(Client {
            made_from: current,
            secrets: material.versions,
            system: system.clone(),
        });
        Ok(system)
    }
}

fn gone(key: &ConnectionKey) -> SystemError {
    SystemError::new(
        key.to_string(),
        SystemErrorKind::Connection(Reason::DependencyNotReady),
        format!("{key} does not exist"),
    )
}

/// What is asked of a connection is none of its system's business.
fn unsuited(key: &ConnectionKey, advice: &str) -> SystemError {
    let kind = SystemErrorKind::Connection(Reason::InvalidSpec);
    SystemError::new(key.to_string(), kind, format!("{key} {advice}"))
}

#[async_trait]
impl Systems for Clients {
    async fn open(&self, connection: &ConnectionKey) -> Result<Arc<dyn AccessSystem>, SystemError> {
        Ok(self.reach(connection, false).await?.access())
    }
}

#[async_trait]
impl Reviews for Clients {
    async fn open(&self, connection: &ConnectionKey) -> Result<Arc<dyn Review>, SystemError> {
        let reached = self.reach(connection, false).await?;
        let advice = "reviews no changes: name a GerritConnection";
        reached.review().ok_or_else(|| unsuited(connection, advice))
    }
}

#[async_trait]
impl Deployments for Clients {
    async fn open(&self, connection: &ConnectionKey) -> Result<Arc<dyn Deployment>, SystemError> {
        let reached = self.reach(connection, false).await?;
        let advice = "runs nothing: name a DatabricksConnection";
        reached.deployment().ok_or_else(|| unsuited(connection, advice))
    }
}

#[async_trait]
impl Probes for Clients {
    async fn probe(&self, connection: &ConnectionKey) -> Result<Probe, SystemError> {
        self.reach(connection, true).await?.probe().await
    }
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
