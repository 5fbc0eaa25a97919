//! Bad days of a store: out of reach, sealed, misnamed, forbidden half-way. Nothing is revoked meanwhile, what is current
//! works wherever it lies, and it goes on by itself.

use lockstep_core::api::{CredentialStore, ROTATE, ServiceCredential};
use serde_json::{Value, json};

use crate::support::gate::{Gate, Trouble};
use crate::support::keeping::{Aside, Vault};
use crate::support::secrets::search;
use crate::support::team::{Team, host};
use crate::support::{becomes, stays};

impl Team {
    /// A token of the bot in a Secret and in Vault.
    fn in_both(&self) -> Value {
        let mut spec = self.token_spec("ci");
        spec["stores"].as_array_mut().unwrap().push(json!({
            "credentialStore": {
                "ref": {"name": "vault"}, "path": self.path(), "keys": {"clientId": "username", "value": "token"},
            },
        }));
        spec
    }

    fn path(&self) -> String {
        format!("{}/ci", self.prefix)
    }

    /// The value that Secret and Vault both hold, and that Gerrit lets in.
    async fn works_in_both(&self, vault: &Vault) -> String {
        let (here, there) = (
            self.held("ci").await.unwrap(),
            vault.held(&self.path()).await.unwrap(),
        );
        assert_eq!(here["token"], there["token"]);
        assert!(self.gerrit_lets_in(&here["token"]).await);
        here["token"].clone()
    }
}

/// A token in a Secret and in a Vault behind a gate.
struct Behind {
    team: Team,
    vault: Vault,
    gate: Gate,
    url: String,
    /// Its value.
    first: String,
}

impl Behind {
    async fn a_gate(word: &str) -> Option<Self> {
        let team = Team::new(word).await?;
        team.may_rotate().await;
        let (vault, gate) = (Vault::of(team.stack), Gate::default());
        let url = gate.open(&vault.url).await;
        team.vault_by_token("vault", &vault, &url).await;
        let _: ServiceCredential = team.apply("ServiceCredential", "ci", &team.in_both()).await;
        team.until_current("ci", 1).await;
        let first = team.works_in_both(&vault).await;
        Some(Self {
            team,
            vault,
            gate,
            url,
            first,
        })
    }
}

