//! What keeping many teams in step costs: seconds, memory, and calls to systems that are shared with people.
//!
//! `cargo bench --bench access` starts a stack of its own, measures, writes `target/bench/access.json` and takes the
//! stack down. `world` makes the people and the bindings, `extent` says how few calls could have done, `stages` are the
//! measurements; what all measurements share stands in `common`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Metrics are small whole numbers that come as text.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]

// The measurements of promotions need more of it.
#[allow(dead_code)]
#[path = "../common/mod.rs"]
mod common;
mod extent;
mod stages;
#[allow(dead_code)]
#[path = "../../tests/scenarios/support/mod.rs"]
mod support;
mod world;

use std::process::ExitCode;

use clap::ValueEnum;
use common::results::{self, Goal};
use common::stand::{self, Args};
use stages::{Bench, Sizes};

/// What can be measured apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Teams with a group in both systems: creating, changing, checking, restarting, idling, repairing.
    #[value(name = "n1000")]
    Teams,
    /// The same teams with account groups whose listing leaves members out: calls alone.
    Bare,
    /// The vendor's limits on.
    Limits,
    /// Many workspace-local groups.
    #[value(name = "n10000")]
    Many,
}

fn main() -> ExitCode {
    stand::run(measure)
}

/// Measures and prints; whether what must hold does. A quick run is too small to tell.
async fn measure(args: Args<Stage>) -> bool {
    let file = args.file("access");
    let sizes = if args.quick { Sizes::quick() } else { Sizes::full() };
    let mut bench = Bench::new(sizes, args.kept(&file)).await;
    for stage in args.wanted() {
        eprintln!("== {stage:?}");
        match stage {
            Stage::Teams => bench.teams().await,
            Stage::Bare => bench.bare().await,
            Stage::Limits => bench.limits().await,
            Stage::Many => bench.many().await,
        }
        // After each, so that a run that is cut short leaves what it knew.
        results::write(&file, bench.results());
    }
    results::print(bench.results(), &GOALS);
    println!("\nwritten to {}", file.display());
    args.quick || results::holds(bench.results(), &GOALS)
}

/// What is hoped for, where something is; with a number, more than that is a failure.
const GOALS: [Goal; 6] = [
    ("n10000.ready_s", "under 60", None),
    ("n10000.rss_mb", "under 150", None),
    ("calls_ratio.create", "at most 1.3", Some(1.3)),
    ("calls_ratio.change", "at most 1.3", Some(1.3)),
    ("calls_ratio.check", "at most 1.3", Some(1.3)),
    ("idle_writes", "0", Some(0.0)),
];
