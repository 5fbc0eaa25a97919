//! Decides, purely: which promotions are made, who has the turn, and what is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion::{Deploy, PolicyRef};
use lockstep_core::api::promotion_policy::{
    CurrentStatus, EnvironmentStatus, GateStatus, OnUnexplained, PlanSubject,
};
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{CHANGED_BY, Promotion, PromotionPolicy, PromotionSpec, RETRY};
use lockstep_core::domain::defaults;
use lockstep_core::domain::promotion::arrivals::Arrival;
use lockstep_core::domain::promotion::gate::break_glass;
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use lockstep_core::domain::promotion::gate::range::{Acceptance, Baseline};
use lockstep_core::domain::promotion::gate::rules::Rules;
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept::{self, Found};
use lockstep_core::domain::promotion::machine::queue::{self, Contenders, Hold, Place, Want, Wishes};
use lockstep_core::domain::promotion::machine::state::Phase;
use lockstep_core::domain::promotion::machine::steps::Gate;
use lockstep_core::domain::promotion::policy::claims::{Settled, settle};
use lockstep_core::domain::promotion::proof::fact::{PolicyId, PromotionFact};

use super::completeness::{self, Counted};
use super::directories::Old;
use super::gate::{self, Gates};
use super::gather::{Environment, Gathered};
use serde_json::json;

use super::asked::{Approvals, Ask, Wanted};
use super::reading;
use super::unexplained;
use super::unreviewed::{self, unreviewed};

/// Characters of a conflict that a status shows.
const CONFLICT: usize = 4_000;
/// Promotions made in one pass; the others come with the next, a moment later.
const AT_ONCE: usize = 100;

/// What is to be written to the cluster.
pub struct Planned {
    /// The gate that judges from now on.
    pub gate: Option<GateStatus>,
    /// What it asks, by environment.
    pub rules: BTreeMap<String, Rules>,
    /// What is remembered from now on, in the policy's order.
    pub environments: Vec<EnvironmentStatus>,
    /// Promotions to make, oldest first.
    pub make: Vec<(String, PromotionSpec)>,
    /// Ended promotions beyond those that are kept.
    pub forget: Vec<String>,
    /// What the record is told before anything rests on it.
    pub facts: Vec<PromotionFact>,
    /// What others aim at as well.
    pub conflicts: Conflicts,
    /// What people are asked, and what they said.
    pub asks: Vec<Ask>,
    /// Directories that nobody needs any more, by environment.
    pub old: Vec<(String, Old)>,
    /// Counts that are relied on, by environment.
    pub counted: Vec<(String, Counted)>,
    /// More are to be made than one pass makes.
    pub more: bool,
}

