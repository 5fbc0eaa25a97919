//! What one vote is worth. Every reason against it is kept, so that a person who wonders why a yes did not count
//! reads all of them at once.

use std::collections::BTreeSet;

use super::super::Case;
use super::super::evidence::{Evidence, Vote};
use super::super::finding::FindingKind;
use super::super::people::{AccountId, GroupUuid, Person};

/// Why a vote does not count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Objection {
    /// Under which finding it is shown.
    pub kind: FindingKind,
    pub why: String,
}

/// A vote at the top of the approval label, with all that speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Weighed<'a> {
    pub vote: &'a Vote,
    pub voter: Person,
    pub objections: BTreeSet<Objection>,
}

/// All votes at the top of the approval label, in an order of their own.
pub(super) fn approvals<'a>(case: &Case<'a>) -> Vec<Weighed<'a>> {
    let label = &case.rules.approval.label;
    let Some(top) = case.rules.labels.get(label).map(|governed| governed.max) else {
        return Vec::new();
    };
    let contributors = contributors(case.change);
    let mut weighed: Vec<Weighed<'a>> = case
        .change
        .votes
        .iter()
        .flatten()
        .filter(|vote| vote.label == *label && vote.value == top)
        .map(|vote| {
            let voter = case.change.people.behind(vote.account);
            let objections = objections(case, vote, &voter, &contributors);
            Weighed {
                vote,
                voter,
                objections,
            }
        })
        .collect();
    weighed.sort_by(|a, b| a.vote.cmp(b.vote));
    weighed
}

/// Distinct people among votes that count.
pub(super) fn distinct<'a>(votes: impl IntoIterator<Item = &'a Weighed<'a>>) -> usize {
    let mut people: Vec<&Person> = Vec::new();
    for weighed in votes {
        if !people.iter().any(|known| known.is(&weighed.voter)) {
            people.push(&weighed.voter);
        }
    }
    people.len()
}

/// Distinct people whose approval counts.
pub(super) fn approved(case: &Case<'_>) -> usize {
    let weighed = approvals(case);
    distinct(weighed.iter().filter(|weighed| weighed.objections.is_empty()))
}

/// Everybody who worked on the change, with their part in it; or what is not known about that.
pub(super) fn contributors(change: &Evidence) -> Result<Vec<(Person, String)>, String> {
    let people = &change.people;
    let mut found = vec![(people.behind(change.owner), "owns the change".to_owned())];
    let uploaded: Vec<_> = change
        .patch_sets
        .iter()
        .filter(|(_, set)| !set.by_submit)
        .collect();
    if uploaded.is_empty() {
        return Err("no patch set is known".into());
    }
    for (number, set) in uploaded {
        let (Some(uploader), Some(real)) = (set.uploader, set.real_uploader) else {
            return Err(format!("the uploader of patch set {number} is unknown"));
        };
        found.push((people.behind(uploader), format!("uploaded patch set {number}")));
        found.push((people.behind(real), format!("really uploaded patch set {number}")));
    }
    for (identity, part) in [(&change.author, "wrote it"), (&change.committer, "committed it")] {
        let Some(identity) = identity else {
            return Err(format!("who {part} is unknown"));
        };
        found.push((people.writing_as(&identity.email), part.to_owned()));
    }
    Ok(found)
}

/// Whether a vote was cast before the submit, and on what was merged. Late, early and unknown are not.
pub(super) fn speaks_for_what_was_merged(change: &Evidence, vote: &Vote) -> BTreeSet<Objection> {
    let mut objections = BTreeSet::new();
    let mut object = |kind, why: String| {
        objections.insert(Objection { kind, why });
    };
    match (vote.post_submit, vote.time, change.submitted) {
        (true, ..) => object(FindingKind::NotEnoughApprovals, "it came after the submit".into()),
        (false, Some(cast), Some(submitted)) if cast > submitted => {
            object(
                FindingKind::NotEnoughApprovals,
                format!("it came at {cast}, after the submit at {submitted}"),
            );
        }
        (false, Some(_), Some(_)) => {}
        (false, ..) => object(
            FindingKind::NotEnoughApprovals,
            "it is unknown whether it came before the submit".into(),
        ),
    }
    match change.cast_on(vote) {
        None => object(
            FindingKind::NotEnoughApprovals,
            "it is unknown which patch set it was cast on".into(),
        ),
        Some(set) if !change.unchanged_since(set) => object(
            FindingKind::ContentChangedAfterApproval,
            format!(
                "it was cast on patch set {set}, and a later one changed more than a trivial rebase does"
            ),
        ),
        Some(_) => {}
    }
    objections
}

