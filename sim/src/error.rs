//! The ways a request is refused, and the three shapes in which the vendor words a refusal: the ordinary body,
//! the SCIM body and the OAuth body. Handlers say what is wrong; the route's dialect decides how it is worded.

use serde_json::{Value, json};

/// How a route words its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Standard,
    Scim,
    OAuth,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    /// RFC 7644 `scimType`; only worded in the SCIM dialect.
    pub scim_type: Option<&'static str>,
    pub retry_after: Option<u64>,
    /// Authentication is refused by the gateway in front of SCIM, so it never speaks SCIM.
    pub always_standard: bool,
}

impl ApiError {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            scim_type: None,
            retry_after: None,
            always_standard: false,
        }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_PARAMETER_VALUE", message).scim("invalidValue")
    }

    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(400, "MALFORMED_REQUEST", message).scim("invalidSyntax")
    }

    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(404, "RESOURCE_DOES_NOT_EXIST", message)
    }

    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "PERMISSION_DENIED", message)
    }

    pub fn exists(message: impl Into<String>) -> Self {
        Self::new(409, "RESOURCE_ALREADY_EXISTS", message).scim("uniqueness")
    }

    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self {
            always_standard: true,
            ..Self::new(401, "UNAUTHENTICATED", message)
        }
    }

    #[must_use]
    pub fn scim(mut self, scim_type: &'static str) -> Self {
        self.scim_type = Some(scim_type);
        self
    }

    #[must_use]
    pub fn standard(mut self) -> Self {
        self.always_standard = true;
        self
    }

    pub fn body(&self, dialect: Dialect) -> Value {
        match dialect {
            Dialect::Scim if !self.always_standard => {
                let mut body = json!({
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                    "detail": self.message,
                    "status": self.status.to_string(),
                });
                if let Some(kind) = self.scim_type {
                    body["scimType"] = json!(kind);
                }
                body
            }
            Dialect::OAuth => json!({"error": self.code, "error_description": self.message}),
            Dialect::Scim | Dialect::Standard => {
                json!({"error_code": self.code, "message": self.message, "details": [{
                    "@type": "type.googleapis.com/google.rpc.RequestInfo",
                    "request_id": "00000000-0000-4000-8000-000000000000",
                    "serving_data": "",
                }]})
            }
        }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.message)
    }
}

impl std::error::Error for ApiError {}
