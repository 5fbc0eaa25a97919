//! Owns status but for the journal's part: conditions, summary, events, and when to come back.

mod hands;
mod sayings;

use jiff::Timestamp;
use kube::ResourceExt;
use lockstep_core::api::AccessBinding;
use lockstep_core::api::access_binding::MembersStatus;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::domain::access::diff::Phase;
use lockstep_core::domain::outcome::{Saying, conditions};
use lockstep_core::domain::ports::{KeepError, Note, SystemErrorKind};
use serde_json::json;

use super::super::{Context, Next};
use super::apply::Outcome;
use super::gather::interval;
use super::{Gathered, key};
use sayings::Facts;

/// As many as the CRD takes.
const SHOWN_UNRESOLVED: usize = 100;

/// A suspended binding is only said to be so.
pub async fn suspended(binding: &AccessBinding, context: &Context, now: Timestamp) -> Next {
    let said = [Saying::new(
        ConditionType::Ready,
        false,
        Reason::Suspended,
        "spec.suspend is true: nothing is read or written, and what was given stays",
    )];
    if let Err(error) = write(binding, &said, json!({}), context, now).await {
        tracing::warn!(%error, "status could not be written");
        return Next::Backoff;
    }
    Next::AwaitChange
}

/// Writes status and events, and says when to come back.
pub async fn report(
    binding: &AccessBinding,
    gathered: &Gathered,
    outcome: Outcome,
    context: &Context,
) -> Next {
    let now = context.clock.now();
    if outcome.released {
        return Next::AwaitChange;
    }
    let drifts = hands::told(gathered, &outcome).await;
    let facts = Facts::new(gathered, &outcome, &drifts);
    let sayings = facts.sayings();
    announce(binding, gathered, &outcome, &drifts, &sayings, context).await;
    let members = (binding.spec.members.is_some() && facts.phase == Phase::Living)
        .then(|| shown(outcome.planned.decision.members.clone()));
    let fields = json!({ "members": members, "plan": facts.plan() });
    if let Err(error) = write(binding, &sayings, fields, context, now).await {
        tracing::warn!(%error, "status could not be written");
        return Next::Backoff;
    }
    facts.next(now, interval(&*context.cluster, binding))
}

/// A status shows some of those who could not be found, and counts the rest.
fn shown(mut members: MembersStatus) -> MembersStatus {
    let beyond = members.unresolved.len().saturating_sub(SHOWN_UNRESOLVED);
    members.unresolved.truncate(SHOWN_UNRESOLVED);
    members.unresolved_beyond = i64::try_from(beyond).ok().filter(|beyond| *beyond > 0);
    members
}

async fn write(
    binding: &AccessBinding,
    sayings: &[Saying],
    fields: serde_json::Value,
    context: &Context,
    now: Timestamp,
) -> Result<(), KeepError> {
    let previous = binding
        .status
        .as_ref()
        .map(|status| status.conditions.clone())
        .unwrap_or_default();
    let generation = binding.metadata.generation;
    let mut status = json!({
        "observedGeneration": generation,
        "conditions": conditions(sayings, &previous, generation, now),
        "lastHandledRequest": binding.annotations().get(lockstep_core::api::REQUESTED_AT),
    });
    if let (Some(status), serde_json::Value::Object(fields)) = (status.as_object_mut(), fields) {
        status.extend(fields);
        status.retain(|_, value| !value.is_null());
    }
    context.cluster.write_status(&key(binding), status).await
}

async fn announce(
    binding: &AccessBinding,
    gathered: &Gathered,
    outcome: &Outcome,
    drifts: &[String],
    sayings: &[Saying],
    context: &Context,
) {
    let object = key(binding);
    let previous = binding
        .status
        .as_ref()
        .map(|status| status.conditions.clone())
        .unwrap_or_default();
    let was = |kind: ConditionType, reason: Reason| {
        previous
            .iter()
            .any(|old| old.type_ == kind.to_string() && old.reason == reason.to_string())
    };
    hands::count(outcome, &previous, context);
    let mut notes = Vec::new();
    if outcome.enforced && !drifts.is_empty() && !outcome.written.is_empty() {
        notes.push((
            Reason::Repaired,
            format!("drift repaired: {}", drifts.join("; ")),
            true,
        ));
    } else if !outcome.written.is_empty() {
        let lines: Vec<_> = outcome.written.iter().take(10).cloned().collect();
        notes.push((Reason::Succeeded, lines.join("; "), false));
    }
    for said in sayings {
        let worth = matches!(
            said.kind,
            ConditionType::Blocked | ConditionType::Conflict | ConditionType::Stalled
        );
        if worth && said.status == Some(true) && !was(said.kind, said.reason) {
            notes.push((said.reason, said.message.clone(), true));
        }
    }
    if gathered.rebuilt {
        notes.push((
            Reason::InventoryLost,
            "status was lost; what is held was read back from the record".into(),
            true,
        ));
    }
    let unauthorized = gathered
        .errors
        .iter()
        .any(|error| error.kind == SystemErrorKind::Unauthorized);
    if unauthorized && !was(ConditionType::Ready, Reason::Unauthorized) {
        notes.push((
            Reason::Unauthorized,
            "the connection's credential is refused".into(),
            true,
        ));
    }
    for (reason, message, warning) in notes {
        context
            .cluster
            .note(
                &object,
                Note {
                    reason,
                    message,
                    warning,
                },
            )
            .await;
    }
}
