//! The job step: a job set to reviewed settings and run once per key. Before it runs and when it has ended, what the
//! workspace says of the job and of the run is held against the reviewed settings; what people changed is reported.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::code::{definition, sources};
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::state::{Failure, FailureKind, Words};
use lockstep_core::domain::promotion::ports::deployments::{
    DeployError, JobStep, Jobs, Key, Progress, Restoration, words,
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::limits::Family;
use super::super::plane::Plane;
use super::super::system::Inner;
use super::jobs::{self, Job};
use super::run_state::{Standing, culprit, standing};
use super::settled::{ABSENT, THERE, frame, is_ours, restoration, saved_settings, was_absent};
use super::{pages, runs};
use crate::clients::http::{Call, Effect};

/// Runs whose id is remembered, so that looking at one is one call.
const REMEMBERED: usize = 1_000;

pub(super) struct WorkspaceJobs {
    inner: Arc<Inner>,
    /// Run by token. Only spares searching: what is not here is found by its parameter.
    known: Mutex<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Started {
    run_id: serde_json::Number,
}

fn refuse<T>(message: String) -> Result<T, DeployError> {
    Err(DeployError::fails(FailureKind::Refused, message))
}

impl WorkspaceJobs {
    pub fn new(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            known: Mutex::default(),
        }
    }

    fn plane(&self) -> &Plane {
        &self.inner.workspace.plane
    }

    /// The one job that the step means; `None`: there is none.
    async fn find(&self, step: &JobStep) -> Result<Option<Job>, DeployError> {
        let ids = jobs::named(self.plane(), &step.name).await?;
        let id = match (ids.as_slice(), &step.pinned) {
            ([], None) => return Ok(None),
            ([], Some(pinned)) => match jobs::get(self.plane(), pinned).await? {
                None => return Ok(None),
                Some(job) => {
                    let now = job.settings["name"].as_str().unwrap_or_default();
                    return refuse(format!(
                        "job {pinned} was called {:?} and is called {now:?} now: give it its name back",
                        step.name
                    ));
                }
            },
            ([id], Some(pinned)) if id != pinned => match jobs::get(self.plane(), pinned).await? {
                // It was deleted, and made anew under its name.
                None => id,
                Some(_) => {
                    return refuse(format!(
                        "{:?} was job {pinned} and is job {id} now, and both are there: rename or delete one",
                        step.name
                    ));
                }
            },
            ([id], _) => id,
            (several, _) => {
                return refuse(format!(
                    "jobs {} are all called {:?}: rename or delete all but one",
                    several.join(", "),
                    step.name
                ));
            }
        };
        Ok(jobs::get(self.plane(), id).await?)
    }

    /// Starts the run of this key, or finds it started: the vendor promises one run per token.
    async fn start(&self, id: &str, key: &Key, step: &JobStep) -> Result<(), SystemError> {
        let parameters = definition::parameters(
            &step.parameters,
            &key.promotion.0,
            &key.token.0,
            key.change.0,
            &key.revision.0,
        );
        let path = "/api/2.2/jobs/run-now";
        let call = Call::new(
            Method::POST,
            path,
            path,
            Family::RunNow.name(),
            Effect::Repeatable,
        );
        let call = call.json(&json!({
            "job_id": jobs::number(id),
            "idempotency_token": key.token.0,
            "job_parameters": parameters,
            // A run of the same job that is under way would have it skipped otherwise.
            "queue": {"enabled": true},
        }));
        let started: Started = self.plane().read(call).await?;
        self.remember(key, &started.run_id.to_string());
        Ok(())
    }

    fn remember(&self, key: &Key, run: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key.token.0.clone(), run.to_owned());
    }

    /// The run of this key.
    async fn run_of(&self, key: &Key, step: &JobStep) -> Result<Option<String>, SystemError> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key.token.0)
            .cloned();
        if known.is_some() {
            return Ok(known);
        }
        let ids = jobs::named(self.plane(), &step.name).await?;
        let found = runs::search(self.plane(), key, &ids).await?;
        if let Some(run) = &found {
            self.remember(key, run);
        }
        Ok(found)
    }

    /// What is to be said of a run that ended well: whether it, and its job, were what they had to be.
    async fn judged(
        &self,
        step: &JobStep,
        id: &str,
        run: &Value,
        mut known: Words,
    ) -> Result<Progress, DeployError> {
        let job = match pages::id(run.get("job_id")) {
            Some(job) => jobs::get(self.plane(), &job).await?,
            None => None,
        };
        let Some(job) = job else {
            let message = format!("job {:?} was deleted while run {id} went on", step.name);
            return Ok(Progress::Failed(Failure::new(
                FailureKind::JobRunsOtherCode,
                message,
            )));
        };
        if let Err(why) = is_ours(&job, step) {
            return Ok(Progress::Failed(why));
        }
        known.insert(words::JOB.to_owned(), job.id.clone());
        known.insert(
            words::SETTINGS.to_owned(),
            step.settings.as_ref().unwrap_or(&job.settings).to_string(),
        );
        for (word, field) in [(words::STARTED, "start_time"), (words::ENDED, "end_time")] {
            if let Some(at) = runs::moment(run.get(field)) {
                known.insert(word.to_owned(), at.to_string());
            }
        }
        Ok(Progress::Succeeded(known))
    }

    /// A job that is left to its schedule is done when it is set.
    async fn observe_settings(&self, step: &JobStep) -> Result<Progress, DeployError> {
        let Some(job) = self.find(step).await? else {
            return Ok(Progress::Absent);
        };
        Ok(match is_ours(&job, step) {
            Err(why) if step.settings.is_none() => Progress::Failed(why),
            Err(_) => Progress::Absent,
            Ok(()) => Progress::Succeeded(
                [
                    (words::JOB.to_owned(), job.id.clone()),
                    (
                        words::SETTINGS.to_owned(),
                        step.settings.as_ref().unwrap_or(&job.settings).to_string(),
                    ),
                    (
                        words::ADDRESS.to_owned(),
                        super::in_workspace(&self.inner, "jobs", &job.id).await?,
                    ),
                ]
                .into(),
            ),
        })
    }

    /// A failure with what the task at fault says itself. A run that has ended is not kept waiting for its words.
    async fn explained(&self, run: &Value, mut why: Failure) -> Failure {
        let Some((task, id)) = culprit(run) else {
            return why;
        };
        let error = match runs::error(self.plane(), &id).await {
            Ok(error) => error.map(|error| format!(": {error}")).unwrap_or_default(),
            Err(error) => format!(", whose output could not be read: {error}"),
        };
        why.message = format!("{}; task {task}{error}", why.message);
        why
    }

    async fn cancel_all(&self, promotion: &PromotionName, job: &Job) -> Result<(), SystemError> {
        for run in runs::active(self.plane(), &job.id, &promotion.0).await? {
            runs::cancel(self.plane(), &run).await?;
        }
        Ok(())
    }
}

