//! One attempt at one call: the guards in their order, the exchange itself, and what its failure means.

use std::error::Error;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Request, StatusCode, Url};
use std::sync::atomic::Ordering;
use tokio::io::AsyncWriteExt as _;

use super::address::Refused;
use super::answer::{Answer, Asked, secrets_of};
use super::call::{Body, Call, Effect};
use super::limit::Family;
use super::{Http, redact};

/// A wait that is worth staying for; whoever is told to wait longer comes back in a later pass.
const SHORT: Duration = Duration::from_secs(5);
/// No system means a longer wait than this; whoever says so is misconfigured or hostile.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

const TOO_LONG: &str = "the answer is longer than";

/// Whether a read failed because of nothing but the length of its answer, so that asking for less will do.
pub fn is_too_long(error: &SystemError) -> bool {
    error.kind == SystemErrorKind::BadAnswer && error.message.contains(TOO_LONG)
}

/// Whether the last that was heard was 503: what a system says that is there and does not serve.
pub fn is_unavailable(error: &SystemError) -> bool {
    error.kind == SystemErrorKind::Unreachable && error.message.contains("503 Service Unavailable")
}

/// An attempt that came to nothing.
pub(super) struct Fault {
    pub error: SystemError,
    /// Whether sending again can do no harm and may help.
    pub repeatable: bool,
}

impl From<SystemError> for Fault {
    fn from(error: SystemError) -> Self {
        Self {
            error,
            repeatable: false,
        }
    }
}

impl Http {
    /// Breaker, rate, room, permit, exchange: in this order, so that nothing is held while something is waited for
    /// and the permit is the last thing that is checked.
    pub(super) async fn attempt(&self, call: &Call, url: &Url) -> Result<Answer, Fault> {
        self.breaker.admit(Instant::now()).map_err(|wait| {
            self.show_breaker();
            self.later(
                SystemErrorKind::Unreachable,
                wait,
                format!(
                    "{}: not sent, because the system did not answer several times in a row",
                    call.label()
                ),
            )
        })?;
        let family = self.families.get(call.family);
        let queued = Instant::now();
        let turn = family.turn(self.timeout).await;
        if let Some(metrics) = &self.metrics {
            metrics.waited(self.kind, call.family, queued.elapsed());
        }
        turn.map_err(|wait| {
            self.later(
                SystemErrorKind::Throttled,
                wait,
                format!(
                    "{}: the request budget for {} calls is used up",
                    call.label(),
                    call.family
                ),
            )
        })?;
        let room = tokio::time::timeout(self.timeout, self.room.acquire()).await;
        let Ok(Ok(_room)) = room else {
            let message = format!("{}: too many requests are under way", call.label());
            return Err(self
                .later(SystemErrorKind::Throttled, self.timeout, message)
                .into());
        };
        let request = Self::request(call, url.clone());
        if call.effect != Effect::Read {
            self.permit.check(self.timeout).map_err(|refusal| {
                self.error(
                    SystemErrorKind::NoPermit,
                    format!("{}: not sent: {refusal}", call.label()),
                )
            })?;
        }
        let _in_flight = self
            .metrics
            .as_ref()
            .map(|metrics| metrics.in_flight(self.kind, &self.host));
        let begun = Instant::now();
        let patience = call.spool.as_ref().map_or(self.timeout, |spool| spool.patience);
        let exchange = tokio::time::timeout(patience, self.exchange(call, request)).await;
        let result = match exchange {
            Ok(Ok(answer)) => self.judge(call, family, answer),
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(self.lost(
                call,
                &format!("no complete answer within {} s", patience.as_secs_f32()),
            )),
        };
        self.account(call, &result, begun.elapsed());
        result
    }

