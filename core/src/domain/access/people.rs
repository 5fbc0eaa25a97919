//! From what users write to principals of a system. Two candidates are refused, never picked; a name that once
//! meant somebody else touches nothing.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::directory::{Account, Directory};
use super::grant::{Principal, PrincipalKind, System};
use super::pins::{PERSON, Pin};
use crate::api::access_binding::{Member, Unresolved};
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
    format!(
        "{PERSON}{}",
        &hex::encode(Sha256::digest(person.as_bytes()))[..12]
    )
}

/// Whether a pin of this name is a person's.
pub(super) fn is_person(pin: &str) -> bool {
    pin.starts_with(PERSON)
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

impl Resolved {
    /// Keeps hands off everybody whom a doubtful name may mean: those it once meant, and those it may mean now. Who
    /// is deactivated counts as removed all the same.
    fn leave(&mut self, who: &Who, once: &BTreeSet<Principal>, directory: &Directory) {
        // Whom a listing does not show may have been missed: nobody goes because of that.
        let unseen = once.iter().filter(|principal| directory.get(principal).is_none());
        self.untouched.extend(unseen.cloned());
        let once = once.iter().filter_map(|principal| directory.get(principal));
        for account in once.chain(candidates(who, directory)) {
            let side = if account.active {
                &mut self.untouched
            } else {
                &mut self.inactive
            };
            side.insert(account.principal.clone());
        }
    }
}

/// Resolves the team in one system.
pub fn resolve(team: &[Who], directory: &Directory, pins: &[Pin]) -> Resolved {
    let system = directory.system.to_string();
    let mut pinned: BTreeMap<&str, BTreeSet<Principal>> = BTreeMap::new();
    for pin in pins.iter().filter(|pin| pin.system == system) {
        if let Ok(principal) = pin.means.parse() {
            pinned.entry(&pin.name).or_default().insert(principal);
        }
    }
    let mut resolved = Resolved::default();
    for who in team {
        if !concerns(who, &directory.system) {
            continue;
        }
        let person = who.person();
        let name = pin_name(&person);
        // One human may stand pinned as several accounts: by address here, by a group that names another there.
        let known = pinned.get(name.as_str()).cloned().unwrap_or_default();
        let found = find(who, directory);
        let (reason, keep) = match &found {
            Ok(account) if !known.is_empty() && !known.contains(&account.principal) => {
                (Some(Reason::IdentityChanged), known)
            }
            Ok(account) if !account.active => {
                resolved.inactive.insert(account.principal.clone());
                (Some(Reason::Inactive), known)
            }
            Ok(account) => {
                resolved
                    .principals
                    .insert(account.principal.clone(), person.clone());
                (None, BTreeSet::from([account.principal.clone()]))
            }
            Err(reason) => (Some(*reason), known),
        };
        if let Some(reason) = reason {
            resolved.unresolved.push(Unresolved {
                who: person,
                system: system.clone(),
                reason: reason.to_string(),
            });
            if reason != Reason::Inactive {
                resolved.leave(who, &keep, directory);
            }
            resolved.doubtful |= matches!(reason, Reason::IdentityChanged | Reason::Ambiguous);
        }
        // A pin outlives the account: whoever gets the address next is somebody else.
        resolved.pins.extend(keep.into_iter().map(|means| Pin {
            system: system.clone(),
            name: name.clone(),
            means: means.to_string(),
        }));
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
    let by_name = |name: &str| directory.one_named(name);
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
        } => directory.one_by_email(email),
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
                // A number is an account's first: anybody may choose to be called by somebody else's.
                Some(name) => directory
                    .get(&Principal::new(PrincipalKind::Account, name, name))
                    .map_or_else(|| by_name(name), Ok),
                None => directory.one_by_email(email),
            }
        }
    }
}

/// Everybody whom a doubtful name may mean.
fn candidates<'a>(who: &Who, directory: &'a Directory) -> Vec<&'a Account> {
    match (find(who, directory), who) {
        (Ok(account), _) => vec![account],
        (
            Err(Reason::Ambiguous),
            Who::Person {
                email,
                gerrit_account,
                databricks_user,
            },
        ) => {
            let names = gerrit_account.iter().chain(databricks_user);
            let named = names.flat_map(|name| directory.named(name));
            directory.by_email(email).chain(named).collect()
        }
        (
            Err(Reason::Ambiguous),
            Who::Found {
                email: Some(email), ..
            },
        ) => directory.by_email(email).collect(),
        (Err(Reason::Ambiguous), Who::ServiceUser(name) | Who::ServicePrincipal(name)) => {
            directory.named(name)
        }
        (Err(_), _) => Vec::new(),
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
            aliases: Vec::new(),
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
        assert_eq!(
            after.untouched,
            BTreeSet::from([Principal::account(1, ""), Principal::account(2, "")])
        );
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
    fn an_address_given_to_somebody_new_after_the_account_was_deactivated_is_recycled_too() {
        let before = resolve(
            &[person("a@x")],
            &directory(vec![account(1, &["a@x"], true)]),
            &[],
        );
        let left = directory(vec![account(1, &["a@x"], false)]);
        let gone = resolve(&[person("a@x")], &left, &before.pins);
        assert_eq!(gone.pins, before.pins);
        let now = directory(vec![account(1, &["a@x"], false), account(2, &["a@x"], true)]);
        let after = resolve(&[person("a@x")], &now, &gone.pins);
        assert!(after.principals.is_empty());
        assert_eq!(after.unresolved[0].reason, "IdentityChanged");
        assert_eq!(after.inactive, BTreeSet::from([Principal::account(1, "")]));
    }

    #[test]
    fn one_human_may_have_two_accounts_named_by_two_sources() {
        let directory = directory(vec![
            account(1, &["a@x"], true),
            account(2, &["admin@x", "a@x"], true),
        ]);
        let team = [
            Who::Person {
                email: "a@x".into(),
                gerrit_account: Some("user1".into()),
                databricks_user: None,
            },
            Who::Found {
                system: System::Gerrit("g".into()),
                principal: Principal::account(2, "admin"),
                email: Some("a@x".into()),
            },
        ];
        let first = resolve(&team, &directory, &[]);
        assert_eq!(first.principals.len(), 2);
        assert_eq!(resolve(&team, &directory, &first.pins), first);
    }

    #[test]
    fn bots_of_the_other_system_are_not_missed() {
        let resolved = resolve(&[Who::ServicePrincipal("app".into())], &directory(vec![]), &[]);
        assert_eq!(resolved, Resolved::default());
    }
}
