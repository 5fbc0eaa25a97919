//! Back to what the record shows to have worked. A rollback trains nothing and asks Gerrit nothing: it points at what
//! an earlier promotion left behind, and says what is no longer there to be pointed at.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attempt::{PromotionName, StepName};
use super::state::Words;
use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId};

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StepKind {
    Files,
    Job,
    ModelAlias,
    ServingEndpoint,
}

/// What a rollback does with a job step (`onRollback`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnRollback {
    /// Put its definition back and do not run it.
    #[default]
    Skip,
    /// Put its definition back and run it, as a smoke test wants.
    Run,
}

/// One step of a promotion as the record has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedStep {
    pub name: StepName,
    pub kind: StepKind,
    pub on_rollback: OnRollback,
    /// What it set: job definition, version, configuration, directory.
    pub outputs: Words,
}

/// One promotion as the record has it; status is not asked, it can be lost or edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    pub promotion: PromotionName,
    pub policy_uid: String,
    pub environment: String,
    pub change: ChangeNumber,
    pub revision: CommitId,
    pub ended: Timestamp,
    pub succeeded: bool,
    pub steps: Vec<RecordedStep>,
    /// Where its files lie, if it had any.
    pub directory: Option<String>,
}

/// What a rollback does with one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Move {
    /// Point it at these outputs again.
    Repoint(Words),
    /// Point it at these and run it.
    RepointAndRun(Words),
}

impl Move {
    /// What the record has of the step.
    pub fn outputs(&self) -> &Words {
        match self {
            Self::Repoint(outputs) | Self::RepointAndRun(outputs) => outputs,
        }
    }
}

/// What a rollback will do, in order: what people see before they say yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackPlan {
    pub to: PromotionName,
    pub change: ChangeNumber,
    pub revision: CommitId,
    pub steps: Vec<(StepName, Move)>,
}

/// Why it is not possible to go back there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotRollBack {
    #[error("the record knows no promotion {0} of this policy and environment")]
    Unknown(PromotionName),
    #[error("the record does not show that promotion {0} succeeded")]
    NotSucceeded(PromotionName),
    #[error(
        "directory {directory} of promotion {promotion} is gone: choose a newer one, or revert by a change"
    )]
    DirectoryGone {
        promotion: PromotionName,
        directory: String,
    },
    #[error("it is unknown whether directory {directory} of promotion {promotion} is still there")]
    DirectoryUnknown {
        promotion: PromotionName,
        directory: String,
    },
    #[error("the record has no outputs of step {step} of promotion {promotion}")]
    NoOutputs {
        promotion: PromotionName,
        step: StepName,
    },
}

/// The way back to an earlier promotion. `directories` are those that stand in the workspace; `None`: unread.
pub fn plan(
    record: &[Recorded],
    policy_uid: &str,
    environment: &str,
    to: &PromotionName,
    directories: Option<&BTreeSet<String>>,
) -> Result<RollbackPlan, CannotRollBack> {
    let of_here = |recorded: &&Recorded| {
        recorded.promotion == *to && recorded.policy_uid == policy_uid && recorded.environment == environment
    };
    let recorded = record
        .iter()
        .filter(of_here)
        .max_by_key(|recorded| recorded.ended)
        .ok_or_else(|| CannotRollBack::Unknown(to.clone()))?;
    if !recorded.succeeded {
        return Err(CannotRollBack::NotSucceeded(to.clone()));
    }
    if let Some(directory) = &recorded.directory {
        match directories {
            Some(standing) if standing.contains(directory) => {}
            Some(_) => {
                return Err(CannotRollBack::DirectoryGone {
                    promotion: to.clone(),
                    directory: directory.clone(),
                });
            }
            None => {
                return Err(CannotRollBack::DirectoryUnknown {
                    promotion: to.clone(),
                    directory: directory.clone(),
                });
            }
        }
    }
    let mut steps = Vec::new();
    for step in &recorded.steps {
        let RecordedStep {
            name,
            kind,
            on_rollback,
            outputs,
        } = step;
        if outputs.is_empty() {
            return Err(CannotRollBack::NoOutputs {
                promotion: to.clone(),
                step: name.clone(),
            });
        }
        let does = match (kind, on_rollback) {
            // The directory stands, as was just seen.
            (StepKind::Files, _) => continue,
            (StepKind::Job, OnRollback::Run) => Move::RepointAndRun(outputs.clone()),
            (StepKind::Job | StepKind::ModelAlias | StepKind::ServingEndpoint, _) => {
                Move::Repoint(outputs.clone())
            }
        };
        steps.push((name.clone(), does));
    }
    Ok(RollbackPlan {
        to: to.clone(),
        change: recorded.change,
        revision: recorded.revision.clone(),
        steps,
    })
}

/// Directories that may be deleted: those of successes beyond the newest `keep`, and those that failures left; never one
/// that is current, held or in use by what acts.
pub fn disposable(record: &[Recorded], keep: usize, in_use: &BTreeSet<PromotionName>) -> BTreeSet<String> {
    // No way leads back to a failure, so its directory takes the place of none.
    let mut newest: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
    for recorded in record {
        if let Some(directory) = recorded.directory.as_deref() {
            let succeeded = newest.entry(directory).or_default();
            *succeeded = recorded.succeeded.then_some(recorded.ended).max(*succeeded);
        }
    }
    let needed: BTreeSet<&str> = record
        .iter()
        .filter(|recorded| in_use.contains(&recorded.promotion))
        .filter_map(|recorded| recorded.directory.as_deref())
        .collect();
    let mut by_age: Vec<(&str, Timestamp)> = newest
        .iter()
        .filter_map(|(directory, succeeded)| Some((*directory, (*succeeded)?)))
        .collect();
    by_age.sort_by_key(|(directory, ended)| (std::cmp::Reverse(*ended), *directory));
    let kept: BTreeSet<&str> = by_age
        .iter()
        .take(keep)
        .map(|(directory, _)| *directory)
        .collect();
    newest
        .into_keys()
        .filter(|directory| !kept.contains(directory) && !needed.contains(directory))
        .map(str::to_owned)
        .collect()
}
