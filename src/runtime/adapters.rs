//! Makes an adapter of a connection: its spec, the values of its Secrets, and what the operator allows.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::connection::{CaBundle, Limits};
use lockstep_core::api::databricks_connection::DatabricksAuth;
use lockstep_core::api::gerrit_connection::GerritAuth;
use lockstep_core::api::{DatabricksConnection, GerritConnection};
use lockstep_core::domain::ports::{Clock, Permit, SystemError, SystemErrorKind};
use secrecy::SecretString;
use url::Url;

use super::reached::Reached;
use crate::clients::databricks::{AccountSettings, Auth, Budget, DatabricksSettings, DatabricksSystem};
use crate::clients::gerrit::{Alias, GerritSettings, GerritSystem, GitCache, PAGE};
use crate::clients::http::HttpMetrics;
use crate::clients::http::address::host_and_port;
use crate::clients::identity::IdentityTokens;
use crate::kubernetes::{IdentityTokenRequests, LONGEST_WRITE, Secrets};

/// Key of a certificate bundle that names none.
const CA_KEY: &str = "ca.crt";
/// Key of a personal access token that names none.
pub(super) const TOKEN_KEY: &str = "token";
/// Requests under way at once to a system whose connection says nothing of it.
pub(super) const CONCURRENCY: usize = 8;

/// What all adapters share.
pub struct Adapters {
    pub kubernetes: kube::Client,
    pub secrets: Secrets,
    pub tokens: IdentityTokenRequests,
    pub permit: Arc<dyn Permit>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<HttpMetrics>,
    /// Where branches are mirrored.
    pub git_cache: Arc<GitCache>,
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
    Gerrit(Box<GerritSettings>),
    Databricks(Box<DatabricksSettings>),
}

/// Identity tokens of one ServiceAccount.
pub(super) struct TokensOf {
    pub(super) requests: IdentityTokenRequests,
    pub(super) namespace: String,
    pub(super) service_account: String,
    /// Where they may be sent.
    pub(super) hosts: Vec<String>,
}

#[async_trait]
impl IdentityTokens for TokensOf {
    async fn token(&self, audience: &str) -> Result<SecretString, SystemError> {
        let granted = self
            .requests
            .token(&self.namespace, &self.service_account, audience, &self.hosts)
            .await?;
        Ok(granted.token)
    }
}

/// Requests a second as the connection states them; `None`: it says nothing.
fn rate(limits: Option<&Limits>) -> Option<u32> {
    limits
        .and_then(|limits| limits.requests_per_second)
        .and_then(|stated| u32::try_from(stated).ok())
}

fn invalid(system: &str, message: impl Into<String>) -> SystemError {
    SystemError::new(system, SystemErrorKind::Connection(Reason::InvalidSpec), message)
}

pub(super) fn address(field: &str, text: &str) -> Result<Url, SystemError> {
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
            .ca(&namespace, spec.ca_bundle.as_ref(), &hosts, &mut versions)
            .await?;
        let settings = Settings::Gerrit(Box::new(GerritSettings {
            url,
            aliases: spec
                .aliases
                .iter()
                .flatten()
                .map(|alias| -> Alias { (alias.email.clone(), alias.accounts.clone()) })
                .collect(),
            requests_per_second: rate(spec.limits.as_ref()),
            allow_loopback: self.allow_loopback,
            page: PAGE,
            username: secrecy::ExposeSecret::expose_secret(&username).to_owned(),
            password,
            ca_pem,
            timeout: timeout(spec.limits.as_ref(), &host)?,
            concurrency: concurrency(spec.limits.as_ref()),
        }));
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
        if let Some(account) = &spec.account {
            let account = host_and_port(&address("account.host", &account.host)?);
            // The same identity logs in to both, so it must be meant for both.
            if account != host {
                hosts.push(account);
            }
        }
        let auth = match &spec.auth {
            DatabricksAuth::WorkloadIdentity {
                service_account_ref,
                client_id,
                audience,
            } => Auth::WorkloadIdentity {
                client_id: client_id.clone(),
                audience: audience.clone(),
                tokens: Arc::new(TokensOf {
                    requests: self.tokens.clone(),
                    namespace: namespace.clone(),
                    service_account: service_account_ref.name.clone(),
                    hosts: hosts.clone(),
                }),
            },
            DatabricksAuth::OauthSecret { secret_ref } => {
                let keys = ["clientId", "clientSecret"];
                let mut credential = self
                    .secrets
                    .credential(&namespace, &secret_ref.name, &hosts, &keys)
                    .await?;
                versions.push(credential.version.clone());
                let client_id = credential.take(keys[0], &secret_ref.name, &host)?;
                Auth::OauthSecret {
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
                Auth::PersonalAccessToken(credential.take(key, &secret_ref.name, &host)?)
            }
        };
        let ca_pem = self
            .ca(&namespace, spec.ca_bundle.as_ref(), &hosts, &mut versions)
            .await?;
        let stated = spec.limits.as_ref().and_then(|limits| limits.requests_per_second);
        let budget = Budget::from_requests_per_second(stated);
        let account = spec.account.as_ref().map(|account| AccountSettings {
            host: account.host.clone(),
            id: account.id.clone(),
        });
        let settings = Settings::Databricks(Box::new(DatabricksSettings {
            host: url.to_string(),
            account,
            auth,
            budget,
            allow_loopback: self.allow_loopback,
            ca_pem,
            timeout: timeout(spec.limits.as_ref(), &host)?,
            concurrency: concurrency(spec.limits.as_ref()),
        }));
        Ok(Material { settings, versions })
    }

    pub(super) async fn ca(
        &self,
        namespace: &str,
        bundle: Option<&CaBundle>,
        hosts: &[String],
        versions: &mut Vec<String>,
    ) -> Result<Option<Vec<u8>>, SystemError> {
        let Some(CaBundle { secret_ref }) = bundle else {
            return Ok(None);
        };
        let key = secret_ref.key.as_deref().unwrap_or(CA_KEY);
        let (pem, version) = self
            .secrets
            .public(namespace, &secret_ref.name, key, hosts)
            .await?;
        versions.push(version);
        Ok(Some(pem))
    }

    /// Builds the client; nothing is sent. `connection` is a name that no other connection ever has.
    pub(super) fn build(&self, settings: Settings, connection: &str) -> Result<Reached, SystemError> {
        let (permit, clock, metrics) = (
            self.permit.clone(),
            self.clock.clone(),
            Some(self.metrics.clone()),
        );
        Ok(match settings {
            Settings::Gerrit(settings) => {
                let system = GerritSystem::new(*settings, permit, clock, metrics)?;
                Reached::gerrit(system, self.git_cache.clone(), connection)
            }
            Settings::Databricks(settings) => {
                Reached::databricks(DatabricksSystem::new(*settings, permit, clock, metrics)?)
            }
        })
    }
}
