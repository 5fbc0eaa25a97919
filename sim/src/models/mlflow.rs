//! The MLflow client's own API to models of Unity Catalog, in its terms: a version is a string, its creator a user
//! id [MLF mlflow/protos/databricks_uc_registry_service.proto]. Paths and fields are those of mlflow-skinny 3.17.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::rights::{Act, allowed, holds, kind, model};
use super::versions::{self, Draft};
use crate::call::{Call, page};
use crate::catalog::{self, is_model, tags};
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::models::{Tags, Version};
use crate::state::{Securable, State};

const NAME: &[&str] = &["name"];
const VERSION: &[&str] = &["name", "version"];

macro_rules! base {
    ($rest:literal) => {
        concat!("/api/2.0/mlflow/unity-catalog/", $rest)
    };
}

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
    write("POST", base!("model-versions/create"), create_version).body(&[
        "name",
        "source",
        "run_id",
        "description",
        "run_tracking_server_id",
        "feature_deps",
        "tags",
        "model_version_dependencies",
        "model_id",
    ]),
    write("POST", base!("model-versions/finalize"), finalize).body(VERSION),
    write("PATCH", base!("model-versions/update"), update_version).body(&["name", "version", "description"]),
    write("DELETE", base!("model-versions/delete"), delete_version).body(VERSION),
    read("GET", base!("model-versions/get"), get_version).query(VERSION),
    read("GET", base!("model-versions/search"), search_versions).query(&[
        "filter",
        "max_results",
        "page_token",
    ]),
    read("GET", base!("model-versions/get-download-uri"), download_uri).query(VERSION),
    write("POST", base!("model-versions/set-tag"), set_version_tag)
        .body(&["name", "version", "key", "value"]),
    write("DELETE", base!("model-versions/delete-tag"), set_version_tag).body(&["name", "version", "key"]),
    write("POST", base!("model-versions/emit-lineage"), lineage),
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

