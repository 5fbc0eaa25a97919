//! One host of the vendor with our login to it: the workspace, or the account console. Whatever is asked of
//! Databricks goes through here, and whatever it refuses becomes an error here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use governor::DefaultDirectRateLimiter;
use jiff::SignedDuration;
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{Clock, Permit, SystemError, SystemErrorKind};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

use super::limits::{Budget, Family, PUBLISHED, SHARE};
use super::login::{Bearer, Login, Realm};
use super::settings::DatabricksSettings;
use super::vendor::Refusal;
use crate::clients::http::redact;
use crate::clients::http::{
    Answer, BODY_LIMIT, Call, Effect, FamilyLimit, Http, HttpMetrics, HttpOptions, Rate,
};

/// How long a new principal takes to be known to every part of the vendor's (vendor's page on SCIM).
const KNOWN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// What every connection hands to its planes.
pub(super) struct Outfit {
    pub permit: Arc<dyn Permit>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Option<Arc<HttpMetrics>>,
    /// One cap over both planes, where the connection states a number.
    pub cap: Option<Arc<DefaultDirectRateLimiter>>,
}

pub(super) struct Plane {
    http: Arc<Http>,
    clock: Arc<dyn Clock>,
    login: Arc<Login>,
    cap: Option<Arc<DefaultDirectRateLimiter>>,
    timeout: Duration,
    /// Whether the host has ever accepted our credential: until then it may be anybody's, and is not quoted.
    known: AtomicBool,
}

impl Plane {
    pub fn new(
        settings: &DatabricksSettings,
        host: &str,
        realm: Realm,
        outfit: &Outfit,
    ) -> Result<Self, SystemError> {
        let base = Url::parse(host).map_err(|error| {
            let message = format!("{host:?} is not a URL: {error}");
            SystemError::new(host, SystemErrorKind::Connection(Reason::InvalidSpec), message)
        })?;
        let limits = PUBLISHED.iter().map(|row| match settings.budget {
            Budget::Lifted => FamilyLimit::lifted(row.name),
            Budget::Published | Budget::PerSecond(_) => FamilyLimit {
                family: row.name,
                rate: Some(Rate {
                    requests: row.requests,
                    per: Duration::from_secs(row.seconds.into()) * 10 / SHARE,
                }),
            },
        });
        let http = Arc::new(Http::new(
            HttpOptions {
                base: base.clone(),
                ca_pem: settings.ca_pem.clone(),
                timeout: settings.timeout,
                concurrency: settings.concurrency,
                limits: limits.collect(),
                allow_loopback: settings.allow_loopback,
                user_agent: concat!("lockstep/", env!("CARGO_PKG_VERSION")).to_owned(),
                kind: "databricks",
                body_limit: BODY_LIMIT,
            },
            Arc::clone(&outfit.permit),
            Arc::clone(&outfit.clock),
            outfit.metrics.clone(),
        )?);
        let login = Login::new(
            Arc::clone(&http),
            base,
            realm,
            settings.auth.clone(),
            settings.account.as_ref().map(|account| account.id.clone()),
            Arc::clone(&outfit.clock),
        );
        Ok(Self {
            http,
            login: Arc::new(login),
            clock: Arc::clone(&outfit.clock),
            cap: outfit.cap.clone(),
            timeout: settings.timeout,
            known: AtomicBool::new(false),
        })
    }

    pub fn name_system(&self, system: String) {
        self.http.name_system(system);
    }

    /// What to say of the host's clock, if it misleads.
    pub fn clock_is_off(&self) -> Option<String> {
        self.http.clock_is_off()
    }

    /// An error of this system in words of our own.
    pub fn error(&self, kind: SystemErrorKind, message: impl Into<String>) -> SystemError {
        self.http.error(kind, message)
    }

    /// Somebody is not known here: not yet, if they were made a moment ago, so it is worth asking again.
    pub fn unknown_principal(&self, response: &Response) -> SystemError {
        let advice =
            "somebody named here is not known yet; new groups take about a minute to be known everywhere";
        let mut error = response.refused(SystemErrorKind::NotFound, advice);
        error.retry_at = self.clock.now().checked_add(KNOWN_AFTER).ok();
        error
    }

