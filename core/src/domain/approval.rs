//! Whether a person has said yes to exactly this plan. Every way in which a yes does not count has a name.

use jiff::{SignedDuration, Timestamp};

use super::defaults::{APPROVAL_LIFETIME, LONGEST_APPROVAL_DAYS};
use super::plan::{EffectDigest, Risk};
use super::ports::ObjectKey;
use crate::api::PlanApproval;
use crate::api::condition::Reason;

/// What Kubernetes calls its own: ServiceAccounts, nodes, controllers, whoever logs in without a name.
const SYSTEM: &str = "system:";

/// Why an approval does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub reason: Reason,
    pub message: String,
}

/// What an approval is held against.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Whose plan it is.
    pub object: &'a ObjectKey,
    pub digest: &'a EffectDigest,
    pub risk: &'a Risk,
    /// Who last changed the spec, where the cluster stamps it.
    pub changed_by: Option<&'a str>,
    /// Since when admission holds `approver` to be the requester; `None`: it does not.
    pub protected_since: Option<Timestamp>,
    pub now: Timestamp,
}

/// The first approval that counts, else why those that name this object do not.
pub fn find<'a>(
    approvals: impl IntoIterator<Item = &'a PlanApproval>,
    asked: Asked<'_>,
) -> Result<&'a PlanApproval, Vec<Refused>> {
    let mut refused = Vec::new();
    for approval in approvals {
        match judge(approval, asked) {
            None => return Ok(approval),
            Some((reason, why)) => {
                let name = approval.metadata.name.as_deref().unwrap_or_default();
                refused.push(Refused {
                    reason,
                    message: format!("PlanApproval {name}: {why}"),
                });
            }
        }
    }
    Err(refused)
}

/// Every approval that counts, and why those that name this object and do not count do not.
pub fn counting<'a>(
    approvals: impl IntoIterator<Item = &'a PlanApproval>,
    asked: Asked<'_>,
) -> (Vec<&'a PlanApproval>, Vec<Refused>) {
    let (mut counting, mut refused) = (Vec::new(), Vec::new());
    for approval in approvals {
        match find([approval], asked) {
            Ok(approval) => counting.push(approval),
            Err(why) => refused.extend(why),
        }
    }
    (counting, refused)
}

/// Why an approval does not count, in the order in which people are told.
type Check = fn(&PlanApproval, Asked<'_>) -> Option<(Reason, String)>;
const CHECKS: [Check; 7] = [
    another_object,
    used,
    another_plan,
    over,
    unprotected,
    no_person,
    oneself,
];

fn judge(approval: &PlanApproval, asked: Asked<'_>) -> Option<(Reason, String)> {
    CHECKS.iter().find_map(|check| check(approval, asked))
}

/// All four words count: each of them is written by the approval's author.
fn another_object(approval: &PlanApproval, asked: Asked<'_>) -> Option<(Reason, String)> {
    let named = &approval.spec.plan_ref;
    let ObjectKey {
        kind,
        namespace,
        name,
        uid,
    } = asked.object;
    let why = if (&named.kind, &named.namespace, &named.name) != (kind, namespace, name) {
        format!(
            "it names {} {}/{}, not {kind} {namespace}/{name}",
            named.kind, named.namespace, named.name
        )
    } else if named.uid != *uid {
        "it names an object of another uid".into()
    } else {
        return None;
    };
    Some((Reason::Superseded, why))
}

fn used(approval: &PlanApproval, _: Asked<'_>) -> Option<(Reason, String)> {
    let used = approval.status.as_ref()?.used_at.is_some();
    let why = || "it was used already; approve the new plan anew".into();
    used.then(|| (Reason::Used, why()))
}

fn another_plan(approval: &PlanApproval, asked: Asked<'_>) -> Option<(Reason, String)> {
    let named = &approval.spec.digest;
    let why = || {
        format!(
            "it names {named}, but the plan is {}: look at the new plan and approve that",
            asked.digest
        )
    };
    (*named != asked.digest.0).then(|| (Reason::Superseded, why()))
}

/// When it was made. The API server always says so; what nobody dated is as old as can be.
fn made(approval: &PlanApproval) -> Timestamp {
    let stamp = approval.metadata.creation_timestamp.as_ref();
    stamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

fn over(approval: &PlanApproval, asked: Asked<'_>) -> Option<(Reason, String)> {
    let made = made(approval);
    let after = |seconds| {
        made.checked_add(SignedDuration::from_secs(seconds))
            .unwrap_or(made)
    };
    let asks = approval.spec.expires.unwrap_or_else(|| after(APPROVAL_LIFETIME));
    let longest = after(LONGEST_APPROVAL_DAYS * 86_400);
    let ends = asks.min(longest);
    if asked.now < ends {
        return None;
    }
    let limit = if asks > longest {
        format!(", {LONGEST_APPROVAL_DAYS} days after it was made: none counts for longer")
    } else {
        String::new()
    };
    Some((Reason::Expired, format!("it expired at {ends}{limit}")))
}

/// Kubernetes keeps whole seconds: of the second in which the policy came it is not known who was first.
fn unprotected(approval: &PlanApproval, asked: Asked<'_>) -> Option<(Reason, String)> {
    match asked.protected_since {
        None => Some((
            Reason::ApprovalsUnprotected,
            "the admission policy that ties approvers to their user names is not installed: install it with the chart"
                .into(),
        )),
        Some(since) if made(approval) <= since => Some((
            Reason::Expired,
            format!(
                "it was made before the admission policy that ties approvers to their user names, which is there since {since}: approve anew"
            ),
        )),
        Some(_) => None,
    }
}

fn no_person(approval: &PlanApproval, _: Asked<'_>) -> Option<(Reason, String)> {
    let approver = &approval.spec.approver;
    let why = || format!("{approver} is an identity of the cluster: an approval is a person's word");
    approver.starts_with(SYSTEM).then(|| (Reason::NotAPerson, why()))
}

fn oneself(approval: &PlanApproval, asked: Asked<'_>) -> Option<(Reason, String)> {
    let approver = &approval.spec.approver;
    let Risk {
        gaining,
        gaining_identities,
        losing: _,
    } = asked.risk;
    let mut gainers = gaining.iter().chain(gaining_identities);
    let why = if gainers.any(|person| is_same_person(person, approver)) {
        format!("{approver} would gain by the plan")
    } else if asked
        .changed_by
        .is_some_and(|author| is_same_person(author, approver))
    {
        format!("{approver} changed the spec")
    } else {
        return None;
    };
    Some((Reason::SelfApproval, why))
}

/// Whether a Kubernetes user name and an address, or another user name, mean one person. Clusters put something before
/// the names of their identity provider: `oidc:ada@example.com`, `https://issuer#ada@example.com`,
/// `arn:aws:sts::1234:assumed-role/Role/ada@example.com`. Whatever prefix an administrator chose, a name that ends in
/// the other behind a mark is taken for it: to refuse one approver too many costs less than one too few.
pub fn is_same_person(one: &str, other: &str) -> bool {
    let (one, other) = (bare(one), bare(other));
    ends_in(&one, &other) || ends_in(&other, &one)
}

/// A user name without what a cluster puts before the names of its identity provider.
pub fn bare(name: &str) -> String {
    let name = name.trim().to_lowercase();
    match name.rsplit([':', '#', '/']).next() {
        Some(last) if !last.is_empty() => last.to_owned(),
        _ => name,
    }
}

fn ends_in(name: &str, person: &str) -> bool {
    let prefix = name.strip_suffix(person).filter(|_| !person.is_empty());
    prefix.is_some_and(|prefix| !prefix.ends_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests;
