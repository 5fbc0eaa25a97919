//! Identity tokens: the API server vouches for a ServiceAccount towards one audience, for a short time.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use lockstep_core::api::HOST;
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use secrecy::SecretString;
use tokio::time::timeout;

use super::audience::{is_the_api_servers, is_the_issuers};
use super::secret::check_hosts;

const DEADLINE: Duration = Duration::from_secs(10);
/// The shortest the API server grants. A token is exchanged at once and needs no more.
const LIFETIME_SECONDS: i64 = 600;

async fn check_bound(
    api: &Api<ServiceAccount>,
    namespace: &str,
    name: &str,
    hosts: &[String],
) -> Result<(), SystemError> {
    let host = hosts.first().map(String::as_str).unwrap_or_default();
    let refuse = |reason, message| {
        Err(SystemError::new(
            host,
            SystemErrorKind::Connection(reason),
            message,
        ))
    };
    let found = match timeout(DEADLINE, api.get_metadata_opt(name)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            let message = format!("ServiceAccount {namespace}/{name} cannot be read: {error}");
            return Err(SystemError::new(host, SystemErrorKind::Unreachable, message));
        }
        Err(_) => {
            let message = format!("ServiceAccount {namespace}/{name}: the API server did not answer in time");
            return Err(SystemError::new(host, SystemErrorKind::Unreachable, message));
        }
    };
    let Some(found) = found else {
        return refuse(
            Reason::SecretMissing,
            format!("ServiceAccount {namespace}/{name} does not exist: create it"),
        );
    };
    let bound = found.metadata.annotations.as_ref().and_then(|all| all.get(HOST));
    match check_hosts(bound.map(String::as_str), hosts) {
        Ok(()) => Ok(()),
        Err(why) => refuse(
            Reason::SecretHostMismatch,
            format!(
                "ServiceAccount {namespace}/{name} {why}: no token is sent until its annotation {HOST} says {}",
                hosts.join(",")
            ),
        ),
    }
}

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

    /// A token of a ServiceAccount for one audience, if its annotation says that it may go to these hosts: whoever
    /// may write a connection must not be able to have any identity of the namespace sent to a host of their own.
    /// The caller sees to it that the namespace is the connection's own.
    pub async fn token(
        &self,
        namespace: &str,
        service_account: &str,
        audience: &str,
        hosts: &[String],
    ) -> Result<IdentityToken, SystemError> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let own = || {
            let host = hosts.first().map(String::as_str).unwrap_or_default();
            let message = format!(
                "audience {audience:?} is the API server's own: who receives such a token could act in this cluster; choose one that nobody but the system outside accepts"
            );
            SystemError::new(host, SystemErrorKind::Connection(Reason::InvalidSpec), message)
        };
        if is_the_api_servers(audience) {
            return Err(own());
        }
        check_bound(&api, namespace, service_account, hosts).await?;
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
            Some((Some(token), _)) if is_the_issuers(audience, &token) => Err(own()),
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
