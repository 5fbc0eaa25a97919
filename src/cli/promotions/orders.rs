//! `lockstep promotions cancel` and `retry`: an annotation each, after it was said what comes of it.

use clap::Args;
use jiff::Timestamp;
use lockstep_core::api::{CANCEL, RETRY};

use super::super::consent::agree;
use super::super::output::{show, tell};
use super::super::scope::Where;
use super::super::words::bare;
use super::super::{Failure, Outcome};
use super::look;
use crate::queries::promotions::orders::{cancelling, retrying};
use crate::runtime::Asking;

/// Stop a promotion: one that waits never begins, one that runs fails as if a step had failed
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep promotions cancel fraud.prod.42.89abcdef -n ml-fraud
  lockstep promotions cancel fraud.prod.42.89abcdef -n ml-fraud --yes

Says first what is stopped, what is undone and what stays; then sets the annotation lockstep.dev/cancel.

Exit codes:
  0   asked for: the operator stops it in its next pass
  1   refused, not confirmed, or there is nothing to stop
  64  the command line is not understood")]
pub(super) struct Cancel {
    /// Name of the promotion
    promotion: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    place: Where,
}

/// Make the next attempt of a promotion that has ended
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep promotions retry fraud.prod.42.89abcdef -n ml-fraud
  lockstep promotions retry fraud.prod.42.89abcdef -n ml-fraud --yes

Says first what the next attempt is called and what it will wait for; then gives the annotation lockstep.dev/retry
a new value. The next attempt is judged anew.

Exit codes:
  0   asked for: the operator makes the next attempt in its next pass
  1   refused, not confirmed, or there is nothing to try again
  64  the command line is not understood")]
pub(super) struct Retry {
    /// Name of the promotion
    promotion: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn cancel(args: Cancel) -> Result<Outcome, Failure> {
    let place = args.place.connect().await?;
    let asking = Asking::new(place.client);
    let name = bare(&args.promotion);
    let promotion = asking.promotion(&place.namespace, name).await?;
    let told = cancelling(&promotion).map_err(Failure)?;
    tell(
        &format!("Cancelling promotion {}/{name}:", place.namespace),
        &told,
    )?;
    agree(args.yes, "Cancel it?", "cancelled")?;
    asking.annotate(&promotion, CANCEL, "true").await?;
    show("asked for: the operator stops it in its next pass\n")?;
    Ok(Outcome::Done)
}

pub(super) async fn retry(args: Retry) -> Result<Outcome, Failure> {
    let place = args.place.connect().await?;
    let sight = look(&args.place, &place, false).await?;
    let asking = Asking::new(place.client);
    let name = bare(&args.promotion);
    let promotion = asking.promotion(&place.namespace, name).await?;
    let policy = sight.policy(Some(&place.namespace), &promotion.spec.policy_ref.name);
    let told = retrying(&sight, policy, &promotion).map_err(Failure)?;
    tell(
        &format!("Trying promotion {}/{name} again:", place.namespace),
        &told,
    )?;
    agree(args.yes, "Try it again?", "tried again")?;
    asking
        .annotate(&promotion, RETRY, &Timestamp::now().to_string())
        .await?;
    show("asked for: the operator makes the next attempt in its next pass\n")?;
    Ok(Outcome::Done)
}
