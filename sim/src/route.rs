//! One row per endpoint: verb, path template, plane, what the query may hold, which published limit it counts
//! against, and the function that answers. The journal, the faults and the counts all speak in these templates.

use std::collections::BTreeMap;

use axum::body::Bytes;
use serde_json::Value;

use crate::call::Call;
use crate::error::{ApiError, Dialect};
use crate::limits::Family;
use crate::objects::shape::{Operation, Shape};
use crate::state::State;

/// What a handler gives back when it does not refuse.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
    /// Bytes instead of JSON.
    pub file: Option<Bytes>,
    pub headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub fn ok(body: Value) -> Self {
        Self {
            status: 200,
            body,
            file: None,
            headers: Vec::new(),
        }
    }

    pub fn file(bytes: Bytes) -> Self {
        Self {
            file: Some(bytes),
            ..Self::ok(Value::Null)
        }
    }

    pub fn created(body: Value) -> Self {
        Self {
            status: 201,
            ..Self::ok(body)
        }
    }

    pub fn empty() -> Self {
        Self::ok(Value::Object(serde_json::Map::new()))
    }

    pub fn no_content() -> Self {
        Self {
            status: 204,
            ..Self::ok(Value::Null)
        }
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

pub type Answer = Result<Reply, ApiError>;

#[derive(Clone, Copy)]
pub enum Handler {
    Read(fn(&Call, &State) -> Answer),
    Write(fn(&Call, &mut State) -> Answer),
    /// Objects that only need to exist, be named and be granted on share their code and differ by a row of data.
    Object(Operation, &'static Shape),
    /// The token endpoint alone may wait for another server (the issuer's keys).
    Token,
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read(_) => "Read",
            Self::Write(_) => "Write",
            Self::Object(..) => "Object",
            Self::Token => "Token",
        })
    }
}

/// Whose tokens a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    Workspace,
    Account,
    /// Discovery and token endpoints: no bearer token.
    Open,
}

/// What the caller must be before the handler is asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Anyone,
    WorkspaceAdmin,
    AccountAdmin,
}

#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub method: &'static str,
    pub template: &'static str,
    pub plane: Plane,
    pub right: Right,
    pub query: &'static [&'static str],
    /// Known top-level body fields; `None` leaves the check to the handler.
    pub body: Option<&'static [&'static str]>,
    /// Further ones, which several routes know.
    pub shared: &'static [&'static str],
    /// Whether the body is a file rather than JSON.
    pub raw: bool,
    pub family: Option<Family>,
    pub handler: Handler,
}

pub const fn read(
    method: &'static str,
    template: &'static str,
    handler: fn(&Call, &State) -> Answer,
) -> Route {
    Route::with(method, template, Handler::Read(handler))
}

pub const fn write(
    method: &'static str,
    template: &'static str,
    handler: fn(&Call, &mut State) -> Answer,
) -> Route {
    Route::with(method, template, Handler::Write(handler))
}

impl Route {
    pub const fn with(method: &'static str, template: &'static str, handler: Handler) -> Self {
        Self {
            method,
            template,
            plane: Plane::Workspace,
            right: Right::Anyone,
            query: &[],
            body: None,
            shared: &[],
            raw: false,
            family: None,
            handler,
        }
    }

    #[must_use]
    pub const fn account(mut self) -> Self {
        self.plane = Plane::Account;
        self.right = Right::AccountAdmin;
        self
    }

    #[must_use]
    pub const fn open(mut self) -> Self {
        self.plane = Plane::Open;
        self
    }

    #[must_use]
    pub const fn right(mut self, right: Right) -> Self {
        self.right = right;
        self
    }

    #[must_use]
    pub const fn query(mut self, query: &'static [&'static str]) -> Self {
        self.query = query;
        self
    }

    #[must_use]
    pub const fn body(mut self, body: &'static [&'static str]) -> Self {
        self.body = Some(body);
        self
    }

    #[must_use]
    pub const fn shared(mut self, fields: &'static [&'static str]) -> Self {
        self.shared = fields;
        self
    }

    #[must_use]
    pub const fn raw(mut self) -> Self {
        self.raw = true;
        self
    }

    #[must_use]
    pub const fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    pub fn is_write(&self) -> bool {
        match self.handler {
            Handler::Write(_) => true,
            Handler::Object(operation, _) => operation.is_write(),
            Handler::Read(_) | Handler::Token => false,
        }
    }

    pub fn dialect(&self) -> Dialect {
        if self.template.contains("/scim/v2/") {
            Dialect::Scim
        } else if self.template.starts_with("/oidc/") {
            Dialect::OAuth
        } else {
            Dialect::Standard
        }
    }
}

