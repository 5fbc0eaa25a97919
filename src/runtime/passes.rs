//! One kind's passes as the scheduler sees them: the object is looked up, and what does not decode is reported on
//! the object itself.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::domain::outcome::{Saying, conditions};
use lockstep_core::domain::ports::{Note, ObjectKey};
use serde::Deserialize as _;
use serde_json::json;
use tokio::time::Instant;

use super::schedule::Ended;
use crate::controllers::{Context, Next, Reconcile};
use crate::kubernetes::{Cache, Kind, KindName, Look, Name, Store, Undecodable};

/// Passes over the objects of one kind.
#[async_trait]
pub trait Passes: Send + Sync {
    fn kind(&self) -> KindName;

    /// Whether the object of this name must not wait behind others that are due.
    fn is_urgent(&self, name: &Name) -> bool;

    /// One pass over the object of this name.
    async fn pass(&self, name: &Name) -> Ended;
}

/// A controller with the cache of its kind.
struct Registered<R, K> {
    kind: KindName,
    controller: R,
    cache: Arc<Cache<K>>,
    store: Arc<Store>,
    context: Arc<Context>,
}

/// Joins a controller to the cache of its kind.
pub fn register<K: Kind, R: Reconcile<Object = K>>(
    kind: KindName,
    controller: R,
    cache: &Arc<Cache<K>>,
    store: &Arc<Store>,
    context: &Arc<Context>,
) -> Box<dyn Passes> {
    Box::new(Registered {
        kind,
        controller,
        cache: cache.clone(),
        store: store.clone(),
        context: context.clone(),
    })
}

#[async_trait]
impl<K: Kind, R: Reconcile<Object = K>> Passes for Registered<R, K> {
    fn kind(&self) -> KindName {
        self.kind
    }

    fn is_urgent(&self, name: &Name) -> bool {
        match self.cache.look(name) {
            Look::Found(object) => self.controller.is_urgent(&object),
            Look::Undecodable(_) | Look::Gone => false,
        }
    }

    async fn pass(&self, name: &Name) -> Ended {
        let object = match self.cache.look(name) {
            Look::Found(object) => object,
            Look::Undecodable(broken) => return self.report(&broken).await,
            Look::Gone => return Ended::Gone,
        };
        if object.meta().deletion_timestamp.is_some() {
            // Whether the whole kind is going decides what a deletion means; it must not be learned too late.
            if let Err(error) = self.store.kinds.confirm(self.kind, Instant::now()).await {
                tracing::warn!(%error, "deletion put off");
                return Ended::Broke;
            }
        }
        Ended::Said(self.controller.reconcile(object, &self.context).await)
    }
}

impl<K: Kind, R: Reconcile<Object = K>> Registered<R, K> {
    /// Says on the object that it is not understood. Nothing outside is touched.
    async fn report(&self, broken: &Undecodable) -> Ended {
        let meta = &broken.metadata;
        let object = ObjectKey {
            kind: self.kind.as_str().into(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        };
        let message = format!(
            "This version of Lockstep does not understand the object, and leaves everything as it is: {}",
            broken.message
        );
        let sayings = [
            Saying::new(ConditionType::Ready, false, Reason::InvalidSpec, message.as_str()),
            Saying::new(
                ConditionType::Stalled,
                true,
                Reason::InvalidSpec,
                message.as_str(),
            ),
        ];
        let before = Vec::<Condition>::deserialize(&broken.conditions).unwrap_or_default();
        let now = self.context.clock.now();
        let status = json!({
            "observedGeneration": meta.generation,
            "conditions": conditions(&sayings, &before, meta.generation, now),
        });
        let cluster = &self.context.cluster;
        if let Err(error) = cluster.write_status(&object, status).await {
            tracing::warn!(%error, "an object that is not understood could not be told so");
            return Ended::Broke;
        }
        let note = Note {
            reason: Reason::InvalidSpec,
            message,
            warning: true,
        };
        cluster.note(&object, note).await;
        Ended::Said(Next::AwaitChange)
    }
}
