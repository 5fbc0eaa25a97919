//! Serving endpoints: a change of the configuration is pending until it is rolled out, and until then the old one
//! answers. A second change meanwhile is refused. `config` says what a configuration must be, `query` who answers.

pub mod config;
pub mod query;

use serde_json::{Map, Value, json};

use super::shape::{self, may_manage};
use crate::call::Call;
use crate::error::ApiError;
use crate::permissions::{acl, kinds};
use crate::route::{Answer, Reply, Route, read, write};
use crate::runs::script;
use crate::state::serving::Update;
use crate::state::{Object, State};

pub const KIND: &str = "serving-endpoints";

const CONFIG: &[&str] = &[
    "name",
    "served_entities",
    "served_models",
    "traffic_config",
    "auto_capture_config",
];

pub const ROUTES: &[Route] = &[
    read("GET", "/api/2.0/serving-endpoints", list),
    write("POST", "/api/2.0/serving-endpoints", create).body(&[
        "name",
        "config",
        "tags",
        "ai_gateway",
        "budget_policy_id",
        "description",
        "email_notifications",
        "rate_limits",
        "route_optimized",
        "telemetry_config",
    ]),
    read("GET", "/api/2.0/serving-endpoints/{name}", get),
    write("DELETE", "/api/2.0/serving-endpoints/{name}", delete),
    write("PUT", "/api/2.0/serving-endpoints/{name}/config", update).body(CONFIG),
    write("PATCH", "/api/2.0/serving-endpoints/{name}/tags", tag).body(&["add_tags", "delete_tags"]),
    write("PUT", "/api/2.0/serving-endpoints/{name}/ai-gateway", gateway).body(&[
        "fallback_config",
        "guardrails",
        "inference_table_config",
        "rate_limits",
        "usage_tracking_config",
    ]),
    read("POST", "/serving-endpoints/{name}/invocations", query::answer),
];

pub fn find<'a>(call: &Call, state: &'a State) -> Result<&'a Object, ApiError> {
    let name = call.param("name");
    state
        .objects
        .named(call.workspace(), KIND, name)
        .next()
        .ok_or_else(|| ApiError::missing(format!("Endpoint with name '{name}' does not exist.")))
}

/// The caller's level on an endpoint, as it is called; empty for none.
fn level(call: &Call, state: &State, object: &Object) -> &'static str {
    let workspace = call.workspace();
    let Some(kind) = kinds::by_path(KIND) else {
        return "";
    };
    if state.directory.is_workspace_admin(workspace, call.caller) {
        return "CAN_MANAGE";
    }
    let rank = acl::effective(state, workspace, kind, object, call.caller);
    rank.checked_sub(1)
        .and_then(|at| kind.levels.get(at))
        .copied()
        .unwrap_or("")
}

/// The endpoint of the path, if the caller has at least this level on it.
pub fn at_least<'a>(call: &Call, state: &'a State, wanted: &str) -> Result<&'a Object, ApiError> {
    let object = find(call, state)?;
    let rank = |level: &str| kinds::by_path(KIND).map_or(0, |kind| kind.rank(level));
    if rank(level(call, state, object)) >= rank(wanted) {
        return Ok(object);
    }
    let name = crate::identity::name(state, call.caller);
    Err(ApiError::denied(format!(
        "User {name} does not have {wanted} on endpoint '{}'.",
        object.name
    )))
}

fn render(call: &Call, state: &State, object: &Object) -> Value {
    let mut body = object.body.clone();
    body.insert("permission_level".into(), json!(level(call, state, object)));
    body.insert(
        "endpoint_url".into(),
        json!(format!(
            "{}/serving-endpoints/{}/invocations",
            call.base, object.name
        )),
    );
    Value::Object(body)
}

fn get(call: &Call, state: &State) -> Answer {
    let object = at_least(call, state, "CAN_VIEW")?;
    Ok(Reply::ok(render(call, state, object)))
}

fn list(call: &Call, state: &State) -> Answer {
    let rows: Vec<Value> = state
        .objects
        .of_kind(call.workspace(), KIND)
        .filter(|object| !level(call, state, object).is_empty())
        .map(|object| {
            let mut row = object.body.clone();
            row.remove("pending_config");
            row.remove("permission_level");
            Value::Object(row)
        })
        .collect();
    Ok(Reply::ok(json!({"endpoints": rows})))
}

fn create(call: &Call, state: &mut State) -> Answer {
    let workspace = call.workspace();
    let mut body = call.object()?.clone();
    let name = call.text("name")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(ApiError::invalid(format!(
            "'{name}' is not a valid endpoint name"
        )));
    }
    if state.objects.named(workspace, KIND, &name).next().is_some() {
        return Err(ApiError::exists(format!(
            "Endpoint with name '{name}' already exists."
        )));
    }
    let wanted = match body.remove("config") {
        None => Map::new(),
        Some(Value::Object(config)) => config,
        Some(_) => return Err(ApiError::malformed("config must be an object")),
    };
    crate::call::only(&wanted, CONFIG)?;
    let wanted = config::checked(call, state, &wanted)?;
    let Some(row) = shape::of(KIND) else {
        return Err(ApiError::missing("no such kind"));
    };
    let id = shape::create(state, workspace, row, &name, None, &body, call.caller, call.now);
    // An endpoint that serves nothing has nothing to wait for.
    if let Some(wanted) = wanted {
        if let Some(object) = state.objects.get_mut(workspace, KIND, &id) {
            object.body.remove("config");
            object.body.insert("state".into(), json!({"ready": "NOT_READY"}));
        }
        roll_out(call, state, &id, &name, wanted);
    }
    let object = state.objects.get(workspace, KIND, &id);
    let body = object.map(|object| render(call, state, object));
    Ok(Reply::ok(body.unwrap_or_default()))
}

