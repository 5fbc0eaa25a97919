//! Opens what CredentialStores lead to, once for everybody who writes there: one login, one budget, one breaker.
//!
//! A client is made anew when the store's spec or one of its Secrets changed. Secrets are read when a client is made and at
//! each probe, as those of connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use lockstep_core::api::CredentialStore;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::credential_store::{ScopeStore, VaultAuth as Spelt, VaultStore, VaultTokenLogin};
use lockstep_core::domain::ports::{ConnectionKey, ConnectionKind, SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::objects::Credentials;
use lockstep_core::domain::rotation::ports::stores::Store;
use secrecy::ExposeSecret as _;

use super::adapters::{Adapters, CONCURRENCY, TOKEN_KEY, TokensOf, address};
use crate::clients::http::address::host_and_port;
use crate::clients::vault::{Vault, VaultAuth, VaultSettings};
use crate::kubernetes::LONGEST_WRITE;

/// The clients of all stores.
pub(super) struct OpenStores {
    credentials: Arc<dyn Credentials>,
    slots: Mutex<HashMap<(String, String), Slot>>,
    #[cfg(feature = "aws")]
    pub(super) aws: super::aws::OpenAws,
}

/// With a namespace its Secrets may go moments before its stores. What is missing for longer was taken away.
const GOES_FIRST: Duration = Duration::from_mins(1);

/// One store's client; whoever makes it holds the lock, so that it is made once.
type Slot = Arc<tokio::sync::Mutex<Option<Client>>>;

struct Client {
    uid: Option<String>,
    generation: Option<i64>,
    /// Versions of the Secrets it was made from.
    secrets: Vec<String>,
    backend: Backend,
    /// Since when one of them is missing.
    missing: Option<Instant>,
}

/// What a store is made of.
enum Material {
    Vault(Box<VaultSettings>),
    #[cfg(feature = "aws")]
    Aws(Box<crate::clients::aws::AwsSettings>),
}

/// Where a store leads to.
#[derive(Clone)]
pub(super) enum Backend {
    Vault(Arc<Vault>),
    #[cfg(feature = "aws")]
    Aws(Arc<crate::clients::aws::Aws>),
}

impl Backend {
    /// One place of it. Nothing is sent.
    pub fn store(&self, path: &str) -> Result<Arc<dyn Store>, SystemError> {
        match self {
            Self::Vault(vault) => Ok(Arc::new(vault.store(path)?)),
            #[cfg(feature = "aws")]
            Self::Aws(aws) => Ok(Arc::new(aws.secret(path))),
        }
    }

    /// Whether it lets us in.
    pub async fn probe(&self) -> Result<(), SystemError> {
        match self {
            Self::Vault(vault) => vault.probe().await,
            #[cfg(feature = "aws")]
            Self::Aws(aws) => aws.probe().await,
        }
    }
}

impl OpenStores {
    pub fn new(credentials: Arc<dyn Credentials>) -> Self {
        Self {
            credentials,
            slots: Mutex::default(),
            #[cfg(feature = "aws")]
            aws: super::aws::OpenAws::default(),
        }
    }

    /// The connection and the secret scope that a store means, if it means one.
    pub fn scope(&self, namespace: &str, name: &str) -> Option<(ConnectionKey, String)> {
        let store = self.credentials.credential_store(namespace, name)?;
        let ScopeStore {
            connection_ref,
            scope,
        } = store.spec.databricks_secret_scope.as_ref()?;
        let connection = ConnectionKey {
            kind: ConnectionKind::Databricks,
            namespace: connection_ref
                .namespace
                .clone()
                .unwrap_or_else(|| namespace.to_owned()),
            name: connection_ref.name.clone(),
        };
        Some((connection, scope.clone()))
    }

    /// The client of a store. `anew` reads its Secrets even if the store itself is unchanged.
    pub async fn reach(
        &self,
        adapters: &Adapters,
        namespace: &str,
        name: &str,
        anew: bool,
    ) -> Result<Backend, SystemError> {
        let key = (namespace.to_owned(), name.to_owned());
        let Some(store) = self.credentials.credential_store(namespace, name) else {
            self.slots().remove(&key);
            return Err(unusable(namespace, name, Reason::NotFound, "it does not exist"));
        };
        let slot = self.slots().entry(key).or_default().clone();
        let mut slot = slot.lock().await;
        let now = Instant::now();
        slot.take_if(|client| client.missing.is_some_and(|since| now - since > GOES_FIRST));
        let same = |client: &&Client| {
            let current = client.generation == store.metadata.generation;
            current && client.uid == store.metadata.uid && client.missing.is_none()
        };
        // With a namespace its Secrets and ServiceAccounts go at once, and what lies in a store must still be taken out:
        // one that goes itself keeps the client it had. Its deletion counts as one generation.
        let going = store.metadata.deletion_timestamp.is_some();
        let last = |client: &&Client| {
            let counted = client.generation.map(|generation| generation + 1);
            going && client.uid == store.metadata.uid && counted == store.metadata.generation
        };
        let kept = slot
            .as_mut()
            .filter(|client| last(&&**client) || (same(&&**client) && !anew));
        if let Some(client) = kept {
            client.missing = None;
            return Ok(client.backend.clone());
        }
        let (material, secrets) = match adapters.store(&store).await {
            Ok(read) => read,
            Err(error) => {
                // A credential that was taken away must not live on in a client, unless the store goes as well.
                match (&error.kind, slot.as_mut()) {
                    (SystemErrorKind::Connection(Reason::SecretMissing), Some(client)) => {
                        client.missing.get_or_insert(now);
                    }
                    (SystemErrorKind::Connection(_), _) => *slot = None,
                    _ => {}
                }
                return Err(error);
            }
        };
        if let Some(client) = slot.as_ref().filter(same)
            && client.secrets == secrets
        {
            return Ok(client.backend.clone());
        }
        let backend = adapters.backend(material).await?;
        *slot = Some(Client {
            uid: store.metadata.uid.clone(),
            generation: store.metadata.generation,
            secrets,
            backend: backend.clone(),
            missing: None,
        });
        Ok(backend)
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unusable(namespace: &str, name: &str, reason: Reason, why: &str) -> SystemError {
    let what = format!("CredentialStore {namespace}/{name}");
    SystemError::new(what, SystemErrorKind::Connection(reason), why)
}

impl Adapters {
    /// Reads what a store's client is made of, and the versions of its Secrets.
    async fn store(&self, store: &CredentialStore) -> Result<(Material, Vec<String>), SystemError> {
        let namespace = store.namespace().unwrap_or_default();
        let spec = &store.spec;
        if let Some(vault) = &spec.vault {
            let (settings, versions) = self.vault(&namespace, vault).await?;
            return Ok((Material::Vault(Box::new(settings)), versions));
        }
        #[cfg(feature = "aws")]
        if let Some(aws) = &spec.aws_secrets_manager {
            let (settings, versions) = self.secrets_manager(&namespace, aws).await?;
            return Ok((Material::Aws(Box::new(settings)), versions));
        }
        let why = "this program was built without this kind of store";
        Err(unusable(&namespace, &store.name_any(), Reason::InvalidSpec, why))
    }

    #[cfg_attr(
        not(feature = "aws"),
        expect(clippy::unused_async, reason = "AWS looks for an identity first")
    )]
    async fn backend(&self, material: Material) -> Result<Backend, SystemError> {
        let (permit, clock, metrics) = (
            self.permit.clone(),
            self.clock.clone(),
            Some(self.metrics.clone()),
        );
        Ok(match material {
            Material::Vault(settings) => {
                Backend::Vault(Arc::new(Vault::new(*settings, permit, clock, metrics)?))
            }
            #[cfg(feature = "aws")]
            Material::Aws(settings) => {
                let aws = crate::clients::aws::Aws::new(*settings, permit, clock, metrics);
                Backend::Aws(Arc::new(aws.await))
            }
        })
    }

    async fn vault(
        &self,
        namespace: &str,
        spec: &VaultStore,
    ) -> Result<(VaultSettings, Vec<String>), SystemError> {
        let VaultStore {
            address: stated,
            namespace: within,
            mount,
            auth,
            ca_bundle,
        } = spec;
        let url = address("vault.address", stated)?;
        let host = host_and_port(&url);
        let hosts = [host.clone()];
        let mut versions = Vec::new();
        let auth = match auth {
            Spelt::Kubernetes(login) => self.by_account(namespace, login, "kubernetes", stated, &hosts),
            Spelt::Jwt(login) => self.by_account(namespace, login, "jwt", stated, &hosts),
            Spelt::AppRole(login) => {
                let (secret, keys) = (&login.secret_ref.name, ["roleId", "secretId"]);
                let mut credential = self.secrets.credential(namespace, secret, &hosts, &keys).await?;
                versions.push(credential.version.clone());
                let role_id = credential.take(keys[0], secret, &host)?;
                VaultAuth::AppRole {
                    mount: login.mount.clone().unwrap_or_else(|| "approle".into()),
                    role_id: role_id.expose_secret().to_owned(),
                    secret_id: credential.take(keys[1], secret, &host)?,
                }
            }
            Spelt::TokenSecretRef(secret) => {
                let mut credential = self
                    .secrets
                    .credential(namespace, &secret.name, &hosts, &[TOKEN_KEY])
                    .await?;
                versions.push(credential.version.clone());
                VaultAuth::Token(credential.take(TOKEN_KEY, &secret.name, &host)?)
            }
        };
        let ca_pem = self
            .ca(namespace, ca_bundle.as_ref(), &hosts, &mut versions)
            .await?;
        let settings = VaultSettings {
            address: url,
            namespace: within.clone(),
            mount: mount.clone(),
            auth,
            ca_pem,
            timeout: LONGEST_WRITE,
            concurrency: CONCURRENCY,
            allow_loopback: self.allow_loopback,
        };
        Ok((settings, versions))
    }

    fn by_account(
        &self,
        namespace: &str,
        login: &VaultTokenLogin,
        method: &str,
        address: &str,
        hosts: &[String],
    ) -> VaultAuth {
        let VaultTokenLogin {
            service_account_ref,
            role,
            mount,
            audience,
        } = login;
        VaultAuth::ServiceAccount {
            mount: mount.clone().unwrap_or_else(|| method.to_owned()),
            role: role.clone(),
            audience: audience.clone().unwrap_or_else(|| address.to_owned()),
            tokens: Arc::new(TokensOf {
                requests: self.tokens.clone(),
                namespace: namespace.to_owned(),
                service_account: service_account_ref.name.clone(),
                hosts: hosts.to_vec(),
            }),
        }
    }
}
