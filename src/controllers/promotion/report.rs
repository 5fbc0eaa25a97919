//! Status, the words on the change in Gerrit, and when to come back.

mod rows;
mod telling;

use std::time::Duration;

use jiff::Timestamp;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::promotion::{Deploy, PromotionPhase};
use lockstep_core::api::{Promotion, REQUESTED_AT};
use lockstep_core::domain::outcome::{Saying, conditions};
use lockstep_core::domain::ports::{ErrorClass, Note};
use lockstep_core::domain::promotion::gate::finding::Verdict;
use lockstep_core::domain::promotion::machine::kept;
use lockstep_core::domain::promotion::machine::state::{End, Phase, Step, StepState};
use serde_json::{Value, json};

use super::super::promotion_policy::reading;
use super::super::{Context, Next};
use super::apply::Outcome;
use super::gather::Gathered;
use super::{Judged, key, plan};

/// How soon what goes on outside is looked at again: what has just begun often ends at once, and what has gone on for
/// long goes on a little longer.
const SOON: Duration = Duration::from_millis(250);
const LOOK: Duration = Duration::from_secs(2);
/// How soon a verdict is asked for again that waits for no known time: the policy wakes it when anything moves.
const WAIT: Duration = Duration::from_mins(10);

/// Writes status and says on the change how it ended, and when to come back.
pub async fn report(
    promotion: &Promotion,
    gathered: &Gathered,
    mut outcome: Outcome,
    context: &Context,
) -> Next {
    let now = context.clock.now();
    let judged = gathered.judged.as_ref().and_then(|judged| judged.as_ref().ok());
    let mut told = Ok(());
    if let Some(kept) = &mut outcome.kept
        && kept.promotion.ended().is_some()
        && !kept.told
        && outcome.error.is_none()
    {
        told = telling::tell(kept, outcome.course.as_ref(), gathered, judged, context).await;
        if told.is_ok() {
            kept.told = true;
            let status = kept::write(kept, outcome.course.as_ref());
            if let Err(error) = context.objects.keep(&key(promotion), status).await {
                outcome.error = Some(error.to_string());
            }
        }
    }
    // No gate judges a way back; who gives the turn goes by this all the same.
    let on_way_back = plan::verdict_on_way_back(gathered, now);
    let verdict = judged.map(|judged| &judged.verdict).or(on_way_back.as_ref());
    let (reason, message, ready) = said(gathered, &outcome, verdict);
    let mut sayings = vec![Saying::new(ConditionType::Ready, ready, reason, message.clone())];
    let ends = outcome
        .kept
        .as_ref()
        .is_some_and(|kept| kept.promotion.ended().is_some());
    if outcome.stuck.is_some() && reason != Reason::DependencyNotReady && reason != Reason::Progressing {
        sayings.push(Saying::new(ConditionType::Stalled, true, reason, message.clone()));
    } else if !ends {
        sayings.push(Saying::new(
            ConditionType::Reconciling,
            true,
            reason,
            message.clone(),
        ));
    }
    let mut status = status(promotion, &outcome, judged, verdict, &sayings, now);
    if plan::has_no_way(promotion, gathered) {
        // It must not get the turn by what was known of it before.
        status["verdict"] = json!({"passes": false});
    }
    note(promotion, reason, &message, ready, context).await;
    if let Err(error) = context.cluster.write_status(&key(promotion), status).await {
        tracing::warn!(%error, "status could not be written");
        return Next::Backoff;
    }
    if let Err(error) = told {
        tracing::warn!(%error, "the change could not be told");
        return match error.class() {
            ErrorClass::RetrySoon => Next::Backoff,
            ErrorClass::RetryAt(at) => after(at, now),
            ErrorClass::WaitForChange | ErrorClass::WaitSlow => Next::After(Duration::from_mins(5)),
        };
    }
    next(gathered, &outcome, verdict, now)
}

fn after(at: Timestamp, now: Timestamp) -> Next {
    Next::After(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::from_millis(200)))
}

