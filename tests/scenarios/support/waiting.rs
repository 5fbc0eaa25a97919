//! Waiting for what the operator says of an object.

use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Resource as _, ResourceExt as _};
use lockstep_core::api::AccessBinding;
use serde::Serialize;
use serde_json::json;

use super::team::{Ours, Team};
use super::world::strip;
use super::{PATIENCE, eventually};

/// What a condition of an object says, if it has one.
pub fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == kind)
}

impl Team {
    /// Waits until a condition of a binding has this status, judged for the spec as it is now.
    pub async fn until(&self, name: &str, kind: &str, status: &str) -> AccessBinding {
        self.until_seen(name, &format!("{kind}={status}"), |conditions| {
            condition(conditions, kind).is_some_and(|c| c.status == status)
        })
        .await
    }

    /// Waits until a condition of a binding has this reason.
    pub async fn until_reason(&self, name: &str, kind: &str, reason: &str) -> String {
        let what = format!("{kind} because of {reason}");
        let binding = self
            .until_seen(name, &what, |conditions| {
                condition(conditions, kind).is_some_and(|c| c.reason == reason)
            })
            .await;
        let conditions = binding.status.unwrap().conditions;
        condition(&conditions, kind).unwrap().message.clone()
    }

    /// Waits until a condition of a binding has words in its message.
    pub async fn until_message(&self, name: &str, kind: &str, words: &[&str]) -> String {
        let what = format!("{kind} says {words:?}");
        let binding = self
            .until_seen(name, &what, |conditions| {
                condition(conditions, kind).is_some_and(|c| words.iter().all(|word| c.message.contains(word)))
            })
            .await;
        let conditions = binding.status.unwrap().conditions;
        condition(&conditions, kind).unwrap().message.clone()
    }

    /// Waits for what the conditions of a binding say of its present spec.
    pub async fn until_seen(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&[Condition]) -> bool,
    ) -> AccessBinding {
        eventually(&format!("{name}: {what}"), PATIENCE, || async {
            let binding = self.bindings().get(name).await.map_err(|e| e.to_string())?;
            let seen = binding.status.clone().unwrap_or_default();
            let current = seen.observed_generation == binding.metadata.generation;
            if current && wanted(&seen.conditions) {
                Ok(binding)
            } else {
                Err(serde_json::to_string(&seen.conditions).unwrap())
            }
        })
        .await
    }

    /// Deletes the scenario's namespace. In what order its objects go is the cluster's choice.
    pub async fn delete_namespace(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces
            .delete(&self.prefix, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Whether the namespace is gone; else what keeps it.
    pub async fn the_namespace_is_gone(&self) -> Result<(), String> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let found = namespaces.get_opt(&self.prefix).await;
        match found.map_err(|error| error.to_string())? {
            None => Ok(()),
            Some(left) => Err(serde_json::to_string(&left.status).unwrap()),
        }
    }

    pub async fn until_the_namespace_is_gone(&self) {
        eventually("the namespace is gone", PATIENCE, || self.the_namespace_is_gone()).await;
    }

    /// Waits until an object is Ready, or not, for this reason; returns what it says.
    pub async fn until_object<K: Ours + Serialize>(&self, name: &str, reason: &str) -> String {
        let what = format!("{} {name} says {reason}", K::kind(&()));
        eventually(&what, PATIENCE, || async {
            let object = self.all::<K>().get(name).await.map_err(|e| e.to_string())?;
            let status = serde_json::to_value(&object).unwrap()["status"].take();
            let conditions: Vec<Condition> =
                serde_json::from_value(status["conditions"].clone()).unwrap_or_default();
            match condition(&conditions, "Ready") {
                Some(ready) if ready.reason == reason => Ok(ready.message.clone()),
                _ => Err(status.to_string()),
            }
        })
        .await
    }

    /// Asks for a pass over a binding now, as the annotation lets everybody do; returns what it will be known by.
    pub async fn ask(&self, name: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let request = format!("{}-{}", self.prefix, COUNT.fetch_add(1, Ordering::Relaxed));
        let body = json!({"metadata": {"annotations": {"lockstep.dev/requested-at": request}}});
        self.bindings()
            .patch(name, &PatchParams::default(), &Patch::Merge(body))
            .await
            .unwrap();
        request
    }

    /// Waits for a whole pass over a binding that began after this call.
    pub async fn pass(&self, name: &str) -> AccessBinding {
        let request = self.ask(name).await;
        eventually(&format!("{name} was looked at"), PATIENCE, || async {
            let binding = self.bindings().get(name).await.map_err(|e| e.to_string())?;
            let status = binding.status.clone().unwrap_or_default();
            let done = status.last_handled_request.as_ref() == Some(&request);
            done.then_some(binding)
                .ok_or_else(|| serde_json::to_string(&status.conditions).unwrap())
        })
        .await
    }

    /// Deletes a binding and waits until it is no more.
    pub async fn delete(&self, name: &str) {
        self.go(name).await;
        self.gone(name).await;
    }

    /// Deletes a binding.
    pub async fn go(&self, name: &str) {
        self.bindings()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Waits until a binding is no more.
    pub async fn gone(&self, name: &str) {
        eventually(&format!("{name} is gone"), PATIENCE, || async {
            match self.bindings().get_opt(name).await.map_err(|e| e.to_string())? {
                None => Ok(()),
                Some(binding) => Err(format!("{:?}", binding.status.map(|status| status.conditions))),
            }
        })
        .await;
    }

    /// Takes away the finalizers of an object, as somebody in despair does.
    pub async fn strip<K: Ours + Serialize>(&self, name: &str) {
        strip(&self.all::<K>(), name).await.unwrap();
    }

    /// Reason and message of every event in the namespace.
    pub async fn events(&self) -> Vec<(String, String)> {
        use k8s_openapi::api::events::v1::Event;
        let events: kube::Api<Event> = kube::Api::namespaced(self.client.clone(), &self.prefix);
        let list = events.list(&ListParams::default()).await.unwrap();
        let text = |text: Option<String>| text.unwrap_or_default();
        list.into_iter()
            .map(|event| (text(event.reason), text(event.note)))
            .collect()
    }

    /// Waits for an event with this reason.
    pub async fn until_event(&self, reason: &str) -> String {
        eventually(&format!("an event says {reason}"), PATIENCE, || async {
            let events = self.events().await;
            let found = events.iter().find(|(why, _)| why == reason);
            found
                .map(|(_, note)| note.clone())
                .ok_or_else(|| format!("{events:?}"))
        })
        .await
    }
}

/// The uid of an object.
pub fn uid(binding: &AccessBinding) -> String {
    binding.meta().uid.clone().unwrap()
}

/// The digest that an approval of a binding's plan must name.
pub fn digest(binding: &AccessBinding) -> String {
    let status = binding.status.as_ref().unwrap();
    status.plan.as_ref().map_or_else(
        || panic!("{} has no plan", binding.name_any()),
        |plan| plan.digest.clone(),
    )
}
