//! A promotion as its status keeps it, in the words of the record: steps, what they left, and the directory of its code.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use lockstep_core::api::{Promotion, PromotionPolicy};
use lockstep_core::domain::defaults;
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept::{self, Found};
use lockstep_core::domain::promotion::machine::rollback::{Recorded, RecordedStep, disposable};
use lockstep_core::domain::promotion::machine::state::{End, Phase};
use lockstep_core::domain::promotion::ports::deployments::words;

use super::{Sight, row};

/// A success as the record has it, where the status still says so.
pub(super) fn recorded(promotion: &Promotion) -> Option<Recorded> {
    let Found::Kept(found) = kept::read(promotion.status.as_ref()) else {
        return None;
    };
    let (kept, course) = *found;
    if kept.promotion.phase != Phase::Ended(End::Succeeded) {
        return None;
    }
    let outputs = kept.outputs();
    let taken = course.iter().flat_map(|course| &course.recipe.steps);
    let steps = taken.filter_map(|step| {
        Some(RecordedStep {
            name: step.name.clone(),
            kind: step.action.kind(),
            on_rollback: step.action.on_rollback(),
            outputs: outputs.get(&step.name)?.clone(),
        })
    });
    let directories = outputs.values().filter_map(|left| left.get(words::DIRECTORY));
    Some(Recorded {
        promotion: PromotionName(promotion.name_any()),
        policy_uid: kept.promotion.subject.policy_uid.clone(),
        environment: promotion.spec.environment.clone(),
        change: kept.promotion.subject.change,
        revision: kept.promotion.subject.revision.clone(),
        ended: kept.ended?,
        succeeded: true,
        directory: directories.cloned().next_back(),
        steps: steps.collect(),
    })
}

/// Promotions of a policy whose directory of code is beyond those that are kept: no way leads back to them.
pub(super) fn beyond(policy: &PromotionPolicy, sight: &Sight) -> BTreeSet<String> {
    let keep = defaults::history(policy.spec.history.as_ref()).directories;
    let mut beyond = BTreeSet::new();
    for environment in &policy.spec.environments {
        let record: Vec<Recorded> = sight
            .of(policy)
            .filter(|promotion| promotion.spec.environment == environment.name)
            .filter_map(recorded)
            .collect();
        let remembered = row(policy, &environment.name);
        let in_use = remembered.into_iter().flat_map(|row| {
            [
                row.current.as_ref().map(|current| &current.promotion),
                row.acting.as_ref(),
                row.held.as_ref().and_then(|held| held.promotion.as_ref()),
            ]
        });
        let in_use = in_use.flatten().map(|name| PromotionName(name.clone())).collect();
        let gone = disposable(&record, keep, &in_use);
        let of_gone = record.iter().filter(|recorded| {
            let directory = recorded.directory.as_ref();
            directory.is_some_and(|directory| gone.contains(directory))
        });
        beyond.extend(of_gone.map(|recorded| recorded.promotion.0.clone()));
    }
    beyond
}
