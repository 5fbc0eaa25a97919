//! What cancelling a promotion, trying it again or breaking the glass for it would do, in sentences for whoever is about
//! to; and why it makes no sense, where it makes none.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use lockstep_core::api::promotion::{OverridableFinding, Override, PolicyRef, PromotionPhase};
use lockstep_core::api::{CANCEL, Promotion, PromotionPolicy, PromotionSpec};
use lockstep_core::domain::promotion::gate::break_glass::{AFTER_REVIEW, APPROVERS};
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept::{self, Found};
use lockstep_core::domain::promotion::machine::state::{OnFailure, Phase, StepState};

use super::{Sight, has_ended, phase, row};

/// The finding as the gate spells it.
fn spelled(finding: OverridableFinding) -> String {
    format!("{finding:?}")
}

/// Every finding that can be lifted.
pub const OVERRIDABLE: [OverridableFinding; 4] = [
    OverridableFinding::OutsideWindow,
    OverridableFinding::Soaking,
    OverridableFinding::UpstreamMissing,
    OverridableFinding::Frozen,
];

/// Reads a finding that can be lifted, in any case of letters.
pub fn overridable(text: &str) -> Result<OverridableFinding, String> {
    let found = OVERRIDABLE
        .into_iter()
        .find(|finding| spelled(*finding).eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let all: Vec<String> = OVERRIDABLE.into_iter().map(spelled).collect();
        format!("only what asks to wait can be lifted: {}", all.join(", "))
    })
}

/// What becomes of a promotion that is cancelled now.
pub fn cancelling(promotion: &Promotion) -> Result<Vec<String>, String> {
    let name = promotion.name_any();
    if promotion.annotations().contains_key(CANCEL) {
        return Err(format!(
            "promotion {name} was asked to stop already: the operator takes it from here"
        ));
    }
    let found = match kept::read(promotion.status.as_ref()) {
        Found::Kept(found) => found.0,
        Found::Nothing => return waiting_or_ended(promotion),
        Found::Unreadable(why) => {
            return Err(format!(
                "what the operator keeps of promotion {name} cannot be read by this version ({why}): use the operator's own"
            ));
        }
    };
    let machine = &found.promotion;
    match &machine.phase {
        Phase::Waiting => Ok(vec![NEVER_BEGINS.to_owned()]),
        Phase::Ended(_) => waiting_or_ended(promotion),
        Phase::Undoing(_) => Err(format!(
            "promotion {name} goes back already: there is nothing left to cancel"
        )),
        Phase::Running => {
            let names = |is: fn(&StepState) -> bool| {
                let steps = machine.steps.iter().filter(|step| is(&step.state));
                steps.map(|step| step.name.to_string()).collect::<Vec<_>>()
            };
            let mut told = Vec::new();
            let acting =
                names(|state| matches!(state, StepState::Acting { .. } | StepState::Stopping { .. }));
            if !acting.is_empty() {
                told.push(format!(
                    "step {} is stopped; a run is cancelled",
                    acting.join(", ")
                ));
            }
            let done = names(|state| *state == StepState::Done);
            let mut touched = done;
            touched.extend(acting);
            told.push(match (machine.on_failure, touched.is_empty()) {
                (_, true) => "no step has begun: nothing has to be undone".to_owned(),
                (OnFailure::Rollback, false) => {
                    touched.reverse();
                    format!("what was done is undone, last step first: {}", touched.join(", "))
                }
                (OnFailure::Hold, false) => {
                    format!(
                        "onFailure is Hold: what was done stays as it is: {}",
                        touched.join(", ")
                    )
                }
            });
            told.push(format!(
                "environment {} is held until a person resumes it",
                promotion.spec.environment
            ));
            Ok(told)
        }
    }
}

const NEVER_BEGINS: &str = "it never begins; nothing was done yet";

fn waiting_or_ended(promotion: &Promotion) -> Result<Vec<String>, String> {
    match phase(promotion) {
        Some(ended) if has_ended(ended) => Err(format!(
            "promotion {} has ended ({ended:?}): there is nothing to cancel{}",
            promotion.name_any(),
            if ended == PromotionPhase::Succeeded {
                "; to take it back, roll back to an earlier one"
            } else {
                ""
            }
        )),
        _ => Ok(vec![NEVER_BEGINS.to_owned()]),
    }
}

