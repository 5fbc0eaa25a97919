//! Parts of a snapshot: runs, what is registered of models, what secret scopes hold, settings of workspaces.

use serde_json::{Map, Value, json};

use crate::state::State;
use crate::state::models::Tags;

fn tags(tags: &Tags) -> Value {
    tags.iter()
        .map(|(key, tag)| (key.clone(), json!(tag.value)))
        .collect::<Map<_, _>>()
        .into()
}

pub fn models(state: &State) -> Value {
    let mut rows = Map::new();
    for (name, model) in state.models.all() {
        let versions: Map<String, Value> = model
            .versions
            .values()
            .map(|version| {
                let body = json!({"status": version.status, "source": version.source, "run_id": version.run_id,
                    "created_by": version.created_by, "comment": version.comment, "tags": tags(&version.tags),
                    "files": version.files.keys().collect::<Vec<_>>()});
                (version.number.to_string(), body)
            })
            .collect();
        rows.insert(
            name.to_owned(),
            json!({"aliases": model.aliases, "versions": versions}),
        );
    }
    let all: Map<String, Value> = state
        .tags
        .iter()
        .map(|((kind, name), held)| (format!("{kind} {name}"), tags(held)))
        .collect();
    json!({"registered": rows, "tags": all})
}

/// Oldest first.
pub fn runs(state: &State) -> Value {
    let mut rows: Vec<Value> = state
        .runs
        .newest_first()
        .map(|run| {
            let tasks: Vec<Value> = run
                .tasks
                .iter()
                .map(|task| {
                    json!({"task_key": task.key, "run_id": task.id, "state": task.phase.life(),
                                   "attempt": task.attempt})
                })
                .collect();
            json!({"run_id": run.id, "job_id": run.job, "name": run.name, "state": run.phase.life(),
                   "result": match run.phase {
                       crate::state::runs::Phase::Over(end) => Some(end.words().2),
                       _ => None,
                   },
                   "creator": crate::identity::name(state, run.creator),
                   "runAs": crate::identity::name(state, run.run_as), "tasks": tasks})
        })
        .collect();
    rows.reverse();
    Value::Array(rows)
}

/// That there is a secret, who may read it and when it changed, never what it is.
pub fn secret_scopes(state: &State, label: impl Fn(u64) -> String) -> Value {
    let mut rows: Map<String, Value> = Map::new();
    for (workspace, name, scope) in state.secret_scopes.all() {
        let acl: Map<String, Value> = scope
            .acl
            .iter()
            .map(|(id, permission)| (label(*id), json!(permission.name())))
            .collect();
        let secrets: Map<String, Value> = scope
            .secrets
            .iter()
            .map(|(key, kept)| (key.clone(), json!({"last_updated_timestamp": kept.updated})))
            .collect();
        let home = rows.entry(workspace.to_string()).or_insert_with(|| json!({}));
        home[name] = json!({"acl": acl, "secrets": secrets, "keyVault": scope.key_vault});
    }
    Value::Object(rows)
}

pub fn workspace_conf(state: &State) -> Value {
    let mut rows: Map<String, Value> = Map::new();
    for ((workspace, key), value) in &state.workspace_conf {
        let home = rows.entry(workspace.to_string()).or_insert_with(|| json!({}));
        home[key] = json!(value);
    }
    Value::Object(rows)
}
