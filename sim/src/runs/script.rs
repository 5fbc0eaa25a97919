//! What tests prescribe: how the next runs of a job, or the next updates of an endpoint, go. Set through
//! `POST /_sim/scripts`; a run takes the first script that names its job and is not used up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::state::runs::End;
use crate::state::{Scope, State};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Script {
    /// Name or id of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Name of the serving endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Unset: of any workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<u64>,
    /// How many runs or updates follow it; unset: one.
    pub times: Option<u64>,
    /// How they end; unset: as they do without a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Outcome>,
    /// The task that brings the result about; unset: the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Seconds that each task, or the update, takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Tasks, or the update, do not end before `POST /_sim/scripts/release`.
    pub hold: bool,
    /// Why it ended so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Model versions that come to be when the task ends well.
    pub registers: Vec<Registration>,
    /// Fields of the job's settings that change when the run begins, after its tasks were fixed.
    pub edits: Map<String, Value>,
    /// Workspace files that change when the run begins: path to text, or to null to delete it.
    pub files: BTreeMap<String, Option<String>>,
    /// The commit that a Git source is reported to have used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_commit: Option<String>,
    #[serde(skip_deserializing)]
    pub used: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Registration {
    /// `catalog.schema.model`; made, and owned by who registers, if it is not there.
    pub model: String,
    /// The task that registers; unset: the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Who registers; unset: who the run runs as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The MLflow run that the version names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    pub tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    Success,
    Failed,
    #[serde(rename = "TIMEDOUT")]
    TimedOut,
    Canceled,
    InternalError,
    CloudFailure,
    SuccessWithFailures,
}

impl Outcome {
    pub fn end(self) -> End {
        match self {
            Self::Success => End::Success,
            Self::Failed => End::Failed,
            Self::TimedOut => End::TimedOut,
            Self::Canceled => End::Canceled,
            Self::InternalError => End::InternalError,
            Self::CloudFailure => End::CloudFailure,
            Self::SuccessWithFailures => End::SuccessWithFailures,
        }
    }
}

impl Script {
    /// Milliseconds that a task or an update takes under it.
    pub fn pace(&self, default: i64) -> i64 {
        self.seconds.map_or(default, crate::settings::milliseconds)
    }

    fn is_for(&self, workspace: u64, job: Option<(&str, u64)>, endpoint: Option<&str>) -> bool {
        let used_up = self.used >= self.times.unwrap_or(1);
        let here = self.workspace.is_none_or(|wanted| wanted == workspace);
        let wanted = match (&self.job, &self.endpoint) {
            (Some(wanted), None) => job.is_some_and(|(name, id)| wanted == name || *wanted == id.to_string()),
            (None, Some(wanted)) => endpoint == Some(wanted),
            _ => false,
        };
        wanted && here && !used_up
    }
}

/// The script for a new run of a job, or for an update of an endpoint; uses it once.
pub fn take(state: &mut State, workspace: u64, job: Option<(&str, u64)>, endpoint: Option<&str>) -> Script {
    state
        .runs
        .scripts
        .iter_mut()
        .find(|script| script.is_for(workspace, job, endpoint))
        .map(|script| {
            script.used += 1;
            script.clone()
        })
        .unwrap_or_default()
}

/// The principal a registration acts as.
pub fn author(state: &State, registration: &Registration, run_as: u64) -> u64 {
    registration
        .by
        .as_deref()
        .and_then(|name| {
            let directory = &state.directory;
            directory
                .user_named(name)
                .map(|user| user.id)
                .or_else(|| directory.application(name).map(|sp| sp.id))
                .or_else(|| directory.group_named(Scope::Account, name).map(|group| group.id))
        })
        .unwrap_or(run_as)
}
