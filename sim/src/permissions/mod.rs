//! The permissions API: GET, PUT (replaces the direct rows), PATCH (adds or raises), and the levels of a type, for
//! every type of `kinds`.

pub mod acl;
pub mod kinds;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::call::{Call, only};
use crate::error::ApiError;
use crate::limits::Family;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::{Object, Scope, State, SystemGroup};
use kinds::{Kind, Ownership};

const BODY: &[&str] = &["access_control_list"];

/// `{type}` has one segment for most types, and two for those below `sql/` and `authorization/`.
macro_rules! routes {
    ($($base:literal),* $(,)?) => {
        &[$(
            read("GET", $base, get).family(Family::PermissionsRead),
            write("PUT", $base, set).body(BODY).family(Family::PermissionsWrite),
            write("PATCH", $base, update).body(BODY).family(Family::PermissionsWrite),
            read("GET", concat!($base, "/permissionLevels"), levels).family(Family::PermissionsRead),
        )*]
    };
}

pub const ROUTES: &[Route] = routes![
    "/api/2.0/permissions/{type}/{id}",
    "/api/2.0/permissions/sql/{sql}/{id}",
    "/api/2.0/permissions/authorization/{authorization}",
];

fn kind_of(call: &Call) -> Result<&'static Kind, ApiError> {
    let path = match (call.param("sql"), call.param("authorization")) {
        ("", "") => call.param("type").to_owned(),
        (sql, "") => format!("sql/{sql}"),
        (_, what) => format!("authorization/{what}"),
    };
    kinds::by_path(&path).ok_or_else(|| {
        ApiError::invalid(format!(
            "'{path}' is not a supported object type for permissions."
        ))
    })
}

fn missing(kind: &Kind, id: &str) -> ApiError {
    ApiError::missing(format!("{} {id} does not exist.", kind.noun))
}

fn object<'a>(call: &Call, state: &'a State, kind: &'static Kind) -> Result<&'a Object, ApiError> {
    let workspace = call.workspace();
    let id = match kind.path {
        "authorization/tokens" => {
            if !state
                .credentials
                .personal
                .values()
                .any(|token| token.workspace == workspace)
            {
                // TF#2118: the object is born with the first token.
                return Err(ApiError::missing(
                    "Token permissions do not exist before the first token is created.",
                ));
            }
            "tokens"
        }
        "authorization/passwords" => "passwords",
        _ => call.param("id"),
    };
    state
        .objects
        .get(workspace, kind.path, id)
        .ok_or_else(|| missing(kind, id))
}

fn get(call: &Call, state: &State) -> Answer {
    let kind = kind_of(call)?;
    let object = object(call, state, kind)?;
    let workspace = call.workspace();
    if !state.directory.is_workspace_admin(workspace, call.caller)
        && acl::effective(state, workspace, kind, object, call.caller) == 0
    {
        return Err(denied(state, call, "View", kind, object));
    }
    Ok(Reply::ok(acl::render(state, workspace, kind, object)))
}

fn denied(state: &State, call: &Call, what: &str, kind: &Kind, object: &Object) -> ApiError {
    let name = crate::identity::name(state, call.caller);
    ApiError::denied(format!(
        "{name} does not have {what} permissions on {} {}.",
        kind.noun.to_lowercase(),
        object.id
    ))
}

fn levels(call: &Call, state: &State) -> Answer {
    let kind = kind_of(call)?;
    object(call, state, kind)?;
    let rows: Vec<Value> = kind
        .levels
        .iter()
        .map(|level| json!({"permission_level": level, "description": kinds::describe(level, kind)}))
        .collect();
    Ok(Reply::ok(json!({"permission_levels": rows})))
}

/// The wanted rows, highest level per principal (TF#2079), validated against type and people.
fn wanted(call: &Call, state: &State, kind: &'static Kind) -> Result<Vec<(u64, &'static str)>, ApiError> {
    let list = match call.object()?.get("access_control_list") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(rows)) => rows,
        Some(_) => return Err(ApiError::malformed("access_control_list must be a list")),
    };
    list.iter().map(|row| one(call, state, kind, row)).collect()
}

fn one(
    call: &Call,
    state: &State,
    kind: &'static Kind,
    row: &Value,
) -> Result<(u64, &'static str), ApiError> {
    let fields = row
        .as_object()
        .ok_or_else(|| ApiError::malformed("An access control entry must be an object"))?;
    only(
        fields,
        &[
            "user_name",
            "group_name",
            "service_principal_name",
            "permission_level",
        ],
    )?;
    let level = fields
        .get("permission_level")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some(known) = kind.levels.iter().find(|known| **known == level) else {
        return Err(ApiError::invalid(format!(
            "Permission type {level} is not defined for {}; valid levels: {}",
            kind.noun.to_lowercase(),
            kind.levels.join(", ")
        )));
    };
    let workspace = call.workspace();
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let (id, label) = match (
        text("user_name"),
        text("group_name"),
        text("service_principal_name"),
    ) {
        (Some(name), None, None) => (
            state.directory.user_named(name).map(|user| user.id),
            format!("UserName({name})"),
        ),
        (None, Some(name), None) => (
            state
                .directory
                .group_in_workspace(workspace, name)
                .map(|group| group.id),
            format!("GroupName({name})"),
        ),
        (None, None, Some(app)) => (
            state.directory.application(app).map(|sp| sp.id),
            format!("ServicePrincipalName({app})"),
        ),
        _ => {
            return Err(ApiError::malformed(
                "Exactly one of user_name, group_name and service_principal_name must be given",
            ));
        }
    };
    let id = id
        .filter(|id| state.directory.sees(Scope::Workspace(workspace), *id))
        .ok_or_else(|| ApiError::missing(format!("Principal: {label} does not exist")))?;
    let group = state.directory.group(id);
    if *known == "IS_OWNER" && group.is_some() {
        return Err(ApiError::invalid(format!(
            "A group cannot be the owner of a {}.",
            kind.noun.to_lowercase()
        )));
    }
    if group.is_some_and(|group| group.system == Some(SystemGroup::Admins)) && *known != "CAN_MANAGE" {
        return Err(ApiError::invalid("Cannot change permissions for group 'admins'."));
    }
    Ok((id, known))
}

