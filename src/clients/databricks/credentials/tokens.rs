//! Personal access tokens of a workspace: our own, or those of a service principal, which administrators make on its
//! behalf. The comment is the label, so that one whose answer was lost is found again.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_core::domain::access::grant::System;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::label::Label;
use lockstep_core::domain::rotation::machine::state::CredentialId;
use lockstep_core::domain::rotation::ports::issuers::{Allowed, Credential, Issuer, Listed, Minted};
use lockstep_core::domain::rotation::value::Value;
use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Number, json};

use super::super::limits::Family;
use super::super::plane::{Plane, Response};
use super::super::segment;
use super::super::system::Inner;
use super::secrets::secret;
use super::who::Who;
use super::{LONGEST, minted_or_not};
use crate::clients::http::{Call, Effect};

/// Of one user and workspace (learn.microsoft.com/azure/databricks/dev-tools/auth/pat).
const MOST: u32 = 600;

const ALL: &str = "/api/2.0/token-management/tokens";
const ONE: &str = "/api/2.0/token-management/tokens/{token}";
const ON_BEHALF: &str = "/api/2.0/token-management/on-behalf-of/tokens";
const OWN: &str = "/api/2.0/token/list";
const CREATE: &str = "/api/2.0/token/create";
const DELETE: &str = "/api/2.0/token/delete";

/// A token as both lists show it; administrators see the last three.
#[derive(Debug, Deserialize)]
pub(super) struct TokenInfo {
    token_id: String,
    #[serde(default)]
    comment: String,
    /// Milliseconds since the epoch.
    #[serde(default)]
    creation_time: Option<i64>,
    /// Milliseconds since the epoch; -1: never.
    #[serde(default)]
    expiry_time: Option<i64>,
    /// Of that day only: milliseconds since the epoch.
    #[serde(default)]
    last_used_day: Option<i64>,
    #[serde(default)]
    owner_id: Option<Number>,
    #[serde(default)]
    created_by_username: Option<String>,
}

fn time(ms: Option<i64>) -> Option<Timestamp> {
    ms.filter(|ms| *ms > 0)
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
}

impl TokenInfo {
    /// Numeric id of whose it is; empty where the list does not say.
    pub fn owner(&self) -> String {
        self.owner_id
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// Who made it; empty where the list does not say.
    pub fn maker(&self) -> &str {
        self.created_by_username.as_deref().unwrap_or_default()
    }

    pub fn listed(self) -> Listed {
        let Self {
            token_id,
            comment,
            creation_time,
            expiry_time,
            last_used_day,
            owner_id: _,
            created_by_username: _,
        } = self;
        let label = Label::parse(&comment);
        Listed {
            id: CredentialId(token_id),
            comment: if label.is_some() { String::new() } else { comment },
            label,
            made: time(creation_time),
            expires: time(expiry_time),
            last_used: time(last_used_day),
        }
    }
}

#[derive(Deserialize)]
struct Tokens {
    /// Missing where there is none.
    #[serde(default)]
    token_infos: Vec<TokenInfo>,
}

#[derive(Deserialize)]
struct Made {
    #[serde(deserialize_with = "secret")]
    token_value: SecretString,
    token_info: TokenInfo,
}

/// Every token of the workspace, for its administrators. One answer: the vendor divides it into no pages.
pub(super) async fn everybodys(plane: &Plane) -> Result<Vec<TokenInfo>, SystemError> {
    let call = Call::get(ALL, ALL, Family::TokenManagement.name());
    Ok(plane.read::<Tokens>(call).await?.token_infos)
}

/// Where the tokens of a user name or an application id are.
pub(super) fn address(workspace: &System, name: &str) -> String {
    format!("{workspace}/tokens/{}", segment(&name.to_lowercase()))
}

pub(super) struct PersonalTokens {
    inner: Arc<Inner>,
    who: Who,
    address: String,
}

impl PersonalTokens {
    pub async fn new(inner: Arc<Inner>, who: Who) -> Result<Self, SystemError> {
        let workspace = System::Workspace(inner.facts().await?.workspace.clone());
        if !who.in_workspace {
            let message = format!(
                "service principal {} is not in the workspace, so it cannot have tokens there: assign it first",
                who.name
            );
            return Err(inner.workspace.plane.error(SystemErrorKind::NotFound, message));
        }
        Ok(Self {
            address: address(&workspace, &who.name),
            inner,
            who,
        })
    }

