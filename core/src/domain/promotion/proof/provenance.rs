//! Where a model version comes from. Tags can be copied and names chosen; what counts is who the server says made it,
//! and when: by the environment's own identity, inside a run that a promotion of this policy started.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::promotion::machine::attempt::PromotionName;

/// A registered version as the server describes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelVersion {
    /// Full name, as `ml_prod.fraud.scorer`.
    pub model: String,
    pub version: u64,
    /// Set by the server (`created_by`): user name, or application id of a service principal.
    pub created_by: Option<String>,
    pub created_at: Option<Timestamp>,
    /// The training run it names; written by whoever made it, so it only corroborates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims_run: Option<String>,
}

/// A run that a promotion of this policy started, as the record and the server have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRun {
    pub run: String,
    pub promotion: PromotionName,
    /// Application id of the identity it ran as.
    pub run_as: String,
    pub started: Timestamp,
    /// `None`: it still runs.
    pub ended: Option<Timestamp>,
}

/// Who else could have made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Usability {
    /// Only declared principals can use the identity.
    DeclaredOnly,
    /// These can as well.
    Others(BTreeSet<String>),
    /// Its users could not be read.
    Unknown,
}

/// Why a version is not explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreviewedModel {
    #[error(
        "{model} version {version} was made by {by}, not by {run_as}: train it by a job step of this policy"
    )]
    OtherCreator {
        model: String,
        version: u64,
        by: String,
        run_as: String,
    },
    #[error(
        "{model} version {version} was made at {at}, inside no run that a promotion of this policy started: train it by \
         a job step of this policy"
    )]
    OutsideRuns {
        model: String,
        version: u64,
        at: Timestamp,
    },
    #[error("{model} version {version}: the server does not say who made it and when")]
    Unknown { model: String, version: u64 },
    #[error(
        "{model} version {version}: {run_as} can be used by {others} as well, so it proves nothing: take the right away"
    )]
    IdentityShared {
        model: String,
        version: u64,
        run_as: String,
        others: String,
    },
    #[error("step {step}: its run made no version of {model}: let it register exactly one")]
    NoVersion { step: String, model: String },
    #[error(
        "step {step}: its run made {count} versions of {model} ({versions}): let it register exactly one"
    )]
    SeveralVersions {
        step: String,
        model: String,
        count: usize,
        versions: String,
    },
}

/// The run that explains a version.
pub fn explain<'a>(
    version: &ModelVersion,
    run_as: &str,
    usable_by: &Usability,
    runs: &'a [PolicyRun],
) -> Result<&'a PolicyRun, UnreviewedModel> {
    let ModelVersion {
        model,
        version: number,
        created_by,
        created_at,
        claims_run,
    } = version;
    let (Some(by), Some(at)) = (created_by, *created_at) else {
        return Err(UnreviewedModel::Unknown {
            model: model.clone(),
            version: *number,
        });
    };
    if by != run_as {
        return Err(UnreviewedModel::OtherCreator {
            model: model.clone(),
            version: *number,
            by: by.clone(),
            run_as: run_as.to_owned(),
        });
    }
    let shared = |others: String| UnreviewedModel::IdentityShared {
        model: model.clone(),
        version: *number,
        run_as: run_as.to_owned(),
        others,
    };
    match usable_by {
        Usability::DeclaredOnly => {}
        Usability::Unknown => return Err(shared("principals that could not be read".into())),
        Usability::Others(others) => {
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            return Err(shared(others.join(", ")));
        }
    }
    let mut around = runs
        .iter()
        .filter(|run| run.run_as == run_as && run.started <= at && run.ended.is_none_or(|ended| at <= ended));
    // Of two runs at once the one that the version names.
    let first = around.next();
    let named = first
        .into_iter()
        .chain(around)
        .find(|run| claims_run.as_ref() == Some(&run.run));
    named.or(first).ok_or_else(|| UnreviewedModel::OutsideRuns {
        model: model.clone(),
        version: *number,
        at,
    })
}

/// The one version that a job step's run made. `versions` are all of the model; none and two are refused alike, as
/// nobody could say which was meant.
pub fn from_job_step<'a>(
    step: &str,
    model: &str,
    run: &PolicyRun,
    usable_by: &Usability,
    versions: &'a [ModelVersion],
) -> Result<&'a ModelVersion, UnreviewedModel> {
    let alone = std::slice::from_ref(run);
    let candidates: BTreeSet<&ModelVersion> = versions
        .iter()
        .filter(|version| version.model == model)
        .filter(|version| {
            let inside = version
                .created_at
                .is_some_and(|at| run.started <= at && run.ended.is_none_or(|ended| at <= ended));
            inside && version.created_by.as_deref() == Some(&run.run_as)
        })
        .collect();
    let mut candidates = candidates.into_iter();
    match (candidates.next(), candidates.next()) {
        (None, _) => Err(UnreviewedModel::NoVersion {
            step: step.to_owned(),
            model: model.to_owned(),
        }),
        (Some(one), None) => explain(one, &run.run_as, usable_by, alone).map(|_| one),
        (Some(one), Some(two)) => {
            let all: Vec<&ModelVersion> = [one, two].into_iter().chain(candidates).collect();
            let numbers: Vec<String> = all.iter().map(|version| version.version.to_string()).collect();
            Err(UnreviewedModel::SeveralVersions {
                step: step.to_owned(),
                model: model.to_owned(),
                count: all.len(),
                versions: numbers.join(", "),
            })
        }
    }
}