/// The commit that a run says its Git source was, if it is another than the deployed one.
fn other_commit(run: &Value, step: &JobStep) -> Option<Failure> {
    let used = run.pointer("/git_source/git_snapshot/used_commit")?.as_str()?;
    (used != step.revision.0).then(|| {
        let message = format!("job {:?} ran commit {used}, not {}", step.name, step.revision);
        Failure::new(FailureKind::JobRunsOtherCode, message)
    })
}

#[async_trait]
impl Jobs for WorkspaceJobs {
    async fn prepare(&self, step: &JobStep) -> Result<Words, DeployError> {
        match self.find(step).await? {
            None if step.settings.is_none() => refuse(format!(
                "there is no job {:?}, and the step has no definition to make it from",
                step.name
            )),
            None => Ok([(words::WAS.to_owned(), ABSENT.to_owned())].into()),
            Some(job) => Ok([
                (words::WAS.to_owned(), THERE.to_owned()),
                (words::JOB.to_owned(), job.id),
                (words::SETTINGS.to_owned(), job.settings.to_string()),
            ]
            .into()),
        }
    }

    async fn act(&self, key: &Key, step: &JobStep, _undo: &Words) -> Result<(), DeployError> {
        if let Some(settings) = &step.settings {
            // What the record or a caller hands over is judged like everything else.
            definition::check(settings, None, &frame(step)).map_err(DeployError::Fails)?;
            match self.find(step).await? {
                // Looking by name comes first, so that a creation whose answer was lost is found and not repeated.
                None => jobs::create(self.plane(), settings).await?,
                Some(job) => jobs::reset(self.plane(), &job.id, settings).await?,
            }
        }
        let Some(job) = self.find(step).await? else {
            if step.settings.is_some() {
                let message = format!("job {:?} was made and is not listed yet", step.name);
                return Err(self.plane().error(SystemErrorKind::Stale, message).into());
            }
            return refuse(format!("there is no job {:?}", step.name));
        };
        is_ours(&job, step).map_err(DeployError::Fails)?;
        if step.run {
            self.start(&job.id, key, step).await?;
        }
        Ok(())
    }

