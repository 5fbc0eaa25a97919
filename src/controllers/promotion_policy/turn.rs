//! Who has the turn in an environment, and what it remembers from now on.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion_policy::{CurrentStatus, EnvironmentStatus};
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{Promotion, PromotionPolicy};
use lockstep_core::domain::defaults;
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::gate::range::Baseline;
use lockstep_core::domain::promotion::machine::kept::{self, Found};
use lockstep_core::domain::promotion::machine::queue::{self, Contenders, Place, Want, Wishes};
use lockstep_core::domain::promotion::machine::state::Phase;
use lockstep_core::domain::promotion::machine::steps::Gate;
use lockstep_core::domain::promotion::policy::claims::Settled;
use lockstep_core::domain::promotion::proof::fact::PromotionFact;

use super::completeness::{self, Counted};
use super::gather::Environment;
use super::plan::policy_id;
use super::reading;

/// Characters of a conflict that a status shows.
const CONFLICT: usize = 4_000;

/// What the environment remembers from now on.
pub fn remember(
    object: &PromotionPolicy,
    environment: &Environment,
    counted: Option<&Counted>,
    settled: Option<Settled>,
    moves: bool,
    wishes: &Wishes,
    now: Timestamp,
) -> (EnvironmentStatus, Option<PromotionFact>) {
    let mut row = reading::row(object, &environment.name)
        .cloned()
        .unwrap_or_else(|| EnvironmentStatus {
            name: environment.name.clone(),
            ..EnvironmentStatus::default()
        });
    if let Some(tip) = &environment.tip {
        row.tip = Some(tip.0.clone());
    }
    let baseline = environment.baseline.as_ref().map(|baseline| match baseline {
        Baseline::Moved { declared, .. } if moves => declared,
        baseline => baseline.commit(),
    });
    if let Some(baseline) = baseline {
        row.baseline = Some(baseline.0.clone());
    }
    if let Some(Settled { holds, lost, kept: _ }) = settled {
        row.holds = holds.into_iter().collect();
        row.conflict = (!lost.is_empty()).then(|| lost.join("; ").chars().take(CONFLICT).collect());
    }
    if let Some(counted) = counted {
        row.runs = Some(completeness::row(counted, row.runs.as_ref()));
    }
    let Ok(declared) = &environment.declared else {
        return (row, None);
    };
    let windows = &declared.environment.windows;
    row.next_window = if windows.open_at(now) {
        None
    } else {
        windows.next_opening(now)
    };
    let mut contenders = environment.contenders.clone();
    if defaults::policy_mode(&object.spec) != Mode::Enforce
        || row.conflict.is_some()
        || environment.claims.is_none()
    {
        give_nobody_the_turn(&mut contenders);
    }
    let_the_newest_be_judged(environment, &mut contenders);
    let mut next = environment.remembered.environment.next(&contenders, wishes);
    if moves {
        next.counted.clone_from(&environment.moved);
    }
    reading::write(&mut row, &next, now);
    row.next = newest_waiting(&environment.contenders);
    row.current = next
        .current
        .as_ref()
        .and_then(|name| current(environment, &name.0))
        .or(row.current);
    (row, fact(object, environment, counted, baseline, next))
}

/// What is new about the environment.
fn fact(
    object: &PromotionPolicy,
    environment: &Environment,
    counted: Option<&Counted>,
    baseline: Option<&CommitId>,
    next: queue::Environment,
) -> Option<PromotionFact> {
    let mut fact = PromotionFact::about(policy_id(object), environment.name.clone());
    if next != environment.remembered.environment {
        fact.environment_state = Some(next);
    }
    if environment.remembered.baseline.as_ref() != baseline {
        fact.baseline = environment.baseline_key.clone().zip(baseline.cloned());
    }
    fact.ledger = counted
        .filter(|counted| counted.news)
        .map(|counted| counted.ledger.clone());
    let says = fact.environment_state.is_some() || fact.baseline.is_some() || fact.ledger.is_some();
    says.then_some(fact)
}

/// The newest that waits and may still run.
fn newest_waiting(contenders: &Contenders) -> Option<String> {
    let waits = contenders.iter().filter(|(_, contender)| {
        contender.phase == Phase::Waiting && matches!(contender.gate, Gate::Passes | Gate::Waits)
    });
    let newest = waits.filter_map(|(name, contender)| match contender.want {
        Want::Deploy(place) => Some((place, name)),
        Want::Rollback => None,
    });
    newest.max().map(|(_, name)| name.to_string())
}

fn give_nobody_the_turn(contenders: &mut Contenders) {
    for contender in contenders.values_mut() {
        if contender.phase == Phase::Waiting {
            contender.gate = Gate::Unknown;
        }
    }
}

/// Among changes that come in a crowd the newest runs, not the one that happens to be judged first: while a newer one
/// was never looked at, or is still to be made, none that is older begins.
fn let_the_newest_be_judged(environment: &Environment, contenders: &mut Contenders) {
    let unseen = |promotion: &&Arc<Promotion>| {
        let status = promotion.status.as_ref();
        // One that could not be judged says why: it keeps nobody waiting.
        status.is_none_or(|status| {
            let mut said = status.conditions.iter();
            status.judged_at.is_none() && said.all(|said| Reason::Progressing.is(&said.reason))
        })
    };
    let unseen = environment.siblings.iter().filter(unseen);
    let to_come = environment.arrived.iter().map(|arrival| Place {
        position: arrival.position,
        attempt: 1,
    });
    let newest = unseen
        .filter_map(|promotion| kept::place(&promotion.spec))
        .chain(to_come)
        .max();
    for contender in contenders.values_mut() {
        if let Want::Deploy(place) = contender.want
            && contender.phase == Phase::Waiting
            && newest.is_some_and(|newest| place < newest)
        {
            contender.gate = Gate::Unknown;
        }
    }
}

fn current(environment: &Environment, name: &str) -> Option<CurrentStatus> {
    let promotion = environment
        .siblings
        .iter()
        .find(|promotion| promotion.name_any() == name)?;
    let Found::Kept(kept) = kept::read(promotion.status.as_ref()) else {
        return None;
    };
    let subject = &kept.0.promotion.subject;
    Some(reading::current(
        &kept.0.promotion.name,
        subject.change.0,
        &subject.revision,
    ))
}
