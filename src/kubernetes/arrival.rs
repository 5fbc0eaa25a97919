//! How an object arrives from the API server: trimmed before it is decoded, so that what is never needed is never
//! held, and tolerant, so that one object that does not decode cannot end a watch for all others.

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash as _, Hasher};

use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::PartialObjectMeta;
use lockstep_core::api::{
    AccessBinding, ChangeFreeze, CredentialStore, DatabricksConnection, GerritConnection, PlanApproval,
    Promotion, PromotionPolicy, ServiceCredential,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A kind that is held in a cache.
pub trait Kind:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// Fields of its status that must survive a crash and belong to the journal; the report owns the rest.
    const KEPT: &'static [&'static str] = &[];

    /// Takes away what no decision needs.
    fn trim(_object: &mut Value) {}
}

impl Kind for GerritConnection {}
impl Kind for DatabricksConnection {}
impl Kind for CredentialStore {}
impl Kind for PlanApproval {}
impl Kind for ChangeFreeze {}
impl Kind for PartialObjectMeta<Namespace> {}
impl Kind for PartialObjectMeta<CustomResourceDefinition> {}

impl Kind for PartialObjectMeta<Secret> {
    fn trim(object: &mut Value) {
        // Of a Secret nothing is held but that it changed.
        if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.remove("labels");
            meta.remove("annotations");
        }
    }
}

impl Kind for PromotionPolicy {
    const KEPT: &'static [&'static str] = &[
        "environments",
        "gate",
        "requirements",
        "labels",
        "webhook",
        "intents",
        "pins",
    ];
}

impl Kind for Promotion {
    const KEPT: &'static [&'static str] = &["machine", "taken", "glass"];
}

impl Kind for ServiceCredential {
    const KEPT: &'static [&'static str] = &["generations", "blocked", "stores", "rotatedFor"];
}

impl Kind for AccessBinding {
    const KEPT: &'static [&'static str] = &["inventory", "intents", "pins", "through"];

    fn trim(object: &mut Value) {
        // The summary is for people; every pass makes a new one.
        if let Some(plan) = object.pointer_mut("/status/plan").and_then(Value::as_object_mut) {
            plan.remove("summary");
        }
    }
}

/// An object as it came.
#[derive(Clone, Debug)]
pub struct Arrived<K> {
    pub body: Body<K>,
    /// Digest of the report's part of the status, taken before anything was trimmed.
    pub report: u64,
}

/// What could be made of it.
#[derive(Clone, Debug)]
pub enum Body<K> {
    Decoded(Box<K>),
    Undecodable(Box<Undecodable>),
}

/// An object that is stored but is not what this version of Lockstep understands.
#[derive(Clone, Debug)]
pub struct Undecodable {
    pub metadata: ObjectMeta,
    /// What the decoder said.
    pub message: String,
    /// Conditions as they stand, so that a report that changes nothing is not written.
    pub conditions: Value,
}

impl<'de, K: Kind> Deserialize<'de> for Arrived<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        let report = object.get("status").map_or_else(
            || report_digest(&Value::Null, K::KEPT),
            |status| report_digest(status, K::KEPT),
        );
        trim_metadata(&mut object);
        K::trim(&mut object);
        // From a borrowed value every string and list is made exactly as long as it is; read from a stream they
        // would keep the room they grew into.
        let body = match K::deserialize(&object) {
            Ok(decoded) => Body::Decoded(Box::new(decoded)),
            Err(error) => Body::Undecodable(Box::new(Undecodable {
                metadata: object
                    .get("metadata")
                    .map(ObjectMeta::deserialize)
                    .transpose()
                    .map_err(serde::de::Error::custom)?
                    .unwrap_or_default(),
                message: error.to_string(),
                conditions: object
                    .pointer("/status/conditions")
                    .cloned()
                    .unwrap_or(Value::Null),
            })),
        };
        Ok(Self { body, report })
    }
}

fn trim_metadata(object: &mut Value) {
    let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for field in ["managedFields", "generateName", "selfLink", "ownerReferences"] {
        meta.remove(field);
    }
    let mut none_left = false;
    if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| key.starts_with("lockstep.dev/"));
        none_left = annotations.is_empty();
    }
    if none_left {
        meta.remove("annotations");
    }
}

