//! Readings that many bindings share: taken once at a time, kept with the moment they were begun, and void for
//! exactly the targets that were written since.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use lockstep_core::domain::ports::{Clock, SystemError, SystemErrorKind};

/// One reading with the moment it was begun: what happened before that moment may be in it, what came later may
/// not.
#[derive(Debug)]
pub(super) struct Reading<T> {
    pub value: Arc<T>,
    pub taken: Timestamp,
    /// Place in the order of readings and writes.
    pub order: u64,
}

impl<T> Clone for Reading<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            taken: self.taken,
            order: self.order,
        }
    }
}

/// The newest reading of one thing, refreshed by whoever first finds it too old.
pub(super) struct Snapshot<T> {
    clock: Arc<dyn Clock>,
    turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    current: Option<Reading<T>>,
    /// Counts beginnings and ends. A clock would not do: it steps back on machines and stands still in tests.
    order: u64,
    /// Targets written to, each with its place in the order.
    stains: BTreeMap<String, u64>,
    failure: Option<(u64, SystemError)>,
}

impl<T> State<T> {
    fn next(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    fn serves(&self, fresh: Timestamp, keys: &[&str]) -> Option<Reading<T>> {
        let reading = self.current.as_ref()?;
        let clean = keys
            .iter()
            .filter_map(|key| self.stains.get(*key))
            .all(|stain| reading.order > *stain);
        (reading.taken >= fresh && clean).then(|| reading.clone())
    }
}

impl<T: Send + Sync + 'static> Snapshot<T> {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            turn: Arc::default(),
            state: Mutex::new(State {
                current: None,
                order: 0,
                stains: BTreeMap::new(),
                failure: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reading begun at `fresh` or later, and after the last write to any of `keys`. Whoever finds the kept one
    /// too old reads anew; everybody who comes meanwhile waits, and is served if that reading began late enough
    /// for them. So a thousand passes at once cost two readings at most.
    pub async fn get<F, R>(
        self: &Arc<Self>,
        fresh: Timestamp,
        keys: &[&str],
        read: F,
    ) -> Result<Reading<T>, SystemError>
    where
        F: FnOnce(Timestamp) -> R,
        R: Future<Output = Result<T, SystemError>> + Send + 'static,
    {
        let arrived = {
            let state = self.state();
            if let Some(reading) = state.serves(fresh, keys) {
                return Ok(reading);
            }
            state.order
        };
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (order, taken) = {
            let mut state = self.state();
            if let Some(reading) = state.serves(fresh, keys) {
                return Ok(reading);
            }
            // What failed while we waited would fail again: a system that is down is not asked once per waiter.
            if let Some((_, failure)) = state.failure.as_ref().filter(|(ended, _)| *ended > arrived) {
                return Err(failure.clone());
            }
            (state.next(), self.clock.now())
        };
        let (keeper, reading) = (Arc::clone(self), read(taken));
        // A task of its own: the caller's deadline may drop the caller, but not the pages already paid for.
        let flight = tokio::spawn(async move {
            let outcome = reading.await;
            let mut state = keeper.state();
            let outcome = match outcome {
                Ok(value) => {
                    let reading = Reading {
                        value: Arc::new(value),
                        taken,
                        order,
                    };
                    state.current = Some(reading.clone());
                    state.stains.retain(|_, stain| *stain >= order);
                    state.failure = None;
                    Ok(reading)
                }
                Err(error) => {
                    let ended = state.next();
                    state.failure = Some((ended, error.clone()));
                    Err(error)
                }
            };
            drop(state);
            drop(turn);
            outcome
        });
        flight.await.unwrap_or_else(|stopped| {
            Err(SystemError::new(
                "databricks",
                SystemErrorKind::Unreachable,
                format!("a reading was interrupted: {stopped}"),
            ))
        })
    }

    /// Voids for one target every reading begun until now.
    pub fn stain(&self, key: &str) {
        let mut state = self.state();
        let order = state.next();
        state.stains.insert(key.to_owned(), order);
    }

    /// Forgets one reading, unless a newer one has taken its place.
    pub fn discard(&self, order: u64) {
        let mut state = self.state();
        if state
            .current
            .as_ref()
            .is_some_and(|reading| reading.order == order)
        {
            state.current = None;
        }
    }

    /// The newest reading, however old.
    pub fn newest(&self) -> Option<Reading<T>> {
        self.state().current.clone()
    }
}

/// Readings of things that cannot be listed, one by one, the longest unused forgotten first.
pub(super) struct Readings<T> {
    clock: Arc<dyn Clock>,
    bound: usize,
    slots: Mutex<Slots<T>>,
}

struct Slots<T> {
    uses: u64,
    by_key: BTreeMap<String, (u64, Arc<Snapshot<T>>)>,
}

impl<T: Send + Sync + 'static> Readings<T> {
    pub fn new(clock: Arc<dyn Clock>, bound: usize) -> Self {
        Self {
            clock,
            bound,
            slots: Mutex::new(Slots {
                uses: 0,
                by_key: BTreeMap::new(),
            }),
        }
    }

    pub fn of(&self, key: &str) -> Arc<Snapshot<T>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.uses += 1;
        let used = slots.uses;
        if let Some((last, slot)) = slots.by_key.get_mut(key) {
            *last = used;
            return Arc::clone(slot);
        }
        if slots.by_key.len() >= self.bound {
            // A tenth at once, so that the walk is rare.
            let mut ages: Vec<u64> = slots.by_key.values().map(|(last, _)| *last).collect();
            ages.sort_unstable();
            let oldest = ages.get(self.bound / 10).copied().unwrap_or_default();
            slots.by_key.retain(|_, (last, _)| *last > oldest);
        }
        let slot = Arc::new(Snapshot::new(Arc::clone(&self.clock)));
        slots.by_key.insert(key.to_owned(), (used, Arc::clone(&slot)));
        slot
    }

