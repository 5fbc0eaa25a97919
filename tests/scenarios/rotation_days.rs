//! Days in the life of credentials that are not the first: rivals for an identity, a freeze, the end of a namespace, tokens
//! of persons.

use kube::api::DeleteParams;
use lockstep_core::api::{
    COMPROMISED, ChangeFreeze, CredentialStore, DatabricksConnection, ROTATE, ServiceCredential,
};
use serde_json::{Value, json};

use crate::support::keeping::Vault;
use crate::support::secrets::plant;
use crate::support::team::Team;
use crate::support::world::APPLICATION;
use crate::support::{PATIENCE, becomes, eventually, stays};

#[tokio::test(flavor = "multi_thread")]
async fn two_that_mint_for_one_identity_are_a_conflict_where_one_of_them_is_exclusive() {
    let Some(team) = Team::new("rivals").await else {
        return;
    };
    team.may_rotate().await;
    for (first, second) in [(true, false), (false, true)] {
        let names = [format!("a-{first}"), format!("b-{second}")];
        for (name, exclusive) in names.iter().zip([first, second]) {
            let mut spec = team.secret_spec(name);
            spec["exclusive"] = json!(exclusive);
            let _: ServiceCredential = team.apply("ServiceCredential", name, &spec).await;
            if name.starts_with('a') {
                team.until_current(name, 1).await;
            }
        }
        let said = team
            .until_object::<ServiceCredential>(&names[1], "ClaimedByAnother")
            .await;
        assert!(
            said.contains(&format!("{}/{}", team.prefix, names[0])) && said.contains("exclusive"),
            "{said}"
        );
        stays("one mints", 2, 1, || async { team.live_secrets().await.len() }).await;
        // The other one is served once the first is gone.
        team.drop_credential(&names[0]).await;
        team.until_current(&names[1], 1).await;
        team.drop_credential(&names[1]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_share_an_identity_as_its_limit_holds_and_the_others_are_told_the_numbers() {
    let Some(team) = Team::new("shares").await else {
        return;
    };
    team.may_rotate().await;
    // Names decide between those of one second.
    for name in ["a-one", "b-two", "c-three"] {
        let mut spec = team.secret_spec(name);
        spec["exclusive"] = json!(false);
        let _: ServiceCredential = team.apply("ServiceCredential", name, &spec).await;
        if name != "c-three" {
            team.until_current(name, 1).await;
        }
    }
    let said = team
        .until_object::<ServiceCredential>("c-three", "ClaimedByAnother")
        .await;
    println!("    {said}");
    assert!(
        said.contains("may have 5 credentials") && said.contains("3 ServiceCredentials need 7"),
        "{said}"
    );
    // What the two have does not look like a stranger's to either when the other rotates.
    team.annotate_credential("a-one", ROTATE, "1").await;
    team.annotate_credential("b-two", ROTATE, "1").await;
    team.until_current("a-one", 2).await;
    team.until_current("b-two", 2).await;
    team.until_state("a-one", 1, "Revoked").await;
    team.until_state("b-two", 1, "Revoked").await;
    for name in ["a-one", "b-two"] {
        let secret = team.held(name).await.unwrap()["client_secret"].clone();
        assert!(team.databricks_lets_in(&secret).await);
    }
    team.drop_credential("a-one").await;
    team.until_current("c-three", 1).await;
    assert_eq!(team.live_secrets().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_the_next_value_back_and_never_what_is_stolen() {
    let Some(team) = Team::new("frozen").await else {
        return;
    };
    team.may_rotate().await;
    team.rotate_token("ci", json!({})).await;
    team.until_current("ci", 1).await;
    let freeze = json!({"reason": "the auditors are here", "until": "2999-01-01T00:00:00Z"});
    let _: ChangeFreeze = team.apply("ChangeFreeze", "audit", &freeze).await;
    team.until_object::<ChangeFreeze>("audit", "InForce").await;
    team.annotate_credential("ci", ROTATE, "1").await;
    let said = team.until_object::<ServiceCredential>("ci", "Frozen").await;
    assert!(
        said.contains("generation 1 is current") && said.contains("the auditors are here"),
        "{said}"
    );
    stays("nothing is minted", 3, 1, || async { team.tokens().await.len() }).await;
    let freezes = team.all::<ChangeFreeze>();
    freezes.delete("audit", &DeleteParams::default()).await.unwrap();
    team.until_current("ci", 2).await;
    team.until_state("ci", 1, "Revoked").await;

    let _: ChangeFreeze = team.apply("ChangeFreeze", "audit", &freeze).await;
    team.until_object::<ChangeFreeze>("audit", "InForce").await;
    let stolen = team.held("ci").await.unwrap()["token"].clone();
    team.annotate_credential("ci", COMPROMISED, "2").await;
    team.until_current("ci", 3).await;
    assert!(!team.gerrit_lets_in(&stolen).await);
    assert!(
        team.gerrit_lets_in(&team.held("ci").await.unwrap()["token"])
            .await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_deleted_with_everything_in_it_leaves_no_value_that_lives() {
    let Some(team) = Team::new("ended").await else {
        return;
    };
    team.may_rotate().await;
    let vault = Vault::of(team.stack);
    team.vault_by_account("vault", &vault, &vault.url).await;
    team.scope("scope").await;
    let path = format!("{}/ci", team.prefix);
    let mut token = team.token_spec("ci");
    token["stores"].as_array_mut().unwrap().push(json!({
        "credentialStore": {"ref": {"name": "vault"}, "path": path, "keys": {"value": "token"}},
    }));
    let _: ServiceCredential = team.apply("ServiceCredential", "ci", &token).await;
    let mut secret = team.secret_spec("dbx");
    secret["stores"].as_array_mut().unwrap().push(json!({
        "credentialStore": {
            "ref": {"name": "scope"}, "path": format!("{}-dbx", team.prefix), "keys": {"value": "client_secret"},
        },
    }));
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &secret).await;
    team.until_current("ci", 1).await;
    team.until_current("dbx", 1).await;
    let values = (
        vault.held(&path).await.unwrap()["token"].clone(),
        team.held("dbx").await.unwrap()["client_secret"].clone(),
    );
    assert_eq!(team.in_scope().await.len(), 2, "the value, and whose it is");
    for name in ["vault", "scope"] {
        becomes("the store is kept while a value lies there", true, || async {
            let store = team.all::<CredentialStore>().get(name).await.unwrap();
            store.metadata.finalizers.is_some()
        })
        .await;
    }

    team.delete_namespace().await;
    // Connections, stores and what they log in with go with it, and what was minted is revoked all the same.
    team.until_the_namespace_is_gone().await;
    assert_eq!(team.tokens().await, Vec::<String>::new());
    assert_eq!(team.live_secrets().await, Vec::<String>::new());
    assert!(!team.gerrit_lets_in(&values.0).await);
    assert!(!team.databricks_lets_in(&values.1).await);
    assert!(!vault.knows(&path).await);
    assert!(team.in_scope().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_and_a_store_stay_until_the_last_value_is_out_of_them() {
    let Some(team) = Team::new("keeps").await else {
        return;
    };
    team.may_rotate().await;
    let vault = Vault::of(team.stack);
    team.vault_by_account("vault", &vault, &vault.url).await;
    team.scope("scope").await;
    let mut spec = team.secret_spec("dbx");
    let paths = [format!("{}/dbx", team.prefix), format!("{}-dbx", team.prefix)];
    let stores = ["vault", "scope"].iter().zip(&paths).map(|(store, path)| {
        json!({"credentialStore": {"ref": {"name": store}, "path": path, "keys": {"value": "client_secret"}}})
    });
    spec["stores"].as_array_mut().unwrap().extend(stores);
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &spec).await;
    team.until_current("dbx", 1).await;
    for store in ["vault", "scope"] {
        team.all::<CredentialStore>()
            .delete(store, &DeleteParams::default())
            .await
            .unwrap();
    }
    team.all::<DatabricksConnection>()
        .delete("prod", &DeleteParams::default())
        .await
        .unwrap();
    let reconciling = async |status: Value| {
        let said = status["conditions"].as_array().cloned().unwrap_or_default();
        let said = said.iter().find(|said| said["type"] == "Reconciling").cloned();
        said.map(|said| (said["reason"].clone(), said["message"].clone()))
    };
    for store in ["vault", "scope"] {
        eventually("the store says who needs it", PATIENCE, || async {
            let found = team.all::<CredentialStore>().get(store).await;
            let found = found.map_err(|error| error.to_string())?;
            match reconciling(serde_json::to_value(&found.status).unwrap()).await {
                Some((reason, message))
                    if reason == "HasDependants"
                        && message.as_str().unwrap().contains("1 service credentials") =>
                {
                    Ok(())
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
    eventually("the connection says who needs it", PATIENCE, || async {
        let found = team.all::<DatabricksConnection>().get("prod").await;
        let found = found.map_err(|error| error.to_string())?;
        match reconciling(serde_json::to_value(&found.status).unwrap()).await {
            Some((reason, message))
                if reason == "HasDependants"
                    && message
                        .as_str()
                        .unwrap()
                        .contains("1 service credentials and 1 credential stores") =>
            {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // Still usable, so that consumers are served to the end.
    team.annotate_credential("dbx", ROTATE, "1").await;
    team.until_current("dbx", 2).await;
    team.drop_credential("dbx").await;
    assert_eq!(team.live_secrets().await, Vec::<String>::new());
    assert!(!vault.knows(&paths[0]).await);
    assert!(team.in_scope().await.is_empty());
    becomes("stores and connection are gone", true, || async {
        let stores = team.all::<CredentialStore>();
        stores.get_opt("vault").await.unwrap().is_none()
            && stores.get_opt("scope").await.unwrap().is_none()
            && team
                .all::<DatabricksConnection>()
                .get_opt("prod")
                .await
                .unwrap()
                .is_none()
    })
    .await;
}

/// Whether the workspace lets somebody in with a personal access token.
async fn token_lets_in(team: &Team, token: &str) -> bool {
    let answer = reqwest::Client::new()
        .get(format!("{}/api/2.0/preview/scim/v2/Me", team.sim.url()))
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    answer.status().is_success()
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_access_tokens_rotate_the_connections_own_and_one_made_on_behalf() {
    let Some(team) = Team::new("tokens").await else {
        return;
    };
    let principal = team.may_rotate().await;
    team.may_have_tokens(&[&principal, APPLICATION]).await;
    for (name, whose) in [("behalf", principal.as_str()), ("own", "self")] {
        let spec = json!({
            "mode": "Enforce", "interval": "10s", "overlap": "3s", "schedule": {"every": "1d"},
            "issuer": {"databricksToken": {
                "connectionRef": {"name": "prod"}, "applicationId": whose, "lifetime": "30d",
            }},
            "stores": [{"kubernetesSecret": {"name": name, "template": "DatabricksEnv"}}],
        });
        let _: ServiceCredential = team.apply("ServiceCredential", name, &spec).await;
        team.until_current(name, 1).await;
        let value = || async {
            let value = team.held(name).await.unwrap()["DATABRICKS_TOKEN"].clone();
            plant(&value);
            value
        };
        let first = value().await;
        assert!(token_lets_in(&team, &first).await);
        team.annotate_credential(name, ROTATE, "1").await;
        team.until_current(name, 2).await;
        let second = value().await;
        assert!(second != first && token_lets_in(&team, &second).await);
        team.until_state(name, 1, "Revoked").await;
        assert!(!token_lets_in(&team, &first).await);
        team.drop_credential(name).await;
        assert!(!token_lets_in(&team, &second).await);
    }
}
