//! A gate in front of a real system. It counts what passes, holds everything right after the Nth write has taken
//! effect, so that the operator can be killed exactly between a write and its answer, and makes trouble on request.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What a client gets to hear instead of the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The connection ends without a byte.
    Down,
    /// A login page, as a gateway in between shows it.
    LoginPage,
    /// A redirect to a login page elsewhere.
    LoginRedirect,
    /// Ten megabytes of nothing.
    Huge,
    /// Half of a JSON document.
    Garbage,
    /// An error that repeats the request with all its headers.
    Echo,
    /// This status and body, for writes whose path contains this word.
    RefuseWrites(String, u16, String),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub method: Method,
    pub path: String,
    /// Whether it showed a credential in its headers.
    pub authorized: bool,
}

impl Arrival {
    /// Whether a token was asked for.
    pub fn is_login(&self) -> bool {
        self.method == Method::POST && self.path.contains("/oidc/")
    }
}

#[derive(Default)]
struct Counter {
    arrivals: Mutex<Vec<Arrival>>,
    writes: AtomicUsize,
    /// Hold after so many more writes; 0: never.
    hold_after: AtomicUsize,
    held: AtomicBool,
    reached: Notify,
    last: Mutex<String>,
    trouble: Mutex<Option<Trouble>>,
    date: Mutex<Option<String>>,
}

/// One counter over any number of systems.
#[derive(Clone, Default)]
pub struct Gate(Arc<Counter>);

#[derive(Clone)]
struct Passage {
    upstream: String,
    /// What the upstream's answers must call it, so that whoever follows them comes through here.
    own: String,
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
            own: url.clone(),
            counter: self.0.clone(),
            http,
        };
        let router = Router::new().fallback(pass).with_state(passage);
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// Opens a passage to a cluster, in which only writes of Secrets count: everything else is ours to remember by. Returns
    /// the kubeconfig of whoever goes through it.
    pub async fn open_cluster(&self, cluster: kube::Client) -> Value {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .fallback(pass_to_cluster)
            .with_state((cluster, self.0.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "gate",
            "clusters": [{"name": "gate", "cluster": {"server": url}}],
            "users": [{"name": "gate", "user": {}}],
            "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "gate"}}],
        })
    }

    /// Requests that arrived so far, whatever became of them.
    pub fn requests(&self) -> usize {
        self.0.arrivals.lock().unwrap().len()
    }

    /// All of them, in order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.0.arrivals.lock().unwrap().clone()
    }

    /// How many requests of one kind arrived so far.
    pub fn arrived(&self, kind: impl Fn(&Arrival) -> bool) -> usize {
        self.arrivals().iter().filter(|arrival| kind(arrival)).count()
    }

    /// Writes that took effect so far.
    pub fn writes(&self) -> usize {
        self.0.writes.load(Ordering::SeqCst)
    }

    /// The write that took effect last.
    pub fn last_write(&self) -> String {
        self.0.last.lock().unwrap().clone()
    }

    pub fn trouble(&self, trouble: Option<Trouble>) {
        *self.0.trouble.lock().unwrap() = trouble;
    }

    /// What the system's clock says in its answers.
    pub fn date(&self, date: &str) {
        *self.0.date.lock().unwrap() = Some(date.to_owned());
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

/// Reads by POST exist: token endpoints and git's fetching give nothing and take nothing.
fn is_write(method: &Method, path: &str) -> bool {
    let reads = path.contains("/oidc/") || path.ends_with("/git-upload-pack");
    *method != Method::GET && *method != Method::HEAD && !reads
}

fn answer(status: u16, kind: &str, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(body.into())
        .unwrap()
}

/// The answer of a system in trouble.
fn troubled(trouble: Trouble, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response> {
    let page = "<html><title>Log in</title><form>Who are you?</form></html>";
    Some(match trouble {
        // Ends the task that serves the connection, without a word.
        Trouble::Down => std::panic::resume_unwind(Box::new("down")),
        Trouble::LoginPage => answer(200, "text/html", page),
        Trouble::LoginRedirect => Response::builder()
            .status(302)
            .header("location", "http://127.0.0.1:9/login")
            .body(Body::empty())
            .unwrap(),
        Trouble::Huge => answer(200, "application/json", format!("[\"{}\"]", "x".repeat(10 << 20))),
        Trouble::Garbage => answer(200, "application/json", ")]}'\n{\"version\": [\"3."),
        Trouble::Echo => answer(
            500,
            "application/json",
            format!("{{\"message\": \"{headers:?}\"}}"),
        ),
        Trouble::RefuseWrites(word, status, body) if is_write(method, path) && path.contains(&word) => {
            answer(status, "application/json", body)
        }
        Trouble::RefuseWrites(..) => return None,
    })
}

impl Counter {
    /// Counts a write. The one that was waited for is never answered.
    async fn took_effect(&self, method: &Method, path: &str) {
        *self.last.lock().unwrap() = format!("{method} {path}");
        let count = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let limit = self.hold_after.load(Ordering::SeqCst);
        if limit != 0 && count >= limit {
            self.held.store(true, Ordering::SeqCst);
            self.reached.notify_waiters();
            std::future::pending::<()>().await;
        }
    }
}

async fn pass_to_cluster(
    State((cluster, counter)): State<(kube::Client, Arc<Counter>)>,
    request: Request,
) -> Response {
    if counter.held.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    let (mut parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    parts.headers.remove("host");
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let request = axum::http::Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
    let Ok(answer) = cluster.send(request).await else {
        return answer(502, "text/plain", "nobody there");
    };
    // The key of fingerprints is made once for a cluster, and no value of anybody's.
    let value = path.contains("/secrets") && !path.contains("/namespaces/lockstep-system/");
    if is_write(&method, &path) && value && answer.status().is_success() {
        counter.took_effect(&method, &path).await;
    }
    // Watches go on for ever: what arrives is passed on as it comes.
    answer.map(Body::new)
}

async fn pass(State(passage): State<Passage>, request: Request) -> Response {
    let counter = &passage.counter;
    counter.arrivals.lock().unwrap().push(Arrival {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        authorized: request.headers().contains_key("authorization"),
    });
    if counter.held.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    let (parts, body) = request.into_parts();
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |all| all.as_str())
        .to_owned();
    let trouble = counter.trouble.lock().unwrap().clone();
    if let Some(trouble) = trouble
        && let Some(response) = troubled(trouble, &parts.method, &path, &parts.headers)
    {
        return response;
    }
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
    let Ok(upstream) = sent else {
        return answer(502, "text/plain", "nobody there");
    };
    let (status, headers) = (upstream.status(), upstream.headers().clone());
    let body: Bytes = upstream.bytes().await.unwrap_or_default();
    let body = match std::str::from_utf8(&body) {
        Ok(text) if text.contains(&passage.upstream) => text.replace(&passage.upstream, &passage.own).into(),
        _ => body,
    };
    if is_write(&parts.method, &path) && status.is_success() {
        counter.took_effect(&parts.method, parts.uri.path()).await;
    }
    let mut response = Response::builder().status(status);
    for (name, value) in headers.iter().filter(|(name, _)| {
        !matches!(
            name.as_str(),
            "transfer-encoding" | "content-length" | "connection" | "date"
        )
    }) {
        response = response.header(name, value);
    }
    if let Some(date) = counter.date.lock().unwrap().clone() {
        response = response.header("date", date);
    }
    response.body(Body::from(body)).unwrap()
}
