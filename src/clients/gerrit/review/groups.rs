//! Groups whose members count, with everybody in them through other groups too, and who let them in. What cannot be
//! seen to its end is unknown as a whole: a member who is overlooked may be an agent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use lockstep_core::domain::access::grant::{PrincipalKind, Target};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::gate::evidence::Group;
use lockstep_core::domain::promotion::gate::people::{AccountId, GroupUuid};
use lockstep_core::domain::promotion::ports::reviews::Inquiry;

use super::super::GerritSystem;
use super::super::history::time;
use super::super::names::segment;
use super::super::rest::parse;
use super::super::wire::AuditEvent;

/// One group, without what its subgroups hold.
#[derive(Clone, Debug, Default)]
struct Level {
    accounts: BTreeSet<AccountId>,
    groups: BTreeSet<String>,
}

/// What the audit logs of groups said, by uuid. A log explains the members of one listing and is read after it: a
/// newer listing may have somebody whom it does not know.
#[derive(Default)]
pub(in super::super) struct Logs(Mutex<BTreeMap<String, Log>>);

struct Log {
    since: Timestamp,
    /// When the listing that it explains was begun.
    listing: Timestamp,
    let_in: Option<LetIn>,
}

/// Whom others than we let in, directly or by a whole group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LetIn {
    accounts: BTreeSet<AccountId>,
    groups: BTreeSet<String>,
}

impl Logs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Log>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GerritSystem {
    pub(super) async fn group_evidence(
        &self,
        uuid: &GroupUuid,
        inquiry: &Inquiry,
    ) -> Result<Group, SystemError> {
        let facts = self.facts().await?;
        let mut name = uuid.0.clone();
        let mut levels = BTreeMap::new();
        let mut complete = true;
        let mut others = Some(LetIn::default());
        let mut open = vec![uuid.0.clone()];
        while let Some(next) = open.pop() {
            if levels.contains_key(&next) {
                continue;
            }
            let target = Target::GerritGroup {
                server: facts.server.clone(),
                uuid: next.clone(),
            };
            let observed = known(self.observe_group(&target, &next, inquiry.fresh).await)?;
            let Some(observed) = observed.filter(|observed| observed.present && !observed.external) else {
                complete = false;
                levels.insert(next, Level::default());
                continue;
            };
            if next == uuid.0
                && let Some(properties) = &observed.group
            {
                name.clone_from(&properties.name);
            }
            let mut level = Level::default();
            for (principal, _) in &observed.rows {
                match (principal.kind, principal.subject.parse()) {
                    (PrincipalKind::Account, Ok(number)) => {
                        level.accounts.insert(AccountId(number));
                    }
                    (PrincipalKind::Group, _) => {
                        level.groups.insert(principal.subject.clone());
                    }
                    _ => complete = false,
                }
            }
            let came = self.let_in(&next, inquiry.since, observed.taken).await?;
            others = others.zip(came).map(|(mut all, came)| {
                all.accounts.extend(came.accounts);
                all.groups.extend(came.groups);
                all
            });
            open.extend(level.groups.iter().cloned());
            levels.insert(next, level);
        }
        let members = complete.then(|| below(&levels, [&uuid.0]));
        let let_in_by_others = others.filter(|_| complete).map(|others| {
            let mut accounts = below(&levels, &others.groups);
            accounts.extend(others.accounts);
            accounts
        });
        Ok(Group {
            name,
            members,
            governed_by: None,
            let_in_by_others,
        })
    }

    /// Whom the group's audit log shows to have come in by another hand than ours; `None`: it does not tell.
    /// Asked once for all who are judged by one listing of the group.
    async fn let_in(
        &self,
        uuid: &str,
        since: Timestamp,
        listing: Timestamp,
    ) -> Result<Option<LetIn>, SystemError> {
        let known = |log: &Log| (log.since == since && log.listing == listing).then(|| log.let_in.clone());
        if let Some(let_in) = self.logs.lock().get(uuid).and_then(known) {
            return Ok(let_in);
        }
        let let_in = self.read_log(uuid, since).await?;
        let log = Log {
            since,
            listing,
            let_in: let_in.clone(),
        };
        self.logs.lock().insert(uuid.to_owned(), log);
        Ok(let_in)
    }

    async fn read_log(&self, uuid: &str, since: Timestamp) -> Result<Option<LetIn>, SystemError> {
        let path = format!("a/groups/{}/log.audit", segment(uuid));
        let answer = self.rest.ask("/a/groups/{uuid}/log.audit", path, &[]).await?;
        let Some(answer) = known(answer.success())? else {
            return Ok(None);
        };
        let events: Vec<AuditEvent> = parse(&answer)?;
        Ok(by_others(&events, self.facts().await?.account.id, since))
    }
}

