//! How runs move on. Nothing runs in the background: whoever asks first moves everything to the present, event by
//! event in the order of time, so that the same story gives the same world however often it is looked at.

use super::effects;
use super::source;
use crate::state::State;
use crate::state::runs::{End, Order, Phase, Run, TaskRun};

/// What a task leaves behind.
#[derive(Debug, Clone, Default)]
pub struct Leftover {
    pub message: String,
    pub logs: String,
    pub logs_truncated: bool,
    pub error: Option<String>,
    pub error_trace: Option<String>,
}

/// The run that something happens to at this moment.
pub fn step(state: &mut State, at: i64) {
    let due: Vec<u64> = state
        .runs
        .active()
        .filter(|run| run.next().is_some_and(|next| next <= at))
        .map(|run| run.id)
        .collect();
    for id in due {
        let Some(run) = state.runs.get(id) else { continue };
        let phase = run.phase;
        if run.deadline.is_some_and(|deadline| deadline <= at) {
            stop(state, id, End::TimedOut, at);
        } else if run.due.is_some_and(|due| due <= at) {
            match phase {
                Phase::Pending => begin(state, id, at),
                Phase::Terminating => stop(state, id, End::Canceled, at),
                _ => {}
            }
        } else {
            let ready: Vec<u64> = run
                .tasks
                .iter()
                .filter(|task| !task.phase.is_over() && task.due.is_some_and(|due| due <= at))
                .map(|task| task.id)
                .collect();
            for task in ready {
                simulate_end(state, id, task, at);
            }
        }
    }
}

/// A new run gets its place: it starts, waits in the queue, or is skipped.
pub fn admit(state: &mut State, id: u64, at: i64) {
    let Some(run) = state.runs.get(id) else { return };
    let (job, queues, half) = (run.job, run.queues, run.pace / 2);
    let full = job.is_some_and(|job| running(state, job, id) >= limit(state, run.workspace, job));
    let Some(run) = state.runs.get_mut(id) else { return };
    if !full {
        (run.phase, run.due) = (Phase::Pending, Some(at + half));
        run.deadline = run.timeout.map(|timeout| at + timeout);
    } else if queues {
        (run.phase, run.due) = (Phase::Queued, None);
    } else {
        (run.phase, run.end) = (Phase::Over(End::Skipped), Some(at));
        "Skipped this run because the limit of maximum concurrent runs has been reached."
            .clone_into(&mut run.message);
        for task in &mut run.tasks {
            (task.phase, task.end) = (Phase::Over(End::Skipped), Some(at));
        }
    }
    state.runs.reindex(id);
}

fn running(state: &State, job: u64, but: u64) -> u64 {
    let others = state
        .runs
        .active()
        .filter(|run| run.job == Some(job) && run.id != but && run.phase != Phase::Queued);
    others.map(|_| 1).sum()
}

fn limit(state: &State, workspace: u64, job: u64) -> u64 {
    state
        .objects
        .get(workspace, "jobs", &job.to_string())
        .and_then(|object| object.body.get("settings")?["max_concurrent_runs"].as_u64())
        .unwrap_or(1)
}

fn begin(state: &mut State, id: u64, at: i64) {
    if let Some(run) = state.runs.get_mut(id) {
        (run.phase, run.due) = (Phase::Running, None);
        run.running_since.get_or_insert(at);
        for task in &mut run.tasks {
            if task.phase == Phase::Pending {
                task.phase = Phase::Blocked;
            }
        }
    }
    effects::at_begin(state, id, at);
    settle(state, id, at);
}

/// Starts every task that waited for what is over now, and ends the run after its last task.
fn settle(state: &mut State, id: u64, at: i64) {
    loop {
        let Some(run) = state.runs.get(id) else { return };
        if run.phase.is_over() {
            return;
        }
        let next = run
            .tasks
            .iter()
            .filter(|task| task.phase == Phase::Blocked)
            .find_map(|task| Some((task.id, verdict(run, task)?)));
        match next {
            Some((task, Verdict::Start)) => start(state, id, task, at),
            Some((task, Verdict::Skip(end))) => close(state, id, task, end, Leftover::default(), at),
            None if run.tasks.iter().all(|task| task.phase.is_over()) => {
                let (end, message) = result(run);
                return finish(state, id, end, message, at);
            }
            None => return,
        }
    }
}