/// Digest of a status without the fields that are kept. Absent and null are the same: the API server stores neither.
pub fn report_digest(status: &Value, kept: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Value::Object(fields) = status {
        for (key, value) in fields {
            if !kept.contains(&key.as_str()) && !value.is_null() {
                key.hash(&mut hasher);
                digest_into(value, &mut hasher);
            }
        }
    }
    hasher.finish()
}

fn digest_into(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0u8.hash(hasher),
        Value::Bool(flag) => (1u8, flag).hash(hasher),
        Value::Number(number) => (2u8, number.to_string()).hash(hasher),
        Value::String(text) => (3u8, text).hash(hasher),
        Value::Array(items) => {
            (4u8, items.len()).hash(hasher);
            for item in items {
                digest_into(item, hasher);
            }
        }
        Value::Object(fields) => {
            5u8.hash(hasher);
            for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                key.hash(hasher);
                digest_into(value, hasher);
            }
            6u8.hash(hasher);
        }
    }
}

impl<K: Kind> Resource for Arrived<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn metadata_api() -> bool {
        K::metadata_api()
    }
    fn kind(dt: &()) -> Cow<'_, str> {
        K::kind(dt)
    }
    fn group(dt: &()) -> Cow<'_, str> {
        K::group(dt)
    }
    fn version(dt: &()) -> Cow<'_, str> {
        K::version(dt)
    }
    fn plural(dt: &()) -> Cow<'_, str> {
        K::plural(dt)
    }
    fn meta(&self) -> &ObjectMeta {
        match &self.body {
            Body::Decoded(object) => object.meta(),
            Body::Undecodable(broken) => &broken.metadata,
        }
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.body {
            Body::Decoded(object) => object.meta_mut(),
            Body::Undecodable(broken) => &mut broken.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn binding(spec: &Value, status: &Value) -> Arrived<AccessBinding> {
        serde_json::from_value(json!({
            "apiVersion": "lockstep.dev/v1alpha1",
            "kind": "AccessBinding",
            "metadata": {
                "name": "fraud", "namespace": "ml", "uid": "u", "resourceVersion": "7",
                "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
                "annotations": {"lockstep.dev/requested-at": "now", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            },
            "spec": spec,
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn what_no_decision_needs_is_gone_before_it_is_held() {
        let arrived = binding(
            &json!({}),
            &json!({"plan": {"digest": "d", "changes": 1, "peopleGaining": 0, "peopleLosing": 0, "summary": ["+ a"]}}),
        );
        let Body::Decoded(object) = arrived.body else {
            panic!("decodes")
        };
        assert_eq!(object.metadata.managed_fields, None);
        assert_eq!(
            object
                .metadata
                .annotations
                .unwrap()
                .into_keys()
                .collect::<Vec<_>>(),
            ["lockstep.dev/requested-at"]
        );
        assert!(object.status.unwrap().plan.unwrap().summary.is_empty());
    }

    #[test]
    fn an_object_that_does_not_decode_still_has_a_name() {
        let arrived = binding(&json!({"mode": "Sometimes"}), &Value::Null);
        assert_eq!(Resource::meta(&arrived).name.as_deref(), Some("fraud"));
        let Body::Undecodable(broken) = arrived.body else {
            panic!("must not decode")
        };
        assert!(broken.message.contains("Sometimes"), "{}", broken.message);
    }

    #[test]
    fn the_reports_digest_ignores_the_journal_and_nothing_else() {
        let report_digest = |status: &Value| report_digest(status, AccessBinding::KEPT);
        let base = json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]});
        let with = |key: &str, value: Value| {
            let mut status = base.clone();
            status[key] = value;
            report_digest(&status)
        };
        assert_eq!(report_digest(&base), with("inventory", json!([])));
        assert_eq!(report_digest(&base), with("lastHandledRequest", Value::Null));
        assert_ne!(report_digest(&base), with("observedGeneration", json!(2)));
        assert_ne!(
            report_digest(&base),
            with("plan", json!({"summary": ["+ somebody"]}))
        );
    }
}
