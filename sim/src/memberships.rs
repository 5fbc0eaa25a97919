//! Of the newer identity API the one call that says where a membership comes from [GO service/iamv2/impl.go].

use serde_json::{Value, json};

use crate::call::{Call, page};
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read};
use crate::state::{Principal, Scope, State};

/// The vendor's default and greatest page.
const PAGE: usize = 1000;

pub const ROUTES: &[Route] = &[read(
    "GET",
    "/api/2.0/identity/accounts/{account}/groups/{group}/direct-members",
    list,
)
.account()
.query(&["page_size", "page_token"])];

fn list(call: &Call, state: &State) -> Answer {
    let id = call.number("group")?;
    let group = state
        .directory
        .group(id)
        .filter(|group| group.home == Scope::Account)
        .ok_or_else(|| ApiError::missing(format!("Group {id} does not exist.")))?;
    let source = if call.automatic_identity && group.external_id.is_some() {
        "IDENTITY_PROVIDER"
    } else {
        "INTERNAL"
    };
    let members = state.directory.members(group);
    let (members, next) = page(call, members, call.query_number("page_size")?, PAGE, PAGE)?;
    let rows: Vec<Value> = members
        .into_iter()
        .filter_map(|member| {
            let who = state.directory.principal(member)?;
            let (kind, external) = match who {
                Principal::User(user) => ("USER", &user.external_id),
                Principal::ServicePrincipal(sp) => ("SERVICE_PRINCIPAL", &sp.external_id),
                Principal::Group(group) => ("GROUP", &group.external_id),
            };
            let mut row = json!({
                "group_id": id, "principal_id": member, "principal_type": kind,
                "display_name": who.display_name(), "membership_source": source,
            });
            if let Some(external) = external {
                row["external_id"] = json!(external);
            }
            Some(row)
        })
        .collect();
    let mut body = json!({"direct_group_members": rows});
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}
