//! A freeze says of itself whether it holds. It stops nobody: who is about to change something outside asks for it.
//! report alone; nothing is read or written outside.

mod report;

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_core::api::ChangeFreeze;

use super::{Context, Next, Reconcile};

/// The controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Controller;

#[async_trait]
impl Reconcile for Controller {
    type Object = ChangeFreeze;

    async fn reconcile(&self, freeze: Arc<ChangeFreeze>, context: &Context) -> Next {
        if freeze.metadata.deletion_timestamp.is_some() {
            return Next::AwaitChange;
        }
        report::report(&freeze, context).await
    }
}
