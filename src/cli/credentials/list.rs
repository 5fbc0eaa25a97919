//! `lockstep credentials list`.

use std::collections::BTreeSet;

use clap::Args;
use jiff::Timestamp;

use super::super::output::Output;
use super::super::progress::Progress;
use super::super::scope::{Place, Scope};
use super::super::{Failure, Outcome};
use super::view;
use crate::queries::credentials::{Row, everything, row, ways_to_aws};
use crate::runtime::Asking;

/// Every credential: which generation is current, how old it is, when the next one is due, who else has a key
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep credentials list -n ml-fraud
  lockstep credentials list -A --output json
  lockstep credentials list --all

With --all every connection in sight is asked, with your own rights, what anybody holds: OAuth secrets of service
principals, personal access tokens with their last use, Gerrit tokens; and every AWS account in which a
ServiceCredential rotates access keys. Those that no ServiceCredential rotates come first, the longest unused first.

Exit codes:
  0   listed
  1   failed, or with --all: some connection could not be asked
  64  the command line is not understood")]
pub(super) struct List {
    /// Everything in reach of the connections, rotated or not
    #[arg(long)]
    all: bool,
    /// Credentials of all namespaces
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    all_namespaces: bool,
    #[command(flatten)]
    place: Scope,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn list(args: List) -> Result<Outcome, Failure> {
    let place = args.place.connect().await?;
    let progress = Progress::start();
    if args.all {
        return list_everything(&args, &place, &progress).await;
    }
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

async fn list_everything(args: &List, place: &Place, progress: &Progress) -> Result<Outcome, Failure> {
    let namespaces = BTreeSet::from([place.namespace.clone()]);
    let reading = args.place.read(place, namespaces, progress).await?;
    let asking = &reading.context.inventories;
    let credentials = reading.context.credentials.credentials();
    let mut asked = Vec::new();
    for connection in reading.connections() {
        progress.say(&format!("asking {connection}"));
        asked.push((connection.to_string(), asking.everything(&connection).await));
    }
    for (aws, users) in ways_to_aws(&credentials) {
        let what = format!("IAM of {}", users.join(", "));
        progress.say(&format!("asking {what}"));
        asked.push((what, asking.access_keys(&aws, &users).await));
    }
    let (mut inventories, mut failed) = (Vec::new(), false);
    for (what, found) in asked {
        match found {
            Ok(inventory) => inventories.push(inventory),
            Err(error) => {
                progress.note(&format!("{what} could not be asked: {error}"));
                failed = true;
            }
        }
    }
    let all = everything(&inventories, &credentials);
    let now = Timestamp::now();
    args.output.print(&all, |all| view::everything(all, now))?;
    if failed {
        return Err(Failure("what some connections hold is not among it".to_owned()));
    }
    Ok(Outcome::Done)
}
