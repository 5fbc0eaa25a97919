//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::settings::Quirk;

#[derive(Debug, Parser)]
#[command(name = "databricks-sim", version, about, long_about = ABOUT, after_long_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const ABOUT: &str = "A stateful, strict stand-in for the Databricks REST APIs.

It keeps an account with users, groups and service principals, workspaces with objects, files, jobs and their runs,
serving endpoints, permissions, and a Unity Catalog metastore with grants and model versions, in memory. What the vendor
refuses it refuses, with the vendor's status and body. Everything under /_sim/ steers it: fill it, look into it, count
requests, break them, prescribe how runs end.";

const EXAMPLES: &str = "Examples:
  databricks-sim serve
      An account with one workspace on http://127.0.0.1:8787

  databricks-sim serve --listen 127.0.0.1:0 --seed world.json --lag 5 --quirk limits
      A free port, a world of your own, reads up to five seconds old, the vendor's rate limits

  databricks-sim serve --execute
      Python files of runs really run, with the rights of this process: only with code that you trust

  curl -H 'Authorization: Bearer dapi-workspace' http://127.0.0.1:8787/api/2.0/preview/scim/v2/Me
  curl http://127.0.0.1:8787/_sim/counts
  curl -d '{\"method\": \"PATCH\", \"times\": 1, \"action\": \"DropAfter\"}' http://127.0.0.1:8787/_sim/faults";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the APIs until interrupted
    Serve(Box<Serve>),
    /// List every endpoint that is answered
    Routes,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen, for the first workspace and for the account (port 0: a free one)
    #[arg(long, default_value = "127.0.0.1:8787", value_name = "IP:PORT")]
    pub listen: SocketAddr,

    /// Bearer token of the workspace administrator
    #[arg(
        long,
        default_value = "dapi-workspace",
        value_name = "TOKEN",
        env = "DATABRICKS_SIM_WORKSPACE_TOKEN"
    )]
    pub workspace_token: String,

    /// Bearer token of the account administrator
    #[arg(
        long,
        default_value = "account-token",
        value_name = "TOKEN",
        env = "DATABRICKS_SIM_ACCOUNT_TOKEN"
    )]
    pub account_token: String,

    /// The user both tokens belong to
    #[arg(long, default_value = "admin@example.com", value_name = "E-MAIL")]
    pub admin: String,

    /// Id of the account
    #[arg(
        long,
        default_value = "11111111-1111-4111-8111-111111111111",
        value_name = "UUID"
    )]
    pub account_id: String,

    /// Id of the first workspace
    #[arg(long, default_value_t = 1_234_567_890_123_456, value_name = "NUMBER")]
    pub workspace_id: u64,

    /// One more workspace, on a socket of its own
    #[arg(long = "workspace", value_name = "ID=IP:PORT=TOKEN", value_parser = workspace)]
    pub workspaces: Vec<Workspace>,

    /// Id of the metastore that all workspaces share
    #[arg(
        long,
        default_value = "22222222-2222-4222-8222-222222222222",
        value_name = "UUID"
    )]
    pub metastore_id: String,

    /// A world to begin with, as POST /_sim/seed takes it
    #[arg(long, value_name = "FILE")]
    pub seed: Option<PathBuf>,

    /// Reads show the world as it was up to so many seconds ago
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    pub lag: f64,

    /// Something the vendor does now and then (may repeat)
    #[arg(long, value_name = "NAME", value_enum)]
    pub quirk: Vec<Quirk>,

    /// Certificates to trust when the keys of a token issuer are fetched (PEM)
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Seconds that each task of a run takes, and each update of a serving endpoint
    #[arg(long, default_value_t = 0.2, value_name = "SECONDS")]
    pub task_seconds: f64,

    /// Really run the Python files of runs, unconfined: whoever can reach the API can then run programs as this user
    #[arg(long)]
    pub execute: bool,

    /// The interpreter for --execute
    #[arg(long, default_value = "python3", value_name = "PROGRAM", requires = "execute")]
    pub python: PathBuf,

    /// Write the addresses and tokens as one line of JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone)]
pub struct Workspace {
    pub id: u64,
    pub listen: SocketAddr,
    pub token: String,
}

fn workspace(text: &str) -> Result<Workspace, String> {
    let mut parts = text.splitn(3, '=');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(id), Some(listen), Some(token)) if !token.is_empty() => Ok(Workspace {
            id: id.parse().map_err(|_| format!("'{id}' is not a workspace id"))?,
            listen: listen.parse().map_err(|_| format!("'{listen}' is not IP:PORT"))?,
            token: token.to_owned(),
        }),
        _ => Err("expected ID=IP:PORT=TOKEN".to_owned()),
    }
}
