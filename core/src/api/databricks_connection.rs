//! Where a Databricks workspace (and its account) is, and who may use it how far.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connection::{CaBundle, Limits, NamespaceSelector, Pace, Use};
use super::reference::{SecretKeyRef, SecretRef, ServiceAccountRef};
use super::schema;

/// A Databricks workspace, optionally with its account, and which namespaces may use it how far.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lockstep.dev",
    version = "v1alpha1",
    kind = "DatabricksConnection",
    plural = "databricksconnections",
    category = "lockstep",
    shortname = "dbxconn",
    namespaced,
    status = "DatabricksConnectionStatus",
    doc = "A Databricks workspace, optionally with its account, and which namespaces may use it how far."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.account) || !has(self.auth.personalAccessToken)")
    .message("a personal access token cannot reach the account: remove account, or log in with workloadIdentity or oauthSecret"))]
pub struct DatabricksConnectionSpec {
    /// Base URL of the workspace, for example `https://dbc-1.cloud.databricks.com`. Immutable.
    #[schemars(schema_with = "schema::immutable_host")]
    pub host: String,
    /// The account the workspace belongs to: needed for account groups and service-principal roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountEndpoint>,
    /// How Lockstep logs in.
    pub auth: DatabricksAuth,
    /// Certificates to trust besides the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
    /// Who may use the connection; without an entry nobody may, its own namespace included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = schema::TENANTS))]
    pub tenants: Option<Vec<DatabricksTenant>>,
    /// Request budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Where `system.access.audit` is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditWarehouse>,
}

/// The account console's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountEndpoint {
    /// Base URL, for example `https://accounts.cloud.databricks.com`.
    #[schemars(schema_with = "schema::host")]
    pub host: String,
    /// Account id, a UUID.
    #[schemars(schema_with = "schema::uuid")]
    pub id: String,
}

/// One key per way of logging in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::union(&["workloadIdentity", "oauthSecret", "personalAccessToken"])))]
pub enum DatabricksAuth {
    /// A token of a Kubernetes ServiceAccount is exchanged; nothing is stored.
    WorkloadIdentity {
        #[serde(rename = "serviceAccountRef")]
        service_account_ref: ServiceAccountRef,
        /// Application id of the service principal whose federation policy names the ServiceAccount.
        #[serde(rename = "clientId")]
        #[schemars(schema_with = "schema::uuid")]
        client_id: String,
        /// Audience of the token; unset: the account id, else the token endpoint.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(schema_with = "schema::sentence")]
        audience: Option<String>,
    },
    /// OAuth client credentials; the Secret has the keys `clientId` and `clientSecret`.
    OauthSecret {
        #[serde(rename = "secretRef")]
        secret_ref: SecretRef,
    },
    /// A personal access token; key `token` unless named. It cannot reach the account.
    PersonalAccessToken {
        #[serde(rename = "secretRef")]
        secret_ref: SecretKeyRef,
    },
}

/// What the named namespaces may do through this connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabricksTenant {
    /// Which namespaces.
    pub namespaces: NamespaceSelector,
    /// For what; unset: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    pub uses: Option<Vec<Use>>,
    /// How far; unset: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<DatabricksReach>,
    /// Whether rights that rule over others may be given (ADMIN, CAN_MANAGE, IS_OWNER, MANAGE, ALL_PRIVILEGES,
    /// roles/*.manager); unset: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrative: Option<bool>,
    /// A floor under every promotion policy of these namespaces; unset: no promotion through this entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionFloor>,
}

/// Patterns by type; `*` matches any characters, `/` included. What is not named is out of reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabricksReach {
    /// Permission and entitlements of the workspace: workspace ids, or `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub workspace: Option<Vec<String>>,
    /// Groups: as targets, as member sources and as owners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub groups: Option<Vec<String>>,
    /// Job names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub jobs: Option<Vec<String>>,
    /// Workspace paths: directories, notebooks, files and repos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub paths: Option<Vec<String>>,
    /// Catalogs and everything below them, by full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub catalogs: Option<Vec<String>>,
    /// Registered models of the workspace registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub models: Option<Vec<String>>,
    /// Experiment paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub experiments: Option<Vec<String>>,
    /// Serving endpoint names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub serving_endpoints: Option<Vec<String>>,
    /// SQL warehouse names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub warehouses: Option<Vec<String>>,
    /// Cluster names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub clusters: Option<Vec<String>>,
    /// Cluster policy names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub cluster_policies: Option<Vec<String>>,
    /// Instance pool names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub instance_pools: Option<Vec<String>>,
    /// Pipeline names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub pipelines: Option<Vec<String>>,
    /// Dashboards, queries and alerts, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub dashboards: Option<Vec<String>>,
    /// Vector search endpoint names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub vector_search_endpoints: Option<Vec<String>>,
    /// App names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub apps: Option<Vec<String>>,
    /// Database instances and projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub database_instances: Option<Vec<String>>,
    /// Genie space ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub genie_spaces: Option<Vec<String>>,
    /// Knowledge assistants and supervisor agents, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub agents: Option<Vec<String>>,
    /// Use of tokens and passwords: the words `tokens` and `passwords`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub tokens: Option<Vec<String>>,
    /// Unity Catalog securables outside catalogs (external locations, credentials, connections, shares, …), as `<type>/<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub securables: Option<Vec<String>>,
    /// Application ids of service principals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub service_principals: Option<Vec<String>>,
}

/// The least a promotion policy must demand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromotionFloor {
    /// Gerrit projects whose changes may be promoted through this entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub projects: Option<Vec<String>>,
    /// Fewest approvals; unset: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub min_approvals: Option<i32>,
    /// Gerrit groups whose members may approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::patterns")]
    pub approver_groups: Option<Vec<String>>,
    /// Whether a verification vote is needed; unset: yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_verification: Option<bool>,
}

/// A SQL warehouse that may read `system.access.audit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditWarehouse {
    /// Its id.
    #[schemars(schema_with = "schema::id")]
    pub warehouse_id: String,
}

/// How people come into the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IdentityManagement {
    Manual,
    Automatic,
}

/// What the last probe saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabricksConnectionStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Numeric id of the workspace, from its own answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub workspace_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub account_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub metastore_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cloud: Option<String>,
    /// Whom Lockstep is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<DatabricksIdentity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_management: Option<IdentityManagement>,
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

/// A user or service principal of Databricks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabricksIdentity {
    /// Numeric id.
    #[schemars(length(max = 128))]
    pub id: String,
    /// User name or application id.
    #[schemars(length(max = 512))]
    pub name: String,
    /// Whether it administers the workspace.
    pub workspace_admin: bool,
    /// Whether it administers the account; unset: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_admin: Option<bool>,
}
