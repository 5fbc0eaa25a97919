//! Decides, purely: which promotions are made, who has the turn, and what is remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::promotion::{Deploy, PolicyRef};
use lockstep_core::api::promotion_policy::{CurrentStatus, EnvironmentStatus};
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{CHANGED_BY, Promotion, PromotionPolicy, PromotionSpec, RETRY};
use lockstep_core::domain::defaults;
use lockstep_core::domain::promotion::arrivals::Arrival;
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use lockstep_core::domain::promotion::gate::range::Baseline;
use lockstep_core::domain::promotion::gate::rules::Rules;
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept::{self, Found};
use lockstep_core::domain::promotion::machine::queue::{self, Contenders, Want, Wishes};
use lockstep_core::domain::promotion::machine::state::Phase;
use lockstep_core::domain::promotion::machine::steps::Gate;
use lockstep_core::domain::promotion::proof::fact::{PolicyId, PromotionFact};

use super::gather::{Environment, Gathered};
use super::holds::{Approvals, Resumption, resumption};
use super::reading;

/// Promotions made in one pass; the others come with the next, a moment later.
const AT_ONCE: usize = 100;

/// What is to be written to the cluster.
pub struct Planned {
    /// What is remembered from now on, in the policy's order.
    pub environments: Vec<EnvironmentStatus>,
    pub rules: BTreeMap<String, Rules>,
    /// Promotions to make, oldest first.
    pub make: Vec<(String, PromotionSpec)>,
    /// Ended promotions beyond those that are kept.
    pub forget: Vec<String>,
    /// What the record is told before anything rests on it.
    pub facts: Vec<PromotionFact>,
    /// Holds, and who ends them.
    pub holds: Vec<Resumption>,
    /// More are to be made than one pass makes.
    pub more: bool,
}

/// Decides.
pub fn plan(object: &PromotionPolicy, gathered: &Gathered, now: Timestamp) -> Planned {
    let rules = gathered.rules.clone().unwrap_or_else(|| reading::rules(object));
    let mut planned = Planned {
        environments: Vec::new(),
        rules,
        make: Vec::new(),
        forget: Vec::new(),
        facts: Vec::new(),
        holds: Vec::new(),
        more: false,
    };
    let me = super::key(object);
    let approvals = Approvals {
        object: &me,
        all: &gathered.approvals,
        changed_by: object.annotations().get(CHANGED_BY).map(String::as_str),
        protected_since: gathered.protected_since,
        now,
    };
    let keep = gathered
        .policy
        .as_ref()
        .map_or(usize::MAX, |policy| policy.history.keep);
    for environment in &gathered.environments {
        let held = environment.remembered.environment.held.as_ref();
        let held = held.map(|hold| resumption(&approvals, &environment.name, hold));
        let wishes = Wishes {
            resume: held.as_ref().is_some_and(|held| held.approval.is_ok()),
            unexplained: None,
        };
        planned.holds.extend(held);
        let (row, fact) = remember(object, environment, &wishes, now);
        planned.environments.push(row);
        planned.facts.extend(fact);
        planned.make.extend(retried(object, environment));
        for arrival in environment.arrived.iter().take(AT_ONCE) {
            let name = super::gather::name(object, environment, arrival);
            planned.make.push((name, spec(object, environment, arrival)));
        }
        planned.more |= environment.arrived.len() > AT_ONCE;
        planned.forget.extend(forgotten(environment, keep));
    }
    planned
}

fn spec(object: &PromotionPolicy, environment: &Environment, arrival: &Arrival) -> PromotionSpec {
    let Arrival {
        change,
        own,
        deployed,
        position,
    } = arrival;
    PromotionSpec {
        policy_ref: PolicyRef {
            name: object.name_any(),
        },
        environment: environment.name.clone(),
        deploy: Some(Deploy {
            change: i64::try_from(change.0).unwrap_or(i64::MAX),
            revision: own.0.clone(),
            tip: (deployed != own).then(|| deployed.0.clone()),
            position: i64::try_from(*position).unwrap_or(i64::MAX),
            attempt: 1,
        }),
        rollback: None,
        override_: None,
    }
}

