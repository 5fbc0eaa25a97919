//! How long a watch waits before it tries again: short, because all decisions wait for it, and never the same for
//! two replicas.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use kube::runtime::utils::Backoff;

/// Doubles from the first delay to the last.
#[derive(Clone, Debug)]
pub struct Doubling {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Doubling {
    pub fn new(first: Duration, last: Duration) -> Self {
        Self {
            first,
            last,
            next: first,
        }
    }
}

impl Iterator for Doubling {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let delay = self.next;
        self.next = (delay * 2).min(self.last);
        Some(jittered(delay))
    }
}

impl Backoff for Doubling {
    fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Between half of the delay and all of it.
pub fn jittered(delay: Duration) -> Duration {
    // The standard library seeds every hash state anew; nothing here needs better randomness.
    let share = RandomState::new().hash_one(0u8) >> 32;
    let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let half = millis / 2;
    Duration::from_millis(half + ((half * share) >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_last_and_start_over() {
        let mut backoff = Doubling::new(Duration::from_millis(200), Duration::from_secs(5));
        let delays: Vec<_> = (0..8).filter_map(|_| backoff.next()).collect();
        assert!(delays[0] <= Duration::from_millis(200));
        assert!(delays[7] >= Duration::from_millis(2500) && delays[7] <= Duration::from_secs(5));
        backoff.reset();
        assert!(backoff.next() <= Some(Duration::from_millis(200)));
    }
}
