//! Opens issuers and stores of rotated credentials. Those behind a connection share its client with everything else.

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{ConnectionKey, SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::inventory::{Inventories, Inventory};
use lockstep_core::domain::rotation::ports::issuers::{Identity, Issuer, Issuers};
use lockstep_core::domain::rotation::ports::stores::{Place, Store, Stores};

use super::clients::Clients;
use crate::kubernetes::SecretStore;

fn unknown(what: &str, message: &str) -> SystemError {
    SystemError::new(what, SystemErrorKind::Connection(Reason::InvalidSpec), message)
}

#[async_trait]
impl Issuers for Clients {
    async fn open(&self, identity: &Identity) -> Result<Arc<dyn Issuer>, SystemError> {
        let issuer = match identity {
            Identity::DatabricksServicePrincipal { connection, .. }
            | Identity::DatabricksToken { connection, .. }
            | Identity::GerritToken { connection, .. } => self.issuer(connection, identity).await?,
            Identity::AwsAccessKey { .. } => None,
        };
        issuer.ok_or_else(|| unknown("issuer", "this kind of issuer is not built in"))
    }
}

#[async_trait]
impl Stores for Clients {
    async fn open(&self, place: &Place) -> Result<Arc<dyn Store>, SystemError> {
        match place {
            Place::KubernetesSecret {
                namespace,
                name,
                kind,
            } => {
                let adapters = self.adapters();
                let store = SecretStore::new(
                    &adapters.kubernetes,
                    adapters.permit.clone(),
                    namespace,
                    name,
                    kind,
                );
                Ok(Arc::new(store))
            }
            Place::CredentialStore { namespace, name, .. } => Err(unknown(
                &format!("CredentialStore {namespace}/{name}"),
                "this kind of store is not built in",
            )),
        }
    }

    async fn probe(&self, namespace: &str, name: &str) -> Result<(), SystemError> {
        Err(unknown(
            &format!("CredentialStore {namespace}/{name}"),
            "this kind of store is not built in",
        ))
    }
}

#[async_trait]
impl Inventories for Clients {
    async fn everything(&self, connection: &ConnectionKey) -> Result<Inventory, SystemError> {
        self.reach(connection, false).await?.everything().await
    }
}

impl Clients {
    async fn issuer(
        &self,
        connection: &ConnectionKey,
        identity: &Identity,
    ) -> Result<Option<Arc<dyn Issuer>>, SystemError> {
        let reached = self.reach(connection, false).await?;
        reached.issuer(identity).await
    }
}