fn render_version(state: &State, model: &Securable, version: &Version) -> Value {
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

fn wrapped(key: &str, value: Value) -> Answer {
    Ok(Reply::ok(Value::Object(Map::from_iter([(
        key.to_owned(),
        value,
    )]))))
}

/// `tags` of a body, each a key and a value.
fn given_tags(call: &Call) -> Result<BTreeMap<String, String>, ApiError> {
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

fn listing(call: &Call, key: &str, rows: Vec<Value>) -> Answer {
    let (rows, next) = page(call, rows, call.query_number("max_results")?, 100, 1000)?;
    let mut body = json!({key: rows});
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

fn number(call: &Call) -> Result<u64, ApiError> {
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

/// Sets a tag, or deletes it when there is no value.
fn set_model_tag(call: &Call, state: &mut State) -> Answer {
    let name = allowed(call, state, &call.text("name")?, Act::Tag)?
        .full_name
        .to_lowercase();
    let key = call.text("key")?;
    let value = call.body.get("value").and_then(Value::as_str);
    let tag = value.map(|value| tags::tag(call, state, value.to_owned()));
    let held = state.tags.entry(("FUNCTION", name)).or_default();
    match tag {
        Some(tag) => tags::put(held, &key, tag)?,
        None => {
            held.remove(&key);
        }
    }
    Ok(Reply::empty())
}

fn set_version_tag(call: &Call, state: &mut State) -> Answer {
    let name = allowed(call, state, &call.text("name")?, Act::Tag)?
        .full_name
        .clone();
    let value = call.body.get("value").and_then(Value::as_str);
    let tag = value.map(|value| tags::tag(call, state, value.to_owned()));
    versions::set_tag(state, &name, number(call)?, &call.text("key")?, tag)?;
    Ok(Reply::empty())
}

fn create_version(call: &Call, state: &mut State) -> Answer {
    let name = allowed(call, state, &call.text("name")?, Act::Change)?
        .full_name
        .clone();
    let text = |field: &str| {
        call.body
            .get(field)
            .and_then(Value::as_str)
            .map(ToOwned::to_owned)
    };
    let draft = Draft {
        source: call.text("source")?,
        run_id: text("run_id").filter(|id| !id.is_empty()),
        run_workspace: text("run_tracking_server_id").and_then(|id| id.parse().ok()),
        model_id: text("model_id"),
        comment: text("description").unwrap_or_default(),
        tags: given_tags(call)?,
    };
    let number = versions::create(state, &name, draft, call.caller, call.now);
    let model = model(state, &name)?;
    let version = versions::find(state, &name, &number.to_string())?;
    wrapped("model_version", render_version(state, model, version))
}

fn change(call: &Call, state: &mut State, edit: impl FnOnce(&mut Version)) -> Answer {
    let name = allowed(call, state, &call.text("name")?, Act::Change)?
        .full_name
        .clone();
    let number = number(call)?;
    let by = crate::identity::name(state, call.caller);
    let Some(version) = state.models.edit(&name).versions.get_mut(&number) else {
        return Err(versions::missing(&name, &number.to_string()));
    };
    edit(version);
    (version.updated_at, version.updated_by) = (call.now, by);
    let version = versions::find(state, &name, &number.to_string())?;
    wrapped(
        "model_version",
        render_version(state, model(state, &name)?, version),
    )
}

fn finalize(call: &Call, state: &mut State) -> Answer {
    change(call, state, |version| version.status = "READY")
}

fn update_version(call: &Call, state: &mut State) -> Answer {
    let text = call
        .body
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    change(call, state, |version| text.clone_into(&mut version.comment))
}

fn delete_version(call: &Call, state: &mut State) -> Answer {
    let name = allowed(call, state, &call.text("name")?, Act::Change)?
        .full_name
        .clone();
    let number = versions::find(state, &name, &call.text("version")?)?.number;
    versions::delete(state, &name, number);
    Ok(Reply::empty())
}

fn get_version(call: &Call, state: &State) -> Answer {
    let model = allowed(call, state, &call.text("name")?, Act::Read)?;
    let version = versions::find(state, &model.full_name, &call.text("version")?)?;
    wrapped("model_version", render_version(state, model, version))
}

fn download_uri(call: &Call, state: &State) -> Answer {
    let model = allowed(call, state, &call.text("name")?, Act::Read)?;
    let version = versions::find(state, &model.full_name, &call.text("version")?)?;
    let location = render_version(state, model, version)["storage_location"].clone();
    Ok(Reply::ok(json!({"artifact_uri": location})))
}

/// One condition: `name = 'x'` or `run_id = 'x'` [MLF rest_store.py search_model_versions].
fn search_versions(call: &Call, state: &State) -> Answer {
    let filter = call.query("filter").unwrap_or_default();
    let refuse = || ApiError::invalid(format!("Unsupported filter query: '{filter}'"));
    let (field, value) = filter.split_once('=').ok_or_else(refuse)?;
    let value = value.trim().trim_matches(['\'', '"']);
    let by_name = match field.trim() {
        "name" => true,
        "run_id" => false,
        _ => return Err(refuse()),
    };
    let mut rows = Vec::new();
    for (name, inner) in state.models.all() {
        let Ok(model) = model(state, name) else { continue };
        if (by_name && !model.full_name.eq_ignore_ascii_case(value))
            || holds(state, call.caller, model, Act::Read).is_err()
        {
            continue;
        }
        let wanted = |version: &&Version| by_name || version.run_id.as_deref() == Some(value);
        rows.extend(
            inner
                .versions
                .values()
                .filter(wanted)
                .map(|version| render_version(state, model, version)),
        );
    }
    listing(call, "model_versions", rows)
}

/// Taken and forgotten: lineage decides nothing.
fn lineage(call: &Call, state: &mut State) -> Answer {
    allowed(call, state, &call.text("name")?, Act::Read)?;
    Ok(Reply::empty())
}

/// Says that files of a version go through the files API: the alternative is credentials for a cloud's storage.
fn uses_files_api(_: &Call, _: &State) -> Answer {
    Ok(Reply::ok(
        json!({"is_databricks_sdk_models_artifact_repository_enabled": true}),
    ))
}
