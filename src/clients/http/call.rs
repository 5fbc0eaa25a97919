//! What is asked of a system: one call, with the effect it may have.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

/// What sending a call may change, and so what may be done when its answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing outside: needs no permit and may be repeated.
    Read,
    /// The same whether done once or twice: may be repeated, each time with a permit.
    Repeatable,
    /// Something each time: once it may have been sent it is never repeated.
    Once,
}

/// A request body.
#[derive(Clone, Debug, Default)]
pub enum Body {
    #[default]
    None,
    /// JSON text.
    Json(Vec<u8>),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    /// The path's pattern, a label of metrics: `/a/groups/{uuid}`.
    pub route: &'static str,
    /// Below the base URL, every segment encoded once already.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Body,
    /// Value of `Authorization`.
    pub auth: Option<HeaderValue>,
    pub headers: HeaderMap,
    /// Whose rate it counts against.
    pub family: &'static str,
    pub effect: Effect,
}

impl Call {
    pub fn new(
        method: Method,
        route: &'static str,
        path: impl Into<String>,
        family: &'static str,
        effect: Effect,
    ) -> Self {
        Self {
            method,
            route,
            path: path.into(),
            query: Vec::new(),
            body: Body::None,
            auth: None,
            headers: HeaderMap::new(),
            family,
            effect,
        }
    }

    /// A GET.
    pub fn get(route: &'static str, path: impl Into<String>, family: &'static str) -> Self {
        Self::new(Method::GET, route, path, family, Effect::Read)
    }

    /// Adds a query parameter; it is encoded when it is sent.
    #[must_use]
    pub fn query(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((key.into(), value.into()));
        self
    }

    /// Sets a JSON body. What does not serialise is a `null` that every system refuses; our own types all do.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Body::Json(serde_json::to_vec(body).unwrap_or_else(|_| b"null".to_vec()));
        self
    }

    /// Sets a form body.
    #[must_use]
    pub fn form(mut self, fields: Vec<(String, String)>) -> Self {
        self.body = Body::Form(fields);
        self
    }

    /// Sets `Authorization`. The value is marked as sensitive, so that it shows in no debug output.
    #[must_use]
    pub fn auth(mut self, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.auth = Some(value);
        self
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Method and path, for people.
    pub fn label(&self) -> String {
        let path: String = self.path.chars().take(160).collect();
        format!("{} /{}", self.method, path.trim_start_matches('/'))
    }
}
