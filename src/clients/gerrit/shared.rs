//! One reading for everybody who asks at the same time: filled by one caller, waited for by the others, served to
//! all that accept its age.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use lockstep_core::domain::ports::{Clock, SystemError};

/// A reading, and when it was begun: what was written after that may be missing in it.
pub(super) struct Reading<T> {
    pub begun: Timestamp,
    pub value: T,
}

pub(super) struct Shared<T> {
    clock: Arc<dyn Clock>,
    last: Mutex<Last<T>>,
    flight: tokio::sync::Mutex<()>,
}

struct Last<T> {
    reading: Option<Arc<Reading<T>>>,
    /// Readings begun before count for nobody any more.
    not_before: Timestamp,
    failure: Option<(Timestamp, SystemError)>,
}

impl<T> Shared<T> {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            last: Mutex::new(Last {
                reading: None,
                not_before: Timestamp::MIN,
                failure: None,
            }),
            flight: tokio::sync::Mutex::new(()),
        }
    }

    /// A reading not begun before `fresh`; `read` is called only if there is none and nobody else is at it.
    pub async fn at_least<F>(
        &self,
        fresh: Timestamp,
        read: impl FnOnce(Timestamp) -> F,
    ) -> Result<Arc<Reading<T>>, SystemError>
    where
        F: Future<Output = Result<T, SystemError>>,
    {
        if let Some(reading) = self.held(fresh) {
            return Ok(reading);
        }
        let asked = self.clock.now();
        let _flight = self.flight.lock().await;
        if let Some(reading) = self.held(fresh) {
            return Ok(reading);
        }
        // Whoever waited for an attempt that failed meanwhile shares its failure: a thousand objects that wait must
        // not try a wrong password a thousand times.
        if let Some((_, error)) = self.lock().failure.as_ref().filter(|(begun, _)| *begun >= asked) {
            return Err(error.clone());
        }
        let begun = self.clock.now();
        match read(begun).await {
            Ok(value) => {
                let reading = Arc::new(Reading { begun, value });
                let mut last = self.lock();
                last.reading = Some(Arc::clone(&reading));
                last.failure = None;
                Ok(reading)
            }
            Err(error) => {
                self.lock().failure = Some((self.clock.now(), error.clone()));
                Err(error)
            }
        }
    }

    fn held(&self, fresh: Timestamp) -> Option<Arc<Reading<T>>> {
        let last = self.lock();
        let fresh = fresh.max(last.not_before);
        let reading = last.reading.as_ref().filter(|reading| reading.begun >= fresh)?;
        Some(Arc::clone(reading))
    }

    /// What was read before this time counts no longer, however old a reading somebody accepts.
    pub fn distrust(&self, before: Timestamp) {
        let mut last = self.lock();
        last.not_before = last.not_before.max(before);
    }

    fn lock(&self) -> MutexGuard<'_, Last<T>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When we last wrote to what: readings begun before that do not count for it.
#[derive(Default)]
pub(super) struct Touched(Mutex<BTreeMap<String, Timestamp>>);

impl Touched {
    /// Marks the unit when the guard is dropped: after a success, a failure, or when the caller is cancelled in the
    /// middle, since in each case something may have been written.
    pub fn mark_after<'a>(&'a self, unit: &str, clock: &'a dyn Clock) -> Mark<'a> {
        Mark {
            touched: self,
            unit: unit.to_owned(),
            clock,
        }
    }

    /// Marks the unit at once.
    pub fn mark(&self, unit: &str, at: Timestamp) {
        let mut touched = self.lock();
        let known = touched.entry(unit.to_owned()).or_insert(at);
        *known = at.max(*known);
    }

    /// The age a reading of this unit may have at most.
    pub fn fresh(&self, unit: &str, fresh: Timestamp) -> Timestamp {
        self.lock().get(unit).map_or(fresh, |at| fresh.max(*at))
    }

    /// Whether the unit was written to after this time.
    pub fn since(&self, unit: &str, time: Timestamp) -> bool {
        self.lock().get(unit).is_some_and(|at| *at > time)
    }

