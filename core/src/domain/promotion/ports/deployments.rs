//! What the steps of a promotion need of the outside: one trait per kind of step, each with the same moves (read what
//! undoes it, act under the key of one try, look, put back), and the witness for completeness. What an answer means to
//! the machine is decided here once, so that every adapter and controller reads it alike.
//!
//! Looking writes nothing. A write whose answer is lost is an error of kind `OutcomeUnknown`; it is looked for by name
//! and never blindly repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::holders::Holders;
use crate::domain::ports::{ConnectionKey, SystemError, SystemErrorKind};
use crate::domain::promotion::code::tree::TreeEntry;
use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId, TreeId};
use crate::domain::promotion::machine::attempt::{IdempotencyToken, PromotionName, StepName, Subject};
use crate::domain::promotion::machine::state::{Failure, FailureKind, Words};
use crate::domain::promotion::machine::steps::Seen;
use crate::domain::promotion::proof::completeness::{Occurrence, Runs, Unseen};
use crate::domain::promotion::proof::provenance::{ModelVersion, PolicyRun};

/// Why a step did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// The step fails, or would do what it must not; trying again changes nothing.
    #[error("{}", .0.message)]
    Fails(Failure),
    /// The system did not do, or say, what was asked.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl DeployError {
    pub fn fails(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Fails(Failure::new(kind, message))
    }

    /// What preparing or writing came to. Only a refusal in the system's own words counts as one.
    pub fn of_write(self) -> Seen {
        match self {
            Self::Fails(why) => Seen::Refused(why),
            Self::System(error) => match error.kind {
                SystemErrorKind::Refused | SystemErrorKind::Forbidden | SystemErrorKind::NotFound => {
                    Seen::Refused(Failure::new(FailureKind::Refused, error.to_string()))
                }
                _ => Seen::Unknown,
            },
        }
    }

    /// What looking came to: what could not be read says nothing.
    pub fn of_look(self) -> Seen {
        match self {
            Self::Fails(why) => Seen::Failed(why),
            Self::System(_) => Seen::Unknown,
        }
    }
}

/// How far a step is under the key of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Absent,
    /// With what is known so far, as a run's id and link.
    Going(Words),
    /// With what later steps, a rollback and the record need.
    Succeeded(Words),
    Failed(Failure),
}

impl From<Progress> for Seen {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::Absent => Self::Absent,
            Progress::Going(_) => Self::Going,
            Progress::Succeeded(outputs) => Self::Succeeded(outputs),
            Progress::Failed(why) => Self::Failed(why),
        }
    }
}

/// Whether what was saved is in place again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restoration {
    Undone,
    NotUndone,
    /// Another hand has moved it since; it is left as it is.
    TakenByOthers(String),
}

impl From<Restoration> for Seen {
    fn from(restoration: Restoration) -> Self {
        match restoration {
            Restoration::Undone => Self::Undone,
            Restoration::NotUndone => Self::NotUndone,
            Restoration::TakenByOthers(who) => Self::TakenByOthers(who),
        }
    }
}

/// Under what one try of one step acts, and what its traces outside are labelled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub promotion: PromotionName,
    pub change: ChangeNumber,
    pub revision: CommitId,
    pub token: IdempotencyToken,
    /// When this try was announced: no trace of it is older.
    pub since: Timestamp,
}

impl Key {
    pub fn new(
        promotion: &PromotionName,
        subject: &Subject,
        step: &StepName,
        attempt: u32,
        since: Timestamp,
    ) -> Self {
        Self {
            promotion: promotion.clone(),
            change: subject.change,
            revision: subject.revision.clone(),
            token: subject.token(step, attempt),
            since,
        }
    }
}

/// The words by which steps pass things on, and under which status and record keep them.
pub mod words {
    /// Canonical address of what was done, as completeness counts it.
    pub const ADDRESS: &str = "address";
    /// Absolute path of the directory that files lie in.
    pub const DIRECTORY: &str = "directory";
    /// `sha256:<hex>` of the manifest as it lies in the directory.
    pub const MANIFEST: &str = "manifest";
    /// How things stood before: `absent`, `begun`, `complete`.
    pub const WAS: &str = "was";
    /// Id of a job.
    pub const JOB: &str = "job";
    /// A job's settings as JSON.
    pub const SETTINGS: &str = "settings";
    /// Id of a run.
    pub const RUN: &str = "run";
    /// The page that shows it to people.
    pub const LINK: &str = "link";
    /// RFC 3339.
    pub const STARTED: &str = "started";
    /// RFC 3339.
    pub const ENDED: &str = "ended";
    /// Full name of a model.
    pub const MODEL: &str = "model";
    pub const ALIAS: &str = "alias";
    /// Number of a model version; empty: none.
    pub const VERSION: &str = "version";
    /// Name of a serving endpoint.
    pub const ENDPOINT: &str = "endpoint";
    /// A serving endpoint's configuration as JSON; empty: none.
    pub const CONFIG: &str = "config";
    /// Which failed update was there before: milliseconds since the epoch; empty: none.
    pub const FAILED_UPDATE: &str = "failedUpdate";
}

