//! The five shapes in which the vendor words a refusal, and what each means for the caller.

use lockstep_core::domain::ports::SystemErrorKind;
use serde_json::Value;

/// A refusal as the vendor worded it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `error_code`, `scimType` or the like; empty where the vendor gave none.
    pub code: String,
    pub message: String,
}

/// Longest message that is passed on.
const MAX_MESSAGE: usize = 400;

impl Refusal {
    /// Reads `{"error_code", "message"}` (most calls), SCIM's `{"detail", "scimType"}`, `{"error"}` of API 1.2 and of
    /// OAuth, plain `CODE: message` (some account calls), and pages of gateways (vendor's Go SDK, apierr).
    pub fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        if let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) {
            let word = |name: &str| match fields.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => String::new(),
            };
            let first = |names: &[&str]| {
                names
                    .iter()
                    .map(|name| word(name))
                    .find(|text| !text.is_empty())
                    .unwrap_or_default()
            };
            let message = first(&["message", "detail", "error_description", "error"]);
            let code = first(&["error_code", "scimType", "error"]);
            return Self {
                code: if code == message {
                    String::new()
                } else {
                    trim(&code)
                },
                message: trim(&message),
            };
        }
        if text.starts_with('<') {
            return Self {
                code: String::new(),
                message: trim(&page_text(text)),
            };
        }
        match text.split_once(": ") {
            Some((code, message)) if is_code(code) => Self {
                code: code.to_owned(),
                message: trim(message),
            },
            _ => Self {
                code: String::new(),
                message: trim(text),
            },
        }
    }

    /// The code, if it is one of the vendor's words: what may be shown of an answer of which nothing else may.
    pub fn word(&self) -> &str {
        if is_code(&self.code) {
            &self.code
        } else {
            "not quoted, because it may repeat a secret"
        }
    }

    fn says(&self, words: &str) -> bool {
        self.message.contains(words)
    }

    /// Whether this proves that the thing asked for does not exist: the vendor's own word for it, not a gateway's
    /// 404 and not an endpoint or feature that this workspace lacks. `jobs/get` and `clusters/get` disguise it as a
    /// bad request (vendor's Go SDK, apierr overrides).
    pub fn proves_absence(&self, status: u16) -> bool {
        let code = self.code.as_str();
        match status {
            404 => {
                code == "NOT_FOUND"
                    || code.ends_with("_DOES_NOT_EXIST")
                    || code.ends_with("_NOT_FOUND") && code != "ENDPOINT_NOT_FOUND"
                    || code.is_empty() && (self.says("not found") || self.says("does not exist"))
            }
            400 => {
                code.ends_with("_DOES_NOT_EXIST")
                    || code == "INVALID_PARAMETER_VALUE" && self.says("does not exist")
            }
            _ => false,
        }
    }

    /// Whether it is a principal, not the thing asked for, that does not exist.
    pub fn misses_principal(&self, status: u16) -> bool {
        status == 404 && (self.code.starts_with("PRINCIPAL_") || self.message.starts_with("Principal"))
    }

    /// Whether something of that name is there already.
    pub fn says_exists(&self, status: u16) -> bool {
        status == 409
            && (self.code.ends_with("ALREADY_EXISTS")
                || self.code == "uniqueness"
                || self.says("already exists"))
    }

    /// Whether the credential itself was refused, which calls for a new token once.
    pub fn refuses_credential(&self, status: u16) -> bool {
        status == 401 || (status == 403 && self.says("Invalid access token"))
    }

    /// What a status with this body means for a call; `changes`: the call was to change something.
    pub fn kind(&self, status: u16, changes: bool) -> SystemErrorKind {
        if self.refuses_credential(status) {
            return SystemErrorKind::Unauthorized;
        }
        let throttled = self.says("REQUEST_LIMIT_EXCEEDED")
            || matches!(
                self.code.as_str(),
                "REQUEST_LIMIT_EXCEEDED" | "RESOURCE_EXHAUSTED"
            )
            || self.says("Temporarily throttled");
        match status {
            _ if throttled => SystemErrorKind::Throttled,
            300..400 => SystemErrorKind::BadAnswer,
            403 => SystemErrorKind::Forbidden,
            404 => SystemErrorKind::NotFound,
            409 if self.says_exists(status) => SystemErrorKind::Refused,
            409 | 412 => SystemErrorKind::Stale,
            429 => SystemErrorKind::Throttled,
            408 if changes => SystemErrorKind::OutcomeUnknown,
            400..500 => SystemErrorKind::Refused,
            _ if changes => SystemErrorKind::OutcomeUnknown,
            503 => SystemErrorKind::Throttled,
            _ => SystemErrorKind::Unreachable,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", "") => f.write_str("no explanation"),
            ("", message) => f.write_str(message),
            (code, "") => f.write_str(code),
            (code, message) => write!(f, "{code}: {message}"),
        }
    }
}

