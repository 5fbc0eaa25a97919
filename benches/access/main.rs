//! What keeping many teams in step costs: seconds, memory, and calls to systems that are shared with people.
//!
//! `cargo bench --bench access` starts a stack of its own, measures, writes `target/bench/access.json` and takes the
//! stack down. `world` makes the people and the bindings, `operator` runs the operator and reads its metrics,
//! `calls` counts what reaches the systems and the fewest calls that could have done, `stages` are the measurements.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Metrics are small whole numbers that come as text.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]

mod calls;
mod operator;
mod stages;
#[allow(dead_code)]
#[path = "../../tests/scenarios/support/mod.rs"]
mod support;
mod world;

use std::path::Path;
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};
use serde_json::Value;
use stages::{Bench, Sizes};
use support::stack::root;

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

/// Measures the operator on real systems.
#[derive(Parser)]
struct Args {
    /// Only these measurements; the others keep what they had in the result.
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Stage>,
    /// A tenth of everything, to see that it works; goes into a result of its own.
    #[arg(long)]
    quick: bool,
    /// Leave the stack up for the next run.
    #[arg(long)]
    keep: bool,
    /// The stack is up and in the environment.
    #[arg(long, hide = true)]
    inside: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.inside {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return if runtime.block_on(measure(&args)) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let state = root().join("target/bench/stack");
    let program = std::env::current_exe().expect("this program has a path");
    let target = program.ancestors().nth(3).expect("target/release/deps/access");
    let simulator = target.join("release/databricks-sim");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let build = ["build", "--release", "--locked", "-p", "databricks-sim"];
    let stack = |arguments: &[&str]| {
        let mut command = Command::new(root().join("dev/stack"));
        command
            .args(arguments)
            .env("LOCKSTEP_STATE_DIR", &state)
            .env("DATABRICKS_SIM_BIN", &simulator);
        command
    };
    let mut run = stack(&["run"]);
    run.arg(&program)
        .args(std::env::args_os().skip(1))
        .arg("--inside");
    let measured = succeeds(Command::new(cargo).args(build).current_dir(root()))
        && succeeds(&mut stack(&["up"]))
        && succeeds(&mut run);
    let ended = args.keep || succeeds(&mut stack(&["reset"]));
    if measured && ended {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn succeeds(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("{command:?}: {error}");
            false
        }
    }
}

/// Measures and prints; whether what must hold does. A quick run is too small to tell.
async fn measure(args: &Args) -> bool {
    let place = root().join("target/bench");
    std::fs::create_dir_all(&place).expect("a place for the result");
    let (file, sizes) = if args.quick {
        ("access-quick.json", Sizes::quick())
    } else {
        ("access.json", Sizes::full())
    };
    let file = place.join(file);
    let before = std::fs::read_to_string(&file).ok();
    let kept = before.filter(|_| !args.only.is_empty());
    let mut bench = Bench::new(sizes, kept.and_then(|text| serde_json::from_str(&text).ok())).await;
    let all = [Stage::Teams, Stage::Bare, Stage::Limits, Stage::Many];
    let wanted = all
        .into_iter()
        .filter(|stage| args.only.is_empty() || args.only.contains(stage));
    for stage in wanted {
        eprintln!("== {stage:?}");
        match stage {
            Stage::Teams => bench.teams().await,
            Stage::Bare => bench.bare().await,
            Stage::Limits => bench.limits().await,
            Stage::Many => bench.many().await,
        }
        // After each, so that a run that is cut short leaves what it knew.
        write(&file, bench.results());
    }
    print(bench.results());
    println!("\nwritten to {}", file.display());
    args.quick || holds(bench.results())
}

/// Whether every result stays within its limit; says which does not.
fn holds(results: &Value) -> bool {
    let mut good = true;
    for (key, _, limit) in GOALS {
        let value = results.pointer(&format!("/{}", key.replace('.', "/")));
        if let (Some(limit), Some(value)) = (limit, value.and_then(Value::as_f64))
            && value > limit
        {
            eprintln!("{key} is {value}, more than {limit}");
            good = false;
        }
    }
    good
}

fn write(file: &Path, results: &Value) {
    let text = serde_json::to_string_pretty(results).expect("JSON");
    std::fs::write(file, text + "\n").expect("the result can be written");
}

/// What is hoped for, where something is; with a number, more than that is a failure.
const GOALS: [(&str, &str, Option<f64>); 6] = [
    ("n10000.ready_s", "under 60", None),
    ("n10000.rss_mb", "under 150", None),
    ("calls_ratio.create", "at most 1.3", Some(1.3)),
    ("calls_ratio.change", "at most 1.3", Some(1.3)),
    ("calls_ratio.check", "at most 1.3", Some(1.3)),
    ("idle_writes", "0", Some(0.0)),
];

fn print(results: &Value) {
    println!();
    let line = |key: &str, value: &Value| {
        let goal = GOALS
            .iter()
            .find(|(of, ..)| *of == key)
            .map_or("", |(_, goal, _)| goal);
        println!("{key:<28}{:>12}  {goal}", value.to_string());
    };
    for (key, value) in results.as_object().into_iter().flatten() {
        match value.as_object() {
            Some(inner) => inner
                .iter()
                .for_each(|(name, value)| line(&format!("{key}.{name}"), value)),
            None => line(key, value),
        }
    }
}
