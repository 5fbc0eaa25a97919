//! Everything rotates at once, twice: first while a client uses it, then while some of it is called stolen.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::common::calls::kubernetes_writes;
use crate::common::operator::Operator;
use crate::common::results::rounded;
use crate::consumer::Consumer;
use crate::stolen::{self, Victim};
use crate::support::gate::Arrival;
use crate::world::World;

/// What an issuer must be asked for one rotation, at the least: what lives (before a mint, to know that there is room and
/// what a lost answer has made), for a new value, whether that lets in, to revoke the last one, and what lives then (an
/// answer to a revocation proves nothing). Both vendors list the credentials of one identity alone, so that no listing
/// serves two.
const FLOOR: usize = 5;

pub async fn measure(credentials: usize, victims: usize) -> Value {
    let world = Arc::new(World::new("crowd", credentials).await);
    let operator = Operator::fresh().await;
    let begun = Instant::now();
    world.declare().await;
    world.until_current(1, 0).await;
    let created = begun.elapsed().as_secs_f64();
    eprintln!("   {credentials} first values in {created:.1} s");
    world.until_quiet().await;

    let before = world.arrivals().len();
    let kubernetes = kubernetes_writes(world.kube()).await;
    let consumer = Consumer::of(&world);
    let begun = Instant::now();
    world.rotate("1").await;
    world.until_current(2, 0).await;
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("   rotated in {seconds:.1} s");
    world.until_alone().await;
    let logins = consumer.end().await;
    eprintln!(
        "   last values gone after {:.1} s; {} logins, {} failed",
        begun.elapsed().as_secs_f64(),
        logins.tried,
        logins.failed
    );
    let asked = world.arrivals().split_off(before);
    print(&asked);
    let kubernetes = kubernetes_writes(world.kube()).await.since(&kubernetes);
    kubernetes.print();
    let per_rotation = |count: usize| count as f64 / credentials as f64;
    let requests = per_rotation(asked.len());
    // One annotation of each was ours.
    let kubernetes = per_rotation(kubernetes.requests() as usize - credentials);

    let stolen = stolen_amid(&world, 3, victims).await;
    let peak = operator.peak_mb();
    operator.stop().await;
    json!({
        "n1000": {
            "create_s": rounded(created),
            "seconds": rounded(seconds),
            "compromised_s_p99": rounded(stolen),
            "kubernetes_writes_per_rotation": rounded(kubernetes),
            "logins": logins.tried,
        },
        "requests_per_rotation": rounded(requests),
        "floor_per_rotation": FLOOR,
        "requests_over_floor": rounded(requests / FLOOR as f64),
        "client_failures": logins.failed,
        "rss_mb": rounded(peak),
    })
}

/// The same with the rates that a connection keeps to unless it says otherwise.
pub async fn limited(credentials: usize, victims: usize) -> Value {
    let world = World::new("limited", credentials).await;
    world.lower_rates().await;
    let operator = Operator::fresh().await;
    world.declare().await;
    world.until_current(1, 0).await;
    world.until_quiet().await;
    let begun = Instant::now();
    world.rotate("1").await;
    world.until_current(2, 0).await;
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("   rotated in {seconds:.1} s");
    world.until_alone().await;
    let stolen = stolen_amid(&world, 3, victims).await;
    operator.stop().await;
    json!({"vendor_limits": {
        "credentials": credentials,
        "seconds": rounded(seconds),
        "compromised_s_p99": rounded(stolen),
    }})
}

/// Seconds until stolen values are refused when all rotate to this generation and half of them have yet to.
async fn stolen_amid(world: &World, generation: u64, victims: usize) -> f64 {
    let chosen = Victim::choose(world, victims).await;
    world.rotate(&generation.to_string()).await;
    world.until_current(generation, world.len() / 2).await;
    let seconds = stolen::all(world, chosen).await;
    world.until_alone().await;
    seconds
}

/// How often each call was made.
fn print(asked: &[Arrival]) {
    let mut calls = BTreeMap::<String, usize>::new();
    for arrival in asked {
        *calls.entry(call(arrival)).or_default() += 1;
    }
    for (call, count) in &calls {
        eprintln!("{count:>8}  {call}");
    }
}

/// A call without what names one object.
fn call(arrival: &Arrival) -> String {
    const NAMED: [&str; 4] = ["accounts", "servicePrincipals", "tokens", "secrets"];
    let mut out = arrival.method.to_string();
    out.push(' ');
    let mut before = "";
    for part in arrival.path.split('/').filter(|part| !part.is_empty()) {
        // Accounts of Gerrit by number or `self`; the account of Databricks and its service principals by id.
        let named = NAMED.contains(&before) && part != "self" && part != "servicePrincipals";
        out.push('/');
        out.push_str(if named { "{}" } else { part });
        before = part;
    }
    out
}
