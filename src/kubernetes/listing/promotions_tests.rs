use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use kube::Config;
use serde_json::json;

use super::*;

/// A cluster that knows some kinds, by plural; of freezes only those of two namespaces may be listed.
async fn cluster(known: &'static [&'static str]) -> Client {
    let list = move |plural: String, home: Option<String>| async move {
        let refuse = |code: u16, reason: &str| -> Response {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                                "reason": reason, "message": reason});
            (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
        };
        if !known.contains(&plural.as_str()) {
            return refuse(404, "NotFound");
        }
        let object = |namespace: &str, name: &str, spec: Value| json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec});
        let freeze = json!({"reason": "audit", "until": "2026-04-01T00:00:00Z"});
        let promotion = |policy: &str| json!({"policyRef": {"name": policy}, "environment": "prod"});
        let items = match (plural.as_str(), home.as_deref()) {
            ("changefreezes", Some("ml")) => vec![object("ml", "here", freeze)],
            ("changefreezes", Some("lockstep-system")) => vec![object("lockstep-system", "all", freeze)],
            ("changefreezes", _) => return refuse(403, "Forbidden"),
            ("promotions", _) => vec![
                object("ml", "one", promotion("fraud")),
                object("ml", "two", promotion("loans")),
                object("else", "three", promotion("fraud")),
                object("ml", "odd", json!({})),
            ],
            _ => vec![],
        };
        Json(json!({"apiVersion": "lockstep.dev/v1alpha1", "kind": "List", "metadata": {}, "items": items}))
            .into_response()
    };
    let everywhere = list;
    let router = Router::new()
        .route(
            "/apis/lockstep.dev/v1alpha1/{plural}",
            get(move |Path(plural): Path<String>| everywhere(plural, None)),
        )
        .route(
            "/apis/lockstep.dev/v1alpha1/namespaces/{home}/{plural}",
            get(move |Path((home, plural)): Path<(String, String)>| list(plural, Some(home))),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::try_from(Config::new(format!("http://{address}").parse().unwrap())).unwrap()
}

async fn listing(known: &'static [&'static str]) -> Listing {
    let home = |name: &str| BTreeSet::from([name.to_owned()]);
    let both = &home("ml") | &home("lockstep-system");
    let found = read(&cluster(known).await, &home("ml"), &both).await.unwrap();
    let mut listing = Listing {
        operator_namespace: "lockstep-system".into(),
        ..Listing::default()
    };
    listing.put_promoted(found);
    listing
}

#[tokio::test]
async fn a_cluster_without_these_kinds_has_none_of_them() {
    let listing = listing(&[]).await;
    assert!(listing.policies().is_empty() && listing.freezes().is_empty());
    assert!(listing.promotions_of("ml", "fraud").is_empty());
    assert_eq!((listing.notes.len(), listing.promotion_notes.len()), (0, 0));
}

#[tokio::test]
async fn what_was_listed_is_found_and_nothing_is_written() {
    let listing = listing(&["promotionpolicies", "promotions", "changefreezes"]).await;
    let of_fraud = listing.promotions_of("ml", "fraud");
    assert_eq!(of_fraud.len(), 1);
    assert_eq!(of_fraud[0].metadata.name.as_deref(), Some("one"));
    assert!(listing.promotion("else", "three").is_some());
    let freezes: Vec<_> = listing
        .freezes()
        .into_iter()
        .map(|freeze| (freeze.name, freeze.everywhere))
        .collect();
    assert_eq!(freezes, [("all".to_owned(), true), ("here".to_owned(), false)]);
    let notes = &listing.promotion_notes;
    assert!(
        notes.iter().any(|note| note.contains("ml/odd is not understood")),
        "{notes:?}"
    );
    assert!(
        notes
            .iter()
            .any(|note| note.contains("ChangeFreeze objects of all namespaces")),
        "{notes:?}"
    );
    assert!(listing.notes.is_empty(), "other commands are not told");
    let one = ObjectKey {
        kind: "Promotion".into(),
        namespace: "ml".into(),
        name: "one".into(),
        uid: String::new(),
    };
    assert!(listing.delete(&one).await.is_err());
    assert!(listing.keep(&one, json!({})).await.is_err());
}
