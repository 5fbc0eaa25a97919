//! Writing groups: create with members in one call, change in few, delete, and finding out what became of a create
//! whose answer was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, Right};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::Method;
use serde_json::json;

use super::groups::{Groups, read_named};
use super::people::People;
use super::plane::{Plane, Response};
use super::scim::{self, Collection, GROUP_SCHEMA, Operation, Scope, WireGroup};
use crate::clients::http::Effect;

/// How long a reading may still lack what was written: the vendor's minute and a half of it (ucx waits 90 s).
const LAG: SignedDuration = SignedDuration::from_secs(90);
/// Members of one PATCH. No limit is published; a hundred is what the vendor pages by.
const CHUNK: usize = 100;

/// What was created here of late, and what may have been.
#[derive(Default)]
pub(super) struct Creations(Mutex<BTreeMap<String, Creation>>);

#[derive(Clone, Debug)]
struct Creation {
    at: Timestamp,
    /// `None`: the answer was lost.
    id: Option<String>,
}

impl Creations {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Creation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, name: &str, at: Timestamp, id: Option<String>) {
        let mut all = self.lock();
        all.retain(|_, creation| creation.id.is_none() || at < creation.at + LAG);
        all.insert(name.to_lowercase(), Creation { at, id });
    }

    fn forget(&self, name: &str) {
        self.lock().remove(&name.to_lowercase());
    }

    /// Whether a create of this name was sent and never answered.
    pub fn is_unknown(&self, name: &str) -> bool {
        self.lock()
            .get(&name.to_lowercase())
            .is_some_and(|creation| creation.id.is_none())
    }

    /// The id of a group that was created so lately that a listing may not show it yet.
    pub fn recent(&self, name: &str, now: Timestamp) -> Option<String> {
        let all = self.lock();
        let creation = all.get(&name.to_lowercase())?;
        creation.id.clone().filter(|_| now < creation.at + LAG)
    }

    pub fn forget_id(&self, id: &str) {
        self.lock()
            .retain(|_, creation| creation.id.as_deref() != Some(id));
    }
}

/// Where groups are written.
pub(super) struct Desk<'a> {
    pub plane: &'a Plane,
    pub scope: &'a Scope,
    pub people: &'a People,
    pub groups: &'a Groups,
    pub creations: &'a Creations,
    pub now: Timestamp,
}

impl Desk<'_> {
    /// The numeric id that a member is added or removed by.
    fn number(&self, who: &Principal) -> Result<String, SystemError> {
        let refuse = |why: String| Err(self.plane.error(SystemErrorKind::Refused, why));
        if who.kind == PrincipalKind::Group {
            return match self.groups.named(&who.subject).as_slice() {
                [group] => Ok(group.id.to_string()),
                [] if is_number(&who.subject) => Ok(who.subject.clone()),
                [] => refuse(format!("there is no group {:?} to be a member", who.subject)),
                _ => refuse(format!("there are several groups {:?}", who.subject)),
            };
        }
        match self.people.number(who) {
            Some(number) => Ok(number.to_owned()),
            None if is_number(&who.subject) => Ok(who.subject.clone()),
            None => refuse(format!("{} is not known here and cannot be a member", who.name)),
        }
    }

    fn numbers(&self, rights: &BTreeSet<Right>) -> Result<Vec<String>, SystemError> {
        rights.iter().map(|(who, _)| self.number(who)).collect()
    }

    /// Creates a group with its first members in one call, and adds the others in as many as that takes.
    pub async fn create(&self, name: &str, members: &BTreeSet<Right>) -> Result<String, SystemError> {
        let members = self.numbers(members)?;
        let (first, others) = members.split_at(members.len().min(CHUNK));
        let id = self.create_with(name, first).await?;
        let rest = self.edit(&id, batches(Vec::new(), others, &[])).await;
        rest.map_err(SystemError::partly)?;
        Ok(id)
    }

    /// Creates a group with its members in one call. Never twice: where an earlier attempt may have succeeded, and
    /// where the name turns out to be taken, the vendor is asked for the name itself, not a listing of the past.
    async fn create_with(&self, name: &str, members: &[String]) -> Result<String, SystemError> {
        if self.creations.is_unknown(name)
            && let Some(id) = self.found(name, members).await?
        {
            return Ok(id);
        }
        let values: Vec<_> = members.iter().map(|id| json!({"value": id})).collect();
        let call = self
            .scope
            .all(Collection::Groups, Method::POST, Effect::Once)
            .json(&json!({"schemas": [GROUP_SCHEMA], "displayName": name, "members": values}));
        let response = match self.plane.send(call).await {
            Ok(response) => response,
            Err(error) => return self.after_loss(name, members, error).await,
        };
        if response.refusal.says_exists(response.status()) {
            return self.taken(name, members, &response).await;
        }
        if !response.answer.status.is_success() {
            let error = response.error();
            return self.after_loss(name, members, error).await;
        }
        match response.answer.json::<WireGroup>() {
            Ok(group) => {
                self.creations.note(name, self.now, Some(group.id.clone()));
                Ok(group.id)
            }
            Err(error) => self.after_loss(name, members, error).await,
        }
    }

    /// Nobody knows whether it was created: look, and remember if even that does not tell.
    async fn after_loss(
        &self,
        name: &str,
        members: &[String],
        error: SystemError,
    ) -> Result<String, SystemError> {
        if error.kind != SystemErrorKind::OutcomeUnknown {
            return Err(error);
        }
        self.creations.note(name, self.now, None);
        match self.found(name, members).await {
            Ok(Some(id)) => Ok(id),
            // It may yet arrive, or not be readable yet. The next attempt looks first.
            Ok(None) => Err(error),
            Err(refused) if refused.kind == SystemErrorKind::Stale => Err(refused),
            Err(_) => Err(error),
        }
    }

    /// The name is taken. By us, if an answer was lost; else by somebody whose group is not ours to fill.
    async fn taken(
        &self,
        name: &str,
        members: &[String],
        response: &Response,
    ) -> Result<String, SystemError> {
        if self.creations.is_unknown(name) {
            return match self.found(name, members).await? {
                Some(id) => Ok(id),
                None => Err(response.refused(
                    SystemErrorKind::OutcomeUnknown,
                    "the group exists, created by an attempt whose answer was lost, but cannot be read yet",
                )),
            };
        }
        Err(response.refused(
            SystemErrorKind::Stale,
            &format!("a group {name:?} has come to exist since the last reading"),
        ))
    }

    /// A group of this name with exactly these members: the one whose creation went unanswered.
    async fn found(&self, name: &str, members: &[String]) -> Result<Option<String>, SystemError> {
        let found = read_named(self.plane, self.scope, name).await?;
        let Some(group) = found.first() else {
            return Ok(None);
        };
        let wanted: BTreeSet<&str> = members.iter().map(String::as_str).collect();
        if group.member_ids() != wanted {
            self.creations.forget(name);
            let message = format!("a group {name:?} exists with other members than were to be created");
            return Err(self.plane.error(SystemErrorKind::Stale, message));
        }
        let id = group.id.to_string();
        self.creations.note(name, self.now, Some(id.clone()));
        Ok(Some(id))
    }

    /// Renames and changes members in as few calls as may be, additions first.
    pub async fn change(&self, id: &str, change: &Change) -> Result<(), SystemError> {
        let mut operations = Vec::new();
        if let Some(properties) = &change.describe {
            operations.push(Operation::Replace {
                path: "displayName",
                value: properties.name.clone(),
            });
        }
        let (add, remove) = (self.numbers(&change.add)?, self.numbers(&change.remove)?);
        self.edit(id, batches(operations, &add, &remove)).await
    }

    async fn edit(&self, id: &str, batches: Vec<Vec<Operation>>) -> Result<(), SystemError> {
        for (at, batch) in batches.into_iter().enumerate() {
            let done = self.edit_once(id, &batch).await;
            done.map_err(|error| if at > 0 { error.partly() } else { error })?;
        }
        Ok(())
    }

    async fn edit_once(&self, id: &str, batch: &[Operation]) -> Result<(), SystemError> {
        let response = scim::patch(self.plane, self.scope, Collection::Groups, id, batch).await?;
        if response.refusal.says_exists(response.status()) {
            let advice = "another group has that name already";
            return Err(response.refused(SystemErrorKind::Refused, advice));
        }
        response.success().map(|_| ())
    }

    /// Deletes a group; one that is not there is deleted.
    pub async fn delete(&self, id: &str) -> Result<(), SystemError> {
        let call = self
            .scope
            .one(Collection::Groups, id, Method::DELETE, Effect::Repeatable);
        let response = self.plane.send(call).await?;
        self.creations.forget_id(id);
        if response.proves_absence() {
            return Ok(());
        }
        response.success().map(|_| ())
    }
}

