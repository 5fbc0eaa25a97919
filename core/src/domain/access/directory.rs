//! The people a system knows, as one snapshot serves them to all bindings.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::grant::{Principal, PrincipalKind, System};

/// One person or bot of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub principal: Principal,
    /// User name in Gerrit or Databricks; application id of a service principal.
    pub username: Option<String>,
    /// All verified addresses, the preferred one first.
    pub emails: Vec<String>,
    pub active: bool,
    /// A service user of Gerrit or a service principal.
    pub service: bool,
}

/// Everybody, indexed by what users write.
#[derive(Clone, Debug)]
pub struct Directory {
    pub system: System,
    pub taken: Timestamp,
    accounts: Vec<Account>,
    by_email: BTreeMap<String, Vec<usize>>,
    by_username: BTreeMap<String, usize>,
    by_subject: BTreeMap<(PrincipalKind, String), usize>,
}

impl Directory {
    pub fn new(system: System, taken: Timestamp, accounts: Vec<Account>) -> Self {
        let mut by_email: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let (mut by_username, mut by_subject) = (BTreeMap::new(), BTreeMap::new());
        for (at, account) in accounts.iter().enumerate() {
            for email in &account.emails {
                let same = by_email.entry(email.to_lowercase()).or_default();
                if !same.contains(&at) {
                    same.push(at);
                }
            }
            if let Some(username) = &account.username {
                by_username.insert(username.to_lowercase(), at);
            }
            by_subject.insert((account.principal.kind, account.principal.subject.clone()), at);
        }
        Self {
            system,
            taken,
            accounts,
            by_email,
            by_username,
            by_subject,
        }
    }

    /// Everybody with exactly this address, compared without case.
    pub fn by_email(&self, email: &str) -> impl Iterator<Item = &Account> {
        self.by_email
            .get(&email.to_lowercase())
            .into_iter()
            .flatten()
            .map(|at| &self.accounts[*at])
    }

    /// The one with this user name or application id, compared without case.
    pub fn by_username(&self, username: &str) -> Option<&Account> {
        self.by_username
            .get(&username.to_lowercase())
            .map(|at| &self.accounts[*at])
    }

    /// The one whose identity this is.
    pub fn get(&self, principal: &Principal) -> Option<&Account> {
        self.by_subject
            .get(&(principal.kind, principal.subject.clone()))
            .map(|at| &self.accounts[*at])
    }

    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }
}
