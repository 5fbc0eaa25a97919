//! AWS by its own SDK: values in Secrets Manager, access keys of IAM users.
//!
//! `wire` is what the SDK sends with: our HTTP stack, so that limits, permits and refused addresses hold here as everywhere;
//! `ambient` finds the operator's own identity; `refusal` says what an error means; `secrets` is a store, `access_keys`
//! an issuer, `everything` lists the keys of all users. The SDK repeats nothing by itself.

mod access_keys;
mod ambient;
mod everything;
mod refusal;
mod secrets;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use lockstep_core::domain::ports::{Clock, Permit, SystemError, SystemErrorKind};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;
use url::Url;

pub use access_keys::AccessKeys;
pub use secrets::SecretsManagerStore;

use super::http::HttpMetrics;
use wire::Wire;

/// How to log in.
#[derive(Clone)]
pub enum AwsAuth {
    /// The operator's own identity, as the SDK finds it: environment, web identity, container, instance.
    Ambient,
    /// An access key.
    AccessKey { id: String, secret: SecretString },
}

impl fmt::Debug for AwsAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambient => f.write_str("Ambient"),
            Self::AccessKey { id, .. } => write!(f, "AccessKey({id})"),
        }
    }
}

/// Everything that AWS needs.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    /// For example `eu-central-1`; IAM has none, and takes its partition from it.
    pub region: String,
    /// Another address than the vendor's, for every service that is called.
    pub endpoint: Option<Url>,
    pub auth: AwsAuth,
    /// Longest time of one request.
    pub timeout: Duration,
    /// Requests under way at once, to each service.
    pub concurrency: usize,
    /// Whether loopback addresses, and plain `http` to them, are allowed.
    pub allow_loopback: bool,
    /// How long a key that was made a moment ago may be unknown to STS: IAM spreads it over some seconds.
    pub propagation: Duration,
}

/// One account in one region, seen by one identity.
pub struct Aws {
    config: SdkConfig,
    /// Where Secrets Manager is, and as whom we come.
    place: String,
    propagation: Duration,
    account: OnceCell<String>,
}

impl Aws {
    /// Builds the clients; nothing is sent.
    pub async fn new(
        settings: AwsSettings,
        permit: Arc<dyn Permit>,
        clock: Arc<dyn Clock>,
        metrics: Option<Arc<HttpMetrics>>,
    ) -> Self {
        let AwsSettings {
            region,
            endpoint,
            auth,
            timeout,
            concurrency,
            allow_loopback,
            propagation,
        } = settings;
        let wire = Wire::new(timeout, concurrency, allow_loopback, permit, clock, metrics);
        let (identity, credentials) = match auth {
            AwsAuth::Ambient => ("default".to_owned(), ambient::credentials(&region).await),
            AwsAuth::AccessKey { id, secret } => {
                let key = Credentials::new(&id, secret.expose_secret(), None, None, "lockstep");
                (id, SharedCredentialsProvider::new(key))
            }
        };
        let host = endpoint.as_ref().map_or_else(
            || format!("secretsmanager.{region}.amazonaws.com"),
            super::http::address::host_and_port,
        );
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .credentials_provider(credentials)
            .http_client(wire)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        Self {
            config: config.build(),
            place: format!("aws://{host}/{identity}"),
            propagation,
            account: OnceCell::new(),
        }
    }

    /// One secret by its name. Nothing is sent.
    pub fn secret(&self, name: &str) -> SecretsManagerStore {
        SecretsManagerStore::new(&self.config, &self.place, name)
    }

    /// Whether Secrets Manager lets us in, asked of a secret that need not exist. Who may not ask for that one may well be
    /// allowed those in reach.
    pub async fn probe(&self) -> Result<(), SystemError> {
        match self.secret("lockstep/probe").probe().await {
            Err(error) if error.kind == SystemErrorKind::Forbidden => Ok(()),
            answer => answer,
        }
    }

    /// The access keys of an IAM user. Asks once in which account we are.
    pub async fn access_keys(&self, user: &str) -> Result<AccessKeys, SystemError> {
        let account = self
            .account
            .get_or_try_init(|| access_keys::account(&self.config));
        Ok(AccessKeys::new(
            &self.config,
            account.await?,
            user,
            self.propagation,
        ))
    }
}
