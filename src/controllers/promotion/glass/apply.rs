//! Uses the approvals that count, once, and writes down what they lifted before anything goes on because of it.

use kube::ResourceExt as _;
use lockstep_core::api::promotion::ApprovalRow;
use lockstep_core::api::{PlanApproval, Promotion};
use lockstep_core::domain::plan::EffectDigest;
use lockstep_core::domain::ports::{Entry, EntryId, Event, KeepError};
use serde_json::json;

use super::super::super::Context;
use super::super::key;
use super::gather::Gathered;
use super::plan::Planned;

/// How a pass ended.
pub(super) struct Outcome {
    pub planned: Planned,
    pub error: Option<KeepError>,
}

/// Writes.
pub(super) async fn apply(
    promotion: &Promotion,
    gathered: &Gathered,
    mut planned: Planned,
    context: &Context,
) -> Outcome {
    let error = write(promotion, gathered, &mut planned, context).await.err();
    Outcome { planned, error }
}

async fn write(
    promotion: &Promotion,
    gathered: &Gathered,
    planned: &mut Planned,
    context: &Context,
) -> Result<(), KeepError> {
    let now = context.clock.now();
    let lifts = gathered.glass.lifted_at.is_none() && planned.glass.lifted_at.is_some();
    let uses = std::mem::take(&mut planned.uses);
    for (approval, digest) in &uses {
        let note = if lifts {
            format!("lifts {}", planned.what)
        } else {
            format!("has looked at what {} let happen", planned.what)
        };
        let id = context
            .record
            .append(entry(promotion, approval, digest, &note, context))
            .await?;
        let row = ApprovalRow {
            approval: approval.name_any(),
            approver: approval.spec.approver.clone(),
            at: now,
            entry: id.0,
        };
        if lifts {
            planned.glass.approvals.push(row);
        } else {
            planned.glass.reviewed = Some(row);
        }
    }
    if gathered.glass.ended != planned.glass.ended {
        context.record.append(ended(promotion, planned, context)).await?;
    }
    // Kept before it is marked: an approval is of one plan of one object, so whoever comes back can only use it here.
    context
        .objects
        .keep(&key(promotion), json!({"glass": planned.glass}))
        .await?;
    let glass = &planned.glass;
    for row in glass.approvals.iter().chain(&glass.reviewed) {
        let is_it = |approval: &&std::sync::Arc<PlanApproval>| {
            approval.name_any() == row.approval && approval.spec.approver == row.approver
        };
        let used = |approval: &PlanApproval| {
            approval
                .status
                .as_ref()
                .is_some_and(|status| status.used_at.is_some())
        };
        let unmarked = gathered
            .approvals
            .iter()
            .find(is_it)
            .filter(|approval| !used(approval));
        if let Some(approval) = unmarked {
            context
                .cluster
                .use_approval(approval, &EntryId(row.entry.clone()), row.at)
                .await?;
        }
    }
    Ok(())
}

fn entry(
    promotion: &Promotion,
    approval: &PlanApproval,
    digest: &EffectDigest,
    note: &str,
    context: &Context,
) -> Entry {
    Entry {
        time: context.clock.now(),
        actor: approval.spec.approver.clone(),
        object: key(promotion),
        event: Event::Approved,
        changes: Vec::new(),
        digest: Some(digest.clone()),
        gained: Vec::new(),
        gave_up: Vec::new(),
        promotion: None,
        credential: None,
        note: format!(
            "PlanApproval {}: {}; {note}",
            approval.name_any(),
            approval.spec.reason
        ),
    }
}

fn ended(promotion: &Promotion, planned: &Planned, context: &Context) -> Entry {
    let message = planned.glass.message.clone().unwrap_or_default();
    let due = planned.glass.review_due;
    let review = due.map(|due| format!("; a third person must look at it until {due}"));
    Entry {
        time: context.clock.now(),
        actor: context.actor.clone(),
        object: key(promotion),
        event: if planned.phase == lockstep_core::api::promotion::PromotionPhase::Succeeded {
            Event::Succeeded
        } else {
            Event::Failed
        },
        changes: Vec::new(),
        digest: None,
        gained: Vec::new(),
        gave_up: Vec::new(),
        promotion: None,
        credential: None,
        note: format!(
            "to lift {} came to {:?}: {message}{}",
            planned.what,
            planned.phase,
            review.unwrap_or_default()
        ),
    }
}
