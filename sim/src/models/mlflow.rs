//! The MLflow client's own API to models of Unity Catalog, in its terms: a version is a string, its creator a user
//! id [MLF mlflow/protos/databricks_uc_registry_service.proto]. Paths and fields are those of mlflow-skinny 3.17.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::rights::{Act, allowed, holds, kind, model};
use super::versions;
use crate::call::{Call, page};
use crate::catalog::{self, is_model, tags};
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::models::{Tag, Tags, Version};
use crate::state::{Securable, State};

const NAME: &[&str] = &["name"];

macro_rules! base {
    ($rest:literal) => {
        concat!("/api/2.0/mlflow/unity-catalog/", $rest)
    };
}
pub(super) use base;

pub const ROUTES: &[Route] = &[
    write("POST", base!("registered-models/create"), create_model).body(&[
        "name",
        "tags",
        "description",
        "deployment_job_id",
    ]),
    write("PATCH", base!("registered-models/update"), update_model).body(&[
        "name",
        "new_name",
        "description",
        "deployment_job_id",
    ]),
    write("DELETE", base!("registered-models/delete"), delete_model).body(NAME),
    read("GET", base!("registered-models/get"), get_model).query(NAME),
    read("GET", base!("registered-models/search"), search_models).query(&["max_results", "page_token"]),
    write("POST", base!("registered-models/alias"), set_alias).body(&["name", "alias", "version"]),
    write("DELETE", base!("registered-models/alias"), delete_alias).body(&["name", "alias"]),
    read("GET", base!("registered-models/alias"), get_by_alias).query(&["name", "alias"]),
    write("POST", base!("registered-models/set-tag"), set_model_tag).body(&["name", "key", "value"]),
    write("DELETE", base!("registered-models/delete-tag"), set_model_tag).body(&["name", "key"]),
    read(
        "GET",
        base!("registered-models:is-databricks-sdk-models-artifact-repository-enabled"),
        uses_files_api,
    ),
];

fn pairs(tags: &Tags) -> Vec<Value> {
    tags.iter()
        .map(|(key, tag)| json!({"key": key, "value": tag.value}))
        .collect()
}

fn render_model(state: &State, model: &Securable) -> Value {
    let key = ("FUNCTION", model.full_name.to_lowercase());
    let aliases: Vec<Value> = state
        .models
        .get(&model.full_name)
        .into_iter()
        .flat_map(|inner| &inner.aliases)
        .map(|(alias, number)| json!({"alias": alias, "version": number.to_string()}))
        .collect();
    let field = |name: &str| model.body.get(name).cloned().unwrap_or_default();
    let mut body = json!({
        "name": model.full_name, "creation_timestamp": field("created_at"),
        "last_updated_timestamp": field("updated_at"), "user_id": field("created_by"),
        "aliases": aliases, "tags": state.tags.get(&key).map(pairs).unwrap_or_default(),
    });
    if let Some(comment) = model.body.get("comment") {
        body["description"] = comment.clone();
    }
    body
}

pub fn render_version(state: &State, model: &Securable, version: &Version) -> Value {
    let aliases: Vec<Value> = versions::aliases(state, &model.full_name, Some(version.number))
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| json!({"alias": row["alias_name"], "version": version.number.to_string()}))
        .collect();
    let full = versions::render(state, model, version);
    let mut body = json!({
        "name": model.full_name, "version": version.number.to_string(), "status": version.status,
        "creation_timestamp": version.created_at, "last_updated_timestamp": version.updated_at,
        "user_id": version.created_by, "description": version.comment, "source": version.source,
        "storage_location": full["storage_location"], "aliases": aliases, "tags": pairs(&version.tags),
    });
    if let Some(run) = &version.run_id {
        body["run_id"] = json!(run);
    }
    if let Some(workspace) = version.run_workspace {
        body["run_tracking_server_id"] = json!(workspace.to_string());
    }
    if let Some(id) = &version.model_id {
        body["model_id"] = json!(id);
    }
    body
}

pub fn wrapped(key: &str, value: Value) -> Answer {
    Ok(Reply::ok(Value::Object(Map::from_iter([(
        key.to_owned(),
        value,
    )]))))
}

/// `tags` of a body, each a key and a value.
pub fn given_tags(call: &Call) -> Result<BTreeMap<String, String>, ApiError> {
    let rows = call.body.get("tags").and_then(Value::as_array);
    let found: BTreeMap<String, String> = rows
        .into_iter()
        .flatten()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            (text("key"), text("value"))
        })
        .collect();
    for (key, value) in &found {
        tags::check(key, value)?;
    }
    Ok(found)
}

/// The same request in the terms of the catalog.
fn as_securable(call: &Call, name: &str) -> Call {
    let mut nested = call.clone();
    nested.params.insert("collection", "models".to_owned());
    nested.params.insert("full_name", name.to_owned());
    nested
}

