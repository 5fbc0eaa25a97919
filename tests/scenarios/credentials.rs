//! Credentials that are missing, wrong, rotated; certificates nobody knows.

use lockstep_core::api::{DatabricksConnection, GerritConnection};
use serde_json::json;

use crate::support::gate::Gate;
use crate::support::secrets::search;
use crate::support::team::{Team, host};
use crate::support::{becomes, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_or_wrong_stops_everything_until_it_is_right() {
    let gate = Gate::default();
    let Some(team) = Team::behind("secret", Some(&gate), None).await else {
        return;
    };
    let (ada, ben) = (team.person("ada").await, team.person("ben").await);
    let auth = json!({"auth": {"basic": {"secretRef": {"name": "late"}}}});
    team.connect_gerrit("late", auth).await;
    let mut spec = team.gerrit_spec("crew", &["ada"], json!({}));
    spec["gerrit"][0]["connectionRef"]["name"] = json!("late");
    let _: lockstep_core::api::AccessBinding = team.apply("AccessBinding", "crew", &spec).await;
    team.until_object::<GerritConnection>("late", "SecretMissing")
        .await;
    team.until_reason("crew", "Ready", "DependencyNotReady").await;

    let host = host(&team.gerrit_url);
    let wrong = json!({"username": world::GERRIT_USER, "password": "zanzibar-but-wrong"});
    let right = json!({"username": world::GERRIT_USER, "password": world::GERRIT_PASSWORD});
    team.secret("late", &host, &wrong).await;
    let said = team
        .until_object::<GerritConnection>("late", "Unauthorized")
        .await;
    search("what the connection says", &said);
    let said = team.until_message("crew", "Ready", &["Unauthorized"]).await;
    search("what the binding says", &said);
    assert_eq!(gate.writes(), 0);
    // Nothing more is tried with it on behalf of the binding.
    let before = gate.requests();
    team.pass("crew").await;
    assert_eq!(gate.requests(), before, "a refused credential was used again");

    team.secret("late", &host, &right).await;
    team.until("crew", "Ready", "True").await;
    let group = team.name("crew");
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada]));

    // Rotated while running, first to nonsense, then to what holds.
    team.secret("late", &host, &wrong).await;
    team.until_object::<GerritConnection>("late", "Unauthorized")
        .await;
    team.gerrit.add_member(&group, ben).await;
    team.until_reason("crew", "Ready", "DependencyNotReady").await;
    team.secret("late", &host, &right).await;
    becomes("it goes on by itself", Some(vec![ada]), || {
        team.gerrit.members(&group)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_secret_is_rotated_while_running() {
    let Some(team) = Team::new("rotated").await else {
        return;
    };
    team.people(&["ada", "ben"]).await;
    let application = "00000000-0000-4000-8000-0000000f00d0";
    let principal = json!({"servicePrincipals": [{
        "applicationId": application, "displayName": "another identity", "accountAdmin": true, "admin": true,
        "secrets": ["zanzibar-rotated-in"],
    }]});
    team.sim.seed(principal).await;
    team.bind("crew", &["ada"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    let rotated = json!({"clientId": application, "clientSecret": "zanzibar-rotated-in"});
    team.secret("databricks", &host(&team.databricks_url), &rotated)
        .await;
    crate::support::eventually("the new identity is in use", crate::support::PATIENCE, || async {
        let connection = team
            .all::<DatabricksConnection>()
            .get("prod")
            .await
            .map_err(|e| e.to_string())?;
        let status = serde_json::to_string(&connection.status).unwrap();
        status
            .contains(application)
            .then_some(())
            .ok_or_else(|| status.clone())
    })
    .await;
    team.bind("crew", &["ada", "ben"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    let both = Some(vec![team.email("ada"), team.email("ben")]);
    assert_eq!(team.sim.account_group(&team.name("crew")).await, both);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_certificate_is_refused_until_its_authority_is_named() {
    let Some(team) = Team::new("authority").await else {
        return;
    };
    // The API server speaks TLS by an authority of its own; it is no Gerrit, which is said only once it is trusted.
    let kubeconfig = kube::config::Kubeconfig::read_from(team.stack.get("KUBECONFIG")).unwrap();
    let cluster = kubeconfig.clusters[0].cluster.clone().unwrap();
    let url = cluster.server.clone().unwrap();
    let bundle = match (cluster.certificate_authority_data, cluster.certificate_authority) {
        (Some(data), _) => {
            use base64::Engine as _;
            let pem = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
            String::from_utf8(pem).unwrap()
        }
        (None, Some(file)) => std::fs::read_to_string(file).unwrap(),
        (None, None) => panic!("the stack's kubeconfig names no authority"),
    };
    let secret = json!({"username": "u", "password": "zanzibar-for-strangers"});
    team.secret("tls", &host(&url), &secret).await;
    let auth = json!({"url": url, "auth": {"basic": {"secretRef": {"name": "tls"}}}});
    team.connect_gerrit("tls", auth.clone()).await;
    let message = team.until_object::<GerritConnection>("tls", "Unreachable").await;
    assert!(message.to_lowercase().contains("certificate"), "{message}");

    team.secret("corp-ca", "nowhere", &json!({"ca.crt": bundle}))
        .await;
    let mut trusting = auth;
    trusting["caBundle"] = json!({"secretRef": {"name": "corp-ca"}});
    team.connect_gerrit("tls", trusting).await;
    let message = team
        .until_object::<GerritConnection>("tls", "SecretHostMismatch")
        .await;
    assert!(message.contains("corp-ca"), "{message}");
    team.secret("corp-ca", &host(&url), &json!({"ca.crt": bundle}))
        .await;
    let message = team.until_object::<GerritConnection>("tls", "Forbidden").await;
    assert!(!message.to_lowercase().contains("certificate"), "{message}");
}
