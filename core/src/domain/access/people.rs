//! From what users write to principals of a system. Two candidates are refused, never picked; a name that once
//! meant somebody else touches nothing.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::directory::{Account, Directory};
use super::grant::{Principal, PrincipalKind, System};
use crate::api::access_binding::{Member, Pin, Unresolved};
use crate::api::condition::Reason;

/// One member of the team, before any system was asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A human by address; a user name decides where the address does not.
    Person {
        email: String,
        gerrit_account: Option<String>,
        databricks_user: Option<String>,
    },
    /// A bot of Gerrit.
    ServiceUser(String),
    /// A service principal of Databricks, by application id.
    ServicePrincipal(String),
    /// Somebody a group source named: already a principal of that system, elsewhere known by address.
    Found {
        system: System,
        principal: Principal,
        email: Option<String>,
    },
}

impl Who {
    /// One human is one person whichever source names them: the address in lower case, or the bot's name.
    pub fn person(&self) -> String {
        match self {
            Self::Person { email, .. } => email.to_lowercase(),
            Self::ServiceUser(username) => format!("service user {username}"),
            Self::ServicePrincipal(id) => format!("service principal {id}"),
            Self::Found {
                email: Some(email), ..
            } => email.to_lowercase(),
            Self::Found { principal, .. } if principal.kind == PrincipalKind::ServicePrincipal => {
                format!("service principal {}", principal.subject)
            }
            Self::Found {
                system, principal, ..
            } => format!("{system} {principal}"),
        }
    }

    /// What is written by hand; group sources are looked up by whoever gathers.
    pub fn written(member: &Member) -> Option<Self> {
        Some(match member {
            Member::Person {
                email,
                gerrit_account,
                databricks_user,
            } => Self::Person {
                email: email.clone(),
                gerrit_account: gerrit_account.clone(),
                databricks_user: databricks_user.clone(),
            },
            Member::ServiceUser { username } => Self::ServiceUser(username.clone()),
            Member::ServicePrincipal { application_id } => Self::ServicePrincipal(application_id.clone()),
            Member::GerritGroup { .. } | Member::DatabricksGroup { .. } => return None,
        })
    }
}

/// Name of a person's pin: a digest, because a status is read by more people than a directory is.
pub fn pin_name(person: &str) -> String {
    format!("person/{}", &hex::encode(Sha256::digest(person.as_bytes()))[..12])
}

/// Who of the team is whom in one system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Principals with the person behind each.
    pub principals: BTreeMap<Principal, String>,
    /// Principals that a doubtful name once meant: neither added nor removed.
    pub untouched: BTreeSet<Principal>,
    pub unresolved: Vec<Unresolved>,
    /// Pins of everybody who resolved, or still stands pinned.
    pub pins: Vec<Pin>,
    /// Whether a doubt needs a person: `Ambiguous` or `IdentityChanged`.
    pub doubtful: bool,
    /// People who are deactivated in this system and so count as removed.
    pub inactive: BTreeSet<Principal>,
}

/// Resolves the team in one system.
pub fn resolve(team: &[Who], directory: &Directory, pins: &[Pin]) -> Resolved {
    let system = directory.system.to_string();
    let pinned: BTreeMap<&str, Principal> = pins
        .iter()
        .filter(|pin| pin.system == system)
        .filter_map(|pin| Some((pin.name.as_str(), pin.means.parse().ok()?)))
        .collect();
    let mut resolved = Resolved::default();
    for who in team {
        if !concerns(who, &directory.system) {
            continue;
        }
        let person = who.person();
        let name = pin_name(&person);
        let pin = pinned.get(name.as_str());
        let found = find(who, directory);
        let (reason, keep) = match (&found, pin) {
            (Ok(account), Some(pin)) if account.principal != *pin => {
                (Some(Reason::IdentityChanged), Some(pin.clone()))
            }
            (Ok(account), _) if !account.active => {
                resolved.inactive.insert(account.principal.clone());
                (Some(Reason::Inactive), None)
            }
            (Ok(account), _) => {
                resolved
                    .principals
                    .insert(account.principal.clone(), person.clone());
                (None, Some(account.principal.clone()))
            }
            (Err(reason), Some(pin)) => {
                // The address is gone, or means several now: as long as the account itself lives, hands off.
                let lives = directory.get(pin).is_some_and(|account| account.active);
                (Some(*reason), lives.then(|| pin.clone()))
            }
            (Err(reason), None) => (Some(*reason), None),
        };
        if let Some(reason) = reason {
            resolved.doubtful |= matches!(reason, Reason::IdentityChanged | Reason::Ambiguous);
            resolved.untouched.extend(keep.clone());
            resolved.unresolved.push(Unresolved {
                who: person,
                system: system.clone(),
                reason: reason.to_string(),
            });
        }
        if let Some(means) = keep {
            resolved.pins.push(Pin {
                system: system.clone(),
                name,
                means: means.to_string(),
            });
        }
    }
    for principal in resolved.principals.keys() {
        resolved.untouched.remove(principal);
    }
    resolved.unresolved.sort();
    resolved.unresolved.dedup();
    resolved.pins.sort();
    resolved.pins.dedup();
    resolved
}

