//! Runs as clients see them: the older `state` and the newer `status` side by side, as the vendor sends them.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::state::State;
use crate::state::runs::{End, Phase, Repair, Run, TaskRun};

/// `state` and `status` of a run or a task.
fn standing(phase: Phase, message: &str) -> [(&'static str, Value); 2] {
    let mut state = json!({"life_cycle_state": phase.life(), "state_message": message,
                           "user_cancelled_or_timedout": false});
    let mut status = json!({"state": phase.word()});
    match phase {
        Phase::Over(end) => {
            let (_, _, result, code, kind) = end.words();
            state["result_state"] = json!(result);
            state["user_cancelled_or_timedout"] = json!(matches!(end, End::Canceled | End::TimedOut));
            status["termination_details"] = json!({"code": code, "type": kind, "message": message});
        }
        Phase::Queued => {
            let why = "Queued due to reaching maximum concurrent runs";
            state["queue_reason"] = json!(why);
            status["queue_details"] = json!({"code": "MAX_CONCURRENT_RUNS_REACHED", "message": why});
        }
        _ => {}
    }
    [("state", state), ("status", status)]
}

pub fn page_url(base: &str, run: &Run, task: Option<u64>) -> String {
    let id = task.unwrap_or(run.id);
    match run.job {
        Some(job) => format!("{base}/?o={}#job/{job}/run/{id}", run.workspace),
        None => format!("{base}/?o={}#run/{id}", run.workspace),
    }
}

/// The Git source with the commit that was used, which proves what ran.
pub fn git_source(run: &Run) -> Option<Value> {
    let mut source = run.settings.get("git_source")?.clone();
    let text = |name: &str| source[name].as_str().map(ToOwned::to_owned);
    let followed = || {
        let what = text("git_tag").or(text("git_branch")).unwrap_or_default();
        let digest = Sha256::digest(format!("{} {what}", text("git_url").unwrap_or_default()));
        hex::encode(digest)[..40].to_owned()
    };
    let used = run
        .script
        .used_commit
        .clone()
        .or(text("git_commit"))
        .unwrap_or_else(followed);
    // Known only once the code was fetched.
    if !matches!(run.phase, Phase::Queued | Phase::Pending) {
        source["git_snapshot"] = json!({"used_commit": used});
    }
    Some(source)
}

/// What a listing shows of a run. Who it runs as is not among it [GO service/jobs/model.go Run]: clients find that
/// in the job, so they must find it there here.
pub fn base(state: &State, run: &Run, base: &str) -> Map<String, Value> {
    let began = run.running_since.unwrap_or(run.end.unwrap_or(run.start));
    let duration = run.end.map_or(0, |end| end - run.start);
    let mut body = Map::from_iter([
        ("run_id".to_owned(), json!(run.id)),
        ("job_run_id".to_owned(), json!(run.id)),
        ("number_in_job".to_owned(), json!(run.id)),
        ("run_name".to_owned(), json!(run.name)),
        ("run_page_url".to_owned(), json!(page_url(base, run, None))),
        (
            "creator_user_name".to_owned(),
            json!(crate::identity::name(state, run.creator)),
        ),
        ("start_time".to_owned(), json!(run.start)),
        ("end_time".to_owned(), json!(run.end.unwrap_or(0))),
        ("setup_duration".to_owned(), json!(0)),
        ("cleanup_duration".to_owned(), json!(0)),
        (
            "execution_duration".to_owned(),
            json!(run.end.map_or(0, |end| end - began)),
        ),
        ("run_duration".to_owned(), json!(duration)),
        ("queue_duration".to_owned(), json!(0)),
        ("trigger".to_owned(), json!("ONE_TIME")),
        (
            "run_type".to_owned(),
            json!(if run.job.is_some() {
                "JOB_RUN"
            } else {
                "SUBMIT_RUN"
            }),
        ),
    ]);
    for (name, value) in standing(run.phase, &run.message) {
        body.insert(name.to_owned(), value);
    }
    if let Some(job) = run.job {
        body.insert("job_id".to_owned(), json!(job));
    }
    if let Some(source) = git_source(run) {
        body.insert("git_source".to_owned(), source);
    }
    for name in ["description", "schedule"] {
        if let Some(value) = run.settings.get(name) {
            body.insert(name.to_owned(), value.clone());
        }
    }
    if !run.overriding.is_empty() {
        body.insert("overriding_parameters".to_owned(), json!(run.overriding));
    }
    body
}

pub fn task(run: &Run, task: &TaskRun, base: &str) -> Value {
    let mut body = task.definition.clone();
    body.insert("run_id".to_owned(), json!(task.id));
    body.insert("attempt_number".to_owned(), json!(task.attempt));
    body.insert(
        "run_page_url".to_owned(),
        json!(page_url(base, run, Some(task.id))),
    );
    body.insert("start_time".to_owned(), json!(task.start.unwrap_or(0)));
    body.insert("end_time".to_owned(), json!(task.end.unwrap_or(0)));
    let duration = task.end.zip(task.start).map_or(0, |(end, start)| end - start);
    body.insert("setup_duration".to_owned(), json!(0));
    body.insert("execution_duration".to_owned(), json!(duration));
    body.insert("cleanup_duration".to_owned(), json!(0));
    for (name, value) in standing(task.phase, &task.message) {
        body.insert(name.to_owned(), value);
    }
    if let Some(source) = git_source(run) {
        body.insert("git_source".to_owned(), source);
    }
    Value::Object(body)
}

pub fn repair(run: &Run, repair: &Repair) -> Value {
    let phase = repair.ended.map_or(run.phase, Phase::Over);
    let kind = if repair.id == 0 { "ORIGINAL" } else { "REPAIR" };
    let mut body = json!({"type": kind, "start_time": repair.start, "end_time": repair.end.unwrap_or(0),
                          "task_run_ids": repair.task_runs});
    if repair.id != 0 {
        body["id"] = json!(repair.id);
    }
    for (name, value) in standing(phase, "") {
        body[name] = value;
    }
    body
}

/// One task run, shown as a run of its own: what a task's run id answers with.
pub fn of_task(state: &State, run: &Run, one: &TaskRun, url: &str) -> Map<String, Value> {
    let mut body = base(state, run, url);
    body.insert("run_id".to_owned(), json!(one.id));
    body.insert("number_in_job".to_owned(), json!(one.id));
    body.insert("run_name".to_owned(), json!(one.key));
    body.insert("run_page_url".to_owned(), json!(page_url(url, run, Some(one.id))));
    body.insert("attempt_number".to_owned(), json!(one.attempt));
    for name in ["start_time", "end_time", "execution_duration", "state", "status"] {
        body.insert(name.to_owned(), task(run, one, url)[name].clone());
    }
    body.insert("tasks".to_owned(), json!([task(run, one, url)]));
    body
}
