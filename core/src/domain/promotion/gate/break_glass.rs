//! Breaking the glass: what only asks to wait can be lifted by two people, and a third looks at it afterwards. What
//! got around review cannot be lifted by anybody.

use std::collections::BTreeSet;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::finding::{FindingKind, Verdict};
use super::people::{Email, People};
use crate::api::Promotion;
use crate::domain::approval::is_same_person;

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

/// The two who let it go on, if there are two who count.
pub fn approvers(wish: &Override, yes: &BTreeSet<Yes>, people: &People) -> Result<Vec<Yes>, NotLifted> {
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
    let mut known: Vec<&Email> = requested_by.iter().collect();
    let mut counted: Vec<Yes> = Vec::new();
    for yes in yes {
        if !known.iter().any(|other| is_one(other, &yes.approver, people)) {
            known.push(&yes.approver);
            counted.push(yes.clone());
        }
    }
    if counted.len() < APPROVERS {
        return Err(NotLifted::NotEnoughPeople { has: counted.len() });
    }
    counted.truncate(APPROVERS);
    Ok(counted)
}

/// The verdict with what two people lifted. What is not named, or cannot be lifted, still stands in it.
pub fn lift(
    verdict: Verdict,
    wish: &Override,
    yes: &BTreeSet<Yes>,
    people: &People,
) -> Result<Verdict, NotLifted> {
    approvers(wish, yes, people)?;
    Ok(verdict.lifting(&wish.findings))
}

/// Whether two names mean one human: one with two addresses is one, by whatever name their cluster knows them.
fn is_one(one: &Email, other: &Email, people: &People) -> bool {
    is_same_person(&one.to_string(), &other.to_string())
        || people.writing_as(one).is(&people.writing_as(other))
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
    let involved = |who: &Email| {
        let mut known = before.iter().map(|yes| &yes.approver).chain(requested_by);
        known.any(|known| is_one(known, who, people))
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

/// What the look afterwards is waiting for, of an override that was followed by something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unreviewed {
    Due,
    Overdue,
}

impl Unreviewed {
    pub const ALL: [Self; 2] = [Self::Due, Self::Overdue];
}

impl fmt::Display for Unreviewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Whether a third person has yet to look at what the glass was broken for.
pub fn unreviewed(promotion: &Promotion, now: Timestamp) -> Option<Unreviewed> {
    let glass = promotion.status.as_ref()?.glass.as_ref()?;
    let due = glass.review_due.filter(|_| glass.reviewed.is_none())?;
    Some(if now < due {
        Unreviewed::Due
    } else {
        Unreviewed::Overdue
    })
}

/// Whether nothing more is to be expected of an override, nor of anybody because of it.
pub fn is_over(promotion: &Promotion) -> bool {
    let glass = promotion.status.as_ref().and_then(|status| status.glass.as_ref());
    glass.is_some_and(|glass| {
        glass.ended.is_some() && (glass.review_due.is_none() || glass.reviewed.is_some())
    })
}
