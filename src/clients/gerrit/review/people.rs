//! Everybody whom a review names, and whoever may be the same human: nobody else, so that the evidence stays small.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::domain::access::directory::Directory;
use lockstep_core::domain::access::grant::System;
use lockstep_core::domain::ports::{AccessSystem as _, SystemError};
use lockstep_core::domain::promotion::gate::people::{Account, AccountId, Alias, Email, People, Person};
use lockstep_core::domain::promotion::ports::reviews::Inquiry;

use super::super::GerritSystem;
use super::super::people::Alias as Declared;

impl GerritSystem {
    /// The people behind these accounts and addresses. Nobody is known while it is unknown who is a machine.
    pub(super) async fn people_of(
        &self,
        accounts: &BTreeSet<AccountId>,
        emails: &BTreeSet<Email>,
        inquiry: &Inquiry,
    ) -> Result<People, SystemError> {
        let machines = match &inquiry.service_users {
            None => BTreeSet::new(),
            Some(uuid) => match self.group_evidence(uuid, inquiry).await?.members {
                Some(members) => members,
                None => return Ok(People::default()),
            },
        };
        let system = System::Gerrit(self.facts().await?.server.clone());
        let directory = self.directory(&system, inquiry.fresh).await?;
        Ok(named(&directory, &self.aliases, &machines, accounts, emails))
    }
}

fn named(
    directory: &Directory,
    declared: &[Declared],
    machines: &BTreeSet<AccountId>,
    accounts: &BTreeSet<AccountId>,
    emails: &BTreeSet<Email>,
) -> People {
    let everybody = People {
        accounts: directory
            .iter()
            .filter_map(|account| {
                let id = AccountId(account.principal.subject.parse().ok()?);
                let known = Account {
                    username: account.username.clone().unwrap_or_default(),
                    emails: account
                        .emails
                        .iter()
                        .chain(&account.aliases)
                        .map(|email| Email::from(email.as_str()))
                        .collect(),
                    service_user: account.service || machines.contains(&id),
                };
                Some((id, known))
            })
            .collect(),
        aliases: Vec::new(),
    };
    let everybody = People {
        aliases: declared.iter().map(|alias| joined(alias, &everybody)).collect(),
        ..everybody
    };
    let behind_accounts = accounts.iter().map(|account| everybody.behind(*account));
    let behind_emails = emails.iter().map(|email| everybody.writing_as(email));
    let mut all = Person::default();
    for person in behind_accounts.chain(behind_emails) {
        all.accounts.extend(person.accounts);
        all.emails.extend(person.emails);
    }
    let People { accounts, aliases } = everybody;
    People {
        accounts: accounts
            .into_iter()
            .filter(|(id, _)| all.accounts.contains(id))
            .collect::<BTreeMap<_, _>>(),
        aliases: aliases
            .into_iter()
            .filter(|alias| {
                !alias.accounts.is_disjoint(&all.accounts) || !alias.emails.is_disjoint(&all.emails)
            })
            .collect(),
    }
}

/// One human's accounts by number. Gerrit tells `ada` from `Ada`; here both are meant, since neither may approve the
/// other.
fn joined((email, usernames): &Declared, everybody: &People) -> Alias {
    let meant = |known: &Account| {
        usernames
            .iter()
            .any(|username| username.to_lowercase() == known.username.to_lowercase())
    };
    Alias {
        emails: BTreeSet::from([Email::from(email.as_str())]),
        accounts: everybody
            .accounts
            .iter()
            .filter(|(_, known)| meant(known))
            .map(|(id, _)| *id)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use lockstep_core::domain::access::directory::Account as Listed;
    use lockstep_core::domain::access::grant::Principal;

    use super::*;

    #[test]
    fn other_accounts_of_the_same_human_come_along_and_strangers_do_not() {
        let listed = |id, username: &str, email: &str| Listed {
            principal: Principal::account(id, username),
            username: Some(username.into()),
            emails: vec![email.into()],
            aliases: Vec::new(),
            active: true,
            service: false,
        };
        let directory = Directory::new(
            System::Gerrit("s".into()),
            Timestamp::UNIX_EPOCH,
            vec![
                listed(1, "ada", "ada@example.com"),
                listed(2, "Ada-Admin", "root@example.com"),
                listed(3, "ada-home", "ADA@example.com"),
                listed(4, "bot", "bot@example.com"),
                listed(5, "eve", "eve@example.com"),
            ],
        );
        let alias = (
            "ada@example.com".to_owned(),
            vec!["ada".into(), "ada-admin".into()],
        );
        let people = named(
            &directory,
            &[alias],
            &BTreeSet::from([AccountId(4)]),
            &BTreeSet::from([AccountId(1)]),
            &BTreeSet::from([Email::from("bot@example.com")]),
        );
        let known: Vec<u64> = people.accounts.keys().map(|id| id.0).collect();
        assert_eq!(known, [1, 2, 3, 4]);
        assert!(people.accounts[&AccountId(4)].service_user && !people.accounts[&AccountId(1)].service_user);
        assert_eq!(people.behind(AccountId(2)).accounts.len(), 3);
    }
}
