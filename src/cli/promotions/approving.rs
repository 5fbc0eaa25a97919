//! `lockstep promotions resume`, and the plans of policies and promotions that `lockstep approve` approves: those that
//! the operator shows in status, which nobody else can make.

use std::fmt::Write as _;

use clap::Args;
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::promotion_policy::HoldStatus;
use lockstep_core::api::{Promotion, PromotionPolicy};

use super::super::consent::{Consent, Given};
use super::super::output::{clean, count, paint, show, style};
use super::super::scope::{Place, Where};
use super::super::words::{bare, moment};
use super::super::{Failure, Outcome};
use crate::queries::promotions::pending::{
    Pending, choose, pending_of_policy, pending_of_promotion, resumption,
};
use crate::runtime::Asking;

/// Let a held environment go on: approves exactly the hold that is shown, under your own name
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep promotions resume fraud prod -n ml-fraud
  lockstep promotions resume fraud prod -n ml-fraud --reason 'the quota was raised' --yes

Shows why the environment is held, asks, and creates a PlanApproval of the plan in the policy's status. A hold that
comes later is another one.

Exit codes:
  0   approved; the last line says whether it has been used
  1   refused, not confirmed, or the environment is not held
  64  the command line is not understood")]
pub(super) struct Resume {
    /// Name of the policy
    policy: String,
    /// One of its environments
    environment: String,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    place: Where,
}

pub(super) async fn resume(args: Resume) -> Result<Outcome, Failure> {
    args.consent.lasts()?;
    let place = args.place.connect().await?;
    let policy = Asking::new(place.client.clone())
        .policy(&place.namespace, bare(&args.policy))
        .await?;
    let pending = resumption(&policy, &args.environment).map_err(Failure)?;
    let rows = policy
        .status
        .as_ref()
        .and_then(|status| status.environments.as_ref());
    let row = rows
        .into_iter()
        .flatten()
        .find(|row| row.name == args.environment);
    if let Some(held) = row.and_then(|row| row.held.as_ref()) {
        show(&hold(&args.environment, held))?;
    }
    approve(place, &pending, &args.consent).await
}

/// Approves a plan of a policy.
pub(in crate::cli) async fn approve_policy(
    place: Place,
    name: &str,
    digest: Option<&str>,
    consent: &Consent,
) -> Result<Outcome, Failure> {
    let policy = Asking::new(place.client.clone())
        .policy(&place.namespace, name)
        .await?;
    let pending = choose(&pending_of_policy(&policy), digest).map_err(Failure)?;
    approve(place, &pending, consent).await
}

/// Approves a plan of a promotion.
pub(in crate::cli) async fn approve_promotion(
    place: Place,
    name: &str,
    digest: Option<&str>,
    consent: &Consent,
) -> Result<Outcome, Failure> {
    let promotion = Asking::new(place.client.clone())
        .promotion(&place.namespace, name)
        .await?;
    let pending = choose(&pending_of_promotion(&promotion), digest).map_err(Failure)?;
    approve(place, &pending, consent).await
}

/// Why an environment is held.
fn hold(environment: &str, held: &HoldStatus) -> String {
    let since = held.since.map(|since| format!(" since {}", moment(since)));
    let mut text = format!(
        "{}{}\n  {}\n",
        paint(
            style::REMOVE,
            &clean(&format!("environment {environment} is held"))
        ),
        since.unwrap_or_default(),
        clean(&held.reason)
    );
    if let Some(promotion) = &held.promotion {
        let _ = writeln!(
            text,
            "  look at it with: lockstep promotions show {}",
            clean(promotion)
        );
    }
    text
}

/// What is about to be approved.
fn plan(pending: &Pending) -> String {
    let of = &pending.of;
    let environment = pending.plan.environment.as_ref();
    let environment = environment.map(|environment| format!(", environment {environment}"));
    let mut text = format!(
        "{}\n",
        paint(
            style::STRONG,
            &clean(&format!(
                "{:?} of {} {}/{}{}",
                pending.plan.subject,
                of.kind,
                of.namespace,
                of.name,
                environment.unwrap_or_default()
            ))
        )
    );
    for line in &pending.plan.summary {
        let _ = writeln!(text, "  {}", clean(line));
    }
    if pending.approvers() > 1 {
        let people = count(pending.approvers(), "person", "people");
        let _ = writeln!(text, "  needs {people}, each with an approval of their own");
    }
    text + &format!(
        "\n{} {}\n",
        paint(style::STRONG, "to approve:"),
        clean(&pending.plan.digest)
    )
}

