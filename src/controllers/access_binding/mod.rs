//! AccessBinding: keeps a team's access in both systems as declared.
//!
//! The recipe, one file a step: [`gather`] reads (and alone reads for decisions), [`plan`] decides purely,
//! [`apply`] alone writes outside, [`report`] owns the rest of status.

mod apply;
mod gather;
mod plan;
mod report;

use gather::interval;
pub use gather::{Gathered, Oldest, connections_of, depends_on, gather, question};
pub use plan::{Planned, decide_now};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{AccessBinding, FINALIZER};
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::defaults;
use lockstep_core::domain::outcome::freshness;
use lockstep_core::domain::ports::ObjectKey;

use super::{Context, Next, Reconcile};

/// How far apart two readings are at least that both count as sightings.
const APART: SignedDuration = SignedDuration::from_secs(1);

/// A write: its target, and when it was written.
type Write = (Target, Timestamp);
/// When the reading was begun that first showed a write.
type Sightings = BTreeMap<Write, Timestamp>;

/// The controller. Its memory is a courtesy: losing it costs a reading, never a right.
#[derive(Debug, Default)]
pub struct Controller {
    /// Writes that were seen once since: Databricks' readings go backwards, so a second one decides
    /// (seen by the vendor's own migration tool, databrickslabs/ucx).
    seen_once: Mutex<BTreeMap<String, Sightings>>,
    /// The `requested-at` values whose pass has begun from fresh readings.
    handled: Mutex<BTreeMap<String, String>>,
}

impl Controller {
    /// Of the writes that readings show now, those that an earlier reading showed too.
    pub(super) fn seen_twice(&self, uid: &str, now: Sightings) -> BTreeSet<Write> {
        let mut seen = self.seen_once.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.remove(uid).unwrap_or_default();
        let (mut twice, mut once) = (BTreeSet::new(), Sightings::new());
        for (write, taken) in now {
            match before.get(&write) {
                Some(first) if taken > *first => {
                    twice.insert(write);
                }
                first => {
                    once.insert(write, first.copied().unwrap_or(taken));
                }
            }
        }
        if !once.is_empty() {
            seen.insert(uid.to_owned(), once);
        }
        twice
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, uid: &str) {
        let mut seen = self.seen_once.lock().unwrap_or_else(PoisonError::into_inner);
        seen.remove(uid);
        let mut handled = self.handled.lock().unwrap_or_else(PoisonError::into_inner);
        handled.remove(uid);
    }

    /// How fresh a reading must be to be the second sighting that this object waits for. Those who wait at the same
    /// time take the same reading.
    fn second_reading(&self, uid: &str, now: Timestamp) -> Option<Timestamp> {
        let seen = self.seen_once.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *seen.get(uid)?.values().max()?;
        Some(first.checked_add(APART).unwrap_or(now).min(now))
    }

    /// Whether this object's `requested-at` has not been served by fresh readings yet.
    fn is_asked_anew(&self, uid: &str, request: Option<&String>, echoed: Option<&String>) -> bool {
        let Some(request) = request else { return false };
        let mut handled = self.handled.lock().unwrap_or_else(PoisonError::into_inner);
        if echoed == Some(request) {
            handled.remove(uid);
            return false;
        }
        handled.insert(uid.to_owned(), request.clone()).as_ref() != Some(request)
    }
}

/// The name of an object in journal and record.
pub fn key(binding: &AccessBinding) -> ObjectKey {
    ObjectKey {
        kind: "AccessBinding".into(),
        namespace: binding.namespace().unwrap_or_default(),
        name: binding.name_any(),
        uid: binding.uid().unwrap_or_default(),
    }
}

#[async_trait]
impl Reconcile for Controller {
    type Object = AccessBinding;

    async fn reconcile(&self, binding: Arc<AccessBinding>, context: &Context) -> Next {
        let now = context.clock.now();
        let deleting = binding.metadata.deletion_timestamp.is_some();
        let held = binding
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER);
        if deleting && !held {
            return Next::AwaitChange;
        }
        if defaults::suspended(&binding.spec) && !deleting {
            return report::suspended(&binding, context, now).await;
        }
        let status = binding.status.as_ref();
        let request = binding.annotations().get(lockstep_core::api::REQUESTED_AT);
        let echoed = status.and_then(|status| status.last_handled_request.as_ref());
        let interval = interval(&*context.cluster, &binding);
        let asked = self.is_asked_anew(&binding.uid().unwrap_or_default(), request, echoed);
        let fresh = if asked { now } else { freshness(now, interval) };
        let oldest = Oldest {
            people: fresh,
            targets: self
                .second_reading(&binding.uid().unwrap_or_default(), now)
                .map_or(fresh, |second| fresh.max(second)),
        };

        let mut gathered = gather(&binding, context, oldest).await;
        let mut planned = decide_now(&gathered, context, now);
        if planned.must_look_again(now) {
            // What is taken away is looked at just before; if it changed meanwhile the plan changes with it.
            let targets = context.clock.now();
            gathered = gather(&binding, context, Oldest { targets, ..oldest }).await;
            planned = decide_now(&gathered, context, context.clock.now());
        }
        let enforce = defaults::mode(&binding.spec) == Mode::Enforce || deleting;
        let applied = if enforce {
            apply::apply(self, &binding, &gathered, planned, context).await
        } else {
            apply::Outcome::observed(planned)
        };
        if applied.released {
            self.forget(&binding.uid().unwrap_or_default());
        }
        report::report(&binding, &gathered, applied, context).await
    }
}
