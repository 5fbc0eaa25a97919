//! Log lines. They go to stderr; what a command prints goes to stdout.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Environment variable that sets levels, as `info` or `lockstep=debug,info`.
const LEVELS: &str = "RUST_LOG";

/// Libraries that write headers or bodies at their finer levels. They stay silent there whatever is asked for: a
/// credential in a log is worth more than what could be learned.
const TALKATIVE: [&str; 9] = [
    "h2",
    "hyper",
    "hyper_util",
    "kube",
    "kube_client",
    "reqwest",
    "rustls",
    "tower",
    "tower_http",
];

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Begins to log. A second call changes nothing.
pub fn start(format: LogFormat) {
    let levels = EnvFilter::builder()
        .with_env_var(LEVELS)
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let quiet = filter_fn(may_be_logged);
    let layer = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let layer = match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(levels.and(quiet)))
        .try_init();
}

fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || !TALKATIVE.contains(&library)
}