/// Bots of one system are nobody in the other.
fn concerns(who: &Who, system: &System) -> bool {
    match who {
        Who::ServiceUser(_) => matches!(system, System::Gerrit(_)),
        Who::ServicePrincipal(_) => !matches!(system, System::Gerrit(_)),
        Who::Found {
            principal,
            email: None,
            system: home,
        } => {
            home == system
                || (principal.kind == PrincipalKind::ServicePrincipal && !matches!(system, System::Gerrit(_)))
        }
        Who::Person { .. } | Who::Found { .. } => true,
    }
}

fn find<'a>(who: &Who, directory: &'a Directory) -> Result<&'a Account, Reason> {
    let by_name = |name: &str| directory.by_username(name).ok_or(Reason::NoAccount);
    match who {
        Who::ServiceUser(username) => by_name(username),
        Who::ServicePrincipal(id) => by_name(id),
        Who::Found {
            system, principal, ..
        } if *system == directory.system => directory.get(principal).ok_or(Reason::NoAccount),
        Who::Found {
            principal,
            email: None,
            ..
        } => by_name(&principal.subject),
        Who::Found {
            email: Some(email), ..
        } => by_email(email, directory),
        Who::Person {
            email,
            gerrit_account,
            databricks_user,
        } => {
            let written = match directory.system {
                System::Gerrit(_) => gerrit_account,
                _ => databricks_user,
            };
            match written {
                Some(name) => by_name(name).or_else(|missing| {
                    // An account number is as good as a user name.
                    directory
                        .get(&Principal::new(PrincipalKind::Account, name, name))
                        .ok_or(missing)
                }),
                None => by_email(email, directory),
            }
        }
    }
}

/// Exactly one active account with the address; inactive ones only count when there is no active one.
fn by_email<'a>(email: &str, directory: &'a Directory) -> Result<&'a Account, Reason> {
    let one = |accounts: Vec<&'a Account>| match accounts[..] {
        [] => Err(Reason::NoAccount),
        [one] => Ok(one),
        _ => Err(Reason::Ambiguous),
    };
    let active: Vec<_> = directory
        .by_email(email)
        .filter(|account| account.active)
        .collect();
    if active.is_empty() {
        one(directory.by_email(email).collect())
    } else {
        one(active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn account(number: i64, emails: &[&str], active: bool) -> Account {
        Account {
            principal: Principal::account(number, emails[0]),
            username: Some(format!("user{number}")),
            emails: emails.iter().map(ToString::to_string).collect(),
            active,
            service: false,
        }
    }

    fn directory(accounts: Vec<Account>) -> Directory {
        Directory::new(System::Gerrit("g".into()), Timestamp::UNIX_EPOCH, accounts)
    }

    fn person(email: &str) -> Who {
        Who::Person {
            email: email.into(),
            gerrit_account: None,
            databricks_user: None,
        }
    }

    #[test]
    fn an_address_is_compared_without_case_and_never_by_prefix() {
        let directory = directory(vec![
            account(1, &["Ada@example.com"], true),
            account(2, &["ada@example.com.evil"], true),
        ]);
        let resolved = resolve(&[person("ada@EXAMPLE.com")], &directory, &[]);
        assert_eq!(
            resolved
                .principals
                .keys()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["account:1"]
        );
    }

    #[test]
    fn two_accounts_of_one_address_are_nobody() {
        let directory = directory(vec![
            account(1, &["a@x"], true),
            account(2, &["b@x", "a@x"], true),
        ]);
        let resolved = resolve(&[person("a@x"), person("b@x")], &directory, &[]);
        assert_eq!(resolved.principals.len(), 1);
        assert_eq!(resolved.unresolved[0].reason, "Ambiguous");
        assert!(resolved.doubtful);
    }

    #[test]
    fn a_recycled_address_touches_neither_the_old_nor_the_new_account() {
        let before = resolve(
            &[person("a@x")],
            &directory(vec![account(1, &["a@x"], true)]),
            &[],
        );
        let now = directory(vec![account(1, &["old@x"], true), account(2, &["a@x"], true)]);
        let after = resolve(&[person("a@x")], &now, &before.pins);
        assert!(after.principals.is_empty());
        assert_eq!(after.untouched, BTreeSet::from([Principal::account(1, "")]));
        assert_eq!(after.unresolved[0].reason, "IdentityChanged");
        assert_eq!(after.pins, before.pins);
    }

    #[test]
    fn a_deactivated_account_counts_as_removed() {
        let resolved = resolve(
            &[person("a@x")],
            &directory(vec![account(1, &["a@x"], false)]),
            &[],
        );
        assert!(resolved.principals.is_empty() && resolved.untouched.is_empty());
        assert_eq!(resolved.inactive.len(), 1);
    }

    #[test]
    fn bots_of_the_other_system_are_not_missed() {
        let resolved = resolve(&[Who::ServicePrincipal("app".into())], &directory(vec![]), &[]);
        assert_eq!(resolved, Resolved::default());
    }
}
