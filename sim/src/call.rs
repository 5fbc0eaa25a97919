//! A request as the handlers see it: routed, authenticated, parsed. Nothing here knows sockets.

use axum::body::Bytes;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::route::Params;
use crate::state::Scope;

#[derive(Debug, Clone)]
pub struct Call {
    pub params: Params,
    pub query: Vec<(String, String)>,
    pub body: Value,
    /// Whether the verb is DELETE, for handlers that both set and delete.
    pub deletes: bool,
    /// Form fields, for the token endpoints.
    pub form: Vec<(String, String)>,
    /// `Authorization: Basic`, for the token endpoints.
    pub basic: Option<(String, String)>,
    /// The plane the caller's token speaks for: the account, or one workspace.
    pub scope: Scope,
    /// The workspace this listener stands for.
    pub face: u64,
    /// Principal id of the caller; 0 on open routes.
    pub caller: u64,
    /// `http://host:port` as the client wrote it, for links and token endpoints.
    pub base: String,
    /// Milliseconds since the epoch, the settable clock offset included.
    pub now: i64,
    /// Milliseconds that a task or an update takes.
    pub pace: i64,
    /// Milliseconds until a new secret or personal access token lets anybody in.
    pub credential_lag: i64,
    /// Whether Python files of runs really run.
    pub execute: bool,
    /// The body as it came, on routes that take files.
    pub raw: Bytes,
    /// The quirk that makes paged reads begin with an empty page.
    pub empty_pages: bool,
    /// Account setting: whether listing account groups carries `members`.
    pub group_list_members: bool,
    /// Account setting: whether the identity provider fills the groups that come from it.
    pub automatic_identity: bool,
}

impl Call {
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    pub fn number(&self, name: &str) -> Result<u64, ApiError> {
        let text = self.param(name);
        text.parse()
            .map_err(|_| ApiError::invalid(format!("Invalid value '{text}' for {name}: expected int64")))
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn query_number(&self, name: &str) -> Result<Option<usize>, ApiError> {
        match self.query(name) {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                ApiError::invalid(format!("Could not parse '{text}' as int32 for parameter {name}"))
            }),
        }
    }

    pub fn form(&self, name: &str) -> Option<&str> {
        self.form
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The workspace a workspace-plane call speaks about.
    pub fn workspace(&self) -> u64 {
        match self.scope {
            Scope::Workspace(id) => id,
            Scope::Account => self.face,
        }
    }

    pub fn object(&self) -> Result<&Map<String, Value>, ApiError> {
        self.body
            .as_object()
            .ok_or_else(|| ApiError::malformed("Request body must be a JSON object"))
    }

    /// A required string of the body or, for reads, of the query.
    pub fn text(&self, name: &str) -> Result<String, ApiError> {
        let found = self.body.get(name).or(None);
        match found {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(_) => Err(ApiError::malformed(format!("Field '{name}' must be a string"))),
            None => self
                .query(name)
                .map(ToOwned::to_owned)
                .ok_or_else(|| ApiError::invalid(format!("Missing required field: {name}"))),
        }
    }

    /// The strings of a list in the body; none where there is no such list.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let rows = self
            .body
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        rows.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    }
}

/// Refuses what the vendor's parser refuses: a field it does not know.
pub fn only(object: &Map<String, Value>, known: &[&str]) -> Result<(), ApiError> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(ApiError::malformed(format!(
            "Could not parse request object: unknown field '{key}'"
        ))),
        None => Ok(()),
    }
}

/// One page of an ordered list, with the vendor's opaque token (here: the offset).
/// With the empty-pages quirk a listing starts with an empty page that carries a token.
pub fn page<T>(
    call: &Call,
    all: Vec<T>,
    size: Option<usize>,
    default: usize,
    max: usize,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let size = match size {
        None | Some(0) => default,
        Some(size) => size.min(max),
    };
    let offset = match call
        .query("page_token")
        .or_else(|| call.body.get("page_token").and_then(Value::as_str))
    {
        None | Some("") if call.empty_pages => return Ok((Vec::new(), Some("o:0".into()))),
        None | Some("") => 0,
        Some(token) => token
            .strip_prefix("o:")
            .and_then(|offset| offset.parse::<usize>().ok())
            .ok_or_else(|| ApiError::invalid("Invalid page_token"))?,
    };
    let more = all.len() > offset + size;
    let rows = all.into_iter().skip(offset).take(size).collect();
    Ok((rows, more.then(|| format!("o:{}", offset + size))))
}
