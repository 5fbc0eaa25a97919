//! Status of a store, and when to look again.

use std::time::Duration;

use kube::ResourceExt as _;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::{CredentialStore, REQUESTED_AT};
use lockstep_core::domain::outcome::{Saying, conditions};
use lockstep_core::domain::ports::{ErrorClass, ObjectKey};
use serde_json::json;

use super::super::service_credential::reading;
use super::super::{Context, Next};

/// Between two looks without a reason.
const INTERVAL: Duration = Duration::from_mins(10);

pub async fn report(store: &CredentialStore, context: &Context) -> Next {
    let now = context.clock.now();
    let (namespace, name) = (store.namespace().unwrap_or_default(), store.name_any());
    let usable = reading::usable(&store.spec, &namespace, &*context.cluster, &context.home);
    let (reason, message, next) = match usable {
        Err((reason, message)) => (reason, message, Next::After(INTERVAL)),
        Ok(()) => match context.stores.probe(&namespace, &name).await {
            Ok(()) => (Reason::Succeeded, String::new(), Next::After(INTERVAL)),
            Err(error) => {
                let next = match error.class() {
                    ErrorClass::RetrySoon | ErrorClass::RetryAt(_) => Next::Backoff,
                    ErrorClass::WaitForChange | ErrorClass::WaitSlow => Next::After(Duration::from_mins(1)),
                };
                (error.reason(), error.to_string(), next)
            }
        },
    };
    let ready = Saying::new(ConditionType::Ready, reason == Reason::Succeeded, reason, message);
    let meta = &store.metadata;
    let before = store.status.as_ref().map(|status| status.conditions.as_slice());
    let status = json!({
        "observedGeneration": meta.generation,
        "lastHandledRequest": store.annotations().get(REQUESTED_AT),
        "conditions": conditions(&[ready], before.unwrap_or_default(), meta.generation, now),
    });
    let object = ObjectKey {
        kind: "CredentialStore".into(),
        namespace,
        name,
        uid: store.uid().unwrap_or_default(),
    };
    if let Err(error) = context.cluster.write_status(&object, status).await {
        tracing::warn!(%error, "status could not be written");
        return Next::Backoff;
    }
    next
}
