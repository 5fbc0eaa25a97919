//! The port [`Cluster`]: reads from the caches, and the few writes a controller makes to Kubernetes itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::Client;
use kube::api::Patch;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::{AccessBinding, DatabricksConnection, GerritConnection, PlanApproval};
use lockstep_core::domain::ports::{Cluster, EntryId, KeepError, Note, ObjectKey, Permit};
use serde_json::{Value, json};

use super::approving::has_a_say;
use super::arrival::{Kind, report_digest};
use super::cache::Cache;
use super::index::Word;
use super::name::{KindName, Name};
use super::notes::Notes;
use super::store::Store;
use super::write::Writer;

/// Field manager of everything in a status but the journal.
pub const REPORT_MANAGER: &str = "lockstep/report";

/// The cluster as the watch caches hold it.
pub struct KubeCluster {
    pub(super) store: Arc<Store>,
    pub(super) writer: Writer,
    notes: Notes,
    /// Where approvals count besides an object's own namespace, and freezes for every namespace.
    pub(super) operator_namespace: String,
}

impl KubeCluster {
    /// Must be called inside a runtime. `identity` names this replica in events.
    pub fn new(
        client: Client,
        store: Arc<Store>,
        permit: Arc<dyn Permit>,
        operator_namespace: String,
        identity: String,
    ) -> Self {
        Self {
            notes: Notes::start(client.clone(), identity),
            writer: Writer::new(client, permit),
            store,
            operator_namespace,
        }
    }

    async fn report<K: Kind<Scope = NamespaceResourceScope>>(
        &self,
        cache: &Cache<K>,
        object: &ObjectKey,
        mut status: Value,
    ) -> Result<(), KeepError> {
        if let Some(fields) = status.as_object_mut() {
            fields.retain(|field, value| !K::KEPT.contains(&field.as_str()) && !value.is_null());
        }
        let name = Name::new(&object.namespace, &object.name);
        if cache.report(&name, &object.uid) == Some(report_digest(&status, K::KEPT)) {
            return Ok(());
        }
        self.writer
            .apply_status(cache, object, REPORT_MANAGER, &status)
            .await
    }

    async fn finalizer<K: Kind<Scope = NamespaceResourceScope>>(
        &self,
        cache: &Cache<K>,
        object: &ObjectKey,
        finalizer: &str,
        wanted: bool,
    ) -> Result<(), KeepError> {
        let name = Name::new(&object.namespace, &object.name);
        let held = cache
            .get(&name)
            .filter(|held| held.meta().uid.as_deref() == Some(&object.uid));
        let finalizers = held.map_or_else(Vec::new, |held| {
            held.meta().finalizers.clone().unwrap_or_default()
        });
        let at = finalizers.iter().position(|known| known == finalizer);
        let mut operations = vec![json!({"op": "test", "path": "/metadata/uid", "value": object.uid})];
        match (wanted, at) {
            (true, Some(_)) | (false, None) => return Ok(()),
            (true, None) if finalizers.is_empty() => {
                // Adding the list replaces one that appeared meanwhile, hence the test that there is none.
                operations.push(json!({"op": "test", "path": "/metadata/finalizers", "value": null}));
                operations.push(json!({"op": "add", "path": "/metadata/finalizers", "value": [finalizer]}));
            }
            (true, None) => {
                operations.push(json!({"op": "add", "path": "/metadata/finalizers/-", "value": finalizer}));
            }
            (false, Some(at)) => {
                let path = format!("/metadata/finalizers/{at}");
                operations.push(json!({"op": "test", "path": path, "value": finalizer}));
                operations.push(json!({"op": "remove", "path": path}));
            }
        }
        let patch: Patch<()> = Patch::Json(serde_json::from_value(Value::Array(operations)).map_err(
            |error| KeepError {
                what: "finalizer",
                message: error.to_string(),
            },
        )?);
        self.writer.patch(cache, object, &patch).await
    }

    async fn change_finalizer(
        &self,
        object: &ObjectKey,
        finalizer: &str,
        wanted: bool,
    ) -> Result<(), KeepError> {
        let store = &self.store;
        match kind_of(object)? {
            KindName::GerritConnection => {
                self.finalizer(&store.gerrit_connections, object, finalizer, wanted)
                    .await
            }
            KindName::DatabricksConnection => {
                self.finalizer(&store.databricks_connections, object, finalizer, wanted)
                    .await
            }
            KindName::CredentialStore => {
                self.finalizer(&store.credential_stores, object, finalizer, wanted)
                    .await
            }
            KindName::ServiceCredential => {
                self.finalizer(&store.credentials, object, finalizer, wanted)
                    .await
            }
            KindName::ChangeFreeze => self.finalizer(&store.freezes, object, finalizer, wanted).await,
            KindName::PlanApproval => self.finalizer(&store.approvals, object, finalizer, wanted).await,
            KindName::AccessBinding => self.finalizer(&store.bindings, object, finalizer, wanted).await,
            KindName::PromotionPolicy => self.finalizer(&store.policies, object, finalizer, wanted).await,
            KindName::Promotion => self.finalizer(&store.promotions, object, finalizer, wanted).await,
        }
    }
}

