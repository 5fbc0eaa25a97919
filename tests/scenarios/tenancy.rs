//! Who may do what through whose connection, and where a credential may go.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, DeleteParams, Patch};
use lockstep_core::api::{AccessBinding, DatabricksConnection, GerritConnection};
use serde_json::{Value, json};

use crate::support::becomes;
use crate::support::gate::Gate;
use crate::support::team::{Team, host};
use crate::support::world::manager;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_reach_is_refused_and_the_rest_goes_on() {
    let Some(team) = Team::new("reach").await else {
        return;
    };
    let ada = team.person("ada").await;
    let mut spec = team.gerrit_spec("far", &["ada"], json!({}));
    spec["gerrit"][0]["access"] = json!([
        {"project": "All-Projects", "ref": "refs/heads/*", "permission": "read"},
        {"project": team.name("project"), "ref": "refs/heads/*", "permission": "read"},
    ]);
    let before = team.gerrit.access("All-Projects").await;
    let _: AccessBinding = team.apply("AccessBinding", "far", &spec).await;
    spec["gerrit"][0]["group"]["name"] = json!(team.name("owners"));
    spec["gerrit"][0]["access"] =
        json!([{"project": team.name("project"), "ref": "refs/*", "permission": "owner"}]);
    let _: AccessBinding = team.apply("AccessBinding", "owners", &spec).await;
    spec["gerrit"][0]["group"]["name"] = json!("Administrators");
    spec["gerrit"][0]["access"] = json!([]);
    let _: AccessBinding = team.apply("AccessBinding", "admins", &spec).await;

    team.until_reason("far", "Stalled", "OutOfReach").await;
    team.until_reason("admins", "Stalled", "OutOfReach").await;
    team.until_reason("owners", "Stalled", "NeedsAdministrative")
        .await;
    team.until_message("far", "Ready", &["All-Projects", "reach.projects"])
        .await;
    assert_eq!(
        team.gerrit.members(&team.name("far")).await,
        Some(vec![ada]),
        "the rest goes on"
    );
    let access = team.gerrit.access(&team.name("project")).await;
    assert!(
        access["refs/heads/*"]["permissions"]["read"].is_object() && access["refs/*"].is_null(),
        "{access}"
    );
    assert_eq!(team.gerrit.access("All-Projects").await, before);

    let job = format!("not-of-{}", team.prefix);
    team.sim
        .seed(json!({"objects": [{"type": "jobs", "name": job}]}))
        .await;
    let theirs = json!({"gerrit": null, "databricks": {"workspaces": [{
        "connectionRef": {"name": "prod"}, "permission": "USER",
        "objects": [{"job": {"name": job}, "level": "CAN_MANAGE_RUN"}],
    }]}});
    team.bind("jobs", &["ada"], theirs).await;
    let message = team.until_reason("jobs", "Stalled", "OutOfReach").await;
    assert!(
        message.contains(&job) && message.contains("reach.jobs"),
        "{message}"
    );
    let group = team.name("jobs");
    let wanted = Some(vec![team.email("ada")]);
    becomes("the rest goes on there, too", wanted, || {
        team.sim.account_group(&group)
    })
    .await;
    let snapshot = team.sim.snapshot().await;
    let jobs = snapshot["objects"].as_object().unwrap().values();
    let job = jobs
        .flat_map(|kind| kind.as_object().unwrap().values())
        .find(|object| object["name"] == json!(job))
        .unwrap();
    assert!(!job.to_string().contains(&group), "{job}");
    let admins = team.gerrit.members("Administrators").await.unwrap();
    assert!(!admins.contains(&ada), "{admins:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_without_an_entry_may_do_nothing() {
    let Some(owner) = Team::new("landlord").await else {
        return;
    };
    let stranger = Team::new("stranger").await.unwrap();
    stranger.person("ada").await;
    let theirs = json!({"name": "gerrit", "namespace": owner.prefix});
    let mut spec = stranger.gerrit_spec("crew", &["ada"], json!({"name": owner.name("crew")}));
    spec["gerrit"][0]["connectionRef"] = theirs.clone();
    let _: AccessBinding = stranger.apply("AccessBinding", "crew", &spec).await;
    // As a source of members it is as closed.
    let source = json!({"members": [{"gerritGroup": {"connectionRef": theirs, "name": "Administrators"}}]});
    stranger.bind_gerrit("spy", &[], json!({}), source).await;
    stranger.until_reason("crew", "Stalled", "NotAllowed").await;
    stranger.until_reason("spy", "Stalled", "NotAllowed").await;
    assert_eq!(owner.gerrit.members(&owner.name("crew")).await, None);
    assert_eq!(owner.gerrit.members(&stranger.name("spy")).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_leaves_for_no_host_but_its_own() {
    let Some(team) = Team::new("thief").await else {
        return;
    };
    let thief = Gate::default();
    let url = thief.open("http://127.0.0.1:9").await;
    // The Secrets are real ones, annotated for the real hosts.
    team.connect_gerrit("thief", json!({"url": url})).await;
    team.connect_databricks("thief", json!({"host": url, "account": null}))
        .await;
    let aside = json!({"account": {"host": url, "id": team.sim.account}});
    team.connect_databricks("thief-of-the-account", aside).await;
    // Without the annotation a Secret is for nobody.
    let unbound: Value = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "unbound"},
        "stringData": {"username": "u", "password": "zanzibar-unbound"},
    });
    team.all_secrets()
        .patch("unbound", &manager(), &Patch::Apply(&unbound))
        .await
        .unwrap();
    let auth = json!({"url": url, "auth": {"basic": {"secretRef": {"name": "unbound"}}}});
    team.connect_gerrit("unbound", auth).await;

    let mismatch = "SecretHostMismatch";
    let message = team.until_object::<GerritConnection>("thief", mismatch).await;
    assert!(
        message.contains(&host(&url)) && !message.contains(&host(&team.gerrit_url)),
        "{message}"
    );
    team.until_object::<GerritConnection>("unbound", mismatch).await;
    team.until_object::<DatabricksConnection>("thief", mismatch).await;
    team.until_object::<DatabricksConnection>("thief-of-the-account", mismatch)
        .await;
    assert_eq!(thief.requests(), 0, "something left");

    // Addresses where only the cloud's own secrets are, and plain http to elsewhere.
    for (name, url) in [
        ("metadata", "http://169.254.169.254"),
        ("plain", "http://gerrit.example.com"),
    ] {
        let spec = json!({"url": url, "auth": {"basic": {"secretRef": {"name": "gerrit"}}}});
        let applied = team
            .try_apply::<GerritConnection>("GerritConnection", name, &spec)
            .await;
        match applied {
            Err(kube::Error::Api(status)) => assert_eq!(status.code, 422, "{status:?}"),
            Err(other) => panic!("{other}"),
            Ok(_) => {
                let secret = json!({"username": "u", "password": "zanzibar-for-nobody"});
                team.secret("gerrit", &host(url), &secret).await;
                team.until_object::<GerritConnection>(name, "HostRefused").await;
            }
        }
    }
}

