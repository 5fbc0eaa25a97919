//! Leaves a system alone that does not answer. After a row of failures nothing is sent for a while, then one probe
//! at a time until one succeeds. Time is handed in.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// Failures in a row that open it: fewer would trip on one bad connection per pooled socket.
const THRESHOLD: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Recovery must be noticed within a minute or two, jitter included.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What the breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    Closed,
    HalfOpen,
    Open,
}

pub(super) struct Breaker {
    /// How long a probe may take until the next is let through although nothing was heard of it.
    probe: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    pause: Option<Pause>,
}

struct Pause {
    until: Instant,
    probing: bool,
    delays: ExponentialBackoff,
}

impl Breaker {
    pub fn new(probe: Duration) -> Self {
        Self {
            probe,
            state: Mutex::default(),
        }
    }

    /// Whether a call may go; if not, after which time it makes sense to ask again.
    pub fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.lock();
        let Some(pause) = &mut state.pause else {
            return Ok(());
        };
        if now < pause.until {
            return Err(pause.until - now);
        }
        // A probe whose caller went away says nothing: its time is up after `probe`, so nobody waits for it forever.
        pause.until = now + self.probe;
        pause.probing = true;
        Ok(())
    }

    pub fn succeeded(&self) {
        *self.lock() = State::default();
    }

    pub fn failed(&self, now: Instant) {
        let mut state = self.lock();
        state.failures += 1;
        if let Some(pause) = &mut state.pause {
            // Stragglers sent before it opened say nothing new; only a probe's failure lengthens the pause.
            if pause.probing {
                pause.probing = false;
                pause.until = now + pause.delays.next().unwrap_or(LONGEST_PAUSE);
            }
        } else if state.failures >= THRESHOLD {
            let mut delays = ExponentialBuilder::new()
                .with_min_delay(FIRST_PAUSE)
                .with_max_delay(LONGEST_PAUSE)
                .with_jitter()
                .without_max_times()
                .build();
            let until = now + delays.next().unwrap_or(FIRST_PAUSE);
            state.pause = Some(Pause {
                until,
                probing: false,
                delays,
            });
        }
    }

    pub fn position(&self) -> Position {
        match &self.lock().pause {
            None => Position::Closed,
            Some(pause) if pause.probing => Position::HalfOpen,
            Some(_) => Position::Open,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: Duration = Duration::from_secs(30);

    fn opened(now: Instant) -> Breaker {
        let breaker = Breaker::new(PROBE);
        for _ in 0..THRESHOLD {
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn one_success_forgives_all_failures() {
        let (breaker, now) = (Breaker::new(PROBE), Instant::now());
        for _ in 0..THRESHOLD * 3 {
            breaker.failed(now);
            breaker.succeeded();
        }
        assert_eq!(breaker.position(), Position::Closed);
    }

    #[test]
    fn it_opens_after_a_row_of_failures_and_lets_one_probe_through_when_the_pause_is_over() {
        let now = Instant::now();
        let breaker = opened(now);
        let Err(wait) = breaker.admit(now) else {
            unreachable!("it is open");
        };
        assert!(wait >= FIRST_PAUSE && wait <= FIRST_PAUSE * 2, "{wait:?}");
        let later = now + wait;
        assert_eq!(breaker.admit(later), Ok(()));
        assert_eq!(breaker.position(), Position::HalfOpen);
        assert_eq!(breaker.admit(later), Err(PROBE), "only one probe at a time");
        breaker.succeeded();
        assert_eq!(breaker.admit(later), Ok(()));
        assert_eq!(breaker.admit(later), Ok(()));
    }

    #[test]
    fn pauses_grow_with_every_failed_probe_but_stay_bounded() {
        let mut now = Instant::now();
        let breaker = opened(now);
        let mut last = Duration::ZERO;
        for _ in 0..12 {
            let wait = breaker.admit(now).err().unwrap_or_default();
            assert!(wait <= LONGEST_PAUSE * 2, "{wait:?}");
            last = wait;
            now += wait;
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now);
        }
        assert!(last >= LONGEST_PAUSE, "{last:?}");
    }

    #[test]
    fn a_probe_that_nobody_hears_of_again_does_not_keep_it_shut() {
        let mut now = Instant::now();
        let breaker = opened(now);
        now += LONGEST_PAUSE;
        assert_eq!(breaker.admit(now), Ok(()));
        assert!(breaker.admit(now).is_err());
        assert_eq!(breaker.admit(now + PROBE), Ok(()));
    }
}
