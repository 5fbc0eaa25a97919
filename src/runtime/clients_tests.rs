use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use kube::{Client as Kubernetes, Config};
use lockstep_core::domain::ports::{NoPermit, Permit};
use lockstep_core::domain::promotion::ports::reviews::Watched;
use serde_json::{Value, json};

use super::*;
use crate::clients::gerrit::GitCache;
use crate::kubernetes::{IdentityTokenRequests, Listing, Secrets};
use crate::runtime::{Metrics, SystemClock};

/// No directory can be made there, not even by root.
const NOWHERE: &str = "/dev/null/mirrors";

/// Secrets as the API server shows them.
#[derive(Default)]
struct Store {
    version: AtomicU32,
    reads: AtomicU32,
}

async fn secret(
    State(store): State<Arc<Store>>,
    Path((namespace, name)): Path<(String, String)>,
) -> Json<Value> {
    store.reads.fetch_add(1, Ordering::SeqCst);
    let version = store.version.load(Ordering::SeqCst).to_string();
    Json(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "resourceVersion": version,
            "annotations": {"lockstep.dev/host": "127.0.0.1:9"},
        },
        // "x"
        "data": {"username": "eA==", "password": "eA==", "token": "eA=="},
    }))
}

struct Denied;

impl Permit for Denied {
    fn check(&self, _: Duration) -> Result<(), NoPermit> {
        Err(NoPermit("nobody writes here".into()))
    }
}

/// Two connections to a place where nobody answers.
fn cluster(generation: i64) -> Arc<Listing> {
    let mut listing = Listing::default();
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "lockstep.dev/v1alpha1",
            "kind": kind,
            "metadata": {"namespace": "platform", "name": "prod", "uid": kind, "generation": generation},
            "spec": spec,
        })
    };
    let secret = json!({"secretRef": {"name": "login"}});
    let gerrit = json!({"url": "http://127.0.0.1:9", "auth": {"basic": secret}});
    let databricks = json!({"host": "http://127.0.0.1:9", "auth": {"personalAccessToken": secret}});
    listing.put_gerrit(serde_json::from_value(object("GerritConnection", gerrit)).unwrap());
    listing.put_databricks(serde_json::from_value(object("DatabricksConnection", databricks)).unwrap());
    Arc::new(listing)
}

fn key(kind: ConnectionKind) -> ConnectionKey {
    ConnectionKey {
        kind,
        namespace: "platform".into(),
        name: "prod".into(),
    }
}

async fn world() -> (Clients, Arc<Store>) {
    let store = Arc::new(Store::default());
    let router = Router::new()
        .route("/api/v1/namespaces/{namespace}/secrets/{name}", get(secret))
        .with_state(store.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Kubernetes::try_from(Config::new(format!("http://{address}").parse().unwrap())).unwrap();
    let adapters = Adapters {
        kubernetes: client.clone(),
        secrets: Secrets::new(client.clone()),
        tokens: IdentityTokenRequests::new(client),
        permit: Arc::new(Denied),
        clock: Arc::new(SystemClock),
        metrics: Metrics::default().clients(),
        git_cache: GitCache::below(NOWHERE),
        allow_loopback: true,
    };
    (Clients::new(cluster(1), cluster(1), adapters), store)
}

async fn review(clients: &Clients) -> Arc<dyn Review> {
    Reviews::open(clients, &key(ConnectionKind::Gerrit))
        .await
        .unwrap()
}

async fn deployment(clients: &Clients) -> Arc<dyn Deployment> {
    Deployments::open(clients, &key(ConnectionKind::Databricks))
        .await
        .unwrap()
}

#[tokio::test]
async fn access_reviews_and_deployments_have_one_client_made_once() {
    let (clients, store) = world().await;
    for kind in [ConnectionKind::Gerrit, ConnectionKind::Databricks] {
        Systems::open(&clients, &key(kind)).await.unwrap();
    }
    assert!(Arc::ptr_eq(&review(&clients).await, &review(&clients).await));
    assert!(Arc::ptr_eq(
        &deployment(&clients).await,
        &deployment(&clients).await
    ));
    assert_eq!(
        store.reads.load(Ordering::SeqCst),
        2,
        "one Secret for each connection"
    );
}

#[tokio::test]
async fn a_review_and_a_deployment_go_with_the_spec_and_the_secret_they_were_made_from() {
    let (mut clients, store) = world().await;
    let (first, beside) = (review(&clients).await, deployment(&clients).await);
    clients.cluster = cluster(2);
    let second = review(&clients).await;
    assert!(!Arc::ptr_eq(&first, &second), "the spec changed");
    assert!(
        !Arc::ptr_eq(&beside, &deployment(&clients).await),
        "the spec changed"
    );

    let gerrit = key(ConnectionKind::Gerrit);
    clients.reach(&gerrit, true).await.unwrap();
    assert!(Arc::ptr_eq(&second, &review(&clients).await), "nothing changed");
    store.version.fetch_add(1, Ordering::SeqCst);
    clients.reach(&gerrit, true).await.unwrap();
    assert!(
        !Arc::ptr_eq(&second, &review(&clients).await),
        "the Secret changed"
    );
}

#[tokio::test]
async fn a_connection_of_the_wrong_kind_is_refused_by_name() {
    let (clients, _store) = world().await;
    let invalid = SystemErrorKind::Connection(Reason::InvalidSpec);
    let opened = Reviews::open(&clients, &key(ConnectionKind::Databricks)).await;
    let error = opened.err().unwrap();
    assert_eq!(error.kind, invalid);
    assert!(
        error
            .message
            .contains("DatabricksConnection platform/prod reviews no changes"),
        "{error}"
    );
    let opened = Deployments::open(&clients, &key(ConnectionKind::Gerrit)).await;
    let error = opened.err().unwrap();
    assert_eq!(error.kind, invalid);
    assert!(
        error
            .message
            .contains("GerritConnection platform/prod runs nothing"),
        "{error}"
    );
}

#[tokio::test]
async fn a_branch_is_mirrored_in_the_operators_git_cache() {
    let (clients, _store) = world().await;
    let on = Watched {
        project: "p".into(),
        branch: "prod".into(),
    };
    let repository = review(&clients).await.repository(&on);
    let tip = lockstep_core::domain::promotion::gate::evidence::CommitId("0".repeat(40));
    let error = repository.fetch(&tip).await.unwrap_err();
    assert!(error.message.contains(NOWHERE), "{error}");
}
