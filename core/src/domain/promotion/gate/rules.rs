//! What a policy asks of a change on its way to one environment, defaults resolved and names looked up. A value, so
//! that its digest can stand in the evidence: whoever weakens the gate later does not rewrite what was judged before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::people::{AccountId, GroupUuid};
use crate::api::databricks_connection::PromotionFloor;

/// Humans who must have said yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    pub label: String,
    /// Distinct people; at least one, whatever is written.
    pub count: u32,
    pub group: GroupUuid,
    /// What people call the group.
    pub group_name: String,
}

/// The machine, or person, who must have found it sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    pub label: String,
    pub group: GroupUuid,
    pub group_name: String,
}

/// A label as it must be defined for a vote on it to mean what the policy means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GovernedLabel {
    pub min: i32,
    pub max: i32,
    /// Functions that are as good: `NoBlock` and `NoOp` are one thing in two versions of Gerrit.
    pub functions: BTreeSet<String>,
}

/// Accounts of agents, and the people who may set them to work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentIdentity {
    pub group: GroupUuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sponsors: Option<GroupUuid>,
}

/// When a change counts as an agent's, and what it then needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agents {
    pub identities: Vec<AgentIdentity>,
    /// Footers that say so, as `Assisted-by`; compared without regard to case.
    pub footers: Vec<String>,
    /// Names the human who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester_footer: Option<String>,
    /// Distinct humans, 2 unless the policy says otherwise.
    pub count: u32,
}

impl Default for Agents {
    fn default() -> Self {
        Self {
            identities: Vec::new(),
            footers: Vec::new(),
            requester_footer: None,
            count: 2,
        }
    }
}

/// A service user whose changes to these files are held to no more than those of people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustedAutomation {
    pub account: AccountId,
    /// `*` and `?` stay within one folder, `**` does not.
    pub paths: Vec<String>,
}

/// An environment in which the change must have succeeded before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    pub environment: String,
    /// Seconds that must have passed since.
    pub soak: u64,
}

/// The gate of one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    pub project: String,
    /// Short name, as `prod`.
    pub branch: String,
    pub environment: String,
    pub approval: Approval,
    /// Admission refuses a policy without; `None` passes nothing.
    pub verification: Option<Verification>,
    /// By label: at least those of approval and verification.
    pub labels: BTreeMap<String, GovernedLabel>,
    /// Submit requirements that must stand among the stored results.
    pub required: BTreeSet<String>,
    /// Requirements that may have been overridden.
    pub allow_overridden: BTreeSet<String>,
    pub agents: Agents,
    pub trusted_automation: Vec<TrustedAutomation>,
    pub requires: Vec<Upstream>,
}

impl Rules {
    /// Names these rules exactly; stands in the evidence of whatever they judged.
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(b"lockstep-rules-v1\n");
        hash.update(json);
        format!("sha256:{}", hex::encode(hash.finalize()))
    }

    /// Distinct people who must have approved: nobody can ask for none.
    pub fn approvals(&self) -> usize {
        usize::try_from(self.approval.count).unwrap_or(usize::MAX).max(1)
    }
}

/// The least that the connection's owner demands of every policy that uses its tenant entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Floor {
    /// `*` stands for any characters.
    pub projects: Vec<String>,
    pub min_approvals: u32,
    /// Names of groups that may approve; `*` stands for any characters.
    pub approver_groups: BTreeSet<String>,
    pub require_verification: bool,
}

impl Floor {
    /// What a tenant entry demands. What is unset there demands the most: no project, no group.
    pub fn declared(floor: &PromotionFloor) -> Self {
        let PromotionFloor {
            projects,
            min_approvals,
            approver_groups,
            require_verification,
        } = floor;
        let approvals = min_approvals.and_then(|count| u32::try_from(count).ok());
        Self {
            projects: projects.clone().unwrap_or_default(),
            min_approvals: approvals.unwrap_or(1).max(1),
            approver_groups: approver_groups.iter().flatten().cloned().collect(),
            require_verification: require_verification.unwrap_or(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_that_says_nothing_demands_the_most() {
        let floor = Floor::declared(&PromotionFloor::default());
        assert!(floor.projects.is_empty() && floor.approver_groups.is_empty());
        assert_eq!(floor.min_approvals, 1);
        assert!(floor.require_verification);
    }
}
