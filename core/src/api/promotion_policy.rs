//! Which merged changes go where, what they must have behind them, and by which steps they go.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::promotion_step::PolicyStep;
use super::reference::{ConnectionRef, Mode};
use super::text::Duration;
use super::windows::WindowTexts;
use super::{promotion_shapes as shapes, schema};

pub use super::promotion_policy_status::{
    AcceptedCommit, ConfiguredRow, CountedStatus, CurrentStatus, EnvironmentStatus, GateStatus,
    HardeningStatus, HoldStatus, HoleRow, OccurrenceRow, PendingPlan, PlanSubject, PromotionPolicyStatus,
    ReachedStatus, RemoteRow, RunsStatus, UnseenRow,
};

/// A reviewed change, and nothing else, runs.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lockstep.dev",
    version = "v1alpha1",
    kind = "PromotionPolicy",
    plural = "promotionpolicies",
    category = "lockstep",
    shortname = "ppol",
    namespaced,
    status = "PromotionPolicyStatus",
    doc = "Which merged changes go where, what they must have behind them, and by which steps they go.",
    validation = Rule::new("!self.metadata.name.contains('.') && self.metadata.name.size() <= 63")
        .message("metadata.name must hold no dots and at most 63 characters: it begins the names of its promotions")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.steps) || self.environments.all(e, has(e.steps))")
    .message("set steps, or give every environment steps of its own"))]
pub struct PromotionPolicySpec {
    /// `Observe` judges and reports and runs nothing; `Enforce` promotes. Unset: Observe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// While true nothing is read or written outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// How often everything is looked at again without a reason; unset: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::interval")]
    pub interval: Option<Duration>,
    /// Where changes come from.
    pub gerrit: PolicyGerrit,
    /// What a change must have behind it.
    pub gate: Gate,
    /// What is done, in order; the same in every environment that has no steps of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = shapes::STEPS))]
    #[x_kube(validation = shapes::distinct_steps())]
    #[x_kube(validation = shapes::earlier_versions())]
    pub steps: Option<Vec<PolicyStep>>,
    /// Where changes go.
    #[schemars(length(min = 1, max = shapes::ENVIRONMENTS))]
    #[x_kube(validation = shapes::distinct_environments())]
    #[x_kube(validation = shapes::distinct_branches())]
    #[x_kube(validation = shapes::known_requires())]
    pub environments: Vec<PolicyEnvironment>,
    /// How much is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

/// The project whose merged changes are promoted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyGerrit {
    /// The server.
    pub connection_ref: ConnectionRef,
    /// Full name of the project.
    #[schemars(schema_with = "schema::project")]
    #[x_kube(validation = Rule::new("!self.contains('..')").message("must hold no .., which no project name may"))]
    pub project: String,
    /// A change that touches none of these starts no promotion; all that merged is judged and uploaded all the same.
    /// `*` and `?` stay within a folder, `**` as a whole part does not. Unset: every change starts one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::tree_patterns")]
    pub paths: Option<Vec<String>>,
}

/// How the rule stands in Gerrit itself: `Managed` writes it there, so that reviewers see it; `Existing` only reads
/// what is there. Unset: Managed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SubmitRequirements {
    Managed,
    Existing,
}

/// What a change must have behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Whether submit requirements that say the same are written into Gerrit. Unset: Managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submit_requirements: Option<SubmitRequirements>,
    /// Humans who said yes and neither own, uploaded, wrote nor committed it.
    pub approval: GateApproval,
    /// The check that found it sound.
    pub verification: GateVerification,
    /// When a change counts as an agent's, and what it then needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<GateAgents>,
    /// Service users whose changes to some files are held to no more than those of people. Unset: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = shapes::AUTOMATIONS))]
    pub trusted_automation: Option<Vec<TrustedAutomation>>,
    /// Submit requirements that may have been overridden. Unset: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::requirements")]
    pub allow_overridden: Option<Vec<String>>,
}

