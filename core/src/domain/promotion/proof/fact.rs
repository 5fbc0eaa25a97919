//! What an entry of the record says of promotions. A fact holds from when it was recorded, whatever the event of its
//! entry: that an environment is held, or whose turn it is, is true while a step is only meant and after it failed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use crate::domain::promotion::gate::finding::Verdict;
use crate::domain::promotion::gate::in_force::InForce;
use crate::domain::promotion::gate::range::{Acceptance, BaselineKey};
use crate::domain::promotion::machine::attempt::{IdempotencyToken, StepName};
use crate::domain::promotion::machine::queue::Environment;
use crate::domain::promotion::machine::rollback::Recorded;
use crate::domain::promotion::machine::state::End;
use crate::domain::promotion::proof::ledger::Ledger;

/// The policy that a fact is about. The uid tells it from a later one of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyId {
    pub name: String,
    pub uid: String,
}

/// One try of one step, by the names under which it acts outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepFact {
    pub name: StepName,
    /// From 1.
    pub attempt: u32,
    pub token: IdempotencyToken,
}

/// A gate that judges from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateFact {
    /// Of its policy: another one of this namespace with the same branch and workspace begins with this gate.
    pub namespace: String,
    pub gate: InForce,
    /// Since when it matters by whose hand somebody came into a group.
    pub since: Timestamp,
}

/// What an entry says of promotions in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionFact {
    pub policy: PolicyId,
    pub environment: String,
    /// `None`: it is about the environment and no single change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeNumber>,
    /// The commit that is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<CommitId>,
    /// What the gate says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepFact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<End>,
    /// What can be gone back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Recorded>,
    /// What the environment remembers from now on, where turn or hold changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_state: Option<Environment>,
    /// Where the history of a branch begins from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<(BaselineKey, CommitId)>,
    /// The gate that judges there from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateFact>,
    /// Commits that a person accepted there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accepted: BTreeMap<CommitId, Acceptance>,
    /// What of everything that ran and wrote there is explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
}

impl PromotionFact {
    /// A fact about an environment that says nothing yet.
    pub fn about(policy: PolicyId, environment: impl Into<String>) -> Self {
        Self {
            policy,
            environment: environment.into(),
            change: None,
            revision: None,
            verdict: None,
            step: None,
            ended: None,
            recorded: None,
            environment_state: None,
            baseline: None,
            gate: None,
            accepted: BTreeMap::new(),
            ledger: None,
        }
    }
}
