//! The end of a policy: its finalizer goes when what it wrote into Gerrit is gone, or when a person accepts that it stays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::ResourceExt as _;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::promotion_policy::{PendingPlan, PlanSubject, RequirementRow};
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{CHANGED_BY, FINALIZER, PlanApproval, PromotionPolicy};
use lockstep_core::domain::approval::{Asked, Refused, find};
use lockstep_core::domain::defaults;
use lockstep_core::domain::outcome::{Saying, conditions};
use lockstep_core::domain::plan::{EffectDigest, Risk};
use lockstep_core::domain::ports::{
    ConnectionKind, Entry, Event, KeepError, ObjectKey, SystemError, SystemErrorKind,
};
use lockstep_core::domain::promotion::ports::reviews::RequirementChanges;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::{Context, Next};
use super::remote::is_shared;
use super::requirements::{address, entry, held, project_of, project_there};
use super::{aside, key};

/// Takes back what the policy wrote, and lets it go.
pub async fn leave(policy: &PromotionPolicy, context: &Context) -> Next {
    if !policy.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Next::AwaitChange;
    }
    match take_back(policy, context).await {
        Ok(None) => Next::AwaitChange,
        Ok(Some((error, plan))) => say(policy, &error, plan, context).await,
        Err(error) => {
            tracing::warn!(%error, "a policy cannot go: what is done could not be kept");
            Next::Backoff
        }
    }
}

/// What keeps the policy, and the plan that would let it go all the same.
type Kept = Option<(SystemError, Option<PendingPlan>)>;

async fn take_back(policy: &PromotionPolicy, context: &Context) -> Result<Kept, KeepError> {
    let object = key(policy);
    let rows = held(policy);
    if !rows.is_empty() && defaults::policy_mode(&policy.spec) == Mode::Observe {
        abandon(&object, &rows, "mode is Observe: what was written stays", context).await?;
    } else {
        let gerrit = defaults::connection(
            ConnectionKind::Gerrit,
            &policy.spec.gerrit.connection_ref,
            &object.namespace,
        );
        let known = context.cluster.gerrit_connection(&gerrit.namespace, &gerrit.name);
        let server = known.and_then(|known| known.status.as_ref()?.server.clone());
        for (target, names) in by_target(&rows) {
            let project = server
                .as_deref()
                .and_then(|server| project_of(rows.iter().find(|row| row.target == target)?, server));
            let Some(project) = project else {
                let message = format!("no connection reaches what is still held at {target}: bring one back");
                let error = SystemError::new(
                    gerrit.to_string(),
                    SystemErrorKind::Connection(Reason::RevokeWaiting),
                    message,
                );
                let digest = digest(&object, &rows);
                return match approval(policy, &object, &digest, context) {
                    Ok(approval) => {
                        left(&object, &rows, &approval, &digest, context).await?;
                        context.cluster.remove_finalizer(&object, FINALIZER).await?;
                        Ok(None)
                    }
                    Err(_) => Ok(Some((error, Some(pending(&digest, &rows))))),
                };
            };
            let line = format!("{target}: remove submit requirements {}", names.join(", "));
            let record = async |event| context.record.append(entry(&object, event, &line, context)).await;
            record(Event::Intent).await?;
            let review = match context.reviews.open(&gerrit).await {
                Ok(review) => review,
                Err(error) => return Ok(Some((error, None))),
            };
            let gone = names.into_iter().map(|name| (name, None)).collect();
            let written = review
                .system()
                .write_requirements(&project, &RequirementChanges(gone))
                .await;
            match written {
                Ok(_) => record(Event::Succeeded).await?,
                // The project went, and its requirements with it.
                Err(error) if error.kind == SystemErrorKind::NotFound => record(Event::Succeeded).await?,
                Err(error) => return Ok(Some((error, None))),
            };
        }
    }
    if let Some(error) = stop_telling(policy, &object, context).await? {
        return Ok(Some((error, None)));
    }
    context.cluster.remove_finalizer(&object, FINALIZER).await?;
    Ok(None)
}

/// Takes the webhook away, unless another policy of the project lives by it or nobody could reach it any more.
async fn stop_telling(
    policy: &PromotionPolicy,
    object: &ObjectKey,
    context: &Context,
) -> Result<Option<SystemError>, KeepError> {
    let Some(row) = policy.status.as_ref().and_then(|status| status.webhook.clone()) else {
        return Ok(None);
    };
    let gerrit = defaults::connection(
        ConnectionKind::Gerrit,
        &policy.spec.gerrit.connection_ref,
        &object.namespace,
    );
    let known = context.cluster.gerrit_connection(&gerrit.namespace, &gerrit.name);
    let server = known.and_then(|known| known.status.as_ref()?.server.clone());
    let here = server.map(|server| address(&server, &policy.spec.gerrit.project));
    let project = here.and_then(|here| project_there(&row.target, &here));
    let line = format!("{}: remove webhook {}", row.target, row.name);
    let Some(project) = project.filter(|_| !is_shared(policy, &gerrit, context)) else {
        let note = format!("webhook {} of {} stays", row.name, row.target);
        context
            .record
            .append(entry(object, Event::Abandoned, &note, context))
            .await?;
        return Ok(None);
    };
    context
        .record
        .append(entry(object, Event::Intent, &line, context))
        .await?;
    let review = match context.reviews.open(&gerrit).await {
        Ok(review) => review,
        Err(error) => return Ok(Some(error)),
    };
    match review.system().write_remote(&project, &row.name, None).await {
        Err(error) if error.kind != SystemErrorKind::NotFound => Ok(Some(error)),
        _ => {
            context
                .record
                .append(entry(object, Event::Succeeded, &line, context))
                .await?;
            Ok(None)
        }
    }
}

