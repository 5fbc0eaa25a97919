//! A team, and what it may do in both systems.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::objects::{ObjectAccess, SecurableGrant};
use super::reference::{ConnectionRef, Mode, OnDelete};
use super::text::{Duration, Percent};

/// A team, and what it may do in Gerrit and in Databricks.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "lockstep.dev",
    version = "v1alpha1",
    kind = "AccessBinding",
    plural = "accessbindings",
    category = "lockstep",
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
    pub interval: Option<Duration>,
    /// Who the team is. Unset: no membership is read or written; empty: managed and empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    /// What the team may do in Gerrit, by server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
pub enum Member {
    /// A human.
    Person {
        email: String,
        /// User name or account number in Gerrit, where the e-mail does not decide.
        #[serde(default, rename = "gerritAccount", skip_serializing_if = "Option::is_none")]
        gerrit_account: Option<String>,
        /// User name in Databricks, where the e-mail does not decide.
        #[serde(default, rename = "databricksUser", skip_serializing_if = "Option::is_none")]
        databricks_user: Option<String>,
    },
    /// A bot of Gerrit; in Databricks it is nobody.
    ServiceUser { username: String },
    /// A service principal of Databricks; in Gerrit it is nobody.
    ServicePrincipal {
        #[serde(rename = "applicationId")]
        application_id: String,
    },
    /// The members of a Gerrit group.
    GerritGroup {
        #[serde(rename = "connectionRef")]
        connection_ref: ConnectionRef,
        name: String,
    },
    /// The members of a Databricks group.
    DatabricksGroup {
        #[serde(rename = "connectionRef")]
        connection_ref: ConnectionRef,
        name: String,
    },
}

/// What the team may do in one Gerrit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GerritAccess {
    pub connection_ref: ConnectionRef,
    /// The group that stands for the team there.
    pub group: GerritGroup,
    /// Rights of that group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Vec<RefAccess>>,
}

/// How far the members of a group are Lockstep's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Membership {
    /// Nobody beyond what is declared.
    Authoritative,
    /// What is declared, beside what others added.
    Additive,
    /// Never edited; the group comes from elsewhere.
    External,
}

/// What happens to rights that are not declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Foreign {
    Report,
    Remove,
}

/// A group of Gerrit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GerritGroup {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Unset: Authoritative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,
    /// Name of the group that owns it; unset: Administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_to_all: Option<bool>,
}

/// One right on one ref pattern: a `permission`, or a `label` with its range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefAccess {
    pub project: String,
    /// `refs/heads/main`, `refs/heads/*` or `^refs/heads/(a|b)$`.
    #[serde(rename = "ref")]
    pub ref_: String,
    /// As Gerrit spells it, for example `push`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelRange {
    pub name: String,
    pub min: i32,
    pub max: i32,
}

/// Gerrit's actions of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefAction {
    Allow,
    Block,
    Deny,
}

/// What the team may do in Databricks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabricksAccess {
    /// The account group that stands for the team, and its roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountAccess>,
    /// Grants in Unity Catalog to the account group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogAccess>,
    /// Rights in workspaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspaces: Option<Vec<WorkspaceAccess>>,
}

/// The account group, and its roles on service principals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountAccess {
    pub connection_ref: ConnectionRef,
    pub group: DatabricksGroup,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_principal_roles: Option<Vec<ServicePrincipalRole>>,
}

/// A group of Databricks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabricksGroup {
    /// Display name.
    pub name: String,
    /// Unset: Authoritative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,
}

/// A role on a service principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicePrincipalRole {
    pub application_id: String,
    /// As the vendor spells it, for example `roles/servicePrincipal.user`.
    pub role: String,
}

/// Grants in the metastore of one connection's workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogAccess {
    pub connection_ref: ConnectionRef,
    pub grants: Vec<SecurableGrant>,
}

/// Rights in one workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceAccess {
    pub connection_ref: ConnectionRef,
    /// A workspace-local group, instead of `account.group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<DatabricksGroup>,
    /// `USER` or `ADMIN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// As the vendor spells them, for example `workspace-access`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlements: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    pub min_members: Option<i32>,
}

/// What the last passes saw and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessBindingStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<MembersStatus>,
    /// What Lockstep holds outside on behalf of this binding. Unset: nothing was ever written, or it was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Vec<InventoryRow>>,
    /// Writes that were begun and whose outcome is not yet known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intents: Option<Vec<Intent>>,
    /// What names were found to mean when they were first resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<Vec<Pin>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// How far the members could be resolved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MembersStatus {
    /// Distinct people and bots found in every system they are needed in.
    pub resolved: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<Unresolved>,
}

/// Somebody who could not be found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unresolved {
    pub who: String,
    pub system: String,
    pub reason: String,
}

/// One target and privilege with the principals that hold it through Lockstep.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryRow {
    /// Canonical address.
    pub target: String,
    /// `account:1000042`, `group:…`, `user:123`, `servicePrincipal:…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
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
    pub target: String,
    /// Digest of the change's effects: its name.
    pub digest: String,
    pub since: Timestamp,
    /// What ownership the change would add, as inventory rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adds: Vec<InventoryRow>,
}

/// What a name meant when it was first resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// The system that was asked.
    pub system: String,
    /// What was asked for: `group/ml-fraud`, `jobs/fraud-train`, or a digest of an e-mail address.
    pub name: String,
    /// What it meant: a canonical address, or a principal.
    pub means: String,
}

/// The difference that is left, and what releases it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// Digest that a PlanApproval names.
    pub digest: String,
    pub changes: i64,
    pub people_gaining: i64,
    pub people_losing: i64,
    /// The first 20 lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub summary: Vec<String>,
}
