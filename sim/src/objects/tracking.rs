//! MLflow: experiments and the workspace's model registry, as far as they can be named and granted on.

use serde_json::{Map, Value, json};

use super::shape::{self, may_manage};
use super::tree;
use crate::call::{Call, page};
use crate::error::ApiError;
use crate::limits::Family;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::{Object, State};

const EXPERIMENTS: &str = "experiments";
const MODELS: &str = "registered-models";

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.0/mlflow/experiments/create", create_experiment)
        .body(&["name", "artifact_location", "tags"])
        .family(Family::Tracking),
    read("GET", "/api/2.0/mlflow/experiments/get", get_experiment)
        .query(&["experiment_id"])
        .family(Family::Tracking),
    read("GET", "/api/2.0/mlflow/experiments/get-by-name", get_experiment)
        .query(&["experiment_name"])
        .family(Family::Tracking),
    read("GET", "/api/2.0/mlflow/experiments/list", list_experiments)
        .query(&["max_results", "page_token", "view_type"])
        .family(Family::TrackingSearch),
    read("POST", "/api/2.0/mlflow/experiments/search", list_experiments)
        .body(&["filter", "max_results", "order_by", "page_token", "view_type"])
        .family(Family::TrackingSearch),
    write("POST", "/api/2.0/mlflow/experiments/delete", delete_experiment).body(&["experiment_id"]),
    write("POST", "/api/2.0/mlflow/registered-models/create", create_model).body(&[
        "name",
        "description",
        "tags",
    ]),
    read(
        "GET",
        "/api/2.0/mlflow/databricks/registered-models/get",
        get_model,
    )
    .query(&["name"]),
    read("GET", "/api/2.0/mlflow/registered-models/list", list_models).query(&["max_results", "page_token"]),
    read("GET", "/api/2.0/mlflow/registered-models/search", list_models)
        .query(&["filter", "max_results", "order_by", "page_token"])
        .family(Family::TrackingSearch),
    write("DELETE", "/api/2.0/mlflow/registered-models/delete", delete_model)
        .query(&["name"])
        .body(&["name"]),
];

/// `name = 'x'` and `name LIKE 'x%'`: what a search by name needs.
fn named(filter: &str, name: &str) -> Result<bool, ApiError> {
    let refuse = || ApiError::invalid(format!("Unsupported filter: {filter}"));
    let filter = filter.trim();
    if filter.is_empty() {
        return Ok(true);
    }
    let rest = filter.strip_prefix("name").ok_or_else(refuse)?.trim_start();
    let (exact, rest) = match (rest.strip_prefix('='), rest.to_uppercase().starts_with("LIKE")) {
        (Some(rest), _) => (true, rest),
        (None, true) => (false, &rest[4..]),
        _ => return Err(refuse()),
    };
    let value = rest.trim().trim_matches(|quote| quote == '\'' || quote == '"');
    Ok(if exact {
        name == value
    } else {
        name.starts_with(value.trim_end_matches('%'))
    })
}

fn experiment<'a>(call: &Call, state: &'a State) -> Result<&'a Object, ApiError> {
    let workspace = call.workspace();
    if let Some(name) = call.query("experiment_name") {
        let path = tree::normal(name);
        return state
            .objects
            .named(workspace, EXPERIMENTS, &path)
            .next()
            .ok_or_else(|| ApiError::missing(format!("Node {name} does not exist.")));
    }
    let id = call.text("experiment_id")?;
    state
        .objects
        .get(workspace, EXPERIMENTS, &id)
        .ok_or_else(|| ApiError::missing(format!("Node ID {id} does not exist.")))
}

pub fn make_experiment(
    state: &mut State,
    workspace: u64,
    path: &str,
    id: Option<&str>,
    extra: &Map<String, Value>,
    creator: u64,
    now: i64,
) -> String {
    let Some(row) = shape::of(EXPERIMENTS) else {
        return String::new();
    };
    let mut body = extra.clone();
    body.insert("lifecycle_stage".into(), json!("active"));
    body.insert("creation_time".into(), json!(now));
    body.insert("last_update_time".into(), json!(now));
    let id = shape::create(state, workspace, row, path, id, &body, creator, now);
    if let Some(object) = state.objects.get_mut(workspace, EXPERIMENTS, &id) {
        object
            .body
            .entry("artifact_location")
            .or_insert_with(|| json!(format!("dbfs:/databricks/mlflow-tracking/{id}")));
    }
    id
}

