//! Deletions of bindings, remembered for a while after the objects are gone: a tool that deletes one object after
//! another takes as much away as one that deletes all at once. In memory only: whoever restarts forgets what is gone
//! by then, and counts anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use lockstep_core::api::{AccessBinding, FINALIZER};
use lockstep_core::domain::defaults::FLOOD;

/// By uid: an object made again under the same name is another.
#[derive(Debug, Default)]
pub struct Departures(Mutex<BTreeMap<String, Departure>>);

#[derive(Debug)]
struct Departure {
    began: Timestamp,
    gone: bool,
    /// As it stood when it began: what it held then stands there.
    binding: Arc<AccessBinding>,
}

impl Departures {
    /// Takes in how one binding changed.
    pub(super) fn observe(&self, old: Option<&Arc<AccessBinding>>, new: Option<&Arc<AccessBinding>>) {
        let uid = |binding: &Arc<AccessBinding>| binding.metadata.uid.clone();
        let (before, after) = (old.and_then(uid), new.and_then(uid));
        if let Some(before) = before.filter(|before| after.as_ref() != Some(before)) {
            self.leave(&before);
        }
        let Some((binding, after)) = new.zip(after) else {
            return;
        };
        let meta = &binding.metadata;
        let ours = meta
            .finalizers
            .iter()
            .flatten()
            .any(|finalizer| finalizer == FINALIZER);
        if let Some(began) = meta.deletion_timestamp.as_ref().filter(|_| ours) {
            self.begin(after, began.0, binding);
        }
    }

    /// Those that began at this time or later.
    pub(super) fn since(&self, since: Timestamp) -> Vec<Arc<AccessBinding>> {
        let all = self.all();
        let recent = all.values().filter(|departure| departure.began >= since);
        recent.map(|departure| departure.binding.clone()).collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Departure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, uid: &str) {
        if let Some(departure) = self.all().get_mut(uid) {
            departure.gone = true;
        }
    }

    fn begin(&self, uid: String, began: Timestamp, binding: &Arc<AccessBinding>) {
        let mut all = self.all();
        if all.contains_key(&uid) {
            return;
        }
        let departure = Departure {
            began,
            gone: false,
            binding: binding.clone(),
        };
        all.insert(uid, departure);
        // What is gone is kept while another that still goes, or this one, began soon enough after it.
        let mut standing: Vec<Timestamp> = all
            .values()
            .filter(|departure| !departure.gone)
            .map(|departure| departure.began)
            .collect();
        standing.sort_unstable();
        all.retain(|_, departure| {
            let until = flood_end(departure.began);
            let next = standing.partition_point(|began| *began < departure.began);
            !departure.gone || standing.get(next).is_some_and(|began| *began <= until)
        });
    }
}

fn flood_end(began: Timestamp) -> Timestamp {
    began
        .checked_add(SignedDuration::from_secs(FLOOD))
        .unwrap_or(began)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use lockstep_core::api::AccessBindingSpec;

    use super::*;

    fn binding(uid: &str, began: Option<i64>, finalizer: &str) -> Arc<AccessBinding> {
        let mut binding = AccessBinding::new(uid, AccessBindingSpec::default());
        binding.metadata.uid = Some(uid.into());
        binding.metadata.finalizers = Some(vec![finalizer.into()]);
        binding.metadata.deletion_timestamp = began.map(|second| Time(at(second)));
        Arc::new(binding)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn go(departures: &Departures, uid: &str, began: i64) {
        let going = binding(uid, Some(began), FINALIZER);
        departures.observe(Some(&binding(uid, None, FINALIZER)), Some(&going));
    }

    fn gone(departures: &Departures, uid: &str) {
        departures.observe(Some(&binding(uid, None, FINALIZER)), None);
    }

    fn since(departures: &Departures, second: i64) -> Vec<String> {
        let found = departures.since(at(second));
        found
            .iter()
            .filter_map(|binding| binding.metadata.uid.clone())
            .collect()
    }

    #[test]
    fn who_is_gone_is_remembered_beside_those_who_go() {
        let departures = Departures::default();
        for (uid, began) in [("a", 0), ("b", 10), ("c", 20)] {
            go(&departures, uid, began);
            gone(&departures, uid);
        }
        go(&departures, "d", 600);
        assert_eq!(since(&departures, 0), ["a", "b", "c", "d"]);
        assert_eq!(since(&departures, 11), ["c", "d"]);
    }

    #[test]
    fn what_no_later_deletion_can_meet_is_forgotten() {
        let departures = Departures::default();
        go(&departures, "a", 0);
        gone(&departures, "a");
        go(&departures, "waits", 100);
        go(&departures, "b", 2_000);
        gone(&departures, "b");
        // The first is still held against the one that waits, however long it does.
        go(&departures, "c", 4_000);
        assert_eq!(since(&departures, 0), ["a", "c", "waits"]);
        gone(&departures, "waits");
        go(&departures, "d", 4_100);
        assert_eq!(since(&departures, 0), ["c", "d"]);
    }

    #[test]
    fn who_held_nothing_and_who_only_changes_is_no_departure() {
        let departures = Departures::default();
        departures.observe(None, Some(&binding("other", Some(0), "example.com/other")));
        departures.observe(None, Some(&binding("lives", None, FINALIZER)));
        assert!(since(&departures, 0).is_empty());
        // Its finalizer goes, the object stays for somebody else's: it has begun to go all the same.
        go(&departures, "a", 5);
        let later = binding("a", Some(5), "example.com/other");
        departures.observe(Some(&binding("a", Some(5), FINALIZER)), Some(&later));
        assert_eq!(since(&departures, 0), ["a"]);
    }
}
