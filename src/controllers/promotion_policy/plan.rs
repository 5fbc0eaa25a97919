//! Decides, purely: what people are asked and have said, which promotions are made (`made`), who has the turn and what is
//! remembered (`turn`).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::promotion_policy::{EnvironmentStatus, GateStatus, OnUnexplained, PlanSubject};
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{CHANGED_BY, PromotionPolicy, PromotionSpec};
use lockstep_core::domain::defaults;
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::gate::range::{Acceptance, Baseline};
use lockstep_core::domain::promotion::gate::rules::Rules;
use lockstep_core::domain::promotion::machine::queue::{Hold, Wishes};
use lockstep_core::domain::promotion::policy::claims::settle;
use lockstep_core::domain::promotion::proof::fact::{PolicyId, PromotionFact};
use serde_json::json;

use super::approvals::{Approvals, Ask, Wanted};
use super::completeness::Counted;
use super::directories::Old;
use super::gate::{self, Gates};
use super::gather::{Environment, Gathered};
use super::made::{forgotten, retried, spec};
use super::turn::remember;
use super::unexplained;
use super::unreviewed::{self, unreviewed};

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

pub(super) fn policy_id(object: &PromotionPolicy) -> PolicyId {
    PolicyId {
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    }
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
