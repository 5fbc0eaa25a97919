//! What a system answered, and which error a refusal is. An answer is quoted only as far as it can hold no secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;

use super::call::{Call, Effect};
use super::redact;

/// A complete answer, whatever its status.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub(super) asked: Asked,
}

/// What the answer belongs to, as far as errors tell it.
pub(super) struct Asked {
    pub system: String,
    /// Method and path.
    pub label: String,
    pub effect: Effect,
    /// Whether the body may be quoted.
    pub echo: bool,
    /// Never to be quoted.
    pub secrets: Vec<String>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} ({} bytes)",
            self.asked.label,
            self.status,
            self.body.len()
        )
    }
}

impl Answer {
    /// The answer if its status is 2xx, else the error it stands for.
    pub fn success(self) -> Result<Self, SystemError> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(self.error())
        }
    }

    /// The body as JSON. A login page with status 200 is `BadAnswer`; so is anything else that is not as expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, SystemError> {
        self.json_from(&self.body)
    }

    /// Part of the body as JSON, for systems that put something before it.
    pub fn json_from<T: DeserializeOwned>(&self, text: &[u8]) -> Result<T, SystemError> {
        if self.is_html() {
            return Err(self.bad("answered with an HTML page instead of JSON: a login page or a proxy"));
        }
        serde_json::from_slice(text).map_err(|error| {
            // Parse errors quote the input, which may hold a secret: the place is enough.
            self.bad(&format!(
                "answered with something other than the expected JSON (line {} column {}, {:?})",
                error.line(),
                error.column(),
                error.classify()
            ))
        })
    }

    /// The body as text, for judging what an error means; never to be shown, [`Answer::error`] does that.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The error this status stands for.
    pub fn error(&self) -> SystemError {
        let kind = match self.status.as_u16() {
            401 => SystemErrorKind::Unauthorized,
            403 => SystemErrorKind::Forbidden,
            404 | 410 => SystemErrorKind::NotFound,
            412 => SystemErrorKind::Stale,
            429 => SystemErrorKind::Throttled,
            408 | 500 | 502..=599 => match self.asked.effect {
                Effect::Read => SystemErrorKind::Unreachable,
                Effect::Repeatable | Effect::Once => SystemErrorKind::OutcomeUnknown,
            },
            400..=499 | 501 => SystemErrorKind::Refused,
            _ => SystemErrorKind::BadAnswer,
        };
        self.error_of(kind)
    }

    /// An error of another kind than the status says, with the same words.
    pub fn error_of(&self, kind: SystemErrorKind) -> SystemError {
        let status = self.status.canonical_reason().unwrap_or("unknown status");
        self.named(
            kind,
            &format!("{} {status}{}", self.status.as_u16(), self.quote()),
        )
    }

    /// An error in words of our own.
    pub fn named(&self, kind: SystemErrorKind, message: &str) -> SystemError {
        SystemError::new(
            &self.asked.system,
            kind,
            format!("{}: {message}", self.asked.label),
        )
    }

    /// An error about an answer that makes no sense.
    pub fn bad(&self, message: &str) -> SystemError {
        // What a write came to is not known from an answer that cannot be understood, except that an HTML page or
        // a redirect comes from something in front of the system.
        let kind = match self.asked.effect {
            Effect::Read => SystemErrorKind::BadAnswer,
            Effect::Repeatable | Effect::Once if self.is_html() => SystemErrorKind::BadAnswer,
            Effect::Repeatable | Effect::Once => SystemErrorKind::OutcomeUnknown,
        };
        self.named(kind, message)
    }

    /// `: <what it said>`, as far as it may be repeated.
    pub(super) fn quote(&self) -> String {
        if !self.asked.echo || self.status == StatusCode::UNAUTHORIZED || self.body.is_empty() {
            return String::new();
        }
        if self.is_html() {
            return ": an HTML page".into();
        }
        let secrets: Vec<&str> = self.asked.secrets.iter().map(String::as_str).collect();
        // Only the beginning is searched and shown: bodies may be megabytes.
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4096)]);
        format!(": {}", redact::show(&text, &secrets))
    }

    fn is_html(&self) -> bool {
        let kind = self
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        kind.is_some_and(|kind| kind.starts_with("text/html"))
            || self.body.trim_ascii_start().starts_with(b"<!")
            || self.body.trim_ascii_start().starts_with(b"<html")
    }
}

/// Everything of a call that an answer must not be quoted with.
pub(super) fn secrets_of(call: &Call) -> Vec<String> {
    let Some(value) = call.auth.as_ref().and_then(|auth| auth.to_str().ok()) else {
        return Vec::new();
    };
    let (scheme, credential) = value.split_once(' ').unwrap_or(("", value));
    let mut secrets = vec![credential.to_owned()];
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD
            .decode(credential)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let password = decoded.as_deref().and_then(|pair| pair.split_once(':'));
        secrets.extend(password.map(|(_, password)| password.to_owned()));
    }
    secrets
}
