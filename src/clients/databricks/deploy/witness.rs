//! What happened, whoever did it: runs as an identity, versions and aliases of models, what endpoints serve, what
//! lies below governed folders. What the vendor does not tell is said, never passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::ports::deployments::{DeployError, Population, Witness};
use lockstep_core::domain::promotion::proof::completeness::{Act, Occurrence, Unseen};
use serde_json::Value;

use super::super::plane::Plane;
use super::super::segment;
use super::super::system::Inner;
use super::{folder, jobs, model, pages, runs, serving};

pub(super) struct WorkspaceWitness(Arc<Inner>);

/// Whom the runs of a job are run as.
enum Identity {
    Known(String),
    /// Why it cannot be told.
    Hidden(String),
}

impl WorkspaceWitness {
    pub fn new(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    fn plane(&self) -> &Plane {
        &self.0.workspace.plane
    }

    /// A run does not say whom it ran as; its job does.
    async fn identity(&self, job: &str) -> Result<Identity, SystemError> {
        match jobs::get(self.plane(), job).await {
            Ok(None) => Ok(Identity::Hidden("the job is gone".into())),
            Ok(Some(found)) => Ok(found.run_as.map_or_else(
                || Identity::Hidden("the job does not say whom it runs as".into()),
                Identity::Known,
            )),
            Err(error) if error.kind == SystemErrorKind::Forbidden => {
                Ok(Identity::Hidden("we may not see the job".into()))
            }
            Err(error) => Err(error),
        }
    }
}

fn text<'a>(row: &'a Value, name: &str) -> Option<&'a str> {
    row.get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn unseen(what: String, why: impl Into<String>) -> Unseen {
    Unseen {
        what,
        why: why.into(),
    }
}

#[async_trait]
impl Witness for WorkspaceWitness {
    async fn runs(&self, run_as: &str, from: Timestamp, to: Timestamp) -> Result<Population, DeployError> {
        let call = runs::listing()
            .query("start_time_from", from.as_millisecond().to_string())
            .query("start_time_to", to.as_millisecond().to_string());
        let rows = pages::rows(self.plane(), &call, "runs", |_| false).await?;
        let mut by_job: BTreeMap<Option<String>, Vec<&Value>> = BTreeMap::new();
        for run in &rows {
            by_job.entry(pages::id(run.get("job_id"))).or_default().push(run);
        }
        let mut population = Population::default();
        if !self.0.facts().await?.admin {
            let why = "we do not administer the workspace, and see the jobs that we were given only";
            population
                .unseen
                .push(unseen("runs of jobs that others did not share".into(), why));
        }
        for (job, runs) in by_job {
            let known = match &job {
                None => None,
                Some(job) => match self.identity(job).await? {
                    Identity::Known(name) => Some(name),
                    Identity::Hidden(why) => {
                        let what = format!("whom {} runs of job {job} ran as", runs.len());
                        population.unseen.push(unseen(what, why));
                        continue;
                    }
                },
            };
            if known.as_deref().is_some_and(|known| known != run_as) {
                continue;
            }
            let mut others = 0;
            for run in runs {
                let by = text(run, "creator_user_name");
                // A run without a job shows only who submitted it.
                if known.is_none() && by != Some(run_as) {
                    others += 1;
                    continue;
                }
                let id = pages::id(run.get("run_id")).unwrap_or_default();
                population.occurrences.push(Occurrence {
                    act: Act::Run,
                    address: super::in_workspace(&self.0, "runs", &id).await?,
                    by: by.map(ToOwned::to_owned),
                    at: runs::moment(run.get("start_time")),
                });
            }
            if others > 0 {
                let what = format!("whom {others} runs ran as that others submitted without a job");
                population.unseen.push(unseen(what, "the vendor does not say it"));
            }
        }
        Ok(population)
    }

    async fn model(
        &self,
        model: &str,
        aliases: &BTreeSet<String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Population, DeployError> {
        let mut population = Population::default();
        for version in model::versions(self.plane(), model).await? {
            let Some(at) = version.created_at else {
                let what = format!("when version {} of {model} was made", version.version);
                population.unseen.push(unseen(what, "the server does not say it"));
                continue;
            };
            if at < from || at > to {
                continue;
            }
            let below = format!("versions/{}", version.version);
            population.occurrences.push(Occurrence {
                act: Act::Version,
                address: super::in_model(&self.0, model, &below).await?,
                by: version.created_by,
                at: Some(at),
            });
        }
        for alias in aliases {
            let Some(version) = model::pointed(self.plane(), model, alias).await? else {
                continue;
            };
            let below = format!("aliases/{}/{version}", segment(alias));
            population.occurrences.push(Occurrence {
                act: Act::Alias,
                address: super::in_model(&self.0, model, &below).await?,
                // Only the audit table knows who moved an alias.
                by: None,
                at: None,
            });
        }
        Ok(population)
    }

    async fn endpoint(&self, name: &str) -> Result<Population, DeployError> {
        let Some(endpoint) = serving::get(self.plane(), name).await? else {
            return Ok(Population::default());
        };
        let mut occurrences = Vec::new();
        for config in [endpoint.live(), endpoint.pending()].into_iter().flatten() {
            let version = pages::id(config.get("config_version")).unwrap_or_default();
            let entity = config.pointer("/served_entities/0");
            let base = super::in_workspace(&self.0, "serving-endpoints", name).await?;
            occurrences.push(Occurrence {
                act: Act::Endpoint,
                address: format!("{base}/config/{version}"),
                by: entity
                    .and_then(|entity| text(entity, "creator"))
                    .map(ToOwned::to_owned),
                at: entity.and_then(|entity| runs::moment(entity.get("creation_timestamp"))),
            });
        }
        Ok(Population {
            occurrences,
            unseen: Vec::new(),
        })
    }

    async fn files(&self, folder: &str) -> Result<Population, DeployError> {
        let mut occurrences = Vec::new();
        for row in folder::list(self.plane(), folder).await?.unwrap_or_default() {
            let kind = if row.object_type == "DIRECTORY" {
                "directories"
            } else {
                "files"
            };
            occurrences.push(Occurrence {
                act: Act::Files,
                address: super::in_workspace(&self.0, kind, folder::bare(&row.path)).await?,
                by: None,
                at: None,
            });
        }
        Ok(Population {
            occurrences,
            unseen: Vec::new(),
        })
    }
}