enum Verdict {
    Start,
    Skip(End),
}

/// Whether a task may start, by `run_if` over the tasks it depends on; nothing while one of those is under way.
fn verdict(run: &Run, task: &TaskRun) -> Option<Verdict> {
    let ends: Vec<End> = task
        .definition
        .get("depends_on")
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|row| row["task_key"].as_str())
        .filter_map(|key| run.tasks.iter().find(|task| task.key == key))
        .map(|task| match task.phase {
            Phase::Over(end) => Some(end),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let good = ends.iter().filter(|end| end.is_good()).count();
    let bad = ends.len() - good;
    let run_if = task.definition.get("run_if").and_then(serde_json::Value::as_str);
    let scripted = run.script.result.map(super::script::Outcome::end) == Some(End::SuccessWithFailures);
    let starts = match run_if.unwrap_or("ALL_SUCCESS") {
        _ if ends.is_empty() || scripted => true,
        "ALL_DONE" => true,
        "ALL_FAILED" => good == 0,
        "AT_LEAST_ONE_FAILED" => bad > 0,
        "AT_LEAST_ONE_SUCCESS" => good > 0,
        _ => bad == 0,
    };
    Some(if starts {
        Verdict::Start
    } else if matches!(run_if, Some("ALL_FAILED" | "AT_LEAST_ONE_FAILED")) {
        Verdict::Skip(End::Excluded)
    } else if ends.contains(&End::Canceled) || ends.contains(&End::UpstreamCanceled) {
        Verdict::Skip(End::UpstreamCanceled)
    } else {
        Verdict::Skip(End::UpstreamFailed)
    })
}

fn start(state: &mut State, id: u64, task_id: u64, at: i64) {
    let refused = source::refused(state, id, task_id);
    let Some(run) = state.runs.get_mut(id) else { return };
    let (pace, hold) = (run.script.pace(run.pace), run.script.hold);
    let really = run.execute
        && run.script.result.is_none()
        && !hold
        && run
            .task(task_id)
            .is_some_and(|task| source::python_file(run, task).is_some());
    let Some(task) = run.task_mut(task_id) else { return };
    (task.phase, task.start) = (Phase::Running, Some(at));
    if task.definition.get("disabled") == Some(&serde_json::json!(true)) {
        return close(state, id, task_id, End::Disabled, Leftover::default(), at);
    }
    if let Some(leftover) = refused {
        return close(state, id, task_id, End::NoSource, leftover, at);
    }
    if really {
        state.runs.orders.push(Order {
            run: id,
            task: task_id,
        });
    } else if !hold {
        task.due = Some(at + pace);
    }
}

/// The task whose end a script decides: the one it names, else the last.
pub fn is_scripted(run: &Run, task: &TaskRun, named: Option<&str>) -> bool {
    match named {
        Some(key) => task.key == key,
        None => run.tasks.last().is_some_and(|last| last.key == task.key),
    }
}

fn simulate_end(state: &mut State, id: u64, task_id: u64, at: i64) {
    let Some((run, task)) = state.runs.get(id).and_then(|run| Some((run, run.task(task_id)?))) else {
        return;
    };
    let end = match run.script.result.map(super::script::Outcome::end) {
        Some(end) if is_scripted(run, task, run.script.task.as_deref()) => end,
        _ => End::Success,
    };
    let end = if end == End::SuccessWithFailures {
        End::Failed
    } else {
        end
    };
    let message = run.script.message.clone().unwrap_or_default();
    let leftover = match end {
        End::Success => Leftover::default(),
        End::Failed => Leftover {
            error: Some(if message.is_empty() {
                "RuntimeError: as the script says".to_owned()
            } else {
                message.clone()
            }),
            message: "Workload failed, see run output for details".to_owned(),
            ..Leftover::default()
        },
        _ => Leftover {
            message,
            ..Leftover::default()
        },
    };
    end_task(state, id, task_id, end, leftover, at);
}

/// A task has ended by itself; what follows from it follows at the same moment.
pub fn end_task(state: &mut State, id: u64, task_id: u64, end: End, leftover: Leftover, at: i64) {
    let running = state
        .runs
        .get(id)
        .and_then(|run| run.task(task_id))
        .is_some_and(|task| task.phase == Phase::Running);
    if !running {
        return;
    }
    if end.is_good() {
        effects::at_end(state, id, task_id, at);
    }
    close(state, id, task_id, end, leftover, at);
    settle(state, id, at);
}

fn close(state: &mut State, id: u64, task_id: u64, end: End, leftover: Leftover, at: i64) {
    let Some(task) = state.runs.get_mut(id).and_then(|run| run.task_mut(task_id)) else {
        return;
    };
    let Leftover {
        message,
        logs,
        logs_truncated,
        error,
        error_trace,
    } = leftover;
    (task.phase, task.due, task.end) = (Phase::Over(end), None, Some(at));
    (task.message, task.logs, task.logs_truncated) = (message, logs, logs_truncated);
    (task.error, task.error_trace) = (error, error_trace);
}

/// The end of a run from the ends of its tasks: a failure that a later task made good leaves
/// SUCCESS_WITH_FAILURES [GO service/jobs/model.go TerminationCode].
fn result(run: &Run) -> (End, String) {
    let ends = || {
        run.tasks.iter().filter_map(|task| match task.phase {
            Phase::Over(end) => Some((task, end)),
            _ => None,
        })
    };
    let needed = |key: &str| {
        run.tasks.iter().any(|task| {
            task.definition
                .get("depends_on")
                .and_then(serde_json::Value::as_array)
                .into_iter()
                .flatten()
                .any(|row| row["task_key"] == key)
        })
    };
    let scripted = run.script.result.map(super::script::Outcome::end) == Some(End::SuccessWithFailures);
    let Some((task, end)) = ends().find(|(_, end)| !end.is_good()) else {
        return (
            if scripted {
                End::SuccessWithFailures
            } else {
                End::Success
            },
            String::new(),
        );
    };
    if scripted || ends().all(|(task, end)| end.is_good() || needed(&task.key)) {
        return (End::SuccessWithFailures, String::new());
    }
    let message = if task.message.is_empty() {
        format!("Task {} did not succeed.", task.key)
    } else {
        format!("Task {} failed with message: {}.", task.key, task.message)
    };
    (end, message)
}

/// Ends the run whatever its tasks are doing: cancelled, or out of time.
pub fn stop(state: &mut State, id: u64, end: End, at: i64) {
    if let Some(run) = state.runs.get_mut(id) {
        for task in run.tasks.iter_mut().filter(|task| !task.phase.is_over()) {
            (task.phase, task.due, task.end) = (Phase::Over(end), None, Some(at));
        }
    }
    let message = match end {
        End::TimedOut => "Run timed out.",
        _ => "Run cancelled.",
    };
    finish(state, id, end, message.to_owned(), at);
}

fn finish(state: &mut State, id: u64, end: End, message: String, at: i64) {
    let Some(run) = state.runs.get_mut(id) else { return };
    (run.phase, run.due, run.deadline, run.end) = (Phase::Over(end), None, None, Some(at));
    run.message = message;
    if let Some(repair) = run.repairs.last_mut() {
        (repair.end, repair.ended) = (Some(at), Some(end));
    }
    let job = run.job;
    state.runs.reindex(id);
    let waiting = |state: &State| {
        let mut queue = state.runs.active();
        queue
            .find(|run| run.job.is_some() && run.job == job && run.phase == Phase::Queued)
            .map(|run| run.id)
    };
    while let Some(next) = waiting(state) {
        admit(state, next, at);
        if state.runs.get(next).is_some_and(|run| run.phase == Phase::Queued) {
            break;
        }
    }
}