/// The run that a job step's outputs speak of.
pub fn run_of(outputs: &Words, promotion: &PromotionName, run_as: &str) -> Option<PolicyRun> {
    Some(PolicyRun {
        run: outputs.get(words::RUN)?.clone(),
        promotion: promotion.clone(),
        run_as: run_as.to_owned(),
        started: outputs.get(words::STARTED)?.parse().ok()?,
        ended: Some(outputs.get(words::ENDED)?.parse().ok()?),
    })
}

/// The tree of a commit, one entry after the other in no order, so that never more than a few are in memory.
#[async_trait]
pub trait Tree: Send {
    async fn next(&mut self) -> Result<Option<TreeEntry>, SystemError>;
}

/// A tree into a directory of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilesStep {
    /// Absolute path, expressions expanded; one per revision.
    pub directory: String,
    pub revision: CommitId,
    pub tree: TreeId,
}

/// Directories of code. One is begun by a manifest that says so, and is whole when its manifest says so.
#[async_trait]
pub trait Files: Send + Sync {
    /// Fails where something stands there that we did not put there, or that is another tree.
    async fn prepare(&self, step: &FilesStep) -> Result<Words, DeployError>;
    /// Uploads the whole tree, the manifest last. Acting again puts the same there again. Fails on an entry that cannot
    /// be deployed as it is, naming it.
    async fn act(&self, key: &Key, step: &FilesStep, tree: &mut dyn Tree) -> Result<(), DeployError>;
    async fn observe(&self, step: &FilesStep) -> Result<Progress, DeployError>;
    /// Deletes the directory unless it was there before.
    async fn undo(&self, step: &FilesStep, undo: &Words) -> Result<(), DeployError>;
    async fn undone(&self, step: &FilesStep, undo: &Words) -> Result<Restoration, DeployError>;
    /// Reads everything again: fails with `CodeTampered` unless it is exactly what the outputs speak of.
    async fn verify(&self, outputs: &Words) -> Result<(), DeployError>;
    /// Those that stand there whole.
    async fn standing(&self, directories: &BTreeSet<String>) -> Result<BTreeSet<String>, DeployError>;
    /// Deletes a directory of ours; one that is gone is deleted. Fails where it is none of ours.
    async fn delete(&self, directory: &str) -> Result<(), DeployError>;
}

/// A job that is made or set from reviewed settings, and run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStep {
    /// Unique in the workspace.
    pub name: String,
    /// The id that the name meant when it was first seen.
    pub pinned: Option<String>,
    /// Settings as [`crate::domain::promotion::code::definition::settings`] makes them, or as the record has them; `None`: the job must already
    /// run this step's files.
    pub settings: Option<Value>,
    /// Application id of the identity it must run as.
    pub run_as: String,
    /// Where the code lies, if a step before uploaded any.
    pub directory: Option<String>,
    /// The deployed commit: what a Git source must be pinned to.
    pub revision: CommitId,
    /// Values of job parameters.
    pub parameters: BTreeMap<String, String>,
    /// Whether it is run now, or left to its schedule.
    pub run: bool,
    /// Whether `SUCCESS_WITH_FAILURES` is success.
    pub accept_failures: bool,
}

/// Jobs and their runs.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Saves the job's settings. Fails where two jobs bear the name, or the name has come to mean another job.
    async fn prepare(&self, step: &JobStep) -> Result<Words, DeployError>;
    /// Sets the job and starts one run under the key's token. Fails with `JobRunsOtherCode` where the job would run
    /// anything but the step's files.
    async fn act(&self, key: &Key, step: &JobStep, undo: &Words) -> Result<(), DeployError>;
    async fn observe(&self, key: &Key, step: &JobStep) -> Result<Progress, DeployError>;
    /// Asks the run of this key to end; it is seen to end later. A run is never repaired.
    async fn stop(&self, key: &Key, step: &JobStep) -> Result<(), DeployError>;
    /// Cancels what still runs for the promotion and puts the settings back; a job that was made is deleted.
    async fn undo(&self, promotion: &PromotionName, step: &JobStep, undo: &Words) -> Result<(), DeployError>;
    async fn undone(
        &self,
        promotion: &PromotionName,
        step: &JobStep,
        undo: &Words,
    ) -> Result<Restoration, DeployError>;
}

