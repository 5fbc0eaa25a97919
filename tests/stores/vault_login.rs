//! How we log in to Vault, how long a token is kept, and what goes with every call.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use lockstep::clients::identity::IdentityTokens;
use lockstep::clients::vault::{Vault, VaultAuth};
use lockstep_core::domain::ports::{Clock, SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::stores::Store as _;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::json;

use super::echo::Echo;
use super::entries::{PLANTED, holds, put, silent};
use super::server::{Server, server_or_skip, settings};
use super::stack::{Granted, unique, variable};

/// What a store needs, and no more.
const NEEDED: &[(&str, &[&str])] = &[
    ("secret/data/login/*", &["create", "update", "read"]),
    ("secret/metadata/login/*", &["create", "update", "read", "delete"]),
];

/// A ServiceAccount of the real cluster.
struct Account {
    api: Api<ServiceAccount>,
    name: String,
}

impl Account {
    async fn new() -> Option<Self> {
        let kubeconfig = Kubeconfig::read_from(variable("KUBECONFIG")?).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        let api: Api<ServiceAccount> = Api::namespaced(Client::try_from(config).unwrap(), "default");
        let name = unique("vault");
        let account = ServiceAccount {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            ..ServiceAccount::default()
        };
        api.create(&PostParams::default(), &account).await.unwrap();
        Some(Self { api, name })
    }

    async fn delete(&self) {
        self.api
            .delete(&self.name, &DeleteParams::default())
            .await
            .unwrap();
    }
}

#[async_trait]
impl IdentityTokens for Account {
    async fn token(&self, audience: &str) -> Result<SecretString, SystemError> {
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: Some(vec![audience.to_owned()]),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let granted = self
            .api
            .create_token_request(&self.name, &PostParams::default(), &request)
            .await
            .unwrap();
        Ok(granted.status.unwrap().token.unwrap().into())
    }
}

/// Whoever is asked for a token says this.
struct Says(&'static str);

#[async_trait]
impl IdentityTokens for Says {
    async fn token(&self, _: &str) -> Result<SecretString, SystemError> {
        Ok(self.0.to_owned().into())
    }
}

/// A clock set by hand.
struct Hand(Mutex<Timestamp>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl Hand {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timestamp::now())))
    }

    fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }
}

fn timed(url: &str, auth: VaultAuth, clock: &Arc<Hand>) -> Vault {
    Vault::new(
        settings(url, "secret", auth),
        Arc::new(Granted),
        Arc::<Hand>::clone(clock),
        None,
    )
    .unwrap()
}

fn by_account(mount: &str, role: &str, audience: &str, tokens: Arc<dyn IdentityTokens>) -> VaultAuth {
    VaultAuth::ServiceAccount {
        mount: mount.into(),
        role: role.into(),
        audience: audience.into(),
        tokens,
    }
}

/// A role of a ServiceAccount, for both methods.
async fn role(server: &Server, account: &str) -> String {
    let (role, policy) = (unique("role"), server.policy(NEEDED).await);
    let kubernetes = json!({"bound_service_account_names": account, "bound_service_account_namespaces": "default",
        "audience": "vault", "policies": policy});
    server
        .done(Method::POST, &format!("auth/kubernetes/role/{role}"), kubernetes)
        .await;
    let jwt = json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "policies": policy,
        "bound_subject": format!("system:serviceaccount:default:{account}")});
    server
        .done(Method::POST, &format!("auth/jwt/role/{role}"), jwt)
        .await;
    role
}

#[tokio::test]
async fn a_service_account_logs_in_by_the_cluster_and_by_its_keys() {
    let server = server_or_skip!();
    let Some(account) = Account::new().await else {
        return;
    };
    let account = Arc::new(account);
    let role = role(&server, &account.name).await;
    for mount in ["kubernetes", "jwt"] {
        let tokens = Arc::<Account>::clone(&account);
        let vault = server.vault(by_account(mount, &role, "vault", tokens));
        vault.probe().await.unwrap();
        let store = vault.store(&format!("login/{}", unique(mount))).unwrap();
        put(&store, 1, "").await.unwrap();
        let version = holds(&store, 1).await;
        store.remove(&version).await.unwrap();
    }
    account.delete().await;
}

