//! Who may do what with a securable: by ownership, by privileges on it and its parents. The owner of the metastore
//! may do everything.

use super::kinds::{Kind, by_name};
use super::{find, is_model, parents};
use crate::call::Call;
use crate::error::ApiError;
use crate::state::{Securable, State};

pub fn metastore_owner(state: &State) -> String {
    by_name("METASTORE")
        .and_then(|kind| find(state, kind, &state.metastore_id).ok())
        .map(|metastore| metastore.owner.clone())
        .unwrap_or_default()
}

/// The names under which a caller can own or hold something: its own and its account groups'.
pub fn names(state: &State, caller: u64) -> Vec<String> {
    state
        .directory
        .ancestors(caller)
        .into_iter()
        .filter_map(|id| state.directory.principal(id))
        .map(|who| who.acl_name().1.to_owned())
        .chain(["account users".to_owned()])
        .collect()
}

/// Owner of the securable, of a parent or of the metastore, or MANAGE on it or a parent.
pub fn may_manage(call: &Call, state: &State, kind: &Kind, securable: &Securable) -> Result<(), ApiError> {
    let names = names(state, call.caller);
    let holds = |one: &Securable| {
        names.contains(&one.owner)
            || names
                .iter()
                .any(|name| one.grants.get(name).is_some_and(|held| held.contains("MANAGE")))
    };
    let above = parents(state, kind, &securable.full_name);
    if names.contains(&metastore_owner(state))
        || holds(securable)
        || above.iter().any(|(_, parent)| holds(parent))
    {
        return Ok(());
    }
    Err(ApiError::denied(format!(
        "User does not have MANAGE on {} '{}'.",
        kind.noun, securable.full_name
    )))
}

pub fn visible(call: &Call, state: &State, kind: &Kind, securable: &Securable) -> bool {
    if may_manage(call, state, kind, securable).is_ok() {
        return true;
    }
    let names = names(state, call.caller);
    // A model shows to who may run it [GO service/catalog/interface.go]; other things to who holds anything on them.
    let browse = call.query("include_browse") == Some("true");
    let counts = |privilege: &str| {
        !is_model(securable)
            || matches!(privilege, "EXECUTE" | "ALL_PRIVILEGES")
            || (browse && privilege == "BROWSE")
    };
    let holds = |one: &Securable| {
        names
            .iter()
            .filter_map(|name| one.grants.get(name))
            .flatten()
            .any(|privilege| counts(privilege))
    };
    holds(securable)
        || parents(state, kind, &securable.full_name)
            .iter()
            .any(|(_, parent)| holds(parent))
}

/// What has to be held on the parent to make something in it.
const CREATES: &[(&str, bool, &str)] = &[
    ("SCHEMA", false, "CREATE_SCHEMA"),
    ("TABLE", false, "CREATE_TABLE"),
    ("VOLUME", false, "CREATE_VOLUME"),
    ("FUNCTION", false, "CREATE_FUNCTION"),
    ("FUNCTION", true, "CREATE_MODEL"),
];

pub fn may_create(
    call: &Call,
    state: &State,
    above: &Kind,
    parent: &Securable,
    kind: &Kind,
    model: bool,
) -> Result<(), ApiError> {
    if may_manage(call, state, above, parent).is_ok() {
        return Ok(());
    }
    let wanted = CREATES
        .iter()
        .find(|(name, models, _)| *name == kind.name && *models == model)
        .map_or("MANAGE", |(.., privilege)| *privilege);
    if privileged(state, call.caller, above, parent, &[wanted])
        && uses(state, call.caller, &format!("{}.x", parent.full_name))
    {
        return Ok(());
    }
    Err(ApiError::denied(format!(
        "User does not have {} on {} '{}'.",
        wanted.replace('_', " "),
        above.noun,
        parent.full_name
    )))
}

pub fn is_metastore_admin(state: &State, caller: u64) -> bool {
    names(state, caller).contains(&metastore_owner(state))
}

pub fn owns(state: &State, caller: u64, securable: &Securable) -> bool {
    names(state, caller).contains(&securable.owner)
}

/// One of these privileges, or all of them, on the securable or on a parent.
pub fn privileged(state: &State, caller: u64, kind: &Kind, securable: &Securable, wanted: &[&str]) -> bool {
    let names = names(state, caller);
    let holds = |one: &Securable| {
        names
            .iter()
            .filter_map(|name| one.grants.get(name))
            .flatten()
            .any(|privilege| privilege == "ALL_PRIVILEGES" || wanted.contains(&privilege.as_str()))
    };
    holds(securable)
        || parents(state, kind, &securable.full_name)
            .iter()
            .any(|(_, parent)| holds(parent))
}

/// USE_CATALOG and USE_SCHEMA on what is above a full name; the owner of a parent uses it without a grant.
pub fn uses(state: &State, caller: u64, full_name: &str) -> bool {
    let parts: Vec<&str> = full_name.split('.').collect();
    let at = |kind: &str, depth: usize, wanted: &str| {
        let (Some(kind), Some(name)) = (by_name(kind), parts.get(..depth)) else {
            return false;
        };
        find(state, kind, &name.join(".")).is_ok_and(|securable| {
            owns(state, caller, securable) || privileged(state, caller, kind, securable, &[wanted, "USAGE"])
        })
    };
    at("CATALOG", 1, "USE_CATALOG") && (parts.len() < 3 || at("SCHEMA", 2, "USE_SCHEMA"))
}
