//! Writing groups: creating, describing, filling, and deleting as far as the server lets us.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, Right};
use lockstep_core::domain::access::observed::GroupProperties;
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::GerritSystem;
use super::groups::{by_name, properties, rows};
use super::names::{group_name_fault, is_tombstone, segment, tombstone};
use super::rest::parse;
use super::wire::{GroupInfo, GroupInput};
use crate::clients::http::{Answer, Effect};

/// Members in one call: each becomes a line of one commit, and a request must end within its deadline.
const CHUNK: usize = 200;
const NOTHING: Option<&()> = None;

/// How a group went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    Deleted,
    /// The server deletes no groups, or not this one: it is empty, hidden, and renamed.
    Buried,
    AlreadyGone,
}

impl GerritSystem {
    /// Writes one planned change of one group.
    pub(super) async fn write_group(&self, uuid: &str, change: &Change) -> Result<(), SystemError> {
        let Change {
            target: _,
            create,
            describe,
            add,
            remove,
            delete,
            label,
        } = change;
        if *delete {
            let deletion = self.delete_group(uuid).await?;
            if deletion == Deletion::Deleted {
                self.deleted().insert(uuid.to_owned());
            }
            tracing::info!(group = %label, uuid, ?deletion, "deleted a group");
            return Ok(());
        }
        let have = if let Some(wanted) = create {
            self.deleted().remove(uuid);
            self.create_group(uuid, wanted, add).await?
        } else if describe.is_some() || !remove.is_empty() {
            // What is taken away or overwritten is looked at just before.
            match self.rest.group(uuid).await? {
                Some(group) => group,
                None if change.only_removes() => {
                    return self.prove_absent(uuid).await;
                }
                None => return Err(self.missing(uuid)),
            }
        } else {
            GroupInfo::default()
        };
        let begun = create.is_some();
        let changed = self.change_group(uuid, change, have).await;
        changed.map_err(|error| if begun { error.partly() } else { error })
    }

    /// Brings a group that is there to what is wanted.
    async fn change_group(&self, uuid: &str, change: &Change, have: GroupInfo) -> Result<(), SystemError> {
        let present = rows(&have);
        if let Some(wanted) = &change.describe {
            self.describe_group(uuid, wanted, &properties(have)).await?;
        }
        let missing: BTreeSet<&Right> = change.add.difference(&present).collect();
        let grows = !missing.is_empty();
        self.change_members(uuid, "add", missing).await?;
        let excess: BTreeSet<&Right> = change.remove.intersection(&present).collect();
        let shrunk = self.change_members(uuid, "delete", excess).await;
        shrunk.map_err(|error| if grows { error.partly() } else { error })
    }

