//! `lockstep promotions override`: breaks the glass. It lifts what only asks to wait, and nothing until two people have
//! approved.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use lockstep_core::api::promotion::OverridableFinding;
use lockstep_core::api::promotion_policy::PlanSubject;

use super::super::consent::{LOOK, confirm};
use super::super::output::{clean, paint, show, style, tell};
use super::super::progress::Progress;
use super::super::scope::Where;
use super::super::words::bare;
use super::super::{Failure, Outcome};
use crate::queries::promotions::orders::{overridable, override_of, overriding};
use crate::queries::promotions::pending::{Pending, pending_of_promotion};
use crate::queries::promotions::way_back;
use crate::runtime::Asking;

/// Break the glass: let a promotion go on in spite of findings that only ask to wait
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep promotions override fraud.prod.42.89abcdef --finding OutsideWindow --reason 'customers cannot pay'
  lockstep promotions override fraud.prod.42.89abcdef --finding OutsideWindow,Soaking --reason 'customers cannot pay' --yes

Only OutsideWindow, Soaking, UpstreamMissing and Frozen can be lifted; what got around review never can. Nothing
happens until two other people have approved, each under their own name, and a third must look at it within 24
hours after its end.

Exit codes:
  0   asked for, as the promotion that is named; it waits for two approvals
  1   refused, not confirmed, or there is nothing to lift
  64  the command line is not understood")]
pub(super) struct Override {
    /// Name of the promotion that waits
    promotion: String,
    /// What to lift: OutsideWindow, Soaking, UpstreamMissing or Frozen; once for each
    #[arg(long, value_name = "FINDING", required = true, value_delimiter = ',', value_parser = overridable)]
    finding: Vec<OverridableFinding>,
    /// Why it cannot wait, for the record
    #[arg(long)]
    reason: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Seconds to wait for the operator to say what is to be approved
    #[arg(long, default_value_t = 15, value_name = "SECONDS")]
    wait: u64,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn break_glass(args: Override) -> Result<Outcome, Failure> {
    let place = args.place.connect().await?;
    let asking = Asking::new(place.client);
    let namespace = &place.namespace;
    let promotion = asking.promotion(namespace, bare(&args.promotion)).await?;
    let policy = asking.policy(namespace, &promotion.spec.policy_ref.name).await?;
    let lifted: BTreeSet<OverridableFinding> = args.finding.iter().copied().collect();
    let told = overriding(&promotion, &lifted).map_err(Failure)?;
    let title = format!(
        "Breaking the glass for promotion {namespace}/{}:",
        bare(&args.promotion)
    );
    tell(&title, &told)?;
    let reason = confirm(args.yes, args.reason.as_deref(), "Break the glass?", "lifted")?;
    let environment = &promotion.spec.environment;
    let name = way_back::name(&policy, environment, "override", Timestamp::now());
    let spec = override_of(&promotion, &lifted, &reason);
    asking.make(&policy, &name, spec).await?;
    show(&format!("Promotion {}/{name} created\n", clean(namespace)))?;
    let pending = waited_for(&asking, namespace, &name, args.wait).await;
    show(&next(pending.as_ref(), namespace, &name))?;
    Ok(Outcome::Done)
}

/// The plan that people must approve, once the operator has made it.
async fn waited_for(asking: &Asking, namespace: &str, name: &str, seconds: u64) -> Option<Pending> {
    let progress = Progress::start();
    progress.say("waiting for the operator to say what is to be approved");
    let until = tokio::time::Instant::now() + Duration::from_secs(seconds);
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        if let Ok(made) = asking.promotion(namespace, name).await {
            let pending = pending_of_promotion(&made);
            let found = pending
                .into_iter()
                .find(|pending| pending.plan.subject == PlanSubject::Override);
            if found.is_some() {
                return found;
            }
        }
        if tokio::time::Instant::now() >= until {
            return None;
        }
    }
}

/// What has to happen now.
fn next(pending: Option<&Pending>, namespace: &str, name: &str) -> String {
    let digest = pending.map_or_else(
        || {
            "its digest will stand in status.plans of that promotion, once the operator has looked at it"
                .to_owned()
        },
        |pending| format!("digest {}", pending.plan.digest),
    );
    format!(
        "{} two PlanApprovals by different people, neither of them you\n  {}\n  each of them: lockstep approve promotion/{name} -n {}\n",
        paint(style::SET, "needed:"),
        clean(&digest),
        clean(namespace)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_breaks_the_glass_is_told_who_must_approve_what() {
        let plan = json!({"object": {"kind": "Promotion", "namespace": "ml", "name": "glass", "uid": "u"}});
        let pending = Pending {
            of: serde_json::from_value(plan["object"].clone()).unwrap(),
            plan: serde_json::from_value(
                json!({"subject": "Override", "digest": "sha256:d", "approvers": 2}),
            )
            .unwrap(),
        };
        let told = |pending| anstream::adapter::strip_str(&next(pending, "ml", "glass")).to_string();
        let known = told(Some(&pending));
        assert!(known.contains("two PlanApprovals by different people"), "{known}");
        assert!(known.contains("digest sha256:d"), "{known}");
        assert!(
            known.contains("lockstep approve promotion/glass -n ml"),
            "{known}"
        );
        assert!(told(None).contains("status.plans"));
    }
}
