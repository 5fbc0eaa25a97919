//! What a scope keeps. A put says nothing about what it replaced, and there is no condition on it: the last one wins.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{allowed, valid, writable};
use crate::call::Call;
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::State;
use crate::state::hidden::Hidden;
use crate::state::scopes::{Kept, Permission};

const MAX_BYTES: usize = 128 * 1024;
const MAX_PER_SCOPE: usize = 1000;

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.0/secrets/put", put).body(&["scope", "key", "string_value", "bytes_value"]),
    read("GET", "/api/2.0/secrets/get", get).query(&["scope", "key"]),
    read("GET", "/api/2.0/secrets/list", list).query(&["scope"]),
    write("POST", "/api/2.0/secrets/delete", delete).body(&["scope", "key"]),
];

fn put(call: &Call, state: &mut State) -> Answer {
    let (name, scope) = allowed(call, state, Permission::Write)?;
    writable(&name, scope)?;
    let key = call.text("key")?;
    if !valid(&key) {
        return Err(ApiError::invalid(format!(
            "Secret key {key} is invalid: at most 128 letters, digits, dashes, underscores and periods"
        )));
    }
    let given = |field: &str| call.body.get(field).filter(|value| !value.is_null());
    // Neither refusal may say what was sent.
    let bytes = match (given("string_value"), given("bytes_value")) {
        (Some(Value::String(text)), None) => text.clone().into_bytes(),
        (None, Some(Value::String(text))) => STANDARD
            .decode(text)
            .map_err(|_| ApiError::invalid("bytes_value is not base64"))?,
        _ => {
            return Err(ApiError::malformed(
                "Exactly one of string_value and bytes_value must be given, as a string",
            ));
        }
    };
    if bytes.len() > MAX_BYTES {
        return Err(ApiError::invalid(format!(
            "The secret has {} bytes; at most {MAX_BYTES} are allowed",
            bytes.len()
        )));
    }
    if !scope.secrets.contains_key(&key) && scope.secrets.len() >= MAX_PER_SCOPE {
        return Err(ApiError::new(
            400,
            "RESOURCE_LIMIT_EXCEEDED",
            format!("Cannot have more than {MAX_PER_SCOPE} secrets in scope {name}"),
        ));
    }
    let kept = Kept {
        value: Hidden::new(STANDARD.encode(bytes)),
        updated: call.now,
    };
    if let Some(scope) = state.secret_scopes.get_mut(call.workspace(), &name) {
        scope.secrets.insert(key, kept);
    }
    Ok(Reply::empty())
}

fn missing(name: &str, key: &str) -> ApiError {
    ApiError::missing(format!("Failed to get secret {key} for scope {name}."))
}

fn get(call: &Call, state: &State) -> Answer {
    let (name, scope) = allowed(call, state, Permission::Read)?;
    let key = call.text("key")?;
    let kept = scope.secrets.get(&key).ok_or_else(|| missing(&name, &key))?;
    Ok(Reply::ok(json!({"key": key, "value": kept.value.show()})))
}

fn list(call: &Call, state: &State) -> Answer {
    let (_, scope) = allowed(call, state, Permission::Read)?;
    let rows: Vec<Value> = scope
        .secrets
        .iter()
        .map(|(key, kept)| json!({"key": key, "last_updated_timestamp": kept.updated}))
        .collect();
    Ok(Reply::ok(if rows.is_empty() {
        json!({})
    } else {
        json!({"secrets": rows})
    }))
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let (name, scope) = allowed(call, state, Permission::Write)?;
    writable(&name, scope)?;
    let key = call.text("key")?;
    if !scope.secrets.contains_key(&key) {
        return Err(missing(&name, &key));
    }
    if let Some(scope) = state.secret_scopes.get_mut(call.workspace(), &name) {
        scope.secrets.remove(&key);
    }
    Ok(Reply::empty())
}
