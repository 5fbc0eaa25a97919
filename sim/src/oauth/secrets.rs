//! OAuth secrets of service principals, through the account and through the workspace's proxy. A value is shown
//! once; at most five live beside each other.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::call::{Call, page};
use crate::error::ApiError;
use crate::route::{Answer, Plane, Reply, Route, read, write};
use crate::state::credentials::Secret;
use crate::state::hidden::Hidden;
use crate::state::{Scope, State};
use crate::world::rfc3339;

const MAX_PER_PRINCIPAL: usize = 5;
/// 730 days, the default and the maximum [GO service/oauth2/model.go].
const MAX_LIFETIME: i64 = 63_072_000;

const ACCOUNT: &str = "/api/2.0/accounts/{account}/servicePrincipals/{sp}/credentials/secrets";
const ACCOUNT_ONE: &str = "/api/2.0/accounts/{account}/servicePrincipals/{sp}/credentials/secrets/{secret}";
const PROXY: &str = "/api/2.0/accounts/servicePrincipals/{sp}/credentials/secrets";
const PROXY_ONE: &str = "/api/2.0/accounts/servicePrincipals/{sp}/credentials/secrets/{secret}";

const fn anyone(mut route: Route) -> Route {
    // Managers of the service principal may too: the handler decides.
    route.plane = Plane::Account;
    route
}

pub const ROUTES: &[Route] = &[
    anyone(write("POST", ACCOUNT, create).body(&["lifetime", "scopes"])),
    anyone(read("GET", ACCOUNT, list).query(&["page_size", "page_token"])),
    anyone(write("DELETE", ACCOUNT_ONE, delete)),
    write("POST", PROXY, create).body(&["lifetime", "scopes"]),
    read("GET", PROXY, list).query(&["page_size", "page_token"]),
    write("DELETE", PROXY_ONE, delete),
];

fn service_principal(call: &Call, state: &State) -> Result<u64, ApiError> {
    let id = call.number("sp")?;
    let sp = state
        .directory
        .service_principals
        .get(&id)
        .filter(|_| state.directory.sees(call.scope, id))
        .ok_or_else(|| ApiError::missing(format!("Service principal {id} does not exist.")))?;
    let admin = match call.scope {
        Scope::Account => state.directory.is_account_admin(call.caller),
        Scope::Workspace(workspace) => state.directory.is_workspace_admin(workspace, call.caller),
    };
    let name = format!(
        "accounts/{}/servicePrincipals/{}/ruleSets/default",
        state.account_id, sp.application_id
    );
    if admin || id == call.caller || crate::rule_sets::manages(state, call.caller, &name) {
        return Ok(id);
    }
    Err(ApiError::denied(
        "Only admins and managers of the service principal may manage its secrets.",
    ))
}

/// Seconds of `"7776000s"` or a bare number.
fn lifetime(call: &Call) -> Result<i64, ApiError> {
    let seconds = match call.body.get("lifetime") {
        None | Some(Value::Null) => Some(MAX_LIFETIME),
        Some(Value::String(text)) => text.trim_end_matches('s').parse().ok(),
        Some(other) => other.as_i64(),
    };
    seconds
        .filter(|seconds| (1..=MAX_LIFETIME).contains(seconds))
        .ok_or_else(|| ApiError::invalid(format!("lifetime must be between 1s and {MAX_LIFETIME}s")))
}

fn render(secret: &Secret, now: i64) -> Value {
    let mut row = json!({
        "id": secret.id,
        "secret_hash": hex::encode(Sha256::digest(secret.value.show())),
        "status": if now < secret.expires { "ACTIVE" } else { "EXPIRED" },
        "create_time": rfc3339(secret.created),
        "update_time": rfc3339(secret.created),
        "expire_time": rfc3339(secret.expires),
    });
    if !secret.scopes.is_empty() {
        row["scopes"] = json!(secret.scopes);
    }
    row
}

fn create(call: &Call, state: &mut State) -> Answer {
    let sp = service_principal(call, state)?;
    let lifetime = lifetime(call)?;
    if state
        .credentials
        .secrets
        .values()
        .filter(|secret| secret.service_principal == sp)
        .count()
        >= MAX_PER_PRINCIPAL
    {
        return Err(ApiError::new(
            400,
            "QUOTA_EXCEEDED",
            format!("A service principal can have at most {MAX_PER_PRINCIPAL} secrets"),
        ));
    }
    let secret = Secret {
        id: state.new_uuid(),
        service_principal: sp,
        value: Hidden::new(format!("dose{}", state.new_hex())),
        scopes: call.texts("scopes"),
        created: call.now,
        starts: call.now + call.credential_lag,
        expires: call.now + lifetime * 1000,
    };
    let mut body = render(&secret, call.now);
    body["secret"] = json!(secret.value.show());
    state.credentials.secrets.insert(secret.id.clone(), secret);
    Ok(Reply::ok(body))
}

fn list(call: &Call, state: &State) -> Answer {
    let sp = service_principal(call, state)?;
    let all: Vec<Value> = state
        .credentials
        .secrets
        .values()
        .filter(|secret| secret.service_principal == sp)
        .map(|secret| render(secret, call.now))
        .collect();
    let (rows, next) = page(call, all, call.query_number("page_size")?, 100, 1000)?;
    let mut body = json!({"secrets": rows});
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let sp = service_principal(call, state)?;
    let id = call.param("secret");
    if state
        .credentials
        .secrets
        .get(id)
        .is_none_or(|secret| secret.service_principal != sp)
    {
        return Err(ApiError::missing(format!("Secret {id} does not exist.")));
    }
    state.credentials.secrets.remove(id);
    Ok(Reply::empty())
}
