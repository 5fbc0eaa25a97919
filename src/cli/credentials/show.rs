//! `lockstep credentials show`.

use clap::Args;
use jiff::Timestamp;

use super::super::output::Output;
use super::super::scope::Where;
use super::super::words::bare;
use super::super::{Failure, Outcome};
use super::view;
use crate::queries::credentials::detail;
use crate::runtime::Asking;

/// One credential: every value that lives, where it lies, who uses it, and who else has a key
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep credentials show fraud-dbx -n ml-fraud
  lockstep credentials show fraud-dbx -n ml-fraud --output yaml

Exit codes:
  0   shown
  1   failed, or there is no such credential
  64  the command line is not understood")]
pub(super) struct Show {
    /// Name of the ServiceCredential
    credential: String,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn show(args: Show) -> Result<Outcome, Failure> {
    let place = args.place.connect().await?;
    let asking = Asking::new(place.client);
    let name = bare(&args.credential);
    let credential = asking.credential(&place.namespace, name).await?;
    let now = Timestamp::now();
    args.output
        .print(&detail(&credential), |detail| view::detail(detail, now))?;
    Ok(Outcome::Done)
}
