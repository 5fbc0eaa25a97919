//! A secret that is replaced before it grows old, and where its value lies for whom.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::credential_shapes as shapes;
use super::credential_store::AwsAuth;
use super::reference::{ConnectionRef, Mode, OnDelete};
use super::schema;
use super::text::Duration;
use super::windows::WindowTexts;

pub use super::service_credential_status::{BlockedStatus, GenerationRow, ServiceCredentialStatus, StoreRow};

/// A secret that rotates without a gap.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lockstep.dev",
    version = "v1alpha1",
    kind = "ServiceCredential",
    plural = "servicecredentials",
    category = "lockstep",
    shortname = "cred",
    namespaced,
    status = "ServiceCredentialStatus",
    doc = "A secret that is replaced before it grows old, and where its value lies for whom."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = shapes::no_host_of_access_keys())]
pub struct ServiceCredentialSpec {
    /// `Observe` lists what the issuer has and writes nothing; `Enforce` rotates. Unset: Observe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// While true nothing is read or written outside; what was stolen is revoked all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// How often stores and issuer are looked at without a reason; unset: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::interval")]
    pub interval: Option<Duration>,
    /// Who gives it, and for whom. Immutable but for its lifetime.
    pub issuer: CredentialIssuer,
    /// Whether nobody else mints for this identity. Then a mint whose answer was lost is told by the one id that is new;
    /// else it blocks and names the candidates. Of no matter where credentials carry labels. Unset: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<bool>,
    /// How often it is replaced.
    pub schedule: RotationSchedule,
    /// How long the last value lives on after the new one is everywhere; unset: 2h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::overlap")]
    pub overlap: Option<Duration>,
    /// Where the value lies. Each holds it before anything uses it.
    #[schemars(length(min = 1, max = shapes::STORES))]
    #[x_kube(validation = shapes::distinct_stores())]
    pub stores: Vec<CredentialTarget>,
    /// What is started anew once every store has a new value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = shapes::RESTARTS))]
    #[x_kube(validation = schema::distinct("o.kind + '/' + o.name", "what is restarted may stand in the list once only"))]
    pub restart: Option<Vec<Restarted>>,
    /// When a rotation may begin. A value that would run out does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<WindowTexts>,
    /// What becomes of the credential when the object goes: `Revoke` revokes it and clears the stores, `Orphan` leaves
    /// both. Unset: Revoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<OnDelete>,
}

/// One key per kind of credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = shapes::issuer_rules()))]
pub enum CredentialIssuer {
    /// OAuth secret of a Databricks service principal.
    DatabricksServicePrincipal(DatabricksIssuer),
    /// Personal access token of a Databricks service principal.
    DatabricksToken(DatabricksIssuer),
    /// Auth token of a Gerrit account. Gerrit 3.13.3 or newer, where tokens of one account overlap.
    GerritToken(GerritIssuer),
    /// Access key of an AWS IAM user; IAM allows two.
    AwsAccessKey(AwsIssuer),
}

/// A service principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabricksIssuer {
    /// The workspace, and its account.
    pub connection_ref: ConnectionRef,
    /// Application id of the service principal; `self`: the one that the connection logs in as.
    #[schemars(schema_with = "shapes::application_id")]
    pub application_id: String,
    /// How long a value is let in: at most 730d (Databricks REST, service principal secrets).
    #[schemars(schema_with = "shapes::lifetime")]
    pub lifetime: Duration,
}

/// A Gerrit account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GerritIssuer {
    /// The server.
    pub connection_ref: ConnectionRef,
    /// User name of the account.
    #[schemars(schema_with = "schema::user")]
    pub account: String,
    /// How long a token is let in; the server may allow less (`auth.maxAuthTokenLifetime`).
    #[schemars(schema_with = "shapes::lifetime")]
    pub lifetime: Duration,
}

/// An IAM user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsIssuer {
    /// How Lockstep logs in.
    pub auth: AwsAuth,
    /// Name of the IAM user.
    #[schemars(schema_with = "shapes::aws_user")]
    pub user_name: String,
    /// Region whose endpoints are asked; unset: `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::aws_region")]
    pub region: Option<String>,
    /// Another endpoint than the vendor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::url")]
    pub endpoint: Option<String>,
}

/// How often. Exactly one of `every` and `cron`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::exactly_one(&["every", "cron"]))]
#[x_kube(validation = Rule::new("!has(self.timeZone) || has(self.cron)").message("timeZone needs cron"))]
pub struct RotationSchedule {
    /// Time from one value to the next, as `7d`; at least 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::every")]
    pub every: Option<Duration>,
    /// Five fields, as `0 3 * * MON`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::promotion_shapes::cron")]
    pub cron: Option<String>,
    /// IANA name as `Europe/Berlin`; unset: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::promotion_shapes::time_zone")]
    pub time_zone: Option<String>,
}

/// One key per kind of store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::union(&["kubernetesSecret", "credentialStore"])))]
pub enum CredentialTarget {
    /// A Secret of the same namespace, which must not exist, or bear the annotation `lockstep.dev/adopt` with the name
    /// of this object. While the last value lives on it stands under `previous.<key>`.
    KubernetesSecret(SecretTarget),
    /// A path of a CredentialStore.
    CredentialStore(StoreTarget),
}

/// A Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::exactly_one(&["keys", "template"]))]
pub struct SecretTarget {
    /// Its name.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// The Secret's type; unset: Opaque, for the template DockerConfig `kubernetes.io/dockerconfigjson`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub type_: Option<String>,
    /// Under which keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<CredentialKeys>,
    /// A file as tools read it, instead of keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<CredentialTemplate>,
}

/// A path of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::exactly_one(&["keys", "template"]))]
pub struct StoreTarget {
    /// The CredentialStore.
    #[serde(rename = "ref")]
    pub store_ref: ConnectionRef,
    /// Path below Vault's mount, name in Secrets Manager, key prefix in a scope.
    #[schemars(schema_with = "shapes::store_path")]
    pub path: String,
    /// Under which keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<CredentialKeys>,
    /// A file as tools read it, instead of keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<CredentialTemplate>,
}

/// Under which keys the parts of a credential stand; an unset part is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = shapes::distinct_keys())]
pub struct CredentialKeys {
    /// The secret itself.
    #[schemars(schema_with = "shapes::key")]
    pub value: String,
    /// Client id, user name or access key id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::key")]
    pub client_id: Option<String>,
    /// Base URL of the system that lets it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::key")]
    pub host: Option<String>,
}

/// Files as tools read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CredentialTemplate {
    /// Key `.databrickscfg`, profile DEFAULT.
    Databrickscfg,
    /// Key `.netrc`, as git and curl read it.
    Netrc,
    /// Key `.dockerconfigjson`.
    DockerConfig,
    /// Keys `DATABRICKS_HOST`, `DATABRICKS_CLIENT_ID` and `DATABRICKS_CLIENT_SECRET`, or `DATABRICKS_TOKEN`.
    DatabricksEnv,
}

/// What is started anew, in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restarted {
    /// Its kind.
    #[schemars(schema_with = "shapes::restarted_kind")]
    pub kind: RestartedKind,
    /// Its name.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

/// Kinds whose pods are started anew by an annotation of their template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RestartedKind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl RestartedKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }
}
