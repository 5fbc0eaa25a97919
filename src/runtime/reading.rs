//! What commands read with: the cluster as one look found it, the systems behind its connections opened with the
//! caller's own rights, and nothing that could write.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Client;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::connection::Pace;
use lockstep_core::api::{DatabricksConnection, GerritConnection};
use lockstep_core::domain::access::grant::System;
use lockstep_core::domain::outcome::{Saying, conditions};
use lockstep_core::domain::ports::{
    Cluster as _, ConnectionKey, ConnectionKind, Entry, EntryId, Journal, JournalState, KeepError, ObjectKey,
    Permit, Record, SystemError, Tally,
};
use lockstep_core::domain::rotation::value::FingerprintKey;
use serde_json::{Value, json};

use super::trial::{ScratchPermit, contract};
use super::{Adapters, Clients, Metrics, SystemClock, temporary_git_cache};
use crate::clients::contract::{Finding, Tell};
use crate::controllers::Context;
use crate::kubernetes::{
    IdentityTokenRequests, Listing, ReadOnlyPermit, Secrets, Unreadable, unique_identity,
};

/// How a command reads.
#[derive(Clone, Debug)]
pub struct ReadingOptions {
    /// The namespaces in question, for callers that may not see all.
    pub namespaces: BTreeSet<String>,
    /// Where approvals for all namespaces count.
    pub operator_namespace: String,
    pub allow_loopback: bool,
}

/// Everything a command reads with.
pub struct Reading {
    pub client: Client,
    pub listing: Arc<Listing>,
    pub context: Context,
    allow_loopback: bool,
}

impl Reading {
    /// Looks at the cluster.
    pub async fn new(client: Client, options: &ReadingOptions) -> Result<Self, Unreadable> {
        // Seven listings at once: too much for the stack of whoever asks.
        let listing = Listing::read(&client, &options.namespaces, &options.operator_namespace);
        let listing = Box::pin(listing).await?;
        let reading = Self::over(client, listing, options.allow_loopback);
        // Where no operator runs yet nobody has asked the connections who they reach.
        let unprobed: Vec<ConnectionKey> = reading
            .connections()
            .into_iter()
            .filter(|key| !reading.is_probed(key))
            .collect();
        if unprobed.is_empty() {
            return Ok(reading);
        }
        Ok(reading.overlaid(|_| {}, &unprobed).await)
    }

    /// Tries what Lockstep takes for granted about the system behind a connection. The one thing here that writes:
    /// only what it makes itself, under a prefix that nobody else uses.
    pub async fn contract(&self, key: &ConnectionKey, tell: &Tell<'_>) -> Result<Vec<Finding>, SystemError> {
        let adapters = adapters(&self.client, Arc::new(ScratchPermit), self.allow_loopback);
        let prefix = unique_identity("lockstep-probe");
        contract(adapters, &*self.listing, key, &prefix, tell).await
    }

    /// Every connection in sight.
    pub fn connections(&self) -> Vec<ConnectionKey> {
        self.listing
            .connections()
            .map(|(kind, name)| ConnectionKey {
                kind,
                namespace: name.namespace().to_owned(),
                name: name.name().to_owned(),
            })
            .collect()
    }

    /// What a connection's status says.
    pub fn conditions(&self, key: &ConnectionKey) -> Vec<Condition> {
        let (namespace, name) = (&key.namespace, &key.name);
        let found = match key.kind {
            ConnectionKind::Gerrit => self
                .listing
                .gerrit_connection(namespace, name)
                .and_then(|found| Some(found.status.as_ref()?.conditions.clone())),
            ConnectionKind::Databricks => self
                .listing
                .databricks_connection(namespace, name)
                .and_then(|found| Some(found.status.as_ref()?.conditions.clone())),
        };
        found.unwrap_or_default()
    }

    /// How far its drift checks are slowed down, as its status says.
    pub fn pace(&self, key: &ConnectionKey) -> Option<Pace> {
        let (namespace, name) = (&key.namespace, &key.name);
        match key.kind {
            ConnectionKind::Gerrit => {
                let found = self.listing.gerrit_connection(namespace, name)?;
                found.status.as_ref()?.pace.clone()
            }
            ConnectionKind::Databricks => {
                let found = self.listing.databricks_connection(namespace, name)?;
                found.status.as_ref()?.pace.clone()
            }
        }
    }

    fn is_probed(&self, key: &ConnectionKey) -> bool {
        self.conditions(key).iter().any(|said| READY.is(&said.type_))
    }

    fn over(client: Client, listing: Listing, allow_loopback: bool) -> Self {
        let listing = Arc::new(listing);
        let clock = Arc::new(SystemClock);
        let adapters = adapters(&client, Arc::new(ReadOnlyPermit), allow_loopback);
        let clients = Arc::new(Clients::new(listing.clone(), listing.clone(), adapters));
        let context = Context {
            cluster: listing.clone(),
            objects: listing.clone(),
            systems: clients.clone(),
            reviews: clients.clone(),
            deployments: clients.clone(),
            credentials: listing.clone(),
            issuers: clients.clone(),
            stores: clients.clone(),
            inventories: clients.clone(),
            // Commands compare no values: they have none.
            fingerprints: Arc::new(FingerprintKey::new(String::new().into())),
            home: listing.operator_namespace().to_owned(),
            probes: clients,
            journal: Arc::new(Nothing),
            record: Arc::new(Nothing),
            clock,
            tally: Arc::new(Nothing),
            actor: "lockstep cli".into(),
        };
        Self {
            client,
            listing,
            context,
            allow_loopback,
        }
    }

