//! OAuth secrets of a service principal. They belong to the account, wherever they are made: by the account's call, where
//! the connection has an account and rights there, else by the workspace's. At most five; nothing can be written on one,
//! so that after an answer that was lost only the list tells.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::label::Label;
use lockstep_core::domain::rotation::machine::state::CredentialId;
use lockstep_core::domain::rotation::ports::issuers::{Allowed, Credential, Issuer, Listed, Minted};
use lockstep_core::domain::rotation::value::Value;
use reqwest::Method;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, json};
use tokio::sync::OnceCell;

use super::super::deploy::pages;
use super::super::limits::Family;
use super::super::plane::{Plane, Response};
use super::super::segment;
use super::super::system::Inner;
use super::who::Who;
use super::{LONGEST, minted_or_not};
use crate::clients::http::{Call, Effect};

/// Of one service principal (vendor's page on OAuth for service principals).
const MOST: u32 = 5;

const OF_ACCOUNT: &str = "/api/2.0/accounts/{account}/servicePrincipals/{principal}/credentials/secrets";
const ONE_OF_ACCOUNT: &str =
    "/api/2.0/accounts/{account}/servicePrincipals/{principal}/credentials/secrets/{secret}";
const OF_WORKSPACE: &str = "/api/2.0/accounts/servicePrincipals/{principal}/credentials/secrets";
const ONE_OF_WORKSPACE: &str = "/api/2.0/accounts/servicePrincipals/{principal}/credentials/secrets/{secret}";

/// Which of the two calls is used.
#[derive(Clone, Debug)]
pub(super) enum Door {
    Account(String),
    Workspace,
}

impl Door {
    /// A call on the secrets of a service principal, or on one of them.
    pub fn call(&self, method: Method, principal: &str, secret: Option<&str>, effect: Effect) -> Call {
        let (route, mut path) = match (self, secret) {
            (Self::Account(id), None) => (OF_ACCOUNT, in_account(id, principal)),
            (Self::Account(id), Some(_)) => (ONE_OF_ACCOUNT, in_account(id, principal)),
            (Self::Workspace, None) => (OF_WORKSPACE, in_workspace(principal)),
            (Self::Workspace, Some(_)) => (ONE_OF_WORKSPACE, in_workspace(principal)),
        };
        if let Some(secret) = secret {
            path = format!("{path}/{}", segment(secret));
        }
        Call::new(method, route, path, Family::Other.name(), effect)
    }
}

fn in_account(account: &str, principal: &str) -> String {
    let (account, principal) = (segment(account), segment(principal));
    format!("/api/2.0/accounts/{account}/servicePrincipals/{principal}/credentials/secrets")
}

fn in_workspace(principal: &str) -> String {
    let principal = segment(principal);
    format!("/api/2.0/accounts/servicePrincipals/{principal}/credentials/secrets")
}

/// A secret as lists show it.
#[derive(Debug, Deserialize)]
pub(super) struct SecretInfo {
    id: String,
    #[serde(default)]
    create_time: Option<Timestamp>,
    /// Missing: it never runs out.
    #[serde(default)]
    expire_time: Option<Timestamp>,
}

impl SecretInfo {
    pub fn listed(self) -> Listed {
        let Self {
            id,
            create_time,
            expire_time,
        } = self;
        Listed {
            id: CredentialId(id),
            label: None,
            comment: String::new(),
            made: create_time,
            expires: expire_time,
            last_used: None,
        }
    }
}

#[derive(Deserialize)]
struct Made {
    #[serde(deserialize_with = "secret")]
    secret: SecretString,
    #[serde(flatten)]
    info: SecretInfo,
}

pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// Everything that a door shows of a service principal's secrets.
pub(super) async fn listing(plane: &Plane, door: &Door, principal: &str) -> Result<Vec<Listed>, SystemError> {
    let call = door.call(Method::GET, principal, None, Effect::Read);
    let read = |row: &serde_json::Value| SecretInfo::deserialize(row).map(SecretInfo::listed);
    let rows = pages::each(plane, &call, "secrets", read).await?;
    rows.into_iter().collect::<Result<_, _>>().map_err(|_| {
        let message = format!(
            "{}: a secret without an id or with times that are none",
            call.label()
        );
        plane.error(SystemErrorKind::BadAnswer, message)
    })
}

