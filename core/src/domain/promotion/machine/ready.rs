//! One step made ready: everything its policy wrote, expressions replaced and outputs of earlier steps put in. What an
//! earlier step should have left and did not is a failure that names it, never an empty string.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::attempt::{PromotionName, StepName};
use super::rollback::Move;
use super::state::{Failure, FailureKind, Words};
use crate::domain::ports::ConnectionKey;
use crate::domain::promotion::code::definition;
use crate::domain::promotion::code::sources::Frame;
use crate::domain::promotion::expressions::{Values, expand};
use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId, TreeId};
use crate::domain::promotion::policy::{Action, Job, Recipe, Step};
use crate::domain::promotion::ports::deployments::{AliasStep, EndpointStep, FilesStep, JobStep, words};
use crate::domain::promotion::ports::reviews::Watched;

/// Where and as whom a promotion's steps run, as the policy said when it began: later edits concern later promotions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Course {
    pub recipe: Recipe,
    pub gerrit: ConnectionKey,
    /// The branch whose commits are deployed.
    pub on: Watched,
    pub tree: TreeId,
    /// What each step does instead, in a rollback; `None`: it is a deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<BTreeMap<StepName, Move>>,
}

/// One promotion as its steps see it.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    pub promotion: &'a PromotionName,
    pub environment: &'a str,
    pub change: ChangeNumber,
    pub revision: &'a CommitId,
    pub course: &'a Course,
    /// What the steps before have left, by name.
    pub outputs: &'a BTreeMap<StepName, Words>,
}

/// A step that can act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ready {
    Files(FilesStep),
    Job(JobStep),
    ModelAlias(AliasStep),
    ServingEndpoint(EndpointStep),
}

/// What must be read before a step can be made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// The text of this file of the deployed commit.
    Definition(String),
    /// The one version of this model that the run of a job step made.
    VersionOf {
        step: StepName,
        model: String,
    },
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Nothing,
    Definition(String),
    Version(u64),
}

impl Setting<'_> {
    fn values(&self) -> Values<'_> {
        Values {
            revision: self.revision,
            change: self.change,
            environment: self.environment,
            variables: &self.course.recipe.variables,
        }
    }

    fn expand(&self, text: &str) -> Result<String, Failure> {
        expand(text, &self.values()).map_err(|error| refused(error.to_string()))
    }

    /// The directory that a files step before has left, if there was one.
    fn directory(&self) -> Option<&str> {
        let of = |step: &Step| {
            let Action::Files { .. } = step.action else {
                return None;
            };
            self.outputs
                .get(&step.name)?
                .get(words::DIRECTORY)
                .map(String::as_str)
        };
        self.course.recipe.steps.iter().rev().find_map(of)
    }

    /// Whether a version is the one that a job's run made.
    fn is_from_job(&self, from: &StepName) -> bool {
        let found = self.course.recipe.steps.iter().find(|step| step.name == *from);
        found.is_some_and(|step| matches!(step.action, Action::Job(_)))
    }

    /// What a rollback does with the step.
    fn moved(&self, step: &Step) -> Option<&Move> {
        self.course.back.as_ref()?.get(&step.name)
    }

    /// What must be read before this step can be made ready.
    pub fn needs(&self, step: &Step) -> Result<Needs, Failure> {
        if self.moved(step).is_some() {
            return Ok(Needs::Nothing);
        }
        Ok(match &step.action {
            Action::Files { .. } => Needs::Nothing,
            Action::Job(job) => job.definition.clone().map_or(Needs::Nothing, Needs::Definition),
            Action::ModelAlias { model, from_step, .. }
            | Action::ServingEndpoint {
                entity: model,
                from_step,
                ..
            } if self.is_from_job(from_step) => Needs::VersionOf {
                step: from_step.clone(),
                model: self.expand(model)?,
            },
            Action::ModelAlias { .. } | Action::ServingEndpoint { .. } => Needs::Nothing,
        })
    }

    /// The step with everything it needs.
    pub fn ready(&self, step: &Step, read: &Read) -> Result<Ready, Failure> {
        let moved = self.moved(step);
        Ok(match &step.action {
            Action::Files { path } => Ready::Files(FilesStep {
                directory: self.expand(path)?,
                revision: self.revision.clone(),
                tree: self.course.tree.clone(),
            }),
            Action::Job(job) => Ready::Job(self.job(&step.name, job, read, moved)?),
            Action::ModelAlias {
                model,
                alias,
                from_step,
            } => Ready::ModelAlias(AliasStep {
                model: self.expand(model)?,
                alias: alias.clone(),
                version: self.version(&step.name, from_step, read, moved)?,
            }),
            Action::ServingEndpoint {
                name,
                served_entity,
                entity,
                from_step,
                traffic,
            } => Ready::ServingEndpoint(EndpointStep {
                name: self.expand(name)?,
                served_entity: served_entity.clone(),
                entity: self.expand(entity)?,
                version: self.version(&step.name, from_step, read, moved)?,
                traffic: *traffic,
                config: moved.map_or(Ok(None), |way| recorded(&step.name, way.outputs(), words::CONFIG))?,
            }),
        })
    }

    fn version(
        &self,
        step: &StepName,
        from: &StepName,
        read: &Read,
        moved: Option<&Move>,
    ) -> Result<u64, Failure> {
        let left = match (moved, read) {
            (Some(way), _) => Some(way.outputs()),
            (None, Read::Version(version)) => return Ok(*version),
            (None, Read::Nothing | Read::Definition(_)) => self.outputs.get(from),
        };
        let version = left.and_then(|words| words.get(words::VERSION)?.parse().ok());
        version.ok_or_else(|| refused(format!("step {step}: step {from} has left no version of a model")))
    }

    fn job(&self, step: &StepName, job: &Job, read: &Read, moved: Option<&Move>) -> Result<JobStep, Failure> {
        let name = self.expand(&job.name)?;
        let frame = Frame {
            name: &name,
            run_as: &self.course.recipe.run_as,
            revision: self.revision,
            directory: self.directory(),
        };
        let settings = match (moved, &job.definition, read) {
            (Some(way), ..) => recorded(step, way.outputs(), words::SETTINGS)?,
            (None, Some(path), Read::Definition(text)) => {
                Some(definition::settings(path, text, &self.values(), &frame)?)
            }
            (None, Some(path), Read::Nothing | Read::Version(_)) => {
                return Err(refused(format!("step {step}: {path} was not read")));
            }
            (None, None, _) => None,
        };
        let parameters = job.parameters.iter();
        let parameters = parameters.map(|(name, text)| Ok((name.clone(), self.expand(text)?)));
        Ok(JobStep {
            pinned: None,
            settings,
            run_as: self.course.recipe.run_as.clone(),
            directory: self.directory().map(str::to_owned),
            revision: self.revision.clone(),
            parameters: parameters.collect::<Result<_, Failure>>()?,
            run: match moved {
                Some(Move::Repoint(_)) => false,
                Some(Move::RepointAndRun(_)) => true,
                None => job.run,
            },
            accept_failures: job.accept_failures,
            name,
        })
    }
}

fn refused(message: String) -> Failure {
    Failure::new(FailureKind::Refused, message)
}

fn recorded(step: &StepName, left: &Words, word: &str) -> Result<Option<Value>, Failure> {
    let Some(text) = left.get(word).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let value = serde_json::from_str(text);
    value.map(Some).map_err(|error| {
        refused(format!(
            "step {step}: the record's {word} cannot be read: {error}"
        ))
    })
}

#[cfg(test)]
#[path = "ready_tests.rs"]
mod tests;
