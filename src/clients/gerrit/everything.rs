//! What anybody holds: the auth tokens of every active account, one call each. Accounts that are not active let nobody in.

use futures::StreamExt as _;
use jiff::Timestamp;
use lockstep_core::domain::access::directory::Account;
use lockstep_core::domain::access::grant::System;
use lockstep_core::domain::ports::{AccessSystem as _, SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::inventory::{Held, HeldKind, Inventory};

use super::GerritSystem;
use super::facts::version;
use super::tokens::OLDEST;

/// Accounts asked about at once; the budget of the connection holds as well.
const AT_ONCE: usize = 8;

impl GerritSystem {
    /// What anybody holds on the server, as far as we may see it.
    pub async fn everything(&self) -> Result<Inventory, SystemError> {
        let facts = self.facts().await?;
        let mut inventory = Inventory::default();
        if version(&facts.version).is_none_or(|found| found < OLDEST) {
            let message = format!(
                "auth tokens: Gerrit {} has none that can be listed reliably",
                facts.version
            );
            inventory.unseen.push(message);
            return Ok(inventory);
        }
        let system = System::Gerrit(facts.server.clone());
        let directory = self.directory(&system, Timestamp::MIN).await?;
        let me = facts.account.id.to_string();
        // Ourselves first: what we may not see of others shows with the next one.
        let mut accounts: Vec<&Account> = directory.iter().filter(|account| account.active).collect();
        accounts.sort_by_key(|account| account.principal.subject != me);
        let ask = |account: Account| async move {
            let listed = match account.principal.subject.parse() {
                Ok(number) => self.tokens_of(number).await,
                Err(_) => Ok(Vec::new()),
            };
            (account, listed)
        };
        let accounts: Vec<Account> = accounts.into_iter().cloned().collect();
        let mut asked = futures::stream::iter(accounts).map(ask).buffered(AT_ONCE);
        while let Some((account, listed)) = asked.next().await {
            match listed {
                Ok(listed) => inventory.held.extend(listed.into_iter().map(|listed| Held {
                    kind: HeldKind::GerritToken,
                    address: format!("{system}/account/{}/tokens", account.principal.subject),
                    owner: account.principal.name.clone(),
                    person: !account.service,
                    listed,
                })),
                // It is the same for all others.
                Err(error) if error.kind == SystemErrorKind::Forbidden => {
                    inventory
                        .unseen
                        .push(format!("auth tokens of other accounts: {error}"));
                    break;
                }
                // Deactivated or hidden since the accounts were listed.
                Err(error) if error.kind == SystemErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(inventory)
    }
}
