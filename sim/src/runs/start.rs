//! How a run begins: of a job, or submitted without one. An idempotency token makes it begin once.

use serde_json::{Map, Value, json};

use super::{engine, script, tasks};
use crate::call::{Call, only};
use crate::error::ApiError;
use crate::limits::Family;
use crate::objects::{jobs, run_as};
use crate::route::{Answer, Reply, Route, write};
use crate::state::State;
use crate::state::runs::{Phase, Repair, Run, TaskRun};

/// The older parameters, one kind of task each.
pub const OLD_PARAMETERS: &[&str] = &[
    "dbt_commands",
    "jar_params",
    "notebook_params",
    "pipeline_params",
    "python_named_params",
    "python_params",
    "spark_submit_params",
    "sql_params",
];

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.2/jobs/run-now", run_now)
        .body(&[
            "job_id",
            "idempotency_token",
            "job_parameters",
            "queue",
            "only",
            "performance_target",
            "duration_target",
        ])
        .shared(OLD_PARAMETERS)
        .family(Family::JobsRun),
    write("POST", "/api/2.2/jobs/runs/submit", submit)
        .body(&[
            "run_name",
            "tasks",
            "git_source",
            "run_as",
            "access_control_list",
            "idempotency_token",
            "timeout_seconds",
            "environments",
            "environment_variables",
            "queue",
            "budget_policy_id",
            "usage_policy_id",
            "email_notifications",
            "webhook_notifications",
            "notification_settings",
            "health",
            "performance_target",
            "duration_target",
        ])
        .family(Family::JobsSubmit),
];

fn number(id: &str) -> u64 {
    id.parse().unwrap_or_default()
}

/// At most 64 characters; answers with the run that the token stands for, if it already does.
fn token(call: &Call, state: &State) -> Result<Option<(String, Option<u64>)>, ApiError> {
    let token = match call.body.get("idempotency_token").and_then(Value::as_str) {
        None | Some("") => return Ok(None),
        Some(token) => token.to_owned(),
    };
    if token.chars().count() > 64 {
        return Err(ApiError::invalid(
            "The idempotency token must be at most 64 characters long",
        ));
    }
    let known = state.runs.tokens.get(&(call.workspace(), token.clone())).copied();
    if let Some(run) = known
        && state.runs.get(run).is_none()
    {
        return Err(ApiError::invalid(format!(
            "The run {run} that was created with the idempotency token {token} was deleted"
        )));
    }
    Ok(Some((token, known)))
}

/// `number_in_job` is the run id [GO service/jobs/model.go].
fn answer(run: u64) -> Answer {
    Ok(Reply::ok(json!({"run_id": run, "number_in_job": run})))
}

fn queues(call: &Call, settings: &Map<String, Value>) -> bool {
    call.body
        .get("queue")
        .or(settings.get("queue"))
        .is_some_and(|queue| queue["enabled"] == true)
}

/// Parameters of the job with what the call puts over them. That a name the job does not define is taken is
/// UNCONFIRMED.
pub fn parameters(call: &Call, settings: &Map<String, Value>) -> Result<Vec<Value>, ApiError> {
    let given = match call.body.get("job_parameters") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(given)) => given.clone(),
        Some(_) => return Err(ApiError::malformed("job_parameters must be an object")),
    };
    let old = OLD_PARAMETERS.iter().find(|name| call.body.get(**name).is_some());
    if let (Some(old), false) = (old, given.is_empty()) {
        return Err(ApiError::invalid(format!(
            "job_parameters and {old} cannot be given together"
        )));
    }
    // The JSON of parameters has a limit of 10,000 bytes [GO service/jobs/model.go].
    if json!(given).to_string().len() > 10_000 {
        return Err(ApiError::invalid(
            "The JSON representation of job_parameters exceeds 10000 bytes",
        ));
    }
    if let Some((name, _)) = given.iter().find(|(_, value)| !value.is_string()) {
        return Err(ApiError::malformed(format!(
            "The value of the job parameter '{name}' must be a string"
        )));
    }
    let defined = settings.get("parameters").and_then(Value::as_array);
    let mut rows: Vec<Value> = defined
        .into_iter()
        .flatten()
        .map(|row| {
            let name = row["name"].as_str().unwrap_or_default();
            let value = given.get(name).unwrap_or(&row["default"]);
            json!({"name": name, "default": row["default"], "value": value})
        })
        .collect();
    for (name, value) in &given {
        if !rows.iter().any(|row| row["name"] == name.as_str()) {
            rows.push(json!({"name": name, "value": value}));
        }
    }
    Ok(rows)
}

pub fn old_parameters(call: &Call) -> Map<String, Value> {
    OLD_PARAMETERS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), call.body.get(*name)?.clone())))
        .collect()
}

/// A task as its first attempt, not started.
pub fn task_run(state: &mut State, definition: Map<String, Value>) -> TaskRun {
    TaskRun {
        id: state.new_id(),
        key: definition
            .get("task_key")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        definition,
        attempt: 0,
        phase: Phase::Pending,
        due: None,
        start: None,
        end: None,
        message: String::new(),
        logs: String::new(),
        logs_truncated: false,
        error: None,
        error_trace: None,
    }
}