fn is_code(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit())
}

fn trim(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &flat[..end]),
        None => flat,
    }
}

/// What a page of a gateway says: its `<pre>`, else its title.
fn page_text(page: &str) -> String {
    for (open, close) in [("<pre>", "</pre>"), ("<title>", "</title>")] {
        if let Some((_, rest)) = page.split_once(open)
            && let Some((inside, _)) = rest.split_once(close)
        {
            return format!("a web page saying {:?}", trim(inside));
        }
    }
    "a web page instead of an answer".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> (String, String) {
        let Refusal { code, message } = Refusal::parse(body.as_bytes());
        (code, message)
    }

    #[test]
    fn every_dialect_is_read() {
        let rows = [
            (
                r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Job 7 does not exist."}"#,
                ("RESOURCE_DOES_NOT_EXIST", "Job 7 does not exist."),
            ),
            (r#"{"error_code":404,"message":"gone"}"#, ("404", "gone")),
            (
                r#"{"schemas":["x"],"detail":"No such attribute","scimType":"invalidPath","status":"400"}"#,
                ("invalidPath", "No such attribute"),
            ),
            (r#"{"error":"RuntimeException: x"}"#, ("", "RuntimeException: x")),
            (
                r#"{"error":"invalid_request","error_description":"Temporarily throttled, too many requests"}"#,
                ("invalid_request", "Temporarily throttled, too many requests"),
            ),
            ("PERMISSION_DENIED: not yours", ("PERMISSION_DENIED", "not yours")),
            ("no colon here", ("", "no colon here")),
            (
                "<html><body><pre>\nupstream  error\n</pre></body></html>",
                ("", "a web page saying \"upstream error\""),
            ),
        ];
        for (body, (code, message)) in rows {
            assert_eq!(parsed(body), (code.to_owned(), message.to_owned()), "{body}");
        }
    }

    #[test]
    fn only_the_vendors_own_word_proves_absence() {
        let rows = [
            (
                404,
                r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":""}"#,
                true,
            ),
            (
                404,
                r#"{"error_code":"SCHEMA_DOES_NOT_EXIST","message":""}"#,
                true,
            ),
            (
                404,
                r#"{"detail":"Group with id 7 not found.","status":"404"}"#,
                true,
            ),
            (
                400,
                r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"Job 7 does not exist."}"#,
                true,
            ),
            (
                404,
                r#"{"error_code":"ENDPOINT_NOT_FOUND","message":"No API found"}"#,
                false,
            ),
            (404, r#"{"error_code":"FEATURE_DISABLED","message":""}"#, false),
            (404, "<html><title>404</title></html>", false),
            (
                400,
                r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"bad level"}"#,
                false,
            ),
            (
                403,
                r#"{"error_code":"PERMISSION_DENIED","message":"does not exist"}"#,
                false,
            ),
        ];
        for (status, body, proof) in rows {
            assert_eq!(
                Refusal::parse(body.as_bytes()).proves_absence(status),
                proof,
                "{body}"
            );
        }
    }

    #[test]
    fn throttling_is_seen_through_its_disguise() {
        let body =
            br#"{"error_code":"INTERNAL_ERROR","message":"REQUEST_LIMIT_EXCEEDED: too many SCIM requests"}"#;
        assert_eq!(Refusal::parse(body).kind(500, true), SystemErrorKind::Throttled);
        assert_eq!(
            Refusal::default().kind(500, true),
            SystemErrorKind::OutcomeUnknown
        );
        assert_eq!(Refusal::default().kind(502, false), SystemErrorKind::Unreachable);
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let body = "ü".repeat(5_000);
        let (_, message) = parsed(&body);
        assert_eq!(message.chars().count(), MAX_MESSAGE + 1);
    }
}
