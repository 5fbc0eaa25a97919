//! What survives a crash: one promotion in its status, and one policy in its own. Whoever comes after reads it back and
//! goes on; what cannot be read is never taken for what was never begun.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::attempt::{Cause, PromotionName, StepName, Subject};
use super::queue::{Contender, Place, Want};
use super::ready::{Course, Ready};
use super::state::{OnFailure, Phase, Promotion, Step, Words};
use super::steps::Gate;
use crate::api;
use crate::api::promotion::Purpose;
use crate::domain::promotion::gate::Success;
use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use crate::domain::promotion::gate::finding::{Class, FindingKind};

/// Longest machine that a status keeps, without the changes that it brings: bytes, well below what an object may have
/// (etcd, 1.5 MiB) and with room for the rest of the status.
pub const LARGEST: usize = 160 * 1024;
/// Changes brought that are kept at most, each about 270 bytes: to an environment downstream older ones look as if they
/// had not run, which makes them wait and lets nothing through.
pub const BROUGHT: usize = 2_000;

/// One promotion as its status keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub promotion: Promotion,
    /// Steps as they were made ready when they were prepared: what undoes one must not be read anew.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ready: BTreeMap<StepName, Ready>,
    /// What steps left that this promotion does not do again: those of the promotion that a rollback goes back to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given: BTreeMap<StepName, Words>,
    /// What people lifted of its findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Lifted>,
    /// The changes that it brings, [`BROUGHT`] at most; nothing once it ended without success.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brought: Vec<Success>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Whether its end was said on the change.
    #[serde(default)]
    pub told: bool,
}

impl Kept {
    /// Whether people lifted what a freeze says of it.
    pub fn passes_freezes(&self) -> bool {
        let lifted = self.lifted.as_ref();
        lifted.is_some_and(|lifted| lifted.findings.contains(&FindingKind::Frozen))
    }

    /// What every step has left, by name.
    pub fn outputs(&self) -> BTreeMap<StepName, Words> {
        let own = self.promotion.steps.iter();
        let own = own.map(|step| (step.name.clone(), step.outputs.clone()));
        self.given.clone().into_iter().chain(own).collect()
    }
}

/// What was lifted of one promotion's findings, and by which override. It stands once the promotion has begun, whatever
/// becomes of the override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lifted {
    pub by: BTreeSet<PromotionName>,
    pub findings: BTreeSet<FindingKind>,
}

/// What a status says of a promotion's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It never began.
    Nothing,
    Kept(Box<(Kept, Option<Course>)>),
    /// Something stands there that this version does not understand.
    Unreadable(String),
}

/// Reads what a promotion keeps.
pub fn read(status: Option<&api::PromotionStatus>) -> Found {
    let Some(machine) = status.and_then(|status| status.machine.as_ref()) else {
        return Found::Nothing;
    };
    let course = status.and_then(|status| status.taken.as_ref());
    // Read where they stand: of a crowd each reads what all others keep.
    let read =
        Kept::deserialize(machine).and_then(|kept| Ok((kept, course.map(Course::deserialize).transpose()?)));
    match read {
        Ok(kept) => Found::Kept(Box::new(kept)),
        Err(error) => Found::Unreadable(error.to_string()),
    }
}

/// What is kept, as fields of the status.
pub fn write(kept: &Kept, course: Option<&Course>) -> Value {
    // Serialising plain values cannot fail; what is missing would be read as unreadable and stop everything.
    json!({"machine": kept, "taken": course})
}

/// Bytes that a machine takes, but for the changes that it brings, of which there are a bounded number.
pub fn size(kept: &Kept) -> usize {
    let brought = serde_json::to_vec(&kept.brought).map_or(0, |bytes| bytes.len());
    serde_json::to_vec(kept).map_or(usize::MAX, |bytes| bytes.len().saturating_sub(brought))
}

