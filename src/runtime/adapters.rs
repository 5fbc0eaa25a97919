//! Makes an adapter of a connection: its spec, the values of its Secrets, and what the operator allows.

#![expect(
    dead_code,
    clippy::unused_self,
    reason = "the adapters that take these settings come next"
)]

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::connection::{CaBundle, Limits};
use lockstep_core::api::databricks_connection::DatabricksAuth;
use lockstep_core::api::gerrit_connection::GerritAuth;
use lockstep_core::api::{DatabricksConnection, GerritConnection};
use lockstep_core::domain::ports::{Clock, Permit, SystemError, SystemErrorKind};
use secrecy::SecretString;
use url::Url;

use super::clients::Reached;
use crate::clients::http::HttpMetrics;
use crate::clients::http::address::host_and_port;
use crate::kubernetes::{IdentityTokenRequests, LONGEST_WRITE, Secrets};

/// Key of a certificate bundle that names none.
const CA_KEY: &str = "ca.crt";
/// Key of a personal access token that names none.
const TOKEN_KEY: &str = "token";
/// Requests under way at once to a system whose connection says nothing of it.
const CONCURRENCY: usize = 8;

/// What all adapters share.
pub struct Adapters {
    pub secrets: Secrets,
    pub tokens: IdentityTokenRequests,
    pub permit: Arc<dyn Permit>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<HttpMetrics>,
    pub allow_loopback: bool,
}

/// What a client is made of.
pub(super) struct Material {
    pub(super) settings: Settings,
    /// Versions of the Secrets it was read from.
    pub(super) versions: Vec<String>,
}

/// Settings of one adapter or the other.
pub(super) enum Settings {
    Gerrit(GerritParts),
    Databricks(DatabricksParts),
}

pub(super) struct GerritParts {
    pub(super) url: Url,
    pub(super) username: String,
    pub(super) password: SecretString,
    pub(super) ca_pem: Option<Vec<u8>>,
    pub(super) timeout: Duration,
    pub(super) concurrency: usize,
}

pub(super) struct DatabricksParts {
    pub(super) host: Url,
    pub(super) auth: AuthParts,
    pub(super) ca_pem: Option<Vec<u8>>,
    pub(super) timeout: Duration,
    pub(super) concurrency: usize,
}

pub(super) enum AuthParts {
    WorkloadIdentity {
        namespace: String,
        service_account: String,
        client_id: String,
        audience: Option<String>,
    },
    OauthSecret {
        client_id: String,
        client_secret: SecretString,
    },
    PersonalAccessToken(SecretString),
}

fn invalid(system: &str, message: impl Into<String>) -> SystemError {
    SystemError::new(system, SystemErrorKind::Connection(Reason::InvalidSpec), message)
}

fn address(field: &str, text: &str) -> Result<Url, SystemError> {
    Url::parse(text).map_err(|error| invalid(text, format!("spec.{field} is not a URL: {error}")))
}

/// One deadline for everything: a call that writes must end before the lease does, or it is never permitted.
fn timeout(limits: Option<&Limits>, host: &str) -> Result<Duration, SystemError> {
    let Some(stated) = limits.and_then(|limits| limits.timeout.as_ref()) else {
        return Ok(LONGEST_WRITE);
    };
    let seconds = stated
        .seconds()
        .map_err(|why| invalid(host, format!("spec.limits.timeout: {why}")))?;
    Ok(Duration::from_secs(seconds.max(1)).min(LONGEST_WRITE))
}

fn concurrency(limits: Option<&Limits>) -> usize {
    limits
        .and_then(|limits| limits.concurrency)
        .and_then(|stated| usize::try_from(stated).ok())
        .unwrap_or(CONCURRENCY)
}

