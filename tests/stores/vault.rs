//! One path of Vault as a store: what is written, what is read, whose it is, and what two who write at once find.

use lockstep_core::domain::ports::SystemErrorKind;
use lockstep_core::domain::rotation::ports::stores::{Owned, Store as _};
use reqwest::Method;
use serde_json::json;

use super::entries::{absent, generation, holds, owner, plain, put, silent};
use super::server::server_or_skip;
use super::stack::unique;

#[tokio::test]
async fn what_is_written_is_read_back_until_it_is_removed() {
    let server = server_or_skip!();
    let path = format!("ml/{}/db x", unique("team"));
    let store = server.store(&path);
    assert!(absent(&store.read().await.unwrap()));
    put(&store, 1, "").await.unwrap();
    let version = holds(&store, 1).await;
    put(&store, 2, &version).await.unwrap();
    let version = holds(&store, 2).await;
    // Consumers see the keys that were asked for and no others.
    let seen = server
        .done(Method::GET, &format!("secret/data/{path}"), json!({}))
        .await;
    assert_eq!(seen["data"]["data"], json!(plain(&generation(2))));
    store.remove(&version).await.unwrap();
    assert!(absent(&store.read().await.unwrap()));
    // With every version that there was.
    let (status, _) = server
        .ask(Method::GET, &format!("secret/data/{path}?version=2"), json!({}))
        .await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn what_is_not_there_is_removed() {
    let server = server_or_skip!();
    let store = server.store(&unique("never"));
    store.remove("").await.unwrap();
    store.remove("3 -").await.unwrap();
    assert!(absent(&store.read().await.unwrap()));
}

#[tokio::test]
async fn a_write_that_finds_another_version_changes_nothing() {
    let server = server_or_skip!();
    let path = unique("moved");
    let store = server.store(&path);
    put(&store, 1, "").await.unwrap();
    let version = holds(&store, 1).await;
    put(&store, 2, &version).await.unwrap();
    let error = silent(put(&store, 3, &version).await);
    assert_eq!(error.kind, SystemErrorKind::Stale);
    assert!(error.message.contains("check-and-set"), "{error}");
    assert!(!error.partly);
    assert_eq!(silent(store.remove(&version).await).kind, SystemErrorKind::Stale);
    holds(&store, 2).await;
}

#[tokio::test]
async fn of_two_who_make_a_path_one_is_told() {
    let server = server_or_skip!();
    let path = unique("both");
    let store = server.store(&path);
    // Somebody comes between our reading and our writing.
    assert!(absent(&store.read().await.unwrap()));
    let theirs = json!({"data": {"password": "theirs"}});
    server
        .done(Method::POST, &format!("secret/data/{path}"), theirs)
        .await;
    assert_eq!(silent(put(&store, 1, "").await).kind, SystemErrorKind::Stale);
    let contents = store.read().await.unwrap();
    assert!(matches!(contents.owned, Owned::Foreign(_)));
    assert_eq!(plain(&contents.fields), [("password", "theirs")].into());
}

#[tokio::test]
async fn what_others_made_is_theirs_until_they_offer_it() {
    let server = server_or_skip!();
    let path = unique("theirs");
    let theirs = json!({"data": {"password": "theirs", "port": 5432}});
    server
        .done(Method::POST, &format!("secret/data/{path}"), theirs)
        .await;
    let store = server.store(&path);
    let Owned::Foreign(how) = store.read().await.unwrap().owned else {
        panic!("it is not ours");
    };
    assert!(
        how.contains(&format!("vault kv metadata get -mount=secret {path}")),
        "{how}"
    );
    assert!(how.contains("lockstep.dev/adopt"), "{how}");
    let offer = json!({"custom_metadata": {"lockstep.dev/adopt": "ml-fraud/dbx"}});
    server
        .done(Method::POST, &format!("secret/metadata/{path}"), offer)
        .await;
    let contents = store.read().await.unwrap();
    assert_eq!(contents.owned, Owned::Offered("ml-fraud/dbx".into()));
    put(&store, 1, &contents.version).await.unwrap();
    holds(&store, 1).await;
}

#[tokio::test]
async fn labels_without_a_version_are_somebodys_as_well() {
    let server = server_or_skip!();
    let path = unique("labels");
    let labels = json!({"custom_metadata": {"team": "ml-fraud"}});
    server
        .done(Method::POST, &format!("secret/metadata/{path}"), labels)
        .await;
    let contents = server.store(&path).read().await.unwrap();
    assert!(matches!(contents.owned, Owned::Foreign(_)));
    assert!(contents.fields.is_empty());
}

#[tokio::test]
async fn what_somebody_deletes_or_edits_is_seen_and_written_again() {
    let server = server_or_skip!();
    let path = unique("edited");
    let store = server.store(&path);
    put(&store, 1, "").await.unwrap();
    holds(&store, 1).await;
    server
        .done(Method::DELETE, &format!("secret/data/{path}"), json!({}))
        .await;
    let contents = store.read().await.unwrap();
    assert_eq!(contents.owned, Owned::By(owner()));
    assert!(contents.fields.is_empty());
    put(&store, 1, &contents.version).await.unwrap();
    holds(&store, 1).await;
    let edit = json!({"data": {"client_id": 7}});
    server
        .done(Method::POST, &format!("secret/data/{path}"), edit)
        .await;
    let contents = store.read().await.unwrap();
    assert_eq!(contents.owned, Owned::By(owner()));
    assert_eq!(plain(&contents.fields), [("client_id", "7")].into());
    put(&store, 1, &contents.version).await.unwrap();
    holds(&store, 1).await;
}

#[tokio::test]
async fn a_place_is_one_whichever_way_leads_to_it() {
    let server = server_or_skip!();
    let mut there = server.settings(server.root());
    there.namespace = Some("/team/".into());
    let one = super::server::vault(there).store("a/b").unwrap();
    let mut here = server.settings(server.root());
    here.mount = "/team/secret/".into();
    let other = super::server::vault(here).store("a/b").unwrap();
    assert_eq!(one.address(), other.address());
    assert!(one.address().ends_with("/team/secret/a/b"), "{}", one.address());
    for path in ["", "/a", "a/", "a//b", "a/../b", "a/*", "a\nb"] {
        let refused = server.vault(server.root()).store(path);
        assert_eq!(silent(refused).kind, SystemErrorKind::Refused, "{path:?}");
    }
}
