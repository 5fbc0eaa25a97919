//! What rotating costs: how soon a thousand secrets are replaced, what their issuers are asked for it, what consumers feel
//! of it, how soon a stolen one is refused, and memory.
//!
//! `cargo bench --bench rotation` starts a stack of its own, measures, writes `target/bench/rotation.json` and takes the
//! stack down. `world` makes whom credentials are for, `crowd` rotates all of them at once, `stolen` revokes some of them,
//! `consumer` is who must notice nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]

// Other measurements need more of it.
#[allow(dead_code)]
#[path = "../common/mod.rs"]
mod common;
mod consumer;
mod crowd;
mod stolen;
#[allow(dead_code)]
#[path = "../../tests/scenarios/support/mod.rs"]
mod support;
mod world;

use std::process::ExitCode;

use clap::ValueEnum;
use common::results::{self, Goal};
use common::stand::{self, Args};
use serde_json::{Value, json};

/// What can be measured apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// All credentials rotate at once while a client uses them; then again, and some are called stolen meanwhile.
    #[value(name = "n1000")]
    Crowd,
    /// Credentials are called stolen while nothing else happens.
    Stolen,
    /// Fewer rotate at the rates that a connection keeps to unless it says otherwise, and some are called stolen meanwhile.
    Limits,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    credentials: usize,
    stolen: usize,
    limited: usize,
}

const FULL: Sizes = Sizes {
    credentials: 1_000,
    stolen: 50,
    limited: 200,
};

const QUICK: Sizes = Sizes {
    credentials: 100,
    stolen: 10,
    limited: 40,
};

/// What is hoped for, where something is; with a number, more than that is a failure.
const GOALS: [Goal; 8] = [
    ("n1000.seconds", "", None),
    ("n1000.compromised_s_p99", "under 5", Some(5.0)),
    ("requests_per_rotation", "floor_per_rotation", None),
    ("requests_over_floor", "at most 1.3", Some(1.3)),
    ("client_failures", "0", Some(0.0)),
    ("rss_mb", "under 150", None),
    ("compromised_s_p99", "under 5", Some(5.0)),
    ("vendor_limits.compromised_s_p99", "under 5", Some(5.0)),
];

fn main() -> ExitCode {
    stand::run(measure)
}

async fn measure(args: Args<Stage>) -> bool {
    let file = args.file("rotation");
    let sizes = if args.quick { QUICK } else { FULL };
    let mut results = args.kept(&file).unwrap_or_else(|| json!({}));
    for stage in args.wanted() {
        eprintln!("== {stage:?}");
        let found = match stage {
            Stage::Crowd => crowd::measure(sizes.credentials, sizes.stolen).await,
            Stage::Stolen => stolen::measure(sizes.stolen).await,
            Stage::Limits => crowd::limited(sizes.limited, sizes.stolen).await,
        };
        take(&mut results, found);
        // After each, so that a run that is cut short leaves what it knew.
        results::write(&file, &results);
    }
    results::print(&results, &GOALS);
    println!("\nwritten to {}", file.display());
    args.quick || results::holds(&results, &GOALS)
}

fn take(results: &mut Value, found: Value) {
    if let (Value::Object(results), Value::Object(found)) = (results, found) {
        results.extend(found);
    }
}