/// Decides.
pub fn plan(object: &PromotionPolicy, gathered: &Gathered, now: Timestamp) -> Planned {
    let mut planned = Planned {
        gate: None,
        rules: BTreeMap::new(),
        environments: Vec::new(),
        conflicts: Conflicts::default(),
        make: Vec::new(),
        forget: Vec::new(),
        facts: Vec::new(),
        asks: Vec::new(),
        old: Vec::new(),
        counted: Vec::new(),
        more: false,
    };
    if gathered.policy.is_err() {
        // What is remembered outlives a spec that nobody understands.
        let status = object.status.as_ref();
        let rows = status.and_then(|status| status.environments.clone());
        planned.environments = rows.unwrap_or_default();
    }
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
        let (counted, wishes) = count(environment, &approvals, &mut planned);
        let settled = environment.claims.as_ref().map(|claims| {
            settle(
                &claims.own,
                &claims.held,
                claims.takes,
                &claims.order,
                &claims.rivals,
            )
        });
        let kept = settled.iter().flat_map(|settled| settled.kept.iter().cloned());
        planned.conflicts.kept.extend(kept);
        let moved = moved(environment).map(|wanted| approvals.ask(wanted));
        let moves = moved.as_ref().is_some_and(|ask| ask.approval.is_ok());
        planned.asks.extend(moved);
        let (mut row, fact) = remember(
            object,
            environment,
            counted.as_ref(),
            settled,
            moves,
            &wishes,
            now,
        );
        planned.old.extend(
            counted
                .as_ref()
                .and_then(|counted| old(object, environment, counted)),
        );
        planned
            .counted
            .extend(counted.map(|counted| (environment.name.clone(), counted)));
        if let Some(why) = &row.conflict {
            planned
                .conflicts
                .lost
                .push(format!("environment {}: {why}", environment.name));
        }
        let accepted = accept(object, environment, &approvals, &mut planned);
        row.accepted = unreviewed::rows(&accepted);
        let found = unreviewed(environment);
        row.unexplained_commits = found
            .as_ref()
            .map(|found| found.names(&accepted))
            .unwrap_or_default();
        let again = found.and_then(|found| found.to_judge_again(&accepted));
        planned.environments.push(row);
        planned.facts.extend(fact);
        planned.make.extend(retried(object, environment, again));
        for arrival in environment.arrived.iter().take(AT_ONCE) {
            let name = super::gather::name(object, environment, arrival);
            planned.make.push((name, spec(object, environment, arrival)));
        }
        planned.more |= environment.arrived.len() > AT_ONCE;
        planned.forget.extend(forgotten(environment, keep));
    }
    let gates = gate::gates(object, gathered, &approvals);
    let Gates {
        status,
        rules,
        facts,
        ask,
    } = gates;
    planned.gate = status;
    planned.rules = rules;
    planned.facts.extend(facts);
    planned.asks.extend(ask);
    planned
}

/// The count, with what a person has accepted of it, and what people and the count want of the environment.
fn count(
    environment: &Environment,
    approvals: &Approvals<'_>,
    planned: &mut Planned,
) -> (Option<Counted>, Wishes) {
    let hold = environment.remembered.environment.held.as_ref();
    let mut counted = environment.counted.clone();
    let strange = counted
        .as_ref()
        .and_then(|counted| unexplained::wanted(&environment.name, &counted.ledger));
    let strange = strange.map(|wanted| approvals.ask(wanted));
    // One plan is enough for what is held because of them.
    let held = hold.filter(|hold| strange.is_none() || !unexplained::is_held_for_it(Some(hold)));
    let held = held.map(|hold| approvals.ask(resumption(&environment.name, hold)));
    let declared = environment.declared.as_ref();
    let on = declared.map_or(OnUnexplained::Hold, |declared| {
        declared.environment.on_unexplained
    });
    let mut wishes = unexplained::wishes(
        strange.as_ref(),
        hold,
        on,
        counted.as_ref().map(|counted| &counted.ledger),
    );
    wishes.resume |= held.as_ref().is_some_and(|held| held.approval.is_ok());
    if let (Some(counted), Some(Ok(_))) = (&mut counted, strange.as_ref().map(|ask| &ask.approval)) {
        counted.acknowledge();
    }
    planned.asks.extend(held.into_iter().chain(strange));
    planned.more |= counted.as_ref().is_some_and(|counted| counted.more);
    (counted, wishes)
}

/// Directories that go, unless nothing is to be written outside.
fn old(object: &PromotionPolicy, environment: &Environment, counted: &Counted) -> Option<(String, Old)> {
    let declared = environment.declared.as_ref().ok()?;
    let enforces = defaults::policy_mode(&object.spec) == Mode::Enforce;
    (enforces && !counted.old.is_empty()).then(|| {
        let old = Old {
            databricks: declared.environment.recipe.databricks.clone(),
            directories: counted.old.clone(),
        };
        (environment.name.clone(), old)
    })
}

