//! What proves who is calling: bearer tokens of every origin, personal access tokens, OAuth secrets, federation
//! policies. Values are kept because the simulator must recognise them; no listing and no snapshot shows one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::Value;

use super::Scope;
use super::hidden::Hidden;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// When a token was last used. Requests that only read the world tell it, hence a cell of its own.
#[derive(Debug, Clone)]
pub struct LastUse(Arc<AtomicI64>);

impl LastUse {
    const NEVER: i64 = i64::MIN;

    pub fn never() -> Self {
        Self(Arc::new(AtomicI64::new(Self::NEVER)))
    }

    pub fn at(ms: i64) -> Self {
        Self(Arc::new(AtomicI64::new(ms)))
    }

    pub fn tell(&self, now: i64) {
        self.0.store(now, Ordering::Relaxed);
    }

    /// The start of that day in milliseconds since the epoch: the vendor tells no more.
    pub fn day(&self) -> Option<i64> {
        match self.0.load(Ordering::Relaxed) {
            Self::NEVER => None,
            at => Some(at - at.rem_euclid(DAY_MS)),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Bearer {
    pub principal: u64,
    pub scope: Scope,
    /// Milliseconds since the epoch; nobody is let in before.
    pub starts: i64,
    /// Milliseconds since the epoch; `None` never expires.
    pub expires: Option<i64>,
    /// Of personal access tokens.
    pub used: Option<LastUse>,
}

impl Bearer {
    /// One that lets in at once and for ever.
    pub fn lasting(principal: u64, scope: Scope) -> Self {
        Self {
            principal,
            scope,
            starts: i64::MIN,
            expires: None,
            used: None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct PersonalToken {
    pub id: String,
    pub value: Hidden,
    pub comment: String,
    pub scopes: Vec<String>,
    pub owner: u64,
    pub creator: u64,
    pub workspace: u64,
    pub created: i64,
    /// -1: never.
    pub expires: i64,
    pub used: LastUse,
}

impl PersonalToken {
    pub fn is_valid(&self, now: i64) -> bool {
        self.expires < 0 || now < self.expires
    }
}

#[derive(Debug, Clone)]
pub struct Secret {
    pub id: String,
    pub service_principal: u64,
    pub value: Hidden,
    pub scopes: Vec<String>,
    pub created: i64,
    /// Nobody is let in before.
    pub starts: i64,
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
    pub bearers: BTreeMap<Hidden, Bearer>,
    pub personal: BTreeMap<String, PersonalToken>,
    pub secrets: BTreeMap<String, Secret>,
    pub policies: BTreeMap<(Option<u64>, String), FederationPolicy>,
}

impl Credentials {
    pub fn who(&self, token: &str, now: i64) -> Option<&Bearer> {
        self.bearers
            .get(token)
            .filter(|bearer| bearer.starts <= now && bearer.expires.is_none_or(|expires| now < expires))
    }

    /// Adds a token of a person or a service principal; `starts`: when it begins to let in.
    pub fn add_personal(&mut self, token: PersonalToken, starts: i64) {
        let bearer = Bearer {
            principal: token.owner,
            scope: Scope::Workspace(token.workspace),
            starts,
            expires: (token.expires >= 0).then_some(token.expires),
            used: Some(token.used.clone()),
        };
        self.bearers.insert(token.value.clone(), bearer);
        self.personal.insert(token.id.clone(), token);
    }

    pub fn revoke_personal(&mut self, id: &str) -> Option<PersonalToken> {
        let token = self.personal.remove(id)?;
        self.bearers.remove(token.value.show());
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
