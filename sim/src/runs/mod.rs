//! Runs: a job that is run, its tasks, what became of them. `start` makes runs, `engine` moves them on as time
//! passes, `change` cancels, repairs and deletes them, `read` and `render` show them, `execute` really runs Python
//! files when the simulator was told to, `script` is what tests prescribe. Jobs themselves are `objects::jobs`.

pub mod change;
pub mod effects;
pub mod engine;
pub mod execute;
pub mod read;
pub mod render;
pub mod script;
pub mod source;
pub mod start;
pub mod tasks;

use crate::call::Call;
use crate::error::ApiError;
use crate::permissions::{acl, kinds};
use crate::state::State;
use crate::state::runs::Run;

/// What a caller may do with a run: what they may do with its job; all with a run of their own without a job.
pub fn may(call: &Call, state: &State, run: &Run, level: &str) -> Result<(), ApiError> {
    let workspace = call.workspace();
    let allowed = state.directory.is_workspace_admin(workspace, call.caller)
        || match run.job {
            None => run.creator == call.caller,
            Some(job) => holds(call, state, job, level),
        };
    if allowed {
        return Ok(());
    }
    Err(denied(call, state, level, &format!("run {}", run.id)))
}

fn holds(call: &Call, state: &State, job: u64, level: &str) -> bool {
    let workspace = call.workspace();
    match (
        kinds::by_path("jobs"),
        state.objects.get(workspace, "jobs", &job.to_string()),
    ) {
        (Some(kind), Some(object)) => {
            acl::effective(state, workspace, kind, object, call.caller) >= kind.rank(level)
        }
        _ => false,
    }
}

pub fn denied(call: &Call, state: &State, level: &str, what: &str) -> ApiError {
    let name = crate::identity::name(state, call.caller);
    let words = match level {
        "CAN_VIEW" => "View or Admin or Manage Run or Owner",
        "CAN_MANAGE_RUN" => "Admin or Manage Run or Owner",
        _ => "Admin or Owner",
    };
    ApiError::denied(format!("User {name} does not have {words} permissions on {what}"))
}

/// Whether a caller may do something with a job.
pub fn may_with_job(call: &Call, state: &State, job: u64, level: &str) -> Result<(), ApiError> {
    let admin = state.directory.is_workspace_admin(call.workspace(), call.caller);
    if admin || holds(call, state, job, level) {
        return Ok(());
    }
    Err(denied(call, state, level, &format!("job {job}")))
}

/// The run of this workspace that a call names, in the vendor's disguise of not-found
/// [GO apierr/error_overrides.go].
pub fn find<'a>(call: &Call, state: &'a State) -> Result<&'a Run, ApiError> {
    let text = call.text("run_id")?;
    text.parse()
        .ok()
        .and_then(|id| state.runs.get(id))
        .filter(|run| run.workspace == call.workspace())
        .ok_or_else(|| missing(&text))
}

pub fn missing(id: &str) -> ApiError {
    ApiError::invalid(format!("Run {id} does not exist."))
}
