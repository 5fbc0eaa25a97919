//! The traits the outside must offer, and the classes of what can go wrong there. Adapters implement them,
//! controllers and queries know nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::access::directory::Directory;
use super::access::drift::Deed;
use super::access::grant::{Principal, System, Target};
use super::access::labels::Labels;
use super::access::observed::{Located, Named, Observed};
use super::access::pins::Pin;
use super::access::trust::Through;
use super::pace::Allowance;
use super::plan::{Change, EffectDigest};
use crate::api::access_binding::{Intent, InventoryRow};
use crate::api::condition::Reason;
use crate::api::{AccessBinding, DatabricksConnection, GerritConnection, PlanApproval};

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

/// Proof that a write may begin: a lease that outlives the call's deadline. Checked as the last step before sending.
pub trait Permit: Send + Sync {
    /// Refuses unless the right to write lasts at least `needed` from now.
    fn check(&self, needed: Duration) -> Result<(), NoPermit>;
}

/// Why no write may begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no permit to write: {0}")]
pub struct NoPermit(pub String);

/// Counts what should be noticed by more people than those who look at the object.
pub trait Tally: Send + Sync {
    /// Something was changed by hand in a system of this kind.
    fn drifted(&self, kind: ConnectionKind);
}

/// The time, so that tests can set it.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// An object of ours, as journal and record name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectKey {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// What must survive a crash, kept in the object's status under a field manager of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalState {
    pub inventory: Vec<InventoryRow>,
    pub intents: Vec<Intent>,
    pub pins: Vec<Pin>,
    /// Through which connections the inventory was given.
    pub through: Through,
}

/// Keeps intents and inventory. A write that was not journalled must not happen.
#[async_trait]
pub trait Journal: Send + Sync {
    async fn write(&self, object: &ObjectKey, state: &JournalState) -> Result<(), KeepError>;
}

/// The trail: every intent before the effect, every outcome after it.
#[async_trait]
pub trait Record: Send + Sync {
    /// Appends durably; the id names the entry in statuses and approvals.
    async fn append(&self, entry: Entry) -> Result<EntryId, KeepError>;

    /// What the record says an object holds; `None`: the record has never heard of it.
    async fn inventory_of(&self, namespace: &str, name: &str)
    -> Result<Option<Vec<InventoryRow>>, KeepError>;

    /// Whether an object of this name may hold something: `false` is certain. Asked of whatever looks new, so it must
    /// cost little where the name never was in use.
    async fn may_hold(&self, namespace: &str, name: &str) -> Result<bool, KeepError> {
        Ok(self.inventory_of(namespace, name).await?.is_some())
    }
}

/// Journal or record could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {message}")]
pub struct KeepError {
    pub what: &'static str,
    pub message: String,
}

/// Names an entry of the record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(pub String);

/// One entry of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub time: Timestamp,
    /// Controller identity, or the approver of a PlanApproval.
    pub actor: String,
    pub object: ObjectKey,
    pub event: Event,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<EffectDigest>,
    /// Inventory rows the object holds from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gained: Vec<InventoryRow>,
    /// Inventory rows the object no longer holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gave_up: Vec<InventoryRow>,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What an entry says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A write is about to begin.
    Intent,
    /// It was done.
    Succeeded,
    /// It was refused; nothing changed.
    Failed,
    /// Its outcome was unknown and has been looked up since.
    Recovered,
    /// A right was found as declared and is held from now on.
    Adopted,
    /// A right that was held is gone without our doing.
    Lost,
    /// A person approved a plan and the approval was used.
    Approved,
    /// Rights were left behind on purpose.
    Abandoned,
}

/// A note on an object for people: a Kubernetes Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub reason: Reason,
    pub message: String,
    pub warning: bool,
}

/// Objects of ours as the watch caches hold them, and the few writes a controller makes to Kubernetes itself.
/// Reads are cheap and answer from memory; what is not in the cache yet does not exist.
#[async_trait]
pub trait Cluster: Send + Sync {
    fn gerrit_connection(&self, namespace: &str, name: &str) -> Option<Arc<GerritConnection>>;
    fn databricks_connection(&self, namespace: &str, name: &str) -> Option<Arc<DatabricksConnection>>;
    /// Every Gerrit connection, in no order.
    fn gerrit_connections(&self) -> Vec<Arc<GerritConnection>> {
        Vec::new()
    }
    /// Every Databricks connection, in no order.
    fn databricks_connections(&self) -> Vec<Arc<DatabricksConnection>> {
        Vec::new()
    }
    fn binding(&self, namespace: &str, name: &str) -> Option<Arc<AccessBinding>>;
    /// Every binding, in no order.
    fn bindings(&self) -> Vec<Arc<AccessBinding>>;
    /// Bindings that share one of these [claim words](crate::domain::access::declared::claim_words).
    fn claimants(&self, words: &BTreeSet<String>) -> Vec<Arc<AccessBinding>>;
    /// Labels of a namespace; `None` while it is unknown.
    fn namespace_labels(&self, name: &str) -> Option<BTreeMap<String, String>>;
    /// Approvals whose `planRef.uid` is this object's, from the operator's namespace and the object's own. Whoever may
    /// make approvals anywhere else has no say, whatever they write into them.
    fn approvals(&self, object: &ObjectKey) -> Vec<Arc<PlanApproval>>;
    /// Since when the admission policy is in force that holds `approver` to be the requester; `None`: it is not.
    fn approvals_protected_since(&self) -> Option<Timestamp>;
    /// Whether that policy is in force.
    fn approvals_protected(&self) -> bool {
        self.approvals_protected_since().is_some()
    }
    /// Bindings with our finalizer whose deletion began at this time or later, each as it stood then, be it gone by
    /// now or not. Best effort: who has not watched since remembers less.
    fn deletions(&self, _since: Timestamp) -> Vec<Arc<AccessBinding>> {
        Vec::new()
    }
    /// Whether the CRD of this kind is itself being deleted.
    fn kind_is_going(&self, kind: &str) -> bool;

    /// Writes the report's fields of an object's status, unless the cache shows them already so.
    async fn write_status(&self, object: &ObjectKey, status: serde_json::Value) -> Result<(), KeepError>;
    async fn add_finalizer(&self, object: &ObjectKey, finalizer: &str) -> Result<(), KeepError>;
    async fn remove_finalizer(&self, object: &ObjectKey, finalizer: &str) -> Result<(), KeepError>;
    /// Marks an approval as used by a record entry. Fails when somebody else used it first.
    async fn use_approval(
        &self,
        approval: &PlanApproval,
        entry: &EntryId,
        at: Timestamp,
    ) -> Result<(), KeepError>;
    /// Notes are best effort: losing one loses nothing that status or record do not say.
    async fn note(&self, object: &ObjectKey, note: Note);
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
