//! A PromotionPolicy as values that were checked: defaults resolved, expressions and windows read, every environment
//! with its steps. What is wrong is named with environment, field, value and what to write instead; nothing is judged
//! or run by a policy that could not be read whole. How each step is read is [`steps`]; what the gate's names mean in
//! Gerrit is looked up elsewhere.

mod aims;
pub mod claims;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::api::condition::{ConditionType, Reason};
use crate::api::promotion_policy::{OnUnexplained, PolicyEnvironment, PromotionPolicySpec};
use crate::domain::defaults::{self, History};
use crate::domain::outcome::Saying;
use crate::domain::ports::{ConnectionKey, ConnectionKind};
use crate::domain::promotion::expressions::{self, ExpressionError};
use crate::domain::promotion::gate::evidence::CommitId;
use crate::domain::promotion::gate::rules::Upstream;
use crate::domain::promotion::machine::state::{self, OnFailure};
use crate::domain::promotion::paths;
use crate::domain::windows::{BadWindow, Windows};

pub use aims::Aim;
pub use steps::{Action, Job, Step};

/// A policy that was read.
#[derive(Clone, Debug)]
pub struct Policy {
    pub gerrit: ConnectionKey,
    /// Full name.
    pub project: String,
    /// Patterns of paths of which a change must touch one; `None`: every change starts a promotion.
    pub paths: Option<Vec<String>>,
    /// As written, which is the order in which people think of them.
    pub environments: Vec<Environment>,
    pub history: History,
}

/// One environment.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Short name of the branch whose merges go there.
    pub branch: String,
    /// Where the policy says that history begins.
    pub baseline: Option<CommitId>,
    pub requires: Vec<Upstream>,
    pub windows: Windows,
    pub on_unexplained: OnUnexplained,
    pub recipe: Recipe,
}

/// What a promotion takes along when it begins; later edits of the policy concern later promotions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recipe {
    /// Name of the environment.
    pub environment: String,
    pub databricks: ConnectionKey,
    /// Application id of the identity that everything runs as.
    pub run_as: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    pub on_failure: OnFailure,
    pub steps: Vec<Step>,
}

impl Policy {
    /// Whether a change that touches these files starts a promotion.
    pub fn is_started_by(&self, touched: &BTreeSet<String>) -> bool {
        self.paths.as_ref().is_none_or(|patterns| {
            touched
                .iter()
                .any(|path| patterns.iter().any(|pattern| paths::matches(pattern, path)))
        })
    }

    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments
            .iter()
            .find(|environment| environment.name() == name)
    }
}

impl Environment {
    pub fn name(&self) -> &str {
        &self.recipe.environment
    }
}

impl Recipe {
    /// The steps as the machine begins with them.
    pub fn begin(&self) -> Vec<state::Step> {
        self.steps
            .iter()
            .map(|step| state::Step::new(step.name.clone(), step.timeout, step.attempts))
            .collect()
    }
}

/// What is wrong with a policy. `at` is the field; in a step that all environments share, the environment in which it is
/// wrong stands before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("{at}: {why}")]
    Expression { at: String, why: ExpressionError },
    #[error("{at}: environment {environment} sets no variable {variable:?}: add it to its variables")]
    UnknownVariable {
        at: String,
        environment: String,
        variable: String,
    },
    #[error(
        "{at} is {value:?}, another one for every revision: write it with ${{environment}} and ${{env.<variable>}} only"
    )]
    Varies { at: String, value: String },
    #[error("{at}: {name:?} is no name of a variable: letters, digits, _ and -, beginning with a letter")]
    VariableName { at: String, name: String },
    #[error("{at}: {why}")]
    Window { at: String, why: BadWindow },
    #[error("{at}: {why}")]
    Duration { at: String, why: String },
    #[error("{at}: pattern {pattern:?} {why}")]
    Pattern {
        at: String,
        pattern: String,
        why: &'static str,
    },
    #[error(
        "{at} is {value:?} there, which is no directory below /Workspace: no empty part, . or .. may come of it"
    )]
    Directory { at: String, value: String },
    #[error("{at} is {value:?} there: write a model as <catalog>.<schema>.<model>")]
    Model { at: String, value: String },
    #[error("{at}: set exactly one of files, job, modelAlias and servingEndpoint")]
    StepKind { at: String },
    #[error("{at}: two steps are called {name}: rename one")]
    StepTwice { at: String, name: String },
    #[error(
        "{at}: {step} is no earlier step that yields a version: name a job that is run, or a modelAlias, above"
    )]
    NoVersion { at: String, step: String },
    #[error("spec.environments[{environment}] has no steps: set steps there or for the whole policy")]
    NoSteps { environment: String },
    #[error(
        "spec.environments[{environment}].requires names {required}, which is no other environment: write one of the policy's"
    )]
    UnknownRequired { environment: String, required: String },
    #[error("environments {} require each other in a circle, so that none could ever be first: take one requires away", .0.join(", "))]
    Circle(Vec<String>),
    #[error(
        "environments {environment} and {other} share the workspace {databricks} and both aim at {aim}: give each its own, as by ${{environment}}"
    )]
    SameAim {
        environment: String,
        other: String,
        databricks: String,
        aim: Aim,
    },
}

