//! ServiceCredential: replaces a secret before it grows old. Every consumer always has one that works, and none lives that
//! nobody knows of.
//!
//! The recipe, one file a step: [`gather`] opens issuer and stores and says who may use them, [`plan`] decides purely what
//! is asked of the machine, [`apply`] moves it (what each move does outside is in [`doing`]), [`report`] owns the rest of
//! status. Values live in memory only: those on their way between two passes are [`held`].

mod apply;
mod doing;
mod gather;
mod held;
mod leftover;
mod plan;
pub mod reading;
mod report;

use std::sync::Arc;

use async_trait::async_trait;
use kube::ResourceExt as _;
use lockstep_core::api::ServiceCredential;
use lockstep_core::domain::ports::ObjectKey;

use self::held::Held;
use super::{Context, Next, Reconcile};

/// The controller.
#[derive(Default)]
pub struct Controller {
    held: Held,
}

/// The name of an object in journal and record.
pub fn key(credential: &ServiceCredential) -> ObjectKey {
    ObjectKey {
        kind: "ServiceCredential".into(),
        namespace: credential.namespace().unwrap_or_default(),
        name: credential.name_any(),
        uid: credential.uid().unwrap_or_default(),
    }
}

#[async_trait]
impl Reconcile for Controller {
    type Object = ServiceCredential;

    async fn reconcile(&self, credential: Arc<ServiceCredential>, context: &Context) -> Next {
        if reading::is_gone(&credential) {
            self.held.forget(&key(&credential).uid);
            return Next::AwaitChange;
        }
        let gathered = gather::gather(&credential, context).await;
        if let Err(error) = &gathered.record {
            tracing::warn!(%error, "the record could not be asked");
            return Next::Backoff;
        }
        let planned = plan::plan(&credential, &gathered, context.clock.now());
        let applied = apply::apply(&credential, &gathered, &planned, &self.held, context).await;
        report::report(&credential, &gathered, &planned, applied, context).await
    }

    /// Every second that a stolen value lives is the thief's, however many others rotate meanwhile.
    fn is_urgent(&self, credential: &ServiceCredential) -> bool {
        reading::is_stolen(credential)
    }
}
