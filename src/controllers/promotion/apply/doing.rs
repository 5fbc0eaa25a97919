//! Does one thing at a time, as the machine says: reads what a step needs, asks the step's own port, and says what came
//! of it in the machine's words.

use std::sync::Arc;

use lockstep_core::domain::ports::{ConnectionKind, SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::code::definition::LONGEST;
use lockstep_core::domain::promotion::machine::attempt::StepName;
use lockstep_core::domain::promotion::machine::kept::Kept;
use lockstep_core::domain::promotion::machine::ready::{Course, Needs, Read, Ready, Setting};
use lockstep_core::domain::promotion::machine::state::{Failure, FailureKind, StepState, Words};
use lockstep_core::domain::promotion::machine::steps::{Effect, Seen};
use lockstep_core::domain::promotion::ports::deployments::{DeployError, Deployment, Key, run_of, words};
use lockstep_core::domain::promotion::ports::reviews::Repository;
use lockstep_core::domain::promotion::proof::provenance;

use super::super::super::{Context, governed};
use super::tree::CommitTree;

/// The outside, as one promotion reaches it.
pub(super) struct Doing<'a> {
    context: &'a Context,
    course: Option<&'a Course>,
    /// What went wrong last and may pass: the pass is repeated soon.
    pub error: Option<String>,
}

impl<'a> Doing<'a> {
    pub(super) fn new(context: &'a Context, course: Option<&'a Course>) -> Self {
        Self {
            context,
            course,
            error: None,
        }
    }

    /// Does it, and says what came of it.
    pub(super) async fn does(&mut self, effect: Effect, kept: &mut Kept) -> Seen {
        let (Effect::Prepare { step }
        | Effect::Look { step, .. }
        | Effect::Act { step, .. }
        | Effect::Stop { step, .. }
        | Effect::LookUndone { step }
        | Effect::Undo { step }) = effect;
        let done = self.try_to(effect, step, kept).await;
        let error = match done {
            Ok(seen) => return seen,
            Err(error) => error,
        };
        let what = error.to_string();
        let seen = match effect {
            Effect::Prepare { .. } | Effect::Act { .. } | Effect::Stop { .. } | Effect::Undo { .. } => {
                error.of_write()
            }
            Effect::Look { .. } | Effect::LookUndone { .. } => error.of_look(),
        };
        if seen == Seen::Unknown {
            tracing::warn!(error = what, step, "a step could not go on");
            self.error = Some(what);
        }
        seen
    }

    async fn try_to(&self, effect: Effect, at: usize, kept: &mut Kept) -> Result<Seen, DeployError> {
        let course = self.course.ok_or_else(|| unknown("status.taken is missing"))?;
        let key = &course.recipe.databricks;
        let deployment = self.context.deployments.open(key).await?;
        let step = kept
            .promotion
            .steps
            .get(at)
            .ok_or_else(|| unknown("no such step"))?;
        let name = step.name.clone();
        if effect == (Effect::Prepare { step: at }) {
            let ready = self.make_ready(course, &name, kept, &*deployment).await?;
            let undo = prepare(&*deployment, &ready).await?;
            kept.ready.insert(name, ready);
            return Ok(Seen::Prepared(undo));
        }
        let ready = kept
            .ready
            .get(&name)
            .ok_or_else(|| unknown("the step was not prepared"))?;
        let undo = step.undo.clone().unwrap_or_default();
        let deed = Deed {
            deployment: &*deployment,
            ready,
            undo: &undo,
            kept,
            name: &name,
            at,
        };
        match effect {
            Effect::Prepare { .. } => Ok(Seen::Unknown),
            Effect::Look { attempt, .. } => deed.look(attempt).await,
            Effect::Act { attempt, .. } => deed.act(attempt, || self.repository(course)).await,
            Effect::Stop { attempt, .. } => deed.stop(attempt).await,
            Effect::LookUndone { .. } => deed.look_undone().await,
            Effect::Undo { .. } => deed.undo().await,
        }
    }

    async fn repository(&self, course: &Course) -> Result<Arc<dyn Repository>, SystemError> {
        let review = self.context.reviews.open(&course.gerrit).await?;
        Ok(review.repository(&course.on))
    }

    /// The step with everything it needs, read from the deployed commit and from what ran before.
    async fn make_ready(
        &self,
        course: &Course,
        name: &StepName,
        kept: &Kept,
        deployment: &dyn Deployment,
    ) -> Result<Ready, DeployError> {
        let outputs = kept.outputs();
        let subject = &kept.promotion.subject;
        let setting = Setting {
            promotion: &kept.promotion.name,
            environment: &subject.environment,
            change: subject.change,
            revision: &subject.revision,
            course,
            outputs: &outputs,
        };
        let step = course.recipe.steps.iter().find(|step| step.name == *name);
        let step = step.ok_or_else(|| unknown("the policy that was taken has no such step"))?;
        let read = match setting.needs(step).map_err(DeployError::Fails)? {
            Needs::Nothing => Read::Nothing,
            Needs::Definition(path) => {
                let repository = self.repository(course).await?;
                repository.fetch(&subject.revision).await?;
                let files = repository.files(&subject.revision).await?;
                let entry = files.iter().find(|entry| entry.path == path).ok_or_else(|| {
                    let message = format!("{path} is not in the tree of {}: commit it", subject.revision);
                    DeployError::fails(FailureKind::Refused, message)
                })?;
                let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
                let text = repository.content(entry, limit).await?;
                let text = String::from_utf8(text).map_err(|_| {
                    DeployError::fails(FailureKind::Refused, format!("{path} is no UTF-8 text"))
                })?;
                Read::Definition(text)
            }
            Needs::VersionOf { step, model } => {
                let left = outputs.get(&step).cloned().unwrap_or_default();
                let run = run_of(&left, &kept.promotion.name, &course.recipe.run_as).ok_or_else(|| {
                    DeployError::fails(FailureKind::Refused, format!("step {step} has left no run"))
                })?;
                let versions = deployment.models().versions(&model).await?;
                let usable =
                    governed::usable_by(&course.recipe.databricks, &course.recipe.run_as, self.context).await;
                let found = provenance::from_job_step(&step.0, &model, &run, &usable, &versions);
                let version = found.map_err(|why| {
                    DeployError::Fails(Failure::new(FailureKind::UnreviewedModel, why.to_string()))
                })?;
                Read::Version(version.version)
            }
        };
        setting.ready(step, &read).map_err(DeployError::Fails)
    }
}

