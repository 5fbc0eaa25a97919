//! What every scenario stands on: the stack, an operator process, and a world of its own.

pub mod allowing;
pub mod approvals;
pub mod changes;
pub mod cli;
pub mod crowd;
pub mod gate;
pub mod gerrit;
pub mod keeping;
pub mod operator;
pub mod promoting;
pub mod rotating;
pub mod secrets;
pub mod serving;
pub mod sim;
pub mod stack;
pub mod sweeping;
pub mod team;
pub mod waiting;
pub mod workspace;
pub mod world;

use std::future::Future;
use std::time::Duration;

/// Waits for a condition, looking several times a second; says what was awaited and what was seen last.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(
    what: &str,
    seconds: u64,
    mut look: impl FnMut() -> F,
) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
    loop {
        ticks.tick().await;
        match look().await {
            Ok(seen) => return seen,
            Err(seen) if tokio::time::Instant::now() > end => {
                panic!("not within {seconds} s: {what}; last seen: {seen}")
            }
            Err(_) => {}
        }
    }
}

/// Waits until something that is looked at equals what it should be.
pub async fn becomes<T: PartialEq + std::fmt::Debug, F: Future<Output = T>>(
    what: &str,
    wanted: T,
    mut look: impl FnMut() -> F,
) {
    eventually(what, PATIENCE, || {
        let seen = look();
        let wanted = &wanted;
        async move {
            let seen = seen.await;
            (seen == *wanted).then_some(()).ok_or_else(|| format!("{seen:?}"))
        }
    })
    .await;
}

/// Looks several times a second, for so long, that something stays what it is.
pub async fn stays<T: PartialEq + std::fmt::Debug, F: Future<Output = T>>(
    what: &str,
    seconds: u64,
    wanted: T,
    mut look: impl FnMut() -> F,
) {
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
    while tokio::time::Instant::now() < end {
        ticks.tick().await;
        assert_eq!(look().await, wanted, "{what}");
    }
}

/// Seconds to wait for what takes a few on a machine with nothing else to do.
pub const PATIENCE: u64 = 90;
