//! Grants: reading them directly and with what is inherited, and changing them by principal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::{self, Kind};
use super::{find, may_manage, parents};
use crate::call::{Call, only, page};
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::{Scope, Securable, State};

const READ_QUERY: &[&str] = &[
    "max_results",
    "page_token",
    "principal",
    "include_deleted_principals",
];
const LIST_QUERY: &[&str] = &[
    "page_size",
    "page_token",
    "principal",
    "include_deleted_principals",
];

pub const ROUTES: &[Route] = &[
    read(
        "GET",
        "/api/2.1/unity-catalog/permissions/{type}/{full_name}",
        get,
    )
    .query(READ_QUERY),
    write(
        "PATCH",
        "/api/2.1/unity-catalog/permissions/{type}/{full_name}",
        update,
    )
    .body(&["changes", "omit_permissions_in_response"]),
    read(
        "GET",
        "/api/2.1/unity-catalog/effective-permissions/{type}/{full_name}",
        effective,
    )
    .query(READ_QUERY),
    read(
        "GET",
        "/api/2.1/unity-catalog/privilege-assignments/{type}/{full_name}",
        get,
    )
    .query(LIST_QUERY),
    read(
        "GET",
        "/api/2.1/unity-catalog/effective-privilege-assignments/{type}/{full_name}",
        effective,
    )
    .query(LIST_QUERY),
];

fn kind_of(call: &Call) -> Result<&'static Kind, ApiError> {
    let name = call.param("type");
    kinds::by_name(name).ok_or_else(|| ApiError::invalid(format!("'{name}' is not a valid securable type")))
}

/// The vendor's word for a page size: 0 is its default, 1 to 149 are refused.
fn size(call: &Call) -> Result<Option<usize>, ApiError> {
    match call.query_number("max_results")? {
        Some(size @ 1..=149) => Err(ApiError::invalid(format!(
            "max_results must be 0 or at least 150, but was {size}"
        ))),
        Some(size) => Ok(Some(size)),
        None => call.query_number("page_size"),
    }
}

fn selected(call: &Call, principal: &str) -> bool {
    call.query("principal")
        .is_none_or(|wanted| wanted.eq_ignore_ascii_case(principal))
}

fn answer(call: &Call, rows: Vec<Value>) -> Answer {
    let (rows, next) = page(call, rows, size(call)?, 150, 1000)?;
    let mut body = json!({});
    if !rows.is_empty() {
        body["privilege_assignments"] = json!(rows);
    }
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

fn direct(call: &Call, securable: &Securable) -> Vec<Value> {
    securable
        .grants
        .iter()
        .filter(|(principal, privileges)| selected(call, principal) && !privileges.is_empty())
        .map(|(principal, privileges)| json!({"principal": principal, "privileges": privileges}))
        .collect()
}

fn get(call: &Call, state: &State) -> Answer {
    let kind = kind_of(call)?;
    let securable = find(state, kind, call.param("full_name"))?;
    answer(call, direct(call, securable))
}

fn effective(call: &Call, state: &State) -> Answer {
    let kind = kind_of(call)?;
    let securable = find(state, kind, call.param("full_name"))?;
    let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (principal, privileges) in &securable.grants {
        let own = privileges.iter().map(|privilege| json!({"privilege": privilege}));
        rows.entry(principal.clone()).or_default().extend(own);
    }
    for (above, parent) in parents(state, kind, &securable.full_name) {
        for (principal, privileges) in &parent.grants {
            let inherited = privileges
                .iter()
                .filter(|privilege| kind.allows(privilege))
                .map(|privilege| {
                    json!({"privilege": privilege, "inherited_from_type": above.name,
                       "inherited_from_name": parent.full_name})
                });
            rows.entry(principal.clone()).or_default().extend(inherited);
        }
    }
    let rows = rows
        .into_iter()
        .filter(|(principal, privileges)| selected(call, principal) && !privileges.is_empty())
        .map(|(principal, privileges)| json!({"principal": principal, "privileges": privileges}))
        .collect();
    answer(call, rows)
}

/// How a principal is written in grants, if the account knows it. Groups of one workspace do not count.
pub fn principal(state: &State, name: &str) -> Option<String> {
    if name.eq_ignore_ascii_case("account users") {
        return Some("account users".to_owned());
    }
    let directory = &state.directory;
    directory
        .user_named(name)
        .map(|user| user.user_name.clone())
        .or_else(|| directory.application(name).map(|sp| sp.application_id.clone()))
        .or_else(|| {
            directory
                .group_named(Scope::Account, name)
                .map(|group| group.display_name.clone())
        })
}

struct Change {
    principal: String,
    add: BTreeSet<String>,
    remove: BTreeSet<String>,
}

fn changes(call: &Call, state: &State, kind: &Kind) -> Result<Vec<Change>, ApiError> {
    let rows = call
        .object()?
        .get("changes")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    rows.iter()
        .map(|row| {
            let fields = row
                .as_object()
                .ok_or_else(|| ApiError::malformed("A change must be an object"))?;
            only(fields, &["principal", "principal_id", "add", "remove"])?;
            let name = fields
                .get("principal")
                .and_then(Value::as_str)
                .ok_or_else(|| ApiError::invalid("Missing required field: principal"))?;
            let principal = principal(state, name).ok_or_else(|| {
                ApiError::new(
                    404,
                    "PRINCIPAL_DOES_NOT_EXIST",
                    format!("Could not find principal with name {name}"),
                )
            })?;
            let (add, remove) = (
                privileges(kind, fields.get("add"))?,
                privileges(kind, fields.get("remove"))?,
            );
            if let Some(both) = add.intersection(&remove).next() {
                return Err(ApiError::invalid(format!(
                    "Privilege {both} for {name} is both added and removed"
                )));
            }
            Ok(Change {
                principal,
                add,
                remove,
            })
        })
        .collect()
}

fn privileges(kind: &Kind, value: Option<&Value>) -> Result<BTreeSet<String>, ApiError> {
    let Some(value) = value else {
        return Ok(BTreeSet::new());
    };
    let rows = value
        .as_array()
        .ok_or_else(|| ApiError::malformed("add and remove must be lists"))?;
    rows.iter()
        .map(|row| {
            let name = row.as_str().unwrap_or_default();
            if !kinds::exists(name) {
                return Err(ApiError::invalid(format!("Privilege {name} is not valid")));
            }
            if !kind.allows(name) {
                return Err(ApiError::invalid(format!(
                    "Privilege {name} is not applicable to this entity [{}]",
                    kind.name
                )));
            }
            Ok(name.to_owned())
        })
        .collect()
}

fn update(call: &Call, state: &mut State) -> Answer {
    let kind = kind_of(call)?;
    let securable = find(state, kind, call.param("full_name"))?;
    may_manage(call, state, kind, securable)?;
    let changes = changes(call, state, kind)?;
    let key = (kind.name, securable.full_name.to_lowercase());
    let Some(securable) = state.securables.get_mut(&key).map(Arc::make_mut) else {
        return Ok(Reply::empty());
    };
    for Change {
        principal,
        add,
        remove,
    } in changes
    {
        let held = securable.grants.entry(principal.clone()).or_default();
        held.extend(add);
        held.retain(|privilege| !remove.contains(privilege));
        if held.is_empty() {
            securable.grants.remove(&principal);
        }
    }
    if call.body.get("omit_permissions_in_response") == Some(&json!(true)) {
        return Ok(Reply::empty());
    }
    let rows = direct(call, securable);
    Ok(Reply::ok(if rows.is_empty() {
        json!({})
    } else {
        json!({"privilege_assignments": rows})
    }))
}
