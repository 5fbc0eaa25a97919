//! Outside systems as rows and as facts, how connections lead to them, and what can go wrong there.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::condition::Reason;
use crate::domain::access::directory::Directory;
use crate::domain::access::drift::Deed;
use crate::domain::access::grant::{Principal, System, Target};
use crate::domain::access::labels::Labels;
use crate::domain::access::observed::{Located, Named, Observed};
use crate::domain::hint::Hint;
use crate::domain::pace::Allowance;
use crate::domain::plan::Change;

/// When it makes sense to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// With backoff: the fault is likely to pass.
    RetrySoon,
    /// Not before this time: the system said so.
    RetryAt(Timestamp),
    /// Not until the object or something it refers to changes.
    WaitForChange,
    /// At the interval: only people elsewhere can mend it.
    WaitSlow,
}

/// What went wrong in an outside system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SystemErrorKind {
    /// The credential was refused (401), or could not be had.
    Unauthorized,
    /// The identity lacks a right (403).
    Forbidden,
    /// Missing or invisible (404).
    NotFound,
    /// The system refuses what was asked (400, 409, 422): trying again changes nothing.
    Refused,
    /// The world moved between reading and writing (etag, lock): read again, plan again.
    Stale,
    /// 429, 503 with Retry-After, `REQUEST_LIMIT_EXCEEDED`, or our own budget.
    Throttled,
    /// No connection, no answer in time, or the breaker is open; nothing was sent or the call only reads.
    Unreachable,
    /// A write was sent and its outcome is unknown: look before anything else is done.
    OutcomeUnknown,
    /// HTML, garbage, a login page, or a body beyond the limit.
    BadAnswer,
    /// No permit: this replica does not lead, or its lease ends before the deadline.
    NoPermit,
    /// The connection itself is unusable: Secret missing, host mismatch, host refused.
    Connection(Reason),
}

/// An outside system did not do what was asked. Names the system, the call and what to change; never a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{system}: {message}")]
pub struct SystemError {
    /// Canonical address of the system, or the host while that is unknown.
    pub system: String,
    pub kind: SystemErrorKind,
    /// One sentence with method, path, status and the trimmed, redacted answer.
    pub message: String,
    /// When the system asked to be left alone until.
    pub retry_at: Option<Timestamp>,
    /// Of a write in several calls some were already done, or something was left that may still take effect.
    pub partly: bool,
}

impl SystemError {
    pub fn new(system: impl Into<String>, kind: SystemErrorKind, message: impl Into<String>) -> Self {
        Self {
            system: system.into(),
            kind,
            message: message.into(),
            retry_at: None,
            partly: false,
        }
    }

    /// Says that a part of the write is done, or may still take effect.
    #[must_use]
    pub fn partly(mut self) -> Self {
        self.partly = true;
        self
    }

    /// When to come back: a pure function of what went wrong.
    pub fn class(&self) -> ErrorClass {
        if let Some(at) = self.retry_at {
            return ErrorClass::RetryAt(at);
        }
        match &self.kind {
            SystemErrorKind::Throttled
            | SystemErrorKind::Unreachable
            | SystemErrorKind::OutcomeUnknown
            | SystemErrorKind::Stale
            | SystemErrorKind::NoPermit => ErrorClass::RetrySoon,
            SystemErrorKind::Unauthorized
            | SystemErrorKind::Forbidden
            | SystemErrorKind::NotFound
            | SystemErrorKind::BadAnswer => ErrorClass::WaitSlow,
            SystemErrorKind::Refused | SystemErrorKind::Connection(_) => ErrorClass::WaitForChange,
        }
    }

