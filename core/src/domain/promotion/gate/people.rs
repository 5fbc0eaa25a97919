//! Who is who in a review. One human may have several accounts and addresses; here they are one [`Person`], so that
//! nobody approves alone by changing hats. What is not known about an account never speaks for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// Gerrit's number of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub u64);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {}", self.0)
    }
}

/// Gerrit's unchanging name of a group; its display name can move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupUuid(pub String);

impl fmt::Display for GroupUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An e-mail address, compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Email(String);

impl From<String> for Email {
    fn from(text: String) -> Self {
        Self(text.trim().to_lowercase())
    }
}

impl From<&str> for Email {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub username: String,
    /// All addresses registered for it, the preferred one and the others.
    pub emails: BTreeSet<Email>,
    /// Member of Gerrit's `Service Users`, the group pinned by uuid.
    pub service_user: bool,
}

/// One human with several accounts, as the connection's `aliases` declare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alias {
    pub emails: BTreeSet<Email>,
    pub accounts: BTreeSet<AccountId>,
}

/// Everybody a review names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct People {
    pub accounts: BTreeMap<AccountId, Account>,
    pub aliases: Vec<Alias>,
}

/// All accounts and addresses of one human or bot.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person {
    pub accounts: BTreeSet<AccountId>,
    pub emails: BTreeSet<Email>,
}

impl Person {
    /// Whether they share an account or an address.
    pub fn is(&self, other: &Self) -> bool {
        !self.accounts.is_disjoint(&other.accounts) || !self.emails.is_disjoint(&other.emails)
    }
}

impl People {
    /// The person behind an account: joined over shared addresses and declared aliases until nothing is added.
    pub fn behind(&self, account: AccountId) -> Person {
        self.join(Person {
            accounts: BTreeSet::from([account]),
            emails: BTreeSet::new(),
        })
    }

    /// The person behind an address, known to Gerrit or not.
    pub fn writing_as(&self, email: &Email) -> Person {
        self.join(Person {
            accounts: BTreeSet::new(),
            emails: BTreeSet::from([email.clone()]),
        })
    }

    /// What people call an account; never empty.
    pub fn name(&self, id: AccountId) -> String {
        match self.accounts.get(&id) {
            Some(account) if !account.username.is_empty() => format!("{} ({id})", account.username),
            _ => id.to_string(),
        }
    }

    fn join(&self, mut person: Person) -> Person {
        loop {
            let before = (person.accounts.len(), person.emails.len());
            for (id, account) in &self.accounts {
                if person.accounts.contains(id) || !person.emails.is_disjoint(&account.emails) {
                    person.accounts.insert(*id);
                    person.emails.extend(account.emails.iter().cloned());
                }
            }
            for Alias { emails, accounts } in &self.aliases {
                if !person.accounts.is_disjoint(accounts) || !person.emails.is_disjoint(emails) {
                    person.accounts.extend(accounts);
                    person.emails.extend(emails.iter().cloned());
                }
            }
            if (person.accounts.len(), person.emails.len()) == before {
                return person;
            }
        }
    }
}
