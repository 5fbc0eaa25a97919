//! Waiting for what the simulator does in its own time.

use std::fmt::Debug;
use std::time::Duration;

use lockstep_core::domain::promotion::ports::deployments::Progress;
use tokio::time::{Instant, sleep};

/// Longest wait for something that should take a moment.
const SOON: Duration = Duration::from_secs(30);

/// Looks again until it is so; says what was awaited and what was seen last.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let end = Instant::now() + SOON;
    loop {
        match look().await {
            Ok(seen) => return seen,
            Err(seen) => assert!(Instant::now() < end, "never: {what}; last seen: {seen}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Looks until a step is over.
pub async fn over<E: Debug, F: Future<Output = Result<Progress, E>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> Progress {
    eventually(what, || {
        let seen = look();
        async move {
            match seen.await.unwrap() {
                going @ Progress::Going(_) => Err(format!("{going:?}")),
                over => Ok(over),
            }
        }
    })
    .await
}