    /// The condition reason that shows it.
    pub fn reason(&self) -> Reason {
        match &self.kind {
            SystemErrorKind::Unauthorized => Reason::Unauthorized,
            SystemErrorKind::Forbidden => Reason::Forbidden,
            SystemErrorKind::NotFound => Reason::NotFound,
            SystemErrorKind::Refused => Reason::Refused,
            SystemErrorKind::Stale => Reason::Progressing,
            SystemErrorKind::Throttled => Reason::Throttled,
            SystemErrorKind::Unreachable | SystemErrorKind::OutcomeUnknown => Reason::Unreachable,
            SystemErrorKind::BadAnswer => Reason::BadAnswer,
            SystemErrorKind::NoPermit => Reason::LeaseLost,
            SystemErrorKind::Connection(reason) => *reason,
        }
    }
}

/// What a write came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The change's target as it was planned.
    pub planned: Target,
    /// The target as it is now: a created group has an id.
    pub target: Target,
}

/// One outside system as rows. Readings come from shared snapshots: `fresh` asks for one not begun before that
/// time. Reading never writes; `apply` takes nothing but planned changes.
#[async_trait]
pub trait AccessSystem: Send + Sync {
    /// Everybody the system knows.
    async fn directory(&self, system: &System, fresh: Timestamp) -> Result<Arc<Directory>, SystemError>;

    /// What a user's words mean.
    async fn locate(&self, named: &Named, fresh: Timestamp) -> Result<Located, SystemError>;

    /// What a target holds. A target that provably does not exist is an absent observation, not an error.
    async fn observe(&self, target: &Target, fresh: Timestamp) -> Result<Arc<Observed>, SystemError>;

    /// Writes changes that share one [`Target::write_unit`], additions before removals unless a privilege shrinks,
    /// and re-reads nothing but what it must. What was written is invalid in every snapshot begun before.
    async fn apply(&self, changes: &[&Change]) -> Result<Vec<Applied>, SystemError>;

    /// Labels on which changes to a ref's project are voted, with their values; `None`: none there, or not told.
    async fn labels(&self, _on: &Target, _fresh: Timestamp) -> Result<Option<Arc<Labels>>, SystemError> {
        Ok(None)
    }

    /// Who last did this to members of a group, as people call them; whom the system does not name is left out. For
    /// people to read: nothing is decided by it.
    async fn who(
        &self,
        _group: &Target,
        _members: &[(Principal, Deed)],
    ) -> Result<BTreeMap<Principal, String>, SystemError> {
        Ok(BTreeMap::new())
    }

    /// What was read until now of what a hint names counts no longer: whoever asks next, for however old a reading,
    /// gets one begun after this. Nothing is read here.
    fn distrust(&self, _hint: &Hint) {}
}

/// A connection by kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionKey {
    pub kind: ConnectionKind,
    pub namespace: String,
    pub name: String,
}

/// The kinds of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConnectionKind {
    Gerrit,
    Databricks,
}

impl ConnectionKind {
    /// The kind as manifests spell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gerrit => "GerritConnection",
            Self::Databricks => "DatabricksConnection",
        }
    }

    /// The kind that manifests spell so.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Gerrit, Self::Databricks]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

impl std::fmt::Display for ConnectionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.word(), self.namespace, self.name)
    }
}

/// Opens the systems behind connections. Clients are shared: two objects with one connection have one budget.
#[async_trait]
pub trait Systems: Send + Sync {
    async fn open(&self, connection: &ConnectionKey) -> Result<Arc<dyn AccessSystem>, SystemError>;
}

/// What a connection's probe found: the facts its status shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probe {
    /// Fields for the connection's status, as JSON without `conditions` and `observedGeneration`.
    pub status: serde_json::Value,
    /// What the identity lacks for what Lockstep does, one sentence each.
    pub lacks: Vec<String>,
    /// What the system may be asked a minute.
    pub allowance: Allowance,
}

/// Asks a connection's system who it is, whom we are there and what we may do.
#[async_trait]
pub trait Probes: Send + Sync {
    async fn probe(&self, connection: &ConnectionKey) -> Result<Probe, SystemError>;
}
