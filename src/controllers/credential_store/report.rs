//! Status of a store, its finalizer while values lie in it, and when to look again.

use std::time::Duration;

use kube::ResourceExt as _;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::{CredentialStore, REQUESTED_AT};
use lockstep_core::domain::outcome::{Saying, conditions};
use lockstep_core::domain::ports::{ErrorClass, ObjectKey};
use serde_json::json;

use super::super::service_credential::reading;
use super::super::{Context, Next, dependants};

/// Between two looks without a reason.
const INTERVAL: Duration = Duration::from_mins(10);

pub async fn report(store: &CredentialStore, context: &Context) -> Next {
    let now = context.clock.now();
    let meta = &store.metadata;
    let (namespace, name) = (store.namespace().unwrap_or_default(), store.name_any());
    let object = ObjectKey {
        kind: "CredentialStore".into(),
        namespace: namespace.clone(),
        name: name.clone(),
        uid: store.uid().unwrap_or_default(),
    };
    let credentials = context.credentials.credentials();
    let lying = credentials
        .iter()
        .filter(|credential| reading::lies_in(credential, &namespace, &name));
    let lying = lying.count();
    if let Err(error) = dependants::keep(&object, meta, lying > 0, context).await {
        tracing::warn!(%error, "finalizer could not be kept");
        return Next::Backoff;
    }
    let going = meta.deletion_timestamp.is_some();
    if going && lying == 0 {
        return Next::AwaitChange;
    }
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
    let mut sayings = vec![Saying::new(
        ConditionType::Ready,
        reason == Reason::Succeeded,
        reason,
        message,
    )];
    if going {
        let message =
            format!("values of {lying} service credentials still lie in it: delete or change those first");
        sayings.push(Saying::new(
            ConditionType::Reconciling,
            true,
            Reason::HasDependants,
            message,
        ));
    }
    let before = store.status.as_ref().map(|status| status.conditions.as_slice());
    let status = json!({
        "observedGeneration": meta.generation,
        "lastHandledRequest": store.annotations().get(REQUESTED_AT),
        "conditions": conditions(&sayings, before.unwrap_or_default(), meta.generation, now),
    });
    if let Err(error) = context.cluster.write_status(&object, status).await {
        tracing::warn!(%error, "status could not be written");
        return Next::Backoff;
    }
    next
}
