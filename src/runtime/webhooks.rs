//! Where Gerrit posts what happened. Nothing there is signed, so nothing is believed: whoever knows a connection's path
//! can make us look sooner, and everybody else finds nothing. It listens apart from metrics, because it is the one
//! thing here that strangers reach, and what they can use up is bounded: connections, their time, bytes and hints.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use kube::ResourceExt as _;
use lockstep_core::api::GerritConnection;
use lockstep_core::domain::hint::Hint;
use lockstep_core::domain::ports::{ConnectionKey, ConnectionKind};
use rustls::crypto::ring;
use subtle::ConstantTimeEq as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::hints::{Added, Hints};
use super::metrics::Metrics;
use crate::clients::gerrit;
use crate::controllers::connections::webhook::{DIGITS, token, token_of};

/// Bytes of a body. An event carries the commit message, and few of those are longer than a page.
const BODY: usize = 256 * 1024;
/// Bytes of a request's head.
const HEAD: usize = 16 * 1024;
/// Connections open at once. Further ones wait to be accepted.
const CONNECTIONS: usize = 64;
/// How long one may stay open: twice as long as Gerrit's plugin waits for an answer.
const OPEN: Duration = Duration::from_secs(10);

/// What became of a request. Gerrit takes 202 for success and tries again after everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Something in it waits to be looked at.
    Accepted,
    /// All of it waits already.
    Known,
    /// It names nothing that anybody could govern.
    Ignored,
    /// It is no event of Gerrit's. Trying again would not mend it.
    Unreadable,
    TooLarge,
    /// No connection is hinted at there.
    UnknownPath,
    /// Too much waits already.
    Full,
    NotLeading,
}

impl Received {
    /// As metrics spell it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Known => "known",
            Self::Ignored => "ignored",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::UnknownPath => "unknown_path",
            Self::Full => "full",
            Self::NotLeading => "not_leading",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Accepted | Self::Known | Self::Ignored | Self::Unreadable => StatusCode::ACCEPTED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Full => StatusCode::TOO_MANY_REQUESTS,
            Self::NotLeading => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// What requests are answered from.
pub(super) struct Endpoint {
    /// Every Gerrit connection there is.
    pub connections: Box<dyn Fn() -> Vec<Arc<GerritConnection>> + Send + Sync>,
    pub hints: Arc<Hints>,
    pub metrics: Arc<Metrics>,
}

/// A token that nobody can guess; `None`: the system gives no randomness now.
pub(super) fn draw() -> Option<String> {
    let mut bytes = [0; DIGITS / 2];
    ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

/// Serves until dropped. Answers once it listens.
pub(super) async fn listen(
    address: SocketAddr,
    endpoint: Endpoint,
) -> std::io::Result<impl Future<Output = ()>> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "hearing webhooks");
    Ok(serve(listener, Arc::new(endpoint), OPEN))
}

/// `limit`: how long a connection may stay open.
async fn serve(listener: TcpListener, endpoint: Arc<Endpoint>, limit: Duration) {
    let router = Router::new().fallback(receive).with_state(endpoint);
    let mut server = Builder::new(TokioExecutor::new()).http1_only();
    // One request each, so that a connection's bounds are a request's.
    server.http1().keep_alive(false).max_buf_size(HEAD);
    let server = Arc::new(server);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if open.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    let connection = answer(stream, server.clone(), router.clone());
                    // Who is slow is cut off.
                    open.spawn(timeout(limit, connection));
                }
                Err(error) => {
                    // Of this machine, not of a caller: out of file handles, for example.
                    tracing::warn!(%error, "cannot accept webhooks");
                    sleep(Duration::from_secs(1)).await;
                }
            },
            Some(_) = open.join_next() => {}
        }
    }
}

async fn answer(stream: TcpStream, server: Arc<Builder<TokioExecutor>>, router: Router) {
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Who breaks the protocol harms nobody else.
    let _ = connection.await;
}

async fn receive(State(endpoint): State<Arc<Endpoint>>, request: Request) -> StatusCode {
    let received = endpoint.receive(request).await;
    endpoint.metrics.webhook(received);
    received.status()
}

impl Endpoint {
    async fn receive(&self, request: Request) -> Received {
        let Some(connection) = self.connection_of(request.uri().path()) else {
            return Received::UnknownPath;
        };
        if *request.method() != Method::POST {
            return Received::UnknownPath;
        }
        if !self.hints.is_hearing() {
            return Received::NotLeading;
        }
        // Fails also if the connection breaks, and then nobody hears the answer.
        let Ok(body) = to_bytes(request.into_body(), BODY).await else {
            return Received::TooLarge;
        };
        match gerrit::hints(&body) {
            Ok(hints) => self.take_in(&connection, hints),
            Err(error) => {
                tracing::debug!(%connection, %error, "a webhook was not understood");
                Received::Unreadable
            }
        }
    }

    /// The connection that a path belongs to. Every token is compared to its end, so that the time it takes tells
    /// nothing of any.
    fn connection_of(&self, path: &str) -> Option<ConnectionKey> {
        let asked = token(path)?;
        let mut found = None;
        for connection in (self.connections)() {
            let known = token_of(&connection);
            if known.is_some_and(|known| known.as_bytes().ct_eq(asked.as_bytes()).into()) {
                found = Some(ConnectionKey {
                    kind: ConnectionKind::Gerrit,
                    namespace: connection.namespace().unwrap_or_default(),
                    name: connection.name_any(),
                });
            }
        }
        found
    }

    fn take_in(&self, connection: &ConnectionKey, hints: BTreeSet<Hint>) -> Received {
        let added: Vec<Added> = hints
            .into_iter()
            .map(|hint| self.hints.add(connection, hint))
            .collect();
        // The worst first: what did not fit must be posted again, and the rest of it then is known.
        let came_to = [
            (Added::NotLeading, Received::NotLeading),
            (Added::Full, Received::Full),
            (Added::New, Received::Accepted),
            (Added::Known, Received::Known),
        ];
        let worst = came_to.into_iter().find(|(one, _)| added.contains(one));
        worst.map_or(Received::Ignored, |(_, received)| received)
    }
}

#[cfg(test)]
#[path = "webhooks_tests.rs"]
mod tests;