/// The next attempt of each promotion that a person wants tried again and that has ended.
fn retried(object: &PromotionPolicy, environment: &Environment) -> Vec<(String, PromotionSpec)> {
    let next = |promotion: &Arc<Promotion>| {
        let deploy = promotion.spec.deploy.as_ref()?;
        let contender = environment.contenders.get(&PromotionName(promotion.name_any()))?;
        let ended = matches!(contender.phase, Phase::Ended(_));
        if !ended || !promotion.annotations().contains_key(RETRY) {
            return None;
        }
        let attempt = deploy.attempt.checked_add(1)?;
        let name = PromotionName::of_deploy(
            &object.name_any(),
            &environment.name,
            ChangeNumber(u64::try_from(deploy.change).ok()?),
            &CommitId(deploy.revision.clone()),
            u32::try_from(attempt).ok()?,
        );
        let spec = PromotionSpec {
            deploy: Some(Deploy {
                attempt,
                ..deploy.clone()
            }),
            ..promotion.spec.clone()
        };
        let there = environment.contenders.contains_key(&name);
        (!there).then_some((name.0, spec))
    };
    environment.siblings.iter().filter_map(next).collect()
}

/// What the environment remembers from now on.
fn remember(
    object: &PromotionPolicy,
    environment: &Environment,
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
    if let Some(baseline) = &environment.baseline {
        row.baseline = Some(baseline.commit().0.clone());
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
    if defaults::policy_mode(&object.spec) != Mode::Enforce {
        give_nobody_the_turn(&mut contenders);
    }
    let next = environment.remembered.environment.next(&contenders, wishes);
    reading::write(&mut row, &next, now);
    row.next = newest_waiting(&environment.contenders);
    row.current = next
        .current
        .as_ref()
        .and_then(|name| current(environment, &name.0))
        .or(row.current);
    (row, fact(object, environment, next))
}

/// What is new about the environment.
fn fact(
    object: &PromotionPolicy,
    environment: &Environment,
    next: queue::Environment,
) -> Option<PromotionFact> {
    let policy = PolicyId {
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    };
    let mut fact = PromotionFact::about(policy, environment.name.clone());
    if next != environment.remembered.environment {
        fact.environment_state = Some(next);
    }
    if environment.remembered.baseline.is_none() {
        let baseline = environment
            .baseline
            .as_ref()
            .map(|baseline| baseline.commit().clone());
        fact.baseline = environment.baseline_key.clone().zip(baseline);
    }
    (fact.environment_state.is_some() || fact.baseline.is_some()).then_some(fact)
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

/// Ended promotions beyond the newest `keep`; never the one that runs, acts or holds the environment.
fn forgotten(environment: &Environment, keep: usize) -> Vec<String> {
    let remembered = &environment.remembered.environment;
    let held = remembered.held.as_ref().and_then(|held| held.promotion.as_ref());
    let needed = [remembered.acting.as_ref(), remembered.current.as_ref(), held];
    let mut ended: Vec<_> = environment
        .siblings
        .iter()
        .filter(|promotion| {
            let name = promotion.name_any();
            let ended = environment
                .contenders
                .iter()
                .any(|(known, contender)| known.0 == name && matches!(contender.phase, Phase::Ended(_)));
            ended && needed.iter().flatten().all(|needed| needed.0 != name)
        })
        .map(|promotion| (kept::place(&promotion.spec), promotion.name_any()))
        .collect();
    ended.sort();
    let beyond = ended.len().saturating_sub(keep);
    ended.into_iter().take(beyond).map(|(_, name)| name).collect()
}

/// Whether the policy names another baseline than the record.
pub fn moved_baselines(gathered: &Gathered) -> Vec<String> {
    let moved = |environment: &Environment| match &environment.baseline {
        Some(Baseline::Moved { recorded, declared }) => Some(format!(
            "environment {}: baseline {declared} is not the recorded {recorded}, which stands",
            environment.name
        )),
        _ => None,
    };
    gathered.environments.iter().filter_map(moved).collect()
}
