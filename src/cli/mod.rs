//! The commands. Each has a file of its own; this one parses, dispatches and says what the exit code means.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done; for commands that compare: nothing differs |
//! | 1 | failed; stderr says why and what to change |
//! | 2 | done, and something differs (commands that compare) |
//! | 64 | the command line is not understood |

mod access;
mod access_view;
mod approve;
mod consent;
mod crds;
mod credentials;
mod doctor;
mod doctor_policies;
mod doctor_tenants;
mod doctor_view;
mod manifests;
mod output;
mod plan;
mod plan_view;
mod probe;
mod progress;
mod promotions;
mod run;
mod scope;
mod words;

use std::ffi::OsString;
use std::future::Future;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Name of the binary under which kubectl finds it as a plugin.
const PLUGIN: &str = "kubectl-lockstep";
/// The command line is not understood. Not clap's 2, which says that something differs.
const USAGE: u8 = 64;

/// Keeps Gerrit and Databricks in step from declared resources.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One line per command.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator
    Run(crate::runtime::RunArgs),
    /// Print the CRDs
    Crds(crds::CrdsArgs),
    Plan(plan::PlanArgs),
    Approve(approve::ApproveArgs),
    Access(access::AccessArgs),
    Promotions(promotions::PromotionsArgs),
    Credentials(credentials::CredentialsArgs),
    Doctor(doctor::DoctorArgs),
}

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Done, and something differs.
    Differs,
}

/// A command could not do what was asked: one sentence that says what to change.
#[derive(Debug)]
pub struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Parses the command line, runs the command and answers with the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let as_plugin = args
        .first()
        .and_then(|path| Path::new(path).file_stem())
        .is_some_and(|name| name == PLUGIN);
    let mut parser = Cli::command();
    if as_plugin {
        parser = parser.name("kubectl lockstep").bin_name("kubectl lockstep");
    }
    let parsed = parser
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let Cli { command } = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let wrong = error.use_stderr();
            // Help that nobody reads to the end is no failure.
            let _ = error.print();
            return if wrong {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let outcome = match command {
        Command::Run(args) => run::run(args),
        Command::Crds(args) => crds::crds(&args),
        Command::Plan(args) => plan::plan(args),
        Command::Approve(args) => approve::approve(args),
        Command::Access(args) => access::access(args),
        Command::Promotions(args) => promotions::promotions(args),
        Command::Credentials(args) => credentials::credentials(args),
        Command::Doctor(args) => doctor::doctor(args),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Differs) => ExitCode::from(2),
        Err(Failure(why)) => {
            let _ = writeln!(io::stderr(), "lockstep: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command that waits for others.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // The work is waiting; more threads only cost memory.
        .worker_threads(std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 4)))
        .enable_all()
        .build()?;
    let result = runtime.block_on(work);
    // What still waits for an answer that nobody needs is left behind.
    runtime.shutdown_background();
    result
}

/// Prints a result. A reader that has seen enough, such as `head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(args: &[&str]) -> ExitCode {
        main(args.iter().map(OsString::from))
    }

    #[test]
    fn every_command_is_put_together_right() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_is_told_from_a_difference() {
        assert_eq!(code(&["lockstep", "dance"]), ExitCode::from(64));
        assert_eq!(code(&["kubectl-lockstep", "--help"]), ExitCode::SUCCESS);
    }
}
