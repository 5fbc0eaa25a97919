//! Bad days of Vault: out of reach, sealed, forbidden, not what it was taken for. Every error says what to do and tells no
//! value.

use lockstep::clients::vault::VaultAuth;
use lockstep_core::domain::ports::SystemErrorKind;
use lockstep_core::domain::rotation::ports::stores::{Owned, Store as _};
use reqwest::Method;
use serde_json::json;

use super::echo::Echo;
use super::entries::{PLANTED, absent, holds, owner, put, silent};
use super::server::{Server, server_or_skip, settings, vault};
use super::stack::{Aside, nowhere, unique, variable};

fn planted() -> VaultAuth {
    VaultAuth::Token(format!("hvs.{PLANTED}").into())
}

#[tokio::test]
async fn one_that_does_not_answer_is_unreachable_and_nothing_was_sent() {
    let store = vault(settings(&nowhere(), "secret", planted()))
        .store("a")
        .unwrap();
    for error in [
        silent(store.read().await),
        silent(put(&store, 1, "").await),
        silent(store.remove("1 -").await),
    ] {
        assert_eq!(error.kind, SystemErrorKind::Unreachable);
    }
}

#[tokio::test]
async fn a_sealed_one_says_so_and_goes_on_when_it_is_unsealed() {
    if variable("VAULT_ADDR").is_none() {
        return;
    }
    let aside = Aside::start();
    let server = Server::at(aside.get("VAULT_ADDR"), aside.get("VAULT_TOKEN"));
    let store = server.store("a");
    put(&store, 1, "").await.unwrap();
    let version = holds(&store, 1).await;
    server.done(Method::PUT, "sys/seal", json!({})).await;
    for error in [
        silent(store.read().await),
        silent(put(&store, 2, &version).await),
        silent(store.remove(&version).await),
        silent(server.vault(server.root()).probe().await),
    ] {
        assert!(error.message.contains("sealed"), "{error}");
        // A sealed Vault has written nothing: nothing need be looked for.
        assert_eq!(error.kind, SystemErrorKind::Unreachable);
    }
    let key = json!({"key": aside.get("VAULT_UNSEAL_KEY")});
    server.done(Method::PUT, "sys/unseal", key).await;
    // Another client: this one's breaker may leave a server alone for a while that did not serve.
    holds(&server.store("a"), 1).await;
}

#[tokio::test]
async fn who_may_only_read_is_told_what_is_missing() {
    let server = server_or_skip!();
    let path = unique("readonly");
    put(&server.store(&path), 1, "").await.unwrap();
    let token = server
        .token(&[("secret/data/*", &["read"]), ("secret/metadata/*", &["read"])])
        .await;
    let store = server.store_as(&token, &path);
    let version = holds(&store, 1).await;
    let error = silent(put(&store, 2, &version).await);
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    assert!(error.message.contains("create and update"), "{error}");
    assert!(
        error.message.contains(&format!("/v1/secret/data/{path}")),
        "{error}"
    );
    let error = silent(store.remove(&version).await);
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    assert!(error.message.contains("delete"), "{error}");
    assert_eq!(
        silent(put(&server.store_as(&token, &unique("readonly")), 1, "").await).kind,
        SystemErrorKind::Forbidden
    );
    holds(&server.store(&path), 1).await;
}

#[tokio::test]
async fn what_may_not_be_seen_is_no_absence() {
    let server = server_or_skip!();
    let token = server.token(&[("secret/data/other", &["read"])]).await;
    let error = silent(server.store_as(&token, &unique("hidden")).read().await);
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    // A token that may read values and not what is said of them cannot tell whether nothing is there.
    let token = server.token(&[("secret/data/*", &["read"])]).await;
    let error = silent(server.store_as(&token, &unique("hidden")).read().await);
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    assert!(error.message.contains("/v1/secret/metadata/"), "{error}");
}

#[tokio::test]
async fn a_permission_that_is_missing_half_way_leaves_a_claim_and_no_value() {
    let server = server_or_skip!();
    let path = unique("halfway");
    let token = server
        .token(&[
            ("secret/data/*", &["create", "update", "read"]),
            ("secret/metadata/*", &["read"]),
        ])
        .await;
    let error = silent(put(&server.store_as(&token, &path), 1, "").await);
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    assert!(error.partly);
    assert!(error.message.contains("/v1/secret/metadata/"), "{error}");
    let seen = server
        .done(Method::GET, &format!("secret/data/{path}"), json!({}))
        .await;
    assert!(!seen.to_string().contains(PLANTED), "{seen}");
    // It is known for ours, and gone on with once the policy is mended.
    let store = server.store(&path);
    let contents = store.read().await.unwrap();
    assert_eq!(contents.owned, Owned::By(owner()));
    assert!(contents.fields.is_empty());
    put(&store, 1, &contents.version).await.unwrap();
    let version = holds(&store, 1).await;
    assert!(version.ends_with(&owner().uid), "{version}");
}

