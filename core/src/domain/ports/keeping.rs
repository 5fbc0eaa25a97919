//! What must not be forgotten: the journal in an object's status, and the record.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::access_binding::{Intent, InventoryRow};
use crate::api::service_credential_status::GenerationRow;
use crate::domain::access::pins::Pin;
use crate::domain::access::trust::Through;
use crate::domain::plan::{Change, EffectDigest};
use crate::domain::promotion::gate::evidence::CommitId;
use crate::domain::promotion::gate::range::{Acceptance, BaselineKey};
use crate::domain::promotion::machine::attempt::{IdempotencyToken, PromotionName};
use crate::domain::promotion::machine::queue;
use crate::domain::promotion::machine::rollback;
use crate::domain::promotion::proof::explanation::Acted;
use crate::domain::promotion::proof::fact::{GateFact, PromotionFact};
use crate::domain::promotion::proof::ledger::Ledger;
use crate::domain::rotation::fact::CredentialFact;

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

    /// Where the history of a branch begins, as it was last recorded; `None`: it never was.
    async fn baseline_of(&self, _key: &BaselineKey) -> Result<Option<CommitId>, KeepError> {
        Ok(None)
    }

    /// What an environment of this policy last was said to remember; `None`: nothing ever was.
    async fn environment_of(
        &self,
        _policy_uid: &str,
        _environment: &str,
    ) -> Result<Option<queue::Environment>, KeepError> {
        Ok(None)
    }

    /// The gate that was last in force in an environment of this policy, else of this branch and workspace in its
    /// namespace; `None`: none ever was. One that this version does not understand is an error.
    async fn gate_of(
        &self,
        _policy_uid: &str,
        _environment: &str,
        _namespace: &str,
        _place: &BaselineKey,
    ) -> Result<Option<GateFact>, KeepError> {
        Ok(None)
    }

    /// Commits that people accepted in an environment of this policy.
    async fn accepted_in(
        &self,
        _policy_uid: &str,
        _environment: &str,
    ) -> Result<BTreeMap<CommitId, Acceptance>, KeepError> {
        Ok(BTreeMap::new())
    }

    /// Promotions that ended in this environment of this policy, the last one first, [`NEWEST`] at most.
    async fn promotions_of(
        &self,
        _policy_uid: &str,
        _environment: &str,
    ) -> Result<Vec<rollback::Recorded>, KeepError> {
        Ok(Vec::new())
    }

    /// The generations of a credential as they were last recorded; `None`: none ever were.
    async fn generations_of(&self, _uid: &str) -> Result<Option<Vec<GenerationRow>>, KeepError> {
        Ok(None)
    }

    /// Which promotions announced these tries. Of the newest only: who asks does so soon after.
    async fn announced(
        &self,
        _tokens: &BTreeSet<IdempotencyToken>,
    ) -> Result<BTreeMap<IdempotencyToken, PromotionName>, KeepError> {
        Ok(BTreeMap::new())
    }

    /// The newest promotions that were at work in this environment of this policy, in no order.
    async fn acted_in(&self, _policy_uid: &str, _environment: &str) -> Result<Vec<Acted>, KeepError> {
        Ok(Vec::new())
    }

    /// What was last said to be explained in an environment of the policy of this name, be it another one by now;
    /// `None`: nothing ever was.
    async fn ledger_of(
        &self,
        _namespace: &str,
        _policy: &str,
        _environment: &str,
    ) -> Result<Option<Ledger>, KeepError> {
        Ok(None)
    }
}

/// How many promotions of one environment the record answers with.
pub const NEWEST: usize = 200;

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
    /// What it says of promotions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionFact>,
    /// What it says of a credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialFact>,
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