/// Shows a plan, asks, approves it and says what came of it.
async fn approve(place: Place, pending: &Pending, consent: &Consent) -> Result<Outcome, Failure> {
    show(&plan(pending))?;
    let reason = consent.confirm()?;
    let digest = pending.plan.digest.clone();
    let given = consent
        .approve(place.client.clone(), pending.of.clone(), digest, reason)
        .await?;
    let asking = Asking::new(place.client);
    show(&format!("{}\n", clean(&became(&given, &asking, pending).await)))?;
    Ok(Outcome::Done)
}

/// What came of the approval, as far as it can be seen in a short time.
async fn became(given: &Given, asking: &Asking, pending: &Pending) -> String {
    if let Some(entry) = given.used().await {
        return format!("used: record entry {entry}");
    }
    let of = &pending.of;
    let now = if of.kind == "Promotion" {
        let found = asking.promotion(&of.namespace, &of.name).await.ok();
        found.map(|found| (pending_of_promotion(&found), blocked_promotion(&found)))
    } else {
        let found = asking.policy(&of.namespace, &of.name).await.ok();
        found.map(|found| (pending_of_policy(&found), blocked_policy(&found)))
    };
    not_used(pending, now)
}

fn blocked_policy(policy: &PromotionPolicy) -> Option<String> {
    let conditions = policy.status.as_ref()?.conditions.iter();
    blocked(conditions)
}

fn blocked_promotion(promotion: &Promotion) -> Option<String> {
    let conditions = promotion.status.as_ref()?.conditions.iter();
    blocked(conditions)
}

fn blocked<'a>(
    mut conditions: impl Iterator<Item = &'a k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
) -> Option<String> {
    let said = conditions.find(|said| ConditionType::Blocked.is(&said.type_) && said.status == "True")?;
    Some(format!("{} ({})", said.message, said.reason))
}

/// Why nothing has used it yet. `now`: the plans that wait, and what the object says of itself.
fn not_used(pending: &Pending, now: Option<(Vec<Pending>, Option<String>)>) -> String {
    let same = |other: &Pending| other.plan.digest == pending.plan.digest;
    match now {
        Some((plans, _)) if !plans.iter().any(same) => {
            "the plan does not wait any more: somebody's approval was used, or there is nothing left to approve".into()
        }
        _ if pending.approvers() > 1 => format!(
            "not used yet: it takes {}, each with an approval of their own",
            count(pending.approvers(), "person", "people")
        ),
        Some((_, Some(said))) => format!("not used yet: {said}"),
        _ => "not used yet: the operator takes it up in its next pass".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pending(plan: Value) -> Pending {
        let of = json!({"kind": "PromotionPolicy", "namespace": "ml", "name": "fraud", "uid": "u"});
        Pending {
            of: serde_json::from_value(of).unwrap(),
            plan: serde_json::from_value(plan).unwrap(),
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn who_approves_sees_whose_plan_it_is_and_what_it_says() {
        let text = plain(&plan(&pending(json!({
            "subject": "Resume", "environment": "prod", "digest": "sha256:a",
            "summary": ["let environment prod go on: it failed"],
        }))));
        assert_eq!(
            text,
            "\
Resume of PromotionPolicy ml/fraud, environment prod
  let environment prod go on: it failed

to approve: sha256:a
"
        );
        let two = plain(&plan(&pending(
            json!({"subject": "Override", "digest": "sha256:a", "approvers": 2}),
        )));
        assert!(two.contains("needs 2 people"), "{two}");
    }

    #[test]
    fn a_hold_says_why_since_when_and_where_to_look() {
        let held = HoldStatus {
            promotion: Some("fraud.prod.42.89abcdef".into()),
            reason: "it failed".into(),
            since: Some("2026-07-04T12:00:00Z".parse().unwrap()),
        };
        let text = plain(&hold("prod", &held));
        assert!(
            text.contains("environment prod is held since 2026-07-04T12:00:00Z"),
            "{text}"
        );
        assert!(
            text.contains("it failed") && text.contains("show fraud.prod.42.89abcdef"),
            "{text}"
        );
    }

    #[test]
    fn an_approval_that_was_not_used_says_what_it_waits_for() {
        let one = pending(json!({"subject": "Resume", "digest": "sha256:a"}));
        let two = pending(json!({"subject": "Override", "digest": "sha256:a", "approvers": 2}));
        let still = |pending: &Pending, said: Option<&str>| {
            not_used(pending, Some((vec![pending.clone()], said.map(Into::into))))
        };
        assert!(still(&one, Some("not released: SelfApproval")).contains("SelfApproval"));
        assert!(still(&one, None).contains("next pass"));
        assert!(still(&two, Some("x")).contains("2 people"));
        assert!(not_used(&one, Some((vec![], None))).contains("does not wait any more"));
        assert!(not_used(&one, None).contains("next pass"));
    }
}
