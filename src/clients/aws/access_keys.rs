//! Access keys of one IAM user as an issuer. A user has two at most, they carry no label and do not expire.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_iam::types::{AccessKeyMetadata, StatusType};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::label::Label;
use lockstep_core::domain::rotation::machine::state::CredentialId;
use lockstep_core::domain::rotation::ports::issuers::{Allowed, Credential, Issuer, Listed, Minted};
use lockstep_core::domain::rotation::value::Value;

use super::refusal;

/// Quota of IAM, which cannot be raised.
const LIMIT: u32 = 2;
pub(super) const SYSTEM: &str = "iam";
const STS: &str = "sts";

/// The access keys of one user.
pub struct AccessKeys {
    iam: aws_sdk_iam::Client,
    config: SdkConfig,
    user: String,
    address: String,
    propagation: Duration,
}

/// The account that an identity belongs to.
pub(super) async fn account(config: &SdkConfig) -> Result<String, SystemError> {
    let asked = aws_sdk_sts::Client::new(config)
        .get_caller_identity()
        .send()
        .await;
    let found = asked.map_err(|error| refusal::error(STS, "GetCallerIdentity", "ourselves", &error))?;
    found.account().map(ToOwned::to_owned).ok_or_else(|| {
        let why = "GetCallerIdentity of ourselves: answered without an account";
        SystemError::new(STS, SystemErrorKind::BadAnswer, why)
    })
}

impl AccessKeys {
    pub(super) fn new(config: &SdkConfig, account: &str, user: &str, propagation: Duration) -> Self {
        Self {
            iam: aws_sdk_iam::Client::new(config),
            config: config.clone(),
            user: user.to_owned(),
            // Names of users are unique in an account, whatever their path.
            address: format!("aws://iam/{account}/{user}"),
            propagation,
        }
    }

    fn bad(&self, action: &str, kind: SystemErrorKind, why: &str) -> SystemError {
        SystemError::new(SYSTEM, kind, format!("{action} of {}: {why}", self.user))
    }

    fn fault<E>(
        &self,
        action: &str,
        error: &aws_smithy_runtime_api::client::result::SdkError<
            E,
            aws_smithy_runtime_api::client::orchestrator::HttpResponse,
        >,
    ) -> SystemError
    where
        E: aws_smithy_types::error::metadata::ProvideErrorMetadata + std::error::Error + 'static,
    {
        refusal::error(SYSTEM, action, &self.user, error)
    }

    async fn listed(&self, key: &AccessKeyMetadata) -> Result<Option<Listed>, SystemError> {
        let Some(id) = key.access_key_id() else {
            return Ok(None);
        };
        let asked = self.iam.get_access_key_last_used().access_key_id(id).send().await;
        let last_used = match asked {
            Ok(found) => found
                .access_key_last_used()
                .and_then(|used| used.last_used_date())
                .and_then(|date| Timestamp::from_second(date.secs()).ok()),
            // Told where it may be told, and where the key is not gone since.
            Err(error) => match self.fault("GetAccessKeyLastUsed", &error) {
                known if known.kind == SystemErrorKind::Forbidden => None,
                known if known.kind == SystemErrorKind::NotFound => None,
                unknown => return Err(unknown),
            },
        };
        let inactive = key.status() == Some(&StatusType::Inactive);
        Ok(Some(Listed {
            id: CredentialId(id.to_owned()),
            label: None,
            comment: if inactive {
                "inactive".into()
            } else {
                String::new()
            },
            made: key
                .create_date()
                .and_then(|date| Timestamp::from_second(date.secs()).ok()),
            expires: None,
            last_used,
        }))
    }

    /// `None`: it was not let in, and may be in a moment.
    async fn let_in(&self, credential: &Credential) -> Result<Option<bool>, SystemError> {
        let key = Credentials::new(
            &credential.client,
            credential.value.expose(),
            None,
            None,
            "lockstep",
        );
        let config = self
            .config
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(key))
            .build();
        match aws_sdk_sts::Client::new(&config)
            .get_caller_identity()
            .send()
            .await
        {
            Ok(found) => {
                let arn = found.arn().unwrap_or_default();
                let user = arn.rsplit('/').next().unwrap_or_default();
                Ok(Some(arn.contains(":user/") && user == self.user))
            }
            Err(error) => match refusal::code(&error) {
                Some("InvalidClientTokenId") => Ok(None),
                Some("SignatureDoesNotMatch") => Ok(Some(false)),
                _ => Err(refusal::error(STS, "GetCallerIdentity", "the key", &error)),
            },
        }
    }
}

#[async_trait]
impl Issuer for AccessKeys {
    fn allowed(&self) -> Allowed {
        Allowed {
            limit: Some(LIMIT),
            labelled: false,
            longest_lifetime: None,
        }
    }

    fn address(&self) -> &str {
        &self.address
    }

    async fn list(&self) -> Result<Vec<Listed>, SystemError> {
        let mut listed = Vec::new();
        let mut marker = None;
        loop {
            let page = self
                .iam
                .list_access_keys()
                .user_name(&self.user)
                .set_marker(marker)
                .send()
                .await
                .map_err(|error| self.fault("ListAccessKeys", &error))?;
            for key in page.access_key_metadata() {
                listed.extend(self.listed(key).await?);
            }
            marker = page.marker().map(ToOwned::to_owned);
            if !page.is_truncated() || marker.is_none() {
                return Ok(listed);
            }
        }
    }

    async fn mint(&self, _: &Label, _: Option<u64>) -> Result<Minted, SystemError> {
        let action = "CreateAccessKey";
        let made = self.iam.create_access_key().user_name(&self.user).send().await;
        let made = made.map_err(|error| match refusal::code(&error) {
            Some("LimitExceeded") => self.bad(
                action,
                SystemErrorKind::Refused,
                "409 LimitExceeded: the user has two access keys, which is all that IAM allows: delete one of them",
            ),
            _ => self.fault(action, &error),
        })?;
        let key = made.access_key().ok_or_else(|| {
            let kind = SystemErrorKind::OutcomeUnknown;
            self.bad(action, kind, "answered without a key")
        })?;
        let id = CredentialId(key.access_key_id().to_owned());
        Ok(Minted {
            credential: self.credential(&id, Value::new(key.secret_access_key().to_owned())),
            id,
            expires: None,
        })
    }

    fn credential(&self, id: &CredentialId, value: Value) -> Credential {
        Credential {
            client: id.0.clone(),
            value,
            host: String::new(),
        }
    }

    async fn prove(&self, credential: &Credential) -> Result<bool, SystemError> {
        let mut delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(2))
            .with_total_delay(Some(self.propagation))
            .without_max_times()
            .build();
        loop {
            if let Some(answer) = self.let_in(credential).await? {
                return Ok(answer);
            }
            let Some(delay) = delays.next() else {
                return Ok(false);
            };
            tokio::time::sleep(delay).await;
        }
    }

    async fn revoke(&self, id: &CredentialId) -> Result<(), SystemError> {
        let deleted = self
            .iam
            .delete_access_key()
            .user_name(&self.user)
            .access_key_id(&id.0)
            .send()
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if refusal::code(&error) == Some("NoSuchEntity") => Ok(()),
            Err(error) => Err(self.fault("DeleteAccessKey", &error)),
        }
    }
}
