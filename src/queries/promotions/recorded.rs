//! A promotion as its status keeps it, in the words of the record: steps, what they left, and the directory of its code.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use lockstep_core::api::{Promotion, PromotionPolicy};
use lockstep_core::domain::defaults;
use lockstep_core::domain::promotion::attempt::{PromotionName, StepName};
use lockstep_core::domain::promotion::deploy_ports::words;
use lockstep_core::domain::promotion::kept::{self, Found};
use lockstep_core::domain::promotion::policy::Action;
use lockstep_core::domain::promotion::ready::Course;
use lockstep_core::domain::promotion::rollback::{OnRollback, Recorded, RecordedStep, StepKind, disposable};
use lockstep_core::domain::promotion::state::{End, Phase, Step};

use super::{Sight, row};

/// What its steps were, where the status still says so; `None`: it has not ended, or nobody can read it.
pub(super) fn recorded(promotion: &Promotion) -> Option<Recorded> {
    let Found::Kept(found) = kept::read(promotion.status.as_ref()) else {
        return None;
    };
    let (kept, course) = *found;
    let Phase::Ended(end) = &kept.promotion.phase else {
        return None;
    };
    let steps = kept.promotion.steps.iter();
    let directory = |step: &Step| step.outputs.get(words::DIRECTORY).cloned();
    Some(Recorded {
        promotion: PromotionName(promotion.name_any()),
        policy_uid: kept.promotion.subject.policy_uid.clone(),
        environment: promotion.spec.environment.clone(),
        change: kept.promotion.subject.change,
        revision: kept.promotion.subject.revision.clone(),
        ended: kept.ended?,
        succeeded: *end == End::Succeeded,
        directory: kept.promotion.steps.iter().find_map(directory),
        steps: steps.filter_map(|step| recorded_step(step, course.as_ref())).collect(),
    })
}

fn recorded_step(step: &Step, course: Option<&Course>) -> Option<RecordedStep> {
    let action = action(&step.name, course)?;
    let (kind, on_rollback) = match action {
        Action::Files { .. } => (StepKind::Files, OnRollback::Skip),
        Action::Job(job) => (StepKind::Job, job.on_rollback),
        Action::ModelAlias { .. } => (StepKind::ModelAlias, OnRollback::Skip),
        Action::ServingEndpoint { .. } => (StepKind::ServingEndpoint, OnRollback::Skip),
    };
    Some(RecordedStep {
        name: step.name.clone(),
        kind,
        on_rollback,
        outputs: step.outputs.clone(),
    })
}

fn action<'a>(name: &StepName, course: Option<&'a Course>) -> Option<&'a Action> {
    let steps = &course?.recipe.steps;
    Some(&steps.iter().find(|step| step.name == *name)?.action)
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