#[tokio::test]
async fn a_claim_can_be_taken_back() {
    let server = server_or_skip!();
    let path = unique("claim");
    let token = server
        .token(&[
            ("secret/data/*", &["create", "update", "read"]),
            ("secret/metadata/*", &["read"]),
        ])
        .await;
    silent(put(&server.store_as(&token, &path), 1, "").await);
    let store = server.store(&path);
    let version = store.read().await.unwrap().version;
    store.remove(&version).await.unwrap();
    assert!(absent(&store.read().await.unwrap()));
}

#[tokio::test]
async fn a_mount_that_is_none_or_another_is_refused_before_anything_is_written() {
    let server = server_or_skip!();
    let one = unique("kv1");
    server
        .done(
            Method::POST,
            &format!("sys/mounts/{one}"),
            json!({"type": "kv", "options": {"version": "1"}}),
        )
        .await;
    for (mount, kind, words) in [
        ("nope", SystemErrorKind::Forbidden, "mounted at nope/"),
        (one.as_str(), SystemErrorKind::Refused, "enable-versioning"),
        ("cubbyhole", SystemErrorKind::Refused, "of type cubbyhole"),
    ] {
        let vault = vault(settings(&server.url, mount, server.root()));
        let store = vault.store("a").unwrap();
        for error in [
            silent(store.read().await),
            silent(put(&store, 1, "").await),
            silent(store.remove("1 -").await),
            silent(vault.probe().await),
        ] {
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.contains(words), "{error}");
        }
    }
    server
        .done(Method::DELETE, &format!("sys/mounts/{one}"), json!({}))
        .await;
}

#[tokio::test]
async fn a_mount_that_goes_is_no_absence() {
    let server = server_or_skip!();
    let mount = unique("gone");
    let body = json!({"type": "kv", "options": {"version": "2"}});
    server
        .done(Method::POST, &format!("sys/mounts/{mount}"), body)
        .await;
    let vault = vault(settings(&server.url, &mount, server.root()));
    // What prepares its storage first answers 400 meanwhile.
    while vault.probe().await.is_err() || vault.store("a").unwrap().read().await.is_err() {
        tokio::task::yield_now().await;
    }
    server
        .done(Method::DELETE, &format!("sys/mounts/{mount}"), json!({}))
        .await;
    let store = vault.store("a").unwrap();
    for error in [
        silent(store.read().await),
        silent(put(&store, 1, "").await),
        silent(store.remove("1 -").await),
    ] {
        assert_eq!(error.kind, SystemErrorKind::NotFound);
        assert!(error.message.contains(&format!("mounted at {mount}/")), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_is_no_longer_known_is_told_from_one_that_may_not() {
    let server = server_or_skip!();
    let token = server.token(&[("secret/data/*", &["read"])]).await;
    server
        .done(Method::POST, "auth/token/revoke", json!({"token": token}))
        .await;
    let error = silent(server.store_as(&token, "a").read().await);
    assert_eq!(error.kind, SystemErrorKind::Unauthorized);
    assert!(error.message.contains("revoked"), "{error}");
    assert!(!error.to_string().contains(&token), "{error}");
}

#[tokio::test]
async fn whatever_a_server_repeats_of_what_it_was_sent_no_error_does() {
    let mounted = r#"{"data":{"type":"kv","options":{"version":"2"}}}"#;
    for status in [200, 400, 403, 404, 405, 409, 412, 429, 500, 502, 503, 504] {
        let echo = Echo::start(move |path| match path {
            // It has let us in, so that its words would be trusted elsewhere.
            "/v1/sys/internal/ui/mounts/secret" => Some((200, mounted.into())),
            "/v1/auth/token/lookup-self" => Some((200, "{}".into())),
            _ => Some((status, String::new())),
        })
        .await;
        let store = vault(settings(&echo.url, "secret", planted()))
            .store("a")
            .unwrap();
        for version in ["", "1 -", &format!("1 {}", owner().uid)] {
            let error = silent(put(&store, 1, version).await);
            assert_ne!(error.kind, SystemErrorKind::NotFound, "{status} {error}");
        }
        silent(store.read().await);
        silent(store.remove("1 -").await);
    }
}
