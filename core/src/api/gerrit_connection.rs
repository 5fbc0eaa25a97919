//! Where a Gerrit is, and who may use it how far.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::connection::{CaBundle, Limits, NamespaceSelector, Pace, Use};
use super::reference::SecretRef;
use super::schema;
use super::text::Duration;

/// A Gerrit server, and which namespaces may use it how far.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lockstep.dev",
    version = "v1alpha1",
    kind = "GerritConnection",
    plural = "gerritconnections",
    category = "lockstep",
    shortname = "gerritconn",
    namespaced,
    status = "GerritConnectionStatus",
    doc = "A Gerrit server, and which namespaces may use it how far."
)]
#[serde(rename_all = "camelCase")]
pub struct GerritConnectionSpec {
    /// Base URL, for example `https://gerrit.example.com`. Immutable.
    #[schemars(schema_with = "schema::immutable_url")]
    pub url: String,
    /// How Lockstep logs in.
    pub auth: GerritAuth,
    /// Certificates to trust besides the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
    /// Who may use the connection; without an entry nobody may, its own namespace included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = schema::TENANTS))]
    pub tenants: Option<Vec<GerritTenant>>,
    /// One human, several accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = schema::distinct("o.email.lowerAscii()", "an e-mail address may stand in one alias only"))]
    pub aliases: Option<Vec<Alias>>,
    /// Request budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How merges are seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<GerritEvents>,
}

/// One key per way of logging in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::union(&["basic"])))]
pub enum GerritAuth {
    /// HTTP Basic. The Secret has the keys `username` and `password` (an HTTP password or an auth token), and the
    /// annotation `lockstep.dev/host`.
    Basic {
        #[serde(rename = "secretRef")]
        secret_ref: SecretRef,
    },
}

/// What the named namespaces may do through this connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GerritTenant {
    /// Which namespaces.
    pub namespaces: NamespaceSelector,
    /// For what; unset: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    pub uses: Option<Vec<Use>>,
    /// How far; unset: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<GerritReach>,
    /// Whether rights that rule over others may be given (ALLOW of owner, forge*, *As, anything but read where
    /// refs/meta/config can match, the group Administrators); unset: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrative: Option<bool>,
}

/// Patterns by type; `*` matches any characters, `/` included. What is not named is out of reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GerritReach {
    /// Project names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub projects: Option<Vec<String>>,
    /// Refs and ref patterns, as the binding writes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub refs: Option<Vec<String>>,
    /// Group names: as targets, as member sources and as owners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub groups: Option<Vec<String>>,
    /// User names of accounts for which tokens may be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub accounts: Option<Vec<String>>,
}

/// One human with several Gerrit accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alias {
    /// The human's e-mail address.
    #[schemars(schema_with = "schema::email")]
    pub email: String,
    /// User names of the accounts; the first is the one that is given rights.
    #[schemars(schema_with = "schema::accounts")]
    pub accounts: Vec<String>,
}

/// How merges are seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GerritEvents {
    /// How often merged changes are asked for; this is the truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::poll")]
    pub poll: Option<Duration>,
    /// A hint that saves waiting for the next poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<GerritWebhook>,
}

/// Where Gerrit's webhooks plugin reaches Lockstep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GerritWebhook {
    /// Base URL at which Gerrit reaches the operator's webhook address; `status.webhookPath` is appended.
    #[schemars(schema_with = "schema::url")]
    pub public_url: String,
}

/// What the last probe saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GerritConnectionStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Name of the server in canonical addresses: `gerrit://<server>/…`; the same whichever connection reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub server: Option<String>,
    /// What the server reports, for example `3.13.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub version: Option<String>,
    /// Whom Lockstep is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<GerritIdentity>,
    /// Global capabilities of that account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 256))]
    pub capabilities: Option<BTreeMap<String, bool>>,
    /// What to append to `spec.events.webhook.publicUrl`: a path that cannot be guessed. Set while that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub webhook_path: Option<String>,
    /// Set while the request budget cannot hold the intervals that bindings ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_request: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// An account of Gerrit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GerritIdentity {
    pub id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub username: Option<String>,
}