fn next(gathered: &Gathered, outcome: &Outcome, verdict: Option<&Verdict>, now: Timestamp) -> Next {
    if outcome.error.is_some() {
        return Next::Backoff;
    }
    let Some(kept) = &outcome.kept else {
        return Next::AwaitChange;
    };
    match (&kept.promotion.phase, &gathered.judged) {
        (Phase::Ended(_), _) => Next::AwaitChange,
        (Phase::Running | Phase::Undoing(_), _) => {
            let look = look(&kept.promotion.steps, now);
            match outcome.again {
                Some(at) if at < now + look => after(at, now),
                _ => Next::After(look),
            }
        }
        (Phase::Waiting, Some(Err(error))) => match error.class() {
            ErrorClass::RetrySoon => Next::Backoff,
            ErrorClass::RetryAt(at) => after(at, now),
            ErrorClass::WaitForChange | ErrorClass::WaitSlow => Next::After(WAIT),
        },
        // What Gerrit may list late is asked for again soon.
        (Phase::Waiting, None) if gathered.late => Next::After(LOOK),
        // Whose turn it is, and what is upstream, is the policy's to say; only a clock needs watching here.
        (Phase::Waiting, _) => match verdict.and_then(Verdict::again) {
            Some(at) if at < now + WAIT => after(at, now),
            _ => Next::After(WAIT),
        },
    }
}

/// As long again as the step has gone on by now.
fn look(steps: &[Step], now: Timestamp) -> Duration {
    let since = steps.iter().rev().find_map(|step| match &step.state {
        StepState::Acting { sent, .. } => *sent,
        StepState::Undoing { since, .. } => *since,
        _ => None,
    });
    let gone = since.and_then(|since| Duration::try_from(now.duration_since(since)).ok());
    gone.unwrap_or(LOOK).clamp(SOON, LOOK)
}

/// What the promotion is at, in one line.
fn said(gathered: &Gathered, outcome: &Outcome, verdict: Option<&Verdict>) -> (Reason, String, bool) {
    if let Some((reason, message)) = &outcome.stuck {
        return (*reason, message.clone(), false);
    }
    let Some(kept) = &outcome.kept else {
        return (Reason::Progressing, String::new(), false);
    };
    if let Some(error) = &outcome.error {
        return (Reason::Progressing, format!("it goes on soon: {error}"), false);
    }
    let findings = || {
        let findings = verdict
            .map(|verdict| verdict.findings.as_slice())
            .unwrap_or_default();
        let reason = findings
            .first()
            .map_or(Reason::Waiting, |first| rows::reason(first.kind));
        let all: Vec<String> = findings.iter().map(ToString::to_string).collect();
        (reason, all.join("; "))
    };
    match &kept.promotion.phase {
        Phase::Waiting => match (&gathered.judged, &gathered.problem) {
            (Some(Err(error)), _) => (error.reason(), format!("it could not be judged: {error}"), false),
            (None, Some((reason, message))) => (*reason, message.clone(), false),
            (Some(Ok(_)), _) if verdict.is_some_and(Verdict::passes) => {
                if let Some(why) = conflict(gathered) {
                    return (
                        Reason::ClaimedByAnother,
                        format!("it passes the gate; {why}"),
                        false,
                    );
                }
                let held = gathered.environment.held.as_ref();
                let why = held.map_or_else(
                    || "it passes the gate and waits for its turn".to_owned(),
                    |held| format!("it passes the gate; the environment is held: {}", held.reason),
                );
                (held.map_or(Reason::Waiting, |_| Reason::Held), why, false)
            }
            (None, None) if verdict.is_some_and(Verdict::passes) => {
                let message = "the record shows the way, and it waits for its turn".to_owned();
                (Reason::Waiting, message, false)
            }
            _ => {
                let (reason, message) = findings();
                (reason, message, false)
            }
        },
        Phase::Running => (Reason::Running, rows::where_it_is(&kept.promotion), false),
        Phase::Undoing(why) => (Reason::Undoing, format!("it goes back: {}", why.message), false),
        Phase::Ended(End::Succeeded) => (Reason::Succeeded, String::new(), true),
        Phase::Ended(End::Failed { why, left }) => {
            let left: Vec<String> = left.iter().map(|(step, why)| format!("{step}: {why}")).collect();
            let what = if left.is_empty() {
                "everything was undone".to_owned()
            } else {
                format!("still in place: {}", left.join("; "))
            };
            (rows::failure(why.kind), format!("{}; {what}", why.message), false)
        }
        Phase::Ended(End::Refused) => {
            let (reason, message) = findings();
            let reason = if message.is_empty() {
                Reason::Refused
            } else {
                reason
            };
            (reason, message, false)
        }
        Phase::Ended(End::Superseded(by)) => (Reason::Superseded, format!("{by} takes its place"), true),
        Phase::Ended(End::Cancelled) => (
            Reason::Cancelled,
            "a person cancelled it before it began".into(),
            true,
        ),
    }
}

