//! `databricks-sim`: parse, then serve.

use clap::Parser;
use databricks_sim::args::{Cli, Command};
use databricks_sim::serve;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match Cli::parse().command {
        Command::Routes => serve::print_routes(),
        Command::Serve(args) => {
            if let Err(error) = serve::serve(&args).await {
                eprintln!("databricks-sim: {error}");
                return std::process::ExitCode::FAILURE;
            }
        }
    }
    std::process::ExitCode::SUCCESS
}