    /// The same cluster as it would be with some objects changed. Connections among them are asked who they reach,
    /// because nobody has probed them yet.
    pub async fn overlaid(self, overlay: impl FnOnce(&mut Listing), probe: &[ConnectionKey]) -> Self {
        let Self {
            client,
            listing,
            allow_loopback,
            context: _,
        } = self;
        let mut listing = Arc::unwrap_or_clone(listing);
        overlay(&mut listing);
        let asking = Self::over(client.clone(), listing.clone(), allow_loopback);
        for key in probe {
            let said = asking.context.probes.probe(key).await;
            let (mut status, saying) = match said {
                Ok(probe) => (probe.status, Saying::new(READY, true, Reason::Succeeded, "")),
                Err(error) => (
                    json!({}),
                    Saying::new(READY, false, error.reason(), error.message),
                ),
            };
            let now = asking.context.clock.now();
            if !status.is_object() {
                status = json!({});
            }
            status["conditions"] = json!(conditions(&[saying], &[], None, now));
            put_status(&mut listing, key, status);
        }
        Self::over(client, listing, allow_loopback)
    }

    /// Systems that the connections in sight reach.
    pub fn systems(&self) -> Vec<(ConnectionKey, Vec<System>)> {
        let mut found = Vec::new();
        for key in self.connections() {
            let systems = match key.kind {
                ConnectionKind::Gerrit => self
                    .listing
                    .gerrit_connection(&key.namespace, &key.name)
                    .and_then(|connection| connection.status.as_ref()?.server.clone())
                    .map(System::Gerrit)
                    .into_iter()
                    .collect(),
                ConnectionKind::Databricks => self
                    .listing
                    .databricks_connection(&key.namespace, &key.name)
                    .and_then(|connection| connection.status.clone())
                    .map(|status| {
                        let workspace = status.workspace_id.map(System::Workspace);
                        let account = status.account_id.map(System::Account);
                        let metastore = status.metastore_id.map(System::Metastore);
                        [workspace, account, metastore].into_iter().flatten().collect()
                    })
                    .unwrap_or_default(),
            };
            found.push((key, systems));
        }
        found
    }
}

fn adapters(client: &Client, permit: Arc<dyn Permit>, allow_loopback: bool) -> Adapters {
    Adapters {
        kubernetes: client.clone(),
        secrets: Secrets::new(client.clone()),
        tokens: IdentityTokenRequests::new(client.clone()),
        permit,
        clock: Arc::new(SystemClock),
        metrics: Metrics::default().clients(),
        git_cache: temporary_git_cache(),
        allow_loopback,
    }
}

const READY: lockstep_core::api::condition::ConditionType =
    lockstep_core::api::condition::ConditionType::Ready;

fn put_status(listing: &mut Listing, key: &ConnectionKey, status: Value) {
    match key.kind {
        ConnectionKind::Gerrit => {
            if let Some(found) = listing.gerrit_connection(&key.namespace, &key.name) {
                let mut connection: GerritConnection = (*found).clone();
                connection.status = serde_json::from_value(status).ok();
                listing.put_gerrit(connection);
            }
        }
        ConnectionKind::Databricks => {
            if let Some(found) = listing.databricks_connection(&key.namespace, &key.name) {
                let mut connection: DatabricksConnection = (*found).clone();
                connection.status = serde_json::from_value(status).ok();
                listing.put_databricks(connection);
            }
        }
    }
}

/// Journal, record and tally of a command: none is written from here, and the record is the operator's to read.
struct Nothing;

fn refused(what: &'static str) -> KeepError {
    KeepError {
        what,
        message: "this command only reads".into(),
    }
}

impl Tally for Nothing {
    fn drifted(&self, _kind: ConnectionKind) {}
}

#[async_trait]
impl Journal for Nothing {
    async fn write(&self, _object: &ObjectKey, _state: &JournalState) -> Result<(), KeepError> {
        Err(refused("journal"))
    }
}

#[async_trait]
impl Record for Nothing {
    async fn append(&self, _entry: Entry) -> Result<EntryId, KeepError> {
        Err(refused("record"))
    }

    async fn inventory_of(
        &self,
        _namespace: &str,
        _name: &str,
    ) -> Result<Option<Vec<lockstep_core::api::access_binding::InventoryRow>>, KeepError> {
        Err(refused("record"))
    }

    /// A command cannot know, and takes what looks new for new.
    async fn may_hold(&self, _namespace: &str, _name: &str) -> Result<bool, KeepError> {
        Ok(false)
    }
}
