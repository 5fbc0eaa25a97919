//! A value lies in a Kubernetes Secret and in a store besides: it rotates in both, and nothing of it is left when it goes.

use std::collections::BTreeMap;

use lockstep_core::api::{CredentialStore, ROTATE, ServiceCredential};
use reqwest::Method;
use serde_json::json;

use crate::support::keeping::Vault;
use crate::support::team::Team;
use crate::support::{becomes, stays};

type Fields = BTreeMap<String, String>;

/// The value that both places hold.
async fn both<F: Future<Output = Option<Fields>>>(
    team: &Team,
    secret: &str,
    store: impl Fn() -> F,
    key: &str,
) -> String {
    let (here, there) = (team.held(secret).await.unwrap(), store().await.unwrap());
    assert_eq!(here[key], there[key], "both hold the same");
    here[key].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_rotates_in_a_secret_and_in_vault_reached_by_the_namespaces_own_service_account() {
    let Some(team) = Team::new("invault").await else {
        return;
    };
    team.may_rotate().await;
    let vault = Vault::of(team.stack);
    team.vault_by_account("vault", &vault, &vault.url).await;
    team.until_object::<CredentialStore>("vault", "Succeeded").await;
    let path = format!("{}/ci", team.prefix);
    let keys = json!({"clientId": "username", "value": "token", "host": "host"});
    let mut spec = team.token_spec("ci");
    spec["stores"].as_array_mut().unwrap().push(json!({
        "credentialStore": {"ref": {"name": "vault"}, "path": path, "keys": keys},
    }));
    let _: ServiceCredential = team.apply("ServiceCredential", "ci", &spec).await;
    team.until_current("ci", 1).await;
    let there = || vault.held(&path);
    let first = both(&team, "ci", there, "token").await;
    assert!(team.gerrit_lets_in(&first).await);
    let held = vault.held(&path).await.unwrap();
    assert_eq!(held["username"], team.name("bot"));
    assert_eq!(held["host"], team.gerrit_url);

    team.annotate_credential("ci", ROTATE, "1").await;
    team.until_current("ci", 2).await;
    let second = both(&team, "ci", there, "token").await;
    assert!(second != first && team.gerrit_lets_in(&second).await);
    team.until_state("ci", 1, "Revoked").await;
    assert!(!team.gerrit_lets_in(&first).await);
    assert!(team.gerrit_lets_in(&second).await);

    team.drop_credential("ci").await;
    assert!(!vault.knows(&path).await, "no version of it is left");
    assert_eq!(team.held("ci").await, None);
    assert_eq!(team.tokens().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_principals_secret_rotates_in_a_secret_and_in_a_secret_scope() {
    let Some(team) = Team::new("inscope").await else {
        return;
    };
    team.may_rotate().await;
    team.scope("scope").await;
    team.until_object::<CredentialStore>("scope", "Succeeded").await;
    let path = format!("{}-dbx", team.prefix);
    let mut spec = team.secret_spec("dbx");
    spec["stores"].as_array_mut().unwrap().push(json!({
        "credentialStore": {
            "ref": {"name": "scope"}, "path": path, "keys": {"clientId": "client_id", "value": "client_secret"},
        },
    }));
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &spec).await;
    team.until_current("dbx", 1).await;
    let there = || async {
        let begin = format!("{path}.");
        let held = team.in_scope().await.into_iter();
        let fields: Fields = held
            .filter_map(|(key, value)| Some((key.strip_prefix(&begin)?.to_owned(), value)))
            .collect();
        (!fields.is_empty()).then_some(fields)
    };
    let first = both(&team, "dbx", there, "client_secret").await;
    assert!(team.databricks_lets_in(&first).await);
    assert_eq!(there().await.unwrap()["client_id"], team.principal());

    team.annotate_credential("dbx", ROTATE, "1").await;
    team.until_current("dbx", 2).await;
    let second = both(&team, "dbx", there, "client_secret").await;
    assert!(second != first && team.databricks_lets_in(&second).await);
    team.until_state("dbx", 1, "Revoked").await;
    assert!(!team.databricks_lets_in(&first).await);

    // Whoever takes the store out of the spec finds nothing of it there any more.
    spec["stores"].as_array_mut().unwrap().pop();
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &spec).await;
    becomes("the scope is empty", Fields::new(), || team.in_scope()).await;
    assert!(team.databricks_lets_in(&second).await);
    team.drop_credential("dbx").await;
    assert!(!team.databricks_lets_in(&second).await);
    assert_eq!(team.held("dbx").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_writes_over_ours_in_vault_is_put_back_and_what_is_theirs_is_left_alone() {
    let Some(team) = Team::new("vaulted").await else {
        return;
    };
    team.may_rotate().await;
    let vault = Vault::of(team.stack);
    team.vault_by_token("vault", &vault, &vault.url).await;
    let path = format!("{}/ci", team.prefix);
    let theirs = json!({"data": {"token": "zanzibar-of-somebody-else"}});
    vault
        .done(Method::POST, &format!("secret/data/{path}"), theirs)
        .await;
    let mut spec = team.token_spec("ci");
    spec["stores"].as_array_mut().unwrap().push(json!({
        "credentialStore": {"ref": {"name": "vault"}, "path": path, "keys": {"value": "token"}},
    }));
    let _: ServiceCredential = team.apply("ServiceCredential", "ci", &spec).await;
    let said = team
        .until_object::<ServiceCredential>("ci", "ClaimedByAnother")
        .await;
    assert!(
        said.contains("Lockstep did not make") && said.contains("lockstep.dev/adopt"),
        "{said}"
    );
    stays("nothing is minted", 3, Vec::<String>::new(), || team.tokens()).await;
    // Whoever owns it may let it be taken over.
    let offer = json!({"custom_metadata": {"lockstep.dev/adopt": format!("{}/ci", team.prefix)}});
    vault
        .done(Method::POST, &format!("secret/metadata/{path}"), offer)
        .await;
    team.until_current("ci", 1).await;
    let token = both(&team, "ci", || vault.held(&path), "token").await;
    assert!(team.gerrit_lets_in(&token).await);

    let edit = json!({"data": {"token": "zanzibar-of-a-guess", "more": "x"}});
    vault
        .done(Method::POST, &format!("secret/data/{path}"), edit)
        .await;
    let ours = Fields::from([("token".to_owned(), token.clone())]);
    becomes("what was edited is put back", Some(ours), || vault.held(&path)).await;
    let said = team.until_event("Repaired").await;
    assert!(said.contains("generation 1 was put back"), "{said}");
    assert_eq!(team.tokens().await.len(), 1, "nothing was minted for it");
}
