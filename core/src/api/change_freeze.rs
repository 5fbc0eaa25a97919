//! Stop the line: nothing new happens until a time, and everybody reads why.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Stops what would change something outside, for its namespace; in the operator's namespace for all. It never stops
/// revocation, expiry or a compromised credential.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lockstep.dev",
    version = "v1alpha1",
    kind = "ChangeFreeze",
    plural = "changefreezes",
    category = "lockstep",
    shortname = "freeze",
    namespaced,
    status = "ChangeFreezeStatus",
    doc = "Stops what would change something outside, for its namespace; in the operator's namespace for all. It never stops revocation, expiry or a compromised credential."
)]
#[serde(rename_all = "camelCase")]
pub struct ChangeFreezeSpec {
    /// Why; whatever waits says so.
    #[schemars(schema_with = "schema::sentence")]
    pub reason: String,
    /// The first instant at which it is over.
    pub until: Timestamp,
    /// Kinds it stops; for promotions their PromotionPolicy. Unset: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    pub kinds: Option<Vec<FreezableKind>>,
    /// Labels that an object must bear, all of them. Unset: every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::match_labels")]
    pub selector: Option<BTreeMap<String, String>>,
    /// What goes on all the same. Unset: nothing, so that a rollback waits too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1))]
    pub except: Option<Vec<FreezeException>>,
}

/// Kinds that a freeze can stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FreezableKind {
    AccessBinding,
    PromotionPolicy,
    ServiceCredential,
}

impl FreezableKind {
    /// As manifests spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessBinding => "AccessBinding",
            Self::PromotionPolicy => "PromotionPolicy",
            Self::ServiceCredential => "ServiceCredential",
        }
    }
}

/// What a freeze can let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FreezeException {
    /// A rollback: a person's, or what undoes a failed promotion.
    Rollback,
}

/// Whether it holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeFreezeStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_request: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}
