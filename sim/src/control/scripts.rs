//! `/_sim/scripts`: prescribing how the next runs and updates go, and letting go what a script holds.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::objects::serving;
use crate::runs::script::Script;
use crate::state::State;
use crate::state::runs::Phase;
use crate::time;

pub fn all(state: &State) -> Value {
    json!({"scripts": state.runs.scripts})
}

/// One script or a list; they stand behind those that are there.
pub fn add(state: &mut State, value: Value) -> Result<Value, ApiError> {
    let rows = match value {
        Value::Array(rows) => rows,
        one => vec![one],
    };
    let scripts: Vec<Script> = rows
        .into_iter()
        .map(serde_json::from_value)
        .collect::<Result<_, _>>()
        .map_err(|error| ApiError::malformed(error.to_string()))?;
    if scripts
        .iter()
        .any(|script| script.job.is_some() == script.endpoint.is_some())
    {
        return Err(ApiError::malformed("A script names either a job or an endpoint"));
    }
    state.runs.scripts.extend(scripts);
    Ok(all(state))
}

/// What to let go: runs of a job (by name or id), one run, updates of an endpoint; nothing named: everything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    job: Option<String>,
    run: Option<u64>,
    endpoint: Option<String>,
}

/// Ends what is held, at this moment, and says how much that was.
pub fn release(state: &mut State, wanted: &Release, now: i64) -> Result<Value, ApiError> {
    let everything = wanted.job.is_none() && wanted.run.is_none() && wanted.endpoint.is_none();
    let runs: Vec<u64> = state
        .runs
        .active()
        .filter(|run| run.script.hold)
        .filter(|run| {
            let job = run.job.map(|job| job.to_string());
            everything
                || wanted.run == Some(run.id)
                || wanted
                    .job
                    .as_ref()
                    .is_some_and(|name| *name == run.name || Some(name) == job.as_ref())
        })
        .map(|run| run.id)
        .collect();
    for id in &runs {
        let Some(run) = state.runs.get_mut(*id) else {
            continue;
        };
        run.script.hold = false;
        for task in run.tasks.iter_mut().filter(|task| task.phase == Phase::Running) {
            task.due.get_or_insert(now);
        }
    }
    let names = |key: &(u64, String)| {
        let object = state.objects.get(key.0, serving::KIND, &key.1);
        object.map(|object| object.name.clone())
    };
    let held: Vec<(u64, String)> = state
        .updates
        .0
        .iter()
        .filter(|(key, update)| {
            update.due.is_none()
                && (everything || (wanted.endpoint.is_some() && names(key) == wanted.endpoint))
        })
        .map(|(key, _)| key.clone())
        .collect();
    for key in &held {
        if let Some(update) = state.updates.0.get_mut(key) {
            update.due = Some(now);
        }
    }
    time::advance(state, now);
    Ok(json!({"runs": runs, "updates": held.len()}))
}