/// What another try of a promotion is.
pub fn retrying(
    sight: &Sight,
    policy: Option<&PromotionPolicy>,
    promotion: &Promotion,
) -> Result<Vec<String>, String> {
    let name = promotion.name_any();
    let Some(deploy) = &promotion.spec.deploy else {
        return Err(format!(
            "promotion {name} is no deploy, and only those have further attempts: make another rollback or override"
        ));
    };
    let Some(ended) = phase(promotion).filter(|phase| has_ended(*phase)) else {
        return Err(format!("promotion {name} has not ended: cancel it first"));
    };
    let policy = policy.ok_or_else(|| {
        format!(
            "PromotionPolicy {} is gone: nobody would make another attempt",
            promotion.spec.policy_ref.name
        )
    })?;
    let environment = &promotion.spec.environment;
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    let next = PromotionName::of_deploy(
        &promotion.spec.policy_ref.name,
        environment,
        ChangeNumber(number(deploy.change)),
        &CommitId(deploy.revision.clone()),
        u32::try_from(deploy.attempt)
            .unwrap_or_default()
            .saturating_add(1),
    );
    if sight.of(policy).any(|other| other.name_any() == next.0) {
        return Err(format!(
            "promotion {name} was tried again already: retry {next} instead"
        ));
    }
    let mut told = vec![format!(
        "the operator makes promotion {next}, which is judged anew"
    )];
    let remembered = row(policy, environment);
    let place = (deploy.position, i64::from(deploy.attempt) + 1);
    let newer = remembered
        .and_then(|row| row.reached.as_ref())
        .filter(|reached| (reached.position, reached.attempt) >= place);
    if let Some(newer) = newer {
        told.push(format!(
            "it will not run: {} is newer and has had the turn; roll back if you want to go back",
            newer.promotion
        ));
    } else if let Some(held) = remembered.and_then(|row| row.held.as_ref()) {
        told.push(format!(
            "it waits until a person resumes environment {environment}, which is held: {}",
            held.reason
        ));
    }
    if ended == PromotionPhase::Succeeded {
        told.push("the last attempt succeeded: the same commit is deployed once more".to_owned());
    }
    Ok(told)
}

/// What breaking the glass for a promotion would do.
pub fn overriding(
    promotion: &Promotion,
    lifted: &BTreeSet<OverridableFinding>,
) -> Result<Vec<String>, String> {
    let name = promotion.name_any();
    if promotion.spec.deploy.is_none() {
        return Err(format!(
            "promotion {name} is no deploy: only one that brings what merged can be lifted over its findings"
        ));
    }
    if let Some(ended) = phase(promotion).filter(|phase| has_ended(*phase)) {
        return Err(format!(
            "promotion {name} has ended ({ended:?}): only one that waits can be lifted"
        ));
    }
    if let Some(acts @ (PromotionPhase::Running | PromotionPhase::Undoing)) = phase(promotion) {
        return Err(format!(
            "promotion {name} is {acts:?}: it does not wait for anything that could be lifted"
        ));
    }
    let verdict = promotion
        .status
        .as_ref()
        .and_then(|status| status.verdict.as_ref());
    let found: Vec<(&str, &str)> = verdict
        .into_iter()
        .flat_map(|verdict| &verdict.findings)
        .map(|finding| (finding.kind.as_str(), finding.message.as_str()))
        .collect();
    let named: BTreeSet<String> = lifted.iter().copied().map(spelled).collect();
    let never: Vec<String> = found
        .iter()
        .filter(|(kind, _)| overridable(kind).is_err())
        .map(|(kind, message)| format!("{kind}: {message}"))
        .collect();
    if !never.is_empty() {
        return Err(format!(
            "promotion {name} cannot be lifted, because of what nobody can lift: {}",
            never.join("; ")
        ));
    }
    let mut told = Vec::new();
    for (kind, message) in &found {
        if named.contains(*kind) {
            told.push(format!("lifts {kind}: {message}"));
        } else {
            told.push(format!(
                "does not lift {kind}, for which it goes on waiting: {message}"
            ));
        }
    }
    let absent: Vec<String> = named
        .iter()
        .filter(|name| found.iter().all(|(kind, _)| kind != name))
        .cloned()
        .collect();
    if !absent.is_empty() {
        told.push(format!("{} does not keep it now", absent.join(", ")));
    }
    told.push(format!(
        "{APPROVERS} people other than you must approve, each under their own name"
    ));
    told.push(format!(
        "a third must look at it within {AFTER_REVIEW} hours after its end"
    ));
    Ok(told)
}

/// What is asked for.
pub fn override_of(
    promotion: &Promotion,
    lifted: &BTreeSet<OverridableFinding>,
    reason: &str,
) -> PromotionSpec {
    PromotionSpec {
        policy_ref: PolicyRef {
            name: promotion.spec.policy_ref.name.clone(),
        },
        environment: promotion.spec.environment.clone(),
        deploy: None,
        rollback: None,
        override_: Some(Override {
            promotion: promotion.name_any(),
            findings: lifted.iter().copied().collect(),
            reason: reason.to_owned(),
        }),
    }
}

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;