/// Takes the tasks out of settings.
fn definitions(settings: &mut Map<String, Value>) -> Vec<Map<String, Value>> {
    let rows = settings.remove("tasks");
    rows.as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|row| row.as_object().cloned())
        .collect()
}

fn run_now(call: &Call, state: &mut State) -> Answer {
    let object = jobs::find(call, state)?;
    let job = number(&object.id);
    let name = object.name.clone();
    let mut settings = object
        .body
        .get("settings")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let who = jobs::runs_as(state, object);
    super::may_with_job(call, state, job, "CAN_MANAGE_RUN")?;
    let token = token(call, state)?;
    if let Some((_, Some(run))) = token {
        return answer(run);
    }
    let parameters = parameters(call, &settings)?;
    let mut rows = definitions(&mut settings);
    if let Some(only) = call.body.get("only").and_then(Value::as_array) {
        if let Some(unknown) = only
            .iter()
            .find(|key| !rows.iter().any(|row| row.get("task_key") == Some(key)))
        {
            return Err(ApiError::invalid(format!("Task key {unknown} does not exist")));
        }
        rows.retain(|row| row.get("task_key").is_some_and(|key| only.contains(key)));
        for row in &mut rows {
            if let Some(needs) = row.get_mut("depends_on").and_then(Value::as_array_mut) {
                needs.retain(|need| only.contains(&need["task_key"]));
            }
        }
    }
    if rows.is_empty() {
        return Err(ApiError::invalid(format!("Job {job} has no tasks to run.")));
    }
    let script = script::take(state, call.workspace(), Some((&name, job)), None);
    let queues = queues(call, &settings);
    let run = Run {
        job: Some(job),
        name,
        run_as: who,
        parameters,
        overriding: old_parameters(call),
        queues,
        script,
        ..blank(call, state, settings)
    };
    begin(call, state, run, rows, token.map(|(token, _)| token))
}

fn submit(call: &Call, state: &mut State) -> Answer {
    let mut settings = call.object()?.clone();
    if let Some(rows) = settings.get("tasks") {
        let only_tasks = Map::from_iter([("tasks".to_owned(), rows.clone())]);
        tasks::check(&only_tasks)?;
    }
    if let Some(list) = settings.remove("access_control_list") {
        for row in list.as_array().into_iter().flatten().filter_map(Value::as_object) {
            only(
                row,
                &[
                    "user_name",
                    "group_name",
                    "service_principal_name",
                    "permission_level",
                ],
            )?;
        }
    }
    let who = run_as::allowed(call, state, settings.get("run_as"), None)?.unwrap_or(call.caller);
    let token = token(call, state)?;
    if let Some((_, Some(run))) = token {
        return answer(run);
    }
    let rows = definitions(&mut settings);
    if rows.is_empty() {
        return Err(ApiError::invalid("Missing required field: tasks"));
    }
    let name = settings
        .get("run_name")
        .and_then(Value::as_str)
        .unwrap_or("Untitled")
        .to_owned();
    let script = script::take(state, call.workspace(), Some((&name, 0)), None);
    let queues = queues(call, &settings);
    let run = Run {
        name,
        run_as: who,
        queues,
        script,
        ..blank(call, state, settings)
    };
    begin(call, state, run, rows, token.map(|(token, _)| token))
}

fn blank(call: &Call, state: &mut State, settings: Map<String, Value>) -> Run {
    let timeout = settings.get("timeout_seconds").and_then(Value::as_i64);
    Run {
        id: state.new_id(),
        workspace: call.workspace(),
        job: None,
        name: String::new(),
        creator: call.caller,
        run_as: call.caller,
        settings,
        parameters: Vec::new(),
        overriding: Map::new(),
        queues: false,
        phase: Phase::Queued,
        due: None,
        deadline: None,
        timeout: timeout
            .filter(|seconds| *seconds > 0)
            .map(|seconds| seconds * 1000),
        start: call.now,
        running_since: None,
        end: None,
        message: String::new(),
        tasks: Vec::new(),
        replaced: Vec::new(),
        repairs: Vec::new(),
        script: script::Script::default(),
        pace: call.pace,
        execute: call.execute,
    }
}

fn begin(
    call: &Call,
    state: &mut State,
    mut run: Run,
    rows: Vec<Map<String, Value>>,
    token: Option<String>,
) -> Answer {
    run.tasks = rows.into_iter().map(|row| task_run(state, row)).collect();
    run.repairs.push(Repair {
        id: 0,
        task_runs: run.tasks.iter().map(|task| task.id).collect(),
        start: call.now,
        end: None,
        ended: None,
    });
    let id = run.id;
    if let Some(token) = token {
        state.runs.tokens.insert((run.workspace, token), id);
    }
    state.runs.insert(run);
    engine::admit(state, id, call.now);
    answer(id)
}
