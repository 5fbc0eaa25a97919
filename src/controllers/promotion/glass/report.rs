//! Status, events and when to look again.

use std::time::Duration;

use jiff::Timestamp;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::{Promotion, REQUESTED_AT};
use lockstep_core::domain::outcome::{Saying, conditions};
use lockstep_core::domain::ports::Note;
use lockstep_core::domain::promotion::gate::break_glass::AfterReview;
use serde_json::{Value, json};

use super::super::super::{Context, Next};
use super::super::key;
use super::apply::Outcome;
use super::gather::Gathered;
use super::plan::Planned;

/// Writes status and says when to come back.
pub(super) async fn report(
    promotion: &Promotion,
    gathered: &Gathered,
    outcome: Outcome,
    context: &Context,
) -> Next {
    let Outcome { planned, error } = outcome;
    if let Some(error) = error {
        tracing::warn!(%error, "what was decided could not be written");
        return Next::Backoff;
    }
    let now = context.clock.now();
    let sayings = sayings(&planned);
    note(promotion, &sayings, context).await;
    let status = status(promotion, gathered, &planned, &sayings, now);
    if let Err(error) = context.cluster.write_status(&key(promotion), status).await {
        tracing::warn!(%error, "status could not be written");
        return Next::Backoff;
    }
    match planned.review {
        Some(AfterReview::Due(due)) => {
            Next::After(Duration::try_from(due.duration_since(now)).unwrap_or_default())
        }
        // Approvals, and the promotion that is lifted, wake it.
        _ => Next::AwaitChange,
    }
}

fn sayings(planned: &Planned) -> Vec<Saying> {
    let (reason, message) = &planned.said;
    let ready = planned.phase == PromotionPhase::Succeeded;
    let mut sayings = vec![Saying::new(ConditionType::Ready, ready, *reason, message.clone())];
    if planned.stalled {
        sayings.push(Saying::new(
            ConditionType::Stalled,
            true,
            *reason,
            message.clone(),
        ));
    } else if planned.glass.ended.is_none() {
        sayings.push(Saying::new(
            ConditionType::Reconciling,
            true,
            *reason,
            message.clone(),
        ));
    }
    sayings.extend(planned.review.as_ref().map(|review| {
        let saying = |done, reason, message| Saying::new(ConditionType::Reviewed, done, reason, message);
        match review {
            AfterReview::Done(by) => saying(
                true,
                Reason::Succeeded,
                format!("{} has looked at it", by.approver),
            ),
            AfterReview::Due(due) => saying(
                false,
                Reason::AfterReviewDue,
                format!("a third person must look at it until {due}"),
            ),
            AfterReview::Overdue(due) => {
                let message = format!("a third person should have looked at it until {due}, and nobody has");
                saying(false, Reason::AfterReviewOverdue, message)
            }
        }
    }));
    sayings
}

fn status(
    promotion: &Promotion,
    gathered: &Gathered,
    planned: &Planned,
    sayings: &[Saying],
    now: Timestamp,
) -> Value {
    let before = promotion.status.clone().unwrap_or_default();
    let generation = promotion.metadata.generation;
    let annotations = promotion.metadata.annotations.as_ref();
    let target = gathered.target.as_ref();
    let deploy = target.and_then(|target| target.spec.deploy.as_ref());
    let started = target.and_then(|target| target.status.as_ref()?.started_at);
    let due = match planned.review {
        Some(AfterReview::Due(due)) => Some(due),
        _ => None,
    };
    let mut fields = json!({
        "observedGeneration": generation,
        "conditions": conditions(sayings, &before.conditions, generation, now),
        "lastHandledRequest": annotations.and_then(|all| all.get(REQUESTED_AT)),
        "phase": planned.phase,
        "environment": promotion.spec.environment,
        "change": deploy.map(|deploy| deploy.change).or(before.change),
        "revision": deploy.map(|deploy| deploy.deployed().to_owned()).or(before.revision.clone()),
        "plans": planned.pending.as_ref().map(|plan| vec![plan]),
        "startedAt": planned.glass.lifted_at.and(started.or(before.started_at)),
        "endedAt": planned.glass.ended_at,
        "nextAction": due,
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    fields
}

/// People are told when it begins to say something else.
async fn note(promotion: &Promotion, sayings: &[Saying], context: &Context) {
    let before = promotion
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    for said in sayings {
        if !matches!(said.kind, ConditionType::Ready | ConditionType::Reviewed) {
            continue;
        }
        let known = before
            .unwrap_or_default()
            .iter()
            .find(|old| said.kind.is(&old.type_));
        if said.reason == Reason::Progressing || known.is_some_and(|known| said.reason.is(&known.reason)) {
            continue;
        }
        let calm = matches!(
            said.reason,
            Reason::Waiting | Reason::Running | Reason::AwaitingApproval | Reason::AfterReviewDue
        );
        let note = Note {
            reason: said.reason,
            message: said.message.clone(),
            warning: said.status != Some(true) && !calm,
        };
        context.cluster.note(&key(promotion), note).await;
    }
}