fn create_model(call: &Call, state: &mut State) -> Answer {
    let name = call.text("name")?;
    let parts: Vec<&str> = name.split('.').collect();
    let [catalog_name, schema_name, model_name] = parts.as_slice() else {
        return Err(ApiError::invalid(format!(
            "Model name '{name}' is not of the form catalog.schema.model"
        )));
    };
    let given = given_tags(call)?;
    let mut nested = as_securable(call, &name);
    nested.body = json!({"catalog_name": catalog_name, "schema_name": schema_name, "name": model_name});
    if let Some(text) = call.body.get("description") {
        nested.body["comment"] = text.clone();
    }
    catalog::create(&nested, state)?;
    for (key, value) in given {
        let tag = tags::tag(call, state, value);
        let held = state.tags.entry(("FUNCTION", name.to_lowercase())).or_default();
        tags::put(held, &key, tag)?;
    }
    wrapped("registered_model", render_model(state, model(state, &name)?))
}

fn update_model(call: &Call, state: &mut State) -> Answer {
    let name = call.text("name")?;
    let mut nested = as_securable(call, &name);
    nested.body = json!({});
    for (theirs, ours) in [("description", "comment"), ("new_name", "new_name")] {
        if let Some(value) = call.body.get(theirs) {
            nested.body[ours] = value.clone();
        }
    }
    model(state, &name)?;
    catalog::update(&nested, state)?;
    wrapped("registered_model", render_model(state, model(state, &name)?))
}

fn delete_model(call: &Call, state: &mut State) -> Answer {
    let name = call.text("name")?;
    model(state, &name)?;
    catalog::delete(&as_securable(call, &name), state)
}

fn get_model(call: &Call, state: &State) -> Answer {
    let model = allowed(call, state, &call.text("name")?, Act::Read)?;
    wrapped("registered_model", render_model(state, model))
}

fn search_models(call: &Call, state: &State) -> Answer {
    let kind = kind()?;
    let rows: Vec<Value> = state
        .securables
        .range((kind.name, String::new())..)
        .take_while(|((name, _), _)| *name == kind.name)
        .map(|(_, securable)| securable.as_ref())
        .filter(|securable| is_model(securable) && holds(state, call.caller, securable, Act::Read).is_ok())
        .map(|securable| render_model(state, securable))
        .collect();
    listing(call, "registered_models", rows)
}

pub fn listing(call: &Call, key: &str, rows: Vec<Value>) -> Answer {
    let (rows, next) = page(call, rows, call.query_number("max_results")?, 100, 1000)?;
    let mut body = json!({key: rows});
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

pub fn number(call: &Call) -> Result<u64, ApiError> {
    let text = call.text("version")?;
    text.parse()
        .map_err(|_| ApiError::invalid(format!("'{text}' is not a version number")))
}

fn set_alias(call: &Call, state: &mut State) -> Answer {
    let name = allowed(call, state, &call.text("name")?, Act::Alias)?
        .full_name
        .clone();
    versions::set_alias(state, &name, &call.text("alias")?, number(call)?)?;
    Ok(Reply::empty())
}

fn delete_alias(call: &Call, state: &mut State) -> Answer {
    let name = allowed(call, state, &call.text("name")?, Act::Alias)?
        .full_name
        .clone();
    let alias = call.text("alias")?;
    super::registry::aliased(state, &name, &alias)?;
    state.models.edit(&name).aliases.remove(&alias);
    Ok(Reply::empty())
}

fn get_by_alias(call: &Call, state: &State) -> Answer {
    let model = allowed(call, state, &call.text("name")?, Act::Read)?;
    let version = super::registry::aliased(state, &model.full_name, &call.text("alias")?)?;
    wrapped("model_version", render_version(state, model, version))
}

/// The value to set a tag to; nothing where the tag is to go.
pub fn given_tag(call: &Call, state: &State) -> Result<Option<Tag>, ApiError> {
    if call.deletes {
        return Ok(None);
    }
    Ok(Some(tags::tag(call, state, call.text("value")?)))
}

fn set_model_tag(call: &Call, state: &mut State) -> Answer {
    let name = allowed(call, state, &call.text("name")?, Act::Tag)?
        .full_name
        .to_lowercase();
    let key = call.text("key")?;
    let tag = given_tag(call, state)?;
    let held = state.tags.entry(("FUNCTION", name)).or_default();
    match tag {
        Some(tag) => tags::put(held, &key, tag)?,
        None => {
            held.remove(&key);
        }
    }
    Ok(Reply::empty())
}

/// Says that files of a version go through the files API: the alternative is credentials for a cloud's storage.
fn uses_files_api(_: &Call, _: &State) -> Answer {
    Ok(Reply::ok(
        json!({"is_databricks_sdk_models_artifact_repository_enabled": true}),
    ))
}
