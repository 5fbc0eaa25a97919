//! Secret scopes of workspaces: who may do what in one, and what it keeps.

use std::collections::BTreeMap;

use serde_json::Value;

use super::hidden::Hidden;

/// From low to high; a higher one holds the lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    Read,
    Write,
    Manage,
}

impl Permission {
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Manage => "MANAGE",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Manage]
            .into_iter()
            .find(|permission| permission.name() == name)
    }
}

#[derive(Debug, Clone)]
pub struct Kept {
    /// Base64, as it is handed out.
    pub value: Hidden,
    pub updated: i64,
}

#[derive(Debug, Clone, Default)]
pub struct SecretScope {
    /// The vault of a scope that only reads from there; `None`: the vendor's own storage.
    pub key_vault: Option<Value>,
    pub acl: BTreeMap<u64, Permission>,
    pub secrets: BTreeMap<String, Kept>,
}

/// By workspace and name.
#[derive(Debug, Clone, Default)]
pub struct SecretScopes {
    scopes: BTreeMap<(u64, String), SecretScope>,
}

impl SecretScopes {
    pub fn get(&self, workspace: u64, name: &str) -> Option<&SecretScope> {
        self.scopes.get(&(workspace, name.to_owned()))
    }

    pub fn get_mut(&mut self, workspace: u64, name: &str) -> Option<&mut SecretScope> {
        self.scopes.get_mut(&(workspace, name.to_owned()))
    }

    pub fn insert(&mut self, workspace: u64, name: &str, scope: SecretScope) {
        self.scopes.insert((workspace, name.to_owned()), scope);
    }

    pub fn remove(&mut self, workspace: u64, name: &str) {
        self.scopes.remove(&(workspace, name.to_owned()));
    }

    pub fn of(&self, workspace: u64) -> impl Iterator<Item = (&str, &SecretScope)> {
        self.scopes
            .iter()
            .filter(move |((home, _), _)| *home == workspace)
            .map(|((_, name), scope)| (name.as_str(), scope))
    }

    pub fn all(&self) -> impl Iterator<Item = (u64, &str, &SecretScope)> {
        self.scopes
            .iter()
            .map(|((workspace, name), scope)| (*workspace, name.as_str(), scope))
    }

    /// A principal is gone from one workspace, or from all.
    pub fn forget_principal(&mut self, workspace: Option<u64>, principal: u64) {
        for ((home, _), scope) in &mut self.scopes {
            if workspace.is_none_or(|wanted| wanted == *home) {
                scope.acl.remove(&principal);
            }
        }
    }
}
