//! The token that everything is sent with: got by a login, renewed for as long as Vault lets it live, and replaced when
//! it no longer does.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lockstep_core::domain::ports::{Clock, SystemError, SystemErrorKind};
use reqwest::Method;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::rest::{LOGIN, Wire, encoded, failure};
use super::settings::VaultAuth;
use crate::clients::http::{Answer, Call, Effect};

/// Never sent so close to its end: it might be refused on arrival.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);
/// After a login that was refused. Vault locks a role out after five in a row (user lockout, threshold 5).
const PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// A token ready to be sent.
#[derive(Clone)]
pub(super) struct Bearer {
    pub header: HeaderValue,
    /// Which login it comes from; `None`: it was given to us and cannot be replaced.
    pub order: Option<u64>,
    /// Whether it was got for this very call: refused, it is not worth another.
    pub new: bool,
}

#[derive(Default)]
struct Kept {
    token: Option<Token>,
    logins: u64,
    refused: Option<(Timestamp, SystemError)>,
}

struct Token {
    header: HeaderValue,
    renewable: bool,
    renew_from: Timestamp,
    /// `None`: never.
    expires: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Granted {
    auth: Lease,
}

#[derive(Deserialize)]
struct Lease {
    #[serde(deserialize_with = "secret")]
    client_token: SecretString,
    /// 0: it does not end.
    #[serde(rename = "lease_duration")]
    seconds: i64,
    #[serde(default)]
    renewable: bool,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

pub(super) struct Login {
    auth: VaultAuth,
    clock: Arc<dyn Clock>,
    /// Held during a login, so that a crowd logs in once.
    kept: Mutex<Kept>,
}

impl Login {
    pub fn new(auth: VaultAuth, clock: Arc<dyn Clock>) -> Self {
        Self {
            auth,
            clock,
            kept: Mutex::default(),
        }
    }

    /// A token that is good for the next call.
    pub async fn bearer(&self, wire: &Wire) -> Result<Bearer, SystemError> {
        if let VaultAuth::Token(token) = &self.auth {
            return Ok(Bearer {
                header: header(wire, token)?,
                order: None,
                new: false,
            });
        }
        let now = self.clock.now();
        let mut kept = self.kept.lock().await;
        let order = Some(kept.logins);
        if let Some(token) = &mut kept.token
            && token.expires.is_none_or(|end| now < end)
        {
            if token.renewable && now >= token.renew_from {
                self.renew(wire, token, now).await;
            }
            // What cannot be prolonged is used to its end.
            let header = token.header.clone();
            return Ok(Bearer {
                header,
                order,
                new: false,
            });
        }
        if let Some((until, refusal)) = &kept.refused
            && now < *until
        {
            return Err(refusal.clone());
        }
        match self.log_in(wire, now).await {
            Ok(token) => {
                let header = token.header.clone();
                kept.logins += 1;
                kept.token = Some(token);
                kept.refused = None;
                Ok(Bearer {
                    header,
                    order: Some(kept.logins),
                    new: true,
                })
            }
            Err(error) => {
                if error.kind == SystemErrorKind::Unauthorized {
                    kept.refused = now.checked_add(PAUSE).ok().map(|until| (until, error.clone()));
                }
                Err(error)
            }
        }
    }

    /// Vault no longer knows the token of this login.
    pub async fn forget(&self, order: u64) {
        let mut kept = self.kept.lock().await;
        if kept.logins == order {
            kept.token = None;
        }
    }

    async fn log_in(&self, wire: &Wire, now: Timestamp) -> Result<Token, SystemError> {
        let (mount, body, hint) = match &self.auth {
            VaultAuth::Token(_) => {
                return Err(wire.error(SystemErrorKind::Unauthorized, "nothing to log in with"));
            }
            VaultAuth::AppRole {
                mount,
                role_id,
                secret_id,
            } => {
                let body = json!({"role_id": role_id, "secret_id": secret_id.expose_secret()});
                let hint = "role id and secret id were refused: whether the secret id has expired or is used up, and whether the role takes us by our address".to_owned();
                (mount, body, hint)
            }
            VaultAuth::ServiceAccount {
                mount,
                role,
                audience,
                tokens,
            } => {
                let proof = tokens.token(audience).await?;
                let body = json!({"role": role, "jwt": proof.expose_secret()});
                let hint = format!(
                    "the ServiceAccount's token was refused: compare its name, its namespace and the audience {audience} with the role {role}"
                );
                (mount, body, hint)
            }
        };
        let mount = mount.trim_matches('/');
        let path = format!("v1/auth/{}/login", encoded(mount));
        let call = Call::new(Method::POST, "/v1/auth/{method}/login", path, LOGIN, Effect::Read)
            .json(&body)
            .mute();
        let answer = wire.send(call).await?;
        if answer.status.is_success() {
            return token(wire, &answer, now);
        }
        if answer.status.is_server_error() {
            return Err(failure(&answer));
        }
        // Vault does not tell strangers what is mounted.
        let status = answer.status.as_u16();
        let why = format!("{status}: {hint}; and whether a method is mounted at {mount}/ at all");
        Err(answer.named(SystemErrorKind::Unauthorized, &why))
    }

    /// Has the token live on, or leaves it as it is.
    async fn renew(&self, wire: &Wire, token: &mut Token, now: Timestamp) {
        let path = "v1/auth/token/renew-self";
        let call = Call::new(
            Method::POST,
            "/v1/auth/token/renew-self",
            path,
            LOGIN,
            Effect::Read,
        )
        .auth(token.header.clone())
        .json(&json!({}))
        .mute();
        let renewed = match wire.send(call).await {
            Ok(answer) if answer.status.is_success() => self::token(wire, &answer, now),
            Ok(answer) => Err(answer.error()),
            Err(error) => Err(error),
        };
        match renewed {
            Ok(renewed) => *token = renewed,
            Err(error) => {
                tracing::warn!(%error, "Vault's token could not be renewed; it is used to its end, then we log in again");
                token.renew_from = now.checked_add(PAUSE).unwrap_or(Timestamp::MAX);
            }
        }
    }
}

fn token(wire: &Wire, answer: &Answer, now: Timestamp) -> Result<Token, SystemError> {
    let Granted {
        auth: Lease {
            client_token,
            seconds,
            renewable,
        },
    } = answer.json()?;
    let life = SignedDuration::from_secs(seconds.clamp(0, 86_400 * 365));
    let after = |span: SignedDuration| now.checked_add(span).unwrap_or(Timestamp::MAX);
    Ok(Token {
        header: header(wire, &client_token)?,
        renewable,
        renew_from: if life.is_zero() {
            Timestamp::MAX
        } else {
            after(life / 2)
        },
        expires: (!life.is_zero()).then(|| after(life - MARGIN.min(life / 4))),
    })
}

/// Vault takes its token as a bearer as well as in `X-Vault-Token`; our stack knows the former for a secret.
fn header(wire: &Wire, token: &SecretString) -> Result<HeaderValue, SystemError> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {}", token.expose_secret().trim())).map_err(|_| {
            wire.error(
                SystemErrorKind::Unauthorized,
                "the token holds characters that no header can carry",
            )
        })?;
    value.set_sensitive(true);
    Ok(value)
}
