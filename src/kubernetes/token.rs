//! Identity tokens: the API server vouches for a ServiceAccount towards one audience, for a short time.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use secrecy::SecretString;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);
/// The shortest the API server grants. A token is exchanged at once and needs no more.
const LIFETIME_SECONDS: i64 = 600;

/// Asks for tokens of ServiceAccounts.
#[derive(Clone)]
pub struct IdentityTokenRequests {
    client: Client,
}

/// A token and when it ends.
#[derive(Debug)]
pub struct IdentityToken {
    pub token: SecretString,
    pub expires: Timestamp,
}

impl IdentityTokenRequests {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// A token of a ServiceAccount for one audience. The caller sees to it that the namespace is the connection's
    /// own.
    pub async fn token(
        &self,
        namespace: &str,
        service_account: &str,
        audience: &str,
    ) -> Result<IdentityToken, SystemError> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: Some(vec![audience.to_owned()]),
                expiration_seconds: Some(LIFETIME_SECONDS),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let whose = format!("ServiceAccount {namespace}/{service_account}");
        let refuse = |kind, message| SystemError::new(audience, kind, message);
        let params = PostParams::default();
        let asked = timeout(
            DEADLINE,
            api.create_token_request(service_account, &params, &request),
        );
        let status = match asked.await {
            Ok(Ok(answer)) => answer.status,
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => {
                let message = format!("{whose} does not exist: create it");
                return Err(refuse(
                    SystemErrorKind::Connection(Reason::SecretMissing),
                    message,
                ));
            }
            Ok(Err(error)) => {
                let message = format!("no token for {whose}: {error}");
                return Err(refuse(SystemErrorKind::Unauthorized, message));
            }
            Err(_) => {
                let message = format!("no token for {whose}: the API server did not answer in time");
                return Err(refuse(SystemErrorKind::Unreachable, message));
            }
        };
        match status.map(|status| (status.token, status.expiration_timestamp)) {
            Some((Some(token), Some(expires))) => Ok(IdentityToken {
                token: SecretString::from(token),
                expires: expires.0,
            }),
            _ => {
                let message = format!("no token for {whose}: the answer holds none");
                Err(refuse(SystemErrorKind::BadAnswer, message))
            }
        }
    }
}
