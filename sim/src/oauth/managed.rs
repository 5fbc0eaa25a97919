//! Personal access tokens as administrators of a workspace see them: everybody's, with the day of the last use, and
//! new ones on behalf of service principals.

use serde_json::{Value, json};

use super::personal::{edit, mint, missing, render};
use crate::call::Call;
use crate::error::ApiError;
use crate::limits::Family;
use crate::route::{Answer, Reply, Right, Route, read, write};
use crate::state::credentials::PersonalToken;
use crate::state::{Scope, State};

const fn managed(route: Route) -> Route {
    route.right(Right::WorkspaceAdmin).family(Family::TokenManagement)
}

pub const ROUTES: &[Route] = &[
    managed(read("GET", "/api/2.0/token-management/tokens", list))
        .query(&["created_by_id", "created_by_username"]),
    managed(read("GET", "/api/2.0/token-management/tokens/{id}", get)),
    managed(write("PATCH", "/api/2.0/token-management/tokens/{id}", update)).body(&["token", "update_mask"]),
    managed(write("DELETE", "/api/2.0/token-management/tokens/{id}", delete)),
    managed(write(
        "POST",
        "/api/2.0/token-management/on-behalf-of/tokens",
        on_behalf,
    ))
    .body(&[
        "application_id",
        "comment",
        "lifetime_seconds",
        "scopes",
        "autoscope_enabled",
    ]),
];

fn row(state: &State, token: &PersonalToken) -> Value {
    let mut row = render(token);
    row["owner_id"] = json!(token.owner);
    row["created_by_id"] = json!(token.creator);
    row["created_by_username"] = json!(crate::identity::name(state, token.creator));
    row["workspace_id"] = json!(token.workspace);
    if let Some(day) = token.used.day() {
        row["last_used_day"] = json!(day);
    }
    row
}

fn on_behalf(call: &Call, state: &mut State) -> Answer {
    let app = call.text("application_id")?;
    let workspace = call.workspace();
    let sp = state
        .directory
        .application(&app)
        .map(|sp| sp.id)
        .filter(|id| state.directory.sees(Scope::Workspace(workspace), *id))
        .ok_or_else(|| ApiError::missing(format!("Service principal {app} does not exist.")))?;
    let (value, token) = mint(call, state, sp)?;
    Ok(Reply::ok(
        json!({"token_value": value.show(), "token_info": row(state, &token)}),
    ))
}

fn list(call: &Call, state: &State) -> Answer {
    let workspace = call.workspace();
    let rows: Vec<Value> = state
        .credentials
        .personal
        .values()
        .filter(|token| token.workspace == workspace)
        .filter(|token| {
            call.query("created_by_id")
                .is_none_or(|id| id == token.creator.to_string())
        })
        .map(|token| row(state, token))
        .filter(|row| {
            call.query("created_by_username")
                .is_none_or(|name| row["created_by_username"] == name)
        })
        .collect();
    Ok(Reply::ok(json!({"token_infos": rows})))
}

fn one<'a>(call: &Call, state: &'a State) -> Result<&'a PersonalToken, ApiError> {
    let id = call.param("id");
    state
        .credentials
        .personal
        .get(id)
        .filter(|token| token.workspace == call.workspace())
        .ok_or_else(|| missing(id))
}

fn get(call: &Call, state: &State) -> Answer {
    one(call, state).map(|token| Reply::ok(json!({"token_info": row(state, token)})))
}

fn update(call: &Call, state: &mut State) -> Answer {
    let id = one(call, state)?.id.clone();
    edit(call, state, &id)
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let id = one(call, state)?.id.clone();
    state.credentials.revoke_personal(&id);
    Ok(Reply::empty())
}
