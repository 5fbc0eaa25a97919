//! Where rotated values are written besides Kubernetes Secrets, and who may write there how far.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connection::{CaBundle, NamespaceSelector};
use super::credential_shapes as shapes;
use super::reference::{ConnectionRef, SecretRef, ServiceAccountRef};
use super::schema;

/// A store of secrets, and which namespaces may write how far into it.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lockstep.dev",
    version = "v1alpha1",
    kind = "CredentialStore",
    plural = "credentialstores",
    category = "lockstep",
    shortname = "credstore",
    namespaced,
    status = "CredentialStoreStatus",
    doc = "A store of secrets, and which namespaces may write how far into it."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::exactly_one(&["vault", "awsSecretsManager", "databricksSecretScope"]))]
pub struct CredentialStoreSpec {
    /// Who may write there; without an entry nobody may, its own namespace included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = schema::TENANTS))]
    pub tenants: Option<Vec<StoreTenant>>,
    /// HashiCorp Vault or OpenBao, secrets engine KV version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<VaultStore>,
    /// AWS Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_secrets_manager: Option<AwsStore>,
    /// A secret scope of a Databricks workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databricks_secret_scope: Option<ScopeStore>,
}

/// Who may write how far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreTenant {
    /// Which namespaces.
    pub namespaces: NamespaceSelector,
    /// How far; unset: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<StoreReach>,
}

/// Patterns; `*` matches any characters, `/` included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreReach {
    /// Paths in Vault below the mount, names in Secrets Manager, keys of a scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub paths: Option<Vec<String>>,
}

/// HashiCorp Vault or OpenBao.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultStore {
    /// Base URL, for example `https://vault.example.com:8200`. Immutable.
    #[schemars(schema_with = "schema::immutable_url")]
    pub address: String,
    /// Namespace of Vault (Enterprise) or OpenBao; unset: the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::vault_path")]
    pub namespace: Option<String>,
    /// Where the KV engine is mounted, for example `secret`.
    #[schemars(schema_with = "shapes::vault_path")]
    pub mount: String,
    /// How Lockstep logs in.
    pub auth: VaultAuth,
    /// Certificates to trust besides the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
}

/// One key per way of logging in to Vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::union(&["kubernetes", "jwt", "appRole", "tokenSecretRef"])))]
pub enum VaultAuth {
    /// Auth method `kubernetes` with a token of a ServiceAccount of the store's own namespace.
    Kubernetes(VaultTokenLogin),
    /// Auth method `jwt` with a token of a ServiceAccount of the store's own namespace.
    Jwt(VaultTokenLogin),
    /// Auth method `approle`. The Secret has the keys `roleId` and `secretId`, and the annotation `lockstep.dev/host`.
    AppRole(VaultAppRole),
    /// A token. The Secret has the key `token` and the annotation `lockstep.dev/host`.
    TokenSecretRef(SecretRef),
}

/// A login with a token of a ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultTokenLogin {
    /// The ServiceAccount; it names Vault's host in its annotation `lockstep.dev/host`.
    pub service_account_ref: ServiceAccountRef,
    /// Role of the auth method.
    #[schemars(schema_with = "shapes::vault_role")]
    pub role: String,
    /// Where the auth method is mounted; unset: `kubernetes` or `jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::vault_path")]
    pub mount: Option<String>,
    /// Audience of the token; unset: Vault's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub audience: Option<String>,
}

/// A login with an AppRole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultAppRole {
    /// Keys `roleId` and `secretId`.
    pub secret_ref: SecretRef,
    /// Where the auth method is mounted; unset: `approle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::vault_path")]
    pub mount: Option<String>,
}

/// AWS Secrets Manager of one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsStore {
    /// For example `eu-central-1`.
    #[schemars(schema_with = "shapes::aws_region")]
    pub region: String,
    /// How Lockstep logs in.
    pub auth: AwsAuth,
    /// Another endpoint than the vendor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::url")]
    pub endpoint: Option<String>,
}

/// One key per way of logging in to AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::union(&["default", "secretRef"])))]
pub enum AwsAuth {
    /// The operator's ambient identity; for objects in the operator's namespace only.
    Default(AwsAmbient),
    /// A Secret with the keys `accessKeyId` and `secretAccessKey`.
    SecretRef(SecretRef),
}

/// Nothing more to say: `default: {}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsAmbient {}

/// A secret scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScopeStore {
    /// The workspace; the store's namespace needs a tenant entry there with the use Rotation.
    pub connection_ref: ConnectionRef,
    /// Name of the scope; it must exist.
    #[schemars(schema_with = "shapes::scope")]
    pub scope: String,
}

/// Whether the store can be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialStoreStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_request: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}
