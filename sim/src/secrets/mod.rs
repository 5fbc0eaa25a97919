//! Secret scopes (`/api/2.0/secrets/`): the scopes themselves here, what they keep in `values`, who may in `acls`.

pub mod acls;
pub mod values;

use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::scopes::{Permission, SecretScope};
use crate::state::{Scope, State, SystemGroup};

/// learn.microsoft.com/azure/databricks/resources/limits
const MAX_SCOPES: usize = 1000;

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.0/secrets/scopes/create", create).body(&[
        "scope",
        "initial_manage_principal",
        "scope_backend_type",
        "backend_azure_keyvault",
    ]),
    read("GET", "/api/2.0/secrets/scopes/list", list),
    write("POST", "/api/2.0/secrets/scopes/delete", delete).body(&["scope"]),
];

/// Names of scopes and of keys follow one rule.
fn valid(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// What the caller may at most; workspace administrators manage every scope.
fn permission(call: &Call, state: &State, scope: &SecretScope) -> Option<Permission> {
    if state.directory.is_workspace_admin(call.workspace(), call.caller) {
        return Some(Permission::Manage);
    }
    let who = state.directory.reach(call.workspace(), call.caller);
    scope
        .acl
        .iter()
        .filter(|(id, _)| who.contains(id))
        .map(|(_, permission)| *permission)
        .max()
}

/// The scope that a call names, if the caller may do what the call does.
fn allowed<'a>(
    call: &Call,
    state: &'a State,
    wanted: Permission,
) -> Result<(String, &'a SecretScope), ApiError> {
    let name = call.text("scope")?;
    let scope = state
        .secret_scopes
        .get(call.workspace(), &name)
        .ok_or_else(|| ApiError::missing(format!("Scope {name} does not exist!")))?;
    if permission(call, state, scope).is_none_or(|held| held < wanted) {
        return Err(ApiError::denied(format!(
            "User {} does not have {} permission on scope {name}",
            crate::identity::name(state, call.caller),
            wanted.name()
        )));
    }
    Ok((name, scope))
}

/// A scope over a vault of Azure is written in that vault and nowhere else.
fn writable(name: &str, scope: &SecretScope) -> Result<(), ApiError> {
    match scope.key_vault {
        None => Ok(()),
        Some(_) => Err(ApiError::new(
            400,
            "BAD_REQUEST",
            format!("Scope {name} is backed by an Azure Key Vault and cannot be written through this API"),
        )),
    }
}

fn create(call: &Call, state: &mut State) -> Answer {
    let name = call.text("scope")?;
    let workspace = call.workspace();
    if !valid(&name) {
        return Err(ApiError::invalid(format!(
            "Scope name {name} is invalid: at most 128 letters, digits, dashes, underscores and periods"
        )));
    }
    if state.secret_scopes.get(workspace, &name).is_some() {
        // HTTP 400, not 409 [databricks-cli#340; DataThirstLtd/azure.databricks.cicd.tools#181].
        return Err(ApiError::new(
            400,
            "RESOURCE_ALREADY_EXISTS",
            format!("Scope {name} already exists!"),
        ));
    }
    if state.secret_scopes.of(workspace).count() >= MAX_SCOPES {
        return Err(ApiError::new(
            400,
            "RESOURCE_LIMIT_EXCEEDED",
            format!("Cannot have more than {MAX_SCOPES} scopes in a workspace"),
        ));
    }
    let manager = match call.body.get("initial_manage_principal").and_then(Value::as_str) {
        None | Some("") => call.caller,
        Some("users") => state
            .directory
            .group_named(Scope::Workspace(workspace), SystemGroup::Users.name())
            .map_or(call.caller, |group| group.id),
        Some(other) => {
            return Err(ApiError::invalid(format!(
                "initial_manage_principal {other} is not supported; only 'users' is"
            )));
        }
    };
    let vault = call.body.get("backend_azure_keyvault").filter(|it| !it.is_null());
    let key_vault = match (call.body.get("scope_backend_type").and_then(Value::as_str), vault) {
        (None | Some("DATABRICKS"), None) => None,
        (Some("AZURE_KEYVAULT"), Some(vault)) => Some(vault.clone()),
        (Some("AZURE_KEYVAULT"), None) => {
            return Err(ApiError::invalid(
                "backend_azure_keyvault is required for AZURE_KEYVAULT",
            ));
        }
        (_, Some(_)) => {
            return Err(ApiError::invalid(
                "backend_azure_keyvault is only for AZURE_KEYVAULT",
            ));
        }
        (Some(other), None) => return Err(ApiError::invalid(format!("Unknown scope_backend_type {other}"))),
    };
    let scope = SecretScope {
        key_vault,
        acl: [(manager, Permission::Manage)].into(),
        ..SecretScope::default()
    };
    state.secret_scopes.insert(workspace, &name, scope);
    Ok(Reply::empty())
}

fn list(call: &Call, state: &State) -> Answer {
    let rows: Vec<Value> = state
        .secret_scopes
        .of(call.workspace())
        .filter(|(_, scope)| permission(call, state, scope).is_some())
        .map(|(name, scope)| match &scope.key_vault {
            None => json!({"name": name, "backend_type": "DATABRICKS"}),
            Some(vault) => {
                json!({"name": name, "backend_type": "AZURE_KEYVAULT", "keyvault_metadata": vault})
            }
        })
        .collect();
    Ok(Reply::ok(if rows.is_empty() {
        json!({})
    } else {
        json!({"scopes": rows})
    }))
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let (name, _) = allowed(call, state, Permission::Manage)?;
    state.secret_scopes.remove(call.workspace(), &name);
    Ok(Reply::empty())
}