/// The policy in that namespace as values, or everything that is wrong with it.
pub fn read(spec: &PromotionPolicySpec, namespace: &str) -> Result<Policy, Vec<PolicyError>> {
    let PromotionPolicySpec {
        mode: _,
        suspend: _,
        interval: _,
        gerrit,
        gate,
        steps: _,
        environments: declared,
        history,
    } = spec;
    let mut errors = Vec::new();
    if let Some(patterns) = &gerrit.paths {
        errors.extend(bad_patterns("spec.gerrit.paths", patterns));
    }
    for trusted in gate.trusted_automation.iter().flatten() {
        let at = format!("spec.gate.trustedAutomation[{}].paths", trusted.account);
        errors.extend(bad_patterns(&at, &trusted.paths));
    }
    let environments: Vec<Environment> = declared
        .iter()
        .filter_map(|environment| read_environment(spec, environment, namespace, &mut errors))
        .collect();
    errors.extend(bad_requires(declared));
    errors.extend(aims::shared(&environments));
    if errors.is_empty() {
        Ok(Policy {
            gerrit: defaults::connection(ConnectionKind::Gerrit, &gerrit.connection_ref, namespace),
            project: gerrit.project.clone(),
            paths: gerrit.paths.clone(),
            environments,
            history: defaults::history(history.as_ref()),
        })
    } else {
        Err(errors)
    }
}

/// What the policy's conditions say while it cannot be read.
pub fn stalled(errors: &[PolicyError]) -> Saying {
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Saying::new(ConditionType::Stalled, true, Reason::InvalidSpec, all.join("; "))
}

fn read_environment(
    spec: &PromotionPolicySpec,
    declared: &PolicyEnvironment,
    namespace: &str,
    errors: &mut Vec<PolicyError>,
) -> Option<Environment> {
    let PolicyEnvironment {
        name,
        branch,
        databricks,
        run_as,
        variables,
        baseline,
        requires,
        windows,
        on_failure,
        on_unexplained,
        steps: own,
    } = declared;
    let at = format!("spec.environments[{name}]");
    let before = errors.len();
    let variables = variables.clone().unwrap_or_default();
    errors.extend(bad_variables(&at, &variables));
    let mut upstream = Vec::new();
    for required in requires.iter().flatten() {
        match defaults::soak(required.soak.as_ref()) {
            Ok(soak) => upstream.push(Upstream {
                environment: required.environment.clone(),
                soak,
            }),
            Err(why) => errors.push(PolicyError::Duration {
                at: format!("{at}.requires[{}].soak", required.environment),
                why,
            }),
        }
    }
    let texts = windows.clone().unwrap_or_default();
    let allow = texts.allow.unwrap_or_default();
    let deny = texts.deny.unwrap_or_default();
    let windows = Windows::parse(&allow, &deny).map_err(|why| {
        errors.push(PolicyError::Window {
            at: format!("{at}.windows"),
            why,
        });
    });
    let place = steps::Place {
        environment: name,
        variables: &variables,
        shared: own.is_none(),
    };
    let steps = match own.as_ref().or(spec.steps.as_ref()) {
        Some(declared) if !declared.is_empty() => steps::read(declared, &place, errors),
        _ => {
            errors.push(PolicyError::NoSteps {
                environment: name.clone(),
            });
            Vec::new()
        }
    };
    if errors.len() > before {
        return None;
    }
    Some(Environment {
        branch: branch.clone(),
        baseline: baseline.clone().map(CommitId),
        requires: upstream,
        windows: windows.ok()?,
        on_unexplained: defaults::on_unexplained(*on_unexplained),
        recipe: Recipe {
            environment: name.clone(),
            databricks: defaults::connection(
                ConnectionKind::Databricks,
                &databricks.connection_ref,
                namespace,
            ),
            run_as: run_as.application_id.clone(),
            variables,
            on_failure: defaults::on_failure(*on_failure),
            steps,
        },
    })
}

fn bad_variables(at: &str, variables: &BTreeMap<String, String>) -> Vec<PolicyError> {
    variables
        .keys()
        .filter(|name| !expressions::is_variable(name))
        .map(|name| PolicyError::VariableName {
            at: format!("{at}.variables"),
            name: name.clone(),
        })
        .collect()
}

/// Patterns that match nothing, or that other programs read otherwise.
fn bad_patterns(at: &str, patterns: &[String]) -> Vec<PolicyError> {
    let wrong = |pattern: &str| {
        let parts = || pattern.split('/');
        if parts().any(|part| part.is_empty() || part == "." || part == "..") {
            Some("has an empty part, . or .. between slashes: write it from the root of the tree")
        } else if parts().any(|part| part != "**" && part.contains("**")) {
            Some("has ** beside other letters: write it as a whole part, as in a/**/b")
        } else if pattern.starts_with('!') || pattern.contains(['{', '}', '[', ']']) {
            Some(
                "has one of !{}[], which have no meaning here: write a pattern for each case, and ? for one letter",
            )
        } else {
            None
        }
    };
    patterns
        .iter()
        .filter_map(|pattern| {
            wrong(pattern).map(|why| PolicyError::Pattern {
                at: at.to_owned(),
                pattern: pattern.clone(),
                why,
            })
        })
        .collect()
}

/// Required environments that are none, and those of which none can be the first.
fn bad_requires(declared: &[PolicyEnvironment]) -> Vec<PolicyError> {
    let mut errors = Vec::new();
    let mut open: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for environment in declared {
        let required = environment.requires.iter().flatten();
        let required: BTreeSet<&str> = required.map(|required| required.environment.as_str()).collect();
        for name in &required {
            if *name == environment.name || declared.iter().all(|other| other.name != *name) {
                errors.push(PolicyError::UnknownRequired {
                    environment: environment.name.clone(),
                    required: (*name).to_owned(),
                });
            }
        }
        open.insert(&environment.name, required);
    }
    if !errors.is_empty() {
        return errors;
    }
    while let Some(first) = open
        .iter()
        .find(|(_, required)| required.iter().all(|name| !open.contains_key(name)))
        .map(|(name, _)| *name)
    {
        open.remove(first);
    }
    if !open.is_empty() {
        errors.push(PolicyError::Circle(
            open.keys().map(|name| (*name).to_owned()).collect(),
        ));
    }
    errors
}
