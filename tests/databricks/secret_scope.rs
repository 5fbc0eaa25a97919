//! Entries of secret scopes: whose they are, what is there, and writes that do not run over one another.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::stores::{Contents, Entry, Owned, Owner, Store};
use lockstep_core::domain::rotation::value::{Fields, Value};
use serde_json::json;

use crate::sim::{Sim, WORKSPACE};

const PUT: &str = "/api/2.0/secrets/put";

async fn scope(sim: &Sim, name: &str) {
    sim.stranger("POST", "/api/2.0/secrets/scopes/create", json!({"scope": name}))
        .await;
}

async fn entry(sim: &Sim, path: &str) -> Arc<dyn Store> {
    sim.system().system.secret_scope("ml", path).await.unwrap()
}

fn owner() -> Owner {
    Owner {
        uid: "0f8f2d2c-0a6c-4d7e-9f40-7d0c2f3f8a11".into(),
        name: "ml-fraud/dbx".into(),
    }
}

fn fields(rows: &[(&str, &str)]) -> Fields {
    rows.iter()
        .map(|(key, value)| ((*key).to_owned(), Value::new((*value).to_owned())))
        .collect()
}

fn shown(contents: &Contents) -> BTreeMap<&str, &str> {
    contents
        .fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.expose()))
        .collect()
}

async fn write(store: &dyn Store, rows: &[(&str, &str)], version: &str) -> Result<(), SystemError> {
    let (owner, fields, previous) = (owner(), fields(rows), Fields::new());
    let entry = Entry {
        owner: &owner,
        fields: &fields,
        previous: &previous,
    };
    store.write(&entry, version).await
}

#[tokio::test]
async fn an_entry_is_written_replaced_and_removed() {
    let sim = Sim::start().await;
    scope(&sim, "ml").await;
    let store = entry(&sim, "fraud-dbx").await;
    assert_eq!(
        store.address(),
        format!("databricks://{WORKSPACE}/secret-scope/ml/fraud-dbx")
    );
    sim.system().system.probe_secret_scope("ml").await.unwrap();
    let nothing = store.read().await.unwrap();
    assert_eq!((&nothing.owned, nothing.version.as_str()), (&Owned::Absent, ""));
    write(
        &*store,
        &[
            ("client_id", "app"),
            ("old", "gone soon"),
            ("secret", "one \u{e4}"),
        ],
        "",
    )
    .await
    .unwrap();
    let first = store.read().await.unwrap();
    assert_eq!(first.owned, Owned::By(owner()));
    assert_eq!(
        shown(&first),
        [
            ("client_id", "app"),
            ("old", "gone soon"),
            ("secret", "one \u{e4}")
        ]
        .into()
    );
    // Jobs read it under this name.
    let kept = sim.snapshot().await["secretScopes"][WORKSPACE]["ml"]["secrets"].clone();
    let keys: Vec<&String> = kept.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "fraud-dbx.client_id",
            "fraud-dbx.lockstep",
            "fraud-dbx.old",
            "fraud-dbx.secret"
        ]
    );
    write(
        &*store,
        &[("client_id", "app"), ("secret", "two")],
        &first.version,
    )
    .await
    .unwrap();
    let second = store.read().await.unwrap();
    assert_ne!(second.version, first.version);
    assert_eq!(shown(&second), [("client_id", "app"), ("secret", "two")].into());
    let error = store.remove(&first.version).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Stale, "{error}");
    store.remove(&second.version).await.unwrap();
    assert_eq!(store.read().await.unwrap().owned, Owned::Absent);
    store.remove(&second.version).await.unwrap();
}

#[tokio::test]
async fn a_write_does_not_run_over_somebody_elses() {
    let sim = Sim::start().await;
    scope(&sim, "ml").await;
    let store = entry(&sim, "fraud").await;
    write(&*store, &[("secret", "one")], "").await.unwrap();
    let seen = store.read().await.unwrap().version;
    // A clock's tick later somebody edits it by hand.
    sim.settings(json!({"clockOffset": 5})).await;
    let by_hand = json!({"scope": "ml", "key": "fraud.secret", "string_value": "by hand"});
    sim.stranger("POST", PUT, by_hand).await;
    for version in [seen.as_str(), ""] {
        let error = write(&*store, &[("secret", "two")], version).await.unwrap_err();
        assert_eq!(error.kind, SystemErrorKind::Stale, "{error}");
    }
    let now = store.read().await.unwrap();
    assert_eq!(shown(&now), [("secret", "by hand")].into());
    write(&*store, &[("secret", "two")], &now.version).await.unwrap();
    assert_eq!(shown(&store.read().await.unwrap()), [("secret", "two")].into());
}

#[tokio::test]
async fn entries_side_by_side_are_not_taken_for_one_another() {
    let sim = Sim::start().await;
    scope(&sim, "ml").await;
    let (one, longer) = (entry(&sim, "fraud").await, entry(&sim, "fraud.api").await);
    write(&*one, &[("secret", "short"), (".netrc", "of one")], "")
        .await
        .unwrap();
    write(&*longer, &[("secret", "long")], "").await.unwrap();
    let (seen, other) = (one.read().await.unwrap(), longer.read().await.unwrap());
    assert_eq!(shown(&seen), [("secret", "short"), (".netrc", "of one")].into());
    assert_eq!(shown(&other), [("secret", "long")].into());
    one.remove(&seen.version).await.unwrap();
    assert_eq!(shown(&longer.read().await.unwrap()), [("secret", "long")].into());
}

