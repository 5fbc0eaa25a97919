//! Everybody the server knows, inactive accounts included, page by page.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_core::domain::access::directory::{Account, Directory};
use lockstep_core::domain::access::grant::{Principal, System};
use lockstep_core::domain::ports::SystemError;

use super::GerritSystem;
use super::wire::AccountInfo;

/// One human, several accounts: the address, and user names, of which the first is given rights.
pub type Alias = (String, Vec<String>);

/// How Gerrit tags members of its group Service Users.
const SERVICE_USER: &str = "SERVICE_USER";

impl GerritSystem {
    pub(super) async fn read_directory(&self, begun: Timestamp) -> Result<Directory, SystemError> {
        let facts = self.facts().await?;
        // Without a word on activity Gerrit adds `is:active`; an empty query is refused (3.13.5).
        let query = "is:active OR is:inactive";
        // Others' secondary addresses need a capability; without it Gerrit refuses the option rather than ignore it.
        let all_emails = ["viewSecondaryEmails", "modifyAccount", "administrateServer"]
            .iter()
            .any(|capability| facts.may(capability));
        let mut found: BTreeMap<i64, AccountInfo> = BTreeMap::new();
        let mut start = 0;
        loop {
            let mut parameters = vec![
                ("q", query.to_owned()),
                ("o", "DETAILS".to_owned()),
                ("n", self.page.to_string()),
                ("S", start.to_string()),
            ];
            if all_emails {
                parameters.push(("o", "ALL_EMAILS".to_owned()));
            }
            let page: Vec<AccountInfo> = self
                .rest
                .get("/a/accounts/", "a/accounts/".into(), &parameters)
                .await?;
            let more = page.last().is_some_and(|last| last.more);
            start += page.len();
            // An account may show up on two pages when others come or go meanwhile.
            found.extend(page.into_iter().map(|account| (account.id, account)));
            if !more {
                break;
            }
        }
        let system = System::Gerrit(facts.server.clone());
        let mut accounts: Vec<Account> = found.into_values().map(account).collect();
        join(&mut accounts, &self.aliases);
        Ok(Directory::new(system, begun, accounts))
    }
}

fn account(info: AccountInfo) -> Account {
    let principal = Principal::account(info.id, info.shown());
    let AccountInfo {
        id: _,
        username,
        email,
        secondary_emails,
        inactive,
        tags,
        more: _,
    } = info;
    Account {
        principal,
        username,
        emails: email.into_iter().chain(secondary_emails).collect(),
        active: !inactive,
        service: tags.iter().any(|tag| tag == SERVICE_USER),
    }
}

/// Gives each alias's address to its first account alone, so that a human's other accounts neither receive rights
/// nor make the address ambiguous. An account that is no part of the alias keeps the address: that is a real
/// ambiguity, which is for people to settle.
fn join(accounts: &mut [Account], aliases: &[Alias]) {
    for (email, usernames) in aliases {
        let email = email.to_lowercase();
        let position = |account: &Account| {
            let own = account.username.as_deref()?.to_lowercase();
            usernames.iter().position(|name| name.to_lowercase() == own)
        };
        for account in &mut *accounts {
            match position(account) {
                Some(0) if !account.emails.iter().any(|own| own.to_lowercase() == email) => {
                    account.emails.push(email.clone());
                }
                Some(0) | None => {}
                Some(_) => account.emails.retain(|own| own.to_lowercase() != email),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn someone(id: i64, username: &str, emails: &[&str]) -> Account {
        account(AccountInfo {
            id,
            username: Some(username.into()),
            email: emails.first().map(ToString::to_string),
            secondary_emails: emails.iter().skip(1).map(ToString::to_string).collect(),
            ..AccountInfo::default()
        })
    }

    #[test]
    fn an_alias_leads_to_its_first_account_alone() {
        let mut accounts = vec![
            someone(1, "ada-admin", &["Ada@example.com"]),
            someone(2, "ada", &["ada@home.example.com"]),
            someone(3, "bob", &["bob@example.com"]),
        ];
        let alias = ("ada@example.com".into(), vec!["ada".into(), "ada-admin".into()]);
        join(&mut accounts, &[alias]);
        let directory = Directory::new(System::Gerrit("s".into()), Timestamp::UNIX_EPOCH, accounts);
        let found: Vec<&str> = directory
            .by_email("ada@example.com")
            .map(|account| account.principal.subject.as_str())
            .collect();
        assert_eq!(found, ["2"]);
        assert_eq!(directory.by_email("ada@home.example.com").count(), 1);
    }

    #[test]
    fn an_address_shared_with_a_stranger_stays_ambiguous() {
        let mut accounts = vec![
            someone(1, "ada", &["ada@example.com"]),
            someone(2, "eve", &["ada@example.com"]),
        ];
        join(&mut accounts, &[("ada@example.com".into(), vec!["ada".into()])]);
        let directory = Directory::new(System::Gerrit("s".into()), Timestamp::UNIX_EPOCH, accounts);
        assert_eq!(directory.by_email("ada@example.com").count(), 2);
    }

    #[test]
    fn service_users_and_the_inactive_are_known_as_such() {
        let account = account(AccountInfo {
            id: 7,
            inactive: true,
            tags: vec![SERVICE_USER.into()],
            ..AccountInfo::default()
        });
        assert!(account.service && !account.active);
        assert_eq!(account.principal.name, "7");
    }
}
