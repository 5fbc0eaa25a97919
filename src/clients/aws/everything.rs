//! The access keys of every IAM user, governed or not: for people who look for the one that everybody forgot.

use std::collections::BTreeMap;

use aws_sdk_iam::types::User;
use futures::stream::{self, StreamExt as _};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::inventory::{Held, HeldKind, Inventory};
use lockstep_core::domain::rotation::ports::issuers::Issuer as _;

use super::{Aws, access_keys, refusal};

/// Users that are asked about at once; IAM slows down whoever asks much.
const AT_ONCE: usize = 4;

impl Aws {
    /// Access keys of all users, one call and one for each key of a user more. Where users may not be listed, those of
    /// `named`, and it is said that others may have some.
    pub async fn everything(&self, named: &[String]) -> Result<Inventory, SystemError> {
        let mut inventory = Inventory::default();
        let users = match self.users().await {
            Ok(users) => users,
            Err(error) if error.kind == SystemErrorKind::Forbidden => {
                inventory.unseen.push(format!("other users of IAM: {error}"));
                named.iter().map(|user| (user.clone(), false)).collect()
            }
            Err(error) => return Err(error),
        };
        let mut asked = Vec::new();
        for (user, person) in &users {
            asked.push(async move { (user, self.keys_of(user, *person).await) });
        }
        let mut asked = stream::iter(asked).buffered(AT_ONCE);
        while let Some((user, found)) = asked.next().await {
            match found {
                Ok(held) => inventory.held.extend(held),
                // Gone since, or a user that was named and is not there.
                Err(error) if error.kind == SystemErrorKind::NotFound => {}
                Err(error) if error.kind == SystemErrorKind::Forbidden => {
                    inventory.unseen.push(format!("access keys of {user}: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(inventory)
    }

    async fn keys_of(&self, user: &str, person: bool) -> Result<Vec<Held>, SystemError> {
        let keys = self.access_keys(user).await?;
        let listed = keys.list().await?;
        let held = listed.into_iter().map(|listed| Held {
            kind: HeldKind::AwsAccessKey,
            address: keys.address().to_owned(),
            owner: user.to_owned(),
            person,
            listed,
        });
        Ok(held.collect())
    }

    /// Names of users, and whether each is a person: only people log in to the console with a password.
    async fn users(&self) -> Result<BTreeMap<String, bool>, SystemError> {
        let iam = aws_sdk_iam::Client::new(&self.config);
        let (mut users, mut marker) = (BTreeMap::new(), None);
        loop {
            let page = iam.list_users().set_marker(marker).send().await;
            let page = page
                .map_err(|error| refusal::error(access_keys::SYSTEM, "ListUsers", "the account", &error))?;
            let person = |user: &User| user.password_last_used().is_some();
            users.extend(
                page.users()
                    .iter()
                    .map(|user| (user.user_name().to_owned(), person(user))),
            );
            marker = page.marker().map(ToOwned::to_owned);
            if !page.is_truncated() || marker.is_none() {
                return Ok(users);
            }
        }
    }
}
