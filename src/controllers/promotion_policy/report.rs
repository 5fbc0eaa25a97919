//! Status, events and when to look again.

use std::time::Duration;

use jiff::Timestamp;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::promotion_policy::PendingPlan;
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{PromotionPolicy, REQUESTED_AT};
use lockstep_core::domain::defaults;
use lockstep_core::domain::outcome::{Saying, conditions, most_urgent};
use lockstep_core::domain::ports::{ErrorClass, KeepError, Note, SystemError};
use serde_json::json;

use super::super::{Context, Next};
use super::aside::Told;
use super::gather::Gathered;
use super::holds::Resumption;
use super::plan::{Planned, moved_baselines};
use super::{key, reading};

/// A suspended policy is only said to be so.
pub async fn suspended(policy: &PromotionPolicy, context: &Context, now: Timestamp) -> Next {
    let said = [Saying::new(
        ConditionType::Ready,
        false,
        Reason::Suspended,
        "spec.suspend is true: nothing is read, judged or begun",
    )];
    match write(policy, &said, &[], context, now).await {
        Ok(()) => Next::AwaitChange,
        Err(error) => {
            tracing::warn!(%error, "status could not be written");
            Next::Backoff
        }
    }
}

/// Writes status and says when to come back.
pub async fn report(
    policy: &PromotionPolicy,
    gathered: &Gathered,
    planned: &Planned,
    told: Told,
    applied: Result<(), KeepError>,
    context: &Context,
) -> Next {
    let now = context.clock.now();
    let mut sayings = sayings(policy, gathered, planned);
    let mut plans: Vec<PendingPlan> = planned.holds.iter().filter_map(Resumption::pending).collect();
    plans.extend(told.plans.iter().cloned());
    told.add_to(&mut sayings);
    note(policy, &sayings, context).await;
    if let Err(error) = write(policy, &sayings, &plans, context, now).await {
        tracing::warn!(%error, "status could not be written");
        return Next::Backoff;
    }
    if let Err(error) = applied {
        tracing::warn!(%error, "what was decided could not be written");
        return Next::Backoff;
    }
    if planned.more {
        return Next::After(Duration::from_millis(50));
    }
    let Ok(read) = &gathered.policy else {
        return Next::AwaitChange;
    };
    if gathered
        .environments
        .iter()
        .all(|environment| environment.declared.is_err())
    {
        return Next::AwaitChange;
    }
    let poll = reading::poll(&*context.cluster, &read.gerrit);
    let poll = Duration::try_from(poll).unwrap_or(Duration::from_secs(5));
    match most_urgent(gathered.errors.iter().map(SystemError::class)) {
        None => Next::After(poll),
        Some(ErrorClass::RetrySoon) => Next::Backoff,
        Some(ErrorClass::RetryAt(at)) => {
            Next::After(Duration::try_from(at.duration_since(now)).unwrap_or(poll))
        }
        // Groups of its gate that bindings applied with it are only about to make.
        Some(ErrorClass::WaitForChange) if !was_followed(policy) => Next::Backoff,
        Some(ErrorClass::WaitForChange | ErrorClass::WaitSlow) => Next::After(Duration::from_mins(1)),
    }
}

/// Whether the names of its gate ever meant something.
fn was_followed(policy: &PromotionPolicy) -> bool {
    policy.status.as_ref().is_some_and(|status| status.gate.is_some())
}

fn sayings(policy: &PromotionPolicy, gathered: &Gathered, planned: &Planned) -> Vec<Saying> {
    let not_ready = |reason: Reason, message: String, stalled: bool| {
        let mut said = vec![Saying::new(ConditionType::Ready, false, reason, message.clone())];
        if stalled {
            said.push(Saying::new(ConditionType::Stalled, true, reason, message));
        } else {
            said.push(Saying::new(ConditionType::Reconciling, true, reason, message));
        }
        said
    };
    if let Err((reason, message)) = &gathered.policy {
        return not_ready(*reason, message.clone(), true);
    }
    let problems: Vec<(Reason, String)> = gathered
        .environments
        .iter()
        .filter_map(|environment| {
            let (reason, message) = environment.declared.as_ref().err()?;
            Some((*reason, format!("environment {}: {message}", environment.name)))
        })
        .collect();
    let mut said = if let Some((reason, _)) = problems.first() {
        let all: Vec<String> = problems.iter().map(|(_, message)| message.clone()).collect();
        let waits = *reason == Reason::DependencyNotReady;
        not_ready(*reason, all.join("; "), !waits)
    } else if let Some(error) = gathered.errors.first() {
        let stalled = error.class() == ErrorClass::WaitForChange;
        not_ready(error.reason(), error.to_string(), stalled)
    } else if defaults::policy_mode(&policy.spec) == Mode::Observe {
        let message = "mode is Observe: changes are judged, and nothing runs";
        vec![Saying::new(
            ConditionType::Ready,
            true,
            Reason::Observing,
            message,
        )]
    } else {
        vec![Saying::new(ConditionType::Ready, true, Reason::Succeeded, "")]
    };
    let held: Vec<String> = planned
        .environments
        .iter()
        .filter_map(|row| Some(format!("environment {}: {}", row.name, row.held.as_ref()?.reason)))
        .collect();
    let moved = moved_baselines(gathered);
    if !held.is_empty() {
        let message = format!(
            "{}; a PlanApproval of the plan in status.plans ends it",
            held.join("; ")
        );
        said.push(Saying::new(ConditionType::Blocked, true, Reason::Held, message));
    } else if !moved.is_empty() {
        said.push(Saying::new(
            ConditionType::Blocked,
            true,
            Reason::BaselineMoved,
            moved.join("; "),
        ));
    }
    said
}

async fn write(
    policy: &PromotionPolicy,
    sayings: &[Saying],
    plans: &[PendingPlan],
    context: &Context,
    now: Timestamp,
) -> Result<(), KeepError> {
    let previous = policy.status.as_ref().map(|status| status.conditions.clone());
    let generation = policy.metadata.generation;
    let annotations = policy.metadata.annotations.as_ref();
    let mut status = json!({
        "observedGeneration": generation,
        "conditions": conditions(sayings, &previous.unwrap_or_default(), generation, now),
        "plans": (!plans.is_empty()).then_some(plans),
        "lastHandledRequest": annotations.and_then(|all| all.get(REQUESTED_AT)),
    });
    if let Some(status) = status.as_object_mut() {
        status.retain(|_, value| !value.is_null());
    }
    context.cluster.write_status(&key(policy), status).await
}

/// People are told when something begins to stand in the way.
async fn note(policy: &PromotionPolicy, sayings: &[Saying], context: &Context) {
    let before = policy
        .status
        .as_ref()
        .map(|status| status.conditions.clone())
        .unwrap_or_default();
    for said in sayings {
        let bad = matches!(said.kind, ConditionType::Blocked | ConditionType::Stalled);
        let known = before.iter().any(|old| {
            said.kind.is(&old.type_) && said.reason.is(&old.reason) && old.message == said.message
        });
        if bad && said.status == Some(true) && !known {
            let note = Note {
                reason: said.reason,
                message: said.message.clone(),
                warning: true,
            };
            context.cluster.note(&key(policy), note).await;
        }
    }
}
