//! The operator's own identity, by the SDK's chain: environment, profile, web identity, container, instance. Its sources
//! are the operator's environment and no object's, so they are asked past our HTTP stack, which refuses the link-local
//! addresses that some of them have.

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use reqwest::header::{HOST, HeaderName};
use reqwest::{Method, Url};

/// Longest exchange where the SDK states none; it states one where it tries whether something is there at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// Credentials that are looked for when they are first needed, and again before they end.
pub(super) async fn credentials(region: &str) -> SharedCredentialsProvider {
    let sources = ProviderConfig::without_region()
        .with_region(Some(Region::new(region.to_owned())))
        .with_http_client(Direct);
    let chain = DefaultCredentialsChain::builder().configure(sources).build();
    SharedCredentialsProvider::new(chain.await)
}

/// Straight there.
#[derive(Debug)]
struct Direct;

struct Connector(Option<reqwest::Client>);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpClient for Direct {
    fn http_connector(&self, stated: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(stated.connect_timeout().unwrap_or(PATIENCE))
            .timeout(stated.read_timeout().unwrap_or(PATIENCE))
            .build();
        SharedHttpConnector::new(Connector(client.ok()))
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let client = client.ok_or_else(|| other("TLS cannot be set up"))?;
            exchange(&client, request).await
        })
    }
}

async fn exchange(client: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let method = Method::from_str(request.method()).map_err(|_| other("no method"))?;
    let url = Url::parse(request.uri()).map_err(|_| other("no URL"))?;
    let mut asked = client.request(method, url);
    for (name, value) in request.headers() {
        if HeaderName::from_str(name).is_ok_and(|name| name != HOST) {
            asked = asked.header(name, value);
        }
    }
    if let Some(body) = request.body().bytes() {
        asked = asked.body(body.to_vec());
    }
    let answer = asked.send().await.map_err(failed)?;
    let status = answer.status().as_u16().try_into();
    let status = status.map_err(|_| other("a status that does not exist"))?;
    let headers = answer.headers().clone();
    let body = answer.bytes().await.map_err(failed)?.to_vec();
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in &headers {
        if let Ok(value) = value.to_str() {
            let name = name.as_str().to_owned();
            response.headers_mut().append(name, value.to_owned());
        }
    }
    Ok(response)
}

/// The URL is left out: it may hold a token.
fn failed(error: reqwest::Error) -> ConnectorError {
    let timeout = error.is_timeout();
    let error = error.without_url();
    if timeout {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

fn other(why: &'static str) -> ConnectorError {
    ConnectorError::other(why.into(), None)
}
