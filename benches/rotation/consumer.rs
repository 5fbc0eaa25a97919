//! Who uses the credentials: goes through the Secrets again and again, and logs in at the issuer with what it finds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;
use tokio::time::{Duration, interval};

use crate::world::World;

/// Between two logins: often enough to come by every Secret during an overlap, and no load of its own.
const PERIOD: Duration = Duration::from_millis(20);

pub struct Consumer {
    over: Arc<AtomicBool>,
    task: JoinHandle<Logins>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Logins {
    pub tried: usize,
    /// Refused, or with nothing to log in with.
    pub failed: usize,
}

impl Consumer {
    pub fn of(world: Arc<World>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ended = over.clone();
        let task = tokio::spawn(async move {
            let mut logins = Logins::default();
            let mut ticks = interval(PERIOD);
            for credential in (0..world.len()).cycle() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                ticks.tick().await;
                logins.tried += 1;
                let let_in = match world.held(credential).await {
                    Some(login) => world.lets_in(credential, &login).await,
                    None => false,
                };
                logins.failed += usize::from(!let_in);
            }
            logins
        });
        Self { over, task }
    }

    pub async fn end(self) -> Logins {
        self.over.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}
