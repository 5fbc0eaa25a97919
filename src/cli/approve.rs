//! `lockstep approve`: shows the plan, asks, and says yes to exactly that.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::plan_approval::{PlanApprovalSpec, PlanRef};
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{AccessBinding, text};
use lockstep_core::domain::defaults::LONGEST_APPROVAL_DAYS;
use lockstep_core::domain::ports::Cluster as _;

use super::output::{clean, paint, show, style};
use super::plan::differences;
use super::plan_view;
use super::progress::Progress;
use super::scope::Scope;
use super::{Failure, Outcome, block_on};
use crate::queries::difference::Difference;
use crate::runtime::Approver;

/// How often it is looked whether the approval was used.
const LOOK: Duration = Duration::from_millis(500);

/// Approve what a brake holds back: exactly the plan that is shown, under your own name
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep approve accessbinding/fraud-engineers -n ml-fraud
  lockstep approve accessbinding/fraud-engineers -n ml-fraud --reason 'team moved' --expires 2h --yes

The plan is made anew and compared with the one in the object's status. If they differ, look at both and name
the one you mean with --digest. An approval is used once, and only for that digest.

Exit codes:
  0   approved; the last line says whether it has been used
  1   refused, not confirmed, or nothing to approve
  64  the command line is not understood")]
pub(super) struct ApproveArgs {
    /// What to approve: accessbinding/NAME
    #[arg(value_name = "KIND/NAME")]
    object: String,
    /// Why, for the record
    #[arg(long)]
    reason: Option<String>,
    /// How long the approval may be used, for example 24h
    #[arg(long, default_value = "24h")]
    expires: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// The digest you mean, where the fresh plan is not the one in the object's status
    #[arg(long, value_name = "SHA")]
    digest: Option<String>,
    /// Seconds to wait for the operator to use it
    #[arg(long, default_value_t = 15, value_name = "SECONDS")]
    wait: u64,
    #[command(flatten)]
    scope: Scope,
}

pub(super) fn approve(args: ApproveArgs) -> Result<Outcome, Failure> {
    block_on(async move {
        let name = name(&args.object)?;
        let lasts = lasts(&args.expires)?;
        let place = args.scope.connect().await?;
        let (binding, plan) = fresh(&args, &place, name).await?;
        show(&plan_view::block(&plan))?;
        let digest = choose(&args, &binding, &plan)?;
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
        let reason = confirm(&args)?;
        let approver = Approver::find(place.client).await?;
        let spec = PlanApprovalSpec {
            plan_ref: PlanRef {
                kind: "AccessBinding".into(),
                namespace: plan.namespace.clone(),
                name: plan.name.clone(),
                uid: plan.uid.clone(),
            },
            digest,
            approver: approver.name.clone(),
            reason,
            expires: Some(ends(lasts)?),
        };
        let approval = approver.approve(spec).await?;
        let made = approval.name_any();
        show(&format!(
            "PlanApproval {}/{made} created, as {}\n",
            plan.namespace,
            clean(&approver.name)
        ))?;
        show(&format!(
            "{}\n",
            clean(&became(&args, &approver, &plan, &made).await)
        ))?;
        Ok(Outcome::Done)
    })
}

fn name(object: &str) -> Result<&str, Failure> {
    let (kind, name) = object.split_once('/').unwrap_or(("accessbinding", object));
    let known = [
        "accessbinding",
        "accessbindings",
        "accessbindings.lockstep.dev",
        "abind",
    ];
    if known.contains(&kind.to_lowercase().as_str()) && !name.is_empty() {
        Ok(name)
    } else {
        Err(Failure(format!(
            "{object:?} has no plan to approve: write accessbinding/NAME"
        )))
    }
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

fn confirm(args: &ApproveArgs) -> Result<String, Failure> {
    let asks = std::io::stdin().is_terminal();
    if !asks && !args.yes {
        return Err(Failure(
            "nobody can be asked here: pass --yes after looking at the plan".into(),
        ));
    }
    let reason = match &args.reason {
        Some(reason) => reason.clone(),
        None if asks => ask("Why? (for the record) ")?,
        None => return Err(Failure("--reason must say why, for the record".into())),
    };
    if reason.trim().is_empty() {
        return Err(Failure("without a reason nothing is approved".into()));
    }
    if !args.yes
        && !matches!(
            ask("Approve exactly this? [y/N] ")?.to_lowercase().as_str(),
            "y" | "yes"
        )
    {
        return Err(Failure("not approved".into()));
    }
    Ok(reason.trim().to_owned())
}

fn ask(question: &str) -> Result<String, Failure> {
    let mut stderr = anstream::stderr();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn lasts(expires: &str) -> Result<u64, Failure> {
    let lasts = text::Duration(expires.to_owned())
        .seconds()
        .map_err(|why| Failure(format!("--expires: {why}")))?;
    if lasts > LONGEST_APPROVAL_DAYS.unsigned_abs() * 86_400 {
        return Err(Failure(format!(
            "--expires: no approval counts for longer than {LONGEST_APPROVAL_DAYS} days"
        )));
    }
    Ok(lasts)
}

fn ends(lasts: u64) -> Result<Timestamp, Failure> {
    let lasts = i64::try_from(lasts).unwrap_or(i64::MAX);
    let ends = Timestamp::now().checked_add(SignedDuration::from_secs(lasts))?;
    // Kubernetes keeps whole seconds.
    Ok(Timestamp::from_second(ends.as_second())?)
}

/// What came of the approval, as far as it can be seen in a short time.
async fn became(args: &ApproveArgs, approver: &Approver, plan: &Difference, made: &str) -> String {
    let progress = Progress::start();
    progress.say("waiting for the operator to use it");
    let until = tokio::time::Instant::now() + Duration::from_secs(args.wait);
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        let used = approver
            .look(&plan.namespace, made)
            .await
            .and_then(|approval| approval.status)
            .filter(|status| status.used_at.is_some());
        if let Some(status) = used {
            return format!("used: record entry {}", status.used_by.unwrap_or_default());
        }
        if tokio::time::Instant::now() >= until {
            break;
        }
    }
    let blocked = approver
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
            "abind/b",
            "b",
        ] {
            assert!(name(words).is_ok_and(|name| name == "b"), "{words}");
        }
        assert!(name("pod/b").is_err());
        assert!(name("accessbinding/").is_err());
    }
    #[test]
    fn nobody_approves_for_longer_than_an_approval_counts() {
        assert!(lasts("30d").is_ok());
        assert!(lasts("31d").is_err_and(|why| why.0.contains("30 days")));
    }
}
