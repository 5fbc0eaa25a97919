//! One step made ready: everything its policy wrote, expressions replaced and outputs of earlier steps put in. What an
//! earlier step should have left and did not is a failure that names it, never an empty string.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::attempt::{PromotionName, StepName};
use super::definition;
use super::deploy_ports::{AliasStep, EndpointStep, FilesStep, JobStep, words};
use super::evidence::{ChangeNumber, CommitId, TreeId};
use super::expressions::{Values, expand};
use super::ports::Watched;
use super::rollback::{Move, OnRollback, StepKind};
use super::sources::Frame;
use super::state::{Failure, FailureKind, Words};
use crate::api::promotion_step::{self, PolicyStep};
use crate::domain::ports::{ConnectionKey, ConnectionKind};

/// Where and as whom a promotion's steps run, as the policy said when it began: later edits concern later promotions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Course {
    pub steps: Vec<PolicyStep>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Application id of the identity that everything runs as.
    pub run_as: String,
    /// The branch whose commits are deployed.
    pub on: Watched,
    pub gerrit: Way,
    pub databricks: Way,
    pub tree: TreeId,
    /// What each step does instead, in a rollback; `None`: it is a deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<BTreeMap<StepName, Move>>,
}

/// The connection to a system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Way {
    pub namespace: String,
    pub name: String,
}

