//! A store says whether it lets us in. report alone: nothing is written outside.

mod report;

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_core::api::CredentialStore;

use super::{Context, Next, Reconcile};

/// The controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Controller;

#[async_trait]
impl Reconcile for Controller {
    type Object = CredentialStore;

    async fn reconcile(&self, store: Arc<CredentialStore>, context: &Context) -> Next {
        if store.metadata.deletion_timestamp.is_some() {
            return Next::AwaitChange;
        }
        report::report(&store, context).await
    }
}
