//! The way back to an earlier promotion that the record shows to have succeeded. Gerrit is not asked anything: it works
//! with Gerrit down.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion::Rollback;
use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::promotion::gate::evidence::TreeId;
use lockstep_core::domain::promotion::machine::attempt::{Cause, PromotionName, StepName, Subject};
use lockstep_core::domain::promotion::machine::kept::{self, Kept};
use lockstep_core::domain::promotion::machine::ready::Course;
use lockstep_core::domain::promotion::machine::rollback::{self, Move, Recorded, StepKind};
use lockstep_core::domain::promotion::machine::state::{Step, Words};
use lockstep_core::domain::promotion::policy::Recipe;

use super::super::Context;
use super::super::promotion_policy::reading::Declared;

/// What is needed to go back.
pub struct WayBack {
    recorded: Recorded,
    moves: BTreeMap<StepName, Move>,
}

/// Why it cannot be gone, for now or for good.
pub enum NoWay {
    Error(SystemError),
    Refused(Reason, String),
}

/// Finds it.
pub async fn find(
    wish: &Rollback,
    policy_uid: &str,
    declared: &Declared,
    context: &Context,
) -> Result<WayBack, NoWay> {
    let recipe = &declared.environment.recipe;
    let environment = &recipe.environment;
    let record = context
        .record
        .promotions_of(policy_uid, environment)
        .await
        .map_err(|error| NoWay::Refused(Reason::Progressing, error.to_string()))?;
    let to = PromotionName(wish.to.clone());
    let target = record.iter().filter(|recorded| recorded.promotion == to);
    let directories: BTreeSet<String> = target.filter_map(|recorded| recorded.directory.clone()).collect();
    let deployment = context
        .deployments
        .open(&recipe.databricks)
        .await
        .map_err(NoWay::Error)?;
    let standing = deployment.files().standing(&directories).await.ok();
    let plan = rollback::plan(&record, policy_uid, environment, &to, standing.as_ref());
    let plan = plan.map_err(|why| NoWay::Refused(Reason::Refused, why.to_string()))?;
    let known = |name: &StepName| recipe.steps.iter().any(|step| step.name == *name);
    if let Some((gone, _)) = plan.steps.iter().find(|(name, _)| !known(name)) {
        let message = format!(
            "spec.steps of the policy has no {gone} any more, which {to} had: name the step so again, or choose another promotion"
        );
        return Err(NoWay::Refused(Reason::InvalidSpec, message));
    }
    let recorded = record.into_iter().filter(|recorded| recorded.promotion == to);
    let recorded = recorded.max_by_key(|recorded| recorded.ended);
    let missing = || NoWay::Refused(Reason::NotFound, format!("the record knows no promotion {to}"));
    Ok(WayBack {
        recorded: recorded.ok_or_else(missing)?,
        moves: plan.steps.into_iter().collect(),
    })
}

impl WayBack {
    /// A promotion that goes it, and has not begun.
    pub fn begin(&self, name: PromotionName, uid: String, recipe: &Recipe) -> Kept {
        let Recorded {
            promotion: _,
            policy_uid,
            environment,
            change,
            revision,
            ended: _,
            succeeded: _,
            steps,
            directory: _,
        } = &self.recorded;
        let subject = Subject {
            policy_uid: policy_uid.clone(),
            environment: environment.clone(),
            change: *change,
            revision: revision.clone(),
            cause: Cause::Person { uid },
        };
        let moved = recipe
            .begin()
            .into_iter()
            .filter(|step| self.moves.contains_key(&step.name));
        let moved: Vec<Step> = moved.collect();
        let mut kept = kept::begun_from(name, subject, recipe.on_failure, moved);
        let standing = steps.iter().filter(|step| step.kind == StepKind::Files);
        kept.given = standing
            .map(|step| (step.name.clone(), step.outputs.clone()))
            .collect::<BTreeMap<_, Words>>();
        kept
    }

    /// Where its steps lead.
    pub fn course(&self, declared: &Declared) -> Course {
        Course {
            recipe: declared.environment.recipe.clone(),
            gerrit: declared.gerrit.clone(),
            on: declared.on.clone(),
            // No tree is uploaded on the way back.
            tree: TreeId(String::new()),
            back: Some(self.moves.clone()),
        }
    }
}
