//! AWS, as moto plays it: access keys of an IAM user, of which there are two at most, and values in Secrets Manager.

use std::collections::BTreeMap;

use kube::api::DeleteParams;
use lockstep_core::api::{CredentialStore, ROTATE, ServiceCredential};
use serde_json::{Value, json};

use crate::direct;
use crate::support::becomes;
use crate::support::keeping::plant_secrets;
use crate::support::secrets::plant;
use crate::support::stack::Stack;
use crate::support::team::{Team, host};

/// The account as its administrator sees it.
struct Aws {
    url: String,
    region: String,
    key: (String, String),
    iam: aws_sdk_iam::Client,
    secrets: aws_sdk_secretsmanager::Client,
}

impl Aws {
    fn of(stack: &Stack) -> Self {
        let url = stack.get("AWS_ENDPOINT_URL").to_owned();
        let region = stack.get("AWS_REGION").to_owned();
        let key = (
            stack.get("AWS_ACCESS_KEY_ID").to_owned(),
            stack.get("AWS_SECRET_ACCESS_KEY").to_owned(),
        );
        let config = direct::config(&url, &region, &key);
        Self {
            iam: aws_sdk_iam::Client::new(&config),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
            url,
            region,
            key,
        }
    }

    /// Ids of a user's access keys, sorted.
    async fn keys(&self, user: &str) -> Vec<String> {
        let listed = self.iam.list_access_keys().user_name(user).send().await.unwrap();
        let rows = listed.access_key_metadata().iter();
        let mut ids: Vec<String> = rows.map(|row| row.access_key_id().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// What consumers read under a name; `None`: nothing is there. Its values count as planted from now on.
    async fn held(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let asked = self.secrets.get_secret_value().secret_id(name);
        // What AWS answers to whoever names no label, and moto only to who does.
        let found = match asked.version_stage("AWSCURRENT").send().await {
            Ok(found) => found,
            Err(error) => {
                let error = error.into_service_error();
                assert!(error.is_resource_not_found_exception(), "{error:?}");
                return None;
            }
        };
        let held: BTreeMap<String, String> = serde_json::from_str(found.secret_string().unwrap()).unwrap();
        plant_secrets(&held);
        Some(held)
    }

    /// Whether STS knows whose key this is.
    async fn lets_in(&self, id: &str, secret: &str) -> bool {
        let config = direct::config(&self.url, &self.region, &(id.to_owned(), secret.to_owned()));
        let sts = aws_sdk_sts::Client::new(&config);
        sts.get_caller_identity().send().await.is_ok()
    }
}

impl Team {
    /// The Secret that the operator reaches AWS by.
    async fn reach_aws(&self, aws: &Aws) {
        plant(&aws.key.1);
        let key = json!({"accessKeyId": aws.key.0, "secretAccessKey": aws.key.1});
        self.secret("aws", &host(&aws.url), &key).await;
    }

    async fn secrets_manager(&self, aws: &Aws) {
        let store = json!({
            "region": aws.region, "endpoint": aws.url, "auth": {"secretRef": {"name": "aws"}},
        });
        self.store("secrets-manager", json!({"awsSecretsManager": store}))
            .await;
        self.until_object::<CredentialStore>("secrets-manager", "Succeeded")
            .await;
    }

    /// The keys of a user of its own rotate, into a Secret and into Secrets Manager, and the first one is current.
    async fn rotates_keys(&self) -> (Aws, String) {
        let aws = Aws::of(self.stack);
        self.reach_aws(&aws).await;
        self.secrets_manager(&aws).await;
        let user = self.name("ci");
        aws.iam.create_user().user_name(&user).send().await.unwrap();
        let spec = self.keys_of(&aws, &user);
        let _: ServiceCredential = self.apply("ServiceCredential", "ci", &spec).await;
        self.until_current("ci", 1).await;
        (aws, user)
    }

    /// Access keys of a user in a Secret and in Secrets Manager.
    fn keys_of(&self, aws: &Aws, user: &str) -> Value {
        let keys = json!({"clientId": "id", "value": "secret"});
        json!({
            "mode": "Enforce", "interval": "10s", "overlap": "5s", "schedule": {"every": "1d"}, "exclusive": true,
            "issuer": {"awsAccessKey": {
                "auth": {"secretRef": {"name": "aws"}}, "userName": user, "region": aws.region, "endpoint": aws.url,
            }},
            "stores": [
                {"kubernetesSecret": {"name": "ci", "keys": keys}},
                self.in_secrets_manager(&keys),
            ],
        })
    }

    fn in_secrets_manager(&self, keys: &Value) -> Value {
        json!({"credentialStore": {
            "ref": {"name": "secrets-manager"}, "path": format!("{}/ci", self.prefix), "keys": keys,
        }})
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_rotates_in_a_secret_and_in_secrets_manager() {
    let Some(team) = Team::new("inaws").await else {
        return;
    };
    team.may_rotate().await;
    let aws = Aws::of(team.stack);
    team.reach_aws(&aws).await;
    team.secrets_manager(&aws).await;
    let mut spec = team.token_spec("ci");
    let place = team.in_secrets_manager(&json!({"clientId": "username", "value": "token"}));
    spec["stores"].as_array_mut().unwrap().push(place);
    let _: ServiceCredential = team.apply("ServiceCredential", "ci", &spec).await;
    team.until_current("ci", 1).await;
    let name = format!("{}/ci", team.prefix);
    let both = async || {
        let (here, there) = (team.held("ci").await.unwrap(), aws.held(&name).await.unwrap());
        assert_eq!(here["token"], there["token"]);
        assert_eq!(there["username"], team.name("bot"));
        here["token"].clone()
    };
    let first = both().await;
    assert!(team.gerrit_lets_in(&first).await);
    team.annotate_credential("ci", ROTATE, "1").await;
    team.until_current("ci", 2).await;
    let second = both().await;
    assert!(second != first && team.gerrit_lets_in(&second).await);
    team.until_state("ci", 1, "Revoked").await;
    assert!(!team.gerrit_lets_in(&first).await);
    team.drop_credential("ci").await;
    assert_eq!(aws.held(&name).await, None);
    assert_eq!(team.held("ci").await, None);
    assert_eq!(team.tokens().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn access_keys_rotate_within_the_two_that_a_user_may_have() {
    let Some(team) = Team::new("keys").await else {
        return;
    };
    let (aws, user) = team.rotates_keys().await;
    let name = format!("{}/ci", team.prefix);
    let both = async || {
        let (here, there) = (team.held("ci").await.unwrap(), aws.held(&name).await.unwrap());
        plant(&here["secret"]);
        assert_eq!((&here["id"], &here["secret"]), (&there["id"], &there["secret"]));
        (here["id"].clone(), here["secret"].clone())
    };
    let first = both().await;
    assert!(aws.lets_in(&first.0, &first.1).await);
    // Two wishes, one after the other: the second waits for the room that the first one's overlap takes.
    team.annotate_credential("ci", ROTATE, "1").await;
    team.until_current("ci", 2).await;
    let second = both().await;
    assert!(aws.lets_in(&first.0, &first.1).await, "the last one lives on");
    assert!(aws.lets_in(&second.0, &second.1).await);
    assert_eq!(aws.keys(&user).await.len(), 2);
    team.annotate_credential("ci", ROTATE, "2").await;
    team.until_current("ci", 3).await;
    team.until_state("ci", 1, "Revoked").await;
    team.until_state("ci", 2, "Revoked").await;
    let third = both().await;
    assert!(!aws.lets_in(&first.0, &first.1).await && !aws.lets_in(&second.0, &second.1).await);
    assert_eq!(aws.keys(&user).await, std::slice::from_ref(&third.0));

    // Somebody makes the second one by hand.
    let made = aws.iam.create_access_key().user_name(&user).send().await.unwrap();
    let made = made.access_key().unwrap();
    plant(made.secret_access_key());
    team.annotate_credential("ci", ROTATE, "3").await;
    let said = team.until_object::<ServiceCredential>("ci", "Blocked").await;
    assert!(
        said.contains("allows 2") && said.contains(made.access_key_id()),
        "{said}"
    );
    assert!(aws.lets_in(&third.0, &third.1).await, "the current one goes on");
    aws.iam
        .delete_access_key()
        .user_name(&user)
        .access_key_id(made.access_key_id())
        .send()
        .await
        .unwrap();
    team.until_current("ci", 4).await;
    team.drop_credential("ci").await;
    becomes("no key is left", Vec::<String>::new(), || aws.keys(&user)).await;
    assert_eq!(aws.held(&name).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_goes_with_what_we_log_in_with_leaves_no_key_behind() {
    let Some(team) = Team::new("keyless").await else {
        return;
    };
    let (aws, user) = team.rotates_keys().await;
    assert_eq!(aws.keys(&user).await.len(), 1);
    // In whatever order a namespace's objects go: this one first, and that is seen before anything else.
    team.all_secrets()
        .delete("aws", &DeleteParams::default())
        .await
        .unwrap();
    team.until_object::<CredentialStore>("secrets-manager", "SecretMissing")
        .await;
    team.delete_namespace().await;
    team.until_the_namespace_is_gone().await;
    assert_eq!(aws.keys(&user).await, Vec::<String>::new());
    assert_eq!(aws.held(&format!("{}/ci", team.prefix)).await, None);
}