/// Operations by call: everything in one while there are at most a hundred members in it.
fn batches(first: Vec<Operation>, add: &[String], remove: &[String]) -> Vec<Vec<Operation>> {
    let edits = add
        .iter()
        .map(|id| (true, id))
        .chain(remove.iter().map(|id| (false, id)));
    let edits: Vec<(bool, &String)> = edits.collect();
    let mut batches: Vec<Vec<Operation>> = Vec::new();
    for chunk in edits.chunks(CHUNK) {
        let (come, go): (Vec<_>, Vec<_>) = chunk.iter().partition(|(adds, _)| *adds);
        let values: Vec<String> = come.into_iter().map(|(_, id)| (*id).clone()).collect();
        let added = (!values.is_empty()).then_some(Operation::Add {
            path: "members",
            values,
        });
        let removed = go.into_iter().map(|(_, id)| Operation::Remove {
            path: "members",
            value: (*id).clone(),
        });
        batches.push(added.into_iter().chain(removed).collect());
    }
    match batches.first_mut() {
        Some(batch) => {
            batch.splice(0..0, first);
        }
        None if !first.is_empty() => batches.push(first),
        None => {}
    }
    batches
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|n| n.to_string()).collect()
    }

    fn sizes(batches: &[Vec<Operation>]) -> Vec<Vec<usize>> {
        let size = |operation: &Operation| match operation {
            Operation::Add { values, .. } => values.len(),
            Operation::Remove { .. } | Operation::Replace { .. } => 1,
        };
        batches
            .iter()
            .map(|batch| batch.iter().map(size).collect())
            .collect()
    }

    #[test]
    fn a_small_change_is_one_call() {
        let rename = Operation::Replace {
            path: "displayName",
            value: "x".into(),
        };
        assert_eq!(
            sizes(&batches(vec![rename.clone()], &ids(0..3), &ids(3..5))),
            [vec![1, 3, 1, 1]]
        );
        assert_eq!(sizes(&batches(vec![rename], &[], &[])), [vec![1]]);
        assert!(batches(Vec::new(), &[], &[]).is_empty());
    }

    #[test]
    fn a_large_change_adds_before_it_removes() {
        let batches = batches(Vec::new(), &ids(0..150), &ids(150..200));
        assert_eq!(batches.len(), 2);
        assert_eq!(sizes(&batches)[0], [100]);
        assert_eq!(sizes(&batches)[1][0], 50);
        assert_eq!(sizes(&batches)[1].len(), 51);
    }
}
