//! Status, events and when to look again.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::{REQUESTED_AT, ServiceCredential};
use lockstep_core::domain::defaults;
use lockstep_core::domain::outcome::{Saying, conditions, most_urgent};
use lockstep_core::domain::ports::{ErrorClass, Note, SystemError};
use lockstep_core::domain::rotation::declared::Declared;
use lockstep_core::domain::rotation::machine::state::{Blocked, CredentialId, Generation, Rotation};
use serde_json::{Value, json};

use super::super::{Context, Next};
use super::apply::{Outcome, stuck};
use super::gather::Gathered;
use super::plan::{Going, Planned, seed};
use super::{key, reading};

/// Ids of strangers that a status shows.
const SHOWN: usize = 64;
/// After a pass that changed something the next one follows at once: what was learnt may allow more.
const AT_ONCE: Duration = Duration::from_millis(50);

/// Writes status and says when to come back.
pub async fn report(
    credential: &ServiceCredential,
    gathered: &Gathered,
    planned: &Planned,
    outcome: Outcome,
    context: &Context,
) -> Next {
    if let Some(error) = &outcome.unkept {
        tracing::warn!(%error, "what was decided could not be kept");
        return Next::Backoff;
    }
    if outcome.ended {
        return Next::AwaitChange;
    }
    let now = context.clock.now();
    let sayings = sayings(credential, gathered, planned, &outcome);
    note(credential, &sayings, &outcome, context).await;
    let status = status(credential, gathered, planned, &outcome, &sayings, now);
    if let Err(error) = context.cluster.write_status(&key(credential), status).await {
        tracing::warn!(%error, "status could not be written");
        return Next::Backoff;
    }
    again(credential, planned, &outcome, now)
}

fn not_ready(reason: Reason, message: String) -> Vec<Saying> {
    let waits = matches!(
        reason,
        Reason::DependencyNotReady
            | Reason::Progressing
            | Reason::Unreachable
            | Reason::Throttled
            | Reason::LeaseLost
            | Reason::Revoking
            | Reason::RevokeWaiting
    );
    let more = if waits {
        ConditionType::Reconciling
    } else {
        ConditionType::Stalled
    };
    let mut said = vec![Saying::new(ConditionType::Ready, false, reason, message.clone())];
    if reason != Reason::Suspended {
        said.push(Saying::new(more, true, reason, message));
    }
    said
}

fn sayings(
    credential: &ServiceCredential,
    gathered: &Gathered,
    planned: &Planned,
    outcome: &Outcome,
) -> Vec<Saying> {
    let going = credential.metadata.deletion_timestamp.is_some();
    let mut said = if let Some((reason, message)) = stuck(planned) {
        if going {
            match &gathered.rotation {
                Ok(rotation) => waiting(rotation, message),
                Err(_) => not_ready(Reason::RevokeWaiting, message.to_owned()),
            }
        } else {
            not_ready(reason, message.to_owned())
        }
    } else {
        match planned {
            Planned::Go(plan) if going => leaving(plan, outcome),
            Planned::Go(plan) => at_work(gathered, plan, outcome),
            _ => match outcome.problems.first() {
                Some((reason, message)) => not_ready(*reason, message.clone()),
                None => vec![Saying::new(
                    ConditionType::Ready,
                    true,
                    Reason::Observing,
                    "mode is Observe: the issuer's credentials are listed, and none is minted",
                )],
            },
        }
    };
    if let Some((Reason::ClaimedByAnother, message)) = stuck(planned) {
        said.push(Saying::new(
            ConditionType::Conflict,
            true,
            Reason::ClaimedByAnother,
            message,
        ));
    }
    let blocked = outcome
        .rotation
        .as_ref()
        .and_then(|rotation| rotation.blocked.as_ref());
    if let Some(blocked) = blocked {
        let message = told(blocked);
        said.push(Saying::new(
            ConditionType::Blocked,
            true,
            Reason::Blocked,
            message,
        ));
    }
    said
}

/// What is left to do before it goes, and what stands in the way.
fn leaving(plan: &Going, outcome: &Outcome) -> Vec<Saying> {
    let rotation = outcome.rotation.as_ref().unwrap_or(&plan.rotation);
    match outcome.problems.first() {
        Some((_, why)) => waiting(rotation, why),
        None => not_ready(Reason::Revoking, left(rotation)),
    }
}

/// Being deleted, and something stands in the way.
fn waiting(rotation: &Rotation, why: &str) -> Vec<Saying> {
    let message = format!(
        "{}: {why}. Set spec.onDelete to Orphan to leave behind what cannot be taken back",
        left(rotation)
    );
    not_ready(Reason::RevokeWaiting, message)
}

