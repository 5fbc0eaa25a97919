//! Personal access tokens: a caller's own, those made on behalf of a service principal, and the admin's view.

use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::limits::Family;
use crate::permissions::acl::may_use_tokens;
use crate::route::{Answer, Reply, Right, Route, read, write};
use crate::state::Scope;
use crate::state::State;
use crate::state::credentials::{Bearer, PersonalToken};

/// learn.microsoft.com/azure/databricks/dev-tools/auth/pat
const MAX_PER_USER: usize = 600;
/// Where no lifetime is given: two years.
const DEFAULT_LIFETIME: i64 = 2 * 365 * 24 * 3600;

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.0/token/create", create).body(&[
        "comment",
        "lifetime_seconds",
        "scopes",
        "autoscope_enabled",
    ]),
    read("GET", "/api/2.0/token/list", list),
    write("POST", "/api/2.0/token/delete", delete).body(&["token_id"]),
    read("GET", "/api/2.0/token-management/tokens", manage_list)
        .right(Right::WorkspaceAdmin)
        .query(&["created_by_id", "created_by_username"])
        .family(Family::TokenManagement),
    read("GET", "/api/2.0/token-management/tokens/{id}", manage_get)
        .right(Right::WorkspaceAdmin)
        .family(Family::TokenManagement),
    write("DELETE", "/api/2.0/token-management/tokens/{id}", manage_delete)
        .right(Right::WorkspaceAdmin)
        .family(Family::TokenManagement),
    write("POST", "/api/2.0/token-management/on-behalf-of/tokens", on_behalf)
        .right(Right::WorkspaceAdmin)
        .body(&[
            "application_id",
            "comment",
            "lifetime_seconds",
            "scopes",
            "autoscope_enabled",
        ])
        .family(Family::TokenManagement),
];

fn render(token: &PersonalToken) -> Value {
    json!({"token_id": token.id, "comment": token.comment, "creation_time": token.created, "expiry_time": token.expires})
}

fn managed(state: &State, token: &PersonalToken) -> Value {
    let mut row = render(token);
    row["owner_id"] = json!(token.owner);
    row["created_by_id"] = json!(token.creator);
    row["created_by_username"] = json!(crate::identity::name(state, token.creator));
    row["workspace_id"] = json!(token.workspace);
    row
}

fn mint(call: &Call, state: &mut State, owner: u64) -> Answer {
    let workspace = call.workspace();
    if !may_use_tokens(state, workspace, owner) {
        return Err(ApiError::denied(
            "The principal is not allowed to use personal access tokens.",
        ));
    }
    let held = state
        .credentials
        .personal
        .values()
        .filter(|token| token.owner == owner && token.workspace == workspace);
    if held.count() >= MAX_PER_USER {
        return Err(ApiError::new(
            400,
            "QUOTA_EXCEEDED",
            format!("At most {MAX_PER_USER} tokens per user are allowed"),
        ));
    }
    let lifetime = call
        .body
        .get("lifetime_seconds")
        .and_then(Value::as_i64)
        .unwrap_or(DEFAULT_LIFETIME);
    let expires = if lifetime < 0 {
        -1
    } else {
        call.now + lifetime * 1000
    };
    let token = PersonalToken {
        id: state.new_hex() + &state.new_hex(),
        value: format!("dapi{}", state.new_hex()),
        comment: call.body["comment"].as_str().unwrap_or_default().to_owned(),
        owner,
        creator: call.caller,
        workspace,
        created: call.now,
        expires,
    };
    let bearer = Bearer {
        principal: owner,
        scope: Scope::Workspace(workspace),
        expires: (expires >= 0).then_some(expires),
    };
    state.credentials.bearers.insert(token.value.clone(), bearer);
    let body = json!({"token_value": token.value, "token_info": render(&token)});
    state.credentials.personal.insert(token.id.clone(), token);
    Ok(Reply::ok(body))
}

fn create(call: &Call, state: &mut State) -> Answer {
    mint(call, state, call.caller)
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
    mint(call, state, sp)
}

fn mine<'a>(call: &Call, state: &'a State) -> impl Iterator<Item = &'a PersonalToken> + use<'a> {
    let (workspace, caller) = (call.workspace(), call.caller);
    state
        .credentials
        .personal
        .values()
        .filter(move |token| token.workspace == workspace && token.owner == caller)
}

fn list(call: &Call, state: &State) -> Answer {
    let rows: Vec<Value> = mine(call, state).map(render).collect();
    Ok(Reply::ok(json!({"token_infos": rows})))
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let id = call.text("token_id")?;
    if !mine(call, state).any(|token| token.id == id) {
        return Err(ApiError::missing(format!("Token {id} does not exist.")));
    }
    state.credentials.revoke_personal(&id);
    Ok(Reply::empty())
}

fn manage_list(call: &Call, state: &State) -> Answer {
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
        .map(|token| managed(state, token))
        .filter(|row| {
            call.query("created_by_username")
                .is_none_or(|name| row["created_by_username"] == name)
        })
        .collect();
    Ok(Reply::ok(json!({"token_infos": rows})))
}

fn managed_token<'a>(call: &Call, state: &'a State) -> Result<&'a PersonalToken, ApiError> {
    let id = call.param("id");
    state
        .credentials
        .personal
        .get(id)
        .filter(|token| token.workspace == call.workspace())
        .ok_or_else(|| ApiError::missing(format!("Token {id} does not exist.")))
}

fn manage_get(call: &Call, state: &State) -> Answer {
    managed_token(call, state).map(|token| Reply::ok(json!({"token_info": managed(state, token)})))
}

fn manage_delete(call: &Call, state: &mut State) -> Answer {
    let id = managed_token(call, state)?.id.clone();
    state.credentials.revoke_personal(&id);
    Ok(Reply::empty())
}
