//! Who may enter a workspace: the account's permission assignments per workspace, and the workspace's own view of
//! them, which the provider uses [TF access/resource_permission_assignment.go].

use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::limits::Family;
use crate::route::{Answer, Reply, Right, Route, read, write};
use crate::state::admissions::Assignment;
use crate::state::{Scope, State};

pub const ROUTES: &[Route] = &[
    read("GET", "/api/2.0/accounts/{account}/workspaces", workspaces).account(),
    read(
        "GET",
        "/api/2.0/accounts/{account}/workspaces/{workspace}",
        one_workspace,
    )
    .account(),
    read(
        "GET",
        "/api/2.0/accounts/{account}/workspaces/{workspace}/permissionassignments",
        list,
    )
    .account(),
    read(
        "GET",
        "/api/2.0/accounts/{account}/workspaces/{workspace}/permissionassignments/permissions",
        levels,
    )
    .account(),
    write(
        "PUT",
        "/api/2.0/accounts/{account}/workspaces/{workspace}/permissionassignments/principals/{principal}",
        set,
    )
    .account()
    .body(&["permissions"])
    .family(Family::AssignmentWrite),
    write(
        "DELETE",
        "/api/2.0/accounts/{account}/workspaces/{workspace}/permissionassignments/principals/{principal}",
        remove,
    )
    .account()
    .family(Family::AssignmentWrite),
    read("GET", "/api/2.0/preview/permissionassignments", list).right(Right::WorkspaceAdmin),
    write("POST", "/api/2.0/preview/permissionassignments", add)
        .right(Right::WorkspaceAdmin)
        .body(&["permission_assignments"])
        .family(Family::AssignmentWrite),
    write(
        "PUT",
        "/api/2.0/preview/permissionassignments/principals/{principal}",
        set,
    )
    .right(Right::WorkspaceAdmin)
    .body(&["permissions"])
    .family(Family::AssignmentWrite),
    write(
        "DELETE",
        "/api/2.0/preview/permissionassignments/principals/{principal}",
        remove,
    )
    .right(Right::WorkspaceAdmin)
    .family(Family::AssignmentWrite),
];

fn workspace(call: &Call, state: &State) -> Result<u64, ApiError> {
    let id = if call.param("workspace").is_empty() {
        call.workspace()
    } else {
        call.number("workspace")?
    };
    if state.workspaces.contains_key(&id) {
        return Ok(id);
    }
    Err(ApiError::missing(format!("Workspace {id} does not exist.")))
}

fn describe(state: &State, id: u64, name: &str) -> Value {
    json!({"workspace_id": id, "workspace_name": name, "workspace_status": "RUNNING", "account_id": state.account_id,
           "deployment_name": name, "cloud": "aws", "aws_region": "us-west-2"})
}

fn workspaces(_: &Call, state: &State) -> Answer {
    Ok(Reply::ok(
        state
            .workspaces
            .iter()
            .map(|(id, name)| describe(state, *id, name))
            .collect(),
    ))
}

fn one_workspace(call: &Call, state: &State) -> Answer {
    let id = workspace(call, state)?;
    Ok(Reply::ok(describe(
        state,
        id,
        state.workspaces.get(&id).map_or("", String::as_str),
    )))
}

fn render(state: &State, id: u64, level: Assignment) -> Option<Value> {
    let who = state.directory.principal(id)?;
    let (field, name) = who.acl_name();
    let mut principal = json!({"principal_id": id, "display_name": who.display_name()});
    principal[field] = json!(name);
    Some(json!({"principal": principal, "permissions": [level.name()]}))
}

fn list(call: &Call, state: &State) -> Answer {
    let workspace = workspace(call, state)?;
    let rows: Vec<Value> = state
        .directory
        .admissions
        .all(workspace)
        .filter_map(|(id, level)| render(state, id, level))
        .collect();
    Ok(Reply::ok(json!({"permission_assignments": rows})))
}

fn levels(call: &Call, state: &State) -> Answer {
    workspace(call, state)?;
    Ok(Reply::ok(json!({"permissions": [
        {"permission_level": "USER", "description": "Can access the workspace"},
        {"permission_level": "ADMIN", "description": "Can administer the workspace"},
    ]})))
}

fn principal(call: &Call, state: &State) -> Result<u64, ApiError> {
    let id = call.number("principal")?;
    if state.directory.sees(Scope::Account, id) {
        return Ok(id);
    }
    Err(ApiError::missing(format!(
        "Principal with id {id} does not exist in the account."
    )))
}

fn set(call: &Call, state: &mut State) -> Answer {
    let workspace = workspace(call, state)?;
    let id = principal(call, state)?;
    let names: Vec<&str> = call
        .object()?
        .get("permissions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    // ADMIN wins over USER; other words are ignored, and nothing left means removal (SDK docs of `update`).
    let level = match (names.contains(&"ADMIN"), names.contains(&"USER")) {
        (true, _) => Assignment::Admin,
        (false, true) => Assignment::User,
        (false, false) => {
            state.leave_workspace(workspace, id);
            return Ok(Reply::empty());
        }
    };
    state.assign(workspace, id, level);
    Ok(Reply::ok(render(state, id, level).unwrap_or_default()))
}

/// Adding by name grants USER; ADMIN needs a PUT afterwards.
fn add(call: &Call, state: &mut State) -> Answer {
    let workspace = workspace(call, state)?;
    let rows = call
        .object()?
        .get("permission_assignments")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut ids = Vec::new();
    for row in &rows {
        let who = &row["principal"];
        let directory = &state.directory;
        let id = match (
            who["user_name"].as_str(),
            who["group_name"].as_str(),
            who["service_principal_name"].as_str(),
        ) {
            (Some(name), None, None) => directory.user_named(name).map(|user| user.id),
            (None, Some(name), None) => directory.group_named(Scope::Account, name).map(|group| group.id),
            (None, None, Some(app)) => directory.application(app).map(|sp| sp.id),
            _ => {
                return Err(ApiError::invalid(
                    "principal needs one of user_name, group_name, service_principal_name",
                ));
            }
        };
        ids.push(
            id.ok_or_else(|| ApiError::missing(format!("Principal {who} does not exist in the account.")))?,
        );
    }
    for id in &ids {
        if !state.directory.admissions.admits(workspace, *id) {
            state.assign(workspace, *id, Assignment::User);
        }
    }
    let rows: Vec<Value> = ids
        .iter()
        .filter_map(|id| render(state, *id, state.directory.admissions.get(workspace, *id)?))
        .collect();
    Ok(Reply::ok(json!({"permission_assignments": rows})))
}

fn remove(call: &Call, state: &mut State) -> Answer {
    let workspace = workspace(call, state)?;
    let id = principal(call, state)?;
    if !state.directory.admissions.admits(workspace, id) {
        return Err(ApiError::missing(format!(
            "Principal {id} is not assigned to workspace {workspace}."
        )));
    }
    state.leave_workspace(workspace, id);
    Ok(Reply::empty())
}
