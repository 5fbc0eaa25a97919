//! The port [`Objects`]: policies, promotions and freezes as the watch caches hold them, and what controllers of
//! promotion make, delete and keep.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;
use lockstep_core::api::{ENVIRONMENT_LABEL, POLICY_LABEL, Promotion, PromotionPolicy, PromotionSpec};
use lockstep_core::domain::ports::{KeepError, ObjectKey};
use lockstep_core::domain::promotion::gate::freeze::Freeze;
use lockstep_core::domain::promotion::ports::objects::Objects;
use serde_json::{Map, Value, json};

use super::arrival::{Kind, Undecodable};
use super::cache::Cache;
use super::cluster::{KubeCluster, kind_of};
use super::index::Word;
use super::journal::JOURNAL_MANAGER;
use super::name::{KindName, Name};

/// Field manager of the spec of promotions that the operator makes.
const MAKER: &str = "lockstep/policy";

/// A freeze that nobody understands stops everything it could mean, until somebody mends it.
fn frozen_by(broken: &Undecodable, operator_namespace: &str) -> Freeze {
    let namespace = broken.metadata.namespace.clone().unwrap_or_default();
    Freeze {
        everywhere: namespace == operator_namespace,
        namespace,
        name: broken.metadata.name.clone().unwrap_or_default(),
        reason: format!(
            "this version of Lockstep does not understand the freeze: {}",
            broken.message
        ),
        until: Timestamp::MAX,
        kinds: None,
        selector: None,
        except: BTreeSet::new(),
    }
}

/// A promotion as its policy makes it; `None`: the policy was never stored.
fn made(policy: &PromotionPolicy, name: &str, spec: PromotionSpec) -> Option<Promotion> {
    let owner = OwnerReference {
        api_version: PromotionPolicy::api_version(&()).into_owned(),
        kind: PromotionPolicy::kind(&()).into_owned(),
        name: policy.metadata.name.clone()?,
        uid: policy.metadata.uid.clone()?,
        controller: Some(true),
        // Whoever deletes a policy in the foreground need not wait for its history.
        block_owner_deletion: Some(false),
    };
    let labels = BTreeMap::from([
        (POLICY_LABEL.to_owned(), owner.name.clone()),
        (ENVIRONMENT_LABEL.to_owned(), spec.environment.clone()),
    ]);
    let mut promotion = Promotion::new(name, spec);
    promotion
        .metadata
        .namespace
        .clone_from(&policy.metadata.namespace);
    promotion.metadata.labels = Some(labels);
    promotion.metadata.owner_references = Some(vec![owner]);
    Some(promotion)
}

/// Whether two values are the same to the API server, which may drop what is null and write a number its own way.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let all_of = |one: &Map<String, Value>, other: &Map<String, Value>| {
                one.iter()
                    .all(|(field, value)| same(value, other.get(field).unwrap_or(&Value::Null)))
            };
            all_of(one, other) && all_of(other, one)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Number(a), Value::Number(b)) => {
            a == b || ((a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64())
        }
        (one, other) => one == other,
    }
}

impl KubeCluster {
    /// Makes these the whole of what a status keeps. `held`: the status of this very object as the cache has it.
    async fn keep_in<K: Kind<Scope = NamespaceResourceScope>>(
        &self,
        cache: &Cache<K>,
        object: &ObjectKey,
        held: Option<Value>,
        mut fields: Map<String, Value>,
    ) -> Result<(), KeepError> {
        fields.retain(|_, value| !value.is_null());
        // Kept by two managers a field would be given up by neither.
        if let Some(field) = fields.keys().find(|field| !K::KEPT.contains(&field.as_str())) {
            return Err(KeepError {
                what: "journal",
                message: format!("{object}: status.{field} is the report's to write"),
            });
        }
        let is_so = held.is_some_and(|held| {
            K::KEPT.iter().all(|field| {
                let said = held.get(*field).unwrap_or(&Value::Null);
                same(said, fields.get(*field).unwrap_or(&Value::Null))
            })
        });
        if is_so {
            return Ok(());
        }
        self.writer
            .apply_status(cache, object, JOURNAL_MANAGER, &Value::Object(fields))
            .await
            .map_err(|error| KeepError {
                what: "journal",
                message: error.message,
            })
    }
}

