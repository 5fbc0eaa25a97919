//! Files of model versions, through the part of the files API that the MLflow client needs: `/Models/{catalog}/
//! {schema}/{model}/{version}/…` [MLF store/artifact/databricks_sdk_models_artifact_repo.py].

use axum::body::Bytes;
use serde_json::{Value, json};

use super::rights::{Act, allowed};
use super::versions;
use crate::call::Call;
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::State;

pub const ROUTES: &[Route] = &[
    write("PUT", "/api/2.0/fs/files/Models/{+path}", put)
        .query(&["overwrite"])
        .raw(),
    read("GET", "/api/2.0/fs/files/Models/{+path}", get),
    read("HEAD", "/api/2.0/fs/files/Models/{+path}", get),
    read("GET", "/api/2.0/fs/directories/Models/{+path}", list).query(&["page_size", "page_token"]),
    read("HEAD", "/api/2.0/fs/directories/Models/{+path}", list),
];

/// Full name, version, path within it.
fn parts(call: &Call) -> Result<(String, String, String), ApiError> {
    let path = call.param("path");
    let mut parts = path.trim_end_matches('/').splitn(5, '/');
    let mut next = || parts.next().filter(|part| !part.is_empty());
    match (next(), next(), next(), next()) {
        (Some(catalog), Some(schema), Some(model), Some(version)) => Ok((
            format!("{catalog}.{schema}.{model}"),
            version.to_owned(),
            next().unwrap_or_default().to_owned(),
        )),
        _ => Err(ApiError::invalid(format!(
            "/Models/{path} is not below a model version"
        ))),
    }
}

fn missing(call: &Call) -> ApiError {
    ApiError::new(
        404,
        "NOT_FOUND",
        format!("/Models/{} does not exist", call.param("path")),
    )
}

fn put(call: &Call, state: &mut State) -> Answer {
    let (name, version, path) = parts(call)?;
    let name = allowed(call, state, &name, Act::Change)?.full_name.clone();
    let found = versions::find(state, &name, &version)?;
    if found.status == "READY" {
        return Err(ApiError::denied(format!(
            "Version {version} of {name} is finalized; its files cannot change"
        )));
    }
    if found.files.contains_key(&path) && call.query("overwrite") != Some("true") {
        return Err(ApiError::new(409, "ALREADY_EXISTS", format!("{path} exists")));
    }
    let number = found.number;
    if let Some(version) = state.models.edit(&name).versions.get_mut(&number) {
        version.files.insert(path, call.raw.clone());
    }
    Ok(Reply::no_content())
}

fn get(call: &Call, state: &State) -> Answer {
    let (name, version, path) = parts(call)?;
    allowed(call, state, &name, Act::Read)?;
    let bytes = versions::find(state, &name, &version)?
        .files
        .get(&path)
        .cloned()
        .ok_or_else(|| missing(call))?;
    Ok(Reply::file(bytes))
}

fn list(call: &Call, state: &State) -> Answer {
    let (name, version, path) = parts(call)?;
    allowed(call, state, &name, Act::Read)?;
    let found = versions::find(state, &name, &version)?;
    let below = if path.is_empty() {
        String::new()
    } else {
        format!("{path}/")
    };
    let mut rows: Vec<Value> = Vec::new();
    let mut names: std::collections::BTreeSet<(String, bool)> = std::collections::BTreeSet::new();
    for (full, bytes) in &found.files {
        let Some(rest) = full.strip_prefix(&below) else {
            continue;
        };
        let (first, directory) = match rest.split_once('/') {
            Some((first, _)) => (first, true),
            None => (rest, false),
        };
        if names.insert((first.to_owned(), directory)) {
            let at = format!("/Models/{}/{version}/{below}{first}", name.replace('.', "/"));
            let mut row = json!({"path": at, "name": first, "is_directory": directory});
            if !directory {
                row["file_size"] = json!(Bytes::len(bytes));
            }
            rows.push(row);
        }
    }
    if rows.is_empty() && !path.is_empty() {
        return Err(missing(call));
    }
    Ok(Reply::ok(json!({"contents": rows})))
}
