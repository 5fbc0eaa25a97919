//! Values that somebody else knows: from the moment that a person says so until the issuer refuses them.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::common::operator::Operator;
use crate::common::results::rounded;
use crate::world::{Login, World};

/// Called stolen at once.
const AT_ONCE: usize = 5;
/// Between two tries of a thief.
const PERIOD: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(10);

/// A value that will be called stolen.
pub struct Victim {
    credential: usize,
    generation: u64,
    login: Login,
}

impl Victim {
    /// So many, from everywhere, with the values that consumers use now.
    pub async fn choose(world: &World, victims: usize) -> Vec<Self> {
        let mut chosen = Vec::new();
        // An odd step takes from both issuers.
        let step = ((world.len() / victims).max(1) - 1) | 1;
        for credential in (0..world.len()).step_by(step).take(victims) {
            chosen.push(Self {
                credential,
                generation: world.generation(credential).await,
                login: world.held(credential).await.unwrap(),
            });
        }
        chosen
    }

    /// Seconds until the issuer refuses it.
    async fn refused(self, world: &World) -> f64 {
        let begun = Instant::now();
        world.call_stolen(self.credential, self.generation).await;
        while world.lets_in(self.credential, &self.login).await {
            assert!(begun.elapsed() < PATIENCE, "a stolen value still lets in");
            sleep(PERIOD).await;
        }
        begun.elapsed().as_secs_f64()
    }
}

/// Some credentials and nothing else to do.
pub async fn measure(credentials: usize) -> Value {
    let world = Arc::new(World::new("stolen", credentials).await);
    let operator = Operator::fresh().await;
    world.declare().await;
    world.until_current(1, 0).await;
    world.until_quiet().await;
    let chosen = Victim::choose(&world, credentials).await;
    let slowest = all(&world, chosen).await;
    world.until_current(2, 0).await;
    operator.stop().await;
    json!({"compromised_s_p99": rounded(slowest)})
}

/// Calls all of them stolen, a few at a time; seconds after which all but one of a hundred were refused.
pub async fn all(world: &World, victims: Vec<Victim>) -> f64 {
    let seconds = stream::iter(victims).map(|victim| victim.refused(world));
    let mut seconds: Vec<f64> = seconds.buffer_unordered(AT_ONCE).collect().await;
    seconds.sort_by(f64::total_cmp);
    eprintln!("   refused after {seconds:.2?} s");
    seconds[(seconds.len() * 99).div_ceil(100) - 1]
}
