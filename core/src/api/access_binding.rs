//! A team, and what it may do in both systems.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::objects::{ObjectAccess, SecurableGrant};
use super::reference::{ConnectionRef, Mode, OnDelete};
use super::text::{Duration, Percent};
use super::{object_rules, schema};

pub use super::access_status::{
    AccessBindingStatus, HeldThrough, Intent, InventoryRow, MembersStatus, Origin, PinnedName, PinnedNames,
    PlanStatus, Unresolved,
};

/// A team, and what it may do in Gerrit and in Databricks.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lockstep.dev",
    version = "v1alpha1",
    kind = "AccessBinding",
    plural = "accessbindings",
    category = "lockstep",
    shortname = "abind",
    namespaced,
    status = "AccessBindingStatus",
    doc = "A team, and what it may do in Gerrit and in Databricks."
)]
#[serde(rename_all = "camelCase")]
pub struct AccessBindingSpec {
    /// `Observe` shows the difference and writes nothing outside; `Enforce` repairs it. Unset: Observe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// While true nothing is read or written outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// How often drift is looked for; unset: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::interval")]
    pub interval: Option<Duration>,
    /// Who the team is. Unset: no membership is read or written; empty: managed and empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = schema::MEMBERS))]
    pub members: Option<Vec<Member>>,
    /// What the team may do in Gerrit, by server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = schema::GERRITS))]
    #[x_kube(validation = schema::distinct(
        "o.connectionRef.name + ' ' + (has(o.connectionRef.__namespace__) ? o.connectionRef.__namespace__ : '') + ' ' + o.group.name.lowerAscii()",
        "a group may stand in one entry only",
    ))]
    pub gerrit: Option<Vec<GerritAccess>>,
    /// What the team may do in Databricks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databricks: Option<DatabricksAccess>,
    /// Unset: what was created is revoked, what was adopted is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<OnDelete>,
    /// Brakes against accidents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety: Option<Safety>,
}

/// One source of members. Exactly one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::union(&["person", "serviceUser", "servicePrincipal", "gerritGroup", "databricksGroup"])))]
pub enum Member {
    /// A human.
    Person {
        /// Address in both systems; upper and lower case are the same.
        #[schemars(schema_with = "schema::email")]
        email: String,
        /// User name or account number in Gerrit, where the e-mail does not decide.
        #[serde(default, rename = "gerritAccount", skip_serializing_if = "Option::is_none")]
        #[schemars(schema_with = "schema::user")]
        gerrit_account: Option<String>,
        /// User name in Databricks, where the e-mail does not decide.
        #[serde(default, rename = "databricksUser", skip_serializing_if = "Option::is_none")]
        #[schemars(schema_with = "schema::user")]
        databricks_user: Option<String>,
    },
    /// A bot of Gerrit; in Databricks it is nobody.
    ServiceUser {
        /// User name in Gerrit.
        #[schemars(schema_with = "schema::user")]
        username: String,
    },
    /// A service principal of Databricks; in Gerrit it is nobody.
    ServicePrincipal {
        #[serde(rename = "applicationId")]
        /// Its application id, a UUID; not the numeric id.
        #[schemars(schema_with = "schema::uuid")]
        application_id: String,
    },
    /// The members of a Gerrit group.
    GerritGroup {
        #[serde(rename = "connectionRef")]
        connection_ref: ConnectionRef,
        /// The group's name.
        #[schemars(schema_with = "schema::name")]
        name: String,
    },
    /// The members of a Databricks group.
    DatabricksGroup {
        #[serde(rename = "connectionRef")]
        connection_ref: ConnectionRef,
        /// The group's name.
        #[schemars(schema_with = "schema::name")]
        name: String,
    },
}

/// What the team may do in one Gerrit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GerritAccess {
    pub connection_ref: ConnectionRef,
    /// The group that stands for the team there.
    pub group: GerritGroup,
    /// Rights of that group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = schema::ACCESS_ROWS))]
    #[x_kube(validation = schema::distinct(
        "o.project + ' ' + o.ref + ' ' + (has(o.permission) ? o.permission : has(o.label) ? 'label ' + o.label.name : '')",
        "a permission or label may stand once only for each project and ref",
    ))]
    pub access: Option<Vec<RefAccess>>,
}

/// How far the members of a group are Lockstep's: `Authoritative` leaves nobody beyond what is declared, `Additive`
/// adds to what others added, `External` never edits. Unset: Authoritative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Membership {
    /// Nobody beyond what is declared.
    Authoritative,
    /// What is declared, beside what others added.
    Additive,
    /// Never edited; the group comes from elsewhere.
    External,
}

/// What happens to rights on the same target that are not declared: `Report` shows them, `Remove` takes them away.
/// Unset: Report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Foreign {
    Report,
    Remove,
}

/// A group of Gerrit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GerritGroup {
    /// Its name.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
    /// Shown in Gerrit; unset: left as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::sentence")]
    pub description: Option<String>,
    /// Unset: Authoritative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,
    /// Name of the group that owns it; unset: Administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub owner: Option<String>,
    /// Whether every user sees the group; unset: left as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_to_all: Option<bool>,
}

