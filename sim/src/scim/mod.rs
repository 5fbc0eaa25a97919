//! SCIM 2.0 in both planes: users, groups and service principals of the account, and of a workspace, which adds its
//! own groups and entitlements and cannot edit what belongs to the account.

pub mod draft;
pub mod filter;
pub mod patch;
pub mod read;
pub mod resource;
pub mod write;

use crate::call::Call;
use crate::limits::Family;
use crate::route::{Answer, Right, Route, read as get, write as put};
use crate::state::{Scope, State};
use resource::Kind;

const LIST_QUERY: &[&str] = &[
    "filter",
    "attributes",
    "excludedAttributes",
    "startIndex",
    "count",
    "sortBy",
    "sortOrder",
];
const GET_QUERY: &[&str] = &[
    "filter",
    "attributes",
    "excludedAttributes",
    "startIndex",
    "count",
    "sortBy",
    "sortOrder",
];

/// The five verbs on one kind in one plane.
macro_rules! verbs {
    ($kind:expr, $collection:expr, $one:expr, $plane:ident, $limits:expr) => {{
        const LIMITS: [Option<Family>; 5] = $limits;
        [
            limit(
                $plane(get("GET", $collection, |c, s| read::list(c, s, c.scope, $kind)).query(LIST_QUERY)),
                LIMITS[0],
            ),
            limit(
                $plane(get("GET", $one, |c, s| read::get(c, s, c.scope, $kind)).query(GET_QUERY)),
                LIMITS[1],
            ),
            limit(
                admin($plane(put("POST", $collection, |c, s| {
                    write::create(c, s, c.scope, $kind)
                }))),
                LIMITS[4],
            ),
            limit(
                admin($plane(put("PUT", $one, |c, s| {
                    write::replace(c, s, c.scope, $kind)
                }))),
                LIMITS[4],
            ),
            limit(
                admin($plane(put("PATCH", $one, |c, s| {
                    write::update(c, s, c.scope, $kind)
                }))),
                LIMITS[2],
            ),
            limit(
                admin($plane(put("DELETE", $one, |c, s| {
                    write::delete(c, s, c.scope, $kind)
                }))),
                LIMITS[3],
            ),
        ]
    }};
}

/// list, get, PATCH, DELETE, POST and PUT
const ACCOUNT: [Option<Family>; 5] = [
    Some(Family::AccountScimList),
    Some(Family::AccountScimRead),
    Some(Family::AccountScimPatch),
    Some(Family::AccountScimWrite),
    Some(Family::AccountScimWrite),
];
const GROUPS: [Option<Family>; 5] = [
    Some(Family::GroupRead),
    Some(Family::GroupRead),
    Some(Family::GroupPatch),
    Some(Family::GroupDelete),
    None,
];
const UNLIMITED: [Option<Family>; 5] = [None; 5];

const fn workspace(route: Route) -> Route {
    route
}

const fn account(route: Route) -> Route {
    route.account()
}

const fn admin(route: Route) -> Route {
    match route.plane {
        crate::route::Plane::Workspace => route.right(Right::WorkspaceAdmin),
        _ => route,
    }
}

const fn limit(route: Route, family: Option<Family>) -> Route {
    match family {
        Some(family) => route.family(family),
        None => route,
    }
}

fn account_list(call: &Call, state: &State) -> Answer {
    read::list(call, state, Scope::Account, Kind::Group)
}

fn account_get(call: &Call, state: &State) -> Answer {
    read::get(call, state, Scope::Account, Kind::Group)
}

pub const WORKSPACE_USERS: [Route; 6] = verbs!(
    Kind::User,
    "/api/2.0/preview/scim/v2/Users",
    "/api/2.0/preview/scim/v2/Users/{id}",
    workspace,
    UNLIMITED
);
pub const WORKSPACE_GROUPS: [Route; 6] = verbs!(
    Kind::Group,
    "/api/2.0/preview/scim/v2/Groups",
    "/api/2.0/preview/scim/v2/Groups/{id}",
    workspace,
    GROUPS
);
pub const WORKSPACE_PRINCIPALS: [Route; 6] = verbs!(
    Kind::ServicePrincipal,
    "/api/2.0/preview/scim/v2/ServicePrincipals",
    "/api/2.0/preview/scim/v2/ServicePrincipals/{id}",
    workspace,
    UNLIMITED
);
pub const ACCOUNT_USERS: [Route; 6] = verbs!(
    Kind::User,
    "/api/2.0/accounts/{account}/scim/v2/Users",
    "/api/2.0/accounts/{account}/scim/v2/Users/{id}",
    account,
    ACCOUNT
);
pub const ACCOUNT_GROUPS: [Route; 6] = verbs!(
    Kind::Group,
    "/api/2.0/accounts/{account}/scim/v2/Groups",
    "/api/2.0/accounts/{account}/scim/v2/Groups/{id}",
    account,
    ACCOUNT
);
pub const ACCOUNT_PRINCIPALS: [Route; 6] = verbs!(
    Kind::ServicePrincipal,
    "/api/2.0/accounts/{account}/scim/v2/ServicePrincipals",
    "/api/2.0/accounts/{account}/scim/v2/ServicePrincipals/{id}",
    account,
    ACCOUNT
);

/// The reads a workspace token may make of itself and, through the proxy, of account groups.
pub const OTHERS: [Route; 3] = [
    get("GET", "/api/2.0/preview/scim/v2/Me", read::me).query(&["attributes", "excludedAttributes"]),
    get("GET", "/api/2.0/account/scim/v2/Groups", account_list)
        .query(LIST_QUERY)
        .family(Family::GroupRead),
    get("GET", "/api/2.0/account/scim/v2/Groups/{id}", account_get)
        .query(GET_QUERY)
        .family(Family::GroupRead),
];
