//! How much may be repeated: every call earns a fifth of a repetition, so that a system in trouble sees at most a
//! fifth more calls, not three times as many.

use std::sync::atomic::{AtomicU32, Ordering};

/// What one repetition costs, in units of which a call earns one.
const COST: u32 = 5;
/// A quiet connection keeps ten repetitions in hand.
const MOST: u32 = 10 * COST;

pub(super) struct RetryBudget(AtomicU32);

impl RetryBudget {
    pub fn new() -> Self {
        Self(AtomicU32::new(MOST))
    }

    pub fn earn(&self) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |have| {
            Some((have + 1).min(MOST))
        });
    }

    /// Whether a repetition is affordable; if so it is paid for.
    pub fn spend(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |have| {
                have.checked_sub(COST)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_all_calls_may_be_repeated() {
        let budget = RetryBudget::new();
        while budget.spend() {}
        let repeated = (0..100)
            .filter(|_| {
                budget.earn();
                budget.spend()
            })
            .count();
        assert_eq!(repeated, 20);
    }
}
