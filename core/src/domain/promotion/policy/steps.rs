//! The steps of one environment: what each does, and whether what its texts ask for is there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::PolicyError;
use crate::api::promotion_step::{
    PolicyFiles, PolicyJob, PolicyModelAlias, PolicyServingEndpoint, PolicyStep,
};
use crate::domain::defaults;
use crate::domain::promotion::expressions::{self, Reference, Values};
use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use crate::domain::promotion::machine::attempt::StepName;
use crate::domain::promotion::machine::rollback::{OnRollback, StepKind};

/// One step as it will be done; expressions are expanded when it is known for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub name: StepName,
    /// Seconds that one try may take, and undoing it as well.
    pub timeout: u64,
    /// Tries, the first included.
    pub attempts: u32,
    pub action: Action,
}

/// What a step does. Texts are as written, with their expressions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Puts the tree into a directory.
    Files { path: String },
    /// Sets a job and runs it.
    Job(Job),
    /// Points an alias at the version of an earlier step.
    #[serde(rename_all = "camelCase")]
    ModelAlias {
        model: String,
        alias: String,
        from_step: StepName,
    },
    /// Lets an endpoint serve the version of an earlier step.
    #[serde(rename_all = "camelCase")]
    ServingEndpoint {
        name: String,
        served_entity: String,
        entity: String,
        from_step: StepName,
        /// Percent, 0 to 100.
        traffic: u8,
    },
}

/// A job and how it is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub name: String,
    /// Where in the tree its definition stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    pub run: bool,
    pub on_rollback: OnRollback,
    pub accept_failures: bool,
}

impl Action {
    pub fn kind(&self) -> StepKind {
        match self {
            Self::Files { .. } => StepKind::Files,
            Self::Job(_) => StepKind::Job,
            Self::ModelAlias { .. } => StepKind::ModelAlias,
            Self::ServingEndpoint { .. } => StepKind::ServingEndpoint,
        }
    }
}

impl Action {
    /// What a rollback does with it.
    pub fn on_rollback(&self) -> OnRollback {
        match self {
            Self::Job(job) => job.on_rollback,
            Self::Files { .. } | Self::ModelAlias { .. } | Self::ServingEndpoint { .. } => OnRollback::Skip,
        }
    }
}

/// Whether later steps can take a version from it.
fn yields_version(step: &PolicyStep) -> bool {
    step.model_alias.is_some() || step.job.as_ref().is_some_and(|job| defaults::job_run(job.run))
}

/// Where steps are read for.
pub(super) struct Place<'a> {
    pub environment: &'a str,
    pub variables: &'a BTreeMap<String, String>,
    /// The steps are the whole policy's and not this environment's own.
    pub shared: bool,
}

/// What a text may ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Anything,
    /// What stays the same from revision to revision: it names something that is moved, not made anew.
    WhatStays,
}

impl Place<'_> {
    fn step(&self, name: &str) -> String {
        if self.shared {
            format!("environment {}: spec.steps[{name}]", self.environment)
        } else {
            format!("spec.environments[{}].steps[{name}]", self.environment)
        }
    }

    /// The text, if everything that it asks for is there.
    fn check(&self, at: &str, text: &str, asks: Asks, errors: &mut Vec<PolicyError>) -> Option<String> {
        let asked = match expressions::references(text) {
            Ok(asked) => asked,
            Err(why) => {
                errors.push(PolicyError::Expression {
                    at: at.to_owned(),
                    why,
                });
                return None;
            }
        };
        let before = errors.len();
        for reference in asked {
            match reference {
                Reference::Variable(variable)
                    if self.variables.get(&variable).is_none_or(String::is_empty) =>
                {
                    errors.push(PolicyError::UnknownVariable {
                        at: at.to_owned(),
                        environment: self.environment.to_owned(),
                        variable,
                    });
                }
                Reference::Revision | Reference::Change if asks == Asks::WhatStays => {
                    errors.push(PolicyError::Varies {
                        at: at.to_owned(),
                        value: text.to_owned(),
                    });
                }
                _ => {}
            }
        }
        (errors.len() == before).then(|| text.to_owned())
    }

    /// What becomes of the text for a revision that stands for all.
    fn sample(&self, text: &str) -> String {
        let values = Values {
            revision: &CommitId("0".repeat(40)),
            change: ChangeNumber(1),
            environment: self.environment,
            variables: self.variables,
        };
        expressions::expand(text, &values).unwrap_or_else(|_| text.to_owned())
    }

    fn directory(&self, at: &str, text: &str, errors: &mut Vec<PolicyError>) -> Option<String> {
        let text = self.check(at, text, Asks::Anything, errors)?;
        let value = self.sample(&text);
        let below = value.strip_prefix("/Workspace/");
        let whole = below.is_some_and(|below| {
            below
                .split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..")
        });
        if whole {
            Some(text)
        } else {
            errors.push(PolicyError::Directory {
                at: at.to_owned(),
                value,
            });
            None
        }
    }

    fn model(&self, at: &str, text: &str, errors: &mut Vec<PolicyError>) -> Option<String> {
        let text = self.check(at, text, Asks::WhatStays, errors)?;
        let value = self.sample(&text);
        if value.split('.').count() == 3 && value.split('.').all(|part| !part.trim().is_empty()) {
            Some(text)
        } else {
            errors.push(PolicyError::Model {
                at: at.to_owned(),
                value,
            });
            None
        }
    }
}

