//! A person says yes to exactly this plan.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// A person says yes to exactly one plan. Immutable, used once.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lockstep.dev",
    version = "v1alpha1",
    kind = "PlanApproval",
    plural = "planapprovals",
    category = "lockstep",
    shortname = "approval",
    namespaced,
    status = "PlanApprovalStatus",
    doc = "A person says yes to exactly one plan. Immutable, used once."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("an approval is immutable: delete it and approve again"))]
pub struct PlanApprovalSpec {
    /// Whose plan.
    pub plan_ref: PlanRef,
    /// Digest of the plan's effects, as the object's status shows it.
    #[schemars(schema_with = "schema::digest")]
    pub digest: String,
    /// The approver's Kubernetes user name; an admission policy holds it to be the requester's.
    #[schemars(schema_with = "schema::name")]
    pub approver: String,
    /// Why, for the record.
    #[schemars(schema_with = "schema::sentence")]
    pub reason: String,
    /// When the approval ends, at most 30 days after it was made; unset: 24 hours after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// The object whose plan is approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanRef {
    /// Its kind.
    #[schemars(schema_with = "schema::planned_kind")]
    pub kind: String,
    /// Its namespace.
    #[schemars(schema_with = "schema::namespace")]
    pub namespace: String,
    /// Its name.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// Its uid: a re-created object of the same name is another object.
    #[schemars(schema_with = "schema::uid")]
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
    #[schemars(length(max = 1024))]
    pub used_by: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}
