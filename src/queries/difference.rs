//! What a binding would change if it were worked on now: the controller's own reading and decision, shown instead
//! of applied.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::AccessBinding;
use lockstep_core::api::access_binding::Unresolved;
use lockstep_core::api::reference::Mode;
use lockstep_core::domain::defaults;
use lockstep_core::domain::plan::{BlockedChange, Brake, Change, EffectDigest, ForeignRight, Problem, Risk};
use serde::Serialize;

use crate::controllers::Context;
use crate::controllers::access_binding::{Gathered, Oldest, Planned, decide_now, gather};

/// Everything to be said about one binding.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// Whether the object's spec is in the cluster as it was judged.
    pub applied: bool,
    pub mode: Mode,
    pub suspended: bool,
    pub deleting: bool,
    /// Digest of all effects, blocked or not; unset when nothing would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<EffectDigest>,
    pub changes: Vec<Line>,
    pub risk: Risk,
    /// What waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
    /// What no connection reaches any more, and a person may leave behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abandon: Option<Waiting>,
    /// PlanApproval that releases what a brake held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// Why approvals that name this object do not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_released: Vec<String>,
    pub conflicts: Vec<Trouble>,
    pub problems: Vec<Trouble>,
    pub foreign: Vec<Foreign>,
    pub unresolved: Vec<Unresolved>,
    /// Rights whose writes no reading has shown yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confirming: Vec<String>,
}

/// How a line changes the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Sign {
    #[serde(rename = "+")]
    Add,
    #[serde(rename = "-")]
    Remove,
    #[serde(rename = "~")]
    Set,
}

/// One effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub sign: Sign,
    /// Canonical address.
    pub target: String,
    /// What people call the target.
    pub label: String,
    /// Who gains or loses; unset where the target itself is made, changed or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The privilege, or what happens to the target.
    pub what: String,
    /// Whether it waits for a person.
    pub blocked: bool,
}

/// What brakes hold, and what releases it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// Digest that a PlanApproval must name.
    pub digest: EffectDigest,
    pub targets: Vec<Held>,
}

/// One target that a brake holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    pub target: String,
    pub label: String,
    pub why: Vec<Brake>,
}

/// Changes that wait for a PlanApproval of their digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    pub digest: EffectDigest,
    pub changes: Vec<Line>,
}

/// A target that is left alone, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    pub label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub message: String,
}

/// A right beyond what is declared, which stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Foreign {
    pub target: String,
    pub label: String,
    pub who: String,
    pub what: String,
}

impl Difference {
    /// Whether the outside would be another after it.
    pub fn changes_anything(&self) -> bool {
        !self.changes.is_empty() || self.abandon.is_some()
    }

    /// The digest that an approval must name now.
    pub fn to_approve(&self) -> Option<&EffectDigest> {
        self.blocked
            .as_ref()
            .map(|blocked| &blocked.digest)
            .or(self.abandon.as_ref().map(|abandon| &abandon.digest))
    }
}

/// Reads and decides for one binding, as its controller would now, and writes nothing. Readings begun at `fresh` or
/// later count: whoever asks for many bindings asks with one time, and each listing is read once for all.
pub async fn difference(
    binding: &AccessBinding,
    context: &Context,
    fresh: Timestamp,
    applied: bool,
) -> Difference {
    let mut gathered = gather(binding, context, Oldest::all(fresh)).await;
    let planned = decide_now(&gathered, context, context.clock.now());
    let unread: Vec<Problem> = std::mem::take(&mut gathered.question.world.failures)
        .into_values()
        .collect();
    describe(binding, &gathered, planned, unread, applied)
}

