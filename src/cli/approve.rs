//! `lockstep approve`: shows the plan, asks, and says yes to exactly that.

use std::collections::BTreeSet;

use clap::Args;
use lockstep_core::api::AccessBinding;
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::plan_approval::PlanRef;
use lockstep_core::api::reference::Mode;
use lockstep_core::domain::ports::Cluster as _;

use super::consent::{Consent, Given};
use super::output::{clean, paint, show, style};
use super::plan::differences;
use super::plan_view;
use super::progress::Progress;
use super::promotions;
use super::scope::Scope;
use super::{Failure, Outcome, block_on};
use crate::queries::difference::Difference;

/// Approve a plan that waits for it: exactly the one that is shown, under your own name
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep approve accessbinding/fraud-engineers -n ml-fraud
  lockstep approve accessbinding/fraud-engineers -n ml-fraud --reason 'team moved' --expires 2h --yes
  lockstep approve promotion/fraud.prod.override.20260704t120000z -n ml-fraud

A binding's plan is made anew and compared with the one in the object's status. If they differ, look at both and
name the one you mean with --digest. Plans of policies and promotions are those of their status. An approval is
used once, and only for that digest.

Exit codes:
  0   approved; the last line says whether it has been used
  1   refused, not confirmed, or nothing to approve
  64  the command line is not understood")]
pub(super) struct ApproveArgs {
    /// What to approve: accessbinding/NAME, promotionpolicy/NAME or promotion/NAME
    #[arg(value_name = "KIND/NAME")]
    object: String,
    /// The digest you mean, where several plans wait, or the fresh one is not the one in the object's status
    #[arg(long, value_name = "SHA")]
    digest: Option<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    scope: Scope,
}

