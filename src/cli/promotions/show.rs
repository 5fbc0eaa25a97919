//! `lockstep promotions show`: everything about one promotion.

use clap::Args;
use jiff::Timestamp;

use super::super::output::Output;
use super::super::scope::Where;
use super::super::words::bare;
use super::super::{Failure, Outcome};
use super::show_view;
use crate::queries::promotions::detail::detail;
use crate::runtime::Asking;

/// Who owned, uploaded, wrote, approved and verified it, what was found, every commit it brings, every step
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep promotions show fraud.prod.42.89abcdef -n ml-fraud
  lockstep promotions show fraud.prod.42.89abcdef --output yaml

The status holds the first 20 changes and the first 50 commits; the record has all of them.

Exit codes:
  0   shown
  1   failed, or there is no such promotion
  64  the command line is not understood")]
pub(super) struct Show {
    /// Name of the promotion
    promotion: String,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn show(args: Show) -> Result<Outcome, Failure> {
    let place = args.place.connect().await?;
    let asking = Asking::new(place.client);
    let promotion = asking.promotion(&place.namespace, bare(&args.promotion)).await?;
    // Without its policy votes are shown by label alone.
    let policy = asking
        .policy(&place.namespace, &promotion.spec.policy_ref.name)
        .await
        .ok();
    let detail = detail(&promotion, policy.as_ref());
    args.output
        .print(&detail, |detail| show_view::detail(detail, Timestamp::now()))?;
    Ok(Outcome::Done)
}