/// Votes by people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateApproval {
    /// The label, as `Code-Review`; only its highest vote counts.
    #[schemars(schema_with = "schema::label")]
    pub label: String,
    /// Distinct people; unset: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub count: Option<i32>,
    /// The Gerrit group they are in.
    #[schemars(schema_with = "schema::name")]
    pub group: String,
}

/// The vote of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateVerification {
    /// The label, as `Verified`; only its highest vote counts.
    #[schemars(schema_with = "schema::label")]
    pub label: String,
    /// The Gerrit group of the accounts that may cast it.
    #[schemars(schema_with = "schema::name")]
    pub group: String,
}

/// Changes that agents made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateAgents {
    /// Accounts of agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = shapes::AGENTS))]
    pub identities: Option<Vec<AgentIdentity>>,
    /// Footers that say so, as `Assisted-by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::footers")]
    pub footers: Option<Vec<String>>,
    /// The footer that names the human who asked for it, as `Requested-by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::footer")]
    pub requester_footer: Option<String>,
    /// Distinct humans who must have approved such a change; unset: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub count: Option<i32>,
}

/// Accounts of agents, and the people who may set them to work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentIdentity {
    /// The Gerrit group of the agents' accounts.
    #[schemars(schema_with = "schema::name")]
    pub group: String,
    /// The Gerrit group of their sponsors. A sponsor's own vote counts only if a footer names another requester.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub sponsors: Option<String>,
}

/// A service user that is trusted with some files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustedAutomation {
    /// Its user name in Gerrit.
    #[schemars(schema_with = "schema::user")]
    pub account: String,
    /// The files; a change that touches any other is not covered.
    #[schemars(schema_with = "shapes::tree_patterns")]
    pub paths: Vec<String>,
    /// Why, for the record.
    #[schemars(schema_with = "schema::sentence")]
    pub reason: String,
}

/// What becomes of finished steps when one fails: `Rollback` undoes them and holds the environment, `Hold` just holds.
/// Unset: Hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    Rollback,
    Hold,
}

/// What an unexplained run or write does: `Hold` stops further promotions, `Report` shows it. Unset: Hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnUnexplained {
    Report,
    Hold,
}

/// One place that changes go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyEnvironment {
    /// Its name, without dots.
    #[schemars(schema_with = "shapes::environment")]
    pub name: String,
    /// Short name of the branch whose merges go there.
    #[schemars(schema_with = "shapes::branch")]
    pub branch: String,
    /// The workspace.
    pub databricks: PolicyDatabricks,
    /// Whom everything there runs as.
    pub run_as: RunAs,
    /// What `${env.<name>}` stands for there. Names are letters, digits, `_` and `-`, beginning with a letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::values")]
    pub variables: Option<BTreeMap<String, String>>,
    /// The commit at which the history that must be explained begins. Unset: the tip at first sight, which is
    /// recorded and not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::commit")]
    pub baseline: Option<String>,
    /// Environments in which a change must have succeeded before. Unset: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = shapes::REQUIRES))]
    pub requires: Option<Vec<Requirement>>,
    /// When promotions may begin. Unset: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<WindowTexts>,
    /// Unset: Hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Unset: Hold. An unexplained commit refuses whatever stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unexplained: Option<OnUnexplained>,
    /// Steps of its own, instead of the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = shapes::STEPS))]
    #[x_kube(validation = shapes::distinct_steps())]
    #[x_kube(validation = shapes::earlier_versions())]
    pub steps: Option<Vec<PolicyStep>>,
}

/// The workspace of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDatabricks {
    /// Its connection.
    pub connection_ref: ConnectionRef,
}

/// The identity of what runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunAs {
    /// Application id of a service principal, a UUID; not the numeric id.
    #[schemars(schema_with = "schema::uuid")]
    pub application_id: String,
}

/// An environment that comes before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// Another environment of this policy.
    #[schemars(schema_with = "shapes::environment")]
    pub environment: String,
    /// How long its success must have stood; unset: no time at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::soak")]
    pub soak: Option<Duration>,
}

/// How much is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Ended Promotion objects of each environment; unset: 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep: Option<i32>,
    /// Directories of code of each environment; unset: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub directories: Option<i32>,
}
