//! Who uses the credentials: programs that go through the Secrets again and again, and log in at the issuer with what they
//! find.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::{Duration, interval};

use crate::world::World;

/// Programs, each with a part of the Secrets.
const PROGRAMS: usize = 4;
/// Between two logins of one program.
const PERIOD: Duration = Duration::from_millis(50);

pub struct Consumer {
    over: Arc<AtomicBool>,
    programs: Vec<JoinHandle<Logins>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Logins {
    pub tried: usize,
    /// Refused, or with nothing to log in with.
    pub failed: usize,
}

impl Consumer {
    pub fn of(world: &Arc<World>) -> Self {
        let over = Arc::<AtomicBool>::default();
        let programs = (0..PROGRAMS).map(|part| tokio::spawn(uses(world.clone(), part, over.clone())));
        Self {
            programs: programs.collect(),
            over,
        }
    }

    pub async fn end(self) -> Logins {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Logins::default();
        for logins in join_all(self.programs).await {
            let Logins { tried, failed } = logins.unwrap();
            all.tried += tried;
            all.failed += failed;
        }
        all
    }
}

async fn uses(world: Arc<World>, part: usize, over: Arc<AtomicBool>) -> Logins {
    let mut logins = Logins::default();
    let mut ticks = interval(PERIOD);
    for credential in (part..world.len()).step_by(PROGRAMS).cycle() {
        if over.load(Ordering::Relaxed) {
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
}
