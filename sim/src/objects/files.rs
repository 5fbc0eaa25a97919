//! What workspace files and notebooks hold: import and export, in the shapes that the vendor's SDK and CLI send:
//! JSON with base64, a form with a file part, or the bare bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{notebook, tree};
use crate::call::Call;
use crate::error::ApiError;
use crate::limits::Family;
use crate::route::{Answer, Reply, Route, read, write};
use crate::runs::source::readable;
use crate::state::State;

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.0/workspace/import", import)
        .body(&["path", "content", "format", "language", "overwrite"])
        .family(Family::WorkspaceImport),
    read("GET", "/api/2.0/workspace/export", export)
        .query(&["path", "format", "direct_download", "outputFormat"])
        .family(Family::WorkspaceExport),
    // [CLI libs/filer/workspace_files_client.go]: the whole path is one segment, percent-encoded.
    write(
        "POST",
        "/api/2.0/workspace-files/import-file/{+path}",
        import_file,
    )
    .query(&["overwrite"])
    .raw()
    .family(Family::WorkspaceImport),
];

const FORMATS: &[&str] = &["SOURCE", "HTML", "JUPYTER", "DBC", "R_MARKDOWN", "AUTO", "RAW"];

/// The limit of the import and export calls.
const LARGEST: usize = 10 * 1024 * 1024;

fn too_large() -> ApiError {
    ApiError::new(
        400,
        "MAX_NOTEBOOK_SIZE_EXCEEDED",
        "The content is larger than the limit of 10485760 bytes",
    )
}

/// What is to be put where.
struct Item<'a> {
    path: String,
    bytes: &'a [u8],
    /// Its language, if it becomes a notebook.
    language: Option<&'a str>,
    overwrite: bool,
    /// What the vendor says where a file is in the way.
    taken: u16,
}

fn import(call: &Call, state: &mut State) -> Answer {
    let path = tree::path(call)?;
    let text = |name: &str| call.body.get(name).and_then(Value::as_str);
    let bytes = STANDARD
        .decode(text("content").unwrap_or_default())
        .map_err(|_| ApiError::invalid("content is not valid base64"))?;
    if bytes.len() > LARGEST {
        return Err(too_large());
    }
    let format = text("format").unwrap_or("SOURCE");
    if !FORMATS.contains(&format) {
        return Err(ApiError::invalid(format!(
            "'{format}' is not a valid import format"
        )));
    }
    let language = text("language");
    if let Some(unknown) = language.filter(|language| !notebook::is_language(language)) {
        return Err(ApiError::invalid(format!("'{unknown}' is not a valid language")));
    }
    let (path, language) = match format {
        "AUTO" => match notebook::recognised(&path, &bytes) {
            Some((language, path)) => (path.to_owned(), Some(language)),
            None => (path, None),
        },
        "RAW" => (path, None),
        "SOURCE" if language.is_none() => {
            return Err(ApiError::invalid(
                "The language is required for the format SOURCE",
            ));
        }
        "DBC" => {
            return Err(ApiError::new(
                501,
                "NOT_IMPLEMENTED",
                "This simulator does not read DBC archives",
            ));
        }
        _ => (path, language.or(Some("PYTHON"))),
    };
    // A form says `true` in text.
    let overwrite =
        matches!(call.body.get("overwrite"), Some(Value::Bool(true))) || text("overwrite") == Some("true");
    put(
        call,
        state,
        &Item {
            path,
            bytes: &bytes,
            language,
            overwrite,
            taken: 400,
        },
    )
}

fn import_file(call: &Call, state: &mut State) -> Answer {
    let path = tree::normal(&format!("/{}", call.param("path").trim_start_matches('/')));
    let bytes = call.raw.clone();
    let (path, language) = match notebook::recognised(&path, &bytes) {
        Some((language, path)) => (path.to_owned(), Some(language)),
        None => (path, None),
    };
    put(
        call,
        state,
        &Item {
            path,
            bytes: &bytes,
            language,
            overwrite: call.query("overwrite") == Some("true"),
            taken: 409,
        },
    )
}

