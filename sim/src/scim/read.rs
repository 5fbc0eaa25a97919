//! Listing and getting: filter, sort, page, select. A page costs its own rows, plus one walk over the ids where
//! a filter or an order asks for it.

use serde_json::{Value, json};

use super::filter::Filter;
use super::resource::{Kind, LIST, Selection, render};
use crate::call::Call;
use crate::error::ApiError;
use crate::route::{Answer, Reply};
use crate::state::admissions::Sort;
use crate::state::{Principal, Scope, State, SystemGroup};

/// The vendor's default and greatest page.
pub const PAGE: usize = 100;

fn attributes(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::User => &[
            "id",
            "username",
            "displayname",
            "externalid",
            "active",
            "name.givenname",
            "name.familyname",
            "emails",
            "emails.value",
        ],
        Kind::Group => &[
            "id",
            "displayname",
            "externalid",
            "members",
            "members.value",
            "meta.resourcetype",
        ],
        Kind::ServicePrincipal => &["id", "applicationid", "displayname", "externalid", "active"],
    }
}

fn values(state: &State, principal: Principal<'_>, attribute: &str) -> Vec<String> {
    let optional = |value: &Option<String>| value.iter().cloned().collect();
    match (principal, attribute) {
        (Principal::User(user), "id") => vec![user.id.to_string()],
        (Principal::User(user), "username") => vec![user.user_name.clone()],
        (Principal::User(user), "displayname") => vec![user.display_name.clone()],
        (Principal::User(user), "externalid") => optional(&user.external_id),
        (Principal::User(user), "active") => vec![user.active.to_string()],
        (Principal::User(user), "name.givenname") => optional(&user.given_name),
        (Principal::User(user), "name.familyname") => optional(&user.family_name),
        (Principal::User(user), "emails" | "emails.value") => user
            .emails
            .iter()
            .filter_map(|mail| mail["value"].as_str())
            .map(ToOwned::to_owned)
            .collect(),
        (Principal::ServicePrincipal(sp), "id") => vec![sp.id.to_string()],
        (Principal::ServicePrincipal(sp), "applicationid") => vec![sp.application_id.clone()],
        (Principal::ServicePrincipal(sp), "displayname") => vec![sp.display_name.clone()],
        (Principal::ServicePrincipal(sp), "externalid") => optional(&sp.external_id),
        (Principal::ServicePrincipal(sp), "active") => vec![sp.active.to_string()],
        (Principal::Group(group), "id") => vec![group.id.to_string()],
        (Principal::Group(group), "displayname") => vec![group.display_name.clone()],
        (Principal::Group(group), "externalid") => optional(&group.external_id),
        (Principal::Group(group), "members" | "members.value") => state
            .directory
            .members(group)
            .iter()
            .map(ToString::to_string)
            .collect(),
        (Principal::Group(group), "meta.resourcetype") => {
            vec![
                if group.home == Scope::Account {
                    "Group"
                } else {
                    "WorkspaceGroup"
                }
                .to_owned(),
            ]
        }
        _ => Vec::new(),
    }
}

fn lookup(state: &State, scope: Scope, kind: Kind, attribute: &str, value: &str) -> Option<Vec<u64>> {
    let directory = &state.directory;
    let found = match (kind, attribute) {
        (_, "id") => value.parse().ok(),
        (Kind::User, "username") => directory.user_named(value).map(|user| user.id),
        (Kind::ServicePrincipal, "applicationid") => directory.application(value).map(|sp| sp.id),
        (Kind::Group, "displayname") => {
            // A name may mean a local group and an account group at once.
            let both = [Some(scope), Some(Scope::Account)].into_iter().flatten();
            let mut ids: Vec<u64> = both
                .filter_map(|home| directory.group_named(home, value))
                .map(|group| group.id)
                .collect();
            ids.sort_unstable();
            ids.dedup();
            return Some(ids);
        }
        _ => return None,
    };
    Some(found.into_iter().collect())
}

fn ids(state: &State, scope: Scope, kind: Kind) -> Vec<u64> {
    match kind {
        Kind::Group => state.directory.group_ids(scope),
        Kind::User => state.directory.people_ids(scope, Sort::User),
        Kind::ServicePrincipal => state.directory.people_ids(scope, Sort::ServicePrincipal),
    }
}

