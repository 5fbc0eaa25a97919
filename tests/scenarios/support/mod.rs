//! What every scenario stands on: the stack, an operator process, and a world of its own.

pub mod gate;
pub mod gerrit;
pub mod operator;
pub mod sim;
pub mod stack;
pub mod team;

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
