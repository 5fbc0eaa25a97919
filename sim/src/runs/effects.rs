//! What a script makes happen beside the run itself: the job is edited, files are changed under it, models are
//! registered by it. That is how tests prove that a client notices.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{engine, script};
use crate::models::versions::{self, Draft};
use crate::objects::tree;
use crate::state::State;

pub fn at_begin(state: &mut State, id: u64, at: i64) {
    let Some(run) = state.runs.get(id) else { return };
    let (workspace, job) = (run.workspace, run.job);
    let (edits, files) = (run.script.edits.clone(), run.script.files.clone());
    if let Some(settings) = job
        .and_then(|job| state.objects.get_mut(workspace, "jobs", &job.to_string()))
        .and_then(|object| object.body.get_mut("settings")?.as_object_mut())
    {
        settings.extend(edits);
    }
    for (path, text) in files {
        change_file(state, workspace, &tree::normal(&path), text.as_deref(), at);
    }
}

fn change_file(state: &mut State, workspace: u64, path: &str, text: Option<&str>, at: i64) {
    let there = tree::find(state, workspace, path).map(|(kind, _, object)| (kind, object.id.clone()));
    let fields = text.map(|text| {
        Map::from_iter([
            ("content".to_owned(), json!(STANDARD.encode(text))),
            ("size".to_owned(), json!(text.len())),
            ("modified_at".to_owned(), json!(at)),
        ])
    });
    match (there, fields) {
        (Some((kind, id)), None) => {
            state.objects.remove(workspace, kind, &id);
        }
        (Some((kind, id)), Some(fields)) => {
            if let Some(object) = state.objects.get_mut(workspace, kind, &id) {
                object.body.extend(fields);
            }
        }
        (None, Some(mut fields)) => {
            fields.insert("created_at".to_owned(), Value::from(at));
            if let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
                let _ = tree::make_directories(state, workspace, parent, 0);
            }
            tree::put(state, workspace, "files", path, None, fields, 0);
        }
        (None, None) => {}
    }
}

pub fn at_end(state: &mut State, id: u64, task_id: u64, at: i64) {
    let Some((run, task)) = state.runs.get(id).and_then(|run| Some((run, run.task(task_id)?))) else {
        return;
    };
    let (workspace, run_as) = (run.workspace, run.run_as);
    let due: Vec<script::Registration> = run
        .script
        .registers
        .iter()
        .filter(|one| engine::is_scripted(run, task, one.task.as_deref()))
        .cloned()
        .collect();
    for one in due {
        let author = script::author(state, &one, run_as);
        let draft = Draft {
            source: format!("dbfs:/databricks/mlflow-tracking/scripted/{task_id}/artifacts/model"),
            run_id: one.run_id,
            run_workspace: Some(workspace),
            tags: one.tags,
            ..Draft::default()
        };
        versions::register(state, &one.model, draft, author, at);
    }
}
