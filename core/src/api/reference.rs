//! References between objects, and the words that every working kind shares.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Names a connection. Whether this namespace may use it, and how far, is said by the connection's `tenants`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionRef {
    /// Name of the connection.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// Its namespace; unset: the object's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespace")]
    pub namespace: Option<String>,
}

/// Names a Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

/// Names one key of a Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// Key inside the Secret; unset: the one the field's documentation names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key")]
    pub key: Option<String>,
}

/// Names a ServiceAccount of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountRef {
    /// Name of the ServiceAccount.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

/// `Observe` shows the difference and writes nothing outside; `Enforce` repairs it. Unset: Observe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    Observe,
    Enforce,
}

/// What deletion of the object does to the rights it gave: `Revoke` takes away what was created and leaves what was
/// adopted, `Orphan` leaves everything. Unset: Revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnDelete {
    Revoke,
    Orphan,
}