/// Why nothing begins in its environment: another policy has what it moves.
fn conflict(gathered: &Gathered) -> Option<String> {
    let environment = &gathered.declared.as_ref()?.environment;
    let row = reading::row(gathered.policy.as_deref()?, environment.name())?;
    row.conflict.clone()
}

fn status(
    promotion: &Promotion,
    outcome: &Outcome,
    judged: Option<&Judged>,
    verdict: Option<&Verdict>,
    sayings: &[Saying],
    now: Timestamp,
) -> Value {
    let before = promotion.status.clone().unwrap_or_default();
    let generation = promotion.metadata.generation;
    let request = promotion
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(REQUESTED_AT));
    let kept = outcome.kept.as_ref();
    let phase = kept.map(|kept| rows::phase(&kept.promotion.phase));
    let deploy = promotion.spec.deploy.as_ref();
    let mut fields = json!({
        "observedGeneration": generation,
        "conditions": conditions(sayings, &before.conditions, generation, now),
        "lastHandledRequest": request,
        "phase": phase.or(before.phase).unwrap_or(PromotionPhase::Waiting),
        "environment": promotion.spec.environment,
        "change": deploy.map(|deploy| deploy.change),
        "revision": deploy.map(Deploy::deployed),
        "steps": kept.map(|kept| rows::steps(kept, outcome.course.as_ref())),
        "startedAt": kept.and_then(|kept| kept.started),
        "endedAt": kept.and_then(|kept| kept.ended),
        // A verdict that was reached stays beside what became of the promotion.
        "verdict": verdict.map_or_else(|| json!(before.verdict), |verdict| json!(rows::verdict(verdict))),
        "range": judged.map_or_else(|| json!(before.range), |judged| json!(rows::range(&judged.range))),
        "evidence": judged.map_or_else(|| json!(before.evidence), |judged| json!(rows::evidence(&judged.evidence))),
        "rules": judged.map_or_else(|| json!(before.rules), |judged| json!(judged.rules)),
        "judgedAt": before.judged_at.or_else(|| verdict.map(|_| now)),
        "nextAction": verdict.and_then(Verdict::again),
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && !value.as_array().is_some_and(Vec::is_empty));
    }
    fields
}

/// People are told when it begins to say something else.
async fn note(promotion: &Promotion, reason: Reason, message: &str, good: bool, context: &Context) {
    let before = promotion
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    let ready = |said: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        ConditionType::Ready.is(&said.type_)
    };
    let known = before.unwrap_or_default().iter().find(ready);
    if known.is_some_and(|known| reason.is(&known.reason)) || reason == Reason::Progressing {
        return;
    }
    let calm = good || matches!(reason, Reason::Waiting | Reason::Running);
    let note = Note {
        reason,
        message: message.to_owned(),
        warning: !calm,
    };
    context.cluster.note(&key(promotion), note).await;
}