    fn plane(&self) -> &Plane {
        &self.inner.workspace.plane
    }

    /// What a refusal to mint means, with what to do where that is known.
    fn refused(&self, response: &Response) -> SystemError {
        let error = response.error();
        let advice = match (&error.kind, response.status(), response.refusal.code.as_str()) {
            (SystemErrorKind::OutcomeUnknown | SystemErrorKind::Throttled, ..) => return error,
            (_, 404, "ENDPOINT_NOT_FOUND" | "FEATURE_DISABLED" | "FEATURE_NOT_ENABLED") if !self.who.own => {
                "this workspace makes no tokens on behalf of service principals, as on Azure: use a connection that \
                 logs in as the service principal, and applicationId: self"
            }
            (SystemErrorKind::Forbidden, ..) if self.who.own => {
                "the identity may not use personal access tokens: it needs CAN_USE on authorization/tokens"
            }
            (SystemErrorKind::Forbidden, ..) => {
                "tokens on behalf of others are made by administrators of the workspace, and the service principal \
                 needs CAN_USE on authorization/tokens"
            }
            (_, _, "QUOTA_EXCEEDED") => "all tokens that one identity may hold are in use: revoke one",
            _ => return error,
        };
        response.refused(error.kind, advice)
    }
}

#[async_trait]
impl Issuer for PersonalTokens {
    fn allowed(&self) -> Allowed {
        Allowed {
            limit: Some(MOST),
            labelled: true,
            longest_lifetime: Some(LONGEST),
        }
    }

    fn address(&self) -> &str {
        &self.address
    }

    async fn list(&self) -> Result<Vec<Listed>, SystemError> {
        let tokens = if self.who.own {
            let call = Call::get(OWN, OWN, Family::Other.name());
            self.plane().read::<Tokens>(call).await?.token_infos
        } else {
            // The vendor filters by who made a token, which for these is an administrator.
            let mut tokens = everybodys(self.plane()).await?;
            tokens.retain(|token| token.owner() == self.who.number);
            tokens
        };
        Ok(tokens.into_iter().map(TokenInfo::listed).collect())
    }

    async fn mint(&self, label: &Label, lifetime: Option<u64>) -> Result<Minted, SystemError> {
        let mut body = Map::new();
        body.insert("comment".into(), json!(label.to_string()));
        if let Some(seconds) = lifetime {
            body.insert("lifetime_seconds".into(), json!(seconds));
        }
        let (path, family) = if self.who.own {
            (CREATE, Family::Other)
        } else {
            body.insert("application_id".into(), json!(self.who.name));
            (ON_BEHALF, Family::TokenManagement)
        };
        let call = Call::new(Method::POST, path, path, family.name(), Effect::Once).json(&body);
        let response = self.plane().send(call).await.map_err(minted_or_not)?;
        if !response.answer.status.is_success() {
            return Err(self.refused(&response));
        }
        let Made {
            token_value,
            token_info,
        } = response.answer.json().map_err(minted_or_not)?;
        let Listed { id, expires, .. } = token_info.listed();
        Ok(Minted {
            credential: self.credential(&id, token_value.into()),
            id,
            expires,
        })
    }

    fn credential(&self, _: &CredentialId, value: Value) -> Credential {
        Credential {
            client: String::new(),
            value,
            host: self.plane().host().to_owned(),
        }
    }

    async fn prove(&self, credential: &Credential) -> Result<bool, SystemError> {
        self.plane().lets_in(&credential.value.secret()).await
    }

    async fn revoke(&self, id: &CredentialId) -> Result<(), SystemError> {
        let call = if self.who.own {
            Call::new(
                Method::POST,
                DELETE,
                DELETE,
                Family::Other.name(),
                Effect::Repeatable,
            )
            .json(&json!({"token_id": id.0}))
        } else {
            let path = format!("/api/2.0/token-management/tokens/{}", segment(&id.0));
            Call::new(
                Method::DELETE,
                ONE,
                path,
                Family::TokenManagement.name(),
                Effect::Repeatable,
            )
        };
        let response = self.plane().send(call).await?;
        if response.proves_absence() {
            return Ok(());
        }
        response.success().map(drop)
    }
}
