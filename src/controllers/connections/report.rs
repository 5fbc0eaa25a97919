//! Status of a connection, its finalizer while something depends on it, and when to ask again.

use std::time::Duration;

use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::domain::defaults;
use lockstep_core::domain::outcome::{Saying, conditions, next_check};
use lockstep_core::domain::ports::{ErrorClass, Probe};
use serde_json::json;

use super::super::{Context, Next, dependants};
use super::Connection;
use super::gather::Gathered;

pub async fn report(connection: &Connection<'_>, gathered: Gathered, context: &Context) -> Next {
    let now = context.clock.now();
    let needed = gathered.dependants.any();
    if let Err(error) = dependants::keep(&connection.object, connection.meta, needed, context).await {
        tracing::warn!(%error, "finalizer could not be kept");
        return Next::Backoff;
    }
    let Some(probe) = gathered.probe else {
        return Next::AwaitChange;
    };
    let going = connection.meta.deletion_timestamp.is_some();
    let mut next = Next::After(
        Duration::try_from(next_check(now, defaults::INTERVAL).duration_since(now)).unwrap_or_default(),
    );
    let (mut sayings, mut status) = match probe {
        Ok(Probe {
            mut status,
            lacks,
            allowance,
        }) => {
            // What does not fit now fits again when bindings go: the field goes with them.
            status["pace"] = json!(gathered.demand.pace(&allowance));
            let message = if lacks.is_empty() {
                String::new()
            } else {
                format!("the identity lacks: {}", lacks.join("; "))
            };
            (
                vec![Saying::new(
                    ConditionType::Ready,
                    true,
                    Reason::Succeeded,
                    message,
                )],
                status,
            )
        }
        Err(error) => {
            let mut sayings = vec![Saying::new(
                ConditionType::Ready,
                false,
                error.reason(),
                error.to_string(),
            )];
            match error.class() {
                ErrorClass::RetrySoon => {
                    next = Next::Backoff;
                    sayings.push(Saying::new(
                        ConditionType::Reconciling,
                        true,
                        Reason::Progressing,
                        "trying again soon",
                    ));
                }
                ErrorClass::RetryAt(at) => {
                    next = Next::After(Duration::try_from(at.duration_since(now)).unwrap_or_default());
                }
                ErrorClass::WaitForChange => {
                    sayings.push(Saying::new(
                        ConditionType::Stalled,
                        true,
                        error.reason(),
                        error.to_string(),
                    ));
                }
                ErrorClass::WaitSlow => {}
            }
            // What is known of the system stays known: dependants must still find what they hold there.
            (sayings, known(connection, context))
        }
    };
    if going {
        let message = format!(
            "{} still depend on it: delete or change them first",
            gathered.dependants
        );
        sayings.push(Saying::new(
            ConditionType::Reconciling,
            true,
            Reason::HasDependants,
            message,
        ));
    }
    if let Some(fields) = status.as_object_mut() {
        let said = conditions(&sayings, connection.conditions, connection.meta.generation, now);
        fields.insert("conditions".into(), json!(said));
        fields.insert("observedGeneration".into(), json!(connection.meta.generation));
        fields.insert("webhookPath".into(), json!(connection.webhook_path));
        if let Some(request) = connection
            .meta
            .annotations
            .as_ref()
            .and_then(|all| all.get(lockstep_core::api::REQUESTED_AT))
        {
            fields.insert("lastHandledRequest".into(), json!(request));
        }
        fields.retain(|_, value| !value.is_null());
    }
    if let Err(error) = context.cluster.write_status(&connection.object, status).await {
        tracing::warn!(%error, "status could not be written");
        return Next::Backoff;
    }
    next
}

fn known(connection: &Connection<'_>, context: &Context) -> serde_json::Value {
    let (namespace, name) = (&connection.key.namespace, &connection.key.name);
    let status = match connection.key.kind {
        lockstep_core::domain::ports::ConnectionKind::Gerrit => context
            .cluster
            .gerrit_connection(namespace, name)
            .map(|found| json!(found.status)),
        lockstep_core::domain::ports::ConnectionKind::Databricks => context
            .cluster
            .databricks_connection(namespace, name)
            .map(|found| json!(found.status)),
    };
    status
        .filter(serde_json::Value::is_object)
        .unwrap_or_else(|| json!({}))
}
