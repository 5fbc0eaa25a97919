//! Versions of models in the terms of the MLflow client: made, filled through `artifacts`, finalized.

use serde_json::{Value, json};

use super::mlflow::{base, given_tag, given_tags, listing, number, render_version, wrapped};
use super::rights::{Act, allowed, holds, model};
use super::versions::{self, Draft};
use crate::call::Call;
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::State;
use crate::state::models::Version;

const VERSION: &[&str] = &["name", "version"];

pub const ROUTES: &[Route] = &[
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
];

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

fn set_version_tag(call: &Call, state: &mut State) -> Answer {
    let name = allowed(call, state, &call.text("name")?, Act::Tag)?
        .full_name
        .clone();
    let tag = given_tag(call, state)?;
    versions::set_tag(state, &name, number(call)?, &call.text("key")?, tag)?;
    Ok(Reply::empty())
}

/// Taken and forgotten: lineage decides nothing.
fn lineage(call: &Call, state: &mut State) -> Answer {
    allowed(call, state, &call.text("name")?, Act::Read)?;
    Ok(Reply::empty())
}
