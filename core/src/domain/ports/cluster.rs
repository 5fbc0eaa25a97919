//! Objects of ours, as Kubernetes holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::keeping::{EntryId, KeepError, ObjectKey};
use crate::api::condition::Reason;
use crate::api::{AccessBinding, DatabricksConnection, GerritConnection, PlanApproval};

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
