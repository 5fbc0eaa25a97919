//! What reaches the systems, counted outside the operator.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::sim::Sim;

/// Calls in some span of time.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    pub writes: u64,
    pub bytes: u64,
    /// Requests by method and route.
    pub routes: BTreeMap<String, u64>,
}

impl Calls {
    pub fn requests(&self) -> u64 {
        self.routes.values().sum()
    }

    pub fn and(mut self, other: Self) -> Self {
        self.writes += other.writes;
        self.bytes += other.bytes;
        self.routes.extend(other.routes);
        self
    }

    pub fn since(&self, before: &Self) -> Self {
        let earlier = |route: &String| before.routes.get(route).copied().unwrap_or_default();
        let routes = self
            .routes
            .iter()
            .map(|(route, count)| (route.clone(), count - earlier(route)));
        Self {
            writes: self.writes - before.writes,
            bytes: self.bytes - before.bytes,
            routes: routes.filter(|(_, count)| *count > 0).collect(),
        }
    }

    pub fn print(&self) {
        for (route, count) in &self.routes {
            eprintln!("{count:>8}  {route}");
        }
    }
}

/// What the simulator has counted.
pub async fn of_simulator(sim: &Sim) -> Calls {
    let counts = sim.control(reqwest::Method::GET, "counts", None).await;
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let routes = counts["routes"].as_object().into_iter().flatten();
    Calls {
        writes: number(&counts["effects"]),
        bytes: number(&counts["requestBytes"]) + number(&counts["responseBytes"]),
        routes: routes
            .map(|(route, count)| (route.clone(), number(&count["requests"])))
            .collect(),
    }
}

/// Writes that the API server has served, by verb and resource, but for those of leases.
pub async fn kubernetes_writes(kube: &kube::Client) -> Calls {
    let request = axum::http::Request::get("/metrics").body(Vec::new()).unwrap();
    let text = kube.request_text(request).await.unwrap();
    let mut calls = Calls::default();
    let counted = text
        .lines()
        .filter_map(|line| line.strip_prefix("apiserver_request_total{"));
    for line in counted {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap_or_default();
            rest.split('"').next().unwrap_or_default().to_owned()
        };
        let (verb, resource) = (label("verb"), label("resource"));
        let writes = ["POST", "PUT", "PATCH", "APPLY", "DELETE"].contains(&verb.as_str());
        // A review asks a question.
        if writes && resource != "leases" && !resource.ends_with("reviews") {
            let count = line
                .rsplit_once(' ')
                .and_then(|(_, count)| count.parse::<f64>().ok());
            let route = format!("{verb} {}{resource}/{}", label("group"), label("subresource"));
            *calls.routes.entry(route).or_default() += count.unwrap_or_default() as u64;
        }
    }
    calls.writes = calls.requests();
    calls
}

/// Passes everything on to one system and counts it.
#[derive(Clone)]
pub struct Passage {
    pub url: String,
    upstream: String,
    http: reqwest::Client,
    calls: Arc<Mutex<Calls>>,
}

impl Passage {
    pub async fn open(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let passage = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            upstream: upstream.trim_end_matches('/').to_owned(),
            // Packed bodies pass as they are: what counts is what goes over the wire.
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_gzip()
                .build()
                .unwrap(),
            calls: Arc::default(),
        };
        let router = Router::new().fallback(pass).with_state(passage.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        passage
    }

    pub fn calls(&self) -> Calls {
        self.calls.lock().unwrap().clone()
    }
}

/// A path without what names one object.
fn route(method: &Method, path: &str) -> String {
    let named = ["groups", "accounts", "projects"];
    let mut out = format!("{method} ");
    let mut before = "";
    for part in path.split('/').filter(|part| !part.is_empty()) {
        out.push('/');
        out.push_str(if named.contains(&before) { "{}" } else { part });
        before = part;
    }
    out
}

async fn pass(State(passage): State<Passage>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |all| all.as_str())
        .to_owned();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    let sent = body.len();
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    let answer = passage
        .http
        .request(parts.method.clone(), format!("{}{path}", passage.upstream))
        .headers(headers)
        .body(body)
        .send()
        .await;
    let failed = |status| Response::builder().status(status).body(Body::empty()).unwrap();
    let Ok(answer) = answer else {
        return failed(StatusCode::BAD_GATEWAY);
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let Ok(body) = answer.bytes().await else {
        return failed(StatusCode::BAD_GATEWAY);
    };
    {
        let mut calls = passage.calls.lock().unwrap();
        let write = parts.method != Method::GET && parts.method != Method::HEAD;
        calls.writes += u64::from(write && status.is_success());
        calls.bytes += (sent + body.len()) as u64;
        *calls
            .routes
            .entry(route(&parts.method, parts.uri.path()))
            .or_default() += 1;
    }
    let mut response = Response::builder().status(status);
    let ours = [
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::CONNECTION,
    ];
    for (name, value) in headers.iter().filter(|(name, _)| !ours.contains(name)) {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}
