//! Sends calls with whatever token is good, and says what a refusal means. Vault answers 403 both to a token it no longer
//! knows and to one that may not: which of the two it is decides whether logging in again makes sense.

use std::sync::Arc;

use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{Clock, Permit, SystemError, SystemErrorKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::login::{Bearer, Login};
use super::settings::VaultSettings;
use crate::clients::http::{
    Answer, BODY_LIMIT, Call, FamilyLimit, Http, HttpMetrics, HttpOptions, is_unavailable,
};

/// Family of logins, and of everything else.
pub(super) const LOGIN: &str = "login";
pub(super) const DATA: &str = "kv";
/// What one busy client makes of a server that others share.
const LIMITS: [FamilyLimit; 2] = [
    FamilyLimit::per_second(LOGIN, 5),
    FamilyLimit::per_second(DATA, 50),
];
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A path, every segment of it encoded once.
pub(super) fn encoded(path: &str) -> String {
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| utf8_percent_encode(segment, SEGMENT).to_string())
        .collect();
    segments.join("/")
}

/// The way to the server, before anybody has logged in.
pub(super) struct Wire {
    http: Http,
    namespace: Option<HeaderValue>,
}

#[derive(Deserialize)]
struct SealStatus {
    sealed: bool,
}

impl Wire {
    pub fn error(&self, kind: SystemErrorKind, message: impl Into<String>) -> SystemError {
        self.http.error(kind, message)
    }

    /// Sends a call as it is. One that a sealed Vault did not take is an error that says so.
    pub async fn send(&self, call: Call) -> Result<Answer, SystemError> {
        let label = call.label();
        let call = match &self.namespace {
            Some(namespace) => call.header(NAMESPACE, namespace.clone()),
            None => call,
        };
        match self.http.send(call).await {
            Ok(answer) => Ok(answer),
            Err(error) if is_unavailable(&error) => Err(self.sealed(&label).await.unwrap_or(error)),
            Err(error) => Err(error),
        }
    }

    /// An error if it is known to be sealed.
    async fn sealed(&self, label: &str) -> Option<SystemError> {
        let path = "v1/sys/seal-status";
        let asked = self.http.send(Call::get("/v1/sys/seal-status", path, DATA)).await;
        let SealStatus { sealed } = asked.ok()?.success().ok()?.json().ok()?;
        sealed.then(|| self.error(SystemErrorKind::Unreachable, format!("{label}: {SEALED}")))
    }
}

/// What an answer of 500 and more means.
pub(super) fn failure(answer: &Answer) -> SystemError {
    if answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.text().contains("Vault is sealed") {
        return answer.named(SystemErrorKind::Unreachable, SEALED);
    }
    answer.error()
}

const SEALED: &str = "Vault is sealed: it serves nothing until somebody unseals it";

/// The way to the server with a token.
pub(super) struct Rest {
    wire: Wire,
    login: Login,
    /// Host, and namespace where there is one: what addresses begin with.
    pub place: String,
}

impl Rest {
    pub fn new(
        settings: VaultSettings,
        permit: Arc<dyn Permit>,
        clock: Arc<dyn Clock>,
        metrics: Option<Arc<HttpMetrics>>,
    ) -> Result<Self, SystemError> {
        let VaultSettings {
            address,
            namespace,
            mount: _,
            auth,
            ca_pem,
            timeout,
            concurrency,
            allow_loopback,
        } = settings;
        let options = HttpOptions {
            base: address,
            ca_pem,
            timeout,
            concurrency,
            limits: LIMITS.to_vec(),
            allow_loopback,
            user_agent: concat!("lockstep/", env!("CARGO_PKG_VERSION")).into(),
            kind: "vault",
            body_limit: BODY_LIMIT,
        };
        let http = Http::new(options, permit, Arc::clone(&clock), metrics)?;
        let namespace = namespace
            .map(|name| name.trim_matches('/').to_owned())
            .filter(|name| !name.is_empty());
        let place = match &namespace {
            Some(name) => format!("{}/{name}", http.host()),
            None => http.host().to_owned(),
        };
        let header = namespace.as_deref().map(HeaderValue::from_str).transpose();
        let namespace = header.map_err(|_| {
            let kind = SystemErrorKind::Connection(Reason::InvalidSpec);
            http.error(kind, "the namespace holds characters that no header can carry")
        })?;
        Ok(Self {
            wire: Wire { http, namespace },
            login: Login::new(auth, clock),
            place,
        })
    }

    pub fn error(&self, kind: SystemErrorKind, message: impl Into<String>) -> SystemError {
        self.wire.error(kind, message)
    }

    /// Sends a call with a token. `Ok` with whatever Vault says to it, except that the token is not known, that it is
    /// sealed, or that it failed. A call that was refused was not done, so it may be sent again.
    pub async fn send(&self, call: Call) -> Result<Answer, SystemError> {
        let bearer = self.login.bearer(&self.wire).await?;
        let answer = self.once(&call, &bearer).await?;
        if answer.status != StatusCode::FORBIDDEN || bearer.new || self.lives(&bearer).await? {
            return Ok(answer);
        }
        let Some(order) = bearer.order else {
            return Err(answer.named(
                SystemErrorKind::Unauthorized,
                "403: the token is not known to Vault: it has expired or was revoked",
            ));
        };
        self.login.forget(order).await;
        let bearer = self.login.bearer(&self.wire).await?;
        self.once(&call, &bearer).await
    }

    async fn once(&self, call: &Call, bearer: &Bearer) -> Result<Answer, SystemError> {
        let answer = self
            .wire
            .send(call.clone().auth(bearer.header.clone()).mute())
            .await?;
        if answer.status.is_server_error() {
            return Err(failure(&answer));
        }
        Ok(answer)
    }

    /// Whether Vault knows the token. Who has no policy `default` may not ask, and is taken for unknown.
    async fn lives(&self, bearer: &Bearer) -> Result<bool, SystemError> {
        let path = "v1/auth/token/lookup-self";
        let call = Call::get("/v1/auth/token/lookup-self", path, LOGIN);
        let answer = self.once(&call, bearer).await?;
        Ok(answer.status.is_success())
    }
}
