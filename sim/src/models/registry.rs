//! Versions and aliases through the catalog's own API. It makes no versions: that is the MLflow client's to do
//! [GO service/catalog/interface.go RegisteredModelsService].

use serde_json::{Map, Value, json};

use super::rights::{Act, allowed};
use super::versions::{self, missing};
use crate::call::{Call, page};
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::State;
use crate::state::models::Version;

pub const ROUTES: &[Route] = &[
    read("GET", "/api/2.1/unity-catalog/models/{full_name}/versions", list).query(&[
        "include_browse",
        "max_results",
        "page_token",
    ]),
    read(
        "GET",
        "/api/2.1/unity-catalog/models/{full_name}/versions/{version}",
        get,
    )
    .query(&["include_aliases", "include_browse"]),
    write(
        "PATCH",
        "/api/2.1/unity-catalog/models/{full_name}/versions/{version}",
        update,
    )
    .body(&[
        "aliases",
        "catalog_name",
        "comment",
        "created_at",
        "created_by",
        "id",
        "metastore_id",
        "model_name",
        "model_version_dependencies",
        "run_id",
        "run_workspace_id",
        "schema_name",
        "source",
        "status",
        "storage_location",
        "updated_at",
        "updated_by",
    ]),
    write(
        "DELETE",
        "/api/2.1/unity-catalog/models/{full_name}/versions/{version}",
        delete,
    ),
    read(
        "GET",
        "/api/2.1/unity-catalog/models/{full_name}/aliases/{alias}",
        get_by_alias,
    )
    .query(&["include_aliases"]),
    write(
        "PUT",
        "/api/2.1/unity-catalog/models/{full_name}/aliases/{alias}",
        set_alias,
    )
    .body(&["version_num"]),
    write(
        "DELETE",
        "/api/2.1/unity-catalog/models/{full_name}/aliases/{alias}",
        delete_alias,
    ),
];

fn list(call: &Call, state: &State) -> Answer {
    let model = allowed(call, state, call.param("full_name"), Act::Read)?;
    let rows: Vec<Value> = state
        .models
        .get(&model.full_name)
        .into_iter()
        .flat_map(|inner| inner.versions.values())
        .map(|version| Value::Object(versions::render(state, model, version)))
        .collect();
    let (rows, next) = page(call, rows, call.query_number("max_results")?, 100, 1000)?;
    let mut body = json!({});
    if !rows.is_empty() {
        body["model_versions"] = json!(rows);
    }
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

fn shown(call: &Call, state: &State, version: &Version) -> Answer {
    let model = allowed(call, state, call.param("full_name"), Act::Read)?;
    let mut body = versions::render(state, model, version);
    if call.query("include_aliases") == Some("true") {
        let rows = versions::aliases(state, &model.full_name, Some(version.number));
        body.insert("aliases".to_owned(), rows);
    }
    Ok(Reply::ok(Value::Object(body)))
}

fn get(call: &Call, state: &State) -> Answer {
    let model = allowed(call, state, call.param("full_name"), Act::Read)?;
    let version = versions::find(state, &model.full_name, call.param("version"))?;
    shown(call, state, version)
}

fn update(call: &Call, state: &mut State) -> Answer {
    let model = allowed(call, state, call.param("full_name"), Act::Change)?;
    let name = model.full_name.clone();
    let number = versions::find(state, &name, call.param("version"))?.number;
    let by = crate::identity::name(state, call.caller);
    // Everything but the comment is overlooked: the SDK may send it, the server does not take it.
    let comment = call.body.get("comment").and_then(Value::as_str);
    if let Some(version) = state.models.edit(&name).versions.get_mut(&number) {
        if let Some(comment) = comment {
            comment.clone_into(&mut version.comment);
        }
        (version.updated_at, version.updated_by) = (call.now, by);
    }
    get(call, state)
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let model = allowed(call, state, call.param("full_name"), Act::Change)?;
    let name = model.full_name.clone();
    let number = versions::find(state, &name, call.param("version"))?.number;
    versions::delete(state, &name, number);
    Ok(Reply::empty())
}

pub fn aliased<'a>(state: &'a State, full_name: &str, alias: &str) -> Result<&'a Version, ApiError> {
    let model = state.models.get(full_name);
    let number = model.and_then(|model| model.aliases.get(alias)).ok_or_else(|| {
        ApiError::missing(format!(
            "Registered Model Alias '{alias}' of '{full_name}' does not exist."
        ))
    })?;
    model
        .and_then(|model| model.versions.get(number))
        .ok_or_else(|| missing(full_name, &number.to_string()))
}

fn get_by_alias(call: &Call, state: &State) -> Answer {
    let model = allowed(call, state, call.param("full_name"), Act::Read)?;
    let version = aliased(state, &model.full_name, call.param("alias"))?;
    shown(call, state, version)
}

fn set_alias(call: &Call, state: &mut State) -> Answer {
    let model = allowed(call, state, call.param("full_name"), Act::Alias)?;
    let (name, parts) = (model.full_name.clone(), model.body.clone());
    let number = call
        .body
        .get("version_num")
        .and_then(Value::as_u64)
        .ok_or_else(|| ApiError::invalid("Missing required field: version_num"))?;
    let alias = call.param("alias");
    versions::set_alias(state, &name, alias, number)?;
    let part = |field: &str| parts.get(field).cloned().unwrap_or_default();
    Ok(Reply::ok(Value::Object(Map::from_iter([
        ("alias_name".to_owned(), json!(alias)),
        ("version_num".to_owned(), json!(number)),
        ("catalog_name".to_owned(), part("catalog_name")),
        ("schema_name".to_owned(), part("schema_name")),
        ("model_name".to_owned(), part("name")),
    ]))))
}

fn delete_alias(call: &Call, state: &mut State) -> Answer {
    let model = allowed(call, state, call.param("full_name"), Act::Alias)?;
    let name = model.full_name.clone();
    aliased(state, &name, call.param("alias"))?;
    state.models.edit(&name).aliases.remove(call.param("alias"));
    Ok(Reply::empty())
}
