//! `lockstep credentials rotate` and `revoke`: an annotation each, after it was said what comes of it.

use clap::Args;
use jiff::Timestamp;
use lockstep_core::api::{COMPROMISED, ROTATE};

use super::super::consent::agree;
use super::super::output::{show, tell};
use super::super::scope::Where;
use super::super::words::bare;
use super::super::{Failure, Outcome};
use crate::queries::credentials::{revoking, rotating};
use crate::runtime::Asking;

/// Replace a credential now, without a gap
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep credentials rotate fraud-dbx -n ml-fraud
  lockstep credentials rotate fraud-dbx -n ml-fraud --yes

Says first what is minted, what lives on and what is started anew; then gives the annotation lockstep.dev/rotate a new
value.

Exit codes:
  0   asked for: the operator rotates it in its next pass
  1   refused, not confirmed, or there is nothing to rotate
  64  the command line is not understood")]
pub(super) struct Rotate {
    /// Name of the ServiceCredential
    credential: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    place: Where,
}

/// Revoke a value that others know, before anything else
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep credentials revoke fraud-dbx -n ml-fraud
  lockstep credentials revoke fraud-dbx 3 -n ml-fraud --yes

Says first what stops working; then sets the annotation lockstep.dev/compromised. A new value is minted at once where
the revoked one was current.

Exit codes:
  0   asked for: the operator revokes it in its next pass
  1   refused, not confirmed, or that generation does not live
  64  the command line is not understood")]
pub(super) struct Revoke {
    /// Name of the ServiceCredential
    credential: String,
    /// Number of the generation; unset: the current one
    generation: Option<u64>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn rotate(args: Rotate) -> Result<Outcome, Failure> {
    let place = args.place.connect().await?;
    let asking = Asking::new(place.client);
    let name = bare(&args.credential);
    let credential = asking.credential(&place.namespace, name).await?;
    let told = rotating(&credential).map_err(Failure)?;
    tell(
        &format!("Rotating ServiceCredential {}/{name}:", place.namespace),
        &told,
    )?;
    agree(args.yes, "Rotate it?", "rotated")?;
    asking
        .annotate(&credential, ROTATE, &Timestamp::now().to_string())
        .await?;
    show("asked for: the operator rotates it in its next pass\n")?;
    Ok(Outcome::Done)
}

pub(super) async fn revoke(args: Revoke) -> Result<Outcome, Failure> {
    let place = args.place.connect().await?;
    let asking = Asking::new(place.client);
    let name = bare(&args.credential);
    let credential = asking.credential(&place.namespace, name).await?;
    let (annotation, told) = revoking(&credential, args.generation).map_err(Failure)?;
    tell(
        &format!(
            "Revoking a value of ServiceCredential {}/{name}:",
            place.namespace
        ),
        &told,
    )?;
    agree(args.yes, "Revoke it?", "revoked")?;
    asking.annotate(&credential, COMPROMISED, &annotation).await?;
    show("asked for: the operator revokes it in its next pass\n")?;
    Ok(Outcome::Done)
}
