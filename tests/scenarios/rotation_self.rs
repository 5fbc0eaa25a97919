//! What a connection itself logs in with rotates, and the operator goes on with the new one.

use kube::api::{Patch, PatchParams};
use lockstep_core::api::{DatabricksConnection, GerritConnection, ROTATE, ServiceCredential};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::gerrit::encode;
use crate::support::secrets::plant;
use crate::support::sim::Apart;
use crate::support::stack::stack;
use crate::support::team::{Team, host};

/// A service principal of its own that a connection logs in as.
const OWN: &str = "00000000-0000-4000-8000-00000000ce1f";
const OWN_SECRET: &str = "zanzibar-of-the-connection-itself";

impl Team {
    /// Lets a credential take over a Secret.
    async fn offer(&self, secret: &str, credential: &str) {
        let adopt = json!({"metadata": {"annotations": {"lockstep.dev/adopt": credential}}});
        self.all_secrets()
            .patch(secret, &PatchParams::default(), &Patch::Merge(&adopt))
            .await
            .unwrap();
    }

    /// What a Secret holds under a key.
    async fn login(&self, secret: &str, key: &str) -> String {
        let held = self.held(secret).await.unwrap()[key].clone();
        plant(&held);
        held
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connections_own_secret_rotates_and_the_operator_goes_on_with_the_new_one() {
    let Some(stack) = stack() else { return };
    let apart = Apart::start(stack).await;
    let Some(team) = Team::with("itself", &apart).await else {
        return;
    };
    team.may_rotate().await;
    // Nobody lives long on what a login gave.
    let short = json!({"tokenLifetime": 5});
    team.sim.control(Method::POST, "settings", Some(short)).await;
    let own = json!({
        "applicationId": OWN, "displayName": "lockstep itself", "accountAdmin": true, "admin": true,
        "secrets": [OWN_SECRET],
    });
    team.sim.seed(json!({"servicePrincipals": [own]})).await;
    let login = json!({"clientId": OWN, "clientSecret": OWN_SECRET});
    team.secret("login", &host(&team.databricks_url), &login).await;
    let connection = json!({
        "auth": {"oauthSecret": {"secretRef": {"name": "login"}}},
        "tenants": [{
            "namespaces": {"names": [team.prefix]}, "uses": ["Rotation"], "reach": {"servicePrincipals": ["*"]},
        }],
    });
    team.connect_databricks("own", connection).await;
    team.until_object::<DatabricksConnection>("own", "Succeeded")
        .await;

    let itself = |schedule: Value, lifetime: &str, whose: &str| {
        json!({
            "mode": "Enforce", "interval": "10s", "overlap": "20s", "schedule": schedule, "exclusive": true,
            "issuer": {"databricksServicePrincipal": {
                "connectionRef": {"name": "own"}, "applicationId": whose, "lifetime": lifetime,
            }},
            "stores": [{"kubernetesSecret": {"name": "login", "keys": {"clientId": "clientId", "value": "clientSecret"}}}],
        })
    };
    // By its number it would escape the slack that its own word demands.
    let spec = itself(json!({"every": "1d"}), "30d", OWN);
    let _: ServiceCredential = team.apply("ServiceCredential", "by-number", &spec).await;
    let said = team
        .until_object::<ServiceCredential>("by-number", "NotAllowed")
        .await;
    assert!(said.contains("applicationId: self"), "{said}");
    team.drop_credential("by-number").await;
    // Two missed rotations must leave it alive, by the clock as by an interval.
    let spec = itself(json!({"cron": "0 3 * * MON"}), "20d", "self");
    let _: ServiceCredential = team.apply("ServiceCredential", "itself", &spec).await;
    let said = team
        .until_object::<ServiceCredential>("itself", "InvalidSpec")
        .await;
    assert!(
        said.contains("1728000 s") && said.contains("3 x 604800 s + 20 s"),
        "{said}"
    );
    let spec = itself(json!({"cron": "0 3 * * MON"}), "30d", "self");
    let _: ServiceCredential = team.apply("ServiceCredential", "itself", &spec).await;
    // Nobody said that the Secret may be taken.
    let said = team
        .until_object::<ServiceCredential>("itself", "ClaimedByAnother")
        .await;
    assert!(said.contains("lockstep.dev/adopt"), "{said}");
    team.offer("login", "itself").await;
    let held = || team.login("login", "clientSecret");
    team.until_current("itself", 1).await;
    let first = held().await;
    assert!(first != OWN_SECRET && team.sim.lets_in(OWN, &first).await);
    team.annotate_credential("itself", ROTATE, "1").await;
    team.until_current("itself", 2).await;
    let second = held().await;
    assert!(second != first && team.sim.lets_in(OWN, &second).await);
    // By then the connection logs in with the new one: it is what revokes the old one, long after its last token ran out.
    team.until_state("itself", 1, "Revoked").await;
    assert!(!team.sim.lets_in(OWN, &first).await);
    team.until_object::<DatabricksConnection>("own", "Succeeded")
        .await;
    team.annotate_credential("itself", ROTATE, "2").await;
    team.until_current("itself", 3).await;
    assert!(team.sim.lets_in(OWN, &held().await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connections_own_personal_access_token_rotates_and_the_operator_goes_on_with_the_new_one() {
    let Some(stack) = stack() else { return };
    let apart = Apart::start(stack).await;
    let Some(team) = Team::with("pat", &apart).await else {
        return;
    };
    let own = json!({"applicationId": OWN, "displayName": "lockstep itself", "admin": true});
    team.sim.seed(json!({"servicePrincipals": [own]})).await;
    team.may_have_tokens(&[OWN]).await;
    let by_hand = json!({"application_id": OWN, "comment": "by hand"});
    let path = "/api/2.0/token-management/on-behalf-of/tokens";
    let (status, made) = team.sim.call(Method::POST, path, Some(by_hand)).await;
    assert_eq!(status, 200, "{made}");
    let by_hand = made["token_value"].as_str().unwrap();
    plant(by_hand);
    team.secret("login", &host(&team.databricks_url), &json!({"token": by_hand}))
        .await;
    let connection = json!({
        "account": null,
        "auth": {"oauthSecret": null, "personalAccessToken": {"secretRef": {"name": "login"}}},
        "tenants": [{"namespaces": {"names": [team.prefix]}, "uses": ["Rotation"]}],
    });
    team.connect_databricks("own", connection).await;
    team.until_object::<DatabricksConnection>("own", "Succeeded")
        .await;
    let spec = json!({
        "mode": "Enforce", "interval": "10s", "overlap": "25s", "schedule": {"every": "1d"},
        "issuer": {"databricksToken": {
            "connectionRef": {"name": "own"}, "applicationId": "self", "lifetime": "30d",
        }},
        "stores": [{"kubernetesSecret": {"name": "login", "keys": {"value": "token"}}}],
    });
    team.offer("login", "itself").await;
    let _: ServiceCredential = team.apply("ServiceCredential", "itself", &spec).await;
    team.until_current("itself", 1).await;
    let first = team.login("login", "token").await;
    assert_ne!(first, by_hand);
    team.annotate_credential("itself", ROTATE, "1").await;
    team.until_current("itself", 2).await;
    // A token ends at once when it is revoked: by then the connection must log in with the next one.
    team.until_state("itself", 1, "Revoked").await;
    team.annotate_credential("itself", ROTATE, "2").await;
    team.until_current("itself", 3).await;
    team.until_object::<DatabricksConnection>("own", "Succeeded")
        .await;
    assert_ne!(team.login("login", "token").await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gerrit_connections_own_token_rotates_and_the_operator_goes_on_with_the_new_one() {
    let Some(team) = Team::new("owngerrit").await else {
        return;
    };
    team.may_rotate().await;
    let name = team.name("operator");
    let body = json!({"name": name, "http_password": OWN_SECRET, "groups": ["Administrators"]});
    let path = format!("/accounts/{}", encode(&name));
    let (status, answer) = team.gerrit.call(Method::PUT, &path, Some(body)).await;
    assert_eq!(status, 201, "{answer}");
    let login = json!({"username": name, "password": OWN_SECRET});
    team.secret("login", &host(&team.gerrit_url), &login).await;
    let own = format!("{}*", team.prefix);
    let connection = json!({
        "auth": {"basic": {"secretRef": {"name": "login"}}},
        "tenants": [{
            "namespaces": {"names": [team.prefix]}, "uses": ["Rotation"], "reach": {"accounts": [own]},
        }],
    });
    team.connect_gerrit("own", connection).await;
    team.until_object::<GerritConnection>("own", "Succeeded").await;
    let token = |account: &str, secret: &str, overlap: &str| {
        json!({
            "mode": "Enforce", "interval": "10s", "overlap": overlap, "schedule": {"every": "1d"},
            "issuer": {"gerritToken": {
                "connectionRef": {"name": "own"}, "account": account, "lifetime": "30d",
            }},
            "stores": [{"kubernetesSecret": {
                "name": secret, "keys": {"clientId": "username", "value": "password"},
            }}],
        })
    };
    team.offer("login", "itself").await;
    let spec = token(&name, "login", "25s");
    let _: ServiceCredential = team.apply("ServiceCredential", "itself", &spec).await;
    team.until_current("itself", 1).await;
    let first = team.login("login", "password").await;
    assert_ne!(first, OWN_SECRET);
    team.annotate_credential("itself", ROTATE, "1").await;
    team.until_current("itself", 2).await;
    team.until_state("itself", 1, "Revoked").await;
    let lets_in = async |password: &str| {
        let operator = team.gerrit.logged_in(&name, password);
        operator.get("/accounts/self").await.0
    };
    assert_eq!(lets_in(&first).await, 401);
    assert_eq!(lets_in(&team.login("login", "password").await).await, 200);
    // What others ask of the connection is asked with the new one.
    let spec = token(&team.name("bot"), "bot", "3s");
    let _: ServiceCredential = team.apply("ServiceCredential", "bot", &spec).await;
    team.until_current("bot", 1).await;
    assert!(team.gerrit_lets_in(&team.login("bot", "password").await).await);
}