#[tokio::test]
async fn a_service_account_that_is_not_the_roles_is_refused_with_what_to_compare() {
    let server = server_or_skip!();
    let (Some(ours), Some(other)) = (Account::new().await, Account::new().await) else {
        return;
    };
    let role = role(&server, &ours.name).await;
    let (ours, other) = (Arc::new(ours), Arc::new(other));
    for mount in ["kubernetes", "jwt"] {
        for (audience, tokens) in [("vault", &other), ("elsewhere", &ours)] {
            let tokens = Arc::<Account>::clone(tokens);
            let error = silent(
                server
                    .vault(by_account(mount, &role, audience, tokens))
                    .probe()
                    .await,
            );
            assert_eq!(error.kind, SystemErrorKind::Unauthorized, "{error}");
            assert!(error.message.contains(&role), "{error}");
            assert!(error.message.contains(audience), "{error}");
        }
    }
    ours.delete().await;
    other.delete().await;
}

#[tokio::test]
async fn a_method_that_is_not_mounted_is_named() {
    let server = server_or_skip!();
    let auth = by_account("elsewhere", "role", "vault", Arc::new(Says("planted-s3cr3t")));
    let error = silent(server.vault(auth).probe().await);
    assert_eq!(error.kind, SystemErrorKind::Unauthorized);
    assert!(error.message.contains("mounted at elsewhere/"), "{error}");
}

/// A method `approle` of one's own, with a role that may what a store needs.
async fn approle(server: &Server) -> (String, VaultAuth) {
    let (mount, policy) = (unique("approle"), server.policy(NEEDED).await);
    server
        .done(
            Method::POST,
            &format!("sys/auth/{mount}"),
            json!({"type": "approle"}),
        )
        .await;
    let at = format!("auth/{mount}/role/ours");
    let role = json!({"token_policies": policy, "token_ttl": "60s", "token_max_ttl": "1h"});
    server.done(Method::POST, &at, role).await;
    let id = server
        .done(Method::GET, &format!("{at}/role-id"), json!({}))
        .await;
    let secret = server
        .done(Method::POST, &format!("{at}/secret-id"), json!({}))
        .await;
    let auth = VaultAuth::AppRole {
        mount: mount.clone(),
        role_id: id["data"]["role_id"].as_str().unwrap().to_owned(),
        secret_id: secret["data"]["secret_id"].as_str().unwrap().to_owned().into(),
    };
    (mount, auth)
}

#[tokio::test]
async fn an_app_role_logs_in_again_when_its_token_is_revoked() {
    let server = server_or_skip!();
    let (mount, auth) = approle(&server).await;
    let store = server
        .vault(auth)
        .store(&format!("login/{}", unique("approle")))
        .unwrap();
    put(&store, 1, "").await.unwrap();
    let version = holds(&store, 1).await;
    let revoke = format!("sys/leases/revoke-force/auth/{mount}");
    server.done(Method::PUT, &revoke, json!({})).await;
    put(&store, 2, &version).await.unwrap();
    let version = holds(&store, 2).await;
    store.remove(&version).await.unwrap();
    server
        .done(Method::DELETE, &format!("sys/auth/{mount}"), json!({}))
        .await;
}

#[tokio::test]
async fn a_secret_id_that_is_refused_is_said_to_be() {
    let server = server_or_skip!();
    let (mount, auth) = approle(&server).await;
    let VaultAuth::AppRole { role_id, .. } = auth else {
        panic!("an AppRole");
    };
    let auth = VaultAuth::AppRole {
        mount: mount.clone(),
        role_id,
        secret_id: PLANTED.to_owned().into(),
    };
    let error = silent(server.vault(auth).probe().await);
    assert_eq!(error.kind, SystemErrorKind::Unauthorized);
    assert!(error.message.contains("secret id"), "{error}");
    server
        .done(Method::DELETE, &format!("sys/auth/{mount}"), json!({}))
        .await;
}

#[tokio::test]
async fn a_login_that_is_refused_is_not_tried_again_at_once() {
    let echo = Echo::start(|_| Some((400, String::new()))).await;
    let clock = Hand::new();
    let vault = timed(&echo.url, approle_of(PLANTED), &clock);
    // More often than Vault takes before it locks a role out.
    for _ in 0..10 {
        assert_eq!(silent(vault.probe().await).kind, SystemErrorKind::Unauthorized);
    }
    assert_eq!(count(&echo, "/login"), 1);
    clock.advance(61);
    silent(vault.probe().await);
    assert_eq!(count(&echo, "/login"), 2);
}

const MOUNTED: &str = r#"{"data":{"type":"kv","options":{"version":"2"}}}"#;
const EMPTY: &str = r#"{"data":{"data":{},"metadata":{"version":1}}}"#;

