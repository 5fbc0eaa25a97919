//! Rates by API family, and families that the system has asked us to leave alone for a while. All users of a
//! connection stand in one line per family.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// So many requests in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub requests: u32,
    pub per: Duration,
}

/// The rate of one family; `None`: unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyLimit {
    pub family: &'static str,
    pub rate: Option<Rate>,
}

impl FamilyLimit {
    pub const fn per_second(family: &'static str, requests: u32) -> Self {
        let rate = Rate {
            requests,
            per: Duration::from_secs(1),
        };
        Self {
            family,
            rate: Some(rate),
        }
    }

    pub const fn lifted(family: &'static str) -> Self {
        Self { family, rate: None }
    }
}

/// All families of a connection.
pub(super) struct Families {
    known: BTreeMap<&'static str, Family>,
    /// Families without a limit of their own share the memory of being asked to wait.
    other: Family,
}

impl Families {
    pub fn new(limits: Vec<FamilyLimit>) -> Self {
        Self {
            known: limits
                .into_iter()
                .map(|limit| (limit.family, Family::new(limit.rate)))
                .collect(),
            other: Family::new(None),
        }
    }

    pub fn get(&self, family: &str) -> &Family {
        self.known.get(family).unwrap_or(&self.other)
    }
}

pub(super) struct Family {
    limiter: Option<(DefaultDirectRateLimiter, Duration)>,
    /// First come, first served: without a line those who wait would race for each cell and some would never win.
    line: tokio::sync::Mutex<()>,
    waiting: AtomicU32,
    told: Mutex<Told>,
}

/// What the system told us.
#[derive(Default)]
struct Told {
    not_before: Option<Instant>,
    in_a_row: usize,
}

/// Leaves the line when dropped, however that happens.
struct Place<'a>(&'a AtomicU32);
impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Family {
    fn new(rate: Option<Rate>) -> Self {
        let limiter = rate.and_then(|Rate { requests, per }| {
            let period = per.checked_div(requests)?;
            // Bursts of a second's worth: a minute's worth at once would use up the vendor's window for others.
            let a_second = Duration::from_secs(1).as_nanos() / period.as_nanos().max(1);
            let burst =
                NonZeroU32::new(u32::try_from(a_second).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::with_period(period)?.allow_burst(burst);
            Some((RateLimiter::direct(quota), period))
        });
        Self {
            limiter,
            line: tokio::sync::Mutex::new(()),
            waiting: AtomicU32::new(0),
            told: Mutex::default(),
        }
    }

    /// Waits for one's turn, at most `patience`. Refuses at once, with the time it would take, when the line is longer
    /// than that.
    pub async fn turn(&self, patience: Duration) -> Result<(), Duration> {
        if let Some(wait) = self.told_to_wait() {
            if wait > patience {
                return Err(wait);
            }
            tokio::time::sleep(wait).await;
        }
        let Some((limiter, period)) = &self.limiter else {
            return Ok(());
        };
        if self.waiting.load(Ordering::Relaxed) == 0 && limiter.check().is_ok() {
            return Ok(());
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _place = Place(&self.waiting);
        let wait = period.saturating_mul(ahead.saturating_add(1));
        if wait > patience {
            return Err(wait);
        }
        let turn = async {
            let _first = self.line.lock().await;
            limiter.until_ready().await;
        };
        tokio::time::timeout(patience, turn).await.map_err(|_| *period)
    }

    /// The system asked to be left alone: for as long as it said, or for a growing while if it did not say.
    pub fn leave_alone(&self, told: Option<Duration>) -> Duration {
        let mut state = self.lock();
        let wait = told.unwrap_or_else(|| {
            ExponentialBuilder::new()
                .with_min_delay(Duration::from_secs(1))
                .with_max_delay(Duration::from_mins(1))
                .with_jitter()
                .without_max_times()
                .build()
                .nth(state.in_a_row)
                .unwrap_or(Duration::from_mins(1))
        });
        state.in_a_row = state.in_a_row.saturating_add(1);
        let until = Instant::now() + wait;
        state.not_before = Some(state.not_before.map_or(until, |at| at.max(until)));
        wait
    }

    /// The system served a call of this family.
    pub fn served(&self) {
        self.lock().in_a_row = 0;
    }

    fn told_to_wait(&self) -> Option<Duration> {
        let mut state = self.lock();
        let wait = state.not_before?.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            state.not_before = None;
            return None;
        }
        Some(wait)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_would_wait_too_long_is_sent_away_at_once_with_the_time() {
        let family = Family::new(Some(Rate {
            requests: 1,
            per: Duration::from_hours(1),
        }));
        let patience = Duration::from_secs(30);
        assert_eq!(family.turn(patience).await, Ok(()));
        assert_eq!(family.turn(patience).await, Err(Duration::from_hours(1)));
        assert_eq!(
            family.waiting.load(Ordering::Relaxed),
            0,
            "nobody is left in the line"
        );
    }

    #[tokio::test]
    async fn a_family_told_to_wait_waits_although_it_has_no_rate() {
        let families = Families::new(vec![FamilyLimit::lifted("a")]);
        families.get("a").leave_alone(Some(Duration::from_mins(10)));
        let wait = families.get("a").turn(Duration::from_secs(30)).await.err();
        assert!(
            wait.is_some_and(|wait| wait > Duration::from_secs(500)),
            "{wait:?}"
        );
        assert_eq!(
            families.get("b").turn(Duration::ZERO).await,
            Ok(()),
            "others go on"
        );
    }

    #[test]
    fn without_a_time_the_wait_grows_until_a_call_is_served() {
        let family = Family::new(None);
        let waits: Vec<Duration> = (0..4).map(|_| family.leave_alone(None)).collect();
        assert!(waits[3] >= Duration::from_secs(8), "{waits:?}");
        family.served();
        assert!(family.leave_alone(None) <= Duration::from_secs(2));
    }

    #[tokio::test]
    async fn a_rate_above_one_a_second_lets_a_second_worth_pass_at_once() {
        let family = Family::new(Some(Rate {
            requests: 5,
            per: Duration::from_secs(1),
        }));
        for _ in 0..5 {
            assert_eq!(family.turn(Duration::ZERO).await, Ok(()));
        }
        assert!(family.turn(Duration::ZERO).await.is_err());
    }
}
