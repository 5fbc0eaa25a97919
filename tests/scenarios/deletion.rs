//! Ends: of an object, a namespace, a connection, a kind.

use std::collections::BTreeSet;
use std::sync::Mutex;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::DeleteParams;
use lockstep_core::api::{AccessBinding, DatabricksConnection, GerritConnection};
use serde_json::json;

use crate::support::approvals::{Yes, install, uninstall};
use crate::support::operator::NAMESPACE;
use crate::support::team::{Team, prepare_cluster};
use crate::support::waiting::{condition, digest};
use crate::support::{PATIENCE, eventually, operator};

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_deleted_with_everything_in_it_leaves_nothing_behind() {
    let Some(team) = Team::new("namespace").await else {
        return;
    };
    team.person("ada").await;
    team.bind("crew", &["ada"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    team.delete_namespace().await;
    // Connections and their Secrets go with it, and what was given is taken back all the same.
    team.until_the_namespace_is_gone().await;
    let group = team.name("crew");
    assert_eq!(team.gerrit.members(&group).await, None);
    assert!(!team.sim.snapshot().await.to_string().contains(&group));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_connections_are_gone_waits_for_a_person() {
    // Elsewhere others have connections to the same server, and any of them may take back what was given.
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let team = Team::of(&operator, "orphaned", None).await;
    install(team.stack).await;
    operator.start_afresh().await;
    let ada = team.person("ada").await;
    team.bind_gerrit("crew", &["ada"], json!({}), json!({})).await;
    team.bind_gerrit("left", &["ada"], json!({}), json!({"onDelete": "Orphan"}))
        .await;
    team.until("crew", "Ready", "True").await;
    team.until("left", "Ready", "True").await;
    let left = team.name("left");
    team.delete("left").await;
    assert_eq!(team.gerrit.members(&left).await, Some(vec![ada]), "Orphan leaves");

    let connections = team.all::<GerritConnection>();
    connections
        .delete("gerrit", &DeleteParams::default())
        .await
        .unwrap();
    eventually("the connection says who still needs it", PATIENCE, || async {
        let connection = connections.get("gerrit").await.map_err(|e| e.to_string())?;
        let conditions = connection.status.unwrap().conditions;
        match condition(&conditions, "Reconciling") {
            Some(c) if c.reason == "HasDependants" => Ok(()),
            _ => Err(format!("{conditions:?}")),
        }
    })
    .await;
    team.strip::<GerritConnection>("gerrit").await;
    // While the operator still knows it, it takes back through it.
    team.until_message("crew", "Ready", &["does not exist"]).await;
    team.go("crew").await;
    let message = team.until_reason("crew", "Ready", "RevokeWaiting").await;
    let at = message.find("sha256:").unwrap();
    let digest = &message[at..at + 71];
    let binding = team.bindings().get("crew").await.unwrap();
    team.approve_in(&team.prefix, &binding, digest).await;
    team.gone("crew").await;
    assert_eq!(team.gerrit.members(&team.name("crew")).await, Some(vec![ada]));
    let record = operator.recorded();
    let abandoned = record
        .lines()
        .any(|line| line.contains("\"Abandoned\"") && line.contains(&team.prefix) && line.contains("lead@"));
    assert!(abandoned, "the record does not say what was left behind");
}

/// The digest of what a binding asks a person to leave behind.
fn asked(binding: &AccessBinding) -> Option<String> {
    let conditions = &binding.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|said| said.type_ == "Ready")?;
    let words = ready.message.split(|c: char| c.is_whitespace() || c == ';');
    words
        .map(ToOwned::to_owned)
        .find(|word| word.starts_with("sha256:"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_whose_secrets_went_first_can_be_let_go_by_a_person() {
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let team = Team::of(&operator, "keyless", None).await;
    install(team.stack).await;
    operator.start_afresh().await;
    let ada = team.person("ada").await;
    team.bind("crew", &["ada"], json!({})).await;
    team.until("crew", "Ready", "True").await;
    for secret in ["gerrit", "databricks"] {
        let secrets = team.all_secrets();
        secrets.delete(secret, &DeleteParams::default()).await.unwrap();
    }
    team.until_object::<GerritConnection>("gerrit", "SecretMissing")
        .await;
    team.until_object::<DatabricksConnection>("prod", "SecretMissing")
        .await;
    team.delete_namespace().await;
    team.until_reason("crew", "Ready", "RevokeWaiting").await;
    // The connections go one after the other, and what is left behind grows with each: every plan is another.
    let approved = Mutex::new(BTreeSet::new());
    eventually("the namespace is gone", PATIENCE, || async {
        let binding = team.bindings().get_opt("crew").await.map_err(|e| e.to_string())?;
        if let Some((binding, digest)) = binding.and_then(|binding| Some((binding.clone(), asked(&binding)?)))
        {
            let new = approved.lock().unwrap().insert(digest.clone());
            if new {
                // Nothing can be made in a namespace that goes; the operator's own takes the approval.
                team.approve_in(NAMESPACE, &binding, &digest).await;
            }
        }
        team.the_namespace_is_gone().await
    })
    .await;
    assert_eq!(team.gerrit.members(&team.name("crew")).await, Some(vec![ada]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_deleted_takes_nothing_with_it_unasked() {
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let team = Team::of(&operator, "kind", None).await;
    let ada = team.person("ada").await;
    operator.start_afresh().await;
    team.bind_gerrit("crew", &["ada"], json!({}), json!({})).await;
    team.until("crew", "Ready", "True").await;
    uninstall(operator.stack).await;
    let crds: Api<CustomResourceDefinition> = Api::all(team.client.clone());
    crds.delete("accessbindings.lockstep.dev", &DeleteParams::default())
        .await
        .unwrap();
    team.until_message("crew", "Blocked", &["MassDeletion", "CRD"])
        .await;
    let group = team.name("crew");
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada]));

    // A yes is worth nothing where nobody holds approvers to their names.
    let binding = team.bindings().get("crew").await.unwrap();
    team.approve(&binding).await;
    team.until_reason("crew", "Blocked", "ApprovalsUnprotected").await;
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada]));
    install(operator.stack).await;
    // Nor afterwards: who said it then, nobody knows. It takes a yes of today.
    team.until_message("crew", "Blocked", &["before the admission policy"])
        .await;
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada]));
    let yes = Yes {
        name: "today",
        user: "lead@example.com",
        approver: "lead@example.com",
        digest: &digest(&binding),
        expires: None,
    };
    team.say(&binding, yes).await.unwrap();
    eventually("the kind is gone", PATIENCE, || async {
        match crds.get_opt("accessbindings.lockstep.dev").await.unwrap() {
            None => Ok(()),
            Some(crd) => Err(format!("{:?}", crd.status.map(|status| status.conditions))),
        }
    })
    .await;
    assert_eq!(team.gerrit.members(&group).await, None);

    // It comes back, and the operator with it.
    prepare_cluster(operator.stack).await;
    team.bind_gerrit("again", &["ada"], json!({}), json!({})).await;
    team.until("again", "Ready", "True").await;
    team.delete("again").await;
}
