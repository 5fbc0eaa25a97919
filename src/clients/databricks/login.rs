//! Tokens: one per plane of a connection, kept for as long as the vendor lets it live, renewed beside its use. Not
//! shared between connections, although their client id may be the same: whoever shows a wrong secret must not be
//! served with the token of somebody who had the right one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{Clock, SystemError, SystemErrorKind};
use reqwest::Method;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::limits::Family;
use super::settings::Auth;
use super::snapshot::{Reading, Snapshot};
use super::vendor::Refusal;
use crate::clients::http::{Call, Effect, Http};

/// A token with less than this left is renewed beside its use, or half its life if that is shorter (the Go SDK's
/// rule, config/experimental/auth/cache.go).
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(20);
/// Never sent so close to its end: it might be refused on arrival (the SDK's margin for Entra tokens).
const MARGIN: SignedDuration = SignedDuration::from_secs(40);
/// After a renewal that failed (the SDK's rule as well).
const PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// Tokens live about an hour where the answer does not say.
const USUAL_LIFE: i64 = 3600;

/// A credential ready to be sent.
#[derive(Clone)]
pub(super) struct Bearer {
    pub header: HeaderValue,
    /// The token itself, for keeping it out of what is shown.
    pub secret: SecretString,
    /// Which of the kept tokens it is; `None`: it was given to us and cannot be renewed.
    pub order: Option<u64>,
    /// Whether it was fetched for this very call: refused, it is not worth another.
    pub new: bool,
}

struct Token {
    secret: SecretString,
    header: HeaderValue,
    renew_from: Timestamp,
    expires: Timestamp,
}

/// The account's token endpoint is fixed; a workspace says where its own is.
#[derive(Clone, Debug)]
pub(super) enum Realm {
    Workspace,
    Account(String),
}

/// Logs in to one host.
pub(super) struct Login {
    http: Arc<Http>,
    host: Url,
    realm: Realm,
    auth: Auth,
    /// Audience where the settings name none: the account, if there is one.
    account: Option<String>,
    clock: Arc<dyn Clock>,
    endpoint: tokio::sync::OnceCell<String>,
    kept: Arc<Snapshot<Token>>,
    renewing: AtomicBool,
    paused: Mutex<Option<(Timestamp, SystemError)>>,
}

#[derive(Deserialize)]
struct Discovery {
    token_endpoint: String,
}

#[derive(Deserialize)]
struct Granted {
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    expires_in: Option<i64>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

impl Login {
    pub fn new(
        http: Arc<Http>,
        host: Url,
        realm: Realm,
        auth: Auth,
        account: Option<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            http,
            host,
            realm,
            auth,
            account,
            kept: Arc::new(Snapshot::new(Arc::clone(&clock))),
            clock,
            endpoint: tokio::sync::OnceCell::new(),
            renewing: AtomicBool::new(false),
            paused: Mutex::new(None),
        }
    }

    /// A credential that is good for the next call.
    pub async fn bearer(self: &Arc<Self>) -> Result<Bearer, SystemError> {
        if let Auth::PersonalAccessToken(secret) = &self.auth {
            if let Realm::Account(_) = self.realm {
                return Err(self.http.error(
                    SystemErrorKind::Unauthorized,
                    "a personal access token reaches its own workspace only, never the account: use workload identity or an OAuth secret",
                ));
            }
            return Ok(Bearer {
                header: self.header(secret)?,
                secret: secret.clone(),
                order: None,
                new: true,
            });
        }
        let now = self.clock.now();
        match self.kept.newest() {
            Some(reading) if now < reading.value.expires => {
                if now >= reading.value.renew_from {
                    self.renew(now);
                }
                return Ok(bearer(&reading, false));
            }
            Some(reading) => self.kept.discard(reading.order),
            None => {}
        }
        if let Some((_, refusal)) = self.pause().as_ref().filter(|(until, _)| now < *until) {
            return Err(refusal.clone());
        }
        match self.token(Timestamp::MIN).await {
            Ok(reading) => Ok(bearer(&reading, true)),
            Err(error) => {
                // A credential that was refused is refused again; the endpoint has a limit of its own.
                if error.kind == SystemErrorKind::Unauthorized {
                    *self.pause() = now.checked_add(PAUSE).ok().map(|until| (until, error.clone()));
                }
                Err(error)
            }
        }
    }