impl Adapters {
    /// Reads what a client of this Gerrit is made of.
    pub(super) async fn gerrit(&self, connection: &GerritConnection) -> Result<Material, SystemError> {
        let namespace = connection.namespace().unwrap_or_default();
        let spec = &connection.spec;
        let url = address("url", &spec.url)?;
        let host = host_and_port(&url);
        let mut versions = Vec::new();
        let GerritAuth::Basic { secret_ref } = &spec.auth;
        let keys = ["username", "password"];
        let hosts = [host.clone()];
        let mut credential = self
            .secrets
            .credential(&namespace, &secret_ref.name, &hosts, &keys)
            .await?;
        versions.push(credential.version.clone());
        let username = credential.take(keys[0], &secret_ref.name, &host)?;
        let password = credential.take(keys[1], &secret_ref.name, &host)?;
        let ca_pem = self
            .ca(&namespace, spec.ca_bundle.as_ref(), &host, &mut versions)
            .await?;
        let settings = Settings::Gerrit(GerritParts {
            url,
            username: secrecy::ExposeSecret::expose_secret(&username).to_owned(),
            password,
            ca_pem,
            timeout: timeout(spec.limits.as_ref(), &host)?,
            concurrency: concurrency(spec.limits.as_ref()),
        });
        Ok(Material { settings, versions })
    }

    /// Reads what a client of this workspace is made of.
    pub(super) async fn databricks(
        &self,
        connection: &DatabricksConnection,
    ) -> Result<Material, SystemError> {
        let namespace = connection.namespace().unwrap_or_default();
        let spec = &connection.spec;
        let url = address("host", &spec.host)?;
        let host = host_and_port(&url);
        let mut hosts = vec![host.clone()];
        let mut versions = Vec::new();
        let auth = match &spec.auth {
            DatabricksAuth::WorkloadIdentity {
                service_account_ref,
                client_id,
                audience,
            } => AuthParts::WorkloadIdentity {
                namespace: namespace.clone(),
                service_account: service_account_ref.name.clone(),
                client_id: client_id.clone(),
                audience: audience.clone(),
            },
            DatabricksAuth::OauthSecret { secret_ref } => {
                // The same credential logs in to both, so it must be meant for both.
                if let Some(account) = &spec.account {
                    let account = host_and_port(&address("account.host", &account.host)?);
                    if account != host {
                        hosts.push(account);
                    }
                }
                let keys = ["clientId", "clientSecret"];
                let mut credential = self
                    .secrets
                    .credential(&namespace, &secret_ref.name, &hosts, &keys)
                    .await?;
                versions.push(credential.version.clone());
                let client_id = credential.take(keys[0], &secret_ref.name, &host)?;
                AuthParts::OauthSecret {
                    client_id: secrecy::ExposeSecret::expose_secret(&client_id).to_owned(),
                    client_secret: credential.take(keys[1], &secret_ref.name, &host)?,
                }
            }
            DatabricksAuth::PersonalAccessToken { secret_ref } => {
                let key = secret_ref.key.as_deref().unwrap_or(TOKEN_KEY);
                let mut credential = self
                    .secrets
                    .credential(&namespace, &secret_ref.name, &hosts, &[key])
                    .await?;
                versions.push(credential.version.clone());
                AuthParts::PersonalAccessToken(credential.take(key, &secret_ref.name, &host)?)
            }
        };
        let ca_pem = self
            .ca(&namespace, spec.ca_bundle.as_ref(), &host, &mut versions)
            .await?;
        let settings = Settings::Databricks(DatabricksParts {
            host: url,
            auth,
            ca_pem,
            timeout: timeout(spec.limits.as_ref(), &host)?,
            concurrency: concurrency(spec.limits.as_ref()),
        });
        Ok(Material { settings, versions })
    }

    async fn ca(
        &self,
        namespace: &str,
        bundle: Option<&CaBundle>,
        host: &str,
        versions: &mut Vec<String>,
    ) -> Result<Option<Vec<u8>>, SystemError> {
        let Some(CaBundle { secret_ref }) = bundle else {
            return Ok(None);
        };
        let key = secret_ref.key.as_deref().unwrap_or(CA_KEY);
        let (pem, version) = self
            .secrets
            .public(namespace, &secret_ref.name, key, host)
            .await?;
        versions.push(version);
        Ok(Some(pem))
    }

    /// Builds the client; nothing is sent.
    pub(super) fn build(&self, settings: Settings) -> Result<Arc<dyn Reached>, SystemError> {
        match settings {
            Settings::Gerrit(parts) => Err(invalid(parts.url.as_str(), "not built yet")),
            Settings::Databricks(parts) => Err(invalid(parts.host.as_str(), "not built yet")),
        }
    }
}
