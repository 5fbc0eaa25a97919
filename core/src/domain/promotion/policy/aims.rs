//! What the steps of an environment move: the thing that two promotions must not move at once.

use std::collections::BTreeMap;
use std::fmt;

use super::steps::{Action, Step};
use super::{Environment, PolicyError, Recipe};
use crate::domain::promotion::expressions::{Values, expand};
use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId};

/// One thing in a workspace that a step moves, expressions expanded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aim {
    /// By its path, with `*` for the revision.
    Directory(String),
    /// By its name.
    Job(String),
    /// By the model's full name and the alias.
    Alias { model: String, alias: String },
    /// By its name.
    Endpoint(String),
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "directory {path}"),
            Self::Job(name) => write!(f, "job {name}"),
            Self::Alias { model, alias } => write!(f, "alias {alias} of model {model}"),
            Self::Endpoint(name) => write!(f, "serving endpoint {name}"),
        }
    }
}

impl Recipe {
    /// Everything that its steps move.
    pub fn aims(&self) -> Vec<Aim> {
        let revision = CommitId("*".into());
        let values = Values {
            revision: &revision,
            change: ChangeNumber(0),
            environment: &self.environment,
            variables: &self.variables,
        };
        // What was read asks for nothing that is not there.
        let expanded = |text: &str| expand(text, &values).unwrap_or_else(|_| text.to_owned());
        self.steps
            .iter()
            .map(|Step { action, .. }| match action {
                Action::Files { path } => Aim::Directory(expanded(path)),
                Action::Job(job) => Aim::Job(expanded(&job.name)),
                Action::ModelAlias { model, alias, .. } => Aim::Alias {
                    model: expanded(model),
                    alias: alias.clone(),
                },
                Action::ServingEndpoint { name, .. } => Aim::Endpoint(expanded(name)),
            })
            .collect()
    }
}

/// What two environments of one workspace both aim at.
pub(super) fn shared(environments: &[Environment]) -> Vec<PolicyError> {
    let mut first = BTreeMap::new();
    let mut errors = Vec::new();
    for environment in environments {
        let workspace = &environment.recipe.databricks;
        for aim in environment.recipe.aims() {
            let known = first
                .entry((workspace, aim.clone()))
                .or_insert(environment.name());
            if *known != environment.name() {
                errors.push(PolicyError::SameAim {
                    environment: (*known).to_owned(),
                    other: environment.name().to_owned(),
                    databricks: format!("{}/{}", workspace.namespace, workspace.name),
                    aim,
                });
            }
        }
    }
    errors
}
