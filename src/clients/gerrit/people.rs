//! Everybody the server knows, inactive accounts included, page by page.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_core::domain::access::directory::{Account, Directory};
use lockstep_core::domain::access::grant::{Principal, System};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};

use super::GerritSystem;
use super::wire::AccountInfo;

/// One human, several accounts: the address, and user names, of which the first is given rights.
pub type Alias = (String, Vec<String>);

/// How often a list of accounts that moved while it was read is read again.
const REREADS: usize = 2;

/// How Gerrit tags members of its group Service Users.
const SERVICE_USER: &str = "SERVICE_USER";

impl GerritSystem {
    pub(super) async fn read_directory(&self, begun: Timestamp) -> Result<Directory, SystemError> {
        let facts = self.facts().await?;
        // Others' secondary addresses need a capability; without it Gerrit refuses the option rather than ignore it.
        let all_emails = ["viewSecondaryEmails", "modifyAccount", "administrateServer"]
            .iter()
            .any(|capability| facts.may(capability));
        let mut found = BTreeMap::new();
        for _ in 0..=REREADS {
            if self.page_accounts(all_emails, &mut found).await? {
                break;
            }
        }
        let system = System::Gerrit(facts.server.clone());
        let mut accounts: Vec<Account> = found.into_values().map(account).collect();
        give_to_first(&mut accounts, &self.aliases);
        Ok(Directory::new(system, begun, accounts))
    }

    /// Adds all accounts to those found before; answers whether the list stood still meanwhile. It is in order of
    /// names, so that who is renamed may move to a page that has been read; nobody is ever deleted, so what several
    /// readings find is true together. Each page begins with the last account of the one before.
    async fn page_accounts(
        &self,
        all_emails: bool,
        found: &mut BTreeMap<i64, AccountInfo>,
    ) -> Result<bool, SystemError> {
        let (mut last, mut start, mut still) = (None, 0, true);
        loop {
            let mut parameters = vec![
                // Without a word on activity Gerrit adds `is:active`; an empty query is refused (3.13.5).
                ("q", "is:active OR is:inactive".to_owned()),
                ("o", "DETAILS".to_owned()),
                ("n", (self.page + usize::from(last.is_some())).to_string()),
                ("S", start.to_string()),
            ];
            if all_emails {
                parameters.push(("o", "ALL_EMAILS".to_owned()));
            }
            let page: Vec<AccountInfo> = self
                .rest
                .get("/a/accounts/", "a/accounts/".into(), &parameters)
                .await?;
            if last.is_some() && page.len() < 2 {
                let message = "the list of accounts ended although there was to be more of it";
                return Err(self.rest.http.error(SystemErrorKind::Stale, message));
            }
            still &= last.is_none() || page.first().map(|account| account.id) == last;
            let more = page.last().is_some_and(|account| account.more);
            last = page.last().map(|account| account.id);
            start += page.len().saturating_sub(1);
            found.extend(page.into_iter().map(|account| (account.id, account)));
            if !more {
                return Ok(still);
            }
        }
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
        aliases: Vec::new(),
        active: !inactive,
        service: tags.iter().any(|tag| tag == SERVICE_USER),
    }
}

/// Gives each alias's address to its first account alone, so that a human's other accounts neither receive rights
/// nor make the address ambiguous. An account that is no part of the alias keeps the address: that is a real
/// ambiguity, which is for people to settle.
fn give_to_first(accounts: &mut [Account], aliases: &[Alias]) {
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
                Some(_) => {
                    account.emails.retain(|own| own.to_lowercase() != email);
                    account.aliases.push(email.clone());
                }
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
        give_to_first(&mut accounts, &[alias]);
        let directory = Directory::new(System::Gerrit("s".into()), Timestamp::UNIX_EPOCH, accounts);
        let found: Vec<&str> = directory
            .by_email("ada@example.com")
            .map(|account| account.principal.subject.as_str())
            .collect();
        assert_eq!(found, ["2"]);
        assert_eq!(directory.by_email("ada@home.example.com").count(), 1);
        assert_eq!(directory.of_human("ada@example.com").count(), 2);
    }

    #[test]
    fn an_address_shared_with_a_stranger_stays_ambiguous() {
        let mut accounts = vec![
            someone(1, "ada", &["ada@example.com"]),
            someone(2, "eve", &["ada@example.com"]),
        ];
        give_to_first(&mut accounts, &[("ada@example.com".into(), vec!["ada".into()])]);
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