/// An object that can have a plan to approve.
#[derive(Debug, PartialEq, Eq)]
enum Object<'a> {
    Binding(&'a str),
    Policy(&'a str),
    Promotion(&'a str),
}

pub(super) fn approve(args: ApproveArgs) -> Result<Outcome, Failure> {
    block_on(async move {
        args.consent.lasts()?;
        match object(&args.object)? {
            Object::Binding(name) => approve_binding(&args, name).await,
            Object::Policy(name) => {
                let place = args.scope.connect().await?;
                promotions::approve_policy(place, name, args.digest.as_deref(), &args.consent).await
            }
            Object::Promotion(name) => {
                let place = args.scope.connect().await?;
                promotions::approve_promotion(place, name, args.digest.as_deref(), &args.consent).await
            }
        }
    })
}

async fn approve_binding(args: &ApproveArgs, name: &str) -> Result<Outcome, Failure> {
    let place = args.scope.connect().await?;
    let (binding, plan) = fresh(args, &place, name).await?;
    show(&plan_view::block(&plan))?;
    let digest = choose(args, &binding, &plan)?;
    if plan.mode == Mode::Observe {
        return Err(Failure(format!(
            "{name} only observes: nothing waits for an approval. Set mode: Enforce first"
        )));
    }
    show(&format!(
        "\n{} {}\n",
        paint(style::STRONG, "to approve:"),
        clean(&digest)
    ))?;
    let reason = args.consent.confirm()?;
    let plan_ref = PlanRef {
        kind: "AccessBinding".into(),
        namespace: plan.namespace.clone(),
        name: plan.name.clone(),
        uid: plan.uid.clone(),
    };
    let given = args
        .consent
        .approve(place.client, plan_ref, digest, reason)
        .await?;
    show(&format!("{}\n", clean(&became(&given, &plan).await)))?;
    Ok(Outcome::Done)
}

fn object(words: &str) -> Result<Object<'_>, Failure> {
    let (kind, name) = words.split_once('/').unwrap_or(("accessbinding", words));
    let kind = kind.to_lowercase();
    let kind = kind.strip_suffix(".lockstep.dev").unwrap_or(&kind);
    match kind {
        _ if name.is_empty() => {}
        "accessbinding" | "accessbindings" | "abind" => return Ok(Object::Binding(name)),
        "promotionpolicy" | "promotionpolicies" | "ppol" => return Ok(Object::Policy(name)),
        "promotion" | "promotions" | "promo" => return Ok(Object::Promotion(name)),
        _ => {}
    }
    Err(Failure(format!(
        "{words:?} has no plan to approve: write accessbinding/NAME, promotionpolicy/NAME or promotion/NAME"
    )))
}

async fn fresh(
    args: &ApproveArgs,
    place: &super::scope::Place,
    name: &str,
) -> Result<(AccessBinding, Difference), Failure> {
    let progress = Progress::start();
    let namespaces = BTreeSet::from([place.namespace.clone()]);
    let reading = args.scope.read(place, namespaces, &progress).await?;
    let binding = reading.listing.binding(&place.namespace, name).ok_or_else(|| {
        Failure(format!(
            "there is no AccessBinding {name} in namespace {}: name another with -n",
            place.namespace
        ))
    })?;
    let mut plans = differences(&reading, vec![(binding.clone(), true)], &progress).await;
    let plan = plans
        .pop()
        .ok_or_else(|| Failure("the plan could not be made".into()))?;
    Ok(((*binding).clone(), plan))
}

/// The digest that is approved: both plans agree on it, or the caller named it.
fn choose(args: &ApproveArgs, binding: &AccessBinding, plan: &Difference) -> Result<String, Failure> {
    let shown = binding
        .status
        .as_ref()
        .and_then(|status| status.plan.as_ref())
        .map(|plan| plan.digest.as_str());
    let fresh = plan.to_approve().map(|digest| digest.0.as_str());
    if let Some(named) = &args.digest {
        return if fresh == Some(named) || shown == Some(named) {
            Ok(named.clone())
        } else {
            Err(Failure(format!(
                "{named} is neither the fresh plan ({}) nor the one in the object's status ({})",
                fresh.unwrap_or("nothing to approve"),
                shown.unwrap_or("none")
            )))
        };
    }
    match (fresh, shown) {
        // A plan that waits for connections stands in no status; the condition names its digest.
        (Some(fresh), None) if plan.abandon.is_some() => Ok(fresh.to_owned()),
        (Some(fresh), Some(shown)) if fresh == shown => Ok(fresh.to_owned()),
        (Some(fresh), shown) => Err(Failure(format!(
            "the plan above is {fresh}, but the object's status says {}: the world or the object changed in between. \
             Wait for the operator's next pass, or name the one you mean with --digest",
            shown.unwrap_or("nothing waits")
        ))),
        (None, Some(shown)) => Err(Failure(match plan.problems.first() {
            Some(problem) => format!(
                "the plan could not be made here ({}: {}). The object's status asks for {shown}: look at its \
                 status.plan, and name it with --digest if you mean it",
                problem.label, problem.message
            ),
            None => format!(
                "the object's status asks for {shown}, but the plan made now holds nothing back: \
                 name it with --digest if you mean it all the same"
            ),
        })),
        (None, None) => Err(Failure(
            "nothing waits for an approval: no brake holds anything back".into(),
        )),
    }
}

/// What came of the approval, as far as it can be seen in a short time.
async fn became(given: &Given, plan: &Difference) -> String {
    if let Some(entry) = given.used().await {
        return format!("used: record entry {entry}");
    }
    let blocked = given
        .approver()
        .binding(&plan.namespace, &plan.name)
        .await
        .and_then(|binding| binding.status)
        .and_then(|status| {
            let found = status
                .conditions
                .into_iter()
                .find(|said| ConditionType::Blocked.is(&said.type_));
            found.filter(|said| said.status == "True")
        });
    match blocked {
        Some(said) => format!("not used yet: {} ({})", said.message, said.reason),
        None => "not used yet: the operator takes it up in its next pass".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_as_kubectl_names_it() {
        for words in [
            "accessbinding/b",
            "accessbindings/b",
            "AccessBinding/b",
            "accessbindings.lockstep.dev/b",
            "abind/b",
            "b",
        ] {
            assert_eq!(object(words).ok(), Some(Object::Binding("b")), "{words}");
        }
        assert_eq!(object("promotionpolicy/b").ok(), Some(Object::Policy("b")));
        assert_eq!(object("promo/b").ok(), Some(Object::Promotion("b")));
        assert!(object("pod/b").is_err());
        assert!(object("accessbinding/").is_err());
    }
}
