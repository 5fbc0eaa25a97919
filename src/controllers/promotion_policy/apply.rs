//! Writes to the cluster what was decided: first what must be remembered, then what rests on it.

use kube::ResourceExt as _;
use lockstep_core::api::promotion_policy::{ConfiguredRow, RemoteRow};
use lockstep_core::api::{FINALIZER, PromotionPolicy};
use lockstep_core::domain::ports::{Entry, Event, KeepError, ObjectKey};
use serde_json::json;

use super::super::{Context, promotion};
use super::plan::Planned;
use super::{directories, key};

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
            credential: None,
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
            credential: None,
        };
        context.record.append(entry).await?;
    }
    // Nobody is at work yet: the turn is given by what is kept below.
    for (environment, old) in &planned.old {
        directories::delete(policy, environment, old, context).await?;
    }
    keep(policy, planned, &Kept::of(policy, context), context).await?;
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

/// What is held in Gerrit on behalf of a policy.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub requirements: Vec<ConfiguredRow>,
    pub labels: Vec<ConfiguredRow>,
    pub webhook: Option<RemoteRow>,
}

impl Kept {
    /// As it was kept last, be it in this very pass.
    pub fn of(policy: &PromotionPolicy, context: &Context) -> Self {
        let object = key(policy);
        let newest = context.objects.policy(&object.namespace, &object.name);
        let newest = newest.filter(|newest| newest.metadata.uid == policy.metadata.uid);
        let status = newest
            .as_deref()
            .unwrap_or(policy)
            .status
            .clone()
            .unwrap_or_default();
        Self {
            requirements: status.requirements.unwrap_or_default(),
            labels: status.labels.unwrap_or_default(),
            webhook: status.webhook,
        }
    }

    /// Whether nothing of ours is there.
    pub fn is_nothing(&self) -> bool {
        self.requirements.is_empty() && self.labels.is_empty() && self.webhook.is_none()
    }
}

/// Keeps what must survive a crash, all of it. A policy that holds something in Gerrit does not go without taking it back.
pub async fn keep(
    policy: &PromotionPolicy,
    planned: &Planned,
    held: &Kept,
    context: &Context,
) -> Result<(), KeepError> {
    let object = key(policy);
    if !held.is_nothing() {
        context.cluster.add_finalizer(&object, FINALIZER).await?;
    }
    let mut kept = json!({"environments": planned.environments, "gate": planned.gate});
    if !held.requirements.is_empty() {
        kept["requirements"] = json!(held.requirements);
    }
    if !held.labels.is_empty() {
        kept["labels"] = json!(held.labels);
    }
    if let Some(webhook) = &held.webhook {
        kept["webhook"] = json!(webhook);
    }
    context.objects.keep(&object, kept).await?;
    if held.is_nothing() {
        context.cluster.remove_finalizer(&object, FINALIZER).await?;
    }
    Ok(())
}