#[tokio::test]
async fn what_others_keep_there_is_theirs_and_not_read() {
    let sim = Sim::start().await;
    scope(&sim, "ml").await;
    let theirs = json!({"scope": "ml", "key": "fraud.secret", "string_value": "theirs"});
    sim.stranger("POST", PUT, theirs).await;
    let store = entry(&sim, "fraud").await;
    sim.forget().await;
    let seen = store.read().await.unwrap();
    assert!(
        matches!(&seen.owned, Owned::Foreign(whose) if whose.contains("fraud.*")),
        "{:?}",
        seen.owned
    );
    assert!(seen.fields.is_empty() && !seen.version.is_empty());
    assert_eq!(sim.asked().await, [("GET /api/2.0/secrets/list".to_owned(), 1)]);
}

#[tokio::test]
async fn a_scope_that_cannot_be_used_is_an_error_with_advice() {
    let sim = Sim::start().await;
    let store = entry(&sim, "fraud").await;
    let probe = async || sim.system().system.probe_secret_scope("ml").await;
    assert_eq!(probe().await.unwrap_err().kind, SystemErrorKind::NotFound);
    let error = store.read().await.err().unwrap();
    assert_eq!(error.kind, SystemErrorKind::NotFound);
    assert!(
        error.message.contains("secret scope ml is not there: create it"),
        "{error}"
    );
    let vault = json!({"scope": "ml", "scope_backend_type": "AZURE_KEYVAULT",
        "backend_azure_keyvault": {"resource_id": "/x", "dns_name": "https://x.vault.azure.net/"}});
    sim.stranger("POST", "/api/2.0/secrets/scopes/create", vault)
        .await;
    let error = write(&*store, &[("secret", "planted")], "").await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert!(error.message.contains("Azure Key Vault"), "{error}");
    let error = probe().await.unwrap_err();
    assert!(error.message.contains("Azure Key Vault"), "{error}");
    let refuse = json!({"Refuse": {"status": 403, "error_code": "PERMISSION_DENIED", "message": "planted"}});
    sim.fault("GET", "/api/2.0/secrets/list", 1, refuse).await;
    let error = store.read().await.err().unwrap();
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    assert!(error.message.contains("needs WRITE"), "{error}");
}

#[tokio::test]
async fn values_that_cannot_be_read_back_are_an_error_not_an_empty_entry() {
    let sim = Sim::start().await;
    scope(&sim, "ml").await;
    let store = entry(&sim, "fraud").await;
    write(&*store, &[("secret", "one")], "").await.unwrap();
    let notebook =
        json!({"Refuse": {"status": 400, "error_code": "BAD_REQUEST", "message": "only from a notebook"}});
    sim.fault("GET", "/api/2.0/secrets/get", 1, notebook).await;
    let error = store.read().await.err().unwrap();
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert!(error.message.contains("outside of a notebook"), "{error}");
}

#[tokio::test]
async fn what_no_scope_can_hold_is_refused_before_anything_is_sent() {
    let sim = Sim::start().await;
    scope(&sim, "ml").await;
    for path in ["", "ml/fraud", "a b", "fraud.", &"x".repeat(120)] {
        let refused = sim.system().system.secret_scope("ml", path).await;
        assert_eq!(refused.err().unwrap().kind, SystemErrorKind::Refused, "{path:?}");
    }
    let store = entry(&sim, "fraud").await;
    let long = "x".repeat(128 * 1024 + 1);
    sim.forget().await;
    for (field, value) in [
        ("lockstep", "v"),
        ("a.b", "v"),
        ("..a", "v"),
        (".", "v"),
        ("a/b", "v"),
        ("", "v"),
        ("secret", &long),
    ] {
        let error = write(&*store, &[(field, value)], "").await.unwrap_err();
        assert_eq!(error.kind, SystemErrorKind::Refused, "{error}");
        assert!(!error.message.contains("xxx"), "{error}");
    }
    assert_eq!(sim.asked().await, []);
}

#[tokio::test]
async fn a_write_that_breaks_off_says_so_and_tells_no_value() {
    let sim = Sim::start().await;
    scope(&sim, "ml").await;
    let store = entry(&sim, "fraud").await;
    // The mark is put, then the value's answer is lost.
    let echo =
        json!({"Refuse": {"status": 500, "error_code": "INTERNAL_ERROR", "message": "cannot keep planted"}});
    let rule = json!({"method": "POST", "route": PUT, "after": 1, "times": 1, "action": echo});
    sim.control("POST", "faults", Some(rule)).await;
    let error = write(&*store, &[("secret", "planted")], "").await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown);
    assert!(error.partly, "{error:?}");
    assert!(error.message.contains("INTERNAL_ERROR"), "{error}");
    assert!(!format!("{error:?}").contains("planted"), "{error:?}");
    // It is ours already, so that the next pass may go on.
    let seen = store.read().await.unwrap();
    assert_eq!((&seen.owned, seen.fields.len()), (&Owned::By(owner()), 0));
    write(&*store, &[("secret", "planted")], &seen.version)
        .await
        .unwrap();
    // A dropped connection is repeated: the same put twice is one put.
    let seen = store.read().await.unwrap();
    sim.fault("POST", PUT, 1, json!("DropAfter")).await;
    write(&*store, &[("secret", "next")], &seen.version)
        .await
        .unwrap();
    assert_eq!(shown(&store.read().await.unwrap()), [("secret", "next")].into());
}
