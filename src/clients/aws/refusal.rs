//! What an error of the SDK means. AWS names the field and the value that it does not like, so nothing that it says is
//! repeated but its code, and where it says who may not do what.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};

use super::wire;
use crate::clients::http::Effect;

/// Codes of the services that are called, by what they mean. What stands in no row is `Refused`.
const CODES: &[(&str, SystemErrorKind)] = &[
    ("AccessDenied", SystemErrorKind::Forbidden),
    ("AccessDeniedException", SystemErrorKind::Forbidden),
    ("ExpiredToken", SystemErrorKind::Unauthorized),
    ("ExpiredTokenException", SystemErrorKind::Unauthorized),
    ("IncompleteSignature", SystemErrorKind::Unauthorized),
    ("InvalidClientTokenId", SystemErrorKind::Unauthorized),
    ("MissingAuthenticationToken", SystemErrorKind::Unauthorized),
    ("SignatureDoesNotMatch", SystemErrorKind::Unauthorized),
    ("InvalidSignatureException", SystemErrorKind::Unauthorized),
    ("UnrecognizedClientException", SystemErrorKind::Unauthorized),
    ("NoSuchEntity", SystemErrorKind::NotFound),
    ("ResourceNotFoundException", SystemErrorKind::NotFound),
    ("ResourceExistsException", SystemErrorKind::Stale),
    ("RequestLimitExceeded", SystemErrorKind::Throttled),
    ("SlowDown", SystemErrorKind::Throttled),
    ("Throttling", SystemErrorKind::Throttled),
    ("ThrottlingException", SystemErrorKind::Throttled),
    ("TooManyRequestsException", SystemErrorKind::Throttled),
];

/// Code of a refusal, if it is one of the service's own.
pub(super) fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    code.or_else(|| element(error, "Code"))
}

/// An element of a refusal in XML. What refuses a signature before it asks the service may answer in XML whatever the
/// service speaks; moto does.
fn element<'a, E>(error: &'a SdkError<E, HttpResponse>, name: &str) -> Option<&'a str> {
    let body = std::str::from_utf8(error.raw_response()?.body().bytes()?).ok()?;
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(text, _)| text)
}

/// The error that it stands for. `about`: what the action was asked of.
pub(super) fn error<E>(
    system: &str,
    action: &str,
    about: &str,
    error: &SdkError<E, HttpResponse>,
) -> SystemError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let say = |kind, why: &str| SystemError::new(system, kind, format!("{action} of {about}: {why}"));
    // What our own stack said keeps its kind, and when to come back.
    if let Some(own) = find::<SystemError>(error) {
        return SystemError {
            message: format!("{action} of {about}: {}", own.message),
            ..own.clone()
        };
    }
    let reads = wire::effect(action) == Effect::Read;
    let lost = |kind| {
        if reads {
            kind
        } else {
            SystemErrorKind::OutcomeUnknown
        }
    };
    let Some(status) = error.raw_response().map(|raw| raw.status().as_u16()) else {
        if find::<CredentialsError>(error).is_some() {
            let why = "no credentials were found: the operator has no identity of its own in AWS here";
            return say(SystemErrorKind::Unauthorized, why);
        }
        // Nothing was sent: the SDK could not make a request of it.
        return say(SystemErrorKind::Refused, "the SDK could not send it");
    };
    if status >= 500 {
        return say(
            lost(SystemErrorKind::Unreachable),
            &format!("{status}: AWS failed"),
        );
    }
    if status < 400 {
        let why = format!("{status}: an answer that the SDK cannot read");
        return say(lost(SystemErrorKind::BadAnswer), &why);
    }
    let code = code(error).filter(|code| code.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'));
    let known = CODES.iter().find(|(known, _)| Some(*known) == code);
    let kind = match (known, code, status) {
        (Some((_, kind)), ..) => kind.clone(),
        (None, None, 401) => SystemErrorKind::Unauthorized,
        (None, None, 403) => SystemErrorKind::Forbidden,
        _ => SystemErrorKind::Refused,
    };
    let words = if kind == SystemErrorKind::Forbidden && known.is_some() {
        let own = error.as_service_error().and_then(ProvideErrorMetadata::message);
        own.or_else(|| element(error, "Message"))
            .map(|words| format!(": {}", first_line(words)))
    } else {
        None
    };
    let why = format!(
        "{status} {}{}",
        code.unwrap_or("without a code"),
        words.unwrap_or_default()
    );
    say(kind, &why)
}

fn first_line(text: &str) -> String {
    text.chars().take_while(|c| !c.is_control()).take(300).collect()
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}