fn update(call: &Call, state: &mut State) -> Answer {
    let object = find(call, state)?;
    may_manage(call, state, KIND, object)?;
    let (id, name) = (object.id.clone(), object.name.clone());
    if object.body.get("state").map(|state| &state["config_update"]) == Some(&json!("IN_PROGRESS")) {
        return Err(ApiError::new(
            409,
            "RESOURCE_CONFLICT",
            format!("Endpoint '{name}' is currently being updated; wait until the update is over."),
        ));
    }
    let wanted = config::checked(call, state, call.object()?)?
        .ok_or_else(|| ApiError::invalid("Missing required field: served_entities"))?;
    roll_out(call, state, &id, &name, wanted);
    get(call, state)
}

/// Makes a configuration pending until its time has come.
fn roll_out(call: &Call, state: &mut State, id: &str, name: &str, mut wanted: Value) {
    let workspace = call.workspace();
    let script = script::take(state, workspace, None, Some(name));
    let fails = script
        .result
        .filter(|result| *result != script::Outcome::Success)
        .map(|_| {
            script
                .message
                .clone()
                .unwrap_or_else(|| "Deployment failed as the script says.".to_owned())
        });
    let update = Update {
        due: (!script.hold).then(|| call.now + script.pace(call.pace)),
        fails,
    };
    state.updates.0.insert((workspace, id.to_owned()), update);
    let Some(object) = state.objects.get_mut(workspace, KIND, id) else {
        return;
    };
    let version = object
        .body
        .get("config")
        .and_then(|config| config["config_version"].as_u64());
    wanted["config_version"] = json!(version.unwrap_or(0) + 1);
    wanted["start_time"] = json!(call.now);
    object.body.insert("pending_config".into(), wanted);
    object
        .body
        .insert("last_updated_timestamp".into(), json!(call.now));
    if let Some(state) = object.body.get_mut("state") {
        state["config_update"] = json!("IN_PROGRESS");
    }
}

/// The end of an update: the pending configuration becomes the one that serves, or stays pending as failed and the
/// old one goes on. That a failed one is still shown follows from the description of `config_update`
/// [GO service/serving/model.go]; UNCONFIRMED.
pub fn finish(state: &mut State, workspace: u64, id: &str, at: i64) {
    let Some(update) = state.updates.0.remove(&(workspace, id.to_owned())) else {
        return;
    };
    let Some(object) = state.objects.get_mut(workspace, KIND, id) else {
        return;
    };
    let Some(mut pending) = object.body.remove("pending_config") else {
        return;
    };
    object.body.insert("last_updated_timestamp".into(), json!(at));
    if let Some(why) = update.fails {
        config::set_state(&mut pending, "DEPLOYMENT_FAILED", &why);
        object.body.insert("pending_config".into(), pending);
        if let Some(state) = object.body.get_mut("state") {
            state["config_update"] = json!("UPDATE_FAILED");
        }
        return;
    }
    config::set_state(&mut pending, "DEPLOYMENT_READY", "");
    if let Some(fields) = pending.as_object_mut() {
        fields.remove("start_time");
    }
    object.body.insert("config".into(), pending);
    object.body.insert(
        "state".into(),
        json!({"ready": "READY", "config_update": "NOT_UPDATING"}),
    );
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let object = find(call, state)?;
    may_manage(call, state, KIND, object)?;
    let id = object.id.clone();
    state.updates.0.remove(&(call.workspace(), id.clone()));
    state.objects.remove(call.workspace(), KIND, &id);
    Ok(Reply::empty())
}

fn tag(call: &Call, state: &mut State) -> Answer {
    let object = find(call, state)?;
    may_manage(call, state, KIND, object)?;
    let id = object.id.clone();
    let rows = |name: &str| {
        call.body
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let (added, removed) = (rows("add_tags"), rows("delete_tags"));
    let mut tags: Vec<Value> = object
        .body
        .get("tags")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    tags.retain(|tag| !removed.contains(&tag["key"]) && !added.iter().any(|new| new["key"] == tag["key"]));
    tags.extend(added);
    tags.sort_by_key(|tag| tag["key"].to_string());
    if let Some(object) = state.objects.get_mut(call.workspace(), KIND, &id) {
        object.body.insert("tags".into(), json!(tags));
    }
    Ok(Reply::ok(json!({"tags": tags})))
}

fn gateway(call: &Call, state: &mut State) -> Answer {
    let object = find(call, state)?;
    may_manage(call, state, KIND, object)?;
    let id = object.id.clone();
    if let Some(object) = state.objects.get_mut(call.workspace(), KIND, &id) {
        object.body.insert("ai_gateway".into(), call.body.clone());
    }
    Ok(Reply::ok(call.body.clone()))
}
