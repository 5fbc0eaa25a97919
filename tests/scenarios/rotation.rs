//! Secrets that rotate: every consumer always has one that works, and none lives that nobody knows of.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use lockstep_core::api::ServiceCredential;
use lockstep_core::api::{COMPROMISED, ROTATE};
use serde_json::json;

use crate::support::rotating::Consumer;
use crate::support::team::Team;
use crate::support::{becomes, stays};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_rotates_while_a_client_uses_it_and_the_old_one_ends_after_the_overlap() {
    let Some(team) = Team::new("rotates").await else {
        return;
    };
    let team = Arc::new(team);
    team.may_rotate().await;
    let deployments: Api<Deployment> = Api::namespaced(team.client.clone(), &team.prefix);
    let template = json!({"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [{"name": "api", "image": "x"}]}});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "api"}}, "template": template},
    });
    deployments
        .patch(
            "api",
            &PatchParams::apply("scenarios"),
            &Patch::Apply(&deployment),
        )
        .await
        .unwrap();
    let restart = json!({"restart": [{"kind": "Deployment", "name": "api"}]});
    team.rotate_token("ci", restart).await;
    team.until_current("ci", 1).await;
    let first = team.held("ci").await.unwrap()["token"].clone();
    assert_eq!(team.held("ci").await.unwrap()["username"], team.name("bot"));
    assert!(team.gerrit_lets_in(&first).await);

    let consumer = Consumer::of(&team, "ci");
    team.annotate_credential("ci", ROTATE, "now").await;
    let rotated = team.until_current("ci", 2).await;
    let held = team.held("ci").await.unwrap();
    assert_ne!(held["token"], first);
    assert!(team.gerrit_lets_in(&held["token"]).await);
    assert!(
        team.gerrit_lets_in(&first).await,
        "the last one lives on for the overlap"
    );
    assert_eq!(held["previous.token"], first);
    let status = rotated.status.unwrap();
    assert_eq!(status.rotated_for.as_deref(), Some("now"));
    assert!(status.next_rotation > status.minted_at);
    assert!(status.expires_at > status.next_rotation);

    team.until_state("ci", 1, "Revoked").await;
    assert!(!team.gerrit_lets_in(&first).await);
    becomes("only what lives lies in the Secret", false, || async {
        team.held("ci").await.unwrap().contains_key("previous.token")
    })
    .await;
    let (logins, refused) = consumer.end().await;
    assert_eq!(refused, 0, "of {logins} logins");
    assert!(logins > 5, "{logins}");
    assert_eq!(team.tokens().await.len(), 1);
    let started = deployments
        .get("api")
        .await
        .unwrap()
        .spec
        .template
        .metadata
        .unwrap();
    assert_eq!(started.annotations.unwrap()["lockstep.dev/started-for"], "ci-2");

    // Nothing of it is left when it goes.
    team.all::<ServiceCredential>()
        .delete("ci", &DeleteParams::default())
        .await
        .unwrap();
    becomes("it is gone", true, || async {
        team.all::<ServiceCredential>()
            .get_opt("ci")
            .await
            .unwrap()
            .is_none()
    })
    .await;
    assert_eq!(team.tokens().await, Vec::<String>::new());
    assert_eq!(team.held("ci").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_principals_secret_rotates_into_every_store() {
    let Some(team) = Team::new("principal").await else {
        return;
    };
    team.may_rotate().await;
    let mut spec = team.secret_spec("dbx");
    spec["stores"] = json!([
        {"kubernetesSecret": {"name": "dbx", "keys": {"clientId": "client_id", "value": "client_secret"}}},
        {"kubernetesSecret": {"name": "file", "template": "Databrickscfg"}},
    ]);
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &spec).await;
    team.until_current("dbx", 1).await;
    let first = team.held("dbx").await.unwrap()["client_secret"].clone();
    assert!(team.databricks_lets_in(&first).await);
    let file = team.held("file").await.unwrap()[".databrickscfg"].clone();
    assert!(file.contains(&format!("client_secret = {first}")) && file.starts_with("[DEFAULT]\nhost = http"));

    team.annotate_credential("dbx", ROTATE, "1").await;
    team.until_current("dbx", 2).await;
    let second = team.held("dbx").await.unwrap()["client_secret"].clone();
    assert!(second != first && team.databricks_lets_in(&second).await);
    team.until_state("dbx", 1, "Revoked").await;
    assert!(!team.databricks_lets_in(&first).await);
    let file = team.held("file").await.unwrap()[".databrickscfg"].clone();
    assert!(file.contains(&second));

    // A place that the spec no longer names holds nothing of it any more.
    spec["stores"].as_array_mut().unwrap().pop();
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &spec).await;
    becomes("the file is gone", None, || team.held("file")).await;
    assert!(team.databricks_lets_in(&second).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_value_is_revoked_first_and_replaced_at_once() {
    let Some(team) = Team::new("stolen").await else {
        return;
    };
    team.may_rotate().await;
    team.rotate_token("ci", json!({})).await;
    team.until_current("ci", 1).await;
    let stolen = team.held("ci").await.unwrap()["token"].clone();
    team.annotate_credential("ci", COMPROMISED, "1").await;
    becomes("the stolen one is refused", false, || {
        team.gerrit_lets_in(&stolen)
    })
    .await;
    team.until_current("ci", 2).await;
    let held = team.held("ci").await.unwrap();
    assert!(team.gerrit_lets_in(&held["token"]).await);
    assert!(
        !held.contains_key("previous.token"),
        "a stolen value is handed to nobody"
    );
    let row = team.until_state("ci", 1, "Revoked").await;
    assert_eq!(row.why.as_deref(), Some("Compromised"));
    let said = team.until_event("Revoking").await;
    assert!(said.contains("generation 1 is compromised"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_somebody_edits_is_put_back_and_one_that_is_deleted_is_written_anew() {
    let Some(team) = Team::new("edited").await else {
        return;
    };
    team.may_rotate().await;
    let mut spec = team.token_spec("ci");
    spec["stores"] = json!([
        {"kubernetesSecret": {"name": "ci", "keys": {"value": "token"}}},
        {"kubernetesSecret": {"name": "other", "keys": {"value": "token"}}},
    ]);
    let _: ServiceCredential = team.apply("ServiceCredential", "ci", &spec).await;
    team.until_current("ci", 1).await;
    let held = team.held("ci").await;
    let token = held.as_ref().unwrap()["token"].clone();
    let edit = json!({"stringData": {"token": "guess", "more": "x"}});
    team.all_secrets()
        .patch("ci", &PatchParams::default(), &Patch::Merge(&edit))
        .await
        .unwrap();
    becomes("what was edited is put back", held.clone(), || team.held("ci")).await;
    let said = team.until_event("Repaired").await;
    assert!(said.contains("generation 1 was put back"), "{said}");
    team.all_secrets()
        .delete("ci", &DeleteParams::default())
        .await
        .unwrap();
    becomes("what was deleted is written anew", held, || team.held("ci")).await;
    assert!(team.gerrit_lets_in(&token).await);
    assert_eq!(team.tokens().await.len(), 1, "nothing was minted for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_somebody_else_is_refused_before_anything_is_minted() {
    let Some(team) = Team::new("taken").await else {
        return;
    };
    team.may_rotate().await;
    team.secret("ci", "nowhere", &json!({"token": "theirs"})).await;
    team.rotate_token("ci", json!({})).await;
    let said = team
        .until_object::<ServiceCredential>("ci", "ClaimedByAnother")
        .await;
    assert!(
        said.contains("that Lockstep did not make") && said.contains("lockstep.dev/adopt"),
        "{said}"
    );
    stays("nothing is minted", 3, Vec::<String>::new(), || team.tokens()).await;
    assert_eq!(team.held("ci").await.unwrap()["token"], "theirs");
    // Whoever owns it may let it be taken over.
    let adopt = json!({"metadata": {"annotations": {"lockstep.dev/adopt": "ci"}}});
    team.all_secrets()
        .patch("ci", &PatchParams::default(), &Patch::Merge(&adopt))
        .await
        .unwrap();
    team.until_current("ci", 1).await;
    assert!(
        team.gerrit_lets_in(&team.held("ci").await.unwrap()["token"])
            .await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_cannot_be_kept_is_refused_with_its_numbers() {
    let Some(team) = Team::new("schedule").await else {
        return;
    };
    team.may_rotate().await;
    team.rotate_token("ci", json!({"overlap": "2d"})).await;
    let said = team.until_object::<ServiceCredential>("ci", "InvalidSpec").await;
    assert!(said.contains("172800 s") && said.contains("86400 s"), "{said}");
    assert_eq!(team.tokens().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_mints_beyond_what_the_connection_lets_the_namespace_reach() {
    let Some(team) = Team::new("reached").await else {
        return;
    };
    team.may_rotate().await;
    let issuer = |account: &str| {
        json!({"issuer": {"gerritToken": {
            "connectionRef": {"name": "gerrit"}, "account": account, "lifetime": "30d",
        }}})
    };
    team.rotate_token("ci", issuer("admin")).await;
    let said = team.until_object::<ServiceCredential>("ci", "OutOfReach").await;
    assert!(said.contains("account \"admin\""), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_credentials_of_one_place_are_a_conflict_and_the_older_is_served() {
    let Some(team) = Team::new("places").await else {
        return;
    };
    team.may_rotate().await;
    team.rotate_token("ci", json!({})).await;
    team.until_current("ci", 1).await;
    let same = json!({"stores": [{"kubernetesSecret": {"name": "ci", "keys": {"value": "token"}}}]});
    team.rotate_token("second", same).await;
    let said = team
        .until_object::<ServiceCredential>("second", "ClaimedByAnother")
        .await;
    assert!(said.contains("/ci writes to secret/"), "{said}");
    assert_eq!(team.tokens().await.len(), 1);
    // The younger is served when the older goes.
    team.all::<ServiceCredential>()
        .delete("ci", &DeleteParams::default())
        .await
        .unwrap();
    team.until_current("second", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_leaves_its_value_and_a_wiped_status_forgets_nothing() {
    let Some(team) = Team::new("orphan").await else {
        return;
    };
    team.may_rotate().await;
    team.rotate_token("ci", json!({"onDelete": "Orphan"})).await;
    team.until_current("ci", 1).await;
    let token = team.held("ci").await.unwrap()["token"].clone();
    let wipe = json!({"status": {"generations": null, "conditions": [], "current": null}});
    team.all::<ServiceCredential>()
        .patch_status("ci", &PatchParams::default(), &Patch::Merge(&wipe))
        .await
        .unwrap();
    team.until_current("ci", 1).await;
    assert_eq!(team.held("ci").await.unwrap()["token"], token);
    assert_eq!(
        team.tokens().await.len(),
        1,
        "what the status forgot the record knows"
    );
    team.all::<ServiceCredential>()
        .delete("ci", &DeleteParams::default())
        .await
        .unwrap();
    becomes("it is gone", true, || async {
        team.all::<ServiceCredential>()
            .get_opt("ci")
            .await
            .unwrap()
            .is_none()
    })
    .await;
    assert!(team.gerrit_lets_in(&token).await);
    assert_eq!(team.held("ci").await.unwrap()["token"], token);
}