/// A server that lets everybody in for a minute, and prolongs that as it is told.
async fn minute(renews: bool) -> Echo {
    Echo::start(move |path| {
        let lease = |token: &str| {
            json!({"auth": {"client_token": token, "lease_duration": 60, "renewable": true}}).to_string()
        };
        Some(match path {
            "/v1/auth/approle/login" => (200, lease("hvs.first")),
            "/v1/auth/token/renew-self" if renews => (200, lease("hvs.first")),
            "/v1/auth/token/renew-self" => (403, r#"{"errors":["permission denied"]}"#.into()),
            "/v1/sys/internal/ui/mounts/secret" => (200, MOUNTED.into()),
            _ => (200, EMPTY.into()),
        })
    })
    .await
}

fn approle_of(secret: &str) -> VaultAuth {
    VaultAuth::AppRole {
        mount: "approle".into(),
        role_id: "role".into(),
        secret_id: secret.to_owned().into(),
    }
}

fn count(echo: &Echo, path: &str) -> usize {
    echo.asked()
        .iter()
        .filter(|(_, asked, ..)| asked.ends_with(path))
        .count()
}

#[tokio::test]
async fn a_token_is_kept_and_prolonged_while_it_lives() {
    let echo = minute(true).await;
    let clock = Hand::new();
    let store = timed(&echo.url, approle_of(PLANTED), &clock).store("a").unwrap();
    store.read().await.unwrap();
    store.read().await.unwrap();
    assert_eq!((count(&echo, "/login"), count(&echo, "/renew-self")), (1, 0));
    for renewed in 1..=5 {
        clock.advance(31);
        store.read().await.unwrap();
        assert_eq!(
            (count(&echo, "/login"), count(&echo, "/renew-self")),
            (1, renewed)
        );
    }
    // Longer than it lives nobody asked: it is not sent any more.
    clock.advance(61);
    store.read().await.unwrap();
    assert_eq!((count(&echo, "/login"), count(&echo, "/renew-self")), (2, 5));
}

#[tokio::test]
async fn a_token_that_cannot_be_prolonged_is_used_to_its_end() {
    let echo = minute(false).await;
    let clock = Hand::new();
    let store = timed(&echo.url, approle_of(PLANTED), &clock).store("a").unwrap();
    store.read().await.unwrap();
    for seconds in [31, 5, 5] {
        clock.advance(seconds);
        store.read().await.unwrap();
    }
    assert_eq!((count(&echo, "/login"), count(&echo, "/renew-self")), (1, 1));
    clock.advance(12);
    store.read().await.unwrap();
    assert_eq!((count(&echo, "/login"), count(&echo, "/renew-self")), (2, 1));
}

#[tokio::test]
async fn a_crowd_logs_in_once() {
    let echo = minute(true).await;
    let clock = Hand::new();
    let vault = timed(&echo.url, approle_of(PLANTED), &clock);
    let stores: Vec<_> = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|path| vault.store(path).unwrap())
        .collect();
    let reads = stores
        .iter()
        .map(|store| async move { store.read().await.unwrap() });
    futures::future::join_all(reads).await;
    assert_eq!((count(&echo, "/login"), count(&echo, "/mounts/secret")), (1, 1));
}

#[tokio::test]
async fn the_namespace_goes_with_every_call_and_the_token_with_all_but_the_login() {
    let echo = minute(true).await;
    let mut there = settings(&echo.url, "secret", approle_of(PLANTED));
    there.namespace = Some("team/ml".into());
    let store = super::server::vault(there).store("a").unwrap();
    store.read().await.unwrap();
    let asked = echo.asked();
    assert_eq!(asked.len(), 3);
    for (_, path, namespace, token) in asked {
        assert_eq!(namespace.as_deref(), Some("team/ml"), "{path}");
        assert_eq!(
            token.as_deref(),
            (!path.ends_with("/login")).then_some("Bearer hvs.first")
        );
    }
}

#[tokio::test]
async fn what_we_log_in_with_is_in_no_error() {
    for status in [400, 401, 403, 404, 429, 500, 503] {
        let echo = Echo::start(move |_| Some((status, String::new()))).await;
        let tokens = Arc::new(Says("eyJhbGciOi.planted-s3cr3t"));
        for auth in [approle_of(PLANTED), by_account("jwt", "role", "vault", tokens)] {
            let shown = format!("{auth:?}");
            assert!(!shown.contains(PLANTED), "{shown}");
            silent(
                super::server::vault(settings(&echo.url, "secret", auth))
                    .probe()
                    .await,
            );
        }
    }
}
