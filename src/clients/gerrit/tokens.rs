//! Auth tokens of an account: several live beside each other, each with an id, which is its label, and a lifetime. Never
//! the HTTP password: on 3.13 setting it leaves the old one valid, and deleting it may remove nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use async_trait::async_trait;
use lockstep_core::domain::access::grant::System;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::label::Label;
use lockstep_core::domain::rotation::machine::state::CredentialId;
use lockstep_core::domain::rotation::ports::issuers::{Allowed, Credential, Issuer, Listed, Minted};
use lockstep_core::domain::rotation::value::Value;
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, json};

use super::GerritSystem;
use super::facts::{Facts, version};
use super::history::time;
use super::names::segment;
use super::rest::parse;
use super::wire::{AccountInfo, TokenInfo};
use crate::clients::http::{Answer, Effect};

/// Before it nodes of a site do not learn of each other's tokens (3.13.1), and tokens run out unannounced.
pub(super) const OLDEST: (u32, u32, u32) = (3, 13, 3);
/// `auth.maxAuthTokensPerAccount` unless a site says otherwise, which it does not tell.
const MOST: u32 = 10;
/// Where a site sets no longest lifetime: a hundred years, in seconds.
const NO_LIMIT: u64 = 3_155_760_000;

const ALL: &str = "/a/accounts/{account}/tokens";
const ONE: &str = "/a/accounts/{account}/tokens/{token}";

#[derive(Deserialize)]
struct Made {
    #[serde(deserialize_with = "secret")]
    token: SecretString,
    #[serde(flatten)]
    info: TokenInfo,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// A mint whose answer was none may have made something all the same, whatever stood in front of the server.
fn minted_or_not(mut error: SystemError) -> SystemError {
    if error.kind == SystemErrorKind::BadAnswer {
        error.kind = SystemErrorKind::OutcomeUnknown;
    }
    error
}

/// A lifetime as Gerrit reads it: in whole minutes, never shorter than was asked for.
fn minutes(seconds: u64) -> String {
    format!("{}min", seconds.div_ceil(60).max(1))
}

impl TokenInfo {
    fn listed(self) -> Listed {
        let Self { id, expiration } = self;
        Listed {
            label: Label::parse(&id),
            id: CredentialId(id),
            comment: String::new(),
            made: None,
            expires: expiration.as_deref().and_then(time),
            last_used: None,
        }
    }
}

/// Auth tokens of one account.
pub(super) struct AuthTokens {
    system: Arc<GerritSystem>,
    account: i64,
    username: String,
    address: String,
    longest: u64,
}

impl GerritSystem {
    /// Auth tokens of an account, by its user name. Refused where the server is too old for them.
    pub async fn auth_tokens(self: &Arc<Self>, username: &str) -> Result<Arc<dyn Issuer>, SystemError> {
        let facts = self.facts().await?;
        self.demand_tokens(facts)?;
        let account = self.account_named(username).await?;
        let system = System::Gerrit(facts.server.clone());
        Ok(Arc::new(AuthTokens {
            address: format!("{system}/account/{account}/tokens"),
            longest: facts.longest_token().unwrap_or(NO_LIMIT),
            account,
            username: username.to_owned(),
            system: Arc::clone(self),
        }))
    }

    fn demand_tokens(&self, facts: &Facts) -> Result<(), SystemError> {
        match version(&facts.version) {
            Some(found) if found >= OLDEST => Ok(()),
            _ => {
                let (major, minor, patch) = OLDEST;
                let message = format!(
                    "tokens are rotated on Gerrit {major}.{minor}.{patch} or newer, and this is {}",
                    facts.version
                );
                Err(self.rest.http.error(SystemErrorKind::Refused, message))
            }
        }
    }

    /// Number of the active account with exactly this user name: Gerrit takes e-mails and full names for it as well.
    async fn account_named(&self, username: &str) -> Result<i64, SystemError> {
        let known = self.numbers().get(username).copied();
        if let Some(number) = known {
            return Ok(number);
        }
        let path = format!("a/accounts/{}", segment(username));
        let answer = self.rest.ask("/a/accounts/{account}", path, &[]).await?;
        let found = if answer.status == StatusCode::NOT_FOUND {
            None
        } else {
            Some(parse::<AccountInfo>(&answer.success()?)?)
        };
        let Some(account) = found.filter(|account| account.username.as_deref() == Some(username)) else {
            let message = format!("there is no active account with the user name {username:?}");
            return Err(self.rest.http.error(SystemErrorKind::NotFound, message));
        };
        self.numbers().insert(username.to_owned(), account.id);
        Ok(account.id)
    }

