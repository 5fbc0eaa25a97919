//! Promotion: one attempt to bring one commit to one environment.
//!
//! The recipe, one file a step: [`gather`] reads, [`plan`] says what everybody wants of it now, [`apply`] alone writes
//! outside, one move after the other and each written down before it is made, [`report`] owns the rest of status. What
//! [`gather`] reads is two things: [`question`] puts a change before the gate, [`way_back`] finds where a rollback leads.
//! An override does nothing itself, and has a recipe of its own: [`glass`].

mod apply;
mod gather;
mod glass;
mod judge;
mod plan;
mod question;
mod report;
mod way_back;

use std::sync::Arc;

use async_trait::async_trait;
use kube::ResourceExt as _;
use lockstep_core::api::{FINALIZER, Promotion};
use lockstep_core::domain::ports::ObjectKey;

pub use gather::contenders;
pub use judge::{Judged, judge};
pub use question::{Ahead, Question, Unjudged};

use super::branches::Branches;
use super::{Context, Next, Reconcile};

/// The controller.
pub struct Controller {
    branches: Arc<Branches>,
}

impl Controller {
    /// With readings that are shared with the controller of policies.
    pub fn new(branches: Arc<Branches>) -> Self {
        Self { branches }
    }
}

/// The name of an object in journal and record.
pub fn key(promotion: &Promotion) -> ObjectKey {
    ObjectKey {
        kind: "Promotion".into(),
        namespace: promotion.namespace().unwrap_or_default(),
        name: promotion.name_any(),
        uid: promotion.uid().unwrap_or_default(),
    }
}

#[async_trait]
impl Reconcile for Controller {
    type Object = Promotion;

    async fn reconcile(&self, promotion: Arc<Promotion>, context: &Context) -> Next {
        let deleting = promotion.metadata.deletion_timestamp.is_some();
        if deleting && !promotion.finalizers().iter().any(|held| held == FINALIZER) {
            return Next::AwaitChange;
        }
        if let Some(wish) = &promotion.spec.override_ {
            return glass::reconcile(&promotion, wish, context).await;
        }
        let gathered = gather::gather(&self.branches, &promotion, context).await;
        let planned = plan::plan(&promotion, &gathered, context.clock.now());
        let applied = apply::apply(&promotion, &gathered, planned, context).await;
        report::report(&promotion, &gathered, applied, context).await
    }
}
