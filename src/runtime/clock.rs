//! The machine's own time.

use jiff::Timestamp;
use lockstep_core::domain::ports::Clock;

/// Asks the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
