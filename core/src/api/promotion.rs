//! One attempt to bring one commit to one environment.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{promotion_shapes as shapes, schema};

pub use super::promotion_status::{
    ApprovalRow, EvidenceRow, FindingRow, GlassStatus, PromotionPhase, PromotionStatus, RangeCommit,
    RangeStatus, StepRow, StepRowState, VerdictStatus, VoteRow,
};

/// One attempt to bring one commit to one environment. Immutable.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lockstep.dev",
    version = "v1alpha1",
    kind = "Promotion",
    plural = "promotions",
    category = "lockstep",
    shortname = "promo",
    namespaced,
    status = "PromotionStatus",
    doc = "One attempt to bring one commit to one environment. Immutable."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::exactly_one(&["deploy", "rollback", "override"]))]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("a promotion is immutable: annotate it with lockstep.dev/cancel or lockstep.dev/retry, or create another"))]
pub struct PromotionSpec {
    /// The policy, of the same namespace.
    pub policy_ref: PolicyRef,
    /// One of the policy's environments.
    #[schemars(schema_with = "shapes::environment")]
    pub environment: String,
    /// Brings what merged. Made by the operator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<Deploy>,
    /// Goes back to what worked before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Breaks the glass: goes on although it should wait.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_: Option<Override>,
}

/// What a promotion is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'a> {
    Deploy(&'a Deploy),
    Rollback(&'a Rollback),
    Override(&'a Override),
}

impl Deploy {
    /// The commit that is deployed.
    pub fn deployed(&self) -> &str {
        self.tip.as_ref().unwrap_or(&self.revision)
    }
}

impl PromotionSpec {
    /// The one purpose; `None` unless exactly one is set.
    pub fn purpose(&self) -> Option<Purpose<'_>> {
        match (&self.deploy, &self.rollback, &self.override_) {
            (Some(deploy), None, None) => Some(Purpose::Deploy(deploy)),
            (None, Some(rollback), None) => Some(Purpose::Rollback(rollback)),
            (None, None, Some(wish)) => Some(Purpose::Override(wish)),
            _ => None,
        }
    }
}

/// Names a PromotionPolicy of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRef {
    /// Its name.
    #[schemars(schema_with = "schema::namespace")]
    pub name: String,
}

/// A merged change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deploy {
    /// Gerrit's number of the change.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub change: i64,
    /// The commit that Gerrit merged.
    #[schemars(schema_with = "shapes::commit")]
    pub revision: String,
    /// The commit of the branch that is deployed, where that is Gerrit's merge of the revision. Unset: the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::commit")]
    pub tip: Option<String>,
    /// Commits from the baseline to the deployed one along first parents, from 1: what is newer than what.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub position: i64,
    /// Which attempt this is, from 1.
    #[schemars(range(min = 1, max = 10_000))]
    pub attempt: i32,
}

/// A way back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// The earlier promotion, of the same policy and environment, that the record shows to have succeeded.
    #[schemars(schema_with = "schema::object_name")]
    pub to: String,
    /// Why, for the record.
    #[schemars(schema_with = "schema::sentence")]
    pub reason: String,
}

/// What can be lifted: what only asks to wait. What got around review never can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OverridableFinding {
    OutsideWindow,
    Soaking,
    UpstreamMissing,
    Frozen,
}

/// Breaking the glass: two people approve by PlanApprovals, and a third looks at it within 24 hours after its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// The deploy that waits.
    #[schemars(schema_with = "schema::object_name")]
    pub promotion: String,
    /// What is lifted; whatever else is found still stands.
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(validation = schema::distinct("o", "a finding may be named once only"))]
    pub findings: Vec<OverridableFinding>,
    /// Why it cannot wait, for the record.
    #[schemars(schema_with = "schema::sentence")]
    pub reason: String,
}
