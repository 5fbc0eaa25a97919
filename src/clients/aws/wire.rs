//! What the SDK sends with: our own HTTP stack, one client for each host. The SDK signs, we send what it signed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use lockstep_core::domain::ports::{Clock, Permit, SystemError, SystemErrorKind};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use url::Url;

use crate::clients::http::{Answer, BODY_LIMIT, Call, Effect, FamilyLimit, Http, HttpMetrics, HttpOptions};

/// Every action that is ever asked for, with the service it counts against and what sending it may change.
const ACTIONS: &[(&str, &str, Effect)] = &[
    ("CreateAccessKey", IAM, Effect::Once),
    ("CreateSecret", SECRETS, Effect::Once),
    ("DeleteAccessKey", IAM, Effect::Repeatable),
    ("DeleteSecret", SECRETS, Effect::Repeatable),
    ("DescribeSecret", SECRETS, Effect::Read),
    ("GetAccessKeyLastUsed", IAM, Effect::Read),
    ("GetCallerIdentity", STS, Effect::Read),
    ("GetSecretValue", SECRETS, Effect::Read),
    ("ListAccessKeys", IAM, Effect::Read),
    ("ListUsers", IAM, Effect::Read),
    ("PutSecretValue", SECRETS, Effect::Once),
    ("TagResource", SECRETS, Effect::Repeatable),
    ("UpdateSecretVersionStage", SECRETS, Effect::Once),
];
const IAM: &str = "iam";
const STS: &str = "sts";
const SECRETS: &str = "secretsmanager";
/// IAM publishes no numbers and throttles soon; Secrets Manager gives 50 a second and more to each kind of call, writes
/// of one secret aside (quotas of AWS Secrets Manager).
const LIMITS: [FamilyLimit; 3] = [
    FamilyLimit::per_second(IAM, 5),
    FamilyLimit::per_second(STS, 20),
    FamilyLimit::per_second(SECRETS, 40),
];
const TARGET: &str = "x-amz-target";

/// What an action may change; one that is not in the table may change anything.
pub(super) fn effect(action: &str) -> Effect {
    row(action).map_or(Effect::Once, |(_, _, effect)| *effect)
}

fn row(action: &str) -> Option<&'static (&'static str, &'static str, Effect)> {
    ACTIONS.iter().find(|(name, ..)| *name == action)
}

/// Shared by everything that the SDK makes of one configuration.
#[derive(Clone)]
pub(super) struct Wire(Arc<Shared>);

struct Shared {
    timeout: Duration,
    concurrency: usize,
    allow_loopback: bool,
    permit: Arc<dyn Permit>,
    clock: Arc<dyn Clock>,
    metrics: Option<Arc<HttpMetrics>>,
    hosts: Mutex<BTreeMap<String, Arc<Http>>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    pub fn new(
        timeout: Duration,
        concurrency: usize,
        allow_loopback: bool,
        permit: Arc<dyn Permit>,
        clock: Arc<dyn Clock>,
        metrics: Option<Arc<HttpMetrics>>,
    ) -> Self {
        Self(Arc::new(Shared {
            timeout,
            concurrency,
            allow_loopback,
            permit,
            clock,
            metrics,
            hosts: Mutex::default(),
        }))
    }

    fn host(&self, base: Url) -> Result<Arc<Http>, SystemError> {
        let Shared {
            timeout,
            concurrency,
            allow_loopback,
            permit,
            clock,
            metrics,
            hosts,
        } = &*self.0;
        let mut hosts = hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = hosts.get(base.as_str()) {
            return Ok(Arc::clone(http));
        }
        let options = HttpOptions {
            base: base.clone(),
            ca_pem: None,
            timeout: *timeout,
            concurrency: *concurrency,
            limits: LIMITS.to_vec(),
            allow_loopback: *allow_loopback,
            // The SDK sends its own.
            user_agent: concat!("lockstep/", env!("CARGO_PKG_VERSION")).into(),
            kind: "aws",
            body_limit: BODY_LIMIT,
        };
        let http = Http::new(options, Arc::clone(permit), Arc::clone(clock), metrics.clone())?;
        let http = Arc::new(http);
        hosts.insert(base.into(), Arc::clone(&http));
        Ok(http)
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, SystemError> {
        let refuse = |message: &str| SystemError::new("aws", SystemErrorKind::Refused, message);
        let url = Url::parse(request.uri()).map_err(|_| refuse("the SDK made no URL of its endpoint"))?;
        let base = url
            .join("/")
            .map_err(|_| refuse("the endpoint is no base of a URL"))?;
        let http = self.host(base)?;
        let action = action(&request).unwrap_or_default();
        let Some((route, family, effect)) = row(&action) else {
            return Err(http.error(
                SystemErrorKind::Refused,
                format!("{action}: no action that is ever asked for"),
            ));
        };
        let call = call(&request, &url, route, family, *effect).ok_or_else(|| {
            http.error(
                SystemErrorKind::Refused,
                format!("{action}: the SDK made a request that cannot be sent as it is"),
            )
        })?;
        response(http.send(call).await?)
    }
}

/// `secretsmanager.GetSecretValue` in a header, or `Action=ListAccessKeys&` at the beginning of a form.
fn action(request: &HttpRequest) -> Option<String> {
    if let Some(target) = request.headers().get(TARGET) {
        return target.rsplit('.').next().map(ToOwned::to_owned);
    }
    let form = std::str::from_utf8(request.body().bytes()?).ok()?;
    let action = form.strip_prefix("Action=")?;
    action.split('&').next().map(ToOwned::to_owned)
}

fn call(
    request: &HttpRequest,
    url: &Url,
    route: &'static str,
    family: &'static str,
    effect: Effect,
) -> Option<Call> {
    let method = Method::from_str(request.method()).ok()?;
    let body = request.body().bytes()?.to_vec();
    if url.query().is_some() {
        return None;
    }
    // Values go out with these and come back with them.
    let mut call = Call::new(method, route, url.path(), family, effect)
        .bytes(body)
        .mute();
    for (name, value) in request.headers() {
        let name = HeaderName::from_str(name).ok()?;
        let value = HeaderValue::from_str(value).ok()?;
        match name {
            AUTHORIZATION => call = call.auth(value),
            // Both are made anew of what is sent, and come out the same.
            HOST | CONTENT_LENGTH => {}
            name => call = call.header(name, value),
        }
    }
    Some(call)
}

fn response(answer: Answer) -> Result<HttpResponse, SystemError> {
    let status = answer.status.as_u16().try_into();
    let status = status.map_err(|_| answer.bad("answered with a status that does not exist"))?;
    let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
    for (name, value) in &answer.headers {
        if let Ok(value) = value.to_str() {
            let name = name.as_str().to_owned();
            response.headers_mut().append(name, value.to_owned());
        }
    }
    Ok(response)
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        HttpConnectorFuture::new(async move {
            let exchanged = wire.exchange(request).await;
            exchanged.map_err(|error| ConnectorError::other(Box::new(error), None))
        })
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
