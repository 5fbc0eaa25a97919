//! Writes to the cluster what was decided: first what must be remembered, then what rests on it.

use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::promotion_policy::RequirementRow;
use lockstep_core::domain::ports::{Entry, Event, KeepError, ObjectKey};
use serde_json::json;

use super::super::{Context, promotion};
use super::key;
use super::plan::Planned;
use super::requirements;

/// Writes.
pub async fn apply(policy: &PromotionPolicy, planned: &Planned, context: &Context) -> Result<(), KeepError> {
    let object = key(policy);
    for ask in &planned.asks {
        let Ok(approval) = &ask.approval else { continue };
        // Used before anything rests on it, so that it is used once.
        let entry = Entry {
            time: context.clock.now(),
            actor: approval.spec.approver.clone(),
            object: object.clone(),
            event: Event::Approved,
            changes: Vec::new(),
            digest: Some(ask.digest.clone()),
            gained: Vec::new(),
            gave_up: Vec::new(),
            note: format!(
                "PlanApproval {}: {}; {:?}: {}",
                approval.name_any(),
                approval.spec.reason,
                ask.subject,
                ask.message
            ),
            promotion: None,
        };
        let id = context.record.append(entry).await?;
        context
            .cluster
            .use_approval(approval, &id, context.clock.now())
            .await?;
    }
    for fact in &planned.facts {
        let entry = Entry {
            time: context.clock.now(),
            actor: context.actor.clone(),
            object: object.clone(),
            event: Event::Intent,
            changes: Vec::new(),
            digest: None,
            gained: Vec::new(),
            gave_up: Vec::new(),
            note: format!("environment {}", fact.environment),
            promotion: Some(fact.clone()),
        };
        context.record.append(entry).await?;
    }
    keep(policy, planned, &requirements::held(policy), context).await?;
    for (name, spec) in &planned.make {
        context.objects.make(policy, name, spec.clone()).await?;
    }
    let namespace = policy.namespace().unwrap_or_default();
    for name in &planned.forget {
        if let Some(found) = context.objects.promotion(&namespace, name) {
            let gone: ObjectKey = promotion::key(&found);
            context.objects.delete(&gone).await?;
        }
    }
    Ok(())
}

/// Keeps what must survive a crash, all of it.
pub async fn keep(
    policy: &PromotionPolicy,
    planned: &Planned,
    requirements: &[RequirementRow],
    context: &Context,
) -> Result<(), KeepError> {
    let mut kept = json!({"environments": planned.environments, "gate": planned.gate});
    if !requirements.is_empty() {
        kept["requirements"] = json!(requirements);
    }
    context.objects.keep(&key(policy), kept).await
}
