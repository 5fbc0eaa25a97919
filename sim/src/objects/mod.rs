//! The workspace's things: found by name or path, owned, granted on. Jobs, files and serving endpoints do more.

pub mod files;
pub mod jobs;
pub mod named;
pub mod notebook;
pub mod run_as;
pub mod serving;
pub mod shape;
pub mod tracking;
pub mod tree;

use serde_json::{Map, Value};

use crate::permissions::kinds::Kind;
use crate::state::State;

/// Puts an object into the world without going through its endpoint, and returns its id.
#[allow(clippy::too_many_arguments)] // As `shape::create`: a flat list of what is known.
pub fn seed(
    state: &mut State,
    workspace: u64,
    kind: &'static Kind,
    name: &str,
    id: Option<&str>,
    body: &Map<String, Value>,
    owner: u64,
    now: i64,
) -> String {
    match kind.path {
        "jobs" => {
            let mut settings = body.clone();
            settings.insert("name".into(), Value::String(name.to_owned()));
            jobs::make(state, workspace, id, settings, owner, now)
        }
        "experiments" => {
            let path = tree::normal(name);
            above(state, workspace, &path);
            tracking::make_experiment(state, workspace, &path, id, body, owner, now)
        }
        "directories" | "notebooks" | "files" => {
            let path = tree::normal(name);
            above(state, workspace, &path);
            match tree::find(state, workspace, &path) {
                Some((_, _, object)) => object.id.clone(),
                None => tree::put(state, workspace, kind.path, &path, id, body.clone(), owner),
            }
        }
        path => match shape::of(path) {
            Some(row) => shape::create(state, workspace, row, name, id, body, owner, now),
            None => String::new(),
        },
    }
}

/// The directories above a path; a file in their place shows when it is used.
fn above(state: &mut State, workspace: u64, path: &str) {
    if let Some((parent, _)) = path.rsplit_once('/')
        && !parent.is_empty()
    {
        let _ = tree::make_directories(state, workspace, parent, 0);
    }
}
