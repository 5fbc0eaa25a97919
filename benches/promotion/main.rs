//! What promoting costs: how soon a merged change is decided on and its job starts, what Gerrit is asked while nothing
//! happens, how fast a tree is uploaded, and memory.
//!
//! `cargo bench --bench promotion` starts a stack of its own, measures, writes `target/bench/promotion.json` and takes
//! the stack down. `lanes` merge and look, `crowd` is many policies and their history, `upload` one big tree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]

// The measurements of access need more of it.
#[allow(dead_code)]
#[path = "../common/mod.rs"]
mod common;
mod crowd;
mod lanes;
#[allow(dead_code)]
#[path = "../../tests/scenarios/support/mod.rs"]
mod support;
mod upload;

use std::process::ExitCode;

use clap::ValueEnum;
use common::results::{self, Goal};
use common::stand::{self, Args};
use serde_json::{Value, json};

/// What can be measured apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// From a merge to its decision and to the start of its job, when Gerrit tells of it.
    Webhook,
    /// The same when it does not.
    Poll,
    /// One tree of two thousand files.
    Upload,
    /// Many policies while nothing happens, and then with their finished promotions.
    Crowd,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    merges: usize,
    files: usize,
    /// Projects, branches with a policy in each, promotions of each.
    crowd: [usize; 3],
    idle_s: u64,
}

const FULL: Sizes = Sizes {
    merges: 200,
    files: 2_000,
    crowd: [20, 5, 100],
    idle_s: 60,
};

const QUICK: Sizes = Sizes {
    merges: 12,
    files: 200,
    crowd: [4, 5, 20],
    idle_s: 20,
};

/// What is hoped for, where something is; with a number, more than that is a failure.
const GOALS: [Goal; 8] = [
    ("webhook.decision_s_p50", "", None),
    ("webhook.decision_s_p99", "under 5", None),
    ("webhook.start_s_p99", "under 5", None),
    ("poll.decision_s_p99", "under 5", None),
    ("gerrit_requests_per_poll", "2", Some(2.5)),
    ("upload.mb_per_s", "", None),
    ("upload.peak_rss_mb", "under 150", None),
    ("history.rss_mb", "", None),
];

fn main() -> ExitCode {
    stand::run(measure)
}

async fn measure(args: Args<Stage>) -> bool {
    let file = args.file("promotion");
    let sizes = if args.quick { QUICK } else { FULL };
    let mut results = args.kept(&file).unwrap_or_else(|| json!({}));
    for stage in args.wanted() {
        eprintln!("== {stage:?}");
        let found = match stage {
            Stage::Webhook => json!({"webhook": lanes::measure(sizes.merges, true).await}),
            Stage::Poll => json!({"poll": lanes::measure(sizes.merges, false).await}),
            Stage::Upload => json!({"upload": upload::measure(sizes.files).await}),
            Stage::Crowd => crowd::measure(sizes.crowd, sizes.idle_s).await,
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
