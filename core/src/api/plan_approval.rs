//! A person says yes to exactly this plan.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A person says yes to exactly one plan. Immutable, used once.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "lockstep.dev",
    version = "v1alpha1",
    kind = "PlanApproval",
    plural = "planapprovals",
    category = "lockstep",
    namespaced,
    status = "PlanApprovalStatus",
    doc = "A person says yes to exactly one plan. Immutable, used once."
)]
#[serde(rename_all = "camelCase")]
pub struct PlanApprovalSpec {
    /// Whose plan.
    pub plan_ref: PlanRef,
    /// Digest of the plan's effects, as the object's status shows it.
    pub digest: String,
    /// The approver's Kubernetes user name; an admission policy holds it to be the requester's.
    pub approver: String,
    pub reason: String,
    /// When the approval ends; unset: 24 hours after it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// The object whose plan is approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanRef {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// Whether and where the approval was used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanApprovalStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// The entry of the record that used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