impl Way {
    pub fn key(&self, kind: ConnectionKind) -> ConnectionKey {
        ConnectionKey {
            kind,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl From<ConnectionKey> for Way {
    fn from(key: ConnectionKey) -> Self {
        let ConnectionKey { kind: _, namespace, name } = key;
        Self { namespace, name }
    }
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
    VersionOf { step: StepName, model: String },
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Nothing,
    Definition(String),
    Version(u64),
}

/// What a step does.
pub fn kind(step: &PolicyStep) -> Option<StepKind> {
    let PolicyStep {
        name: _,
        files,
        job,
        model_alias,
        serving_endpoint,
        timeout: _,
        attempts: _,
    } = step;
    if files.is_some() {
        Some(StepKind::Files)
    } else if job.is_some() {
        Some(StepKind::Job)
    } else if model_alias.is_some() {
        Some(StepKind::ModelAlias)
    } else if serving_endpoint.is_some() {
        Some(StepKind::ServingEndpoint)
    } else {
        None
    }
}

/// What a rollback does with a step.
pub fn on_rollback(step: &PolicyStep) -> OnRollback {
    match step.job.as_ref().and_then(|job| job.on_rollback) {
        Some(promotion_step::OnRollback::Run) => OnRollback::Run,
        Some(promotion_step::OnRollback::Skip) | None => OnRollback::Skip,
    }
}

impl Setting<'_> {
    fn values(&self) -> Values<'_> {
        Values {
            revision: self.revision,
            change: self.change,
            environment: self.environment,
            variables: &self.course.variables,
        }
    }

    fn expand(&self, text: &str) -> Result<String, Failure> {
        expand(text, &self.values()).map_err(|error| refused(error.to_string()))
    }

    /// The directory that a files step before has left, if there was one.
    fn directory(&self) -> Option<&str> {
        let of = |step: &PolicyStep| {
            step.files.as_ref()?;
            let words = self.outputs.get(&StepName(step.name.clone()))?;
            words.get(words::DIRECTORY).map(String::as_str)
        };
        self.course.steps.iter().rev().find_map(of)
    }

    fn step(&self, name: &str) -> Result<&PolicyStep, Failure> {
        let found = self.course.steps.iter().find(|step| step.name == name);
        found.ok_or_else(|| refused(format!("fromStep {name}: there is no such step")))
    }

    /// The version that an earlier step means, or what must be read to know it.
    fn version(&self, from: &str, model: &str, read: &Read) -> Result<Result<u64, Needs>, Failure> {
        let name = StepName(from.to_owned());
        if self.step(from)?.job.is_some() {
            return Ok(match read {
                Read::Version(version) => Ok(*version),
                Read::Nothing | Read::Definition(_) => Err(Needs::VersionOf {
                    step: name,
                    model: model.to_owned(),
                }),
            });
        }
        let left = self.outputs.get(&name).and_then(|words| words.get(words::VERSION));
        let version = left.and_then(|text| text.parse().ok());
        version
            .map(Ok)
            .ok_or_else(|| refused(format!("fromStep {from}: it has left no version")))
    }

    /// What must be read before this step can be made ready.
    pub fn needs(&self, step: &PolicyStep) -> Result<Needs, Failure> {
        if self.moved(step).is_some() {
            return Ok(Needs::Nothing);
        }
        if let Some(path) = step.job.as_ref().and_then(|job| job.definition.as_ref()) {
            return Ok(Needs::Definition(path.clone()));
        }
        let asked = if let Some(alias) = &step.model_alias {
            Some((&alias.version.from_step, &alias.model))
        } else {
            let served = step.serving_endpoint.as_ref();
            served.map(|served| (&served.entity_version.from_step, &served.entity_name))
        };
        let Some((from, model)) = asked else {
            return Ok(Needs::Nothing);
        };
        let model = self.expand(model)?;
        Ok(self.version(from, &model, &Read::Nothing)?.err().unwrap_or(Needs::Nothing))
    }

    /// What a rollback does with the step.
    fn moved(&self, step: &PolicyStep) -> Option<&Move> {
        self.course.back.as_ref()?.get(&StepName(step.name.clone()))
    }

    /// The step with everything it needs.
    pub fn ready(&self, step: &PolicyStep, read: &Read) -> Result<Ready, Failure> {
        let PolicyStep {
            name,
            files,
            job,
            model_alias,
            serving_endpoint,
            timeout: _,
            attempts: _,
        } = step;
        if let Some(files) = files {
            return Ok(Ready::Files(FilesStep {
                directory: self.expand(&files.path)?,
                revision: self.revision.clone(),
                tree: self.course.tree.clone(),
            }));
        }
        if let Some(job) = job {
            return self.job(job, read, self.moved(step)).map(Ready::Job);
        }
        if let Some(alias) = model_alias {
            let model = self.expand(&alias.model)?;
            let version = match self.moved(step) {
                Some(Move::Repoint(left) | Move::RepointAndRun(left)) => recorded_version(name, left)?,
                None => self.known_version(&alias.version.from_step, &model, read)?,
            };
            return Ok(Ready::ModelAlias(AliasStep {
                model,
                alias: alias.alias.clone(),
                version,
            }));
        }
        if let Some(served) = serving_endpoint {
            let entity = self.expand(&served.entity_name)?;
            let (version, config) = match self.moved(step) {
                Some(Move::Repoint(left) | Move::RepointAndRun(left)) => {
                    (recorded_version(name, left)?, recorded(name, left, words::CONFIG)?)
                }
                None => (
                    self.known_version(&served.entity_version.from_step, &entity, read)?,
                    None,
                ),
            };
            return Ok(Ready::ServingEndpoint(EndpointStep {
                name: served.name.clone(),
                served_entity: served.served_entity_name.clone(),
                entity,
                version,
                traffic: u8::try_from(served.traffic_percentage).unwrap_or(100).min(100),
                config,
            }));
        }
        Err(refused(format!("step {name} says nothing to do")))
    }

    fn known_version(&self, from: &str, model: &str, read: &Read) -> Result<u64, Failure> {
        self.version(from, model, read)?
            .map_err(|_| refused(format!("fromStep {from}: the versions of {model} were not read")))
    }

    fn job(
        &self,
        job: &promotion_step::JobStep,
        read: &Read,
        moved: Option<&Move>,
    ) -> Result<JobStep, Failure> {
        let frame = Frame {
            name: &job.name,
            run_as: &self.course.run_as,
            revision: self.revision,
            directory: self.directory(),
        };
        let settings = match (moved, &job.definition, read) {
            (Some(Move::Repoint(left) | Move::RepointAndRun(left)), ..) => {
                recorded(&job.name, left, words::SETTINGS)?
            }
            (None, Some(path), Read::Definition(text)) => {
                Some(definition::settings(path, text, &self.values(), &frame)?)
            }
            (None, Some(path), Read::Nothing | Read::Version(_)) => {
                return Err(refused(format!("{path} was not read")));
            }
            (None, None, _) => None,
        };
        let parameters = job.job_parameters.iter().flatten();
        let parameters = parameters.map(|(name, text)| Ok((name.clone(), self.expand(text)?)));
        let runs = match moved {
            Some(Move::Repoint(_)) => false,
            Some(Move::RepointAndRun(_)) => true,
            None => job.run.unwrap_or(true),
        };
        Ok(JobStep {
            name: job.name.clone(),
            pinned: None,
            settings,
            run_as: self.course.run_as.clone(),
            directory: self.directory().map(str::to_owned),
            revision: self.revision.clone(),
            parameters: parameters.collect::<Result<_, Failure>>()?,
            run: runs,
            accept_failures: job.accept_failures.unwrap_or(false),
        })
    }
}

fn refused(message: String) -> Failure {
    Failure::new(FailureKind::Refused, message)
}

fn recorded_version(step: &str, left: &Words) -> Result<u64, Failure> {
    let version = left.get(words::VERSION).and_then(|text| text.parse().ok());
    version.ok_or_else(|| refused(format!("step {step}: the record has no version to go back to")))
}

fn recorded(step: &str, left: &Words, word: &str) -> Result<Option<Value>, Failure> {
    let Some(text) = left.get(word).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let value = serde_json::from_str(text);
    value
        .map(Some)
        .map_err(|error| refused(format!("step {step}: the record's {word} cannot be read: {error}")))
}

#[cfg(test)]
#[path = "ready_tests.rs"]
mod tests;
