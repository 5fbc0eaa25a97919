//! What both kinds of connection share: who may use them, how far, and how hard.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::SecretKeyRef;
use super::schema;
use super::text::Duration;

/// Selects namespaces by name or by label; both given means both must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.names) || has(self.matchLabels)")
    .message("names, matchLabels or both must be set: an entry for nobody in particular would be an entry for everybody"))]
pub struct NamespaceSelector {
    /// Exact names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespaces")]
    pub names: Option<Vec<String>>,
    /// Labels that must all be present with these values. Tenants that may label their own namespace can reach
    /// this; `kubernetes.io/metadata.name` cannot be relabelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::match_labels")]
    pub match_labels: Option<BTreeMap<String, String>>,
}

/// What a namespace may use a connection for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Use {
    Access,
    Promotion,
    Rotation,
}

/// The request budget towards one system; unset fields take the vendor's table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Requests a second, sustained; 0 lifts the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub requests_per_second: Option<i32>,
    /// Requests under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: Option<i32>,
    /// Longest time one request may take, e.g. `5s`; more than 10s counts as 10s, since no write may outlast the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::timeout")]
    pub timeout: Option<Duration>,
}

/// Certificates to trust besides the public ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaBundle {
    /// PEM certificates; key `ca.crt` unless named. The Secret names the connection's hosts in its annotation
    /// `lockstep.dev/host`, as a credential's does.
    pub secret_ref: SecretKeyRef,
}

/// How drift checks are slowed down because the request budget cannot hold them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pace {
    /// Reads that one check of everything takes, of those that share the tightest budget.
    pub reads_per_check: i64,
    /// Requests a minute which that budget allows.
    pub budget_per_minute: i64,
    /// How long intervals are, in percent of what bindings ask for: 250 makes 25 minutes of 10.
    pub interval_percent: i64,
}