pub fn list(call: &Call, state: &State, scope: Scope, kind: Kind) -> Answer {
    let start = call.query_number("startIndex")?.unwrap_or(1).max(1);
    let count = call.query_number("count")?.unwrap_or(PAGE).min(PAGE);
    let mut ids = match call.query("filter").filter(|text| !text.trim().is_empty()) {
        None => ids(state, scope, kind),
        Some(text) => filtered(state, scope, kind, &Filter::parse(text)?)?,
    };
    if let Some(attribute) = call.query("sortBy") {
        let attribute = attribute.to_lowercase();
        if !attributes(kind).contains(&attribute.as_str()) {
            return Err(ApiError::invalid(format!("Cannot sort by '{attribute}'")));
        }
        ids.sort_by_cached_key(|id| {
            state
                .directory
                .principal(*id)
                .map(|who| values(state, who, &attribute))
                .unwrap_or_default()
        });
    }
    match call.query("sortOrder") {
        None | Some("ascending") => {}
        Some("descending") => ids.reverse(),
        Some(other) => return Err(ApiError::invalid(format!("Unknown sortOrder '{other}'"))),
    }
    let mut selection = Selection::new(call.query("attributes"), call.query("excludedAttributes"));
    if kind == Kind::Group && scope == Scope::Account && !call.group_list_members {
        // Accounts created from 2025-08-22 on list groups without their members.
        selection = selection.and_without("members");
    }
    let resources: Vec<Value> = ids
        .iter()
        .skip(start - 1)
        .take(count)
        .filter_map(|id| state.directory.principal(*id))
        .map(|who| match who {
            // Everybody is in `users`: a listing that spelled that out would carry the whole workspace.
            Principal::Group(group) if group.system == Some(SystemGroup::Users) => {
                render(state, scope, who, &selection.clone().and_without("members"))
            }
            _ => render(state, scope, who, &selection),
        })
        .collect();
    Ok(Reply::ok(json!({
        "schemas": [LIST],
        "totalResults": ids.len(),
        "startIndex": start,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })))
}

fn filtered(state: &State, scope: Scope, kind: Kind, filter: &Filter) -> Result<Vec<u64>, ApiError> {
    if let Some(unknown) = filter
        .attributes()
        .into_iter()
        .find(|name| !attributes(kind).contains(name))
    {
        return Err(ApiError::new(
            400,
            "INVALID_FILTER",
            format!("Filtering by attribute '{unknown}' is not supported"),
        )
        .scim("invalidFilter"));
    }
    let index = |attribute: &str, value: &str| lookup(state, scope, kind, attribute, value);
    let candidates = match filter.candidates(&index) {
        Some(found) => found
            .into_iter()
            .filter(|id| state.directory.sees(scope, *id))
            .collect(),
        None => ids(state, scope, kind),
    };
    let accepts = |id: &u64| {
        state.directory.principal(*id).is_some_and(|who| {
            Kind::of(who) == kind && filter.accepts(&|attribute| values(state, who, attribute))
        })
    };
    Ok(candidates.into_iter().filter(accepts).collect())
}

/// The principal of this kind that the scope knows under the id of the path.
pub fn find<'a>(call: &Call, state: &'a State, scope: Scope, kind: Kind) -> Result<Principal<'a>, ApiError> {
    let text = call.param("id");
    text.parse()
        .ok()
        .and_then(|id: u64| {
            state
                .directory
                .principal(id)
                .filter(|_| state.directory.sees(scope, id))
        })
        .filter(|who| Kind::of(*who) == kind)
        .ok_or_else(|| ApiError::missing(format!("{} with id {text} not found.", kind.noun())))
}

pub fn get(call: &Call, state: &State, scope: Scope, kind: Kind) -> Answer {
    let selection = Selection::new(call.query("attributes"), call.query("excludedAttributes"));
    find(call, state, scope, kind).map(|who| Reply::ok(render(state, scope, who, &selection)))
}

pub fn me(call: &Call, state: &State) -> Answer {
    let selection = Selection::new(call.query("attributes"), call.query("excludedAttributes"));
    let who = state
        .directory
        .principal(call.caller)
        .ok_or_else(|| ApiError::unauthenticated("The caller no longer exists"))?;
    let mut body = render(state, call.scope, who, &selection);
    if let (Principal::ServicePrincipal(sp), Some(fields)) = (who, body.as_object_mut()) {
        // A service principal sees itself as a user whose name is its application id.
        fields.insert("userName".into(), json!(sp.application_id));
    }
    Ok(Reply::ok(body).header("x-databricks-org-id", call.workspace().to_string()))
}