fn highest(kind: &Kind, rows: Vec<(u64, &'static str)>) -> BTreeMap<u64, &'static str> {
    let mut best: BTreeMap<u64, &'static str> = BTreeMap::new();
    for (id, level) in rows {
        let entry = best.entry(id).or_insert(level);
        if kind.rank(level) > kind.rank(entry) {
            *entry = level;
        }
    }
    best
}

fn one_owner(kind: &Kind, rows: &BTreeMap<u64, &'static str>) -> Result<(), ApiError> {
    let owners = rows.values().filter(|level| **level == "IS_OWNER").count();
    if owners > 1 || (owners == 0 && kind.ownership == Ownership::ExactlyOne) {
        return Err(ApiError::invalid(format!(
            "The {} must have exactly one owner.",
            kind.noun.to_lowercase()
        )));
    }
    Ok(())
}

/// Checks that the caller may change the list and that the wanted rows are possible.
fn prepared(
    call: &Call,
    state: &State,
) -> Result<(&'static Kind, String, BTreeMap<u64, &'static str>), ApiError> {
    let kind = kind_of(call)?;
    let object = object(call, state, kind)?;
    if !acl::can_manage(state, call.workspace(), kind, object, call.caller) {
        return Err(denied(state, call, "Manage", kind, object));
    }
    let rows = highest(kind, wanted(call, state, kind)?);
    Ok((kind, object.id.clone(), rows))
}

fn set(call: &Call, state: &mut State) -> Answer {
    let (kind, id, mut rows) = prepared(call, state)?;
    one_owner(kind, &rows)?;
    let workspace = call.workspace();
    let old = state
        .objects
        .get(workspace, kind.path, &id)
        .ok_or_else(|| missing(kind, &id))?;
    if kind.ownership == Ownership::Kept && !rows.values().any(|level| *level == "IS_OWNER") {
        let owner = acl::owner(old).ok_or_else(|| {
            ApiError::invalid(format!(
                "PUT requests for warehouse {id} with no existing owner must provide a new owner."
            ))
        })?;
        rows.insert(owner, "IS_OWNER");
    }
    if kind.path == "directories" && id == "0" {
        // The root must keep its admins (the vendor's Terraform provider adds them to every list it writes).
        let admins = state
            .directory
            .group_named(Scope::Workspace(workspace), SystemGroup::Admins.name());
        if admins.is_some_and(|admins| rows.get(&admins.id) != Some(&"CAN_MANAGE")) {
            return Err(ApiError::invalid("Cannot change permissions for group 'admins'."));
        }
    }
    if kind.path == "directories"
        && let Some(user) =
            acl::home_of(&old.name).filter(|user| old.name.len() == "/Users/".len() + user.len())
        && let Some(user) = state.directory.user_named(user)
    {
        // Nobody loses their own home directory.
        rows.insert(user.id, "CAN_MANAGE");
    }
    store(
        call,
        state,
        kind,
        &id,
        rows.into_iter()
            .map(|(id, level)| (id, level.to_owned()))
            .collect(),
    )
}

pub fn update(call: &Call, state: &mut State) -> Answer {
    let (kind, id, rows) = prepared(call, state)?;
    let old = state
        .objects
        .get(call.workspace(), kind.path, &id)
        .ok_or_else(|| missing(kind, &id))?;
    let mut list = old.acl.clone();
    if rows.values().filter(|level| **level == "IS_OWNER").count() > 1 {
        return Err(ApiError::invalid(format!(
            "The {} must have exactly one owner.",
            kind.noun.to_lowercase()
        )));
    }
    if rows.values().any(|level| *level == "IS_OWNER") {
        list.retain(|_, level| level != "IS_OWNER");
    }
    for (principal, level) in rows {
        let held = list.get(&principal).map_or(0, |held| kind.rank(held));
        if kind.rank(level) > held {
            list.insert(principal, level.to_owned());
        }
    }
    store(call, state, kind, &id, list)
}

fn store(
    call: &Call,
    state: &mut State,
    kind: &'static Kind,
    id: &str,
    mut list: BTreeMap<u64, String>,
) -> Answer {
    let workspace = call.workspace();
    // The rows of admins are theirs by right and never stored.
    let admins = state
        .directory
        .group_named(Scope::Workspace(workspace), SystemGroup::Admins.name())
        .map_or(0, |group| group.id);
    list.remove(&admins);
    let bearers: Vec<u64> = if kind.path == "authorization/tokens" {
        let mut owners: Vec<u64> = state
            .credentials
            .personal
            .values()
            .map(|token| token.owner)
            .collect();
        owners.retain(|owner| acl::may_use_tokens(state, workspace, *owner));
        owners
    } else {
        Vec::new()
    };
    if let Some(object) = state.objects.get_mut(workspace, kind.path, id) {
        object.acl = list;
    }
    for owner in bearers {
        if !acl::may_use_tokens(state, workspace, owner) {
            // Who may no longer use tokens loses those they have (docs of databricks_permissions).
            state.credentials.revoke_personal_of(workspace, owner);
        }
    }
    let object = state
        .objects
        .get(workspace, kind.path, id)
        .ok_or_else(|| missing(kind, id))?;
    Ok(Reply::ok(acl::render(state, workspace, kind, object)))
}