/// What a promotion is about, as its immutable spec says.
pub fn subject(spec: &api::PromotionSpec, policy_uid: &str) -> Option<Subject> {
    let Some(Purpose::Deploy(deploy)) = spec.purpose() else {
        return None;
    };
    Some(Subject {
        policy_uid: policy_uid.to_owned(),
        environment: spec.environment.clone(),
        change: ChangeNumber(u64::try_from(deploy.change).ok()?),
        revision: CommitId(deploy.deployed().to_owned()),
        cause: Cause::Deploy {
            attempt: u32::try_from(deploy.attempt).ok()?,
        },
    })
}

/// Place of a deploy in its branch.
pub fn place(spec: &api::PromotionSpec) -> Option<Place> {
    let Some(Purpose::Deploy(deploy)) = spec.purpose() else {
        return None;
    };
    Some(Place {
        position: u64::try_from(deploy.position).ok()?,
        attempt: u32::try_from(deploy.attempt).ok()?,
    })
}

/// A promotion that has not begun.
pub fn begun_from(name: PromotionName, subject: Subject, on_failure: OnFailure, steps: Vec<Step>) -> Kept {
    Kept {
        promotion: Promotion {
            name,
            subject,
            on_failure,
            phase: Phase::Waiting,
            steps,
        },
        ready: BTreeMap::new(),
        given: BTreeMap::new(),
        lifted: None,
        brought: Vec::new(),
        started: None,
        ended: None,
        told: false,
    }
}

/// A promotion as the queue sees it; `None`: it wants nothing that the queue knows.
pub fn contender(promotion: &api::Promotion) -> Option<Contender> {
    let want = match promotion.spec.purpose()? {
        Purpose::Deploy(_) => Want::Deploy(place(&promotion.spec)?),
        Purpose::Rollback(_) => Want::Rollback,
        Purpose::Override(_) => return None,
    };
    let status = promotion.status.as_ref();
    let phase = match read(status) {
        Found::Nothing => Phase::Waiting,
        Found::Kept(kept) => kept.0.promotion.phase,
        // Nobody can say where it is: it keeps its turn until a person looks.
        Found::Unreadable(_) => Phase::Running,
    };
    Some(Contender {
        want,
        gate: gate(status),
        phase,
    })
}

/// What the verdict in a status says.
fn gate(status: Option<&api::PromotionStatus>) -> Gate {
    let Some(verdict) = status
        .filter(|status| status.judged_at.is_some())
        .and_then(|status| status.verdict.as_ref())
    else {
        return Gate::Unknown;
    };
    // A kind that this version does not know refuses.
    let waits = |kind: &str| {
        let kind: Option<FindingKind> = serde_json::from_value(json!(kind)).ok();
        kind.is_some_and(|kind| kind.class() == Class::Waits)
    };
    if verdict.findings.is_empty() && verdict.passes == Some(true) {
        Gate::Passes
    } else if !verdict.findings.is_empty() && verdict.findings.iter().all(|finding| waits(&finding.kind)) {
        Gate::Waits
    } else {
        Gate::Refuses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::promotion::gate::evidence::PatchId;

    #[test]
    fn as_many_changes_as_are_kept_fit_into_an_object() {
        let subject = Subject {
            policy_uid: "uid".into(),
            environment: "prod".into(),
            change: ChangeNumber(1),
            revision: CommitId("0".repeat(40)),
            cause: Cause::Deploy { attempt: 1 },
        };
        let name = PromotionName("fraud.prod.1.00000000".into());
        let mut kept = begun_from(name, subject, OnFailure::Hold, Vec::new());
        let alone = size(&kept);
        let success = |number| Success {
            change: ChangeNumber(number),
            change_id: format!("I{number:040x}"),
            revision: CommitId(format!("{number:040x}")),
            patch: Some(PatchId(format!("{number:064x}"))),
            cherry_pick_of: Some(ChangeNumber(number)),
            at: Timestamp::UNIX_EPOCH,
            taken_back: false,
        };
        kept.brought = (100_000..).take(BROUGHT).map(success).collect();
        // They count apart from what a step may leave, and both together leave room below 1.5 MiB.
        assert!(size(&kept) <= alone + 16);
        let whole = json!(kept).to_string().len();
        assert!(whole + LARGEST < 1024 * 1024, "{whole}");
    }
}
