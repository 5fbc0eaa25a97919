//! What Lockstep remembers about a credential: every value that may live, and where it lies. Never a value itself.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::credential_shapes as shapes;

/// The state of a generation that is to be revoked.
pub const REVOKING: &str = "Revoking";

/// What the last passes saw and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceCredentialStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_request: Option<String>,
    /// Canonical address of the identity that it is minted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub issuer: Option<String>,
    /// Every value that may live and the last ones that do not, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub generations: Option<Vec<GenerationRow>>,
    /// Why nothing goes on without somebody's doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<BlockedStatus>,
    /// Places that were written to, whether or not the spec still names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub stores: Option<Vec<StoreRow>>,
    /// The last value of the annotation `lockstep.dev/rotate` that a rotation began for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub rotated_for: Option<String>,
    /// Which value consumers use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// When that was minted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minted_at: Option<Timestamp>,
    /// When the next one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<Timestamp>,
    /// When the issuer lets the current one in no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Ids at the issuer that are none of ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "shapes::ids")]
    pub strangers: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// One value, from before it was asked for until after it is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GenerationRow {
    /// From 1, never used twice.
    pub number: u64,
    /// `Planned`, `Minted`, `Verified`, `Current`, `Draining`, `Revoking`, `Revoked` or `NeverMinted`.
    #[schemars(length(max = 32))]
    pub state: String,
    /// The issuer's name of it; not secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub id: Option<String>,
    /// Tells two values apart and nothing about either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minted: Option<Timestamp>,
    /// When every store had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
    /// When the issuer lets it in no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Of Draining: when it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Of Minted: whether the issuer has let it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<bool>,
    /// Of Revoking and Revoked: `Replaced`, `Compromised`, `ValueLost`, `Unproven` or `Deleted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub why: Option<String>,
    /// Of Revoking: when the issuer last said that it did. Of Planned: when the mint was announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Timestamp>,
    /// Of Planned: what the issuer had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::ids")]
    pub before: Option<BTreeSet<String>>,
}

/// Why nothing goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockedStatus {
    /// `NoSlot`: the issuer has no room for one more. `Stray`: a mint did not answer, and what it made cannot be told
    /// from what others made.
    #[schemars(length(max = 32))]
    pub reason: String,
    /// Of NoSlot: credentials that the issuer allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Of NoSlot: what others made. Of Stray: the candidates.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(schema_with = "shapes::ids")]
    pub ids: BTreeSet<String>,
}

/// A place that was written to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreRow {
    /// As the spec names it: `secret/<name>` or `<namespace>/<store>/<path>`.
    #[schemars(length(max = 1024))]
    pub name: String,
    /// Which value was last seen there; unset: none of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<u64>,
}
