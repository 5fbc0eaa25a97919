//! Personal access tokens as their owners see them. What administrators see and do is `managed`.

use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::permissions::acl::may_use_tokens;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::State;
use crate::state::credentials::{LastUse, PersonalToken};
use crate::state::hidden::Hidden;
use crate::workspace_conf::max_token_lifetime;

/// learn.microsoft.com/azure/databricks/dev-tools/auth/pat
const MAX_PER_USER: usize = 600;
/// Where no lifetime is given: two years.
const DEFAULT_LIFETIME: i64 = 2 * 365 * 24 * 3600;

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.0/token/create", create).body(&[
        "comment",
        "lifetime_seconds",
        "scopes",
        "autoscope_enabled",
    ]),
    read("GET", "/api/2.0/token/list", list),
    write("PATCH", "/api/2.0/token/{id}", update).body(&["token", "update_mask"]),
    write("POST", "/api/2.0/token/delete", delete).body(&["token_id"]),
];

pub fn render(token: &PersonalToken) -> Value {
    let mut row = json!({"token_id": token.id, "comment": token.comment, "creation_time": token.created,
                         "expiry_time": token.expires});
    if !token.scopes.is_empty() {
        row["scopes"] = json!(token.scopes);
    }
    row
}

/// Milliseconds since the epoch; -1: never. A cap of the workspace is the default, and nothing longer is taken.
fn expiry(call: &Call, state: &State) -> Result<i64, ApiError> {
    let cap = max_token_lifetime(state, call.workspace());
    let given = match call.body.get("lifetime_seconds") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            value
                .as_i64()
                .ok_or_else(|| ApiError::malformed("lifetime_seconds must be a whole number"))?,
        ),
    };
    let lifetime = given.unwrap_or(cap.unwrap_or(DEFAULT_LIFETIME));
    if let Some(cap) = cap
        && !(0..=cap).contains(&lifetime)
    {
        return Err(ApiError::invalid(format!(
            "The lifetime of {lifetime} seconds is longer than the {cap} that this workspace allows"
        )));
    }
    Ok(if lifetime < 0 {
        -1
    } else {
        call.now + lifetime * 1000
    })
}

/// Makes a token and gives back its value, which no other answer shows.
pub fn mint(call: &Call, state: &mut State, owner: u64) -> Result<(Hidden, PersonalToken), ApiError> {
    let workspace = call.workspace();
    if !may_use_tokens(state, workspace, owner) {
        return Err(ApiError::denied(
            "The principal is not allowed to use personal access tokens.",
        ));
    }
    let expires = expiry(call, state)?;
    let held = state
        .credentials
        .personal
        .values()
        .filter(|token| token.owner == owner && token.workspace == workspace && token.is_valid(call.now));
    if held.count() >= MAX_PER_USER {
        return Err(ApiError::new(
            400,
            "QUOTA_EXCEEDED",
            format!("At most {MAX_PER_USER} tokens per user are allowed"),
        ));
    }
    let value = Hidden::new(format!("dapi{}", state.new_hex()));
    let token = PersonalToken {
        id: state.new_hex() + &state.new_hex(),
        value: value.clone(),
        comment: call.body["comment"].as_str().unwrap_or_default().to_owned(),
        scopes: call.texts("scopes"),
        owner,
        creator: call.caller,
        workspace,
        created: call.now,
        expires,
        used: LastUse::never(),
    };
    state
        .credentials
        .add_personal(token.clone(), call.now + call.credential_lag);
    Ok((value, token))
}

fn create(call: &Call, state: &mut State) -> Answer {
    let (value, token) = mint(call, state, call.caller)?;
    Ok(Reply::ok(
        json!({"token_value": value.show(), "token_info": render(&token)}),
    ))
}

/// The caller's own, as far as they still let in.
fn mine<'a>(call: &Call, state: &'a State) -> impl Iterator<Item = &'a PersonalToken> + use<'a> {
    let (workspace, caller, now) = (call.workspace(), call.caller, call.now);
    state
        .credentials
        .personal
        .values()
        .filter(move |token| token.workspace == workspace && token.owner == caller && token.is_valid(now))
}

fn list(call: &Call, state: &State) -> Answer {
    let rows: Vec<Value> = mine(call, state).map(render).collect();
    Ok(Reply::ok(json!({"token_infos": rows})))
}

/// Changes comment and scopes of a token, as far as the mask names them.
pub fn edit(call: &Call, state: &mut State, id: &str) -> Answer {
    let mask = call.text("update_mask")?;
    let fields = call.body["token"]
        .as_object()
        .ok_or_else(|| ApiError::invalid("Missing required field: token"))?;
    let scopes = fields.get("scopes").and_then(Value::as_array).cloned();
    let comment = fields.get("comment").and_then(Value::as_str).unwrap_or_default();
    let token = state
        .credentials
        .personal
        .get_mut(id)
        .ok_or_else(|| missing(id))?;
    for field in mask.split(',') {
        match field {
            "comment" => comment.clone_into(&mut token.comment),
            "scopes" => {
                let texts = scopes.iter().flatten().filter_map(Value::as_str);
                token.scopes = texts.map(ToOwned::to_owned).collect();
            }
            other => {
                return Err(ApiError::invalid(format!(
                    "update_mask may name comment and scopes, not {other}"
                )));
            }
        }
    }
    Ok(Reply::empty())
}

pub fn missing(id: &str) -> ApiError {
    ApiError::missing(format!("Token {id} does not exist."))
}

fn update(call: &Call, state: &mut State) -> Answer {
    let id = call.param("id");
    if !mine(call, state).any(|token| token.id == id) {
        return Err(ApiError::new(
            404,
            "NOT_FOUND",
            format!("Token {id} does not exist."),
        ));
    }
    edit(call, state, id)
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let id = call.text("token_id")?;
    if !mine(call, state).any(|token| token.id == id) {
        return Err(missing(&id));
    }
    state.credentials.revoke_personal(&id);
    Ok(Reply::empty())
}