/// An alias that is to point at a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AliasStep {
    /// `catalog.schema.model`
    pub model: String,
    pub alias: String,
    pub version: u64,
}

/// Registered models.
#[async_trait]
pub trait Models: Send + Sync {
    /// Saves where the alias points. Fails where the model is not there.
    async fn prepare(&self, step: &AliasStep) -> Result<Words, DeployError>;
    /// Moves the alias. Fails where it no longer points where it did when that was saved.
    async fn act(&self, step: &AliasStep, undo: &Words) -> Result<(), DeployError>;
    async fn observe(&self, step: &AliasStep, undo: &Words) -> Result<Progress, DeployError>;
    async fn undo(&self, step: &AliasStep, undo: &Words) -> Result<(), DeployError>;
    async fn undone(&self, step: &AliasStep, undo: &Words) -> Result<Restoration, DeployError>;
    /// All versions, with the maker that the server names.
    async fn versions(&self, model: &str) -> Result<Vec<ModelVersion>, DeployError>;
    /// One version; `None`: it is not there.
    async fn version(&self, model: &str, version: u64) -> Result<Option<ModelVersion>, DeployError>;
}

/// A serving endpoint that is to serve a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStep {
    pub name: String,
    pub served_entity: String,
    /// `catalog.schema.model`
    pub entity: String,
    pub version: u64,
    /// Percent of the traffic, 0 to 100; the others keep their proportions.
    pub traffic: u8,
    /// A whole configuration as the record has it, instead of this one entity in the present one.
    pub config: Option<Value>,
}

/// Serving endpoints. The old configuration serves until the new one is ready.
#[async_trait]
pub trait Endpoints: Send + Sync {
    /// Saves the whole configuration. Fails where the endpoint is not there.
    async fn prepare(&self, step: &EndpointStep) -> Result<Words, DeployError>;
    /// Begins the update. Fails where the configuration is no longer the saved one.
    async fn act(&self, step: &EndpointStep, undo: &Words) -> Result<(), DeployError>;
    async fn observe(&self, step: &EndpointStep, undo: &Words) -> Result<Progress, DeployError>;
    async fn undo(&self, step: &EndpointStep, undo: &Words) -> Result<(), DeployError>;
    async fn undone(&self, step: &EndpointStep, undo: &Words) -> Result<Restoration, DeployError>;
}

/// What happened, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Population {
    pub occurrences: Vec<Occurrence>,
    pub unseen: Vec<Unseen>,
}

/// The whole population that completeness counts, not only what a promotion began.
#[async_trait]
pub trait Witness: Send + Sync {
    /// Runs as one of these identities (application ids) that began in a time range, both ends included. One listing
    /// for all identities, whatever ran.
    async fn runs(
        &self,
        identities: &BTreeSet<String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Runs, DeployError>;
    /// Versions of a model made in a time range, and where these aliases of it point now.
    async fn model(
        &self,
        model: &str,
        aliases: &BTreeSet<String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Population, DeployError>;
    /// What an endpoint serves now, and what it is being changed to.
    async fn endpoint(&self, name: &str) -> Result<Population, DeployError>;
    /// Everything that stands directly below a governed folder and whose name fits, with `*` for any letters.
    async fn files(&self, folder: &str, name: &str) -> Result<Population, DeployError>;
}

/// One connection's system, as promotions see it.
pub trait Deployment: Send + Sync {
    fn files(&self) -> &dyn Files;
    fn jobs(&self) -> &dyn Jobs;
    fn models(&self) -> &dyn Models;
    fn endpoints(&self) -> &dyn Endpoints;
    fn witness(&self) -> &dyn Witness;
    fn holders(&self) -> &dyn Holders;
}

/// Opens deployments. They share clients and budgets with everything else of their connection.
#[async_trait]
pub trait Deployments: Send + Sync {
    async fn open(&self, connection: &ConnectionKey) -> Result<Arc<dyn Deployment>, SystemError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_systems_own_refusal_is_one() {
        let of = |kind| DeployError::from(SystemError::new("here", kind, "no")).of_write();
        assert!(matches!(of(SystemErrorKind::Forbidden), Seen::Refused(_)));
        for kind in [
            SystemErrorKind::OutcomeUnknown,
            SystemErrorKind::Throttled,
            SystemErrorKind::Unreachable,
            SystemErrorKind::NoPermit,
            SystemErrorKind::BadAnswer,
        ] {
            assert_eq!(of(kind), Seen::Unknown);
        }
        let unread = DeployError::from(SystemError::new("here", SystemErrorKind::NotFound, "no"));
        assert_eq!(unread.of_look(), Seen::Unknown);
    }
}
