//! Whether a job is what a step makes of it, what it was before, or what another hand made of it.

use lockstep_core::domain::promotion::code::definition;
use lockstep_core::domain::promotion::code::sources::Frame;
use lockstep_core::domain::promotion::machine::state::{Failure, FailureKind, Words};
use lockstep_core::domain::promotion::ports::deployments::{JobStep, Restoration, words};
use serde_json::Value;

use super::jobs::Job;

pub(super) const ABSENT: &str = "absent";
pub(super) const THERE: &str = "there";

pub(super) fn frame(step: &JobStep) -> Frame<'_> {
    Frame {
        name: &step.name,
        run_as: &step.run_as,
        revision: &step.revision,
        directory: step.directory.as_deref(),
    }
}

/// Whether the job is what this step makes of it, in so far as it decides what runs.
pub(super) fn is_ours(job: &Job, step: &JobStep) -> Result<(), Failure> {
    if let Some(settings) = &step.settings
        && let Some(place) = definition::difference(&job.settings, settings)
    {
        let message = format!(
            "job {:?} ({}) is not as it was reviewed: {place}; another hand changed it",
            step.name, job.id
        );
        return Err(Failure::new(FailureKind::JobRunsOtherCode, message));
    }
    definition::check(&job.settings, job.run_as.as_deref(), &frame(step))
}

pub(super) fn saved_settings(undo: &Words) -> Option<Value> {
    serde_json::from_str(undo.get(words::SETTINGS)?).ok()
}

pub(super) fn was_absent(undo: &Words) -> bool {
    undo.get(words::WAS).map(String::as_str) == Some(ABSENT)
}

/// Whether the job is again what it was, still what this step made of it, or neither.
pub(super) fn restoration(job: Option<&Job>, step: &JobStep, undo: &Words) -> Restoration {
    let taken = |what: &str| {
        Restoration::TakenByOthers(format!(
            "job {:?} {what}: another hand changed it, and it is left",
            step.name
        ))
    };
    let Some(ours) = &step.settings else {
        // Its settings were not ours to change.
        return Restoration::Undone;
    };
    match (job, saved_settings(undo)) {
        (None, _) if was_absent(undo) => Restoration::Undone,
        (None, _) => taken("is gone"),
        (Some(job), Some(saved)) if job.settings == saved => Restoration::Undone,
        (Some(job), saved) => match definition::difference(&job.settings, ours) {
            None => Restoration::NotUndone,
            // What the system adds of its own is no difference.
            Some(_)
                if saved
                    .as_ref()
                    .is_some_and(|saved| definition::difference(&job.settings, saved).is_none()) =>
            {
                Restoration::Undone
            }
            Some(place) => taken(&place),
        },
    }
}