    /// Creates a group under our own UUID, its first accounts in the same write, and returns what it holds then; who
    /// is missing is added by the caller. A
    /// group that has this UUID already is the work of an earlier attempt and is brought to the wanted properties.
    async fn create_group(
        &self,
        uuid: &str,
        wanted: &GroupProperties,
        members: &BTreeSet<Right>,
    ) -> Result<GroupInfo, SystemError> {
        let name = &wanted.name;
        if let Some(fault) = group_name_fault(name) {
            let message = format!("Gerrit cannot hold a group named {name:?}: {fault}");
            return Err(self.rest.http.error(SystemErrorKind::Refused, message));
        }
        let facts = self.facts().await?;
        let owner = match &wanted.owner {
            Some(owner) => owner.as_str(),
            None => facts.administrators(&self.rest)?,
        };
        let mut first = accounts(members.iter().map(|(principal, _)| principal));
        first.truncate(CHUNK);
        let input = GroupInput {
            uuid,
            owner_id: owner,
            description: wanted.description.as_deref(),
            visible_to_all: wanted.visible_to_all.unwrap_or(false),
            members: first,
        };
        let _mark = self.touched_groups.mark_after(&by_name(name), &*self.clock);
        // One at a time: Gerrit 3.13.5 creates fewer groups a second on four threads than on one, since all write
        // one ref of names, and refuses some with 503.
        let _alone = self.creating.lock().await;
        let mut delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(100))
            .with_jitter()
            .with_max_times(3)
            .build();
        loop {
            let path = format!("a/groups/{}", segment(name));
            let sent = self
                .rest
                .write(Method::PUT, "/a/groups/{name}", path, Effect::Once, Some(&input))
                .await;
            match sent {
                Ok(answer) if answer.status.is_success() => {
                    let mut group: GroupInfo = parse(&answer)?;
                    if group.uuid() != uuid {
                        return Err(answer.bad("created a group under another uuid than the one given"));
                    }
                    // The answer leaves the members out.
                    let ids = input.members.iter().filter_map(|id| id.parse().ok());
                    group.members = ids
                        .map(|id| super::wire::AccountInfo {
                            id,
                            ..Default::default()
                        })
                        .collect();
                    return Ok(group);
                }
                Ok(answer) if answer.status == StatusCode::CONFLICT => {
                    let Some(group) = self.rest.group(uuid).await? else {
                        let message = format!(
                            "a group named {name} exists already under another uuid; adopt it by leaving its creation to others, or choose another name{}",
                            if facts.sees_everything() {
                                ""
                            } else {
                                " (it is invisible to the account)"
                            }
                        );
                        return Err(answer.named(SystemErrorKind::Refused, &message));
                    };
                    return self.take_over(uuid, wanted, owner, group).await;
                }
                Ok(answer) if is_lock_failure(&answer) => {
                    // Gerrit says that nothing was written; the look costs little and is sure.
                    if let Some(group) = self.rest.group(uuid).await? {
                        return self.take_over(uuid, wanted, owner, group).await;
                    }
                    let Some(delay) = delays.next() else {
                        return Err(answer.error_of(SystemErrorKind::Stale));
                    };
                    tokio::time::sleep(delay).await;
                }
                Ok(answer) => return self.look_for(uuid, wanted, owner, answer.error()).await,
                Err(error) => return self.look_for(uuid, wanted, owner, error).await,
            }
        }
    }

    /// After an attempt whose outcome is unknown: is there a group of our UUID? If not, the attempt may still be under
    /// way, so it is not repeated here but in a later pass.
    async fn look_for(
        &self,
        uuid: &str,
        wanted: &GroupProperties,
        owner: &str,
        error: SystemError,
    ) -> Result<GroupInfo, SystemError> {
        if error.kind != SystemErrorKind::OutcomeUnknown {
            return Err(error);
        }
        match self.rest.group(uuid).await {
            Ok(Some(group)) => self.take_over(uuid, wanted, owner, group).await,
            Ok(None) | Err(_) => Err(error),
        }
    }

    async fn take_over(
        &self,
        uuid: &str,
        wanted: &GroupProperties,
        owner: &str,
        group: GroupInfo,
    ) -> Result<GroupInfo, SystemError> {
        let wanted = GroupProperties {
            owner: Some(owner.to_owned()),
            visible_to_all: Some(wanted.visible_to_all.unwrap_or(false)),
            ..wanted.clone()
        };
        self.describe_group(uuid, &wanted, &properties(group.clone()))
            .await?;
        Ok(group)
    }

    /// Sets what differs; unset fields and an empty name stay as they are.
    async fn describe_group(
        &self,
        uuid: &str,
        wanted: &GroupProperties,
        have: &GroupProperties,
    ) -> Result<(), SystemError> {
        let GroupProperties {
            name,
            description,
            owner,
            visible_to_all,
        } = wanted;
        if !name.is_empty() && *name != have.name {
            if let Some(fault) = group_name_fault(name) {
                let message = format!("Gerrit cannot hold a group named {name:?}: {fault}");
                return Err(self.rest.http.error(SystemErrorKind::Refused, message));
            }
            let _marks =
                [name, &have.name].map(|name| self.touched_groups.mark_after(&by_name(name), &*self.clock));
            self.put(uuid, "name", &json!({ "name": name })).await?;
        }
        if let Some(text) = description
            && text != have.description.as_deref().unwrap_or_default()
        {
            self.put(uuid, "description", &json!({ "description": text }))
                .await?;
        }
        if visible_to_all.is_some() && *visible_to_all != have.visible_to_all {
            self.put(uuid, "options", &json!({ "visible_to_all": visible_to_all }))
                .await?;
        }
        if owner.is_some() && *owner != have.owner {
            self.put(uuid, "owner", &json!({ "owner": owner })).await?;
        }
        Ok(())
    }

    async fn put(&self, uuid: &str, what: &'static str, body: &serde_json::Value) -> Result<(), SystemError> {
        let path = format!("a/groups/{}/{what}", segment(uuid));
        let route = match what {
            "name" => "/a/groups/{uuid}/name",
            "description" => "/a/groups/{uuid}/description",
            "options" => "/a/groups/{uuid}/options",
            _ => "/a/groups/{uuid}/owner",
        };
        self.rest
            .write(Method::PUT, route, path, Effect::Repeatable, Some(body))
            .await?
            .success()
            .map(drop)
    }

    /// Adds or removes members: accounts by number, which alone resolves inactive ones, and included groups.
    async fn change_members(
        &self,
        uuid: &str,
        verb: &'static str,
        rights: BTreeSet<&Right>,
    ) -> Result<(), SystemError> {
        let of = |kind: PrincipalKind| {
            rights
                .iter()
                .map(|(principal, _)| principal)
                .filter(move |principal| principal.kind == kind)
        };
        let numbers = accounts(of(PrincipalKind::Account));
        let groups: Vec<String> = of(PrincipalKind::Group)
            .map(|principal| principal.subject.clone())
            .collect();
        for (kind, ids) in [("members", numbers), ("groups", groups)] {
            let route = match (kind, verb) {
                ("members", "add") => "/a/groups/{uuid}/members.add",
                ("members", _) => "/a/groups/{uuid}/members.delete",
                (_, "add") => "/a/groups/{uuid}/groups.add",
                _ => "/a/groups/{uuid}/groups.delete",
            };
            for (at, chunk) in ids.chunks(CHUNK).enumerate() {
                let path = format!("a/groups/{}/{kind}.{verb}", segment(uuid));
                let body = json!({ kind: chunk });
                let sent = self
                    .rest
                    .write(Method::POST, route, path, Effect::Repeatable, Some(&body))
                    .await;
                let done = sent.and_then(|answer| answer.success().map(drop));
                done.map_err(|error| if at > 0 { error.partly() } else { error })?;
            }
        }
        Ok(())
    }

    /// Deletes, or buries where the server deletes no groups or something still refers to this one.
    async fn delete_group(&self, uuid: &str) -> Result<Deletion, SystemError> {
        let Some(group) = self.rest.group(uuid).await? else {
            self.prove_absent(uuid).await?;
            return Ok(Deletion::AlreadyGone);
        };
        let _mark = self
            .touched_groups
            .mark_after(&by_name(&group.name), &*self.clock);
        let path = format!("a/groups/{}", segment(uuid));
        let answer = self
            .rest
            .write(
                Method::DELETE,
                "/a/groups/{uuid}",
                path,
                Effect::Repeatable,
                NOTHING,
            )
            .await?;
        match answer.status {
            status if status.is_success() => Ok(Deletion::Deleted),
            // 404 says that group deletion is not enabled, or that somebody was faster; 403 and 405 that we may not;
            // 409 that the group owns another, is included in one, or is named in access rights.
            StatusCode::NOT_FOUND
            | StatusCode::FORBIDDEN
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::CONFLICT => {
                tracing::debug!(uuid, answer = %answer.error(), "the group cannot be deleted");
                if self.rest.group(uuid).await?.is_none() {
                    return Ok(Deletion::Deleted);
                }
                self.bury(uuid, &group).await?;
                Ok(Deletion::Buried)
            }
            _ => Err(answer.error()),
        }
    }

    /// Empties first: from then on the group gives nobody anything.
    async fn bury(&self, uuid: &str, group: &GroupInfo) -> Result<(), SystemError> {
        let present = rows(group);
        self.change_members(uuid, "delete", present.iter().collect())
            .await?;
        let name = if is_tombstone(uuid, &group.name) {
            group.name.clone()
        } else {
            tombstone(uuid, &group.name)
        };
        let buried = GroupProperties {
            name,
            visible_to_all: Some(false),
            ..GroupProperties::default()
        };
        self.describe_group(uuid, &buried, &properties(group.clone()))
            .await
    }

    fn missing(&self, uuid: &str) -> SystemError {
        let message = format!("group {uuid} does not exist or is invisible to the account");
        self.rest.http.error(SystemErrorKind::NotFound, message)
    }
}

fn accounts<'a>(principals: impl Iterator<Item = &'a Principal>) -> Vec<String> {
    principals
        .filter(|principal| principal.kind == PrincipalKind::Account)
        .map(|principal| principal.subject.clone())
        .collect()
}

fn is_lock_failure(answer: &Answer) -> bool {
    answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.text().to_lowercase().contains("lock failure")
}