    async fn observe(&self, key: &Key, step: &JobStep) -> Result<Progress, DeployError> {
        if !step.run {
            return self.observe_settings(step).await;
        }
        let Some(id) = self.run_of(key, step).await? else {
            return Ok(Progress::Absent);
        };
        let Some(run) = runs::whole(self.plane(), &id).await? else {
            let message = format!("run {id} of job {:?} was deleted", step.name);
            return Ok(Progress::Failed(Failure::new(FailureKind::Failed, message)));
        };
        // The run keeps the tasks it was made with, whatever becomes of the job.
        let has_tasks = run
            .get("tasks")
            .and_then(Value::as_array)
            .is_some_and(|tasks| !tasks.is_empty());
        if has_tasks && let Err(why) = sources::check(&run, &frame(step)) {
            return Ok(Progress::Failed(why));
        }
        if let Some(why) = other_commit(&run, step) {
            return Ok(Progress::Failed(why));
        }
        let link = run
            .get("run_page_url")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let known: Words = [
            (words::RUN.to_owned(), id.clone()),
            (words::LINK.to_owned(), link.to_owned()),
            (
                words::ADDRESS.to_owned(),
                super::in_workspace(&self.inner, "runs", &id).await?,
            ),
        ]
        .into();
        match standing(&run) {
            Standing::Going => Ok(Progress::Going(known)),
            Standing::Failed(why) => Ok(Progress::Failed(self.explained(&run, why).await)),
            Standing::WithFailures if !step.accept_failures => {
                let message = format!(
                    "run {id} ended with SUCCESS_WITH_FAILURES, which the step does not accept ({link})"
                );
                let why = Failure::new(FailureKind::Failed, message);
                Ok(Progress::Failed(self.explained(&run, why).await))
            }
            Standing::Succeeded | Standing::WithFailures if !has_tasks => {
                let message = format!("run {id} does not say which tasks it ran");
                Ok(Progress::Failed(Failure::new(
                    FailureKind::JobRunsOtherCode,
                    message,
                )))
            }
            Standing::Succeeded | Standing::WithFailures => self.judged(step, &id, &run, known).await,
        }
    }

    async fn stop(&self, key: &Key, step: &JobStep) -> Result<(), DeployError> {
        match self.run_of(key, step).await? {
            Some(run) => Ok(runs::cancel(self.plane(), &run).await?),
            None => Ok(()),
        }
    }

    async fn undo(&self, promotion: &PromotionName, step: &JobStep, undo: &Words) -> Result<(), DeployError> {
        let job = self.find(step).await?;
        if let Some(job) = &job {
            self.cancel_all(promotion, job).await?;
        }
        match (restoration(job.as_ref(), step, undo), job, saved_settings(undo)) {
            (Restoration::TakenByOthers(why), ..) => refuse(why),
            (Restoration::NotUndone, Some(job), _) if was_absent(undo) => {
                Ok(jobs::delete(self.plane(), &job.id).await?)
            }
            (Restoration::NotUndone, Some(job), Some(saved)) => {
                Ok(jobs::reset(self.plane(), &job.id, &saved).await?)
            }
            (Restoration::NotUndone, ..) => {
                refuse(format!("the settings of job {:?} were not saved", step.name))
            }
            (Restoration::Undone, ..) => Ok(()),
        }
    }

    async fn undone(
        &self,
        promotion: &PromotionName,
        step: &JobStep,
        undo: &Words,
    ) -> Result<Restoration, DeployError> {
        let job = self.find(step).await?;
        if let Some(job) = &job
            && !runs::active(self.plane(), &job.id, &promotion.0)
                .await?
                .is_empty()
        {
            return Ok(Restoration::NotUndone);
        }
        Ok(restoration(job.as_ref(), step, undo))
    }
}
