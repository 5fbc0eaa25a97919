//! The people a system knows, as one snapshot serves them to all bindings.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::grant::{Principal, PrincipalKind, System};
use crate::api::condition::Reason;

/// One person or bot of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub principal: Principal,
    /// User name in Gerrit or Databricks; application id of a service principal.
    pub username: Option<String>,
    /// All verified addresses, the preferred one first.
    pub emails: Vec<String>,
    /// Addresses of the human behind it that lead to another of their accounts: who somebody is, not whom an
    /// address means.
    pub aliases: Vec<String>,
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
    by_alias: BTreeMap<String, Vec<usize>>,
    by_username: BTreeMap<String, Vec<usize>>,
    by_subject: BTreeMap<(PrincipalKind, String), usize>,
}

impl Directory {
    pub fn new(system: System, taken: Timestamp, accounts: Vec<Account>) -> Self {
        let mut by_email: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut by_alias: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut by_username: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut by_subject = BTreeMap::new();
        for (at, account) in accounts.iter().enumerate() {
            for email in &account.emails {
                let same = by_email.entry(email.to_lowercase()).or_default();
                if !same.contains(&at) {
                    same.push(at);
                }
            }
            for alias in &account.aliases {
                by_alias.entry(alias.to_lowercase()).or_default().push(at);
            }
            if let Some(username) = &account.username {
                by_username.entry(username.to_lowercase()).or_default().push(at);
            }
            by_subject.insert((account.principal.kind, account.principal.subject.clone()), at);
        }
        Self {
            system,
            taken,
            accounts,
            by_email,
            by_alias,
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

    /// Every account of the human behind this address.
    pub fn of_human(&self, email: &str) -> impl Iterator<Item = &Account> {
        let others = self.by_alias.get(&email.to_lowercase()).into_iter().flatten();
        self.by_email(email).chain(others.map(|at| &self.accounts[*at]))
    }

    /// Everybody whom this user name or application id may mean: who is spelled exactly so, else all who differ from
    /// it in case alone. Gerrit tells `ada` from `Ada`.
    pub fn named(&self, username: &str) -> Vec<&Account> {
        let folded = self.by_username.get(&username.to_lowercase());
        let accounts = folded.into_iter().flatten().map(|at| &self.accounts[*at]);
        let (exact, other): (Vec<_>, Vec<_>) =
            accounts.partition(|account| account.username.as_deref() == Some(username));
        if exact.is_empty() { other } else { exact }
    }

    /// The one whom this user name or application id means, if it means one.
    pub fn by_username(&self, username: &str) -> Option<&Account> {
        self.one_named(username).ok()
    }

    /// The one whom this user name or application id means.
    pub fn one_named(&self, username: &str) -> Result<&Account, Reason> {
        one(&self.named(username))
    }

    /// Exactly one active account with the address; inactive ones only count when there is no active one.
    pub fn one_by_email(&self, email: &str) -> Result<&Account, Reason> {
        let all: Vec<_> = self.by_email(email).collect();
        let active: Vec<_> = all.iter().copied().filter(|account| account.active).collect();
        one(if active.is_empty() { &all } else { &active })
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

fn one<'a>(accounts: &[&'a Account]) -> Result<&'a Account, Reason> {
    match accounts {
        [] => Err(Reason::NoAccount),
        [one] => Ok(one),
        _ => Err(Reason::Ambiguous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::people::{Who, resolve};

    fn directory(accounts: &[(i64, &str)]) -> Directory {
        let accounts = accounts.iter().map(|(number, username)| Account {
            principal: Principal::account(*number, *username),
            username: Some((*username).into()),
            emails: Vec::new(),
            aliases: Vec::new(),
            active: true,
            service: false,
        });
        Directory::new(
            System::Gerrit("g".into()),
            Timestamp::UNIX_EPOCH,
            accounts.collect(),
        )
    }

    #[test]
    fn a_user_name_means_who_is_spelled_so_and_nobody_in_doubt() {
        let directory = directory(&[(1, "ada"), (2, "Ada"), (3, "Bob")]);
        for (written, meant) in [
            ("ada", Some("1")),
            ("Ada", Some("2")),
            ("ADA", None),
            ("bob", Some("3")),
            ("eve", None),
        ] {
            let found = directory.by_username(written);
            let found = found.map(|account| account.principal.subject.as_str());
            assert_eq!(found, meant, "{written}");
        }
        assert_eq!(directory.named("ADA").len(), 2);
        assert!(directory.named("eve").is_empty());
    }

    #[test]
    fn a_number_is_an_account_before_it_is_a_name_and_two_spellings_are_nobody() {
        let directory = directory(&[(1, "ada"), (2, "1"), (3, "eve"), (4, "Eve")]);
        let called = |name: &str| {
            let who = Who::Person {
                email: "ada@x".into(),
                gerrit_account: Some(name.into()),
                databricks_user: None,
            };
            resolve(&[who], &directory, &[])
        };
        assert!(called("1").principals.contains_key(&Principal::account(1, "")));
        assert!(called("Eve").principals.contains_key(&Principal::account(4, "")));
        let doubtful = called("EVE");
        assert!(doubtful.doubtful && doubtful.principals.is_empty());
        assert!(doubtful.untouched.contains(&Principal::account(3, "")));
    }
}