fn unknown(what: &str) -> DeployError {
    DeployError::System(SystemError::new(
        ConnectionKind::Databricks.word(),
        SystemErrorKind::BadAnswer,
        what,
    ))
}

async fn prepare(deployment: &dyn Deployment, ready: &Ready) -> Result<Words, DeployError> {
    match ready {
        Ready::Files(step) => deployment.files().prepare(step).await,
        Ready::Job(step) => deployment.jobs().prepare(step).await,
        Ready::ModelAlias(step) => deployment.models().prepare(step).await,
        Ready::ServingEndpoint(step) => deployment.endpoints().prepare(step).await,
    }
}

/// One step that was prepared.
struct Deed<'a> {
    deployment: &'a dyn Deployment,
    ready: &'a Ready,
    undo: &'a Words,
    kept: &'a Kept,
    name: &'a StepName,
    at: usize,
}

impl Deed<'_> {
    /// The key of one try.
    fn key(&self, attempt: u32) -> Key {
        let promotion = &self.kept.promotion;
        let step = promotion.steps.get(self.at);
        let since = match step.map(|step| &step.state) {
            Some(StepState::Acting { since, .. }) => Some(*since),
            _ => None,
        };
        let since = since.or(self.kept.started).unwrap_or_default();
        Key::new(&promotion.name, &promotion.subject, self.name, attempt, since)
    }

    /// The directories that earlier steps have filled hold what they held then.
    async fn verify_code(&self) -> Result<(), DeployError> {
        let before = self.kept.promotion.steps.iter().take(self.at);
        let left = self.kept.given.values().chain(before.map(|step| &step.outputs));
        for outputs in left.filter(|outputs| outputs.contains_key(words::MANIFEST)) {
            self.deployment.files().verify(outputs).await?;
        }
        Ok(())
    }

    async fn look(&self, attempt: u32) -> Result<Seen, DeployError> {
        Ok(match self.ready {
            Ready::Files(step) => self.deployment.files().observe(step).await?.into(),
            Ready::Job(step) => {
                let seen = self
                    .deployment
                    .jobs()
                    .observe(&self.key(attempt), step)
                    .await?
                    .into();
                if matches!(seen, Seen::Succeeded(_)) {
                    // What ran is what was reviewed only if it still lies there.
                    self.verify_code().await?;
                }
                seen
            }
            Ready::ModelAlias(step) => self.deployment.models().observe(step, self.undo).await?.into(),
            Ready::ServingEndpoint(step) => {
                self.deployment.endpoints().observe(step, self.undo).await?.into()
            }
        })
    }

    async fn act<F, T>(&self, attempt: u32, repository: F) -> Result<Seen, DeployError>
    where
        F: FnOnce() -> T,
        T: Future<Output = Result<Arc<dyn Repository>, SystemError>>,
    {
        match self.ready {
            Ready::Files(step) => {
                let repository = repository().await?;
                repository.fetch(&step.revision).await?;
                let mut tree = CommitTree::of(repository, &step.revision).await?;
                let key = self.key(attempt);
                self.deployment.files().act(&key, step, &mut tree).await?;
            }
            Ready::Job(step) => {
                self.verify_code().await?;
                self.deployment
                    .jobs()
                    .act(&self.key(attempt), step, self.undo)
                    .await?;
            }
            Ready::ModelAlias(step) => self.deployment.models().act(step, self.undo).await?,
            Ready::ServingEndpoint(step) => self.deployment.endpoints().act(step, self.undo).await?,
        }
        Ok(Seen::Accepted)
    }

    /// Only a run goes on by itself.
    async fn stop(&self, attempt: u32) -> Result<Seen, DeployError> {
        if let Ready::Job(step) = self.ready {
            self.deployment.jobs().stop(&self.key(attempt), step).await?;
        }
        Ok(Seen::Accepted)
    }

    async fn look_undone(&self) -> Result<Seen, DeployError> {
        let promotion = &self.kept.promotion.name;
        let undo = self.undo;
        let restored = match self.ready {
            Ready::Files(step) => self.deployment.files().undone(step, undo).await?,
            Ready::Job(step) => self.deployment.jobs().undone(promotion, step, undo).await?,
            Ready::ModelAlias(step) => self.deployment.models().undone(step, undo).await?,
            Ready::ServingEndpoint(step) => self.deployment.endpoints().undone(step, undo).await?,
        };
        Ok(restored.into())
    }

    async fn undo(&self) -> Result<Seen, DeployError> {
        let promotion = &self.kept.promotion.name;
        let undo = self.undo;
        match self.ready {
            Ready::Files(step) => self.deployment.files().undo(step, undo).await?,
            Ready::Job(step) => self.deployment.jobs().undo(promotion, step, undo).await?,
            Ready::ModelAlias(step) => self.deployment.models().undo(step, undo).await?,
            Ready::ServingEndpoint(step) => self.deployment.endpoints().undo(step, undo).await?,
        }
        Ok(Seen::Accepted)
    }
}
