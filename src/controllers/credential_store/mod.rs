//! A store says whether it lets us in, and stays while values lie in it. report alone: nothing is written outside.

mod report;

use std::sync::Arc;

use async_trait::async_trait;
use kube::ResourceExt as _;
use lockstep_core::api::{CredentialStore, DEPENDANTS_FINALIZER};
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::{ConnectionKey, ConnectionKind};

use super::{Context, Next, Reconcile};

/// The controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Controller;

#[async_trait]
impl Reconcile for Controller {
    type Object = CredentialStore;

    async fn reconcile(&self, store: Arc<CredentialStore>, context: &Context) -> Next {
        report::report(&store, context).await
    }
}

/// Whether values lie in it that can only be taken out through this connection.
pub fn keeps_values_behind(store: &CredentialStore, connection: &ConnectionKey) -> bool {
    let namespace = store.namespace().unwrap_or_default();
    let Some(scope) = &store.spec.databricks_secret_scope else {
        return false;
    };
    let behind = defaults::connection(ConnectionKind::Databricks, &scope.connection_ref, &namespace);
    behind == *connection && store.finalizers().iter().any(|held| held == DEPENDANTS_FINALIZER)
}
