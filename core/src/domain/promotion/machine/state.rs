//! The state of one promotion, as its status keeps it. What stands here is written before the effect it announces, so
//! that whoever comes after a crash finds either the effect or the announcement of it, never an effect unannounced.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attempt::{PromotionName, StepName, Subject};

/// Words that a step keeps for later: outputs for the next steps, or what undoes it.
pub type Words = BTreeMap<String, String>;

/// What becomes of finished steps when one fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OnFailure {
    Rollback,
    Hold,
}

/// How a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FailureKind {
    /// A fault of the service (`INTERNAL_ERROR`): tried again.
    InternalError,
    /// A fault of the cloud below it (`CLOUD_FAILURE`): tried again.
    CloudFailure,
    /// The run itself failed, or somebody else stopped it.
    Failed,
    /// The system refused what was asked; nothing was done.
    Refused,
    /// It outlived its time and was stopped.
    TimedOut,
    /// A person cancelled the promotion.
    Cancelled,
    /// A directory's hashes changed between upload and end of the run.
    CodeTampered,
    /// The job would run, or ran, something else than this promotion's files.
    JobRunsOtherCode,
    /// A version whose making nobody reviewed.
    UnreviewedModel,
}

impl FailureKind {
    /// Whether another try may help.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::InternalError | Self::CloudFailure)
    }
}

/// Why a step, and with it the promotion, failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// What this pass has learnt about an effect. Not kept: after a crash it is learnt again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Look {
    /// Not looked yet in this pass.
    #[default]
    Not,
    /// Looked: not there.
    Absent,
    /// Looked: it goes on.
    Going,
    /// Sent, or not to be seen for now: the next pass looks.
    Later,
}

/// Where one step stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepState {
    Pending,
    /// What undoes it is saved; nothing was done.
    Prepared,
    /// It acts under the token of this try.
    #[serde(rename_all = "camelCase")]
    Acting {
        /// From 1.
        attempt: u32,
        /// When this try was announced, or first sent: its time counts from there.
        since: Timestamp,
        /// When the call that begins it was last sent; `None`: never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<Timestamp>,
        #[serde(skip)]
        look: Look,
    },
    /// It is to stop, because of this.
    #[serde(rename_all = "camelCase")]
    Stopping {
        attempt: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<Timestamp>,
        why: Failure,
        #[serde(skip)]
        look: Look,
    },
    Done,
    /// It failed; it may have done half.
    Failed(Failure),
    /// It is taken back.
    Undoing {
        /// When it was first put back; `None`: never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
        #[serde(skip)]
        look: Look,
    },
    Undone,
    /// It could not be taken back, because of this.
    NotUndone(String),
}

/// One step with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub name: StepName,
    /// Seconds that one try may take, and undoing it as well.
    pub timeout: u64,
    /// Tries, the first included.
    pub attempts: u32,
    pub state: StepState,
    /// What undoes it, saved before it first acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Words>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: Words,
}

impl Step {
    pub fn new(name: StepName, timeout: u64, attempts: u32) -> Self {
        Self {
            name,
            timeout,
            attempts,
            state: StepState::Pending,
            undo: None,
            outputs: Words::new(),
        }
    }
}

/// How a promotion ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum End {
    Succeeded,
    /// With `left` empty everything was undone; else each step that still shows, and why.
    #[serde(rename_all = "camelCase")]
    Failed {
        why: Failure,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        left: BTreeMap<StepName, String>,
    },
    /// The gate refused it; nothing was done.
    Refused,
    /// A newer one took its place; nothing was done.
    Superseded(PromotionName),
    /// Cancelled before anything was done.
    Cancelled,
}

impl End {
    /// Whether it ended before it did anything.
    pub fn without_effect(&self) -> bool {
        matches!(self, Self::Refused | Self::Superseded(_) | Self::Cancelled)
    }
}

/// Where a promotion stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Judged, or waiting to be; nothing was done.
    Waiting,
    /// Its steps go forward.
    Running,
    /// Its steps go back, because of this.
    Undoing(Failure),
    Ended(End),
}

/// One attempt to bring one commit to one environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    pub name: PromotionName,
    pub subject: Subject,
    pub on_failure: OnFailure,
    pub phase: Phase,
    /// As the policy had them when it began; later edits concern later promotions.
    pub steps: Vec<Step>,
}

impl Promotion {
    /// Whether its steps have begun and not come to an end.
    pub fn acts(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Undoing(_))
    }

    pub fn ended(&self) -> Option<&End> {
        match &self.phase {
            Phase::Ended(end) => Some(end),
            _ => None,
        }
    }
}
