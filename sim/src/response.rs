//! From an answer to bytes, and what faults do to those bytes.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::control::faults::Action;
use crate::error::{ApiError, Dialect};
use crate::route::Answer;

#[derive(Debug)]
pub struct Outgoing {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    /// Close the connection instead of answering.
    pub cut: bool,
    /// Promise more bytes than follow.
    pub truncate: bool,
    /// Seconds by which the Date header is off.
    pub date_offset: i64,
}

const LOGIN: &str = "<!doctype html><html><head><title>Sign in to Databricks</title></head>\
<body><form action=\"/login.html\"><input name=\"username\"><input type=\"password\" name=\"password\"></form></body></html>";

impl Outgoing {
    pub fn json(status: u16, value: &Value) -> Self {
        let body = if value.is_null() {
            Vec::new()
        } else {
            value.to_string().into_bytes()
        };
        Self {
            status,
            content_type: "application/json",
            headers: Vec::new(),
            body: body.into(),
            cut: false,
            truncate: false,
            date_offset: 0,
        }
    }

    fn error(error: &ApiError, dialect: Dialect) -> Self {
        let mut outgoing = Self::json(error.status, &error.body(dialect));
        if let Some(seconds) = error.retry_after {
            outgoing.headers.push((RETRY_AFTER.as_str(), seconds.to_string()));
        }
        if dialect == Dialect::Scim && !error.always_standard {
            outgoing.content_type = "application/scim+json";
        }
        outgoing
    }

    fn page(status: u16, html: String) -> Self {
        Self {
            content_type: "text/html; charset=utf-8",
            body: html.into(),
            ..Self::json(status, &Value::Null)
        }
    }

    pub fn into_response(self) -> Response<Body> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                headers.insert(name, value);
            }
        }
        if self.date_offset != 0
            && let Ok(time) =
                jiff::Timestamp::from_millisecond(crate::world::now_ms() + self.date_offset * 1000)
            && let Ok(value) = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string().parse()
        {
            headers.insert(DATE, value);
        }
        let body = if self.truncate {
            let half = self.body.slice(..self.body.len() / 2);
            headers.insert("content-length", HeaderValue::from(self.body.len()));
            Body::from_stream(half_then_nothing(half))
        } else {
            Body::from(self.body)
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = headers;
        response
    }
}

/// The half must have left before the break, else the client sees no answer at all.
fn half_then_nothing(half: Bytes) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    futures::stream::unfold(Some(half), |half| async {
        let half = half?;
        if half.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            return Some((Err(std::io::ErrorKind::ConnectionReset.into()), None));
        }
        Some((Ok(half), Some(Bytes::new())))
    })
}

pub fn render(answer: &Answer, dialect: Dialect) -> Outgoing {
    match answer {
        Ok(reply) => {
            let mut outgoing = Outgoing::json(reply.status, &reply.body);
            if let Some(bytes) = &reply.file {
                outgoing.content_type = "application/octet-stream";
                outgoing.body = bytes.clone();
            }
            if dialect == Dialect::Scim {
                outgoing.content_type = "application/scim+json";
            }
            outgoing.headers.clone_from(&reply.headers);
            outgoing
        }
        Err(error) => Outgoing::error(error, dialect),
    }
}

/// Faults that answer instead of the handler: nothing has happened.
pub fn before(action: &Action, dialect: Dialect) -> Option<Outgoing> {
    match action {
        Action::Refuse {
            status,
            error_code,
            message,
        } => {
            let message = message
                .clone()
                .unwrap_or_else(|| "Refused by a fault rule".to_owned());
            let mut outgoing = Outgoing::error(&ApiError::new(*status, "FAULT", message), dialect);
            if let (Some(code), Dialect::Standard) = (error_code, dialect) {
                let text =
                    String::from_utf8_lossy(&outgoing.body).replace("\"FAULT\"", &json!(code).to_string());
                outgoing.body = text.into();
            }
            Some(outgoing)
        }
        Action::FailBefore { status } => Some(gateway(*status)),
        Action::DropBefore => Some(Outgoing {
            cut: true,
            ..gateway(502)
        }),
        Action::Html => Some(Outgoing::page(200, LOGIN.to_owned())),
        Action::TooManyRequests { retry_after } => Some(Outgoing::error(
            &ApiError {
                retry_after: Some(*retry_after),
                always_standard: true,
                ..ApiError::new(429, "RESOURCE_EXHAUSTED", "Too many requests")
            },
            dialect,
        )),
        Action::Delay { .. }
        | Action::FailAfter { .. }
        | Action::DropAfter
        | Action::Garbage
        | Action::Truncate
        | Action::BigBody { .. } => None,
    }
}

/// Faults that spoil the answer of something that has happened.
pub fn after(action: &Action, outgoing: &mut Outgoing, dialect: Dialect) {
    match action {
        Action::FailAfter { status } => {
            let message = "The request was cut off; its outcome is unknown";
            *outgoing = Outgoing::error(
                &ApiError::new(*status, "TEMPORARILY_UNAVAILABLE", message),
                dialect,
            );
        }
        Action::DropAfter => outgoing.cut = true,
        Action::Garbage => outgoing.body = Bytes::from_static(b"\x00\xff{\"Resources\": [nonsense \xfe\xfd"),
        Action::Truncate => outgoing.truncate = true,
        Action::BigBody { mb } => {
            let filler = "x".repeat(mb * 1024 * 1024);
            outgoing.body = json!({"Resources": [], "filler": filler}).to_string().into();
        }
        Action::Delay { .. }
        | Action::Refuse { .. }
        | Action::FailBefore { .. }
        | Action::DropBefore
        | Action::Html
        | Action::TooManyRequests { .. } => {}
    }
}

fn gateway(status: u16) -> Outgoing {
    Outgoing::page(
        status,
        format!("<html><head><title>{status}</title></head><body><pre>upstream error</pre></body></html>"),
    )
}