/// The steps in order; what is wrong is added to `errors`, and then what comes back is not to be used.
pub(super) fn read(declared: &[PolicyStep], place: &Place<'_>, errors: &mut Vec<PolicyError>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut names = BTreeSet::new();
    for step in declared {
        let at = place.step(&step.name);
        if !names.insert(&step.name) {
            errors.push(PolicyError::StepTwice {
                at: at.clone(),
                name: step.name.clone(),
            });
        }
        let read = read_step(step, &at, place, errors);
        if let Some(Step {
            action: Action::ModelAlias { from_step, .. } | Action::ServingEndpoint { from_step, .. },
            ..
        }) = &read
        {
            let earlier = declared
                .iter()
                .take_while(|earlier| earlier.name != step.name)
                .find(|earlier| earlier.name == from_step.0);
            if !earlier.is_some_and(yields_version) {
                errors.push(PolicyError::NoVersion {
                    at,
                    step: from_step.0.clone(),
                });
            }
        }
        steps.extend(read);
    }
    steps
}

fn read_step(step: &PolicyStep, at: &str, place: &Place<'_>, errors: &mut Vec<PolicyError>) -> Option<Step> {
    let PolicyStep {
        name,
        files,
        job,
        model_alias,
        serving_endpoint,
    } = step;
    let (timeout, attempts, action) = match (files, job, model_alias, serving_endpoint) {
        (Some(files), None, None, None) => (None, None, read_files(files, at, place, errors)?),
        (None, Some(job), None, None) => (
            job.timeout.as_ref(),
            job.attempts,
            read_job(job, at, place, errors)?,
        ),
        (None, None, Some(alias), None) => (None, None, read_alias(alias, at, place, errors)?),
        (None, None, None, Some(endpoint)) => (
            endpoint.timeout.as_ref(),
            None,
            read_endpoint(endpoint, at, place, errors)?,
        ),
        _ => {
            errors.push(PolicyError::StepKind { at: at.to_owned() });
            return None;
        }
    };
    let timeout = defaults::step_timeout(timeout).map_err(|why| {
        errors.push(PolicyError::Duration {
            at: format!("{at}.timeout"),
            why,
        });
    });
    Some(Step {
        name: StepName(name.clone()),
        timeout: timeout.ok()?,
        attempts: defaults::step_attempts(attempts),
        action,
    })
}

fn read_files(
    files: &PolicyFiles,
    at: &str,
    place: &Place<'_>,
    errors: &mut Vec<PolicyError>,
) -> Option<Action> {
    let PolicyFiles { path } = files;
    let path = place.directory(&format!("{at}.files.path"), path, errors)?;
    Some(Action::Files { path })
}

fn read_job(job: &PolicyJob, at: &str, place: &Place<'_>, errors: &mut Vec<PolicyError>) -> Option<Action> {
    let PolicyJob {
        name,
        definition,
        job_parameters,
        run,
        on_rollback,
        accept_failures,
        timeout: _,
        attempts: _,
    } = job;
    let before = errors.len();
    let name = place.check(&format!("{at}.job.name"), name, Asks::WhatStays, errors);
    let parameters = job_parameters.clone().unwrap_or_default();
    for (key, value) in &parameters {
        let at = format!("{at}.job.jobParameters.{key}");
        place.check(&at, value, Asks::Anything, errors);
    }
    let job = Job {
        name: name?,
        definition: definition.clone(),
        parameters,
        run: defaults::job_run(*run),
        on_rollback: defaults::on_rollback(*on_rollback),
        accept_failures: accept_failures.unwrap_or(false),
    };
    (errors.len() == before).then_some(Action::Job(job))
}

fn read_alias(
    step: &PolicyModelAlias,
    at: &str,
    place: &Place<'_>,
    errors: &mut Vec<PolicyError>,
) -> Option<Action> {
    let PolicyModelAlias {
        model,
        alias,
        version,
    } = step;
    let model = place.model(&format!("{at}.modelAlias.model"), model, errors)?;
    Some(Action::ModelAlias {
        model,
        alias: alias.clone(),
        from_step: StepName(version.from_step.clone()),
    })
}

fn read_endpoint(
    endpoint: &PolicyServingEndpoint,
    at: &str,
    place: &Place<'_>,
    errors: &mut Vec<PolicyError>,
) -> Option<Action> {
    let PolicyServingEndpoint {
        name,
        served_entity_name,
        entity_name,
        entity_version,
        traffic_percentage,
        timeout: _,
    } = endpoint;
    let at = format!("{at}.servingEndpoint");
    let name = place.check(&format!("{at}.name"), name, Asks::WhatStays, errors);
    let served_entity = place.check(
        &format!("{at}.servedEntityName"),
        served_entity_name,
        Asks::WhatStays,
        errors,
    );
    let entity = place.model(&format!("{at}.entityName"), entity_name, errors);
    Some(Action::ServingEndpoint {
        name: name?,
        served_entity: served_entity?,
        entity: entity?,
        from_step: StepName(entity_version.from_step.clone()),
        // Admission holds the bounds.
        traffic: u8::try_from((*traffic_percentage).clamp(0, 100)).unwrap_or(100),
    })
}
