//! Logging in: tokens kept and replaced, the host they go to, and what a token cannot reach.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use lockstep::clients::databricks::Auth;
use lockstep::clients::identity::IdentityTokens;
use lockstep_core::domain::ports::{AccessSystem as _, Clock as _, SystemError, SystemErrorKind};
use rustls::SignatureScheme;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::sim::{ACCOUNT, SECRET, Sim, US, account, workspace};

async fn token_requests(sim: &Sim) -> u64 {
    sim.control("GET", "counts", None).await["tokens"]
        .as_u64()
        .unwrap()
}

#[tokio::test]
async fn one_token_serves_each_plane() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    for _ in 0..3 {
        databricks.clock.advance(1);
        let now = databricks.clock.now();
        databricks.system.directory(&account(), now).await.unwrap();
        databricks.system.directory(&workspace(), now).await.unwrap();
    }
    // One each, and one look at where the workspace's token endpoint is.
    assert_eq!(token_requests(&sim).await, 3);
}

#[tokio::test]
async fn a_token_is_renewed_beside_its_use_and_replaced_when_refused() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let ask = async || {
        databricks.clock.advance(1);
        databricks
            .system
            .directory(&account(), databricks.clock.now())
            .await
    };
    ask().await.unwrap();
    assert_eq!(token_requests(&sim).await, 1);
    databricks.clock.advance(45 * 60);
    let last = sim.control("GET", "journal", None).await["last"]
        .as_u64()
        .unwrap();
    ask().await.unwrap();
    let mut since = last;
    loop {
        let page = sim
            .control("GET", &format!("journal?since={since}&wait=10"), None)
            .await;
        let entries = page["entries"].as_array().unwrap();
        assert!(!entries.is_empty(), "no renewal was seen");
        if entries
            .iter()
            .any(|entry| entry["path"].as_str().unwrap().starts_with("/oidc/"))
        {
            break;
        }
        since = page["last"].as_u64().unwrap();
    }
    // The vendor's clock runs ahead: the kept token is refused although it should be good.
    sim.settings(json!({"clockOffset": 2 * 3600})).await;
    ask().await.unwrap();
    assert_eq!(token_requests(&sim).await, 3);
}

#[tokio::test]
async fn a_wrong_secret_is_asked_about_once_and_never_shown() {
    let sim = Sim::start().await;
    let databricks = Sim::system_with(sim.settings_with(Auth::OauthSecret {
        client_id: US.into(),
        client_secret: "planted-wrong-secret".to_owned().into(),
    }));
    for _ in 0..3 {
        databricks.clock.advance(1);
        let error = databricks
            .system
            .directory(&account(), databricks.clock.now())
            .await
            .unwrap_err();
        assert_eq!(error.kind, SystemErrorKind::Unauthorized);
        assert!(!error.to_string().contains("planted"), "{error}");
        assert!(error.message.contains(US), "{error}");
    }
    assert_eq!(token_requests(&sim).await, 1);
}

#[tokio::test]
async fn a_personal_access_token_stays_in_its_workspace() {
    let sim = Sim::start().await;
    let databricks = sim.token();
    databricks
        .system
        .directory(&workspace(), Timestamp::MIN)
        .await
        .unwrap();
    let error = databricks
        .system
        .directory(&account(), Timestamp::MIN)
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Unauthorized);
    assert!(error.message.contains("personal access token"), "{error}");
    let probe = databricks.system.probe().await.unwrap();
    assert!(
        probe
            .lacks
            .iter()
            .any(|lack| lack.contains("personal access token")),
        "{probe:?}"
    );
    assert_eq!(probe.status["identity"]["name"], "admin@example.com");
}

#[tokio::test]
async fn a_wrong_token_is_unauthorized_and_not_echoed() {
    let sim = Sim::start().await;
    let databricks = Sim::system_with(
        sim.settings_with(Auth::PersonalAccessToken("dapi-planted-wrong".to_owned().into())),
    );
    let error = databricks.system.probe().await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Unauthorized);
    assert!(!error.to_string().contains("planted"), "{error}");
}

#[tokio::test]
async fn a_probe_says_who_and_where_we_are() {
    let sim = Sim::start().await;
    let probe = sim.system().system.probe().await.unwrap();
    assert_eq!(probe.lacks, Vec::<String>::new());
    let status = probe.status;
    assert_eq!(status["workspaceId"], crate::sim::WORKSPACE);
    assert_eq!(status["accountId"], ACCOUNT);
    assert_eq!(status["metastoreId"], crate::sim::METASTORE);
    assert_eq!(status["identity"]["name"], US);
    assert_eq!(status["identity"]["workspaceAdmin"], true);
    assert_eq!(status["identity"]["accountAdmin"], true);
    assert_eq!(status["identityManagement"], "Manual");
}

