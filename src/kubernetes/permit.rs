//! How long it is certain that nobody else writes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lockstep_core::domain::ports::{NoPermit, Permit};
use tokio::time::Instant;

/// What a lease always leaves over: a call that ends in the last moment may still be on its way.
const MARGIN: Duration = Duration::from_secs(1);

/// When the right to write ends, on two clocks. The monotonic one is not moved by anybody but stands still while a
/// machine sleeps; the other one goes on.
#[derive(Clone, Copy, Debug)]
struct Until {
    monotonic: Instant,
    wall: SystemTime,
}

/// The permit that a held lease gives. Shared by whoever renews it and whoever asks.
#[derive(Clone, Debug, Default)]
pub struct LeasePermit(Arc<Mutex<Option<Until>>>);

/// The moment before a request was sent: from here a lease counts, because the answer may have taken its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    monotonic: Instant,
    wall: SystemTime,
}

impl Sent {
    pub(super) fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }
}

impl LeasePermit {
    fn until(&self) -> std::sync::MutexGuard<'_, Option<Until>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn grant(&self, since: Sent, lasts: Duration) {
        *self.until() = Some(Until {
            monotonic: since.monotonic + lasts,
            wall: since.wall + lasts,
        });
    }

    pub(super) fn revoke(&self) {
        *self.until() = None;
    }

    /// What is left, nothing if it is over or was never granted.
    pub fn left(&self) -> Duration {
        let Some(until) = *self.until() else {
            return Duration::ZERO;
        };
        let monotonic = until.monotonic.saturating_duration_since(Instant::now());
        let wall = until.wall.duration_since(SystemTime::now()).unwrap_or_default();
        monotonic.min(wall)
    }
}

impl Permit for LeasePermit {
    fn check(&self, needed: Duration) -> Result<(), NoPermit> {
        let left = self.left();
        if left.is_zero() {
            return Err(NoPermit("this replica does not lead".into()));
        }
        if left <= needed + MARGIN {
            return Err(NoPermit(format!(
                "the lease lasts {:.1} s more and the write may take {:.1} s",
                left.as_secs_f32(),
                needed.as_secs_f32()
            )));
        }
        Ok(())
    }
}

/// Refuses every write: for commands that only look.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOnlyPermit;

impl Permit for ReadOnlyPermit {
    fn check(&self, _needed: Duration) -> Result<(), NoPermit> {
        Err(NoPermit("this command only reads".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_must_end_before_the_lease_does() {
        let permit = LeasePermit::default();
        assert!(permit.check(Duration::ZERO).is_err(), "nothing was granted");
        permit.grant(Sent::now(), Duration::from_secs(15));
        assert!(permit.check(Duration::from_secs(10)).is_ok());
        assert!(permit.check(Duration::from_millis(14_500)).is_err());
        permit.revoke();
        assert!(permit.check(Duration::ZERO).is_err());
    }

    #[test]
    fn a_machine_that_slept_has_no_permit() {
        let permit = LeasePermit::default();
        let slept = Sent {
            monotonic: Instant::now(),
            wall: SystemTime::now() - Duration::from_mins(1),
        };
        permit.grant(slept, Duration::from_secs(15));
        assert!(permit.check(Duration::ZERO).is_err());
    }
}
