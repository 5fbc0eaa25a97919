//! Cancelling, repairing and deleting runs.

use serde_json::{Value, json};

use super::{engine, find, may, may_with_job, script, start, tasks};
use crate::call::Call;
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, write};
use crate::state::State;
use crate::state::runs::{End, Phase, Repair, Run, TaskRun};

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.2/jobs/runs/cancel", cancel).body(&["run_id"]),
    write("POST", "/api/2.2/jobs/runs/cancel-all", cancel_all).body(&["job_id", "all_queued_runs"]),
    write("POST", "/api/2.2/jobs/runs/delete", delete).body(&["run_id"]),
    write("POST", "/api/2.2/jobs/runs/repair", repair)
        .body(&[
            "run_id",
            "latest_repair_id",
            "rerun_tasks",
            "rerun_all_failed_tasks",
            "rerun_dependent_tasks",
            "job_parameters",
            "performance_target",
            "duration_target",
        ])
        .shared(start::OLD_PARAMETERS),
];

/// Asks a run to end. It is TERMINATING for a while; a run that is over stays as it is.
fn ask(state: &mut State, id: u64, now: i64) {
    let Some(run) = state.runs.get_mut(id) else { return };
    match run.phase {
        Phase::Over(_) | Phase::Terminating => {}
        Phase::Queued => engine::stop(state, id, End::Canceled, now),
        _ => {
            (run.phase, run.due) = (Phase::Terminating, Some(now + run.pace / 2));
            for task in run.tasks.iter_mut().filter(|task| !task.phase.is_over()) {
                (task.phase, task.due) = (Phase::Terminating, None);
            }
        }
    }
}

fn cancel(call: &Call, state: &mut State) -> Answer {
    let run = find(call, state)?;
    may(call, state, run, "CAN_MANAGE_RUN")?;
    let id = run.id;
    ask(state, id, call.now);
    Ok(Reply::empty())
}

fn cancel_all(call: &Call, state: &mut State) -> Answer {
    let queued_only = call.body["all_queued_runs"] == true;
    let job = match call.body.get("job_id") {
        None => None,
        Some(_) => {
            let object = crate::objects::jobs::find(call, state)?;
            let job = object.id.parse().unwrap_or_default();
            may_with_job(call, state, job, "CAN_MANAGE_RUN")?;
            Some(job)
        }
    };
    if job.is_none() && !queued_only {
        return Err(ApiError::invalid("Missing required field: job_id"));
    }
    let ids: Vec<u64> = state
        .runs
        .active()
        .filter(|run| run.workspace == call.workspace() && (job.is_none() || run.job == job))
        .filter(|run| !queued_only || run.phase == Phase::Queued)
        .filter(|run| may(call, state, run, "CAN_MANAGE_RUN").is_ok())
        .map(|run| run.id)
        .collect();
    // The waiting ones first: else they would take the places that become free.
    let (queued, others): (Vec<u64>, Vec<u64>) = ids
        .into_iter()
        .partition(|id| state.runs.get(*id).is_some_and(|run| run.phase == Phase::Queued));
    for id in queued.into_iter().chain(others) {
        ask(state, id, call.now);
    }
    Ok(Reply::empty())
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let run = find(call, state)?;
    may(call, state, run, "CAN_MANAGE")?;
    if !run.phase.is_over() {
        return Err(ApiError::new(
            400,
            "INVALID_STATE",
            format!("Run {} is active and cannot be deleted.", run.id),
        ));
    }
    let id = run.id;
    state.runs.remove(id);
    Ok(Reply::empty())
}

/// Keys of the tasks to run again.
fn chosen(call: &Call, run: &Run) -> Result<Vec<String>, ApiError> {
    let all_failed = call.body["rerun_all_failed_tasks"] == true;
    let named = call.body.get("rerun_tasks").and_then(Value::as_array);
    let mut keys: Vec<String> = match (named, all_failed) {
        (Some(_), true) => {
            return Err(ApiError::invalid(
                "rerun_tasks and rerun_all_failed_tasks cannot be given together",
            ));
        }
        (Some(named), false) => named
            .iter()
            .filter_map(Value::as_str)
            .map(ToOwned::to_owned)
            .collect(),
        (None, true) => run
            .tasks
            .iter()
            .filter(|task| !matches!(task.phase, Phase::Over(end) if end.is_good()))
            .map(|task| task.key.clone())
            .collect(),
        (None, false) => Vec::new(),
    };
    if let Some(unknown) = keys
        .iter()
        .find(|key| !run.tasks.iter().any(|task| task.key == **key))
    {
        return Err(ApiError::invalid(format!(
            "Task key '{unknown}' does not exist in run {}",
            run.id
        )));
    }
    if call.body["rerun_dependent_tasks"] == true {
        while let Some(more) = run.tasks.iter().find(|task| {
            !keys.contains(&task.key)
                && tasks::needs(&task.definition).any(|need| keys.iter().any(|key| key == need))
        }) {
            keys.push(more.key.clone());
        }
    }
    if keys.is_empty() {
        return Err(ApiError::invalid(format!(
            "There are no tasks to repair in run {}",
            run.id
        )));
    }
    Ok(keys)
}

fn repair(call: &Call, state: &mut State) -> Answer {
    let run = find(call, state)?;
    may(call, state, run, "CAN_MANAGE_RUN")?;
    if !run.phase.is_over() || run.job.is_none() {
        return Err(ApiError::new(
            400,
            "INVALID_STATE",
            format!(
                "Run {} cannot be repaired: it is active, or not the run of a job.",
                run.id
            ),
        ));
    }
    // Not needed for the first repair, needed for each one after it [GO service/jobs/model.go RepairRun].
    let last = run.repairs.last().map_or(0, |repair| repair.id);
    let given = call.body.get("latest_repair_id").and_then(Value::as_u64);
    if given.unwrap_or(0) != last {
        return Err(ApiError::invalid(format!(
            "The latest repair of run {} is {last}, but latest_repair_id is {}",
            run.id,
            given.map_or_else(|| "missing".to_owned(), |id| id.to_string())
        )));
    }
    let keys = chosen(call, run)?;
    let mut run = run.clone();
    if call.body.get("job_parameters").is_some() {
        run.parameters = start::parameters(call, &run.settings)?;
    }
    run.overriding.extend(start::old_parameters(call));
    let job = run.job.unwrap_or_default();
    run.script = script::take(state, run.workspace, Some((&run.name, job)), None);
    (run.execute, run.pace) = (call.execute, call.pace);
    let repair = state.new_id();
    let mut fresh = Vec::new();
    for task in run.tasks.iter_mut().filter(|task| keys.contains(&task.key)) {
        let again = TaskRun {
            attempt: task.attempt + 1,
            ..start::task_run(state, task.definition.clone())
        };
        fresh.push(again.id);
        run.replaced.push(std::mem::replace(task, again));
    }
    run.repairs.push(Repair {
        id: repair,
        task_runs: fresh,
        start: call.now,
        end: None,
        ended: None,
    });
    (run.phase, run.end) = (Phase::Queued, None);
    run.message.clear();
    // A repair does not compete for a place with itself, but with the other runs of the job.
    let id = run.id;
    run.queues = true;
    state.runs.insert(run);
    engine::admit(state, id, call.now);
    Ok(Reply::ok(json!({"repair_id": repair})))
}