#[async_trait]
impl Objects for KubeCluster {
    fn policy(&self, namespace: &str, name: &str) -> Option<Arc<PromotionPolicy>> {
        self.store.policies.get(&Name::new(namespace, name))
    }

    fn policies(&self) -> Vec<Arc<PromotionPolicy>> {
        self.store.policies.all()
    }

    fn promotion(&self, namespace: &str, name: &str) -> Option<Arc<Promotion>> {
        self.store.promotions.get(&Name::new(namespace, name))
    }

    fn promotions_of(&self, namespace: &str, policy: &str) -> Vec<Arc<Promotion>> {
        let word = Word::policy(&Name::new(namespace, policy));
        let names = self.store.find(word, KindName::Promotion);
        // One that is not understood any more must not look as if it had been deleted.
        names
            .iter()
            .filter_map(|name| self.store.promotions.last_known(name))
            .filter(|promotion| {
                promotion.spec.policy_ref.name == policy
                    && promotion.metadata.namespace.as_deref() == Some(namespace)
            })
            .collect()
    }

    fn freezes(&self) -> Vec<Freeze> {
        let freezes = &self.store.freezes;
        let home = &self.operator_namespace;
        let understood = freezes.all();
        understood
            .iter()
            .map(|object| Freeze::declared(object, home))
            .chain(
                freezes
                    .never_understood()
                    .iter()
                    .map(|broken| frozen_by(broken, home)),
            )
            .collect()
    }

    async fn make(&self, policy: &PromotionPolicy, name: &str, spec: PromotionSpec) -> Result<(), KeepError> {
        let object = ObjectKey {
            kind: KindName::Promotion.as_str().into(),
            namespace: policy.metadata.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
            uid: String::new(),
        };
        let promotion = made(policy, name, spec).ok_or_else(|| KeepError {
            what: "object",
            message: format!("{object}: its policy has no name or uid"),
        })?;
        self.writer
            .make(&self.store.promotions, &object, MAKER, &promotion)
            .await
    }

    async fn delete(&self, promotion: &ObjectKey) -> Result<(), KeepError> {
        self.writer.delete(&self.store.promotions, promotion).await
    }

    async fn keep(&self, object: &ObjectKey, status: Value) -> Result<(), KeepError> {
        let refuse = |why: &str| KeepError {
            what: "journal",
            message: format!("{object} {why}"),
        };
        let Value::Object(fields) = status else {
            return Err(refuse("can keep nothing but fields"));
        };
        let name = Name::new(&object.namespace, &object.name);
        let this = |uid: &Option<String>| uid.as_deref() == Some(&object.uid);
        let store = &self.store;
        match kind_of(object)? {
            KindName::PromotionPolicy => {
                let held = store.policies.get(&name);
                let held = held.filter(|held| this(&held.metadata.uid));
                let held = held.map(|held| json!(held.status));
                self.keep_in(&store.policies, object, held, fields).await
            }
            KindName::Promotion => {
                let held = store.promotions.get(&name);
                let held = held.filter(|held| this(&held.metadata.uid));
                let held = held.map(|held| json!(held.status));
                self.keep_in(&store.promotions, object, held, fields).await
            }
            KindName::ServiceCredential => {
                let held = store.credentials.get(&name);
                let held = held.filter(|held| this(&held.metadata.uid));
                let held = held.map(|held| json!(held.status));
                self.keep_in(&store.credentials, object, held, fields).await
            }
            KindName::GerritConnection
            | KindName::DatabricksConnection
            | KindName::CredentialStore
            | KindName::ChangeFreeze
            | KindName::PlanApproval
            | KindName::AccessBinding => Err(refuse("keeps nothing")),
        }
    }
}

#[cfg(test)]
#[path = "promoting_tests.rs"]
mod tests;
