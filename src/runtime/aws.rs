//! What AWS clients are made of: for stores, and for access keys, whose ServiceCredential says itself how AWS is reached.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lockstep_core::api::condition::Reason;
use lockstep_core::api::credential_store::{AwsAuth as Spelt, AwsStore};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::issuers::{Aws as Way, Issuer};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;
use url::Url;

use super::adapters::{Adapters, CONCURRENCY, address};
use crate::clients::aws::{Aws, AwsAuth, AwsSettings};
use crate::clients::http::address::host_and_port;
use crate::kubernetes::LONGEST_WRITE;

/// Keys of a Secret with an access key.
const KEYS: [&str; 2] = ["accessKeyId", "secretAccessKey"];
/// How long a pass stays for a new key to be known; the next pass asks again.
const PROPAGATION: Duration = Duration::from_secs(8);

/// Clients by which access keys are minted, each with the version of its Secret.
#[derive(Default)]
pub(super) struct OpenAws(Mutex<HashMap<Way, (Option<String>, Arc<Aws>)>>);

impl OpenAws {
    /// The access keys of an IAM user. The Secret is read each time: who changes it is heard at once. `going`: one that is
    /// gone is not asked for again, and its client serves on.
    pub async fn access_keys(
        &self,
        adapters: &Adapters,
        way: &Way,
        user: &str,
        going: bool,
    ) -> Result<Arc<dyn Issuer>, SystemError> {
        let aws = self.client(adapters, way, going).await?;
        Ok(Arc::new(aws.access_keys(user).await?))
    }

    /// An account, reached so; `going` as for its access keys.
    pub async fn client(&self, adapters: &Adapters, way: &Way, going: bool) -> Result<Arc<Aws>, SystemError> {
        let Way {
            namespace,
            secret,
            region,
            endpoint,
        } = way;
        let endpoint = endpoint
            .as_deref()
            .map(|stated| address("issuer.awsAccessKey.endpoint", stated))
            .transpose()?;
        let host = host(endpoint.as_ref(), "iam.amazonaws.com");
        let read = adapters.access_key(namespace, secret.as_deref(), &host).await;
        let mut open = self.0.lock().await;
        let last = open.get(way).map(|(_, aws)| Arc::clone(aws));
        let (auth, version) = match (read, last) {
            (Ok(read), _) => read,
            (Err(error), Some(aws)) if going && is_missing(&error) => return Ok(aws),
            (Err(error), _) => return Err(error),
        };
        let aws = match open.get(way) {
            Some((made_from, aws)) if *made_from == version => Arc::clone(aws),
            _ => {
                let settings = adapters.aws(region, endpoint, auth);
                let aws = Arc::new(
                    Aws::new(
                        settings,
                        adapters.permit.clone(),
                        adapters.clock.clone(),
                        Some(adapters.metrics.clone()),
                    )
                    .await,
                );
                open.insert(way.clone(), (version, Arc::clone(&aws)));
                aws
            }
        };
        Ok(aws)
    }
}

fn is_missing(error: &SystemError) -> bool {
    error.kind == SystemErrorKind::Connection(Reason::SecretMissing)
}

/// The host that a Secret must be meant for.
fn host(endpoint: Option<&Url>, vendors: &str) -> String {
    endpoint.map_or_else(|| vendors.to_owned(), host_and_port)
}

impl Adapters {
    /// Reads what a store in Secrets Manager is made of, and the versions of its Secrets.
    pub(super) async fn secrets_manager(
        &self,
        namespace: &str,
        spec: &AwsStore,
    ) -> Result<(AwsSettings, Vec<String>), SystemError> {
        let AwsStore {
            region,
            auth,
            endpoint,
        } = spec;
        let endpoint = endpoint
            .as_deref()
            .map(|stated| address("awsSecretsManager.endpoint", stated))
            .transpose()?;
        let secret = match auth {
            Spelt::Default(_) => None,
            Spelt::SecretRef(secret) => Some(secret.name.as_str()),
        };
        let host = host(
            endpoint.as_ref(),
            &format!("secretsmanager.{region}.amazonaws.com"),
        );
        let (auth, version) = self.access_key(namespace, secret, &host).await?;
        Ok((self.aws(region, endpoint, auth), version.into_iter().collect()))
    }

    /// How to log in, and the version of the Secret that says so. `None`: by our own identity, which whoever asks has
    /// been found to be entitled to.
    async fn access_key(
        &self,
        namespace: &str,
        secret: Option<&str>,
        host: &str,
    ) -> Result<(AwsAuth, Option<String>), SystemError> {
        let Some(secret) = secret else {
            return Ok((AwsAuth::Ambient, None));
        };
        let hosts = [host.to_owned()];
        let mut credential = self.secrets.credential(namespace, secret, &hosts, &KEYS).await?;
        let id = credential.take(KEYS[0], secret, host)?;
        let auth = AwsAuth::AccessKey {
            id: id.expose_secret().to_owned(),
            secret: credential.take(KEYS[1], secret, host)?,
        };
        Ok((auth, Some(credential.version.clone())))
    }

    fn aws(&self, region: &str, endpoint: Option<Url>, auth: AwsAuth) -> AwsSettings {
        AwsSettings {
            region: region.to_owned(),
            endpoint,
            auth,
            timeout: LONGEST_WRITE,
            concurrency: CONCURRENCY,
            allow_loopback: self.allow_loopback,
            propagation: PROPAGATION,
        }
    }
}