#[tokio::test]
async fn a_probe_says_whether_an_identity_provider_fills_groups() {
    let sim = Sim::start().await;
    sim.seed(json!({"groups": [
        {"displayName": "ours", "members": ["ada@example.com"]},
        {"displayName": "theirs", "externalId": "entra-1", "members": ["bob@example.com"]},
    ]}))
    .await;
    for (automatic, said) in [(false, "Manual"), (true, "Automatic")] {
        sim.settings(json!({"automaticIdentity": automatic})).await;
        let probe = sim.system().system.probe().await.unwrap();
        assert_eq!(probe.status["identityManagement"], said);
    }
    // Where the newer API is missing, a provisioned group leaves it undecided.
    let refusal =
        json!({"Refuse": {"status": 404, "error_code": "ENDPOINT_NOT_FOUND", "message": "No API found"}});
    sim.fault("GET", "*/direct-members", 1, refusal).await;
    let probe = sim.system().system.probe().await.unwrap();
    assert_eq!(probe.status.get("identityManagement"), None);
}

#[tokio::test]
async fn a_probe_says_what_we_lack() {
    let sim = Sim::start().await;
    let app = "aaaaaaaa-0000-4000-8000-000000000009";
    sim.seed(json!({"servicePrincipals": [{"applicationId": app, "secrets": [SECRET.to_owned() + "2"]}]}))
        .await;
    let databricks = Sim::system_with(sim.settings_with(Auth::OauthSecret {
        client_id: app.into(),
        client_secret: (SECRET.to_owned() + "2").into(),
    }));
    let probe = databricks.system.probe().await.unwrap();
    assert_eq!(probe.lacks.len(), 2, "{probe:?}");
    assert_eq!(probe.status["identity"]["accountAdmin"], false);
}

/// A cluster of our own making, with a key made from a fixed seed.
struct Cluster {
    audiences: std::sync::Mutex<Vec<String>>,
    subject: &'static str,
}

/// PKCS #8 around an Ed25519 seed.
fn key() -> Arc<dyn rustls::sign::SigningKey> {
    let mut der = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ];
    der.extend([7u8; 32]);
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der));
    rustls::crypto::ring::sign::any_supported_type(&der).unwrap()
}

fn jwks() -> Value {
    let key = key();
    let spki = key.public_key().unwrap();
    let x = URL_SAFE_NO_PAD.encode(&spki[spki.len() - 32..]);
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k", "x": x}]})
}

#[async_trait]
impl IdentityTokens for Cluster {
    async fn token(&self, audience: &str) -> Result<SecretString, SystemError> {
        self.audiences.lock().unwrap().push(audience.to_owned());
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let now = Timestamp::now().as_second();
        let head = part(json!({"alg": "EdDSA", "typ": "JWT", "kid": "k"}));
        let claims = json!({"iss": "https://cluster.example.com", "sub": self.subject, "aud": [audience],
            "iat": now, "exp": now + 600});
        let signed = format!("{head}.{}", part(claims));
        let signer = key().choose_scheme(&[SignatureScheme::ED25519]).unwrap();
        let signature = signer.sign(signed.as_bytes()).unwrap();
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
    }
}

#[tokio::test]
async fn a_service_account_logs_in_without_a_stored_secret() {
    let sim = Sim::start().await;
    let subject = "system:serviceaccount:lockstep:dbx";
    let policy = json!({"issuer": "https://cluster.example.com", "subject": subject,
        "jwks_json": jwks().to_string()});
    sim.seed(json!({"servicePrincipals": [
        {"applicationId": US, "admin": true, "accountAdmin": true, "federationPolicies": [policy]}]}))
        .await;
    let login = |subject| {
        let cluster = Arc::new(Cluster {
            audiences: std::sync::Mutex::default(),
            subject,
        });
        let auth = Auth::WorkloadIdentity {
            client_id: US.into(),
            audience: None,
            tokens: cluster.clone(),
        };
        (Sim::system_with(sim.settings_with(auth)), cluster)
    };
    let (databricks, cluster) = login(subject);
    let probe = databricks.system.probe().await.unwrap();
    assert_eq!(probe.status["identity"]["name"], US);
    assert_eq!(*cluster.audiences.lock().unwrap(), [ACCOUNT, ACCOUNT]);
    let (stranger, _) = login("system:serviceaccount:lockstep:other");
    let error = stranger.system.probe().await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Unauthorized);
    assert!(error.message.contains("federation policy"), "{error}");
}
