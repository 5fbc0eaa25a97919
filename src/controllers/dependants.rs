//! What others still need stays until they are gone: it bears a finalizer of ours for as long as anybody depends on it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lockstep_core::api::DEPENDANTS_FINALIZER;
use lockstep_core::domain::ports::{KeepError, ObjectKey};

use super::Context;

/// Adds the finalizer or takes it away, where that is another than it is. `needed`: somebody depends on the object.
pub(super) async fn keep(
    object: &ObjectKey,
    meta: &ObjectMeta,
    needed: bool,
    context: &Context,
) -> Result<(), KeepError> {
    let held = meta
        .finalizers
        .iter()
        .flatten()
        .any(|finalizer| finalizer == DEPENDANTS_FINALIZER);
    let going = meta.deletion_timestamp.is_some();
    match (held, needed, going) {
        // Nothing may be added to what is being deleted.
        (false, true, false) => context.cluster.add_finalizer(object, DEPENDANTS_FINALIZER).await,
        (true, false, _) => {
            context
                .cluster
                .remove_finalizer(object, DEPENDANTS_FINALIZER)
                .await
        }
        _ => Ok(()),
    }
}