/// What is left of a credential that is being deleted.
fn left(rotation: &Rotation) -> String {
    let live = rotation.generations.iter().filter(|one| one.may_live());
    let live: Vec<String> = live.map(|one| one.number.to_string()).collect();
    if live.is_empty() {
        return "all is revoked, and stores are still to be cleared".to_owned();
    }
    format!("generations {} may still live", live.join(", "))
}

fn at_work(gathered: &Gathered, plan: &Going, outcome: &Outcome) -> Vec<Saying> {
    let rotation = outcome.rotation.as_ref().unwrap_or(&plan.rotation);
    let ready = |status, reason, message| vec![Saying::new(ConditionType::Ready, status, reason, message)];
    if let Some(blocked) = &rotation.blocked {
        return not_ready(Reason::Blocked, told(blocked));
    }
    if let Some((reason, message)) = outcome.problems.first() {
        return not_ready(*reason, message.clone());
    }
    let Some(current) = rotation.current() else {
        if let Some(why) = &gathered.frozen {
            return not_ready(Reason::Frozen, format!("nothing is minted: {why}"));
        }
        return not_ready(Reason::Progressing, "no generation is current yet".into());
    };
    let mut message = format!("generation {} is current", current.number);
    if let Some(missing) = outcome.missing.first() {
        message = format!("{message}; {missing}");
    }
    match &gathered.frozen {
        Some(why) if plan.orders.due && plan.orders.frozen => ready(
            true,
            Reason::Frozen,
            format!("{message}; the next one waits: {why}"),
        ),
        _ => ready(true, Reason::Succeeded, message),
    }
}

/// What stands in the way, and what people can do.
fn told(blocked: &Blocked) -> String {
    let names = |ids: &BTreeSet<CredentialId>| {
        let ids: Vec<&str> = ids.iter().map(|id| id.0.as_str()).collect();
        ids.join(", ")
    };
    match blocked {
        Blocked::NoSlot { limit, strangers } => format!(
            "NoSlot: the issuer allows {limit} credentials, and none is free. Not ours are {}: delete one that nobody uses",
            names(strangers)
        ),
        Blocked::Stray { candidates } => format!(
            "Stray: a mint was not answered, and one of {} may be what it made. Delete at the issuer what nobody uses, or \
             set spec.exclusive to true if nobody else mints for this identity",
            names(candidates)
        ),
    }
}

/// Ids at the issuer that are none of ours.
fn strangers(outcome: &Outcome, before: &ServiceCredential) -> Vec<String> {
    let Some(listed) = &outcome.listed else {
        // Not asked in this pass.
        return before
            .status
            .as_ref()
            .map(|status| status.strangers.clone())
            .unwrap_or_default();
    };
    let generations = outcome.rotation.iter().flat_map(|rotation| &rotation.generations);
    let ours: Vec<_> = generations.filter_map(|one| one.id.as_ref()).collect();
    let mut ids: Vec<String> = listed
        .iter()
        .filter(|one| !ours.contains(&&one.id))
        .map(|one| one.id.0.clone())
        .collect();
    ids.sort();
    ids.truncate(SHOWN);
    ids
}

fn status(
    credential: &ServiceCredential,
    gathered: &Gathered,
    planned: &Planned,
    outcome: &Outcome,
    sayings: &[Saying],
    now: Timestamp,
) -> Value {
    let before = credential.status.clone().unwrap_or_default();
    let generation = credential.metadata.generation;
    let annotations = credential.metadata.annotations.as_ref();
    let address = gathered
        .issuer
        .as_ref()
        .ok()
        .map(|issuer| issuer.address().to_owned());
    let current = outcome.rotation.as_ref().and_then(Rotation::current);
    // A pass that could do nothing says what the last one knew.
    let known = outcome.rotation.is_some();
    let next = match (current, &gathered.declared, planned) {
        (Some(current), Ok(declared), Planned::Go(_)) => due(credential, declared, current),
        _ => before.next_rotation.filter(|_| !known),
    };
    let mut status = json!({
        "observedGeneration": generation,
        "lastHandledRequest": annotations.and_then(|all| all.get(REQUESTED_AT)),
        "issuer": address.or(before.issuer),
        "current": current.map(|current| current.number).or(before.current.filter(|_| !known)),
        "mintedAt": current.and_then(|current| current.minted).or(before.minted_at.filter(|_| !known)),
        "nextRotation": next,
        "expiresAt": current.and_then(|current| current.expires).or(before.expires_at.filter(|_| !known)),
        "strangers": strangers(outcome, credential),
        "conditions": conditions(sayings, &before.conditions, generation, now),
    });
    if let Some(status) = status.as_object_mut() {
        status.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|rows| !rows.is_empty()));
    }
    status
}

