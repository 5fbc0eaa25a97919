//! A folder of the workspace: what stands there, what its files hold, putting and deleting. Whether a folder is ours
//! is decided by the manifest in it, never by its name.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::code::tree::{LARGEST, MANIFEST, Manifest, sha256};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::super::limits::Family;
use super::super::plane::Plane;
use super::super::segment;
use crate::clients::http::{Call, Effect};

/// What stands at a path.
#[derive(Debug)]
pub(super) enum Ground {
    Nothing,
    /// An empty folder: one that was made and got no further.
    Empty,
    Ours {
        manifest: Manifest,
        /// Of the manifest's bytes as they lie there.
        digest: String,
    },
    /// Something that we did not put there.
    Foreign(String),
}

#[derive(Debug, Deserialize)]
pub struct Row {
    #[serde(default)]
    pub path: String,
    #[serde(default)]
    pub object_type: String,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    objects: Vec<Row>,
}

#[derive(Deserialize)]
struct Exported {
    #[serde(default)]
    content: String,
}

/// One spelling per path: `/Workspace/x` and `/x` are the same.
pub(super) fn bare(path: &str) -> &str {
    let rest = path
        .strip_prefix("/Workspace")
        .filter(|rest| rest.starts_with('/'));
    rest.unwrap_or(path).trim_end_matches('/')
}

pub(super) async fn ground(plane: &Plane, directory: &str) -> Result<Ground, SystemError> {
    if let Some(bytes) = export(plane, &format!("{directory}/{MANIFEST}")).await? {
        return Ok(match serde_json::from_slice::<Manifest>(&bytes) {
            Ok(manifest) if manifest.format == Manifest::FORMAT => Ground::Ours {
                manifest,
                digest: sha256(&bytes),
            },
            _ => Ground::Foreign(format!("{directory}/{MANIFEST} is no manifest of this version")),
        });
    }
    let path = "/api/2.0/workspace/get-status";
    let call = Call::get(path, path, Family::Other.name()).query("path", directory);
    let Some(row) = plane.find::<Row>(call).await? else {
        return Ok(Ground::Nothing);
    };
    if row.object_type != "DIRECTORY" {
        return Ok(Ground::Foreign(format!("{directory} is a {}", row.object_type)));
    }
    match list(plane, directory).await? {
        None => Ok(Ground::Nothing),
        Some(rows) if rows.is_empty() => Ok(Ground::Empty),
        Some(_) => Ok(Ground::Foreign(format!(
            "{directory} holds files that Lockstep did not put there: it has no {MANIFEST}"
        ))),
    }
}

/// What stands directly below; `None`: the folder is not there.
pub async fn list(plane: &Plane, directory: &str) -> Result<Option<Vec<Row>>, SystemError> {
    let path = "/api/2.0/workspace/list";
    let call = Call::get(path, path, Family::Other.name()).query("path", directory);
    let found: Option<Listing> = plane.find(call).await?;
    Ok(found.map(|listing| listing.objects))
}

/// Everything below a directory of ours, by path from it; the manifest left out.
#[derive(Debug, Default)]
pub(super) struct Below {
    pub folders: BTreeSet<String>,
    /// Files and notebooks.
    pub files: BTreeSet<String>,
    /// What is neither, with its type.
    pub others: BTreeMap<String, String>,
}

pub(super) async fn below(plane: &Plane, directory: &str) -> Result<Below, SystemError> {
    let root = format!("{}/", bare(directory));
    let (mut open, mut found) = (vec![directory.to_owned()], Below::default());
    while let Some(next) = open.pop() {
        for row in list(plane, &next).await?.unwrap_or_default() {
            let path = bare(&row.path);
            let relative = path.strip_prefix(&root).unwrap_or(&row.path).to_owned();
            match row.object_type.as_str() {
                "DIRECTORY" => {
                    open.push(format!("{directory}/{relative}"));
                    found.folders.insert(relative);
                }
                "FILE" | "NOTEBOOK" if relative == MANIFEST => {}
                "FILE" | "NOTEBOOK" => {
                    found.files.insert(relative);
                }
                other => {
                    found.others.insert(relative, other.to_owned());
                }
            }
        }
    }
    Ok(found)
}

/// What a file holds, a notebook as source; `None`: it is not there. Asked as JSON, because a login page would pass
/// for a file otherwise.
pub async fn export(plane: &Plane, file: &str) -> Result<Option<Vec<u8>>, SystemError> {
    let path = "/api/2.0/workspace/export";
    let call = Call::get(path, path, Family::WorkspaceExport.name())
        .query("path", file)
        .query("format", "AUTO")
        // Base64 is longer by a third.
        .longest(LARGEST / 2 * 3);
    let Some(Exported { content }) = plane.find(call).await? else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(content).map_err(|_| {
        plane.error(
            SystemErrorKind::BadAnswer,
            format!("{file}: what was read back is no base64"),
        )
    })?;
    Ok(Some(bytes))
}

/// Makes a folder and what is missing above it.
pub async fn make(plane: &Plane, directory: &str) -> Result<(), SystemError> {
    let path = "/api/2.0/workspace/mkdirs";
    let call = Call::new(Method::POST, path, path, Family::Other.name(), Effect::Repeatable)
        .json(&json!({"path": directory}));
    plane.write(call).await.map(|_| ())
}

/// The call that puts a file, or, by its header, a notebook (databricks-cli, libs/filer). The whole path is one
/// segment.
pub fn put(file: &str, bytes: impl Into<Bytes>) -> Call {
    let path = format!(
        "/api/2.0/workspace-files/import-file/{}",
        segment(file.trim_start_matches('/'))
    );
    Call::new(
        Method::POST,
        "/api/2.0/workspace-files/import-file/{path}",
        path,
        Family::WorkspaceImport.name(),
        Effect::Repeatable,
    )
    .query("overwrite", "true")
    .bytes(bytes)
}

/// Deletes a folder with all below it; one that is gone is deleted.
pub async fn delete(plane: &Plane, directory: &str) -> Result<(), SystemError> {
    let path = "/api/2.0/workspace/delete";
    let call = Call::new(Method::POST, path, path, Family::Other.name(), Effect::Repeatable)
        .json(&json!({"path": directory, "recursive": true}));
    let response = plane.send(call).await?;
    if response.proves_absence() {
        return Ok(());
    }
    response.success().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn both_spellings_of_a_path_are_one() {
        assert_eq!(bare("/Workspace/a/b/"), "/a/b");
        assert_eq!(bare("/a/b"), "/a/b");
        assert_eq!(bare("/Workspaces/a"), "/Workspaces/a");
    }
}