/// One right on one ref pattern: a `permission`, or a `label` with its range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::exactly_one(&["permission", "label"]))]
#[x_kube(validation = Rule::new("!has(self.permission) || !self.permission.startsWith('label')")
    .message("write label: {name, min, max} for a right to vote"))]
#[x_kube(validation = Rule::new("!has(self.force) || !self.force || (has(self.permission) && self.permission in ['push', 'editTopicName'])")
    .message("force is for push and editTopicName only"))]
pub struct RefAccess {
    /// Full name of the project.
    #[schemars(schema_with = "schema::project")]
    #[x_kube(validation = Rule::new("!self.contains('..')").message("must hold no .., which no project name may"))]
    pub project: String,
    /// `refs/heads/main`, `refs/heads/*` or `^refs/heads/(a|b)$`.
    #[serde(rename = "ref")]
    #[schemars(schema_with = "schema::ref_pattern")]
    pub ref_: String,
    /// As Gerrit spells it, for example `push`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::permission")]
    pub permission: Option<String>,
    /// A label, and the votes that may be given on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelRange>,
    /// Unset: ALLOW.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<RefAction>,
    /// Whether a push may rewrite history; unset: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// What happens to other groups' rules of the same permission on the same ref; unset: they are reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<Foreign>,
}

/// The votes that may be given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.min <= self.max").message("min must not be above max"))]
pub struct LabelRange {
    /// The label's name, for example `Code-Review`.
    #[schemars(schema_with = "schema::label")]
    pub name: String,
    /// Lowest vote.
    #[schemars(range(min = -100, max = 100))]
    pub min: i32,
    /// Highest vote.
    #[schemars(range(min = -100, max = 100))]
    pub max: i32,
}

/// Gerrit's actions of a rule. Unset: ALLOW.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefAction {
    Allow,
    Block,
    Deny,
}

/// What the team may do in Databricks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.catalog) || has(self.account)")
    .message("catalog needs account.group: grants in Unity Catalog go to account groups"))]
#[x_kube(validation = Rule::new(
    "has(self.account) || !has(self.workspaces) || self.workspaces.all(w, has(w.group) || (!has(w.permission) && !has(w.entitlements) && !has(w.objects)))",
).message("permission, entitlements and objects need a group: set account.group, or group in the workspace"))]
#[x_kube(validation = Rule::new(
    "!has(self.account) || !has(self.workspaces) || self.workspaces.all(w, !has(w.group) || w.group.name.lowerAscii() != self.account.group.name.lowerAscii())",
).message("a workspace-local group must not bear the name of account.group: the workspace would take the one for the other"))]
pub struct DatabricksAccess {
    /// The account group that stands for the team, and its roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountAccess>,
    /// Grants in Unity Catalog to the account group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogAccess>,
    /// Rights in workspaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = schema::WORKSPACES))]
    #[x_kube(validation = schema::distinct(
        "o.connectionRef.name + ' ' + (has(o.connectionRef.__namespace__) ? o.connectionRef.__namespace__ : '')",
        "a workspace may stand in one entry only",
    ))]
    pub workspaces: Option<Vec<WorkspaceAccess>>,
}

/// The account group, and its roles on service principals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountAccess {
    /// A connection with `account`.
    pub connection_ref: ConnectionRef,
    /// The account group that stands for the team.
    pub group: DatabricksGroup,
    /// Its roles on service principals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = schema::distinct(
        "o.applicationId.lowerAscii() + ' ' + o.role",
        "a role on a service principal may stand once only",
    ))]
    pub service_principal_roles: Option<Vec<ServicePrincipalRole>>,
}

/// A group of Databricks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabricksGroup {
    /// Display name.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
    /// Unset: Authoritative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,
}

/// A role on a service principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicePrincipalRole {
    /// Application id of the service principal.
    #[schemars(schema_with = "schema::uuid")]
    pub application_id: String,
    /// As the vendor spells it, for example `roles/servicePrincipal.user`.
    #[schemars(schema_with = "schema::role")]
    pub role: String,
}

/// Grants in the metastore of one connection's workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogAccess {
    /// Any connection whose workspace is attached to the metastore.
    pub connection_ref: ConnectionRef,
    /// The grants; empty: managed and empty.
    #[schemars(length(max = schema::GRANTS))]
    #[x_kube(validation = object_rules::distinct_grants())]
    pub grants: Vec<SecurableGrant>,
}

/// Rights in one workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceAccess {
    /// The workspace.
    pub connection_ref: ConnectionRef,
    /// A workspace-local group, instead of `account.group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<DatabricksGroup>,
    /// `USER` or `ADMIN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::workspace_permission")]
    pub permission: Option<String>,
    /// As the vendor spells them, for example `workspace-access`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::entitlements")]
    pub entitlements: Option<Vec<String>>,
    /// Objects, and the level the group gets on each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = schema::OBJECTS))]
    #[x_kube(validation = object_rules::distinct_objects())]
    pub objects: Option<Vec<ObjectAccess>>,
}

/// Brakes against accidents; each stops one target until a PlanApproval names the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Safety {
    /// Share of the declared people that may go at once; unset: 25%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_removals: Option<Percent>,
    /// Share of the declared people that may come at once; unset: 50%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_additions: Option<Percent>,
    /// Fewest people a group may be left with; unset: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub min_members: Option<i32>,
}
