//! Something between us and the real server that loses answers: the server does what it was asked, and we are told of an
//! error of the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

pub struct Relay {
    pub url: String,
    lost: Arc<Lost>,
}

struct Lost {
    server: String,
    http: reqwest::Client,
    /// Answers to writes that are yet to be lost.
    left: AtomicUsize,
}

impl Relay {
    pub async fn start(server: &str) -> Self {
        let lost = Arc::new(Lost {
            server: server.trim_end_matches('/').to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            left: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(Arc::clone(&lost));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, lost }
    }

    /// The answers to the next writes are lost.
    pub fn lose(&self, writes: usize) {
        self.lost.left.store(writes, Ordering::SeqCst);
    }
}

async fn pass(
    State(lost): State<Arc<Lost>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let url = format!("{}{uri}", lost.server);
    let mut request = lost.http.request(method.clone(), url).body(body);
    for name in ["authorization", "accept", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.bytes().await.unwrap();
    let take = |left: usize| left.checked_sub(1);
    if method != Method::GET
        && lost
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .is_ok()
    {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the gateway lost the answer").into_response();
    }
    (status, text).into_response()
}
