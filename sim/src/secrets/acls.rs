//! Who may read, write and manage a scope. Rows of principals that are gone go with them.

use serde_json::{Value, json};

use super::allowed;
use crate::call::Call;
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::scopes::Permission;
use crate::state::{Scope, State};

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.0/secrets/acls/put", put).body(&["scope", "principal", "permission"]),
    read("GET", "/api/2.0/secrets/acls/get", get).query(&["scope", "principal"]),
    read("GET", "/api/2.0/secrets/acls/list", list).query(&["scope"]),
    write("POST", "/api/2.0/secrets/acls/delete", delete).body(&["scope", "principal"]),
];

fn principal(call: &Call, state: &State) -> Result<u64, ApiError> {
    let name = call.text("principal")?;
    let (directory, workspace) = (&state.directory, call.workspace());
    directory
        .user_named(&name)
        .map(|user| user.id)
        .or_else(|| directory.application(&name).map(|sp| sp.id))
        .or_else(|| {
            directory
                .group_in_workspace(workspace, &name)
                .map(|group| group.id)
        })
        .filter(|id| directory.sees(Scope::Workspace(workspace), *id))
        .ok_or_else(|| ApiError::missing(format!("User or Group {name} does not exist.")))
}

fn put(call: &Call, state: &mut State) -> Answer {
    let (name, _) = allowed(call, state, Permission::Manage)?;
    let wanted = call.text("permission")?;
    let permission = Permission::named(&wanted)
        .ok_or_else(|| ApiError::invalid(format!("Permission {wanted} is none of READ, WRITE and MANAGE")))?;
    let id = principal(call, state)?;
    if let Some(scope) = state.secret_scopes.get_mut(call.workspace(), &name) {
        scope.acl.insert(id, permission);
    }
    Ok(Reply::empty())
}

fn row(state: &State, id: u64, permission: Permission) -> Value {
    json!({"principal": crate::identity::name(state, id), "permission": permission.name()})
}

fn none(call: &Call) -> ApiError {
    ApiError::missing(format!(
        "No ACL of {} on scope {}",
        call.text("principal").unwrap_or_default(),
        call.text("scope").unwrap_or_default()
    ))
}

fn get(call: &Call, state: &State) -> Answer {
    let (_, scope) = allowed(call, state, Permission::Manage)?;
    let id = principal(call, state)?;
    let permission = scope.acl.get(&id).ok_or_else(|| none(call))?;
    Ok(Reply::ok(row(state, id, *permission)))
}

fn list(call: &Call, state: &State) -> Answer {
    let (_, scope) = allowed(call, state, Permission::Manage)?;
    let rows: Vec<Value> = scope
        .acl
        .iter()
        .map(|(id, permission)| row(state, *id, *permission))
        .collect();
    Ok(Reply::ok(if rows.is_empty() {
        json!({})
    } else {
        json!({"items": rows})
    }))
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let (name, scope) = allowed(call, state, Permission::Manage)?;
    let id = principal(call, state)?;
    if !scope.acl.contains_key(&id) {
        return Err(none(call));
    }
    if let Some(scope) = state.secret_scopes.get_mut(call.workspace(), &name) {
        scope.acl.remove(&id);
    }
    Ok(Reply::empty())
}