pub type Params = BTreeMap<&'static str, String>;

/// What became of a path: a route with its parameters, the verbs the path knows, or nothing.
#[derive(Debug)]
pub enum Found {
    Route(&'static Route, Params),
    OtherVerbs(Vec<&'static str>),
    Nothing,
}

/// All routes, literal segments before parameters, bucketed by number of segments. A template that ends in
/// `{+name}` takes any number of them and is asked last.
#[derive(Debug)]
pub struct Table {
    buckets: BTreeMap<usize, Vec<&'static Route>>,
}

/// Where the templates are that take any number of segments.
const OPEN: usize = usize::MAX;

impl Table {
    pub fn new(groups: &[&'static [Route]]) -> Self {
        let mut buckets: BTreeMap<usize, Vec<&'static Route>> = BTreeMap::new();
        for route in groups.iter().flat_map(|rows| rows.iter()) {
            let segments = if route.template.contains("{+") {
                OPEN
            } else {
                route.template.split('/').count()
            };
            buckets.entry(segments).or_default().push(route);
        }
        for rows in buckets.values_mut() {
            rows.sort_by_key(|route| route.template.matches('{').count());
        }
        Self { buckets }
    }

    pub fn routes(&self) -> impl Iterator<Item = &'static Route> + '_ {
        self.buckets.values().flatten().copied()
    }

    pub fn find(&self, method: &str, path: &str) -> Found {
        let segments: Vec<&str> = path.split('/').collect();
        let mut verbs = Vec::new();
        let exact = self.buckets.get(&segments.len()).into_iter().flatten();
        for route in exact.chain(self.buckets.get(&OPEN).into_iter().flatten()) {
            let Some(params) = matches(route.template, &segments) else {
                continue;
            };
            if route.method == method {
                return Found::Route(route, params);
            }
            verbs.push(route.method);
        }
        if verbs.is_empty() {
            Found::Nothing
        } else {
            Found::OtherVerbs(verbs)
        }
    }
}

fn matches(template: &'static str, segments: &[&str]) -> Option<Params> {
    let mut params = Params::new();
    if let Some((before, rest)) = template.split_once("{+") {
        let known = before.matches('/').count();
        let tail = segments.get(known..).filter(|tail| !tail.is_empty())?.join("/");
        if !before
            .trim_end_matches('/')
            .split('/')
            .eq(segments.iter().take(known).copied())
        {
            return None;
        }
        let decoded = percent_encoding::percent_decode_str(&tail).decode_utf8().ok()?;
        params.insert(rest.trim_end_matches('}'), decoded.into_owned());
        return Some(params);
    }
    for (pattern, segment) in template.split('/').zip(segments) {
        if let Some(name) = pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            if segment.is_empty() {
                return None;
            }
            let decoded = percent_encoding::percent_decode_str(segment).decode_utf8().ok()?;
            params.insert(name, decoded.into_owned());
        } else if pattern != *segment {
            return None;
        }
    }
    Some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(_: &Call, _: &State) -> Answer {
        Ok(Reply::empty())
    }

    static ROWS: [Route; 4] = [
        read("GET", "/f/{+path}", answer),
        read("GET", "/a/{id}", answer),
        read("GET", "/a/list", answer),
        read("PUT", "/a/{id}", answer),
    ];

    #[test]
    fn a_literal_segment_wins_over_a_parameter() {
        let table = Table::new(&[&ROWS]);
        assert!(
            matches!(table.find("GET", "/a/list"), Found::Route(route, _) if route.template == "/a/list")
        );
        assert!(matches!(table.find("GET", "/a/x%2Fy"), Found::Route(_, params) if params["id"] == "x/y"));
    }

    #[test]
    fn an_open_end_takes_the_rest_of_the_path() {
        let table = Table::new(&[&ROWS]);
        assert!(
            matches!(table.find("GET", "/f/x/y%20z"), Found::Route(_, params) if params["path"] == "x/y z")
        );
        assert!(matches!(table.find("GET", "/g/x/y"), Found::Nothing));
        assert!(matches!(table.find("GET", "/f"), Found::Nothing));
    }

    #[test]
    fn a_known_path_with_another_verb_names_the_verbs() {
        let table = Table::new(&[&ROWS]);
        assert!(matches!(table.find("DELETE", "/a/1"), Found::OtherVerbs(verbs) if verbs == ["GET", "PUT"]));
        assert!(matches!(table.find("GET", "/b"), Found::Nothing));
    }
}
