//! A gate in front of the real systems: counts outward writes, and can hold everything right after the Nth write has
//! taken effect, so that a test can kill the operator exactly between a write and its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::Notify;

#[derive(Default)]
struct Counter {
    writes: AtomicUsize,
    /// Hold after so many more writes; 0: never.
    hold_after: AtomicUsize,
    held: AtomicBool,
    reached: Notify,
}

/// One counter over any number of systems.
#[derive(Clone, Default)]
pub struct Gate(Arc<Counter>);

#[derive(Clone)]
struct Passage {
    upstream: String,
    counter: Arc<Counter>,
    http: reqwest::Client,
}

impl Gate {
    /// Opens a passage to a system; returns the URL to use in its place.
    pub async fn open(&self, upstream: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let passage = Passage {
            upstream: upstream.trim_end_matches('/').to_owned(),
            counter: self.0.clone(),
            http,
        };
        let router = Router::new().fallback(pass).with_state(passage);
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// Writes that took effect so far.
    pub fn writes(&self) -> usize {
        self.0.writes.load(Ordering::SeqCst)
    }

    /// Holds everything after so many more writes.
    pub fn hold_after(&self, writes: usize) {
        self.0.hold_after.store(self.writes() + writes, Ordering::SeqCst);
    }

    /// Lets everything through from now on; what was held before stays unanswered, as after a crash.
    pub fn release(&self) {
        self.0.hold_after.store(0, Ordering::SeqCst);
        self.0.held.store(false, Ordering::SeqCst);
    }

    /// Returns once the gate holds.
    pub async fn held(&self) {
        loop {
            let reached = self.0.reached.notified();
            if self.0.held.load(Ordering::SeqCst) {
                return;
            }
            reached.await;
        }
    }
}

/// Reads by POST exist: token endpoints give nothing and take nothing.
fn is_write(method: &Method, path: &str) -> bool {
    *method != Method::GET && *method != Method::HEAD && !path.contains("/oidc/")
}

async fn pass(State(passage): State<Passage>, request: Request) -> Response {
    let counter = &passage.counter;
    if counter.held.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    let (parts, body) = request.into_parts();
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |all| all.as_str())
        .to_owned();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    let mut headers = parts.headers.clone();
    headers.remove("host");
    // Bodies pass as they are: whoever unpacks must not be told that it is still packed.
    headers.remove("accept-encoding");
    let sent = passage
        .http
        .request(parts.method.clone(), format!("{}{path}", passage.upstream))
        .headers(headers)
        .body(body)
        .send()
        .await;
    let Ok(answer) = sent else {
        return Response::builder()
            .status(StatusCode::BAD_GATEWAY)
            .body(Body::empty())
            .unwrap();
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body: Bytes = answer.bytes().await.unwrap_or_default();
    if is_write(&parts.method, &path) && status.is_success() {
        let count = counter.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let limit = counter.hold_after.load(Ordering::SeqCst);
        if limit != 0 && count >= limit {
            counter.held.store(true, Ordering::SeqCst);
            counter.reached.notify_waiters();
            return std::future::pending().await;
        }
    }
    let mut response = Response::builder().status(status);
    for (name, value) in headers.iter().filter(|(name, _)| {
        !matches!(
            name.as_str(),
            "transfer-encoding" | "content-length" | "connection"
        )
    }) {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}
