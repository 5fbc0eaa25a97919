//! `lockstep promotions rollback`: shows what going back would change, asks, and asks for it.

use clap::Args;
use jiff::Timestamp;

use super::super::consent::confirm;
use super::super::output::{clean, show};
use super::super::scope::Where;
use super::super::words::bare;
use super::super::{Failure, Outcome};
use super::{look, rollback_view};
use crate::queries::promotions::way_back;
use crate::runtime::Asking;

/// Go back to what an earlier promotion left: job definition, alias and endpoint, without training again
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep promotions rollback fraud prod --to fraud.prod.41.01234567 --reason 'the model drifts' -n ml-fraud
  lockstep promotions rollback fraud prod --to fraud.prod.41.01234567 --reason 'the model drifts' --yes

Shows first, step by step, what is pointed at which version again, from what both promotions have in their status.
The operator goes by the record. It works while Gerrit is down, and in an environment that is held.

Exit codes:
  0   asked for, as the promotion that is named
  1   refused, not confirmed, or there is no such way back
  64  the command line is not understood")]
pub(super) struct Rollback {
    /// Name of the policy
    policy: String,
    /// One of its environments
    environment: String,
    /// The earlier promotion, one that succeeded
    #[arg(long, value_name = "PROMOTION")]
    to: String,
    /// Why, for the record
    #[arg(long)]
    reason: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn rollback(args: Rollback) -> Result<Outcome, Failure> {
    let place = args.place.connect().await?;
    let sight = look(&args.place, &place, false).await?;
    let asking = Asking::new(place.client);
    let policy = asking.policy(&place.namespace, bare(&args.policy)).await?;
    let (environment, to) = (&args.environment, bare(&args.to));
    let back = way_back::way_back(&sight, &policy, environment, to, Timestamp::now()).map_err(Failure)?;
    show(&rollback_view::way_back(&back))?;
    let reason = confirm(
        args.yes,
        args.reason.as_deref(),
        "Go back to this?",
        "rolled back",
    )?;
    let name = way_back::name(&policy, environment, "rollback", Timestamp::now());
    let spec = way_back::spec(&policy, environment, to, &reason);
    asking.make(&policy, &name, spec).await?;
    show(&format!(
        "Promotion {ns}/{name} created\nwatch it with: lockstep promotions show {name} -n {ns}\n",
        ns = clean(&place.namespace),
    ))?;
    Ok(Outcome::Done)
}
