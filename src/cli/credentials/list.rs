//! `lockstep credentials list`.

use clap::Args;
use jiff::Timestamp;

use super::super::output::Output;
use super::super::progress::Progress;
use super::super::scope::Where;
use super::super::{Failure, Outcome};
use super::view;
use crate::queries::credentials::{Row, row};
use crate::runtime::Asking;

/// Every credential: which generation is current, how old it is, when the next one is due, who else has a key
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep credentials list -n ml-fraud
  lockstep credentials list -A --output json

Exit codes:
  0   listed
  1   failed
  64  the command line is not understood")]
pub(super) struct List {
    /// Credentials of all namespaces
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    all_namespaces: bool,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn list(args: List) -> Result<Outcome, Failure> {
    let place = args.place.connect().await?;
    let progress = Progress::start();
    progress.say("reading the cluster");
    let namespace = (!args.all_namespaces).then_some(place.namespace.as_str());
    let (credentials, notes) = Asking::new(place.client.clone()).credentials(namespace).await?;
    for note in &notes {
        progress.note(note);
    }
    drop(progress);
    let mut rows: Vec<Row> = credentials.iter().map(row).collect();
    rows.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    let now = Timestamp::now();
    args.output
        .print(&rows, |rows| view::rows(rows, args.all_namespaces, now))?;
    Ok(Outcome::Done)
}
