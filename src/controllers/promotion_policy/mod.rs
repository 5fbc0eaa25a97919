//! PromotionPolicy: sees what merges, makes a promotion of each change, and gives the turn in each environment.
//!
//! The recipe, one file a step: [`gather`] reads, [`plan`] decides purely, [`apply`] writes to the cluster what was
//! decided, [`report`] owns the rest of status. Outside nothing is written but [`labels`] and [`requirements`], which are [`leaving`]'s
//! to take back, and nothing deleted but [`directories`] that nobody needs any more; the rest is the promotions' part. What ran
//! in the environments, whoever began it, is counted by [`completeness`]. What is looked at rarely and said in every pass
//! ([`labels`], [`requirements`], [`hardened`], [`remote`]) is remembered [`aside`].

mod apply;
mod approvals;
mod aside;
mod claims;
mod completeness;
mod count;
mod directories;
mod gate;
mod gather;
mod hardened;
mod labels;
mod leaving;
mod made;
mod plan;
pub mod reading;
mod remote;
mod report;
mod requirements;
mod rules;
mod turn;
mod unexplained;
pub mod unreviewed;
mod witnessed;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::ObjectKey;
use lockstep_core::domain::promotion::gate::rules::Rules;

use self::aside::{Aside, Pass, Told};
use super::branches::Branches;
use super::{Context, Next, Reconcile};

/// How often the names of a gate are looked up again.
const NAMES: SignedDuration = SignedDuration::from_mins(10);

/// The controller.
pub struct Controller {
    branches: Arc<Branches>,
    /// What the gates' names meant when they were last looked up, by uid. Losing it costs a reading.
    looked: Mutex<BTreeMap<String, Looked>>,
    /// Whether the gate's labels are there.
    labels: Aside,
    /// How submit requirements stand.
    requirements: Aside,
    /// Which ways around the gate are open.
    hardened: Aside,
    /// Whether the project tells us what happens.
    remote: Aside,
    counting: completeness::Counting,
}

/// What the names of one gate meant.
struct Looked {
    generation: i64,
    at: Timestamp,
    rules: Arc<BTreeMap<String, Rules>>,
}

impl Controller {
    /// With readings that are shared with the controller of promotions.
    pub fn new(branches: Arc<Branches>) -> Self {
        Self {
            branches,
            looked: Mutex::default(),
            labels: Aside::default(),
            requirements: Aside::default(),
            hardened: Aside::default(),
            remote: Aside::default(),
            counting: completeness::Counting::default(),
        }
    }

    /// What the names of the gate mean, unless they are due to be looked up.
    fn known(&self, policy: &PromotionPolicy, now: Timestamp) -> Option<Arc<BTreeMap<String, Rules>>> {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = looked.get(&policy.uid()?)?;
        let generation = policy.metadata.generation.unwrap_or_default();
        let due = known.generation != generation
            || now.duration_since(known.at) >= NAMES
            || self.is_configured_anew(policy, known.at);
        (!due).then(|| known.rules.clone())
    }

    /// Whether somebody has said since that what the names mean may have changed.
    fn is_configured_anew(&self, policy: &PromotionPolicy, since: Timestamp) -> bool {
        let read = reading::whole(policy);
        read.is_ok_and(|read| {
            self.branches
                .is_configured_anew(&read.gerrit, &read.project, since)
        })
    }

    fn note(&self, policy: &PromotionPolicy, rules: Arc<BTreeMap<String, Rules>>, at: Timestamp) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = policy.metadata.generation.unwrap_or_default();
        let found = Looked {
            generation,
            at,
            rules,
        };
        looked.insert(policy.uid().unwrap_or_default(), found);
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
            self.labels.forget(&policy);
            self.requirements.forget(&policy);
            self.hardened.forget(&policy);
            self.remote.forget(&policy);
            return leaving::leave(&policy, context).await;
        }
        let now = context.clock.now();
        if defaults::policy_suspended(&policy.spec) {
            return report::suspended(&policy, context, now).await;
        }
        let known = self.known(&policy, now);
        let looks_up = known.is_none();
        let gathered = gather::gather(&self.branches, &self.counting, &policy, known, context).await;
        if let Some(error) = &gathered.unkept {
            tracing::warn!(%error, "the record could not be asked");
            return Next::Backoff;
        }
        let planned = plan::plan(&policy, &gathered, now);
        let applied = apply::apply(&policy, &planned, context).await;
        if let (true, Some(rules)) = (looks_up, &gathered.rules) {
            self.note(&policy, rules.clone(), now);
        }
        if applied.is_ok() {
            for (environment, counted) in &planned.counted {
                self.counting.keep(&policy, environment, counted.clone());
            }
        }
        let mut told = Told::default();
        if applied.is_ok() {
            let anew = |since| self.is_configured_anew(&policy, since);
            let pass = Pass {
                policy: &policy,
                gathered: &gathered,
                planned: &planned,
                context,
            };
            told = labels::follow(&self.labels, pass, anew).await;
            told = told.and(requirements::follow(&self.requirements, pass, anew).await);
            let open = hardened::follow(&self.hardened, pass, anew).await;
            remote::follow(&self.remote, pass, anew).await;
            told = told.and(open);
        }
        report::report(&policy, &gathered, &planned, told, applied, context).await
    }
}
