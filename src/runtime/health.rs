//! `/metrics`, `/healthz` and `/readyz`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use lockstep_core::api::Promotion;
use lockstep_core::domain::ports::Clock as _;
use lockstep_core::domain::promotion::gate::break_glass::{Unreviewed, unreviewed};
use lockstep_core::domain::unattended::Unattended;
use tokio::net::TcpListener;

use super::clock::SystemClock;
use super::metrics::Metrics;
use crate::kubernetes::{KindName, Store};

/// What the pages answer from. A system outside that fails makes nobody unready: restarting would not mend it.
pub struct Health {
    pub metrics: Arc<Metrics>,
    pub store: Arc<Store>,
    pub following: AtomicBool,
}

/// Serves until dropped. Answers with the address once it listens.
pub async fn listen(address: SocketAddr, health: Arc<Health>) -> std::io::Result<impl Future<Output = ()>> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving metrics");
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(health);
    Ok(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics are served no longer");
        }
    })
}

async fn metrics(State(health): State<Arc<Health>>) -> impl IntoResponse {
    let store = &health.store;
    for kind in KindName::ALL {
        let (count, ready) = store.count(kind);
        health.metrics.objects(kind.as_str(), count, ready);
    }
    for why in Unattended::ALL {
        let (_, unattended) = store.bindings.count(|binding| why.is(binding));
        health.metrics.unattended(why, unattended);
    }
    let now = SystemClock.now();
    for review in Unreviewed::ALL {
        let is = |promotion: &Promotion| unreviewed(promotion, now) == Some(review);
        let (_, count) = store.promotions.count(is);
        health.metrics.unreviewed(review, count);
    }
    let mut strangers = BTreeSet::new();
    for credential in store.credentials.all() {
        let status = credential.status.iter();
        // Two that mint for one identity see the same strangers.
        strangers.extend(status.flat_map(|status| {
            let of = status.issuer.clone();
            status.strangers.iter().map(move |id| (of.clone(), id.clone()))
        }));
    }
    health.metrics.ungoverned(strangers.len());
    health.metrics.runs(&store.policies.all());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], health.metrics.text())
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, &'static str) {
    if health.following.load(Ordering::Relaxed) && health.store.is_synced() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the cluster has not been read yet\n",
        )
    }
}