    fn request(call: &Call, url: Url) -> Request {
        let mut request = Request::new(call.method.clone(), url);
        let headers = request.headers_mut();
        headers.extend(call.headers.clone());
        if let Some(auth) = &call.auth {
            headers.insert(AUTHORIZATION, auth.clone());
        }
        let (kind, body): (_, reqwest::Body) = match &call.body {
            Body::None => return request,
            // Gerrit answers 400 to JSON without this very charset.
            Body::Json(text) => ("application/json; charset=UTF-8", text.clone().into()),
            Body::Bytes(bytes) => ("application/octet-stream", bytes.clone().into()),
            Body::Form(fields) => {
                let text = url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(fields)
                    .finish();
                ("application/x-www-form-urlencoded", text.into())
            }
        };
        headers
            .entry(CONTENT_TYPE)
            .or_insert(reqwest::header::HeaderValue::from_static(kind));
        *request.body_mut() = Some(body);
        request
    }

    /// Sends and reads up to the limit.
    async fn exchange(&self, call: &Call, request: Request) -> Result<Answer, Fault> {
        let sent = request
            .body()
            .and_then(reqwest::Body::as_bytes)
            .map_or(0, <[u8]>::len);
        let local = self.clock.now();
        let mut response = self
            .client
            .execute(request)
            .await
            .map_err(|error| self.failed(call, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.see_date(&headers, local);
        let mut body = Vec::new();
        let mut spool = match &call.spool {
            Some(spool) if status.is_success() => {
                let created = tokio::fs::File::create(&spool.path).await;
                Some(created.map_err(|error| self.unspooled(call, &error))?)
            }
            _ => None,
        };
        let mut received = 0;
        let longest = call.longest.unwrap_or(self.body_limit);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if spool.is_none() && body.len() + chunk.len() > longest => {
                    let message = format!("{TOO_LONG} {longest} bytes");
                    return Err(match call.effect {
                        Effect::Read => self.bad(call, &message).into(),
                        Effect::Repeatable | Effect::Once => self.lost(call, &message),
                    });
                }
                Ok(Some(chunk)) => {
                    received += chunk.len();
                    match &mut spool {
                        None => body.extend_from_slice(&chunk),
                        Some(file) => {
                            let written = file.write_all(&chunk).await;
                            written.map_err(|error| self.unspooled(call, &error))?;
                        }
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    return Err(self.lost(call, &format!("the answer broke off: {}", chain(&error))));
                }
            }
        }
        if let Some(mut file) = spool {
            let flushed = file.flush().await;
            flushed.map_err(|error| self.unspooled(call, &error))?;
        }
        if let Some(metrics) = &self.metrics {
            metrics.bytes(self.kind, sent, received);
        }
        match status {
            StatusCode::UNAUTHORIZED => self.authenticated.store(false, Ordering::Relaxed),
            status if status.is_success() && call.auth.is_some() => {
                self.authenticated.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        let asked = Asked {
            system: self.system().to_owned(),
            label: call.label(),
            effect: call.effect,
            // A host that we have not logged in to may be anybody's: what it says is not repeated.
            echo: !call.mute && self.authenticated.load(Ordering::Relaxed),
            secrets: secrets_of(call),
        };
        Ok(Answer {
            status,
            headers,
            body,
            asked,
        })
    }

    /// Answers that are none: asked to wait, led elsewhere, or a gateway's word instead of the system's.
    fn judge(&self, call: &Call, family: &Family, answer: Answer) -> Result<Answer, Fault> {
        let told = retry_after(&answer.headers, self.clock.now());
        let limited = answer.status == StatusCode::INTERNAL_SERVER_ERROR
            && contains(&answer.body, b"REQUEST_LIMIT_EXCEEDED");
        if answer.status == StatusCode::TOO_MANY_REQUESTS || limited {
            return Err(self.throttled(call, family, told, &answer));
        }
        if answer.status == StatusCode::SERVICE_UNAVAILABLE && told.is_some() {
            let mut fault = self.throttled(call, family, told, &answer);
            if call.effect == Effect::Once {
                // Unlike 429, a 503 does not promise that nothing was done.
                fault.error.kind = SystemErrorKind::OutcomeUnknown;
                fault.repeatable = false;
            }
            return Err(fault);
        }
        if answer.status.is_redirection() && answer.status != StatusCode::NOT_MODIFIED {
            return Err(self
                .bad(
                    call,
                    "answered with a redirect, as login pages do; the URL must be the final one",
                )
                .into());
        }
        family.served();
        let gateway = matches!(
            answer.status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        );
        if gateway && call.effect != Effect::Once {
            return Err(Fault {
                error: answer.error(),
                repeatable: true,
            });
        }
        Ok(answer)
    }

    fn throttled(&self, call: &Call, family: &Family, told: Option<Duration>, answer: &Answer) -> Fault {
        let wait = family.leave_alone(told);
        let message = format!(
            "{}: {}: asked to wait {} s{}",
            call.label(),
            answer.status.as_u16(),
            wait.as_secs(),
            answer.quote()
        );
        Fault {
            error: self.later(SystemErrorKind::Throttled, wait, message),
            repeatable: wait <= SHORT,
        }
    }

    /// No answer arrived at all.
    fn failed(&self, call: &Call, error: &reqwest::Error) -> Fault {
        if let Some(refused) = find::<Refused>(error) {
            let kind = SystemErrorKind::Connection(Reason::HostRefused);
            return self.error(kind, format!("{}: {refused}", call.label())).into();
        }
        if error.is_connect() {
            // Nothing was sent, so whatever it was can be sent again.
            return Fault {
                error: self.error(
                    SystemErrorKind::Unreachable,
                    format!("{}: no connection: {}", call.label(), chain(error)),
                ),
                repeatable: true,
            };
        }
        self.lost(call, &chain(error))
    }

    /// It was sent, and what came of it is unknown.
    fn lost(&self, call: &Call, why: &str) -> Fault {
        let kind = match call.effect {
            Effect::Read => SystemErrorKind::Unreachable,
            Effect::Repeatable | Effect::Once => SystemErrorKind::OutcomeUnknown,
        };
        Fault {
            error: self.error(kind, format!("{}: {why}", call.label())),
            repeatable: call.effect != Effect::Once,
        }
    }

    /// An answer came and could not be kept.
    fn unspooled(&self, call: &Call, error: &std::io::Error) -> SystemError {
        let message = format!(
            "{}: the answer could not be written to disk: {error}",
            call.label()
        );
        self.error(SystemErrorKind::BadAnswer, message)
    }

    fn bad(&self, call: &Call, why: &str) -> SystemError {
        self.error(SystemErrorKind::BadAnswer, format!("{}: {why}", call.label()))
    }

    /// An error with the time after which asking again makes sense.
    fn later(&self, kind: SystemErrorKind, wait: Duration, message: String) -> SystemError {
        let mut error = self.error(kind, message);
        error.retry_at = SignedDuration::try_from(wait)
            .ok()
            .and_then(|wait| self.clock.now().checked_add(wait).ok());
        error
    }

    /// Tells breaker and metrics how it went.
    fn account(&self, call: &Call, result: &Result<Answer, Fault>, took: Duration) {
        let code = match result {
            Ok(answer) => answer.status.as_str().to_owned(),
            Err(fault) => format!("{:?}", fault.error.kind),
        };
        let down = match result {
            Ok(answer) => matches!(answer.status.as_u16(), 502..=504),
            Err(fault) => matches!(
                fault.error.kind,
                SystemErrorKind::Unreachable | SystemErrorKind::OutcomeUnknown
            ),
        };
        if down {
            self.breaker.failed(Instant::now());
        } else {
            self.breaker.succeeded();
        }
        self.show_breaker();
        if let Some(metrics) = &self.metrics {
            metrics.done(self.kind, call, code, took);
        }
    }

    fn show_breaker(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.breaker(self.kind, &self.host, self.breaker.position());
        }
    }

    fn see_date(&self, headers: &HeaderMap, local: Timestamp) {
        let date = headers
            .get(DATE)
            .and_then(|value| http_date(value.to_str().ok()?));
        if let Some(date) = date {
            self.skew
                .store(date.as_second() - local.as_second(), Ordering::Relaxed);
        }
    }
}

/// Seconds, or a date (RFC 9110).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(http_date(text)?.duration_since(now)).unwrap_or(Duration::ZERO),
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
}

fn contains(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len()).any(|window| window == word)
}

/// The causes of an error in one line. The URL is left out, since the call's label says it already.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
        next = cause.source();
    }
    if words.is_empty() {
        words.push(error.to_string());
    }
    redact::show(&words.join(": "), &[])
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
