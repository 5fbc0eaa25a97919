use std::sync::{Arc, Mutex};

use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch};
use axum::{Json, Router};
use kube::Config;
use lockstep_core::api::CANCEL;
use serde_json::{Value, json};

use super::*;

fn status(code: u16, reason: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
                      "message": reason});
    (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
}

fn promotion(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "lockstep.dev/v1alpha1", "kind": "Promotion",
           "metadata": {"name": name, "namespace": "ml", "uid": format!("uid-{name}")}, "spec": spec})
}

fn rollback() -> Value {
    json!({"policyRef": {"name": "fraud"}, "environment": "prod", "rollback": {"to": "x", "reason": "y"}})
}

fn list(plural: &str, home: &str) -> Response {
    let freeze = |name: &str| {
        json!({"apiVersion": "lockstep.dev/v1alpha1", "kind": "ChangeFreeze", "metadata": {"name": name, "namespace": home},
               "spec": {"reason": "r", "until": "2027-01-01T00:00:00Z"}})
    };
    let items = match (plural, home) {
        ("promotions", _) => vec![
            promotion("one", rollback()),
            promotion("odd", json!({"environment": 1})),
        ],
        ("changefreezes", "lockstep-system") => return status(403, "Forbidden"),
        ("changefreezes", _) => vec![freeze("holidays")],
        _ => Vec::new(),
    };
    Json(json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})).into_response()
}

type Sent = Arc<Mutex<Vec<Value>>>;

/// A cluster that remembers what it was sent.
async fn cluster(sent: Sent) -> Asking {
    let remember = move |Path((_, name)): Path<(String, String)>, request: Request| {
        let sent = sent.clone();
        async move {
            let body = axum::body::to_bytes(request.into_body(), 10_000).await.unwrap();
            sent.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            if name == "gone" {
                status(404, "NotFound")
            } else {
                Json(promotion(&name, rollback())).into_response()
            }
        }
    };
    let base = "/apis/lockstep.dev/v1alpha1/namespaces";
    let router = Router::new()
        .route(
            &format!("{base}/{{home}}/{{plural}}"),
            get(|Path((home, plural)): Path<(String, String)>| async move { list(&plural, &home) })
                .post(|| async { status(409, "AlreadyExists") }),
        )
        .route(&format!("{base}/{{home}}/promotions/{{name}}"), patch(remember));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    Asking::new(Client::try_from(Config::new(format!("http://{address}").parse().unwrap())).unwrap())
}

fn object(name: &str) -> Promotion {
    serde_json::from_value(promotion(name, rollback())).unwrap()
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_the_rest_is_shown() {
    let seen = cluster(Sent::default())
        .await
        .everything(Some("ml"), "lockstep-system")
        .await
        .unwrap();
    assert_eq!(seen.promotions.len(), 1);
    assert_eq!(seen.freezes.len(), 1);
    assert!(
        seen.notes
            .iter()
            .any(|note| note.contains("Promotion ml/odd is not understood")),
        "{:?}",
        seen.notes
    );
    let freezes = "ChangeFreeze objects of namespace lockstep-system may not be read";
    assert!(
        seen.notes.iter().any(|note| note.contains(freezes)),
        "{:?}",
        seen.notes
    );
}

#[tokio::test]
async fn an_order_is_for_this_very_promotion() {
    let sent = Sent::default();
    let asking = cluster(sent.clone()).await;
    asking.annotate(&object("one"), CANCEL, "true").await.unwrap();
    let expected = json!({"metadata": {"uid": "uid-one", "annotations": {CANCEL: "true"}}});
    assert_eq!(*sent.lock().unwrap(), [expected]);
    let gone = asking
        .annotate(&object("gone"), CANCEL, "true")
        .await
        .unwrap_err();
    assert!(gone.0.contains("is gone"), "{gone}");
}

#[tokio::test]
async fn a_name_that_is_taken_is_said_to_be() {
    let asking = cluster(Sent::default()).await;
    let policy: PromotionPolicy = serde_json::from_value(json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": {"name": "fraud", "namespace": "ml"},
        "spec": {"gerrit": {"connectionRef": {"name": "g"}, "project": "p"}, "environments": [],
                 "gate": {"approval": {"label": "A", "group": "a"}, "verification": {"label": "V", "group": "v"}}},
    }))
    .unwrap();
    let taken = asking.make(&policy, "one", object("one").spec).await.unwrap_err();
    assert!(taken.0.contains("exists already"), "{taken}");
}