/// Whether the account votes for itself: the real author is the author.
pub(super) fn cast_by_itself(vote: &Vote) -> Result<(), String> {
    match vote.real_author {
        Some(real) if real == vote.account => Ok(()),
        Some(real) => Err(format!("{real} cast it on behalf of {}", vote.account)),
        None => Err("who really cast it is unknown".into()),
    }
}

/// Whether an account is in a group; what is unknown is said.
pub(super) fn is_in(change: &Evidence, group: &GroupUuid, account: AccountId) -> Result<bool, String> {
    change
        .groups
        .get(group)
        .and_then(|known| known.has(account))
        .ok_or_else(|| format!("the members of group {group} are unknown"))
}

/// Whether an account is a machine's: a service user or one of the policy's agents.
pub(super) fn is_machine(case: &Case<'_>, account: AccountId) -> Result<Option<&'static str>, String> {
    let known = case.change.people.accounts.get(&account);
    let Some(known) = known else {
        return Err(format!("{account} is unknown"));
    };
    if known.service_user {
        return Ok(Some("a service user"));
    }
    for identity in &case.rules.agents.identities {
        if is_in(case.change, &identity.group, account)? {
            return Ok(Some("an agent"));
        }
    }
    Ok(None)
}

fn objections(
    case: &Case<'_>,
    vote: &Vote,
    voter: &Person,
    contributors: &Result<Vec<(Person, String)>, String>,
) -> BTreeSet<Objection> {
    let mut objections = speaks_for_what_was_merged(case.change, vote);
    let mut object = |kind, why: String| {
        objections.insert(Objection { kind, why });
    };
    match contributors {
        Err(why) => object(FindingKind::NotEnoughApprovals, why.clone()),
        Ok(contributors) => {
            for (_, part) in contributors.iter().filter(|(person, _)| person.is(voter)) {
                object(FindingKind::SelfApproval, format!("the voter {part}"));
            }
        }
    }
    if let Err(why) = cast_by_itself(vote) {
        object(FindingKind::VoteOnBehalf, why);
    }
    if let Some(tag) = vote
        .tag
        .as_deref()
        .filter(|tag| tag.starts_with("autogenerated:"))
    {
        object(
            FindingKind::MachineApproval,
            format!("it is tagged {tag:?} as made by a machine"),
        );
    }
    match is_machine(case, vote.account) {
        Ok(Some(what)) => object(FindingKind::MachineApproval, format!("the voter is {what}")),
        Ok(None) => {}
        Err(why) => object(FindingKind::NotEnoughApprovals, why),
    }
    let approval = &case.rules.approval;
    match is_in(case.change, &approval.group, vote.account) {
        Ok(true) => {}
        Ok(false) => object(
            FindingKind::NotEnoughApprovals,
            format!("the voter is not in group {}", approval.group_name),
        ),
        Err(why) => object(FindingKind::NotEnoughApprovals, why),
    }
    let group = case.change.groups.get(&approval.group);
    match group.and_then(|group| group.let_in_by_others.as_ref()) {
        Some(others) if others.contains(&vote.account) => object(
            FindingKind::ApproverGroupUngoverned,
            format!(
                "the voter came into group {} by another hand than its AccessBinding",
                approval.group_name
            ),
        ),
        // An unreadable audit log is a finding of its own.
        _ => {}
    }
    objections
}
