//! The end of a policy: its finalizer goes when what it wrote into Gerrit is gone, or when a person accepts that it stays.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::ResourceExt as _;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::promotion_policy::{ConfiguredRow, PendingPlan, PlanSubject};
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{CHANGED_BY, FINALIZER, PlanApproval, PromotionPolicy};
use lockstep_core::domain::approval::{Asked, Refused, find};
use lockstep_core::domain::defaults;
use lockstep_core::domain::outcome::{Saying, conditions};
use lockstep_core::domain::plan::{EffectDigest, Risk};
use lockstep_core::domain::ports::{
    ConnectionKey, ConnectionKind, Entry, Event, KeepError, ObjectKey, SystemError, SystemErrorKind,
};
use lockstep_core::domain::promotion::ports::reviews::RequirementChanges;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::{Context, Next};
use super::remote::is_shared;
use super::requirements::{Trouble, address, entry, held, project_of, project_there};
use super::{aside, key, labels};

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
    let rows = Left::of(policy);
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
        for target in rows.targets() {
            let project = server.as_deref().and_then(|server| project_of(&target, server));
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
            match rows.take_back(policy, &gerrit, &target, &project, context).await {
                Ok(()) => {}
                // The project went, and all of it with it.
                Err(Trouble::System(error)) if error.kind == SystemErrorKind::NotFound => {
                    let note = format!("{target} is gone");
                    let gone = entry(&object, Event::Succeeded, &note, context);
                    context.record.append(gone).await?;
                }
                Err(Trouble::System(error)) => return Ok(Some((error, None))),
                Err(Trouble::Keep(error)) => return Err(error),
            }
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

/// What a policy holds in Gerrit.
struct Left {
    requirements: Vec<ConfiguredRow>,
    labels: Vec<ConfiguredRow>,
}

impl Left {
    fn of(policy: &PromotionPolicy) -> Self {
        Self {
            requirements: held(policy),
            labels: labels::held(policy),
        }
    }

    fn is_empty(&self) -> bool {
        self.requirements.is_empty() && self.labels.is_empty()
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, &ConfiguredRow)> {
        let requirements = self.requirements.iter().map(|row| ("submit requirement", row));
        requirements.chain(self.labels.iter().map(|row| ("label", row)))
    }

    fn targets(&self) -> BTreeSet<String> {
        self.all().map(|(_, row)| row.target.clone()).collect()
    }

    /// One line for each.
    fn lines(&self) -> Vec<String> {
        let line = |(what, row): (&str, &ConfiguredRow)| format!("{what} {} at {}", row.name, row.target);
        let all: BTreeSet<String> = self.all().map(line).collect();
        all.into_iter().collect()
    }

    /// Requirements first: they ask for the labels.
    async fn take_back(
        &self,
        policy: &PromotionPolicy,
        gerrit: &ConnectionKey,
        target: &str,
        project: &str,
        context: &Context,
    ) -> Result<(), Trouble> {
        let object = key(policy);
        let here = |rows: &[ConfiguredRow]| -> Vec<ConfiguredRow> {
            rows.iter().filter(|row| row.target == target).cloned().collect()
        };
        let names: Vec<String> = here(&self.requirements).into_iter().map(|row| row.name).collect();
        let review = context.reviews.open(gerrit).await?;
        if !names.is_empty() {
            let line = format!("{target}: remove submit requirements {}", names.join(", "));
            let record = async |event| context.record.append(entry(&object, event, &line, context)).await;
            record(Event::Intent).await?;
            let gone = RequirementChanges(names.into_iter().map(|name| (name, None)).collect());
            review.system().write_requirements(project, &gone).await?;
            record(Event::Succeeded).await?;
        }
        labels::take_back(policy, &*review, project, &here(&self.labels), context).await
    }
}

async fn abandon(object: &ObjectKey, rows: &Left, why: &str, context: &Context) -> Result<(), KeepError> {
    let note = format!("{why}: {}", rows.lines().join(", "));
    let entry = entry(object, Event::Abandoned, &note, context);
    context.record.append(entry).await.map(drop)
}

async fn left(
    object: &ObjectKey,
    rows: &Left,
    approval: &PlanApproval,
    digest: &EffectDigest,
    context: &Context,
) -> Result<(), KeepError> {
    let note = format!(
        "left behind: PlanApproval {}: {}: {}",
        approval.name_any(),
        approval.spec.reason,
        rows.lines().join(", ")
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

fn digest(object: &ObjectKey, rows: &Left) -> EffectDigest {
    let text = json!({"abandon": {"policy": object.uid, "left": rows.lines()}});
    let mut hash = Sha256::new();
    hash.update(b"lockstep-abandon-policy-v2\n");
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

fn pending(digest: &EffectDigest, rows: &Left) -> PendingPlan {
    let line = |line: String| format!("leave {line}").chars().take(1_000).collect();
    PendingPlan {
        subject: PlanSubject::Abandon,
        environment: None,
        digest: digest.0.clone(),
        approvers: Some(1),
        summary: rows.lines().into_iter().take(10).map(line).collect(),
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
