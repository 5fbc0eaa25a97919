//! Status, events and when to look again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::promotion_policy::{EnvironmentStatus, PendingPlan, PlanSubject};
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{PromotionPolicy, REQUESTED_AT};
use lockstep_core::domain::defaults;
use lockstep_core::domain::outcome::{Saying, conditions, most_urgent};
use lockstep_core::domain::ports::{ErrorClass, KeepError, Note, SystemError};
use serde_json::{Map, Value, json};

use super::super::{Context, Next};
use super::approvals::Ask;
use super::aside::Told;
use super::gather::Gathered;
use super::plan::{Conflicts, Planned};
use super::{key, reading};

/// A suspended policy is only said to be so.
pub async fn suspended(policy: &PromotionPolicy, context: &Context, now: Timestamp) -> Next {
    let said = [Saying::new(
        ConditionType::Ready,
        false,
        Reason::Suspended,
        "spec.suspend is true: nothing is read, judged or begun",
    )];
    match write(policy, &said, &[], Map::new(), context, now).await {
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
    let mut plans: Vec<PendingPlan> = planned.asks.iter().filter_map(Ask::pending).collect();
    plans.extend(told.plans.iter().cloned());
    let fields = told.fields.clone();
    let wrote = told.wrote;
    told.add_to(&mut sayings);
    note(policy, &sayings, context).await;
    name_strangers(policy, planned, context).await;
    if let Err(error) = write(policy, &sayings, &plans, fields, context, now).await {
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
    if !gathered.lacks.is_empty() && !wrote {
        // Made by people, if anybody; whoever tells us of it wakes us.
        return Next::After(Duration::from_mins(1));
    }
    match most_urgent(gathered.errors.iter().map(SystemError::class)) {
        None => Next::After(rest(poll, now.duration_since(gathered.begun))),
        Some(ErrorClass::RetrySoon) => Next::Backoff,
        Some(ErrorClass::RetryAt(at)) => {
            Next::After(Duration::try_from(at.duration_since(now)).unwrap_or(poll))
        }
        // Groups of its gate that bindings applied with it are only about to make.
        Some(ErrorClass::WaitForChange) if !was_followed(policy) => Next::Backoff,
        Some(ErrorClass::WaitForChange | ErrorClass::WaitSlow) => Next::After(Duration::from_mins(1)),
    }
}

/// What is left of a poll after a pass; at least half of it, so that a slow system is not asked all the time.
fn rest(poll: Duration, taken: SignedDuration) -> Duration {
    let taken = Duration::try_from(taken).unwrap_or_default();
    poll.saturating_sub(taken).max(poll / 2)
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
    } else if !planned.conflicts.lost.is_empty() {
        not_ready(Reason::ClaimedByAnother, planned.conflicts.lost.join("; "), true)
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
    let Conflicts { lost, kept } = &planned.conflicts;
    let all: Vec<&str> = lost.iter().chain(kept).map(String::as_str).collect();
    if !all.is_empty() {
        let reason = Reason::ClaimedByAnother;
        said.push(Saying::new(ConditionType::Conflict, true, reason, all.join("; ")));
    }
    said.extend(blocked(policy, planned));
    said
}

/// What waits for people.
fn blocked(policy: &PromotionPolicy, planned: &Planned) -> Option<Saying> {
    let me = key(policy);
    // What is only reported blocks nothing.
    let held = |ask: &&Ask| {
        let of = |row: &&EnvironmentStatus| ask.environment.as_ref() == Some(&row.name);
        let row = planned.environments.iter().find(of);
        ask.subject != PlanSubject::Runs || row.is_some_and(|row| row.held.is_some())
    };
    let asked = planned.asks.iter().filter(held);
    let asked = asked.filter_map(|ask| Some((ask.reason(), ask.sentence(&me)?)));
    // What fails in this pass is asked for from the next one on.
    let begun = planned.environments.iter().filter(|row| {
        let known = |ask: &Ask| ask.environment.as_ref() == Some(&row.name);
        row.held.is_some() && !planned.asks.iter().any(known)
    });
    let begun = begun.filter_map(|row| {
        let reason = &row.held.as_ref()?.reason;
        Some((
            Reason::Held,
            format!("environment {} is held: {reason}", row.name),
        ))
    });
    let all: Vec<(Reason, String)> = begun.chain(asked).collect();
    let reason = all.first()?.0;
    let all: Vec<String> = all.into_iter().map(|(_, message)| message).collect();
    Some(Saying::new(ConditionType::Blocked, true, reason, all.join("; ")))
}

async fn write(
    policy: &PromotionPolicy,
    sayings: &[Saying],
    plans: &[PendingPlan],
    fields: Map<String, Value>,
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
        status.extend(fields);
        status.retain(|_, value| !value.is_null());
    }
    context.cluster.write_status(&key(policy), status).await
}

/// People are told of what nobody explains, whether it holds anything or not.
async fn name_strangers(policy: &PromotionPolicy, planned: &Planned, context: &Context) {
    let status = policy.status.as_ref();
    let shown =
        |digest: &str| status.is_some_and(|status| status.plans.iter().any(|plan| plan.digest == digest));
    for ask in &planned.asks {
        let waits = ask.subject == PlanSubject::Runs && ask.approval.is_err();
        if waits && !shown(&ask.digest.0) {
            let note = Note {
                reason: Reason::Unexplained,
                message: ask.message.clone(),
                warning: true,
            };
            context.cluster.note(&key(policy), note).await;
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_part_of_the_poll_and_a_slow_one_leaves_a_pause() {
        let rest = |taken| rest(Duration::from_secs(2), SignedDuration::from_millis(taken)).as_millis();
        assert_eq!([0, 300, 1_000, 9_000].map(rest), [2_000, 1_700, 1_000, 1_000]);
        assert_eq!(rest(-500), 2_000, "a clock that went back");
    }
}