pub(super) fn kind_of(object: &ObjectKey) -> Result<KindName, KeepError> {
    KindName::parse(&object.kind).ok_or_else(|| KeepError {
        what: "kind",
        message: format!("{object} is of no kind that is held here"),
    })
}

#[async_trait]
impl Cluster for KubeCluster {
    fn gerrit_connection(&self, namespace: &str, name: &str) -> Option<Arc<GerritConnection>> {
        self.store.gerrit_connections.get(&Name::new(namespace, name))
    }

    fn databricks_connection(&self, namespace: &str, name: &str) -> Option<Arc<DatabricksConnection>> {
        self.store.databricks_connections.get(&Name::new(namespace, name))
    }

    fn gerrit_connections(&self) -> Vec<Arc<GerritConnection>> {
        self.store.gerrit_connections.all()
    }

    fn databricks_connections(&self) -> Vec<Arc<DatabricksConnection>> {
        self.store.databricks_connections.all()
    }

    fn binding(&self, namespace: &str, name: &str) -> Option<Arc<AccessBinding>> {
        self.store.bindings.get(&Name::new(namespace, name))
    }

    fn bindings(&self) -> Vec<Arc<AccessBinding>> {
        self.store.bindings.all()
    }

    fn claimants(&self, words: &BTreeSet<String>) -> Vec<Arc<AccessBinding>> {
        let names: BTreeSet<Name> = words
            .iter()
            .flat_map(|word| self.store.find(Word::claim(word), KindName::AccessBinding))
            .collect();
        names
            .iter()
            .filter_map(|name| self.store.bindings.last_known(name))
            .collect()
    }

    fn namespace_labels(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let namespace = self.store.namespaces.get(&Name::new("", name))?;
        Some(namespace.metadata.labels.clone().unwrap_or_default())
    }

    fn approvals(&self, object: &ObjectKey) -> Vec<Arc<PlanApproval>> {
        let names = self
            .store
            .find(Word::plan_of(&object.uid), KindName::PlanApproval);
        names
            .iter()
            .filter_map(|name| self.store.approvals.get(name))
            .filter(|approval| has_a_say(approval, object, &self.operator_namespace))
            .collect()
    }

    fn approvals_protected_since(&self) -> Option<Timestamp> {
        self.store.protection.since()
    }

    fn deletions(&self, since: Timestamp) -> Vec<Arc<AccessBinding>> {
        self.store.departures.since(since)
    }

    fn kind_is_going(&self, kind: &str) -> bool {
        KindName::parse(kind).is_some_and(|kind| self.store.kinds.is_going(kind))
    }

    async fn write_status(&self, object: &ObjectKey, status: Value) -> Result<(), KeepError> {
        let store = &self.store;
        match kind_of(object)? {
            KindName::GerritConnection => self.report(&store.gerrit_connections, object, status).await,
            KindName::DatabricksConnection => {
                self.report(&store.databricks_connections, object, status).await
            }
            KindName::CredentialStore => self.report(&store.credential_stores, object, status).await,
            KindName::ServiceCredential => self.report(&store.credentials, object, status).await,
            KindName::ChangeFreeze => self.report(&store.freezes, object, status).await,
            KindName::PlanApproval => self.report(&store.approvals, object, status).await,
            KindName::AccessBinding => self.report(&store.bindings, object, status).await,
            KindName::PromotionPolicy => self.report(&store.policies, object, status).await,
            KindName::Promotion => self.report(&store.promotions, object, status).await,
        }
    }

    async fn add_finalizer(&self, object: &ObjectKey, finalizer: &str) -> Result<(), KeepError> {
        self.change_finalizer(object, finalizer, true).await
    }

    async fn remove_finalizer(&self, object: &ObjectKey, finalizer: &str) -> Result<(), KeepError> {
        self.change_finalizer(object, finalizer, false).await
    }

    async fn use_approval(
        &self,
        approval: &PlanApproval,
        entry: &EntryId,
        at: Timestamp,
    ) -> Result<(), KeepError> {
        let meta = &approval.metadata;
        let object = ObjectKey {
            kind: KindName::PlanApproval.as_str().into(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        };
        let refuse = |message: &str| KeepError {
            what: "approval",
            message: format!("{object}: {message}"),
        };
        let used = approval
            .status
            .as_ref()
            .and_then(|status| status.used_by.as_deref());
        if let Some(by) = used {
            return Err(refuse(&format!("was used by {by}")));
        }
        let Some(version) = &meta.resource_version else {
            return Err(refuse("has no version to hold it by"));
        };
        // The version makes this the only use: whoever comes second finds a newer one and is refused.
        let body = json!({
            "metadata": {"resourceVersion": version, "uid": object.uid},
            "status": {
                "usedAt": at,
                "usedBy": entry,
                "conditions": [{
                    "type": ConditionType::Ready.to_string(),
                    "status": "True",
                    "reason": Reason::Used.to_string(),
                    "message": format!("Used by record entry {}", entry.0),
                    "lastTransitionTime": k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at),
                    "observedGeneration": meta.generation,
                }],
            },
        });
        self.writer
            .patch_status(&self.store.approvals, &object, REPORT_MANAGER, &body)
            .await
    }

    async fn note(&self, object: &ObjectKey, note: Note) {
        self.notes.say(object, note);
    }
}
