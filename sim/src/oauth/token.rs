//! Discovery and the token endpoints of both planes. A workspace's token and the account's are different tokens
//! from different endpoints, even for the same service principal.

use serde_json::json;

use super::exchange;
use crate::call::Call;
use crate::error::ApiError;
use crate::route::{Answer, Handler, Reply, Route, read};
use crate::state::credentials::Bearer;
use crate::state::hidden::Hidden;
use crate::state::{Scope, State};
use crate::world::World;

pub const ROUTES: &[Route] = &[
    Route::with("POST", "/oidc/v1/token", Handler::Token).open(),
    Route::with("POST", "/oidc/accounts/{account}/v1/token", Handler::Token).open(),
    read(
        "GET",
        "/oidc/.well-known/oauth-authorization-server",
        workspace_server,
    )
    .open(),
    read(
        "GET",
        "/oidc/accounts/{account}/.well-known/oauth-authorization-server",
        account_server,
    )
    .open(),
    read("GET", "/.well-known/databricks-config", config).open(),
];

pub fn refuse(status: u16, code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(status, code, message)
}

fn workspace_server(call: &Call, _: &State) -> Answer {
    server(&format!("{}/oidc", call.base))
}

fn account_server(call: &Call, _: &State) -> Answer {
    server(&format!("{}/oidc/accounts/{}", call.base, call.param("account")))
}

fn server(issuer: &str) -> Answer {
    Ok(Reply::ok(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/v1/authorize"),
        "token_endpoint": format!("{issuer}/v1/token"),
        "jwks_uri": format!("{issuer}/jwks.json"),
        "grant_types_supported": ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": ["all-apis"],
    })))
}

fn config(call: &Call, state: &State) -> Answer {
    Ok(Reply::ok(json!({
        "oidc_endpoint": format!("{}/oidc", call.base),
        "account_id": state.account_id,
        "workspace_id": call.face.to_string(),
        "cloud": "AWS",
        "host_type": "workspace",
    })))
}

/// The plane the endpoint mints for.
fn scope(call: &Call, state: &State) -> Result<Scope, ApiError> {
    match call.param("account") {
        "" => Ok(Scope::Workspace(call.face)),
        account if account == state.account_id => Ok(Scope::Account),
        account => Err(refuse(
            404,
            "invalid_request",
            format!("Account {account} not found"),
        )),
    }
}

pub async fn answer(world: &World, call: &Call) -> Answer {
    let scope = scope(call, &world.state())?;
    let principal = match call.form("grant_type") {
        Some("client_credentials") => client_credentials(call, &world.state())?,
        Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
            exchange::token_exchange(world, call, scope).await?
        }
        Some(other) => {
            return Err(refuse(
                400,
                "unsupported_grant_type",
                format!("Unsupported grant type {other}"),
            ));
        }
        None => {
            return Err(refuse(
                400,
                "invalid_request",
                "Missing required parameter: grant_type",
            ));
        }
    };
    let lifetime = world.settings().token_lifetime;
    let mut state = world.state_mut();
    let active = state
        .directory
        .service_principals
        .get(&principal)
        .is_none_or(|sp| sp.active);
    if !active || !state.directory.sees(scope, principal) {
        return Err(refuse(401, "invalid_client", "Client authentication failed"));
    }
    let token = format!("eyJ.{}", state.new_hex());
    let expires = call.now + i64::try_from(lifetime).unwrap_or(3600) * 1000;
    // Tokens that have run out are forgotten here, so that a long run does not gather them.
    let now = call.now;
    state
        .credentials
        .bearers
        .retain(|_, bearer| bearer.expires.is_none_or(|expires| now < expires));
    state.credentials.bearers.insert(
        Hidden::new(token.clone()),
        Bearer {
            expires: Some(expires),
            ..Bearer::lasting(principal, scope)
        },
    );
    Ok(Reply::ok(json!({
        "access_token": token,
        "scope": call.form("scope").unwrap_or("all-apis"),
        "token_type": "Bearer",
        "expires_in": lifetime,
    })))
}

fn client_credentials(call: &Call, state: &State) -> Result<u64, ApiError> {
    let (id, secret) = match (&call.basic, call.form("client_id"), call.form("client_secret")) {
        (Some((id, secret)), ..) => (id.as_str(), secret.as_str()),
        (None, Some(id), Some(secret)) => (id, secret),
        _ => return Err(refuse(401, "invalid_client", "Client credentials are missing")),
    };
    state
        .directory
        .application(id)
        .filter(|sp| {
            state.credentials.secrets.values().any(|known| {
                known.service_principal == sp.id
                    && known.value.show() == secret
                    && (known.starts..known.expires).contains(&call.now)
            })
        })
        .map(|sp| sp.id)
        .ok_or_else(|| refuse(401, "invalid_client", "Client authentication failed"))
}