    /// Forgets what a complete reading begun then has seen.
    pub fn seen(&self, begun: Timestamp) {
        self.lock().retain(|_, at| *at > begun);
    }

    pub fn forget(&self, unit: &str) {
        self.lock().remove(unit);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Mark<'a> {
    touched: &'a Touched,
    unit: String,
    clock: &'a dyn Clock,
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        let unit = std::mem::take(&mut self.unit);
        self.touched.lock().insert(unit, self.clock.now());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

    use futures::future::join_all;
    use lockstep_core::domain::ports::SystemErrorKind;

    use super::*;

    /// A clock that moves on by a second each time it is read.
    struct Ticking(AtomicI64);
    impl Clock for Ticking {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.fetch_add(1, Ordering::SeqCst)).unwrap()
        }
    }

    fn second(at: i64) -> Timestamp {
        Timestamp::from_second(at).unwrap()
    }

    #[tokio::test]
    async fn everybody_who_asks_at_once_gets_one_reading() {
        let shared = Shared::new(Arc::new(Ticking(AtomicI64::new(100))));
        let reads = AtomicU32::new(0);
        let ask = || {
            shared.at_least(second(50), |_| async {
                tokio::task::yield_now().await;
                Ok(reads.fetch_add(1, Ordering::SeqCst))
            })
        };
        let all = join_all((0..20).map(|_| ask())).await;
        assert!(
            all.iter()
                .all(|reading| reading.as_ref().is_ok_and(|r| r.value == 0))
        );
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_reading_begun_too_early_is_replaced() {
        let shared = Shared::new(Arc::new(Ticking(AtomicI64::new(100))));
        let old = shared.at_least(second(0), |_| async { Ok(1) }).await.unwrap();
        let same = shared.at_least(old.begun, |_| async { Ok(2) }).await.unwrap();
        assert_eq!(same.value, 1);
        let new = shared
            .at_least(old.begun + jiff::SignedDuration::from_nanos(1), |_| async {
                Ok(3)
            })
            .await
            .unwrap();
        assert_eq!(new.value, 3);
    }

    #[tokio::test]
    async fn what_is_distrusted_counts_for_nobody_and_is_replaced_once() {
        let shared = Shared::new(Arc::new(Ticking(AtomicI64::new(100))));
        let old = shared.at_least(second(0), |_| async { Ok(1) }).await.unwrap();
        shared.distrust(old.begun);
        let same = shared.at_least(second(0), |_| async { Ok(2) }).await.unwrap();
        assert_eq!(same.value, 1, "it was begun no earlier");
        shared.distrust(old.begun + jiff::SignedDuration::from_nanos(1));
        shared.distrust(second(0));
        let new = shared.at_least(second(0), |_| async { Ok(3) }).await.unwrap();
        assert_eq!(new.value, 3);
        let again = shared.at_least(second(0), |_| async { Ok(4) }).await.unwrap();
        assert_eq!(again.value, 3);
    }

    #[tokio::test]
    async fn those_who_waited_share_the_failure_and_the_next_tries_anew() {
        let shared: Shared<()> = Shared::new(Arc::new(Ticking(AtomicI64::new(100))));
        let reads = AtomicU32::new(0);
        let ask = || {
            shared.at_least(second(50), |_| async {
                reads.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Err(SystemError::new("gerrit", SystemErrorKind::Unauthorized, "no"))
            })
        };
        assert!(join_all((0..20).map(|_| ask())).await.iter().all(Result::is_err));
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        assert!(ask().await.is_err());
        assert_eq!(reads.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_was_written_is_not_believed_to_older_readings() {
        let touched = Touched::default();
        drop(touched.mark_after("a", &Ticking(AtomicI64::new(10))));
        assert_eq!(touched.fresh("a", second(5)), second(10));
        assert_eq!(touched.fresh("a", second(15)), second(15));
        assert_eq!(touched.fresh("b", second(5)), second(5));
        touched.seen(second(9));
        assert!(touched.since("a", second(9)));
        touched.seen(second(10));
        assert!(!touched.since("a", second(9)));
    }
}
