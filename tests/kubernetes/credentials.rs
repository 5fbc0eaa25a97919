//! Secrets go where they are meant to go, and tokens are for whom they are asked.

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use lockstep::kubernetes::{IdentityTokenRequests, Secrets};
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::SystemErrorKind;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_secret_for_another_host_is_not_read_out() {
    let Some(world) = World::new().await else { return };
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "gerrit", "annotations": {"lockstep.dev/host": "gerrit.example.com"}},
        "stringData": {"username": "lockstep", "password": "hunter2\n"},
    }))
    .unwrap();
    world.api().create(&PostParams::default(), &secret).await.unwrap();
    let secrets = Secrets::new(world.client.clone());
    let read = async |name: &str, host: &str| {
        let keys = ["username", "password"];
        secrets
            .credential(&world.namespace, name, &[host.to_owned()], &keys)
            .await
    };

    let mut credential = read("gerrit", "gerrit.example.com").await.unwrap();
    let password = credential
        .take("password", "gerrit", "gerrit.example.com")
        .unwrap();
    assert_eq!(password.expose_secret(), "hunter2");
    let no_key = credential
        .take("token", "gerrit", "gerrit.example.com")
        .unwrap_err();
    assert!(no_key.message.contains("token"), "{no_key}");

    let elsewhere = read("gerrit", "evil.example.com").await.unwrap_err();
    assert_eq!(
        elsewhere.kind,
        SystemErrorKind::Connection(Reason::SecretHostMismatch)
    );
    assert!(!elsewhere.message.contains("hunter2") && !elsewhere.message.contains("gerrit.example.com"));

    let missing = read("none", "gerrit.example.com").await.unwrap_err();
    assert_eq!(missing.kind, SystemErrorKind::Connection(Reason::SecretMissing));
    for word in [
        "username",
        "password",
        "lockstep.dev/host: gerrit.example.com",
        &world.namespace,
    ] {
        assert!(missing.message.contains(word), "{missing}");
    }
    world.clean().await;
}

#[tokio::test]
async fn a_token_vouches_for_the_service_account_towards_one_audience() {
    let Some(world) = World::new().await else { return };
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {
        "name": "dbx", "annotations": {"lockstep.dev/host": "dbc-1.example.com,accounts.example.com"},
    }}))
    .unwrap();
    world
        .api()
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let tokens = IdentityTokenRequests::new(world.client.clone());
    let hosts = ["dbc-1.example.com".to_owned(), "accounts.example.com".to_owned()];
    let stranger = ["dbc-1.example.com".to_owned(), "thief.example.com".to_owned()];
    let refused = tokens
        .token(&world.namespace, "dbx", "https://accounts.example.com", &stranger)
        .await
        .unwrap_err();
    assert!(
        refused.message.contains("is not meant for thief.example.com"),
        "{refused}"
    );
    let token = tokens
        .token(&world.namespace, "dbx", "https://accounts.example.com", &hosts)
        .await
        .unwrap();
    assert!(token.expires > jiff::Timestamp::now());

    let review = async |audience: &str| {
        let reviews: Api<TokenReview> = Api::all(world.client.clone());
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(vec![audience.to_owned()]),
                token: token.token.expose_secret().to_owned(),
            },
            ..TokenReview::default()
        };
        reviews
            .create(&PostParams::default(), &review)
            .await
            .unwrap()
            .status
            .unwrap()
    };
    let meant = review("https://accounts.example.com").await;
    assert_eq!(
        meant.user.unwrap().username.unwrap(),
        format!("system:serviceaccount:{}:dbx", world.namespace)
    );
    assert_ne!(
        review("https://elsewhere.example.com").await.authenticated,
        Some(true)
    );

    // What the API server takes for itself is vouched to nobody else: its service, and the issuer of its tokens.
    let claims = token.token.expose_secret().split('.').nth(1).unwrap();
    let claims = {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(claims)
            .unwrap()
    };
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let issuer = claims["iss"].as_str().unwrap();
    for audience in [issuer, "https://kubernetes.default.svc.cluster.local"] {
        let refused = tokens
            .token(&world.namespace, "dbx", audience, &hosts)
            .await
            .unwrap_err();
        assert_eq!(
            refused.kind,
            SystemErrorKind::Connection(Reason::InvalidSpec),
            "{refused}"
        );
    }

    let missing = tokens
        .token(&world.namespace, "none", "a", &hosts)
        .await
        .unwrap_err();
    assert!(missing.message.contains("does not exist"), "{missing}");
    world.clean().await;
}
