//! Breaking the glass: what only asks to wait can be lifted by two people, and a third looks at it afterwards. What
//! got around review cannot be lifted by anybody.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::finding::{FindingKind, Verdict};
use super::people::{Email, People, Person};

/// Hours within which somebody else must have looked at it.
pub const AFTER_REVIEW: i64 = 24;

/// People whose yes is needed.
pub const APPROVERS: usize = 2;

/// A yes that was found to count, by a PlanApproval.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Yes {
    /// Name of the PlanApproval.
    pub approval: String,
    pub approver: Email,
}

/// A wish to go on in spite of findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    pub findings: BTreeSet<FindingKind>,
    pub reason: String,
    /// Who asks; their own yes is not one of the two.
    pub requested_by: Option<Email>,
}

/// Why the glass stays whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotLifted {
    #[error(
        "{0} cannot be overridden: only OutsideWindow, Soaking, UpstreamMissing and Frozen can, what got around review never"
    )]
    NeverLifted(FindingKind),
    #[error("override.findings is empty: name what is to be lifted")]
    Nothing,
    #[error("override.reason is empty: say why it cannot wait")]
    NoReason,
    #[error(
        "{has} of {APPROVERS} people have approved: each needs a PlanApproval of their own, the requester's does not count"
    )]
    NotEnoughPeople { has: usize },
}

/// The verdict with what two people lifted. What is not named, or cannot be lifted, still stands in it.
pub fn lift(
    verdict: Verdict,
    wish: &Override,
    yes: &BTreeSet<Yes>,
    people: &People,
) -> Result<Verdict, NotLifted> {
    let Override {
        findings,
        reason,
        requested_by,
    } = wish;
    if findings.is_empty() {
        return Err(NotLifted::Nothing);
    }
    if let Some(kind) = findings.iter().find(|kind| !kind.can_be_overridden()) {
        return Err(NotLifted::NeverLifted(*kind));
    }
    if reason.trim().is_empty() {
        return Err(NotLifted::NoReason);
    }
    let asks = requested_by.as_ref().map(|email| people.writing_as(email));
    let has = persons(yes, people)
        .iter()
        .filter(|person| asks.as_ref().is_none_or(|asks| !asks.is(person)))
        .count();
    if has < APPROVERS {
        return Err(NotLifted::NotEnoughPeople { has });
    }
    Ok(verdict.lifting(findings))
}

/// Who said yes: one human with two addresses is one.
fn persons(yes: &BTreeSet<Yes>, people: &People) -> Vec<Person> {
    let mut persons: Vec<Person> = Vec::new();
    for yes in yes {
        let person = people.writing_as(&yes.approver);
        if !persons.iter().any(|known| known.is(&person)) {
            persons.push(person);
        }
    }
    persons
}

/// Where the look afterwards stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AfterReview {
    /// By a third person.
    Done(Yes),
    /// Nobody has, and there is time until then.
    Due(Timestamp),
    /// Nobody has, since then.
    Overdue(Timestamp),
}

/// Whether a third person has looked at what the glass was broken for: demanded and shown until done.
pub fn after_review(
    finished: Timestamp,
    requested_by: Option<&Email>,
    before: &BTreeSet<Yes>,
    after: &BTreeSet<Yes>,
    people: &People,
    now: Timestamp,
) -> AfterReview {
    let mut known = persons(before, people);
    known.extend(requested_by.map(|email| people.writing_as(email)));
    let involved = |who: &Email| {
        let who = people.writing_as(who);
        known.iter().any(|known| known.is(&who))
    };
    if let Some(third) = after.iter().find(|yes| !involved(&yes.approver)) {
        return AfterReview::Done(third.clone());
    }
    let due = finished
        .checked_add(SignedDuration::from_hours(AFTER_REVIEW))
        .unwrap_or(Timestamp::MAX);
    if now < due {
        AfterReview::Due(due)
    } else {
        AfterReview::Overdue(due)
    }
}
