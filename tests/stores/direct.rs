//! AWS as its administrator asks it, past the HTTP stack that is tried out.

use std::str::FromStr as _;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

/// What clients are made of. `key`: id and secret of an access key.
pub fn config(url: &str, region: &str, key: &(String, String)) -> SdkConfig {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let credentials = Credentials::new(&key.0, &key.1, None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(Direct(http))
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .build()
}

#[derive(Clone, Debug)]
struct Direct(reqwest::Client);

impl HttpClient for Direct {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Direct {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(async move {
            let method = reqwest::Method::from_str(request.method()).unwrap();
            let mut asked = http.request(method, request.uri());
            for (name, value) in request.headers() {
                asked = asked.header(name, value);
            }
            let body = request.body().bytes().unwrap().to_vec();
            let answer = asked.body(body).send().await;
            let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
            let status = answer.status().as_u16().try_into().unwrap();
            let body = answer.bytes().await.unwrap().to_vec();
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}