/// A message that names where, says what to do, and tells no value.
fn tells(message: &str, words: &[&str]) {
    println!("    {message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    search("a condition", message);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_store_is_out_of_reach_nothing_new_begins_and_nothing_is_revoked() {
    let Some(Behind {
        team,
        vault,
        gate,
        url,
        first,
    }) = Behind::a_gate("dark").await
    else {
        return;
    };

    gate.trouble(Some(Trouble::Down));
    team.annotate_credential("ci", ROTATE, "1").await;
    let said = team.until_object::<ServiceCredential>("ci", "Unreachable").await;
    tells(
        &said,
        &[&format!("CredentialStore {}/vault", team.prefix), &host(&url)],
    );
    stays("only the current one lives", 3, 1, || async {
        team.tokens().await.len()
    })
    .await;
    assert_eq!(team.works_in_both(&vault).await, first);

    gate.trouble(None);
    team.until_current("ci", 2).await;
    assert_ne!(team.works_in_both(&vault).await, first);
    team.until_state("ci", 1, "Revoked").await;
    assert!(!team.gerrit_lets_in(&first).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_vault_is_said_to_be_sealed_and_resumed_when_it_is_unsealed() {
    let Some(team) = Team::new("sealed").await else {
        return;
    };
    team.may_rotate().await;
    let aside = tokio::task::spawn_blocking(Aside::start).await.unwrap();
    let vault = aside.vault.clone();
    team.vault_by_token("vault", &vault, &vault.url).await;
    let _: ServiceCredential = team.apply("ServiceCredential", "ci", &team.in_both()).await;
    team.until_current("ci", 1).await;
    let first = team.works_in_both(&vault).await;

    aside.seal().await;
    team.annotate_credential("ci", ROTATE, "1").await;
    let said = team.until_object::<ServiceCredential>("ci", "Unreachable").await;
    tells(&said, &["sealed", "unseal"]);
    assert!(team.gerrit_lets_in(&first).await);
    assert_eq!(team.tokens().await.len(), 1);

    aside.unseal().await;
    team.until_current("ci", 2).await;
    assert_ne!(team.works_in_both(&vault).await, first);
    team.until_state("ci", 1, "Revoked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_minted_for_a_mount_that_is_not_there_until_it_is_corrected() {
    let Some(team) = Team::new("mount").await else {
        return;
    };
    team.may_rotate().await;
    let vault = Vault::of(team.stack);
    team.vault_by_token("vault", &vault, &vault.url).await;
    let login = json!({"tokenSecretRef": {"name": "vault"}});
    team.vault("vault", &vault.url, "nope", login.clone()).await;
    let _: ServiceCredential = team.apply("ServiceCredential", "ci", &team.in_both()).await;
    let said = team.until_object::<ServiceCredential>("ci", "Forbidden").await;
    tells(&said, &["mounted at nope/"]);
    let said = team.until_object::<CredentialStore>("vault", "Forbidden").await;
    tells(&said, &["mounted at nope/"]);
    stays("nothing is minted", 3, Vec::<String>::new(), || team.tokens()).await;
    team.vault("vault", &vault.url, "secret", login).await;
    team.until_current("ci", 1).await;
    team.works_in_both(&vault).await;
    team.until_object::<CredentialStore>("vault", "Succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_half_way_keeps_the_last_value_alive_until_it_takes_the_new_one() {
    let Some(team) = Team::new("halfway").await else {
        return;
    };
    team.may_rotate().await;
    let vault = Vault::of(team.stack);
    team.vault_by_token("vault", &vault, &vault.url).await;
    let _: ServiceCredential = team.apply("ServiceCredential", "ci", &team.in_both()).await;
    team.until_current("ci", 1).await;
    let first = team.works_in_both(&vault).await;

    // From now on it may be read, and no longer written.
    let data = format!("secret/data/{}/*", team.prefix);
    let metadata = format!("secret/metadata/{}/*", team.prefix);
    vault
        .policy(&team.prefix, &[(&data, &["read"]), (&metadata, &["read"])])
        .await;
    team.annotate_credential("ci", ROTATE, "1").await;
    let said = team.until_object::<ServiceCredential>("ci", "Forbidden").await;
    tells(
        &said,
        &[
            &format!("CredentialStore {}/vault", team.prefix),
            "create and update",
            &team.path(),
        ],
    );
    // The Secret has the new one, Vault the last one, and both are let in for as long as it takes.
    let here = team.held("ci").await.unwrap();
    assert_ne!(here["token"], first);
    assert_eq!(here["previous.token"], first);
    assert_eq!(vault.held(&team.path()).await.unwrap()["token"], first);
    stays("both live", 6, (2, true, true), || async {
        let live = team.tokens().await.len();
        let new = team.gerrit_lets_in(&here["token"]).await;
        (live, new, team.gerrit_lets_in(&first).await)
    })
    .await;

    team.may_keep(&vault).await;
    team.until_current("ci", 2).await;
    assert_eq!(
        team.works_in_both(&vault).await,
        here["token"],
        "the same one goes on"
    );
    team.until_state("ci", 1, "Revoked").await;
    assert!(!team.gerrit_lets_in(&first).await);
    team.drop_credential("ci").await;
    assert!(!vault.knows(&team.path()).await);
    assert_eq!(team.tokens().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_while_a_store_is_out_of_reach_is_revoked_at_once_and_cleared_later() {
    let Some(Behind {
        team,
        vault,
        gate,
        first,
        ..
    }) = Behind::a_gate("cleared").await
    else {
        return;
    };
    gate.trouble(Some(Trouble::Down));
    team.delete_credential("ci").await;
    becomes("nothing lives any more", Vec::<String>::new(), || team.tokens()).await;
    let said = team
        .until_object::<ServiceCredential>("ci", "RevokeWaiting")
        .await;
    tells(
        &said,
        &[
            "all is revoked",
            &format!("CredentialStore {}/vault", team.prefix),
            "Orphan",
        ],
    );
    assert!(!team.gerrit_lets_in(&first).await);
    assert!(vault.knows(&team.path()).await);
    gate.trouble(None);
    team.credential_gone("ci").await;
    assert!(!vault.knows(&team.path()).await);
    assert_eq!(team.held("ci").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_out_of_reach_keeps_what_is_deleted_until_it_is_revoked() {
    let gate = Gate::default();
    let Some(team) = Team::behind("waits", None, Some(&gate)).await else {
        return;
    };
    team.may_rotate().await;
    let spec = team.secret_spec("dbx");
    let _: ServiceCredential = team.apply("ServiceCredential", "dbx", &spec).await;
    team.until_current("dbx", 1).await;
    let first = team.held("dbx").await.unwrap()["client_secret"].clone();
    gate.trouble(Some(Trouble::Down));
    team.annotate_credential("dbx", ROTATE, "1").await;
    let said = team.until_object::<ServiceCredential>("dbx", "Unreachable").await;
    tells(&said, &["databricks://account/"]);
    assert!(
        team.databricks_lets_in(&first).await,
        "whoever has it is served without us"
    );
    team.delete_credential("dbx").await;
    let said = team
        .until_object::<ServiceCredential>("dbx", "RevokeWaiting")
        .await;
    tells(
        &said,
        &["generations 1 may still live", "several times in a row", "Orphan"],
    );
    assert_eq!(team.live_secrets().await.len(), 1);
    assert_eq!(team.held("dbx").await.unwrap()["client_secret"], first);
    gate.trouble(None);
    team.credential_gone("dbx").await;
    assert_eq!(team.live_secrets().await, Vec::<String>::new());
    assert_eq!(team.held("dbx").await, None);
}
