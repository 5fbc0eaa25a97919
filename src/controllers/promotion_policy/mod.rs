//! PromotionPolicy: sees what merges, makes a promotion of each change, and gives the turn in each environment.
//!
//! The recipe, one file a step: [`gather`] reads, [`plan`] decides purely, [`apply`] writes to the cluster what was
//! decided, [`report`] owns the rest of status. Outside nothing is written but [`requirements`], which is [`leaving`]'s to
//! take back; the rest is the promotions' part.

mod apply;
mod aside;
mod gather;
mod holds;
mod leaving;
mod plan;
pub mod reading;
mod report;
mod requirements;
mod rules;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::ObjectKey;

use self::aside::{Aside, Told};
use super::branches::Branches;
use super::{Context, Next, Reconcile};

/// How often the names of a gate are looked up again.
const NAMES: SignedDuration = SignedDuration::from_mins(10);

/// The controller.
pub struct Controller {
    branches: Arc<Branches>,
    /// Of which generation the gate's names were last looked up, and when. Losing it costs a reading.
    looked: Mutex<BTreeMap<String, (i64, Timestamp)>>,
    /// How submit requirements stand.
    requirements: Aside,
}

impl Controller {
    /// With readings that are shared with the controller of promotions.
    pub fn new(branches: Arc<Branches>) -> Self {
        Self {
            branches,
            looked: Mutex::default(),
            requirements: Aside::default(),
        }
    }

    /// Whether the names of the gate are due to be looked up.
    fn looks_up(&self, policy: &PromotionPolicy, now: Timestamp) -> bool {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = policy.metadata.generation.unwrap_or_default();
        let known = policy.uid().and_then(|uid| looked.get(&uid).copied());
        known.is_none_or(|(seen, at)| {
            seen != generation || now.duration_since(at) >= NAMES || self.is_configured_anew(policy, at)
        })
    }

    /// Whether somebody has said since that what the names mean may have changed.
    fn is_configured_anew(&self, policy: &PromotionPolicy, since: Timestamp) -> bool {
        let read = reading::whole(policy);
        read.is_ok_and(|read| {
            self.branches
                .is_configured_anew(&read.gerrit, &read.project, since)
        })
    }

    fn note(&self, policy: &PromotionPolicy, now: Timestamp) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = policy.metadata.generation.unwrap_or_default();
        looked.insert(policy.uid().unwrap_or_default(), (generation, now));
    }
}

/// The name of an object in journal and record.
pub fn key(policy: &PromotionPolicy) -> ObjectKey {
    ObjectKey {
        kind: "PromotionPolicy".into(),
        namespace: policy.namespace().unwrap_or_default(),
        name: policy.name_any(),
        uid: policy.uid().unwrap_or_default(),
    }
}

#[async_trait]
impl Reconcile for Controller {
    type Object = PromotionPolicy;

    async fn reconcile(&self, policy: Arc<PromotionPolicy>, context: &Context) -> Next {
        if policy.metadata.deletion_timestamp.is_some() {
            self.requirements.forget(&policy);
            return leaving::leave(&policy, context).await;
        }
        let now = context.clock.now();
        if defaults::policy_suspended(&policy.spec) {
            return report::suspended(&policy, context, now).await;
        }
        let looks_up = self.looks_up(&policy, now);
        let gathered = gather::gather(&self.branches, &policy, looks_up, context).await;
        if let Some(error) = &gathered.unkept {
            tracing::warn!(%error, "the record could not be asked");
            return Next::Backoff;
        }
        let planned = plan::plan(&policy, &gathered, now);
        let applied = apply::apply(&policy, &planned, context).await;
        if gathered.rules.is_some() && applied.is_ok() {
            self.note(&policy, now);
        }
        let mut told = Told::default();
        if applied.is_ok() {
            let anew = |since| self.is_configured_anew(&policy, since);
            told =
                requirements::follow(&self.requirements, &policy, &gathered, &planned, anew, context).await;
        }
        report::report(&policy, &gathered, &planned, told, applied, context).await
    }
}