    /// The vendor refused this one.
    pub fn forget(&self, order: u64) {
        self.kept.discard(order);
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Option<(Timestamp, SystemError)>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches the next token while the present one is still good.
    fn renew(self: &Arc<Self>, now: Timestamp) {
        let paused = self.pause().as_ref().is_some_and(|(until, _)| now < *until);
        if paused || self.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        let login = Arc::clone(self);
        tokio::spawn(async move {
            let renewed = login.token(Timestamp::MAX).await;
            *login.pause() = match renewed {
                Ok(_) => None,
                Err(error) => {
                    tracing::warn!(%error, "a token could not be renewed; the present one is used to its end");
                    now.checked_add(PAUSE).ok().map(|until| (until, error))
                }
            };
            login.renewing.store(false, Ordering::Release);
        });
    }

    /// The kept token; another one if it was fetched before `fresh`.
    async fn token(self: &Arc<Self>, fresh: Timestamp) -> Result<Reading<Token>, SystemError> {
        let login = Arc::clone(self);
        let fetch = |began| async move { login.fetch(began).await };
        self.kept.get(fresh, &[], fetch).await
    }

    /// Base URL of the host, without a slash at the end.
    pub fn host(&self) -> &str {
        self.host.as_str().trim_end_matches('/')
    }

    /// Whether the token endpoint lets a client in with this secret. What it grants is dropped.
    pub async fn lets_in(&self, client_id: &str, secret: &SecretString) -> Result<bool, SystemError> {
        let form = vec![
            ("scope".to_owned(), "all-apis".to_owned()),
            ("grant_type".to_owned(), "client_credentials".to_owned()),
        ];
        let answer = self
            .http
            .send(self.token_call(self.endpoint().await?, form, Some((client_id, secret)))?)
            .await?;
        if answer.status.is_success() {
            return answer.json::<Granted>().map(|_| true);
        }
        let Refusal { code, message } = Refusal::parse(&answer.body);
        if message.contains("Temporarily throttled") {
            return Err(answer.named(SystemErrorKind::Throttled, "the token endpoint asks us to wait"));
        }
        match (answer.status.as_u16(), code.as_str()) {
            (401, _) | (400, "invalid_client" | "invalid_grant" | "unauthorized_client") => Ok(false),
            _ => Err(answer.error()),
        }
    }

    fn token_call(
        &self,
        path: String,
        form: Vec<(String, String)>,
        basic: Option<(&str, &SecretString)>,
    ) -> Result<Call, SystemError> {
        let route = "/oidc/v1/token";
        let call = Call::new(Method::POST, route, path, Family::Login.name(), Effect::Read).form(form);
        let Some((client_id, secret)) = basic else {
            return Ok(call);
        };
        let pair = STANDARD.encode(format!("{client_id}:{}", secret.expose_secret()));
        Ok(call.auth(self.value(&format!("Basic {pair}"))?))
    }

    async fn fetch(&self, now: Timestamp) -> Result<Token, SystemError> {
        let path = self.endpoint().await?;
        let mut form = vec![("scope".to_owned(), "all-apis".to_owned())];
        let mut field = |name: &str, value: &str| form.push((name.to_owned(), value.to_owned()));
        let mut basic = None;
        let hint = match &self.auth {
            Auth::WorkloadIdentity {
                client_id,
                audience,
                tokens,
            } => {
                let audience = self.audience(audience.as_deref(), &path);
                let proof = tokens.token(&audience).await?;
                field("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
                field("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");
                field("subject_token", proof.expose_secret());
                field("client_id", client_id);
                format!(
                    "the exchange of our ServiceAccount's token was refused: compare issuer, subject and audience ({audience}) with the federation policy of service principal {client_id}"
                )
            }
            Auth::OauthSecret {
                client_id,
                client_secret,
            } => {
                field("grant_type", "client_credentials");
                basic = Some((client_id.as_str(), client_secret));
                format!("client id {client_id} and its secret were refused")
            }
            Auth::PersonalAccessToken(_) => {
                return Err(self
                    .http
                    .error(SystemErrorKind::Unauthorized, "nothing to log in with"));
            }
        };
        let answer = self.http.send(self.token_call(path, form, basic)?).await?;
        if !answer.status.is_success() {
            let Refusal { code, message } = Refusal::parse(&answer.body);
            if message.contains("Temporarily throttled") {
                return Err(answer.named(SystemErrorKind::Throttled, "the token endpoint asks us to wait"));
            }
            if answer.status.is_server_error() {
                return Err(answer.error());
            }
            // The code alone: whoever refuses to log us in may be anybody, and may repeat what was sent.
            let word = code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let code = if word { code.as_str() } else { "" };
            let status = answer.status.as_u16();
            return Err(answer.named(SystemErrorKind::Unauthorized, &format!("{status} {code}: {hint}")));
        }
        let Granted {
            access_token,
            expires_in,
        } = answer.json()?;
        let life = SignedDuration::from_secs(expires_in.unwrap_or(USUAL_LIFE).clamp(0, 86_400));
        let after = |span: SignedDuration| now.checked_add(span).unwrap_or(Timestamp::MAX);
        Ok(Token {
            header: self.header(&access_token)?,
            secret: access_token,
            renew_from: after(life - RENEW_BEFORE.min(life / 2)),
            expires: after(life - MARGIN.min(life / 4)),
        })
    }

    /// Path of the token endpoint on our own host. A workspace that points elsewhere is refused: the proof of who
    /// we are goes to the host that the connection names, or nowhere.
    async fn endpoint(&self) -> Result<String, SystemError> {
        if let Realm::Account(id) = &self.realm {
            return Ok(format!("/oidc/accounts/{}/v1/token", super::segment(id)));
        }
        let found = self.endpoint.get_or_try_init(|| async {
            let well_known = "/oidc/.well-known/oauth-authorization-server";
            let answer = self
                .http
                .send(Call::get(well_known, well_known, Family::Login.name()))
                .await?;
            let stated = answer.success().and_then(|answer| answer.json::<Discovery>());
            let Ok(Discovery { token_endpoint }) = stated else {
                // What every workspace's is, where a proxy hides the document.
                return Ok("/oidc/v1/token".to_owned());
            };
            match Url::parse(&token_endpoint) {
                Ok(url) if url.origin() == self.host.origin() => Ok(url.path().to_owned()),
                _ => Err(self.http.error(
                    SystemErrorKind::Connection(Reason::HostRefused),
                    "the workspace names a token endpoint on another host than its own; no credential was sent",
                )),
            }
        });
        found.await.cloned()
    }

    fn audience(&self, configured: Option<&str>, path: &str) -> String {
        configured.or(self.account.as_deref()).map_or_else(
            || format!("{}{path}", self.host.as_str().trim_end_matches('/')),
            ToOwned::to_owned,
        )
    }

    pub fn header(&self, secret: &SecretString) -> Result<HeaderValue, SystemError> {
        self.value(&format!("Bearer {}", secret.expose_secret().trim()))
    }

    fn value(&self, text: &str) -> Result<HeaderValue, SystemError> {
        let mut value = HeaderValue::from_str(text).map_err(|_| {
            self.http.error(
                SystemErrorKind::Unauthorized,
                "the credential holds characters that no header can carry",
            )
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn bearer(reading: &Reading<Token>, new: bool) -> Bearer {
    Bearer {
        header: reading.value.header.clone(),
        secret: reading.value.secret.clone(),
        order: Some(reading.order),
        new,
    }
}
