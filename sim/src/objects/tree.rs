//! The workspace's tree: directories, notebooks, files. `/Workspace/x` and `/x` are one path. Experiments and Git
//! folders stand in the same tree. What files hold is `files`.

use serde_json::{Map, Value, json};

use super::shape::may_manage;
use crate::call::Call;
use crate::error::ApiError;
use crate::permissions::acl::home_of;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::{Object, State};

/// Kinds that stand in the tree, with what `object_type` calls them.
const KINDS: &[(&str, &str)] = &[
    ("directories", "DIRECTORY"),
    ("notebooks", "NOTEBOOK"),
    ("files", "FILE"),
    ("repos", "REPO"),
    ("experiments", "MLFLOW_EXPERIMENT"),
];

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.0/workspace/mkdirs", mkdirs).body(&["path"]),
    read("GET", "/api/2.0/workspace/get-status", get_status).query(&["path"]),
    read("GET", "/api/2.0/workspace/list", list).query(&["path", "notebooks_modified_after"]),
    write("POST", "/api/2.0/workspace/delete", delete).body(&["path", "recursive"]),
];

/// One spelling per path: without `/Workspace`, without a slash at the end.
pub fn normal(path: &str) -> String {
    let rest = path
        .strip_prefix("/Workspace")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .unwrap_or(path);
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() {
        "/".to_owned()
    } else {
        rest.to_owned()
    }
}

pub fn find<'a>(
    state: &'a State,
    workspace: u64,
    path: &str,
) -> Option<(&'static str, &'static str, &'a Object)> {
    KINDS.iter().find_map(|(kind, word)| {
        state
            .objects
            .named(workspace, kind, path)
            .next()
            .map(|object| (*kind, *word, object))
    })
}

pub fn path(call: &Call) -> Result<String, ApiError> {
    let text = call.text("path")?;
    if !text.starts_with('/') {
        return Err(ApiError::invalid(format!("Path ({text}) doesn't start with '/'")));
    }
    Ok(normal(&text))
}

pub fn missing(path: &str) -> ApiError {
    ApiError::missing(format!("Path ({path}) doesn't exist."))
}

fn status(word: &str, object: &Object) -> Value {
    let id = object
        .id
        .parse::<u64>()
        .map_or_else(|_| json!(object.id), |id| json!(id));
    let mut row = json!({
        "path": object.name, "object_type": word, "object_id": id, "resource_id": object.id,
    });
    for field in ["language", "created_at", "modified_at", "size"] {
        if let Some(value) = object.body.get(field) {
            row[field] = value.clone();
        }
    }
    row
}

fn get_status(call: &Call, state: &State) -> Answer {
    let path = path(call)?;
    let (_, word, object) = find(state, call.workspace(), &path).ok_or_else(|| missing(&path))?;
    Ok(Reply::ok(status(word, object)))
}

fn list(call: &Call, state: &State) -> Answer {
    let path = path(call)?;
    let workspace = call.workspace();
    let (kind, word, object) = find(state, workspace, &path).ok_or_else(|| missing(&path))?;
    if kind != "directories" && kind != "repos" {
        return Ok(Reply::ok(json!({"objects": [status(word, object)]})));
    }
    let below = if path == "/" {
        path.clone()
    } else {
        format!("{path}/")
    };
    let mut rows: Vec<(String, Value)> = KINDS
        .iter()
        .flat_map(|(kind, word)| {
            state
                .objects
                .below(workspace, kind, &below)
                .map(move |object| (*word, object))
        })
        .filter(|(_, object)| {
            let rest = &object.name[below.len()..];
            !rest.is_empty() && !rest.contains('/')
        })
        .map(|(word, object)| (object.name.clone(), status(word, object)))
        .collect();
    rows.sort_by(|left, right| left.0.cmp(&right.0));
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    Ok(Reply::ok(if rows.is_empty() {
        json!({})
    } else {
        json!({"objects": rows})
    }))
}

/// Puts an object into the tree; also how seeding puts one.
pub fn put(
    state: &mut State,
    workspace: u64,
    kind: &'static str,
    path: &str,
    id: Option<&str>,
    body: Map<String, Value>,
    creator: u64,
) -> String {
    let id = id.map_or_else(|| state.new_id().to_string(), ToOwned::to_owned);
    let home = kind == "directories" && path.matches('/').count() == 2;
    let whose = match home_of(path)
        .filter(|_| home)
        .and_then(|user| state.directory.user_named(user))
    {
        Some(user) => user.id,
        None => creator,
    };
    let acl = std::iter::once((whose, "CAN_MANAGE".to_owned()))
        .filter(|(id, _)| *id != 0)
        .collect();
    state.objects.insert(
        workspace,
        kind,
        Object {
            id: id.clone(),
            name: path.to_owned(),
            body,
            creator,
            acl,
        },
    );
    id
}

/// Makes a directory and what is missing above it; who makes one manages the lowest that is new.
pub fn make_directories(state: &mut State, workspace: u64, path: &str, creator: u64) -> Result<(), ApiError> {
    let ends = path
        .match_indices('/')
        .map(|(at, _)| at)
        .skip(1)
        .chain([path.len()]);
    for end in ends {
        let part = &path[..end];
        match find(state, workspace, part) {
            None => {
                put(
                    state,
                    workspace,
                    "directories",
                    part,
                    None,
                    Map::new(),
                    if end == path.len() { creator } else { 0 },
                );
            }
            Some(("directories" | "repos", ..)) => {}
            Some(_) => {
                return Err(ApiError::exists(format!(
                    "Path ({part}) already exists and is not a directory."
                )));
            }
        }
    }
    Ok(())
}

pub fn may_write_below(call: &Call, state: &State, path: &str) -> Result<(), ApiError> {
    let workspace = call.workspace();
    let mut parent = path;
    while let Some((above, _)) = parent.rsplit_once('/') {
        parent = above;
        let at = if above.is_empty() { "/" } else { above };
        if let Some((kind, _, object)) = find(state, workspace, at) {
            return may_manage(call, state, kind, object);
        }
    }
    Ok(())
}

fn mkdirs(call: &Call, state: &mut State) -> Answer {
    let path = path(call)?;
    if path != "/" && find(state, call.workspace(), &path).is_none() {
        may_write_below(call, state, &path)?;
    }
    if path != "/" {
        make_directories(state, call.workspace(), &path, call.caller)?;
    }
    Ok(Reply::empty())
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let path = path(call)?;
    let workspace = call.workspace();
    let (kind, _, object) = find(state, workspace, &path).ok_or_else(|| missing(&path))?;
    let id = object.id.clone();
    may_manage(call, state, kind, object)?;
    if path == "/" {
        return Err(ApiError::invalid("The root directory cannot be deleted"));
    }
    let below = format!("{path}/");
    let inside: Vec<(&'static str, String)> = KINDS
        .iter()
        .flat_map(|(kind, _)| {
            state
                .objects
                .below(workspace, kind, &below)
                .map(move |object| (*kind, object))
        })
        .map(|(kind, object)| (kind, object.id.clone()))
        .collect();
    if !inside.is_empty() && call.body.get("recursive") != Some(&json!(true)) {
        return Err(ApiError::new(
            400,
            "DIRECTORY_NOT_EMPTY",
            format!("Folder ({path}) is not empty"),
        ));
    }
    for (kind, id) in inside {
        state.objects.remove(workspace, kind, &id);
    }
    state.objects.remove(workspace, kind, &id);
    Ok(Reply::empty())
}
