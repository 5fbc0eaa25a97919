//! Writes to the cluster what was decided: first what must be remembered, then what rests on it.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::promotion_policy::{GateStatus, RequirementRow};
use lockstep_core::domain::ports::{Entry, Event, KeepError, ObjectKey};
use lockstep_core::domain::promotion::gate::rules::Rules;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::{Context, promotion};
use super::key;
use super::plan::Planned;
use super::requirements;

/// Writes.
pub async fn apply(policy: &PromotionPolicy, planned: &Planned, context: &Context) -> Result<(), KeepError> {
    let object = key(policy);
    for held in &planned.holds {
        let Ok(approval) = &held.approval else { continue };
        // Used before anything rests on it, so that it is used once.
        let entry = Entry {
            time: context.clock.now(),
            actor: approval.spec.approver.clone(),
            object: object.clone(),
            event: Event::Approved,
            changes: Vec::new(),
            digest: Some(held.digest.clone()),
            gained: Vec::new(),
            gave_up: Vec::new(),
            note: format!(
                "PlanApproval {}: {}; the hold of environment {} ends: {}",
                approval.name_any(),
                approval.spec.reason,
                held.environment,
                held.hold.reason
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
    let mut kept = json!({
        "environments": planned.environments,
        "gate": gate(policy, &planned.rules, context),
    });
    if !requirements.is_empty() {
        kept["requirements"] = json!(requirements);
    }
    context.objects.keep(&key(policy), kept).await
}

/// The gate that judges from now on.
fn gate(policy: &PromotionPolicy, rules: &BTreeMap<String, Rules>, context: &Context) -> Option<GateStatus> {
    let before = policy.status.as_ref().and_then(|status| status.gate.clone());
    if rules.is_empty() {
        return before;
    }
    let value = json!(rules);
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(value.to_string())));
    match before {
        Some(before) if before.digest == digest => Some(before),
        before => Some(GateStatus {
            digest,
            rules: Some(value),
            // By whose hand somebody came into a group matters from the first gate on.
            since: before
                .and_then(|before| before.since)
                .or_else(|| Some(context.clock.now())),
        }),
    }
}