fn create_experiment(call: &Call, state: &mut State) -> Answer {
    let path = tree::normal(&call.text("name")?);
    let workspace = call.workspace();
    if !path.starts_with('/') {
        return Err(ApiError::invalid(format!(
            "Got an invalid experiment name '{path}'. An experiment name must be an absolute path"
        )));
    }
    if tree::find(state, workspace, &path).is_some() {
        return Err(ApiError::exists(format!("Node named '{path}' already exists")));
    }
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    if !parent.is_empty()
        && state
            .objects
            .named(workspace, "directories", parent)
            .next()
            .is_none()
    {
        return Err(ApiError::missing(format!(
            "Parent directory {parent} does not exist."
        )));
    }
    let mut extra = call.object()?.clone();
    extra.remove("name");
    let id = make_experiment(state, workspace, &path, None, &extra, call.caller, call.now);
    Ok(Reply::ok(json!({"experiment_id": id})))
}

fn get_experiment(call: &Call, state: &State) -> Answer {
    experiment(call, state).map(|object| Reply::ok(json!({"experiment": object.body})))
}

fn list_experiments(call: &Call, state: &State) -> Answer {
    let filter = call
        .body
        .get("filter")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let mut rows = Vec::new();
    for object in state.objects.of_kind(call.workspace(), EXPERIMENTS) {
        if named(&filter, &object.name)? {
            rows.push(Value::Object(object.body.clone()));
        }
    }
    let size = call
        .body
        .get("max_results")
        .and_then(Value::as_u64)
        .and_then(|size| usize::try_from(size).ok());
    listing(
        call,
        "experiments",
        rows,
        size.or(call.query_number("max_results")?),
    )
}

fn listing(call: &Call, key: &str, rows: Vec<Value>, size: Option<usize>) -> Answer {
    let (rows, next) = page(call, rows, size, 1000, 1000)?;
    let mut body = json!({key: rows});
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

fn delete_experiment(call: &Call, state: &mut State) -> Answer {
    let object = experiment(call, state)?;
    let id = object.id.clone();
    may_manage(call, state, EXPERIMENTS, object)?;
    state.objects.remove(call.workspace(), EXPERIMENTS, &id);
    Ok(Reply::empty())
}

fn model<'a>(call: &Call, state: &'a State) -> Result<&'a Object, ApiError> {
    let name = call.text("name")?;
    state
        .objects
        .named(call.workspace(), MODELS, &name)
        .next()
        .ok_or_else(|| ApiError::missing(format!("RegisteredModel '{name}' does not exist.")))
}

fn create_model(call: &Call, state: &mut State) -> Answer {
    let name = call.text("name")?;
    let workspace = call.workspace();
    if state.objects.named(workspace, MODELS, &name).next().is_some() {
        return Err(ApiError::exists(format!(
            "Registered Model (name={name}) already exists."
        )));
    }
    let mut body = call.object()?.clone();
    body.insert("creation_timestamp".into(), json!(call.now));
    body.insert("last_updated_timestamp".into(), json!(call.now));
    let Some(row) = shape::of(MODELS) else {
        return Err(ApiError::missing("no such kind"));
    };
    let id = shape::create(state, workspace, row, &name, None, &body, call.caller, call.now);
    let object = state
        .objects
        .get(workspace, MODELS, &id)
        .map(|object| object.body.clone());
    Ok(Reply::ok(
        json!({"registered_model": plain(object.unwrap_or_default())}),
    ))
}

/// Only the Databricks variant of the call shows the id the permissions API needs.
fn plain(mut body: Map<String, Value>) -> Value {
    body.remove("id");
    Value::Object(body)
}

fn get_model(call: &Call, state: &State) -> Answer {
    let object = model(call, state)?;
    let mut body = object.body.clone();
    body.insert("user_id".into(), json!(object.creator.to_string()));
    body.insert("permission_level".into(), json!("CAN_MANAGE"));
    Ok(Reply::ok(json!({"registered_model_databricks": body})))
}

fn list_models(call: &Call, state: &State) -> Answer {
    let filter = call.query("filter").unwrap_or_default();
    let mut rows = Vec::new();
    for object in state
        .objects
        .of_kind(call.workspace(), MODELS)
        .filter(|object| object.id != "root")
    {
        if named(filter, &object.name)? {
            rows.push(plain(object.body.clone()));
        }
    }
    listing(call, "registered_models", rows, call.query_number("max_results")?)
}

fn delete_model(call: &Call, state: &mut State) -> Answer {
    let object = model(call, state)?;
    let id = object.id.clone();
    may_manage(call, state, MODELS, object)?;
    state.objects.remove(call.workspace(), MODELS, &id);
    Ok(Reply::empty())
}