/// Where the secrets of an application id are, whichever workspace or account they are reached by.
pub(super) fn address(application_id: &str) -> String {
    let id = application_id.to_lowercase();
    format!("databricks://service-principal/{}/secrets", segment(&id))
}

pub(super) struct PrincipalSecrets {
    inner: Arc<Inner>,
    who: Who,
    address: String,
    door: OnceCell<Door>,
}

impl PrincipalSecrets {
    pub fn new(inner: Arc<Inner>, who: Who) -> Result<Self, SystemError> {
        if !who.service_principal {
            let message = format!(
                "{} is a user, and OAuth secrets belong to service principals: name one by its application id",
                who.name
            );
            return Err(inner.workspace.plane.error(SystemErrorKind::Refused, message));
        }
        Ok(Self {
            inner,
            address: address(&who.name),
            who,
            door: OnceCell::new(),
        })
    }

    fn plane(&self, door: &Door) -> &Plane {
        match (door, &self.inner.account) {
            (Door::Account(_), Some((_, side))) => &side.plane,
            _ => &self.inner.workspace.plane,
        }
    }

    async fn through(&self, door: &Door) -> Result<Vec<Listed>, SystemError> {
        listing(self.plane(door), door, &self.who.number).await
    }

    /// Lists through the account, else through the workspace, and remembers which of them it was.
    async fn first(&self) -> Result<(Door, Vec<Listed>), SystemError> {
        if self.inner.account_side().is_some()
            && let Some((id, _)) = &self.inner.account
        {
            let door = Door::Account(id.clone());
            match self.through(&door).await {
                Ok(listed) => return Ok((door, listed)),
                // Not an administrator of the account: the workspace has a door of its own.
                Err(error) if self.who.in_workspace && error.kind == SystemErrorKind::Forbidden => {}
                Err(error) => return Err(error),
            }
        }
        Ok((Door::Workspace, self.through(&Door::Workspace).await?))
    }

    async fn door(&self) -> Result<&Door, SystemError> {
        let find = || async { self.first().await.map(|(door, _)| door) };
        self.door.get_or_try_init(find).await
    }

    /// Where consumers log in: the workspace, unless only the account knows whom.
    fn entrance(&self) -> &Plane {
        match self.inner.account_side() {
            Some(side) if !self.who.in_workspace => &side.plane,
            _ => &self.inner.workspace.plane,
        }
    }
}

#[async_trait]
impl Issuer for PrincipalSecrets {
    fn allowed(&self) -> Allowed {
        Allowed {
            limit: Some(MOST),
            labelled: false,
            longest_lifetime: Some(LONGEST),
        }
    }

    fn address(&self) -> &str {
        &self.address
    }

    async fn list(&self) -> Result<Vec<Listed>, SystemError> {
        if let Some(door) = self.door.get() {
            return self.through(door).await;
        }
        let (door, listed) = self.first().await?;
        // Whoever was faster found the same.
        let _ = self.door.set(door);
        Ok(listed)
    }

    async fn mint(&self, _: &Label, lifetime: Option<u64>) -> Result<Minted, SystemError> {
        let door = self.door().await?;
        let mut body = Map::new();
        if let Some(seconds) = lifetime {
            body.insert("lifetime".into(), json!(format!("{seconds}s")));
        }
        let call = door
            .call(Method::POST, &self.who.number, None, Effect::Once)
            .json(&body);
        let response = self.plane(door).send(call).await;
        let made: Made = response
            .and_then(Response::success)
            .and_then(|response| response.answer.json())
            .map_err(minted_or_not)?;
        let Made { secret, info } = made;
        let id = CredentialId(info.id);
        Ok(Minted {
            credential: self.credential(&id, secret.into()),
            id,
            expires: info.expire_time,
        })
    }

    fn credential(&self, _: &CredentialId, value: Value) -> Credential {
        Credential {
            client: self.who.name.clone(),
            value,
            host: self.entrance().host().to_owned(),
        }
    }

    async fn prove(&self, credential: &Credential) -> Result<bool, SystemError> {
        let Credential { client, value, .. } = credential;
        self.entrance().lets_in_client(client, &value.secret()).await
    }

    async fn revoke(&self, id: &CredentialId) -> Result<(), SystemError> {
        let door = self.door().await?;
        let call = door.call(Method::DELETE, &self.who.number, Some(&id.0), Effect::Repeatable);
        let response = self.plane(door).send(call).await?;
        if response.proves_absence() {
            return Ok(());
        }
        response.success().map(drop)
    }
}
