//! What is asked of a system: one call, with the effect it may have.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
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

/// A request body. What it says is never printed: a login's form holds the token that is exchanged.
#[derive(Clone, Default)]
pub enum Body {
    #[default]
    None,
    /// JSON text.
    Json(Vec<u8>),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
    /// The bytes of a file.
    Bytes(Bytes),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Json(text) => write!(f, "Json({} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Form(fields) => {
                let names = fields.iter().map(|(name, _)| name);
                f.write_str("Form")?;
                f.debug_list().entries(names).finish()
            }
        }
    }
}

/// One call.
#[derive(Clone)]
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
    /// Where a good answer goes instead of into memory.
    pub spool: Option<Spool>,
    /// Largest answer that is read, where it is not the connection's own: bytes.
    pub longest: Option<usize>,
    /// Whether nothing that is answered may be quoted: it carries a secret value, and systems echo what they were sent.
    pub mute: bool,
}

/// A file that takes a long answer.
#[derive(Clone, Debug)]
pub struct Spool {
    /// It is written anew by every attempt.
    pub path: PathBuf,
    /// Longest time of the exchange, where it is not the connection's own.
    pub patience: Duration,
}

/// Names, and no values that may be secret.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            route,
            path,
            query,
            body,
            auth,
            headers,
            family,
            effect,
            spool,
            longest,
            mute,
        } = self;
        let query: Vec<_> = query.iter().map(|(name, _)| name).collect();
        f.debug_struct("Call")
            .field("method", method)
            .field("route", route)
            .field("path", path)
            .field("query", &query)
            .field("body", body)
            .field("auth", &auth.is_some())
            .field("headers", &headers.keys().collect::<Vec<_>>())
            .field("family", family)
            .field("effect", effect)
            .field("spool", spool)
            .field("longest", longest)
            .field("mute", mute)
            .finish()
    }
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
            spool: None,
            longest: None,
            mute: false,
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

    /// Sets a file as the body.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Bytes(body.into());
        self
    }

    /// Reads an answer of up to so many bytes: what files are downloaded with.
    #[must_use]
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = Some(bytes);
        self
    }

    /// Quotes nothing of the answer, whatever it is.
    #[must_use]
    pub fn mute(mut self) -> Self {
        self.mute = true;
        self
    }

    /// Writes a good answer to a file, however long it is, and waits longer for it. For calls that only read: a permit
    /// is asked for the connection's own timeout.
    #[must_use]
    pub fn spool(mut self, path: impl Into<PathBuf>, patience: Duration) -> Self {
        let path = path.into();
        self.spool = Some(Spool { path, patience });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        let secret = "planted-s3cr3t";
        let value = HeaderValue::from_static("planted-s3cr3t");
        let call = Call::new(
            Method::POST,
            "/oidc/v1/token",
            "oidc/v1/token",
            "login",
            Effect::Repeatable,
        )
        .query("code", secret)
        .auth(value.clone())
        .header(HeaderName::from_static("x-token"), value)
        .form(vec![("subject_token".into(), secret.into())]);
        let shown = format!("{call:?}");
        assert!(!shown.contains(secret), "{shown}");
        for name in ["subject_token", "oidc/v1/token", "x-token", "code"] {
            assert!(shown.contains(name), "{shown}");
        }
        let json = format!("{:?}", call.json(&secret).body);
        assert_eq!(json, "Json(16 bytes)");
    }
}
