//! Opens issuers and stores of rotated credentials. Those behind a connection share its client with everything else.

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{ConnectionKey, SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::inventory::{Inventories, Inventory};
use lockstep_core::domain::rotation::ports::issuers::{Aws, Identity, Issuer, Issuers};
use lockstep_core::domain::rotation::ports::stores::{Place, Store, Stores};

use super::clients::Clients;
use crate::kubernetes::SecretStore;

const NOT_BUILT_IN: &str = "this program was built without this kind of issuer";
const NO_SCOPES: &str = "secret scopes are found in workspaces of Databricks only";

fn unknown(what: &str, message: &str) -> SystemError {
    SystemError::new(what, SystemErrorKind::Connection(Reason::InvalidSpec), message)
}

#[async_trait]
impl Issuers for Clients {
    async fn open(&self, identity: &Identity, going: bool) -> Result<Arc<dyn Issuer>, SystemError> {
        // A connection looks after its own login.
        #[cfg(not(feature = "aws"))]
        let _ = going;
        let issuer = match identity {
            Identity::DatabricksServicePrincipal { connection, .. }
            | Identity::DatabricksToken { connection, .. }
            | Identity::GerritToken { connection, .. } => self.issuer(connection, identity).await?,
            #[cfg(feature = "aws")]
            Identity::AwsAccessKey { aws, user } => {
                let open = &self.stores.aws;
                Some(open.access_keys(self.adapters(), aws, user, going).await?)
            }
            #[cfg(not(feature = "aws"))]
            Identity::AwsAccessKey { .. } => None,
        };
        issuer.ok_or_else(|| unknown("issuer", NOT_BUILT_IN))
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
            Place::CredentialStore {
                namespace,
                name,
                path,
            } => {
                if let Some((connection, scope)) = self.stores.scope(namespace, name) {
                    let reached = self.reach(&connection, false).await?;
                    let entry = reached.secret_scope(&scope, path).await?;
                    return entry.ok_or_else(|| unknown(&connection.to_string(), NO_SCOPES));
                }
                let adapters = self.adapters();
                let backend = self.stores.reach(adapters, namespace, name, false).await?;
                backend.store(path)
            }
        }
    }

    async fn probe(&self, namespace: &str, name: &str) -> Result<(), SystemError> {
        if let Some((connection, scope)) = self.stores.scope(namespace, name) {
            let reached = self.reach(&connection, false).await?;
            let probed = reached.probe_secret_scope(&scope).await?;
            return probed.ok_or_else(|| unknown(&connection.to_string(), NO_SCOPES));
        }
        let adapters = self.adapters();
        let backend = self.stores.reach(adapters, namespace, name, true).await?;
        backend.probe().await
    }
}

#[async_trait]
impl Inventories for Clients {
    async fn everything(&self, connection: &ConnectionKey) -> Result<Inventory, SystemError> {
        self.reach(connection, false).await?.everything().await
    }

    #[cfg(feature = "aws")]
    async fn access_keys(&self, aws: &Aws, users: &[String]) -> Result<Inventory, SystemError> {
        let client = self.stores.aws.client(self.adapters(), aws, false).await?;
        client.everything(users).await
    }

    #[cfg(not(feature = "aws"))]
    async fn access_keys(&self, _: &Aws, _: &[String]) -> Result<Inventory, SystemError> {
        Err(unknown("IAM", NOT_BUILT_IN))
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
