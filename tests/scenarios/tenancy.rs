//! Who may do what through whose connection, and where a credential may go.

use lockstep_core::api::{AccessBinding, DatabricksConnection, GerritConnection};
use serde_json::{Value, json};

use crate::support::gate::Gate;
use crate::support::team::{Team, host};

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
        .patch(
            "unbound",
            &crate::support::world::manager(),
            &kube::api::Patch::Apply(&unbound),
        )
        .await
        .unwrap();
    let auth = json!({"url": url, "auth": {"basic": {"secretRef": {"name": "unbound"}}}});
    team.connect_gerrit("unbound", auth).await;

    let mismatch = "SecretHostMismatch";
    let message = team.until_connection::<GerritConnection>("thief", mismatch).await;
    assert!(
        message.contains(&host(&url)) && !message.contains(&host(&team.gerrit_url)),
        "{message}"
    );
    team.until_connection::<GerritConnection>("unbound", mismatch)
        .await;
    team.until_connection::<DatabricksConnection>("thief", mismatch)
        .await;
    team.until_connection::<DatabricksConnection>("thief-of-the-account", mismatch)
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
                team.until_connection::<GerritConnection>(name, "HostRefused")
                    .await;
            }
        }
    }
}