fn by_target(rows: &[RequirementRow]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        all.entry(row.target.clone()).or_default().push(row.name.clone());
    }
    all
}

async fn abandon(
    object: &ObjectKey,
    rows: &[RequirementRow],
    why: &str,
    context: &Context,
) -> Result<(), KeepError> {
    let note = format!("{why}: {}", names(rows));
    let entry = entry(object, Event::Abandoned, &note, context);
    context.record.append(entry).await.map(drop)
}

async fn left(
    object: &ObjectKey,
    rows: &[RequirementRow],
    approval: &PlanApproval,
    digest: &EffectDigest,
    context: &Context,
) -> Result<(), KeepError> {
    let note = format!(
        "left behind: PlanApproval {}: {}: {}",
        approval.name_any(),
        approval.spec.reason,
        names(rows)
    );
    let entry = Entry {
        actor: approval.spec.approver.clone(),
        digest: Some(digest.clone()),
        ..entry(object, Event::Abandoned, &note, context)
    };
    let id = context.record.append(entry).await?;
    context
        .cluster
        .use_approval(approval, &id, context.clock.now())
        .await
}

fn names(rows: &[RequirementRow]) -> String {
    let all: BTreeSet<String> = rows
        .iter()
        .map(|row| format!("submit requirement {} at {}", row.name, row.target))
        .collect();
    all.into_iter().collect::<Vec<_>>().join(", ")
}

fn digest(object: &ObjectKey, rows: &[RequirementRow]) -> EffectDigest {
    let left: BTreeSet<_> = rows.iter().map(|row| (&row.target, &row.name)).collect();
    let text = json!({"abandon": {"policy": object.uid, "requirements": left}});
    let mut hash = Sha256::new();
    hash.update(b"lockstep-abandon-policy-v1\n");
    hash.update(text.to_string());
    EffectDigest(format!("sha256:{}", hex::encode(hash.finalize())))
}

fn approval(
    policy: &PromotionPolicy,
    object: &ObjectKey,
    digest: &EffectDigest,
    context: &Context,
) -> Result<PlanApproval, Vec<Refused>> {
    let asked = Asked {
        object,
        digest,
        risk: &Risk::default(),
        changed_by: policy.annotations().get(CHANGED_BY).map(String::as_str),
        protected_since: context.cluster.approvals_protected_since(),
        now: context.clock.now(),
    };
    let all = context.cluster.approvals(object);
    find(all.iter().map(AsRef::as_ref), asked).cloned()
}

fn pending(digest: &EffectDigest, rows: &[RequirementRow]) -> PendingPlan {
    let line = |row: &RequirementRow| {
        let line = format!("leave submit requirement {} at {}", row.name, row.target);
        line.chars().take(1_000).collect()
    };
    PendingPlan {
        subject: PlanSubject::Abandon,
        environment: None,
        digest: digest.0.clone(),
        approvers: Some(1),
        summary: rows.iter().take(10).map(line).collect(),
    }
}

async fn say(
    policy: &PromotionPolicy,
    error: &SystemError,
    plan: Option<PendingPlan>,
    context: &Context,
) -> Next {
    let now = context.clock.now();
    let mut message = error.to_string();
    if let Some(plan) = &plan {
        message = format!(
            "{message}, or leave it behind with a PlanApproval of {}",
            plan.digest
        );
    }
    let said = [Saying::new(
        ConditionType::Ready,
        false,
        Reason::RevokeWaiting,
        message,
    )];
    let previous = policy.status.as_ref().map(|status| status.conditions.clone());
    let generation = policy.metadata.generation;
    let mut status = json!({
        "observedGeneration": generation,
        "conditions": conditions(&said, &previous.unwrap_or_default(), generation, now),
    });
    if let Some(plan) = plan {
        status["plans"] = json!([plan]);
    }
    if let Err(error) = context.cluster.write_status(&key(policy), status).await {
        tracing::warn!(%error, "status could not be written");
        return Next::Backoff;
    }
    let at = aside::again(error, now, aside::interval(policy));
    Next::After(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::from_mins(1)))
}
