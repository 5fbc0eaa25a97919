//! Settings of a workspace as strings by key; of those known here, only the cap on lifetimes of tokens does something.

use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::route::{Answer, Reply, Right, Route, read, write};
use crate::state::State;

/// Days; 0 or unset: no cap.
const MAX_TOKEN_LIFETIME: &str = "maxTokenLifetimeDays";
const KEYS: &[&str] = &[MAX_TOKEN_LIFETIME];

pub const ROUTES: &[Route] = &[
    read("GET", "/api/2.0/workspace-conf", get)
        .right(Right::WorkspaceAdmin)
        .query(&["keys"]),
    write("PATCH", "/api/2.0/workspace-conf", set).right(Right::WorkspaceAdmin),
];

fn known(key: &str) -> Result<(), ApiError> {
    if KEYS.contains(&key) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("Invalid keys: [\"{key}\"]")))
}

fn get(call: &Call, state: &State) -> Answer {
    let keys = call.text("keys")?;
    let mut rows = Map::new();
    for key in keys.split(',') {
        known(key)?;
        let value = state.workspace_conf.get(&(call.workspace(), key.to_owned()));
        rows.insert(key.to_owned(), json!(value));
    }
    Ok(Reply::ok(Value::Object(rows)))
}

fn set(call: &Call, state: &mut State) -> Answer {
    let fields = call.object()?;
    for (key, value) in fields {
        known(key)?;
        if value.as_str().is_none_or(|text| text.parse::<u32>().is_err()) {
            return Err(ApiError::invalid(format!(
                "{key} must be a whole number in a string"
            )));
        }
    }
    for (key, value) in fields {
        let text = value.as_str().unwrap_or_default().to_owned();
        state.workspace_conf.insert((call.workspace(), key.clone()), text);
    }
    Ok(Reply::no_content())
}

/// Seconds that a personal access token of this workspace may live at most.
pub fn max_token_lifetime(state: &State, workspace: u64) -> Option<i64> {
    let days: i64 = state
        .workspace_conf
        .get(&(workspace, MAX_TOKEN_LIFETIME.to_owned()))?
        .parse()
        .ok()?;
    (days > 0).then_some(days * 24 * 3600)
}