fn describe(
    binding: &AccessBinding,
    gathered: &Gathered,
    planned: Planned,
    unread: Vec<Problem>,
    applied: bool,
) -> Difference {
    let Planned {
        decision,
        approval,
        released: _,
        refused,
        abandon,
    } = planned;
    let plan = &decision.plan;
    let of_abandoning = abandon.iter().flat_map(|abandon| &abandon.refused);
    let not_released: BTreeSet<String> = refused
        .iter()
        .chain(of_abandoning)
        .map(|refused| refused.message.clone())
        .collect();
    let mut changes = Vec::new();
    for change in &plan.changes {
        changes.extend(lines(change, false));
    }
    for blocked in &plan.blocked {
        changes.extend(lines(&blocked.change, true));
    }
    let problems: BTreeSet<Trouble> = plan.problems.iter().chain(&unread).map(trouble).collect();
    let mut problems: Vec<Trouble> = problems.into_iter().collect();
    if gathered.question.inventory_lost {
        problems.push(Trouble {
            label: "inventory".into(),
            reason: Some(lockstep_core::api::condition::Reason::InventoryLost.to_string()),
            message: "what was given is not known from here: removals are not shown".into(),
        });
    }
    Difference {
        namespace: binding.namespace().unwrap_or_default(),
        name: binding.name_any(),
        uid: binding.uid().unwrap_or_default(),
        applied,
        mode: defaults::mode(&binding.spec),
        suspended: defaults::suspended(&binding.spec),
        deleting: binding.metadata.deletion_timestamp.is_some(),
        digest: (!plan.is_empty()).then(|| plan.digest()),
        changes,
        risk: plan.risk.clone(),
        blocked: plan.blocked_digest().map(|digest| Blocked {
            digest,
            targets: plan.blocked.iter().map(held).collect(),
        }),
        abandon: abandon
            .filter(|abandon| abandon.approval.is_none())
            .map(|abandon| Waiting {
                digest: abandon.digest,
                changes: abandon
                    .changes
                    .iter()
                    .flat_map(|change| lines(change, true))
                    .collect(),
            }),
        approved_by: approval.and_then(|(approval, _)| approval.metadata.name),
        not_released: not_released.into_iter().collect(),
        conflicts: plan.conflicts.iter().map(trouble).collect(),
        problems,
        foreign: plan.foreign.iter().map(foreign).collect(),
        unresolved: decision.members.unresolved,
        confirming: decision.pending.keys().map(ToString::to_string).collect(),
    }
}

fn trouble(problem: &Problem) -> Trouble {
    Trouble {
        label: problem.label.clone(),
        reason: problem.reason.map(|reason| reason.to_string()),
        message: problem.message.clone(),
    }
}

fn held(blocked: &BlockedChange) -> Held {
    Held {
        target: blocked.change.target.to_string(),
        label: blocked.change.label.clone(),
        why: blocked.brakes.clone(),
    }
}

fn foreign(right: &ForeignRight) -> Foreign {
    Foreign {
        target: right.target.to_string(),
        label: right.label.clone(),
        who: right.principal.name.clone(),
        what: right.privilege.to_string(),
    }
}

/// The effects of one change, in the order in which they happen.
fn lines(change: &Change, blocked: bool) -> Vec<Line> {
    let Change {
        target,
        create,
        describe,
        add,
        remove,
        delete,
        label,
    } = change;
    let line = |sign, who: Option<&str>, what: String| Line {
        sign,
        target: target.to_string(),
        label: label.clone(),
        who: who.map(str::to_owned),
        what,
        blocked,
    };
    let mut lines = Vec::new();
    if create.is_some() {
        lines.push(line(Sign::Add, None, "create".into()));
    }
    if let Some(properties) = describe {
        let mut words = vec![format!("name {}", properties.name)];
        words.extend(
            properties
                .description
                .iter()
                .map(|text| format!("description {text:?}")),
        );
        words.extend(properties.owner.iter().map(|owner| format!("owner {owner}")));
        words.extend(properties.visible_to_all.map(|all| format!("visibleToAll {all}")));
        lines.push(line(Sign::Set, None, format!("set {}", words.join(", "))));
    }
    for (sign, rights) in [(Sign::Add, add), (Sign::Remove, remove)] {
        lines.extend(
            rights
                .iter()
                .map(|(who, what)| line(sign, Some(&who.name), what.to_string())),
        );
    }
    if *delete {
        lines.push(line(Sign::Remove, None, "delete".into()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use lockstep_core::domain::access::grant::{Principal, Privilege, Target};
    use lockstep_core::domain::access::observed::GroupProperties;

    use super::*;

    #[test]
    fn a_change_is_told_in_the_order_in_which_it_happens() {
        let target = Target::GerritGroup {
            server: "g".into(),
            uuid: "u".into(),
        };
        let mut change = Change::new(target, "Gerrit group ml");
        change.create = Some(GroupProperties {
            name: "ml".into(),
            ..GroupProperties::default()
        });
        change
            .add
            .insert((Principal::account(7, "ada@example.com"), Privilege::Member));
        let told: Vec<_> = lines(&change, true)
            .into_iter()
            .map(|line| (line.sign, line.who, line.what, line.blocked))
            .collect();
        assert_eq!(
            told,
            [
                (Sign::Add, None, "create".to_owned(), true),
                (
                    Sign::Add,
                    Some("ada@example.com".to_owned()),
                    "member".to_owned(),
                    true
                ),
            ]
        );
    }
}