    fn numbers(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tokens of one account, those that have run out among them.
    pub(super) async fn tokens_of(&self, account: i64) -> Result<Vec<Listed>, SystemError> {
        let path = format!("a/accounts/{account}/tokens");
        let tokens: Vec<TokenInfo> = self.rest.get(ALL, path, &[]).await?;
        Ok(tokens.into_iter().map(TokenInfo::listed).collect())
    }
}

impl AuthTokens {
    fn path(&self, token: &str) -> String {
        format!("a/accounts/{}/tokens/{}", self.account, segment(token))
    }

    /// What a refusal to mint means.
    fn refused(&self, label: &Label, answer: &Answer) -> SystemError {
        let (account, status) = (&self.username, answer.status);
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::CONFLICT) {
            // Gerrit 3.13.5 answers 404 to an id that is taken. It is ours by its name, and its value is lost.
            let message = format!("token {label} of account {account} may be there already");
            return answer.named(SystemErrorKind::OutcomeUnknown, &message);
        }
        answer.error()
    }
}

#[async_trait]
impl Issuer for AuthTokens {
    fn allowed(&self) -> Allowed {
        Allowed {
            limit: Some(MOST),
            labelled: true,
            longest_lifetime: Some(self.longest),
        }
    }

    fn address(&self) -> &str {
        &self.address
    }

    async fn list(&self) -> Result<Vec<Listed>, SystemError> {
        self.system.tokens_of(self.account).await
    }

    async fn mint(&self, label: &Label, lifetime: Option<u64>) -> Result<Minted, SystemError> {
        let mut body = Map::new();
        if let Some(seconds) = lifetime {
            body.insert("lifetime".into(), json!(minutes(seconds)));
        }
        let path = self.path(&label.to_string());
        let answer = self
            .system
            .rest
            .write(Method::PUT, ONE, path, Effect::Once, Some(&body))
            .await
            .map_err(minted_or_not)?;
        if !answer.status.is_success() {
            return Err(self.refused(label, &answer));
        }
        let Made { token, info } = parse(&answer).map_err(minted_or_not)?;
        let Listed { id, expires, .. } = info.listed();
        Ok(Minted {
            credential: self.credential(&id, token.into()),
            id,
            expires,
        })
    }

    fn credential(&self, _: &CredentialId, value: Value) -> Credential {
        Credential {
            client: self.username.clone(),
            value,
            host: self.system.rest.http.base().to_owned(),
        }
    }

    async fn prove(&self, credential: &Credential) -> Result<bool, SystemError> {
        let Credential { client, value, .. } = credential;
        let taken_for = self.system.rest.lets_in(client, &value.secret()).await?;
        Ok(taken_for.is_some_and(|account| account.id == self.account))
    }

    async fn revoke(&self, id: &CredentialId) -> Result<(), SystemError> {
        let answer = self
            .system
            .rest
            .write(
                Method::DELETE,
                ONE,
                self.path(&id.0),
                Effect::Repeatable,
                None::<&()>,
            )
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            // Anything in front of Gerrit may say so as well: only the list proves it.
            let left = self.list().await?;
            return if left.iter().any(|token| token.id == *id) {
                Err(answer.error())
            } else {
                Ok(())
            };
        }
        answer.success().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_whole_minutes_and_never_shorter_than_asked_for() {
        for (seconds, said) in [(0, "1min"), (60, "1min"), (61, "2min"), (86_400, "1440min")] {
            assert_eq!(minutes(seconds), said);
        }
    }

    #[test]
    fn a_token_of_ours_is_told_from_others() {
        let listed = |id: &str, expiration: Option<&str>| {
            TokenInfo {
                id: id.into(),
                expiration: expiration.map(ToOwned::to_owned),
            }
            .listed()
        };
        let ours = listed("lockstep-abc-3", Some("2026-11-23 20:03:41.769000000"));
        assert_eq!(ours.label.map(|label| label.generation), Some(3));
        let expires = ours.expires.map(jiff::Timestamp::as_second);
        assert_eq!(expires, Some(1_795_464_221));
        let other = listed("initialToken", None);
        assert_eq!((other.label, other.expires), (None, None));
    }
}
