//! Who is calling, for which plane, and whether the route is theirs to call at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::call::Call;
use crate::dispatch::Incoming;
use crate::error::ApiError;
use crate::route::{Plane, Right, Route};
use crate::state::credentials::Bearer;
use crate::state::{Scope, State};

/// The vendor's words for a request without a usable credential.
const UNSUPPORTED: &str = "Credential was not sent or was of an unsupported type for this API.";

pub fn basic(incoming: &Incoming) -> Option<(String, String)> {
    let encoded = incoming.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    text.split_once(':')
        .map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

pub fn authenticate(incoming: &Incoming, state: &State, plane: Plane, now: i64) -> Result<Bearer, ApiError> {
    let token = incoming
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| ApiError::unauthenticated(UNSUPPORTED))?;
    let bearer = state
        .credentials
        .who(token.trim(), now)
        .ok_or_else(|| ApiError::denied("Invalid access token.").standard())?
        .clone();
    match (plane, bearer.scope) {
        (Plane::Account, Scope::Account) => return Ok(bearer),
        (Plane::Account, Scope::Workspace(_)) | (Plane::Workspace, Scope::Account) => {
            return Err(ApiError::unauthenticated(UNSUPPORTED));
        }
        (Plane::Open, _) | (Plane::Workspace, Scope::Workspace(_)) => {}
    }
    let wanted = match incoming.header("x-databricks-workspace-id") {
        Some(id) => Some(id.to_owned()),
        None if incoming.face.strict => Some(incoming.face.workspace.to_string()),
        None => None,
    };
    let at = if let Scope::Workspace(id) = bearer.scope {
        id
    } else {
        0
    };
    if wanted.is_some_and(|wanted| wanted != at.to_string()) {
        return Err(ApiError::denied("Invalid access token.").standard());
    }
    if !state.directory.sees(bearer.scope, bearer.principal) {
        return Err(
            ApiError::denied("This API is disabled for users without a workspace membership.").standard(),
        );
    }
    if let Some(used) = &bearer.used {
        used.tell(now);
    }
    Ok(bearer)
}

pub fn authorize(state: &State, route: &Route, call: &Call) -> Result<(), ApiError> {
    let allowed = match route.right {
        Right::Anyone => true,
        Right::WorkspaceAdmin => state.directory.is_workspace_admin(call.workspace(), call.caller),
        Right::AccountAdmin => state.directory.is_account_admin(call.caller),
    };
    if allowed {
        return Ok(());
    }
    Err(ApiError::denied(match route.right {
        Right::AccountAdmin => "This API is only available to account admins.",
        _ => "Only workspace admins are allowed to perform this operation.",
    }))
}

/// How the journal calls a caller.
pub fn name(state: &State, id: u64) -> String {
    state
        .directory
        .principal(id)
        .map_or_else(|| id.to_string(), |who| who.acl_name().1.to_owned())
}