/// What is aimed at by others too, in sentences.
#[derive(Default)]
pub struct Conflicts {
    /// Another has it: nothing runs.
    pub lost: Vec<String>,
    /// This policy has it.
    pub kept: Vec<String>,
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

/// What ends a hold.
fn resumption(environment: &str, hold: &Hold) -> Wanted {
    Wanted {
        subject: PlanSubject::Resume,
        environment: Some(environment.to_owned()),
        effect: json!({"hold": hold}),
        message: format!("environment {environment} is held: {}", hold.reason),
        lines: vec![format!("let environment {environment} go on: {}", hold.reason)],
        interested: BTreeSet::new(),
    }
}

/// Asks for what nobody accounts for; the commits that are accepted from now on.
fn accept(
    object: &PromotionPolicy,
    environment: &Environment,
    approvals: &Approvals<'_>,
    planned: &mut Planned,
) -> BTreeMap<CommitId, Acceptance> {
    let mut accepted = environment.remembered.accepted.clone();
    let Some(found) = unreviewed(environment) else {
        return accepted;
    };
    let Some(wanted) = found.plan(environment) else {
        return accepted;
    };
    let ask = approvals.ask(wanted);
    let new = unreviewed::accepted(&ask, &found, environment, approvals.now);
    planned.asks.push(ask);
    if !new.is_empty() {
        let mut fact = PromotionFact::about(policy_id(object), environment.name.clone());
        fact.accepted.clone_from(&new);
        planned.facts.push(fact);
    }
    accepted.extend(new);
    accepted
}

/// The next attempt of each promotion that has ended and that a person wants tried again, or of which a person has
/// accepted what stopped it.
fn retried(
    object: &PromotionPolicy,
    environment: &Environment,
    again: Option<&Promotion>,
) -> Vec<(String, PromotionSpec)> {
    let next = |promotion: &Arc<Promotion>| {
        let deploy = promotion.spec.deploy.as_ref()?;
        let contender = environment.contenders.get(&PromotionName(promotion.name_any()))?;
        let ended = matches!(contender.phase, Phase::Ended(_));
        let accepted = again.is_some_and(|again| again.name_any() == promotion.name_any());
        if !ended || !(accepted || promotion.annotations().contains_key(RETRY)) {
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

pub(super) fn policy_id(object: &PromotionPolicy) -> PolicyId {
    PolicyId {
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    }
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

/// Ended promotions beyond the newest `keep`; never the one that runs, acts or holds the environment.
fn forgotten(environment: &Environment, keep: usize) -> Vec<String> {
    let remembered = &environment.remembered.environment;
    let held = remembered.held.as_ref().and_then(|held| held.promotion.as_ref());
    let needed = [remembered.acting.as_ref(), remembered.current.as_ref(), held];
    let mut ended: Vec<_> = environment
        .siblings
        .iter()
        .filter(|promotion| {
            let name = PromotionName(promotion.name_any());
            let contender = environment.contenders.get(&name);
            let ended = contender.is_some_and(|contender| matches!(contender.phase, Phase::Ended(_)));
            (ended || break_glass::is_over(promotion))
                && needed.iter().flatten().all(|needed| **needed != name)
        })
        .map(|promotion| (kept::place(&promotion.spec), promotion.name_any()))
        .collect();
    ended.sort();
    let beyond = ended.len().saturating_sub(keep);
    ended.into_iter().take(beyond).map(|(_, name)| name).collect()
}

/// What moves a baseline to where the policy says.
fn moved(environment: &Environment) -> Option<Wanted> {
    let Some(Baseline::Moved { recorded, declared }) = &environment.baseline else {
        return None;
    };
    environment.moved.as_ref()?;
    let name = &environment.name;
    Some(Wanted {
        subject: PlanSubject::MovedBaseline,
        environment: Some(name.clone()),
        effect: json!({"of": environment.baseline_key, "from": recorded, "to": declared}),
        message: format!(
            "environment {name}: baseline {declared} is not the recorded {recorded}, which stands"
        ),
        lines: vec![format!(
            "let the history that must be explained begin at {declared} and no longer at {recorded}"
        )],
        interested: BTreeSet::new(),
    })
}