/// A ServiceAccount whose tokens may go to this host.
async fn service_account(team: &Team, name: &str, host: &str) {
    let accounts: Api<ServiceAccount> = Api::namespaced(team.client.clone(), &team.prefix);
    let body = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": name, "annotations": {"lockstep.dev/host": host}},
    });
    accounts
        .patch(name, &manager(), &Patch::Apply(&body))
        .await
        .unwrap();
}

/// A service principal that trusts a ServiceAccount of this cluster, whose keys the policy holds.
async fn federate(team: &Team, application: &str, account: &str) {
    let read = async |path: &str| {
        let request = axum::http::Request::get(path).body(Vec::new()).unwrap();
        team.client.request_text(request).await.unwrap()
    };
    let discovery: Value = serde_json::from_str(&read("/.well-known/openid-configuration").await).unwrap();
    let keys = read("/openid/v1/jwks").await;
    team.sim
        .seed(json!({"servicePrincipals": [{
            "applicationId": application, "displayName": "federated", "accountAdmin": true, "admin": true,
            "federationPolicies": [{
                "issuer": discovery["issuer"], "jwks_json": keys,
                "subject": format!("system:serviceaccount:{}:{account}", team.prefix),
            }],
        }]}))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_of_the_cluster_logs_in_at_its_own_host_and_no_other() {
    let Some(team) = Team::new("federated").await else {
        return;
    };
    team.person("ada").await;
    let application = "00000000-0000-4000-8000-00000000fede";
    service_account(&team, "databricks", &host(&team.databricks_url)).await;
    federate(&team, application, "databricks").await;
    let auth = json!({
        "oauthSecret": null,
        "workloadIdentity": {"serviceAccountRef": {"name": "databricks"}, "clientId": application},
    });
    // No stored secret is there to fall back on.
    let secrets = team.all_secrets();
    secrets
        .delete("databricks", &DeleteParams::default())
        .await
        .unwrap();
    team.connect_databricks("prod", json!({"auth": auth})).await;
    team.bind("crew", &["ada"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    let wanted = Some(vec![team.email("ada")]);
    assert_eq!(team.sim.account_group(&team.name("crew")).await, wanted);
    let connection = team.all::<DatabricksConnection>().get("prod").await.unwrap();
    let status = serde_json::to_value(&connection.status).unwrap();
    assert_eq!(status["identity"]["name"], application);

    // Somebody who may write connections points one at a host of their own.
    let thief = Gate::default();
    let url = thief.open(&team.databricks_url).await;
    team.connect_databricks("thief", json!({"host": url, "account": null, "auth": auth}))
        .await;
    let aside = json!({"account": {"host": url, "id": team.sim.account}, "auth": auth});
    team.connect_databricks("thief-of-the-account", aside).await;
    for name in ["thief", "thief-of-the-account"] {
        let message = team
            .until_object::<DatabricksConnection>(name, "SecretHostMismatch")
            .await;
        assert!(
            message.contains("ServiceAccount") && message.contains(&host(&url)),
            "{message}"
        );
    }
    let shown = thief.arrived(|request| request.authorized || request.is_login());
    assert_eq!(shown, 0, "an identity left");
}