    /// Voids every reading of one thing begun until now.
    pub fn stain(&self, key: &str) {
        self.of(key).stain("");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Still;
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(100).unwrap()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    async fn read(snapshot: &Arc<Snapshot<usize>>, fresh: i64, key: &str, count: &Arc<AtomicUsize>) -> usize {
        let count = Arc::clone(count);
        let reading = snapshot
            .get(at(fresh), &[key], move |_| async move {
                tokio::task::yield_now().await;
                Ok(count.fetch_add(1, Ordering::SeqCst) + 1)
            })
            .await;
        *reading.unwrap().value
    }

    #[tokio::test]
    async fn a_write_voids_its_target_alone() {
        let (snapshot, count) = (Arc::new(Snapshot::new(Arc::new(Still))), Arc::default());
        assert_eq!(read(&snapshot, 100, "a", &count).await, 1);
        assert_eq!(read(&snapshot, 90, "a", &count).await, 1);
        snapshot.stain("a");
        assert_eq!(read(&snapshot, 90, "b", &count).await, 1);
        assert_eq!(read(&snapshot, 0, "a", &count).await, 2);
        assert_eq!(read(&snapshot, 100, "a", &count).await, 2);
    }

    #[tokio::test]
    async fn a_crowd_costs_one_reading() {
        let (snapshot, count) = (Arc::new(Snapshot::new(Arc::new(Still))), Arc::default());
        let crowd = (0..50).map(|_| read(&snapshot, 100, "a", &count));
        let seen = futures::future::join_all(crowd).await;
        assert!(seen.iter().all(|number| *number == 1));
    }

    #[tokio::test]
    async fn a_crowd_shares_one_failure() {
        let snapshot: Arc<Snapshot<()>> = Arc::new(Snapshot::new(Arc::new(Still)));
        let count = Arc::new(AtomicUsize::new(0));
        let one = || {
            let count = Arc::clone(&count);
            snapshot.get(at(0), &[], move |_| async move {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Err(SystemError::new("x", SystemErrorKind::Unreachable, "down"))
            })
        };
        let seen = futures::future::join_all((0..20).map(|_| one())).await;
        assert!(seen.iter().all(Result::is_err));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert!(one().await.is_err());
        assert_eq!(count.load(Ordering::SeqCst), 2, "who comes later asks again");
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let readings: Readings<()> = Readings::new(Arc::new(Still), 10);
        let kept = readings.of("kept");
        for n in 0..50 {
            readings.of(&n.to_string());
            assert!(Arc::ptr_eq(&readings.of("kept"), &kept));
        }
        assert!(readings.slots.lock().unwrap().by_key.len() <= 10);
    }
}