fn put(call: &Call, state: &mut State, item: &Item) -> Answer {
    let (path, workspace) = (&item.path, call.workspace());
    tree::may_write_below(call, state, path)?;
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    if !parent.is_empty() && tree::find(state, workspace, parent).is_none() {
        return Err(ApiError::missing(format!(
            "The parent folder ({parent}) does not exist."
        )));
    }
    let (kind, inside) = match item.language {
        Some(language) => ("notebooks", notebook::inside(language, item.bytes)),
        None => ("files", item.bytes),
    };
    let mut body = Map::from_iter([
        ("content".to_owned(), json!(STANDARD.encode(inside))),
        ("size".to_owned(), json!(inside.len())),
        ("created_at".to_owned(), json!(call.now)),
        ("modified_at".to_owned(), json!(call.now)),
    ]);
    if let Some(language) = item.language {
        body.insert("language".to_owned(), json!(language));
    }
    let there =
        tree::find(state, workspace, path).map(|(kind, word, object)| (kind, word, object.id.clone()));
    match there {
        None => {
            tree::put(state, workspace, kind, path, None, body, call.caller);
        }
        Some((old, _, id)) if old == kind && item.overwrite => {
            if let Some(object) = state.objects.get_mut(workspace, kind, &id) {
                if let Some(created) = object.body.get("created_at") {
                    body.insert("created_at".to_owned(), created.clone());
                }
                object.body = body;
            }
        }
        Some((old, word, _)) if item.overwrite && old != kind => {
            let asked = if kind == "files" { "FILE" } else { "NOTEBOOK" };
            return Err(ApiError::invalid(format!(
                "Cannot overwrite the asset at {path} due to type mismatch (asked: {asked}, actual: {word})"
            )));
        }
        // [CLI libs/filer/workspace_files_client.go]: 409 where a file is in the way of import-file, 400 for notebooks.
        Some((old, ..)) => {
            let status = if old == "files" { item.taken } else { 400 };
            return Err(ApiError::new(
                status,
                "RESOURCE_ALREADY_EXISTS",
                format!("Path ({path}) already exists."),
            ));
        }
    }
    Ok(Reply::empty())
}

/// The bytes of a file, or of a notebook as source.
pub fn bytes(kind: &str, object: &crate::state::Object) -> Option<Vec<u8>> {
    let inside = STANDARD.decode(object.body.get("content")?.as_str()?).ok()?;
    let language = object.body.get("language").and_then(Value::as_str);
    Some(match language.filter(|_| kind == "notebooks") {
        Some(language) => notebook::source(language, &inside),
        None => inside,
    })
}

fn export(call: &Call, state: &State) -> Answer {
    let path = tree::path(call)?;
    let format = call.query("format").unwrap_or("SOURCE");
    if !FORMATS.contains(&format) {
        return Err(ApiError::invalid(format!(
            "'{format}' is not a valid export format"
        )));
    }
    let (kind, _, object) = tree::find(state, call.workspace(), &path).ok_or_else(|| tree::missing(&path))?;
    if !readable(state, call.workspace(), kind, object, call.caller) {
        let name = crate::identity::name(state, call.caller);
        return Err(ApiError::denied(format!(
            "{name} does not have Read permissions on {path}."
        )));
    }
    let bytes =
        bytes(kind, object).ok_or_else(|| ApiError::invalid(format!("Path ({path}) cannot be exported")))?;
    if bytes.len() > LARGEST {
        return Err(too_large());
    }
    if call.query("direct_download") == Some("true") {
        return Ok(Reply::file(bytes.into()));
    }
    let file_type = path.rsplit_once('.').map_or("auto", |(_, extension)| extension);
    Ok(Reply::ok(
        json!({"content": STANDARD.encode(&bytes), "file_type": if kind == "notebooks" { "py" } else { file_type }}),
    ))
}
