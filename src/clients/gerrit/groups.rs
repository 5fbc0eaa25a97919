//! All groups with their members, as one paged listing serves them to everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use jiff::Timestamp;
use lockstep_core::domain::access::grant::{Principal, Privilege, Right, Target};
use lockstep_core::domain::access::observed::{GroupProperties, Located, Observed};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};

use super::GerritSystem;
use super::facts::Facts;
use super::names::is_tombstone;
use super::shared::Reading;
use super::wire::GroupInfo;
use crate::clients::http::is_too_long;

/// One listing.
pub(super) struct Listing {
    by_uuid: BTreeMap<String, Arc<Observed>>,
    /// Exact: Gerrit distinguishes case here.
    by_name: BTreeMap<String, String>,
}

impl GerritSystem {
    /// The listing, from memory if it is young enough.
    async fn listing(&self, fresh: Timestamp) -> Result<Arc<Reading<Listing>>, SystemError> {
        let reading = self
            .groups
            .at_least(fresh, |begun| self.read_listing(begun))
            .await?;
        self.touched_groups.seen(reading.begun);
        Ok(reading)
    }

    async fn read_listing(&self, begun: Timestamp) -> Result<Listing, SystemError> {
        let facts = self.facts().await?;
        let mut listing = Listing {
            by_uuid: BTreeMap::new(),
            by_name: BTreeMap::new(),
        };
        // A server that gives less than was asked for would make the first page look like the last.
        let mut size = facts
            .query_limit
            .map_or(self.page, |most| self.page.min(most.max(1)));
        let mut start = 0;
        loop {
            let parameters = [
                ("o", "MEMBERS".to_owned()),
                ("o", "INCLUDES".to_owned()),
                ("n", size.to_string()),
                ("S", start.to_string()),
            ];
            let asked = self.rest.get("/a/groups/", "a/groups/".into(), &parameters).await;
            let page: BTreeMap<String, GroupInfo> = match asked {
                // Groups of thousands: a page is as long as its members make it.
                Err(error) if is_too_long(&error) && size > 1 => {
                    size /= 2;
                    continue;
                }
                other => other?,
            };
            let count = page.len();
            for (name, mut group) in page {
                group.name = name;
                let observed = observed(facts, group, begun);
                if observed.present {
                    let name = observed.group.as_ref().map(|group| group.name.clone());
                    listing
                        .by_name
                        .insert(name.unwrap_or_default(), uuid_of(&observed.target).to_owned());
                }
                listing
                    .by_uuid
                    .insert(uuid_of(&observed.target).to_owned(), Arc::new(observed));
            }
            start += count;
            // Listings of groups carry no flag for more: a short page is the last.
            if count < size {
                return Ok(listing);
            }
        }
    }

    pub(super) async fn observe_group(
        &self,
        target: &Target,
        uuid: &str,
        fresh: Timestamp,
    ) -> Result<Arc<Observed>, SystemError> {
        let facts = self.facts().await?;
        let fresh = self.touched_groups.fresh(uuid, fresh);
        let reading = self.listing(fresh).await?;
        if let Some(observed) = reading.value.by_uuid.get(uuid) {
            return Ok(Arc::clone(observed));
        }
        if self.deleted().contains(uuid) {
            return Ok(Arc::new(Observed::absent(target.clone(), reading.begun)));
        }
        // Not being listed may mean that groups moved between two pages, or that the group comes from elsewhere.
        let begun = self.clock.now();
        if let Some(group) = self.rest.group(uuid).await? {
            return Ok(Arc::new(observed(facts, group, begun)));
        }
        self.prove_absent(uuid).await?;
        Ok(Arc::new(Observed::absent(target.clone(), reading.begun)))
    }

    /// Makes sure that a group which neither a listing nor its own address shows does not exist: 404 means missing or
    /// invisible. The index must not know it either, and nothing may be invisible to us.
    pub(super) async fn prove_absent(&self, uuid: &str) -> Result<(), SystemError> {
        if !self.sees_everything().await? {
            let message = format!(
                "group {uuid} does not exist or is invisible: without the capability administrateServer the two cannot be told apart"
            );
            return Err(self.rest.http.error(SystemErrorKind::NotFound, message));
        }
        // Only such UUIDs can be asked for in a query without quoting; others are not groups of Gerrit's own.
        if uuid.len() == 40 && uuid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let query = [("query", format!("uuid:{uuid}"))];
            let found: Vec<GroupInfo> = self
                .rest
                .get("/a/groups/?query", "a/groups/".into(), &query)
                .await?;
            if !found.is_empty() {
                let message =
                    format!("group {uuid} is in the index but cannot be read: the server contradicts itself");
                return Err(self.rest.http.error(SystemErrorKind::Stale, message));
            }
        }
        Ok(())
    }

    pub(super) async fn locate_group(&self, name: &str, fresh: Timestamp) -> Result<Located, SystemError> {
        let facts = self.facts().await?;
        let fresh = self.touched_groups.fresh(&by_name(name), fresh);
        let reading = self.listing(fresh).await?;
        Ok(match reading.value.by_name.get(name) {
            Some(uuid) => Located::At(target(facts, uuid.clone())),
            None => Located::Absent,
        })
    }
}

impl GerritSystem {
    pub(super) fn deleted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.deleted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Under what a group's name is marked as touched; no UUID looks like that.
pub(super) fn by_name(name: &str) -> String {
    format!("name {name}")
}

fn target(facts: &Facts, uuid: String) -> Target {
    Target::GerritGroup {
        server: facts.server.clone(),
        uuid,
    }
}

fn uuid_of(target: &Target) -> &str {
    match target {
        Target::GerritGroup { uuid, .. } => uuid,
        _ => "",
    }
}

/// Members of a group as rows: accounts, and groups that it includes.
pub(super) fn rows(group: &GroupInfo) -> BTreeSet<Right> {
    let accounts = group
        .members
        .iter()
        .map(|account| Principal::account(account.id, account.shown()));
    let groups = group
        .includes
        .iter()
        .map(|included| Principal::group(included.uuid(), included.name.clone()));
    accounts
        .chain(groups)
        .map(|principal| (principal, Privilege::Member))
        .collect()
}

/// One group as it was read.
pub(super) fn observed(facts: &Facts, group: GroupInfo, taken: Timestamp) -> Observed {
    let uuid = group.uuid();
    let rows = rows(&group);
    if rows.is_empty() && is_tombstone(&uuid, &group.name) {
        // Deleted as far as this server allows.
        return Observed::absent(target(facts, uuid), taken);
    }
    let ourselves = Principal::account(facts.account.id, facts.account.shown());
    let protected = rows
        .iter()
        .filter(|(principal, _)| *principal == ourselves)
        .map(|(principal, _)| principal.clone())
        .collect();
    Observed {
        // Only Gerrit's own groups have such UUIDs; others (`global:`, `ldap:`) have members nobody can edit here.
        // The SAML plugin refills groups of its prefix at every login.
        external: uuid.contains(':') || group.name.starts_with("saml/"),
        alone: false,
        target: target(facts, uuid),
        taken,
        present: true,
        rows,
        protected,
        group: Some(properties(group)),
    }
}

pub(super) fn properties(group: GroupInfo) -> GroupProperties {
    GroupProperties {
        owner: group.owner(),
        visible_to_all: Some(group.options.visible_to_all),
        name: group.name,
        description: group.description,
    }
}