/// What was read, or that it is hidden from us; other failures are for later.
pub(super) fn known<T>(read: Result<T, SystemError>) -> Result<Option<T>, SystemError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.kind {
            SystemErrorKind::NotFound | SystemErrorKind::Forbidden | SystemErrorKind::Refused => Ok(None),
            _ => Err(error),
        },
    }
}

/// Everybody in these groups, through subgroups too.
fn below<'a>(
    levels: &'a BTreeMap<String, Level>,
    from: impl IntoIterator<Item = &'a String>,
) -> BTreeSet<AccountId> {
    let mut open: Vec<&String> = from.into_iter().collect();
    let (mut seen, mut accounts) = (BTreeSet::new(), BTreeSet::new());
    while let Some(next) = open.pop() {
        if !seen.insert(next) {
            continue;
        }
        if let Some(level) = levels.get(next) {
            accounts.extend(&level.accounts);
            open.extend(&level.groups);
        }
    }
    accounts
}

/// Who was added by somebody else and not clearly later by us. The log has whole seconds, in no order within one.
fn by_others(events: &[AuditEvent], ourselves: i64, since: Timestamp) -> Option<LetIn> {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Member {
        Account(AccountId),
        Group(String),
    }
    let since = Timestamp::from_second(since.as_second()).ok()?;
    // By member: the newest addition by others, and by us.
    let mut newest: BTreeMap<Member, (Option<Timestamp>, Option<Timestamp>)> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind.starts_with("ADD")) {
        let at = time(&event.date)?;
        if at < since {
            continue;
        }
        let member = match (event.member.account, event.member.uuid()) {
            (Some(number), _) => Member::Account(AccountId(u64::try_from(number).ok()?)),
            (None, Some(uuid)) => Member::Group(uuid),
            (None, None) => return None,
        };
        let (others, ours) = newest.entry(member).or_default();
        let side = if event.user.id == ourselves { ours } else { others };
        *side = (*side).max(Some(at));
    }
    let mut found = LetIn::default();
    for (member, (others, ours)) in newest {
        // Without an addition by others there is nothing to be later than.
        if others.is_none() || ours > others {
            continue;
        }
        match member {
            Member::Account(account) => found.accounts.insert(account),
            Member::Group(uuid) => found.groups.insert(uuid),
        };
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(events: &str, since: &str) -> Option<LetIn> {
        let events: Vec<AuditEvent> = serde_json::from_str(events).unwrap();
        by_others(&events, 1, since.parse().unwrap())
    }

    const LOG: &str = r#"[
        {"type":"ADD_USER","member":{"_account_id":7},"user":{"_account_id":9},"date":"2026-11-22 23:00:05.0"},
        {"type":"ADD_USER","member":{"_account_id":8},"user":{"_account_id":1},"date":"2026-11-22 23:00:06.0"},
        {"type":"ADD_USER","member":{"_account_id":8},"user":{"_account_id":9},"date":"2026-11-22 23:00:05.0"},
        {"type":"REMOVE_USER","member":{"_account_id":6},"user":{"_account_id":9},"date":"2026-11-22 23:00:05.0"},
        {"type":"ADD_GROUP","member":{"id":"a%3Ab"},"user":{"_account_id":9},"date":"2026-11-22 23:00:05.0"}]"#;

    #[test]
    fn who_let_himself_in_is_known_until_we_let_him_in_later() {
        let others = found(LOG, "2026-11-22T23:00:05.9Z").unwrap();
        assert_eq!(others.accounts, BTreeSet::from([AccountId(7)]));
        assert_eq!(others.groups, BTreeSet::from(["a:b".to_owned()]));
        assert_eq!(found(LOG, "2026-11-22T23:00:06Z"), Some(LetIn::default()));
    }

    #[test]
    fn within_one_second_nobody_knows_who_was_last() {
        let log = LOG.replace("23:00:06", "23:00:05");
        let others = found(&log, "2026-11-22T23:00:00Z").unwrap();
        assert!(others.accounts.contains(&AccountId(8)));
        assert_eq!(
            found(
                &LOG.replace("2026-11-22 23:00:06.0", "then"),
                "2026-11-22T23:00:00Z"
            ),
            None
        );
    }

    #[test]
    fn people_are_found_through_groups_that_hold_each_other() {
        let level = |accounts: &[u64], groups: &[&str]| Level {
            accounts: accounts.iter().copied().map(AccountId).collect(),
            groups: groups.iter().map(ToString::to_string).collect(),
        };
        let levels = BTreeMap::from([
            ("a".to_owned(), level(&[1], &["b"])),
            ("b".to_owned(), level(&[2], &["a"])),
        ]);
        assert_eq!(below(&levels, [&"a".to_owned()]).len(), 2);
    }
}
