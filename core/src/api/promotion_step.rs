//! The steps that bring a revision to an environment, as policies write them.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::Duration;
use super::{promotion_shapes as shapes, schema};

/// One step. Exactly one of the kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::exactly_one(&["files", "job", "modelAlias", "servingEndpoint"]))]
pub struct PolicyStep {
    /// Its name within the environment, without dots.
    #[schemars(schema_with = "shapes::step_name")]
    pub name: String,
    /// Puts the tree of the deployed commit into a directory of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<PolicyFiles>,
    /// Creates or resets a job, and runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<PolicyJob>,
    /// Points an alias of a registered model at a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_alias: Option<PolicyModelAlias>,
    /// Lets a serving endpoint serve a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_endpoint: Option<PolicyServingEndpoint>,
}

/// The tree of the deployed commit, whole, with a manifest of hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyFiles {
    /// The directory, below `/Workspace` and one for every `${revision}`.
    #[schemars(schema_with = "shapes::workspace_directory")]
    pub path: String,
}

/// What a rollback does with a job: `Skip` puts its definition back, `Run` runs it as well. Unset: Skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnRollback {
    /// Put its definition back and do not run it.
    Skip,
    /// Put its definition back and run it, as a smoke test wants.
    Run,
}

/// A job from reviewed settings, and its run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.run) || self.run || (!has(self.jobParameters) && !has(self.onRollback) && !has(self.acceptFailures))")
    .message("jobParameters, onRollback and acceptFailures are about a run: leave them out, or leave out run: false"))]
pub struct PolicyJob {
    /// The job's name, unique in the workspace.
    #[schemars(schema_with = "schema::short_name")]
    pub name: String,
    /// File of the reviewed tree that holds the body of Jobs `create` as YAML. Unset: the job must already run
    /// exactly this revision's files as exactly `runAs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::tree_path")]
    pub definition: Option<String>,
    /// Values of job parameters; expressions are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::parameters")]
    pub job_parameters: Option<BTreeMap<String, String>>,
    /// Whether it is run now, or left to its schedule. Unset: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<bool>,
    /// What a rollback does with it. Unset: Skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_rollback: Option<OnRollback>,
    /// Whether a run that ends as `SUCCESS_WITH_FAILURES` has succeeded. Unset: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_failures: Option<bool>,
    /// How long one run may take before it is cancelled, and undoing it as well; between 1s and 7d. Unset: 2h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::step_timeout")]
    pub timeout: Option<Duration>,
    /// Runs, the first included; again only after a fault of the service or of the cloud below it. Unset: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub attempts: Option<i32>,
}

/// Where a version comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionSource {
    /// An earlier step: of a job the one version that its run created, of a modelAlias the version it set.
    #[schemars(schema_with = "shapes::step_name")]
    pub from_step: String,
}

/// An alias of a registered model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyModelAlias {
    /// Full name, as `${env.catalog}.fraud.scorer`.
    #[schemars(schema_with = "shapes::expression")]
    pub model: String,
    /// As `champion`.
    #[schemars(schema_with = "shapes::alias")]
    pub alias: String,
    /// The version it is to point at.
    pub version: VersionSource,
}

/// One served entity of a serving endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyServingEndpoint {
    /// The endpoint's name; it must be there.
    #[schemars(schema_with = "schema::short_name")]
    pub name: String,
    /// The served entity's name within the endpoint.
    #[schemars(schema_with = "schema::short_name")]
    pub served_entity_name: String,
    /// Full name of the model, as `${env.catalog}.fraud.scorer`.
    #[schemars(schema_with = "shapes::expression")]
    pub entity_name: String,
    /// The version it is to serve.
    pub entity_version: VersionSource,
    /// Percent of the traffic, 0 to 100; the other entities keep their proportions.
    #[schemars(range(min = 0, max = 100))]
    pub traffic_percentage: i32,
    /// How long an update may take, and undoing it as well; between 1s and 7d. Unset: 2h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::step_timeout")]
    pub timeout: Option<Duration>,
}
