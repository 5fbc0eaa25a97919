//! What Lockstep remembers about a binding: who was found, what is held outside, what is under way.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// What the last passes saw and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessBindingStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<MembersStatus>,
    /// What Lockstep holds outside on behalf of this binding. Unset: nothing was ever written, or it was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = schema::STATUS_ROWS))]
    pub inventory: Option<Vec<InventoryRow>>,
    /// Writes that were begun and whose outcome is not yet known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = schema::STATUS_ROWS))]
    pub intents: Option<Vec<Intent>>,
    /// What names were found to mean when they were first resolved, by system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub pins: Option<Vec<PinnedNames>>,
    /// Through which connection what is held in a system was given, and is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub through: Option<Vec<HeldThrough>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// How far the members could be resolved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MembersStatus {
    /// Distinct people and bots found in every system they are needed in.
    pub resolved: i64,
    /// The first 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub unresolved: Vec<Unresolved>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unresolved_beyond: Option<i64>,
}

/// Somebody who could not be found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unresolved {
    #[schemars(length(max = 512))]
    pub who: String,
    #[schemars(length(max = 512))]
    pub system: String,
    #[schemars(length(max = 128))]
    pub reason: String,
}

/// One target and privilege with the principals that hold it through Lockstep.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryRow {
    /// Canonical address.
    #[schemars(length(max = 2048))]
    pub target: String,
    /// `account:1000042`, `group:…`, `user:123`, `servicePrincipal:…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4_096), inner(length(max = 512)))]
    pub principals: Vec<String>,
    #[schemars(length(max = 512))]
    pub privilege: String,
    pub origin: Origin,
    pub since: Timestamp,
    /// When it was written, while no fresh reading has shown it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirming: Option<Timestamp>,
}

/// Whether Lockstep gave a right or found it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Origin {
    Created,
    Adopted,
}

/// A write that was begun.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Canonical address of the target, or of the name that is to be created.
    #[schemars(length(max = 2048))]
    pub target: String,
    /// Digest of the change's effects: its name.
    #[schemars(length(max = 128))]
    pub digest: String,
    pub since: Timestamp,
    /// What ownership the change would add, as inventory rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = schema::STATUS_ROWS))]
    pub adds: Vec<InventoryRow>,
}

/// What the names of one system meant when they were first resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PinnedNames {
    /// The system that was asked.
    #[schemars(length(max = 512))]
    pub system: String,
    /// `<digest of the address>=<principal>`, for example `3f2a90b1c4d5=account:1000042`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = schema::STATUS_ROWS), inner(length(max = 512)))]
    pub people: Vec<String>,
    /// Groups, jobs and whatever else has a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = schema::STATUS_ROWS))]
    pub names: Vec<PinnedName>,
}

/// The connection through which what is held in one system was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldThrough {
    /// Canonical address of the system.
    #[schemars(length(max = 512))]
    pub system: String,
    /// `GerritConnection` or `DatabricksConnection`.
    #[schemars(length(max = 64))]
    pub kind: String,
    #[schemars(length(max = 63))]
    pub namespace: String,
    #[schemars(length(max = 253))]
    pub name: String,
}

/// What a name meant when it was first resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PinnedName {
    /// What was asked for, for example `group/ml-fraud` or `jobs/fraud-train`.
    #[schemars(length(max = 2048))]
    pub name: String,
    /// Its canonical address.
    #[schemars(length(max = 2048))]
    pub means: String,
}

/// The difference that is left, and what releases it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// Digest that a PlanApproval names.
    #[schemars(length(max = 128))]
    pub digest: String,
    pub changes: i64,
    pub people_gaining: i64,
    pub people_losing: i64,
    /// The first 20 lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 4_096)))]
    pub summary: Vec<String>,
}
