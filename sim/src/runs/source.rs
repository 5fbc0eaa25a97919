//! The code of a task: where it is, and whether who runs the task may read it.

use serde_json::Value;

use super::engine::Leftover;
use crate::objects::tree;
use crate::permissions::{acl, kinds};
use crate::state::State;
use crate::state::runs::{Run, TaskRun};

const PYTHON: &str = "python file";

/// Path of the workspace object that a task runs, if it runs one: a `source` of GIT or a path elsewhere (`dbfs:/`,
/// `s3:/`, a volume) cannot be looked at here.
fn path(run: &Run, task: &TaskRun) -> Option<(&'static str, String)> {
    let (what, field, of) = [
        (PYTHON, "spark_python_task", "python_file"),
        ("notebook", "notebook_task", "notebook_path"),
    ]
    .into_iter()
    .find_map(|(what, kind, field)| Some((what, task.definition.get(kind)?.get(field)?, kind)))?;
    let source = task.definition.get(of).and_then(|task| task["source"].as_str());
    // [GO service/jobs/model.go]: without `source`, GIT if the job has a git_source.
    let git = match source {
        Some(source) => source == "GIT",
        None => run.settings.contains_key("git_source"),
    };
    let path = field.as_str().filter(|path| path.starts_with('/') && !git)?;
    (!path.starts_with("/Volumes/")).then(|| (what, tree::normal(path)))
}

/// The workspace file that a Python task runs.
pub fn python_file(run: &Run, task: &TaskRun) -> Option<String> {
    path(run, task)
        .filter(|(what, _)| *what == PYTHON)
        .map(|(_, path)| path)
}

/// Why a task cannot start, if its code is missing or out of reach. A prescribed result needs no code.
pub fn refused(state: &State, run: u64, task: u64) -> Option<Leftover> {
    let run = state.runs.get(run)?;
    let task = run.task(task)?;
    if run.script.result.is_some() {
        return None;
    }
    let (what, path) = path(run, task)?;
    let found = tree::find(state, run.workspace, &path)
        .filter(|(kind, ..)| matches!(*kind, "files" | "notebooks"))
        .is_some_and(|(kind, _, object)| readable(state, run.workspace, kind, object, run.run_as));
    if found {
        return None;
    }
    let who = crate::identity::name(state, run.run_as);
    let message = format!(
        "Unable to access the {what} \"{path}\". Either it does not exist, or the identity used to run this job, {who}, lacks the required permissions."
    );
    Some(Leftover {
        error: Some(message.clone()),
        message,
        ..Leftover::default()
    })
}

pub fn readable(
    state: &State,
    workspace: u64,
    kind: &'static str,
    object: &crate::state::Object,
    who: u64,
) -> bool {
    state.directory.is_workspace_admin(workspace, who)
        || kinds::by_path(kind).is_some_and(|kind| acl::effective(state, workspace, kind, object, who) > 0)
}

/// Parameters of a Python task with the references to job parameters and ids resolved
/// (docs.databricks.com, dynamic value references).
pub fn parameters(run: &Run, task: &TaskRun) -> Vec<String> {
    let given = match run.overriding.get("python_params") {
        Some(given) => given.as_array(),
        None => task
            .definition
            .get("spark_python_task")
            .and_then(|python| python["parameters"].as_array()),
    };
    given
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|text| resolve(run, task, text))
        .collect()
}

fn resolve(run: &Run, task: &TaskRun, text: &str) -> String {
    let mut text = text.to_owned();
    let mut put = |name: &str, value: &str| text = text.replace(&format!("{{{{{name}}}}}"), value);
    put("job.run_id", &run.id.to_string());
    put("job.id", &run.job.unwrap_or_default().to_string());
    put("job.name", &run.name);
    put("task.name", &task.key);
    put("task.run_id", &task.id.to_string());
    for parameter in &run.parameters {
        put(
            &format!(
                "job.parameters.{}",
                parameter["name"].as_str().unwrap_or_default()
            ),
            parameter["value"].as_str().unwrap_or_default(),
        );
    }
    text
}