fn due(credential: &ServiceCredential, declared: &Declared, current: &Generation) -> Option<Timestamp> {
    let uid = key(credential).uid;
    Some(
        declared
            .schedule
            .next(current.minted?, current.expires, seed(&uid)),
    )
}

fn again(credential: &ServiceCredential, planned: &Planned, outcome: &Outcome, now: Timestamp) -> Next {
    let interval = Duration::from_secs(defaults::interval(credential.spec.interval.as_ref()));
    let going = match planned {
        Planned::Stuck(Reason::Suspended | Reason::InvalidSpec, _) => return Next::AwaitChange,
        Planned::Stuck(Reason::DependencyNotReady | Reason::Unreachable | Reason::Throttled, _) => {
            return Next::Backoff;
        }
        Planned::Stuck(..) | Planned::Look => return Next::After(interval),
        Planned::LetGo => return Next::AwaitChange,
        Planned::Go(going) => going,
    };
    match most_urgent(outcome.errors.iter().map(SystemError::class)) {
        Some(ErrorClass::RetrySoon) => return Next::Backoff,
        Some(ErrorClass::RetryAt(at)) => return Next::After(time_to(at, now)),
        Some(ErrorClass::WaitForChange | ErrorClass::WaitSlow) => {
            return Next::After(interval.min(Duration::from_mins(1)));
        }
        None if !outcome.problems.is_empty() => return Next::Backoff,
        None if outcome.moved && !at_rest(outcome, now) => return Next::After(AT_ONCE),
        None => {}
    }
    let current = outcome.rotation.as_ref().and_then(Rotation::current);
    let declared = reading::declared(credential, now);
    let next = current.and_then(|current| due(credential, declared.as_ref().ok()?, current));
    let asked = going.orders.due || going.held_back.is_some() || going.orders.ending.is_some();
    Next::After(until(next, asked, outcome.again, now).map_or(interval, |wait| wait.min(interval)))
}

/// How long until something is to be done. `asked`: the pass was to rotate already, or was not to at all, so that something
/// else than time keeps what is due; otherwise it fell due while the pass went on, and waits for the next one.
fn until(next: Option<Timestamp>, asked: bool, again: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let next = next.filter(|next| *next > now || !asked);
    let soonest = [next, again].into_iter().flatten().min()?;
    Some(time_to(soonest, now))
}

fn time_to(at: Timestamp, now: Timestamp) -> Duration {
    let left = Duration::try_from(at.duration_since(now));
    left.map_or(AT_ONCE, |left| left.max(AT_ONCE))
}

/// Whether what was learnt allows nothing more.
fn at_rest(outcome: &Outcome, now: Timestamp) -> bool {
    let rotation = outcome.rotation.as_ref();
    rotation.is_some_and(|rotation| rotation.is_at_rest(now))
}

/// People are told when something begins to stand in the way, and of what was not our doing.
async fn note(credential: &ServiceCredential, sayings: &[Saying], outcome: &Outcome, context: &Context) {
    let before = credential.status.clone().unwrap_or_default().conditions;
    let said = sayings.iter().filter(|said| {
        let bad = matches!(
            said.kind,
            ConditionType::Blocked | ConditionType::Stalled | ConditionType::Conflict
        );
        let known = before.iter().any(|old| {
            said.kind.is(&old.type_) && said.reason.is(&old.reason) && old.message == said.message
        });
        bad && said.status == Some(true) && !known
    });
    let said = said.map(|said| (said.reason, said.message.clone(), true));
    let happened = outcome
        .happened
        .iter()
        .map(|(reason, message)| (*reason, message.clone(), *reason != Reason::Succeeded));
    for (reason, message, warning) in said.chain(happened) {
        let note = Note {
            reason,
            message,
            warning,
        };
        context.cluster.note(&key(credential), note).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_due_during_a_pass_does_not_wait_for_the_interval() {
        let second = |second| Timestamp::from_second(second).unwrap();
        let now = second(100);
        assert_eq!(until(None, false, None, now), None);
        let ahead = Some(Duration::from_secs(20));
        assert_eq!(until(Some(second(120)), false, None, now), ahead);
        assert_eq!(until(Some(second(120)), false, Some(second(500)), now), ahead);
        // The pass began at 98 and found that 99 is to come.
        assert_eq!(until(Some(second(99)), false, None, now), Some(AT_ONCE));
        // It was to rotate, and a freeze or a full issuer keeps it.
        assert_eq!(until(Some(second(99)), true, None, now), None);
        assert_eq!(until(Some(second(99)), true, Some(second(120)), now), ahead);
    }
}
