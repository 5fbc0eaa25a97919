//! Which gate judges: the one in force, until somebody says yes to a weaker one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::promotion_policy::{GateStatus, PlanSubject};
use lockstep_core::domain::promotion::gate::in_force::{Decided, InForce, decide};
use lockstep_core::domain::promotion::gate::rules::Rules;
use lockstep_core::domain::promotion::proof::fact::{GateFact, PromotionFact};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::approvals::{Approvals, Ask, Wanted};
use super::gather::{Environment, Gathered};
use super::plan::policy_id;
use super::reading;

/// Gates that a status keeps: those of environments that are gone as well, as long as there is room. The record has all.
const KEPT: usize = 32;

/// What judges from now on.
#[derive(Default)]
pub struct Gates {
    /// By environment.
    pub status: Option<GateStatus>,
    pub rules: BTreeMap<String, Rules>,
    /// What the record is told first.
    pub facts: Vec<PromotionFact>,
    /// What waits, or waited, for a person.
    pub ask: Option<Ask>,
}

/// The gate as the spec says.
fn declared(object: &PromotionPolicy, gathered: &Gathered, environment: &Environment) -> Option<InForce> {
    let spec = object.spec.environments.iter();
    let spec = spec.into_iter().find(|spec| spec.name == environment.name)?;
    let written = environment.written.as_ref().ok()?;
    Some(InForce {
        place: environment.baseline_key.clone()?,
        rules: gathered.rules.as_ref()?.get(&environment.name)?.clone(),
        windows: spec.windows.clone().unwrap_or_default(),
        on_unexplained: written.environment.on_unexplained,
    })
}

/// Decides.
pub fn gates(object: &PromotionPolicy, gathered: &Gathered, approvals: &Approvals<'_>) -> Gates {
    let mut decided: BTreeMap<&str, (Option<&InForce>, InForce, Decided)> = BTreeMap::new();
    for environment in &gathered.environments {
        // What cannot be read, or is about another place, is not replaced by anything.
        let before = match &environment.remembered.gate {
            Some(Err(_)) => continue,
            Some(Ok(gate)) => Some(gate),
            None => None,
        };
        let Some(declared) = declared(object, gathered, environment) else {
            continue;
        };
        if before.is_some_and(|before| before.place != declared.place) {
            continue;
        }
        let outcome = decide(before, &declared);
        decided.insert(&environment.name, (before, declared, outcome));
    }
    let ask = wanted(&decided).map(|wanted| approvals.ask(wanted));
    let approved = ask.as_ref().is_some_and(|ask| ask.approval.is_ok());
    let mut kept = reading::raw_gates(object);
    let since = since(object, gathered, approvals.now);
    let (mut facts, mut rules) = (Vec::new(), BTreeMap::new());
    for environment in &gathered.environments {
        let name = &environment.name;
        let before = environment
            .remembered
            .gate
            .as_ref()
            .and_then(|gate| gate.as_ref().ok());
        let in_force = match decided.remove(name.as_str()) {
            Some((_, declared, outcome)) if approved && !outcome.weakens.is_empty() => declared,
            Some((_, _, outcome)) => outcome.in_force,
            // As the record has it, where the status does not.
            None => match before {
                Some(before) => before.clone(),
                None => continue,
            },
        };
        kept.insert(name.clone(), json!(in_force));
        rules.insert(name.clone(), in_force.rules.clone());
        if before != Some(&in_force) {
            let mut fact = PromotionFact::about(policy_id(object), name.clone());
            fact.gate = Some(GateFact {
                namespace: object.namespace().unwrap_or_default(),
                gate: in_force,
                since,
            });
            facts.push(fact);
        }
    }
    Gates {
        status: status(bounded(kept, gathered), since),
        rules,
        facts,
        ask,
    }
}

/// Since when it matters by whose hand somebody came into a group: from the first gate on.
fn since(object: &PromotionPolicy, gathered: &Gathered, now: Timestamp) -> Timestamp {
    let known = object
        .status
        .as_ref()
        .and_then(|status| status.gate.as_ref()?.since);
    let recorded = gathered.environments.iter();
    let recorded = recorded.filter_map(|environment| environment.remembered.gate_since);
    known.into_iter().chain(recorded).min().unwrap_or(now)
}

/// The plan that adopts what the spec says; `None`: nothing of it is weaker.
fn wanted(decided: &BTreeMap<&str, (Option<&InForce>, InForce, Decided)>) -> Option<Wanted> {
    let mut effect = Map::new();
    let mut lines: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (name, (_, declared, outcome)) in decided {
        if outcome.weakens.is_empty() {
            continue;
        }
        let digests = json!({"from": outcome.in_force.digest(), "to": declared.digest()});
        effect.insert((*name).to_owned(), digests);
        for weakening in &outcome.weakens {
            lines.entry(weakening.to_string()).or_default().insert(*name);
        }
    }
    let lines: Vec<String> = lines
        .into_iter()
        .map(|(weakening, names)| {
            let names: Vec<&str> = names.into_iter().collect();
            format!("environment {}: {weakening}", names.join(", "))
        })
        .collect();
    (!lines.is_empty()).then(|| Wanted {
        subject: PlanSubject::WeakerGate,
        environment: None,
        effect: Value::Object(effect),
        message: format!(
            "the gate that is declared is weaker than the one in force, which goes on judging: {}",
            lines.join("; ")
        ),
        lines,
        interested: BTreeSet::new(),
    })
}

fn bounded(mut kept: Map<String, Value>, gathered: &Gathered) -> Map<String, Value> {
    let gone = |name: &&String| {
        gathered
            .environments
            .iter()
            .all(|environment| environment.name != **name)
    };
    while kept.len() > KEPT {
        let Some(name) = kept.keys().find(gone).cloned() else {
            break;
        };
        kept.remove(&name);
    }
    kept
}

fn status(gates: Map<String, Value>, since: Timestamp) -> Option<GateStatus> {
    if gates.is_empty() {
        return None;
    }
    let sorted: BTreeMap<String, Value> = gates.into_iter().collect();
    let value = json!(sorted);
    Some(GateStatus {
        digest: format!("sha256:{}", hex::encode(Sha256::digest(value.to_string()))),
        rules: Some(value),
        since: Some(since),
    })
}
