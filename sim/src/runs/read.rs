//! Reading runs: one, many, and what a task left behind.

use serde_json::{Map, Value, json};

use super::{find, may, missing, render};
use crate::call::{Call, page};
use crate::error::ApiError;
use crate::limits::Family;
use crate::route::{Answer, Reply, Route, read};
use crate::state::State;
use crate::state::runs::{Phase, Run};

pub const ROUTES: &[Route] = &[
    read("GET", "/api/2.2/jobs/runs/get", get)
        .query(&[
            "run_id",
            "page_token",
            "include_history",
            "include_resolved_values",
        ])
        .family(Family::RunsGet),
    read("GET", "/api/2.2/jobs/runs/list", list).query(&[
        "job_id",
        "active_only",
        "completed_only",
        "expand_tasks",
        "limit",
        "offset",
        "page_token",
        "run_type",
        "start_time_from",
        "start_time_to",
    ]),
    read("GET", "/api/2.2/jobs/runs/get-output", output).query(&["run_id"]),
];

/// Arrays of an answer are cut at 100 and go on with the next page [GO service/jobs/model.go].
const CUT: usize = 100;

fn get(call: &Call, state: &State) -> Answer {
    let text = call.text("run_id")?;
    if let Some(run) = text.parse().ok().and_then(|id| state.runs.of_task(id))
        && run.workspace == call.workspace()
        && let Some(task) = text.parse().ok().and_then(|id| run.task(id))
    {
        may(call, state, run, "CAN_VIEW")?;
        return Ok(Reply::ok(Value::Object(render::of_task(
            state, run, task, &call.base,
        ))));
    }
    let run = find(call, state)?;
    may(call, state, run, "CAN_VIEW")?;
    let mut body = render::base(state, run, &call.base);
    // Only the last attempt of each task is shown here; those a repair replaced answer to their own ids.
    let tasks: Vec<Value> = run
        .tasks
        .iter()
        .map(|task| render::task(run, task, &call.base))
        .collect();
    let mut next = None;
    for (name, rows) in [("tasks", tasks), ("job_parameters", run.parameters.clone())] {
        let (rows, more) = cut(call, rows)?;
        next = next.or(more);
        if !rows.is_empty() {
            body.insert(name.to_owned(), json!(rows));
        }
    }
    for name in ["job_clusters", "environment_variables"] {
        if let Some(value) = run.settings.get(name) {
            body.insert(name.to_owned(), value.clone());
        }
    }
    if call.query("include_history") == Some("true") {
        let rows: Vec<Value> = run
            .repairs
            .iter()
            .map(|repair| render::repair(run, repair))
            .collect();
        body.insert("repair_history".to_owned(), json!(rows));
    }
    if let Some(next) = next {
        body.insert("next_page_token".to_owned(), json!(next));
    }
    Ok(Reply::ok(Value::Object(body)))
}

fn cut(call: &Call, rows: Vec<Value>) -> Result<(Vec<Value>, Option<String>), ApiError> {
    let whole = Call {
        // The quirk is one of listings; a run always shows its first tasks.
        empty_pages: false,
        ..call.clone()
    };
    page(&whole, rows, Some(CUT), CUT, CUT)
}

fn flag(call: &Call, name: &str) -> bool {
    call.query(name) == Some("true")
}

fn moment(call: &Call, name: &str) -> Result<Option<i64>, ApiError> {
    match call.query(name) {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            ApiError::invalid(format!("Could not parse '{text}' as int64 for parameter {name}"))
        }),
    }
}

fn list(call: &Call, state: &State) -> Answer {
    let (active, completed) = (flag(call, "active_only"), flag(call, "completed_only"));
    if active && completed {
        return Err(ApiError::invalid(
            "active_only and completed_only cannot both be true",
        ));
    }
    let size = call.query_number("limit")?;
    if size.is_some_and(|size| size > 25) {
        return Err(ApiError::invalid("limit must be between 1 and 25"));
    }
    let job = moment(call, "job_id")?;
    let (from, to) = (moment(call, "start_time_from")?, moment(call, "start_time_to")?);
    let kind = call.query("run_type");
    let wanted = |run: &&Run| {
        run.workspace == call.workspace()
            && job.is_none_or(|job| run.job.and_then(|id| i64::try_from(id).ok()) == Some(job))
            && (!active || !run.phase.is_over())
            && (!completed || run.phase.is_over())
            && from.is_none_or(|from| run.start >= from)
            && to.is_none_or(|to| run.start <= to)
            && match kind {
                Some("JOB_RUN") => run.job.is_some(),
                Some("SUBMIT_RUN") => run.job.is_none(),
                Some(_) => false,
                None => true,
            }
    };
    let skip = call.query_number("offset")?.unwrap_or(0);
    let mut runs: Vec<&Run> = state
        .runs
        .newest_first()
        .filter(wanted)
        .filter(|run| may(call, state, run, "CAN_VIEW").is_ok())
        .skip(skip)
        .collect();
    // By the time of the start, the newest first; ids break ties.
    runs.sort_by_key(|run| std::cmp::Reverse((run.start, run.id)));
    let (rows, next) = page(call, runs, size.filter(|size| *size > 0).or(Some(20)), 20, 25)?;
    let rows: Vec<Value> = rows.into_iter().map(|run| row(call, state, run)).collect();
    let mut body = json!({"has_more": next.is_some()});
    if !rows.is_empty() {
        body["runs"] = json!(rows);
    }
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

fn row(call: &Call, state: &State, run: &Run) -> Value {
    let mut body = render::base(state, run, &call.base);
    if !run.parameters.is_empty() {
        body.insert("job_parameters".to_owned(), json!(run.parameters));
    }
    if flag(call, "expand_tasks") {
        let tasks: Vec<Value> = run
            .tasks
            .iter()
            .take(CUT)
            .map(|task| render::task(run, task, &call.base))
            .collect();
        body.insert("tasks".to_owned(), json!(tasks));
        body.insert("has_more".to_owned(), json!(run.tasks.len() > CUT));
    }
    Value::Object(body)
}

fn output(call: &Call, state: &State) -> Answer {
    let text = call.text("run_id")?;
    let id: Option<u64> = text.parse().ok();
    let here = |run: &&Run| run.workspace == call.workspace();
    if id.and_then(|id| state.runs.get(id)).as_ref().is_some_and(here) {
        return Err(ApiError::invalid(
            "Retrieving the output of runs with multiple tasks is not supported. Please retrieve the output of each individual task run instead.",
        ));
    }
    let run = id.and_then(|id| state.runs.of_task(id)).filter(here);
    let Some((run, task)) = run.and_then(|run| Some((run, run.task(id?)?))) else {
        return Err(missing(&text));
    };
    may(call, state, run, "CAN_VIEW")?;
    let mut body = Map::from_iter([(
        "metadata".to_owned(),
        Value::Object(render::of_task(state, run, task, &call.base)),
    )]);
    if task.definition.contains_key("notebook_task") && matches!(task.phase, Phase::Over(_)) {
        body.insert("notebook_output".to_owned(), json!({"truncated": false}));
    } else {
        body.insert("logs".to_owned(), json!(task.logs));
        body.insert("logs_truncated".to_owned(), json!(task.logs_truncated));
    }
    if let Some(error) = &task.error {
        body.insert("error".to_owned(), json!(error));
    }
    if let Some(trace) = &task.error_trace {
        body.insert("error_trace".to_owned(), json!(trace));
    }
    Ok(Reply::ok(Value::Object(body)))
}
