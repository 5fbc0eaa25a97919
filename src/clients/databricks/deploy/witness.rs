//! What happened, whoever did it: runs as an identity, versions and aliases of models, what endpoints serve, what
//! lies below governed folders. What the vendor does not tell is said, never passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::code::definition::KEY;
use lockstep_core::domain::promotion::machine::attempt::IdempotencyToken;
use lockstep_core::domain::promotion::paths;
use lockstep_core::domain::promotion::ports::deployments::{DeployError, Population, Witness};
use lockstep_core::domain::promotion::proof::completeness::{Act, Hidden, Occurrence, Run, Runs, Unseen};
use serde_json::Value;

use super::super::plane::Plane;
use super::super::segment;
use super::super::system::Inner;
use super::{folder, jobs, model, pages, runs, serving};

pub(super) struct WorkspaceWitness(Arc<Inner>);

/// Whom the runs of a job are run as.
enum Identity {
    Known(String),
    /// Whoever started them, if anybody is.
    Starter,
    /// Why it cannot be told.
    Hidden(&'static str),
}

/// As much of a run as is looked at.
struct Listed {
    id: String,
    job: Option<String>,
    by: Option<String>,
    at: Option<Timestamp>,
    token: Option<String>,
    triggered: bool,
}

impl Listed {
    fn of(run: &Value) -> Self {
        // Started by the job itself: whatever else there is was started by somebody, or by another job.
        let own = [
            "PERIODIC",
            "FILE_ARRIVAL",
            "CONTINUOUS",
            "CONTINUOUS_RESTART",
            "TABLE",
            "MODEL",
        ];
        Self {
            id: pages::id(run.get("run_id")).unwrap_or_default(),
            job: pages::id(run.get("job_id")),
            by: text(run, "creator_user_name").map(ToOwned::to_owned),
            at: runs::moment(run.get("start_time")),
            // A job that a promotion has set has the parameter, and runs without one of ours leave it empty.
            token: runs::parameter(run, KEY)
                .filter(|token| !token.is_empty())
                .map(ToOwned::to_owned),
            triggered: text(run, "trigger").is_some_and(|trigger| own.contains(&trigger)),
        }
    }
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
            Ok(None) => Ok(Identity::Hidden("the job is gone")),
            Ok(Some(found)) => Ok(found.run_as.map_or(
                Identity::Hidden("the job does not say whom it runs as"),
                Identity::Known,
            )),
            Err(error) if error.kind == SystemErrorKind::Forbidden => {
                Ok(Identity::Hidden("we may not see the job"))
            }
            Err(error) => Err(error),
        }
    }

    async fn run(&self, run: Listed, run_as: String) -> Result<Run, SystemError> {
        let Listed {
            id,
            job,
            by,
            at,
            token,
            triggered,
        } = run;
        Ok(Run {
            occurrence: Occurrence {
                act: Act::Run,
                address: super::in_workspace(&self.0, "runs", &id).await?,
                by,
                at,
            },
            run_as,
            job,
            token: token.map(IdempotencyToken),
            triggered,
        })
    }
}

fn text<'a>(row: &'a Value, name: &str) -> Option<&'a str> {
    row.get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

#[async_trait]
impl Witness for WorkspaceWitness {
    async fn runs(
        &self,
        identities: &BTreeSet<String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Runs, DeployError> {
        let call = runs::listing()
            .query("start_time_from", from.as_millisecond().to_string())
            .query("start_time_to", to.as_millisecond().to_string());
        // Trimmed as they come: a workspace runs more than one wants to hold.
        let rows = pages::each(self.plane(), &call, "runs", Listed::of).await?;
        let mut found = Runs {
            newest: rows.iter().filter_map(|run| run.at).max(),
            ..Runs::default()
        };
        if !self.0.facts().await?.admin {
            let why = "we do not administer the workspace, and see the jobs that we were given only";
            found
                .unseen
                .push(Unseen::new("runs of jobs that others did not share", why));
        }
        let mut by_job: BTreeMap<Option<String>, Vec<Listed>> = BTreeMap::new();
        for run in rows {
            by_job.entry(run.job.clone()).or_default().push(run);
        }
        for (job, runs) in by_job {
            let identity = match &job {
                Some(job) => self.identity(job).await?,
                None => Identity::Starter,
            };
            for run in runs {
                let run_as = match &identity {
                    Identity::Known(name) => Some(name.clone()),
                    // A run without a job shows only who submitted it.
                    Identity::Starter => run.by.clone().filter(|by| identities.contains(by)),
                    Identity::Hidden(_) => None,
                };
                match (run_as, &identity) {
                    (Some(run_as), _) if identities.contains(&run_as) => {
                        found.seen.push(self.run(run, run_as).await?);
                    }
                    (Some(_), _) => {}
                    (None, Identity::Hidden(why)) => found.hidden.push(Hidden { why, at: run.at }),
                    (None, Identity::Known(_) | Identity::Starter) => found.hidden.push(Hidden {
                        why: "others submitted them without a job, and the vendor does not say it",
                        at: run.at,
                    }),
                }
            }
        }
        Ok(found)
    }

    async fn model(
        &self,
        model: &str,
        aliases: &BTreeSet<String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Population, DeployError> {
        let mut population = Population::default();
        let Some(versions) = model::versions_of(self.plane(), model).await? else {
            // Its first run may be what makes it.
            let why = "it does not exist, or we may not see it";
            population.unseen.push(Unseen::new(format!("model {model}"), why));
            return Ok(population);
        };
        for version in versions {
            let Some(at) = version.created_at else {
                let what = format!("when version {} of {model} was made", version.version);
                population
                    .unseen
                    .push(Unseen::new(what, "the server does not say it"));
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

    async fn files(&self, folder: &str, name: &str) -> Result<Population, DeployError> {
        let mut occurrences = Vec::new();
        for row in folder::list(self.plane(), folder).await?.unwrap_or_default() {
            let own = row.path.rsplit('/').next().unwrap_or_default();
            if !paths::matches(name, own) {
                continue;
            }
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
