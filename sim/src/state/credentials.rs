//! What proves who is calling: bearer tokens of every origin, personal access tokens, OAuth secrets, federation
//! policies. Values are kept because the simulator must recognise them; no listing and no snapshot shows one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Scope;

#[derive(Debug, Clone)]
pub struct Bearer {
    pub principal: u64,
    pub scope: Scope,
    /// Milliseconds since the epoch; `None` never expires.
    pub expires: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct PersonalToken {
    pub id: String,
    pub value: String,
    pub comment: String,
    pub owner: u64,
    pub creator: u64,
    pub workspace: u64,
    pub created: i64,
    /// -1: never.
    pub expires: i64,
}

#[derive(Debug, Clone)]
pub struct Secret {
    pub id: String,
    pub service_principal: u64,
    pub value: String,
    pub created: i64,
    pub expires: i64,
}

#[derive(Debug, Clone)]
pub struct FederationPolicy {
    pub id: String,
    pub uid: String,
    /// `None`: account-wide.
    pub service_principal: Option<u64>,
    pub description: String,
    pub oidc: Value,
    pub created: i64,
    pub updated: i64,
}

#[derive(Debug, Clone, Default)]
pub struct Credentials {
    pub bearers: BTreeMap<String, Bearer>,
    pub personal: BTreeMap<String, PersonalToken>,
    pub secrets: BTreeMap<String, Secret>,
    pub policies: BTreeMap<(Option<u64>, String), FederationPolicy>,
}

impl Credentials {
    pub fn who(&self, token: &str, now: i64) -> Option<&Bearer> {
        self.bearers
            .get(token)
            .filter(|bearer| bearer.expires.is_none_or(|expires| now < expires))
    }

    pub fn revoke_personal(&mut self, id: &str) -> Option<PersonalToken> {
        let token = self.personal.remove(id)?;
        self.bearers.remove(&token.value);
        Some(token)
    }

    pub fn revoke_personal_of(&mut self, workspace: u64, owner: u64) {
        let ids: Vec<String> = self
            .personal
            .values()
            .filter(|token| token.workspace == workspace && token.owner == owner)
            .map(|token| token.id.clone())
            .collect();
        for id in ids {
            self.revoke_personal(&id);
        }
    }

    pub fn forget_principal(&mut self, workspace: Option<u64>, principal: u64) {
        let gone = |scope: Scope| workspace.is_none_or(|wanted| scope == Scope::Workspace(wanted));
        self.bearers
            .retain(|_, bearer| bearer.principal != principal || !gone(bearer.scope));
        self.personal
            .retain(|_, token| token.owner != principal || !gone(Scope::Workspace(token.workspace)));
        if workspace.is_none() {
            self.secrets
                .retain(|_, secret| secret.service_principal != principal);
            self.policies.retain(|(sp, _), _| *sp != Some(principal));
        }
    }
}