    /// The answer, whatever its status. A kept token that is refused is replaced once.
    pub async fn send(&self, call: Call) -> Result<Response, SystemError> {
        self.turn(&call).await?;
        let changes = call.effect != Effect::Read;
        let first = self.login.bearer().await?;
        let response = self.once(call.clone(), &first, changes).await?;
        match first.order {
            Some(order) if !first.new && response.refusal.refuses_credential(response.status()) => {
                self.login.forget(order);
                let second = self.login.bearer().await?;
                self.once(call, &second, changes).await
            }
            _ => Ok(response),
        }
    }

    /// Waits until the connection's own cap lets a call go.
    async fn turn(&self, call: &Call) -> Result<(), SystemError> {
        let Some(cap) = &self.cap else {
            return Ok(());
        };
        let waited = tokio::time::timeout(self.timeout, cap.until_ready()).await;
        waited.map_err(|_| {
            let message = format!("{}: the connection's requestsPerSecond is used up", call.label());
            self.error(SystemErrorKind::Throttled, message)
        })
    }

    async fn once(&self, call: Call, bearer: &Bearer, changes: bool) -> Result<Response, SystemError> {
        let mute = call.mute;
        let answer = self.http.send(call.auth(bearer.header.clone())).await?;
        if answer.status.is_success() {
            self.known.store(true, Ordering::Relaxed);
        }
        let refusal = if answer.status.is_success() {
            Refusal::default()
        } else {
            Refusal::parse(&answer.body)
        };
        let quotable =
            self.known.load(Ordering::Relaxed) && !refusal.refuses_credential(answer.status.as_u16());
        let said = if mute {
            refusal.word().to_owned()
        } else if quotable {
            redact::show(&refusal.to_string(), &[bearer.secret.expose_secret()])
        } else {
            "not quoted, because this host has not accepted our credential".to_owned()
        };
        Ok(Response {
            answer,
            refusal,
            said,
            changes,
        })
    }

    /// Whether the host lets somebody in with a token of the workspace, and not us with ours.
    pub async fn lets_in(&self, token: &SecretString) -> Result<bool, SystemError> {
        let path = "/api/2.0/preview/scim/v2/Me";
        let call = Call::get(path, path, Family::Other.name())
            .query("attributes", "id")
            .auth(self.login.header(token)?);
        self.turn(&call).await?;
        let answer = self.http.send(call).await?;
        if answer.status.is_success() {
            return answer
                .json::<serde_json::Map<_, serde_json::Value>>()
                .map(|_| true);
        }
        if Refusal::parse(&answer.body).refuses_credential(answer.status.as_u16()) {
            return Ok(false);
        }
        Err(answer.error())
    }

    /// Whether the token endpoint lets somebody in with a client secret, and not us with ours.
    pub async fn lets_in_client(&self, client_id: &str, secret: &SecretString) -> Result<bool, SystemError> {
        self.login.lets_in(client_id, secret).await
    }

    /// Base URL of the host, without a slash at the end.
    pub fn host(&self) -> &str {
        self.login.host()
    }

    /// What a call answers.
    pub async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, SystemError> {
        self.send(call).await?.success()?.answer.json()
    }

    /// What a call answers; `None` where the vendor says that what was asked for does not exist.
    pub async fn find<T: DeserializeOwned>(&self, call: Call) -> Result<Option<T>, SystemError> {
        let response = self.send(call).await?;
        if response.proves_absence() {
            return Ok(None);
        }
        response.success()?.answer.json().map(Some)
    }

    /// Sends what changes something and cares for nothing but that it was done.
    pub async fn write(&self, call: Call) -> Result<Response, SystemError> {
        self.send(call).await?.success()
    }
}

/// An answer with what it says if it refuses.
#[derive(Debug)]
pub(super) struct Response {
    pub answer: Answer,
    pub refusal: Refusal,
    said: String,
    changes: bool,
}

impl Response {
    pub fn status(&self) -> u16 {
        self.answer.status.as_u16()
    }

    pub fn proves_absence(&self) -> bool {
        self.refusal.proves_absence(self.status())
    }

    pub fn success(self) -> Result<Self, SystemError> {
        if self.answer.status.is_success() {
            Ok(self)
        } else {
            Err(self.error())
        }
    }

    /// The error that a refusal is.
    pub fn error(&self) -> SystemError {
        let kind = self.refusal.kind(self.status(), self.changes);
        self.answer
            .named(kind, &format!("{}: {}", self.status(), self.said))
    }

    /// A refusal with advice in front of the vendor's words.
    pub fn refused(&self, kind: SystemErrorKind, advice: &str) -> SystemError {
        self.answer
            .named(kind, &format!("{advice} ({}: {})", self.status(), self.said))
    }
}
