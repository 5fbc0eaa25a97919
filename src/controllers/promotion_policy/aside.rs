//! What is looked at rarely and said in every pass. Losing it costs a reading.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::promotion_policy::PendingPlan;
use lockstep_core::domain::defaults;
use lockstep_core::domain::outcome::Saying;
use lockstep_core::domain::ports::{ErrorClass, SystemError};
use serde_json::{Map, Value};

use super::super::Context;
use super::gather::Gathered;
use super::plan::Planned;

/// How soon what is likely to pass is tried again.
const SOON: SignedDuration = SignedDuration::from_secs(10);

/// The pass that a look is part of.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    pub policy: &'a PromotionPolicy,
    pub gathered: &'a Gathered,
    pub planned: &'a Planned,
    pub context: &'a Context,
}

/// What a look came to.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub sayings: Vec<Saying>,
    pub plans: Vec<PendingPlan>,
    /// Fields of the report.
    pub fields: Map<String, Value>,
    /// Something was written outside.
    pub wrote: bool,
    /// Where events are posted.
    pub remote: Option<String>,
}

impl Told {
    /// Both.
    pub fn and(mut self, other: Self) -> Self {
        self.sayings.extend(other.sayings);
        self.plans.extend(other.plans);
        self.fields.extend(other.fields);
        self.wrote |= other.wrote;
        self
    }

    /// Adds it to what a pass says. Of `Ready` the first trouble counts, and what blocks is said in one sentence.
    pub fn add_to(self, sayings: &mut Vec<Saying>) {
        for said in self.sayings {
            let known = sayings.iter_mut().find(|known| known.kind == said.kind);
            match (known, said.kind) {
                (None, _) => sayings.push(said),
                (Some(known), ConditionType::Blocked) => {
                    known.message = format!("{}; {}", known.message, said.message);
                }
                (Some(known), _) if known.status == Some(true) => *known = said,
                (Some(_), _) => {}
            }
        }
    }

    /// What is declared cannot be brought about.
    pub fn trouble(&mut self, reason: Reason, message: impl Into<String>) {
        self.sayings
            .push(Saying::new(ConditionType::Ready, false, reason, message));
    }
}

/// When to look again after something failed: in time for people who mend it, never in a hurry.
pub fn again(error: &SystemError, now: Timestamp, interval: SignedDuration) -> Timestamp {
    let after = |pause| now.checked_add(pause).unwrap_or(now);
    match error.class() {
        ErrorClass::RetrySoon => after(SOON),
        ErrorClass::RetryAt(at) => at,
        ErrorClass::WaitForChange | ErrorClass::WaitSlow => after(interval),
    }
}

/// Between two looks without a reason.
pub fn interval(policy: &PromotionPolicy) -> SignedDuration {
    let seconds = defaults::interval(policy.spec.interval.as_ref());
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(600))
}

struct Known {
    generation: Option<i64>,
    looked: Timestamp,
    again: Timestamp,
    told: Told,
}

/// What was told of each policy, by uid.
#[derive(Default)]
pub struct Aside(Mutex<BTreeMap<String, Known>>);

impl Aside {
    /// What was told last; `None`: it is due again. `since`: whether something has happened since that time.
    pub fn told(
        &self,
        policy: &PromotionPolicy,
        now: Timestamp,
        since: impl FnOnce(Timestamp) -> bool,
    ) -> Option<Told> {
        let known = self.lock();
        let known = known.get(&policy.uid()?)?;
        let current = known.generation == policy.metadata.generation && now < known.again;
        (current && !since(known.looked)).then(|| known.told.clone())
    }

    /// Whether the last look at this very spec ended with a write.
    pub fn wrote(&self, policy: &PromotionPolicy) -> bool {
        let known = self.lock();
        let known = policy.uid().and_then(|uid| known.get(&uid));
        known.is_some_and(|known| known.generation == policy.metadata.generation && known.told.wrote)
    }

    /// What was told last, however long ago.
    pub fn last(&self, policy: &PromotionPolicy) -> Told {
        let known = self.lock();
        let known = policy.uid().and_then(|uid| Some(known.get(&uid)?.told.clone()));
        known.unwrap_or_default()
    }

    pub fn put(&self, policy: &PromotionPolicy, looked: Timestamp, again: Timestamp, told: Told) {
        let known = Known {
            generation: policy.metadata.generation,
            looked,
            again,
            told,
        };
        self.lock().insert(policy.uid().unwrap_or_default(), known);
    }

    pub fn forget(&self, policy: &PromotionPolicy) {
        self.lock().remove(&policy.uid().unwrap_or_default());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
