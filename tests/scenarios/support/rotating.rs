//! Credentials that rotate: what is declared, what consumers see, and whether the issuer still lets them in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use lockstep_core::api::ServiceCredential;
use lockstep_core::api::service_credential::GenerationRow;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::gerrit::encode;
use super::secrets::plant;
use super::sim::Sim;
use super::team::Team;
use super::world::merge;
use super::{PATIENCE, eventually};

/// The account that tokens are minted for.
pub const BOT: &str = "bot";

impl Team {
    /// Connections that let the team rotate, an account in Gerrit and a service principal in Databricks.
    pub async fn may_rotate(&self) -> String {
        let names = json!({"names": [self.prefix]});
        let own = format!("{}*", self.prefix);
        let gerrit = json!({"tenants": [{
            "namespaces": names, "uses": ["Access", "Rotation"],
            "reach": {"projects": [own], "refs": ["refs/*"], "groups": [own], "accounts": [own]},
        }]});
        self.connect_gerrit("gerrit", gerrit).await;
        let databricks = json!({"tenants": [{
            "namespaces": names, "uses": ["Access", "Rotation"], "reach": {"servicePrincipals": ["*"]},
        }]});
        self.connect_databricks("prod", databricks).await;
        let body = json!({"name": BOT, "groups": ["Service Users"]});
        let path = format!("/accounts/{}", encode(&self.name(BOT)));
        let (status, answer) = self.gerrit.call(reqwest::Method::PUT, &path, Some(body)).await;
        assert!(status == 201 || status == 409, "{status} {answer}");
        let principal = self.principal();
        self.sim
            .seed(json!({"servicePrincipals": [{"applicationId": principal, "displayName": self.name("principal")}]}))
            .await;
        principal
    }

    /// Application id of the team's service principal.
    pub fn principal(&self) -> String {
        use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&self.prefix);
        format!("{:08x}-0000-4000-9000-{:012x}", hash >> 32, hash & 0xffff_ffff)
    }

    /// Lets service principals have personal access tokens.
    pub async fn may_have_tokens(&self, who: &[&str]) {
        // Rights on tokens can be given once there is one.
        let somebodys = Some(json!({"comment": "somebody's"}));
        let (status, made) = self
            .sim
            .call(reqwest::Method::POST, "/api/2.0/token/create", somebodys)
            .await;
        assert_eq!(status, 200, "{made}");
        plant(made["token_value"].as_str().unwrap());
        for who in who {
            let row = json!({"service_principal_name": who, "permission_level": "CAN_USE"});
            let rights = json!({"access_control_list": [row]});
            let path = "/api/2.0/permissions/authorization/tokens";
            let (status, answer) = self.sim.call(reqwest::Method::PATCH, path, Some(rights)).await;
            assert_eq!(status, 200, "{answer}");
        }
    }

    /// A token of the bot in the Secret of the credential's name; `more` is merged into the spec.
    pub async fn rotate_token(&self, name: &str, more: Value) -> ServiceCredential {
        let mut spec = self.token_spec(name);
        merge(&mut spec, more);
        self.apply("ServiceCredential", name, &spec).await
    }

    pub fn token_spec(&self, name: &str) -> Value {
        json!({
            "mode": "Enforce", "interval": "10s", "overlap": "3s", "schedule": {"every": "1d"},
            "issuer": {"gerritToken": {
                "connectionRef": {"name": "gerrit"}, "account": self.name(BOT), "lifetime": "30d",
            }},
            "stores": [{"kubernetesSecret": {"name": name, "keys": {"clientId": "username", "value": "token"}}}],
        })
    }

    /// An OAuth secret of the team's service principal in the Secret of the credential's name.
    pub fn secret_spec(&self, name: &str) -> Value {
        json!({
            "mode": "Enforce", "interval": "10s", "overlap": "3s", "schedule": {"every": "1d"}, "exclusive": true,
            "issuer": {"databricksServicePrincipal": {
                "connectionRef": {"name": "prod"}, "applicationId": self.principal(), "lifetime": "30d",
            }},
            "stores": [{"kubernetesSecret": {
                "name": name, "keys": {"clientId": "client_id", "value": "client_secret", "host": "host"},
            }}],
        })
    }

    pub async fn annotate_credential(&self, name: &str, key: &str, value: &str) {
        let body = json!({"metadata": {"annotations": {key: value}}});
        self.all::<ServiceCredential>()
            .patch(name, &PatchParams::default(), &Patch::Merge(body))
            .await
            .unwrap();
    }

    /// Waits until this generation is current and the object Ready.
    pub async fn until_current(&self, name: &str, generation: u64) -> ServiceCredential {
        self.until_current_within(name, generation, PATIENCE).await
    }

    /// The same, where it takes longer by itself; seconds.
    pub async fn until_current_within(
        &self,
        name: &str,
        generation: u64,
        patience: u64,
    ) -> ServiceCredential {
        eventually(
            &format!("generation {generation} of {name} is current"),
            patience,
            || async {
                let found = self.all::<ServiceCredential>().get(name).await;
                let found = found.map_err(|error| error.to_string())?;
                let status = found.status.clone().unwrap_or_default();
                let ready = super::waiting::condition(&status.conditions, "Ready");
                let is_ready = ready.is_some_and(|ready| ready.status == "True");
                if status.current == Some(generation) && is_ready {
                    Ok(found)
                } else {
                    Err(serde_json::to_string(&status).unwrap())
                }
            },
        )
        .await
    }

    /// Waits until a generation is in this state.
    pub async fn until_state(&self, name: &str, generation: u64, state: &str) -> GenerationRow {
        eventually(
            &format!("generation {generation} of {name} is {state}"),
            PATIENCE,
            || async {
                let found = self.all::<ServiceCredential>().get(name).await;
                let status = found
                    .map_err(|error| error.to_string())?
                    .status
                    .unwrap_or_default();
                let mut rows = status.generations.iter().flatten();
                match rows.find(|row| row.number == generation) {
                    Some(row) if row.state == state => Ok(row.clone()),
                    _ => Err(serde_json::to_string(&status).unwrap()),
                }
            },
        )
        .await
    }

    /// What a Secret holds; its values count as planted from now on.
    pub async fn held(&self, secret: &str) -> Option<BTreeMap<String, String>> {
        let found: Option<Secret> = self.all_secrets().get_opt(secret).await.unwrap();
        let data = found?.data.unwrap_or_default();
        let text = |(key, bytes): (String, k8s_openapi::ByteString)| {
            let value = String::from_utf8(bytes.0).unwrap();
            (key, value)
        };
        let held: BTreeMap<String, String> = data.into_iter().map(text).collect();
        for (key, value) in &held {
            if key.ends_with("token") || key.ends_with("client_secret") {
                plant(value);
            }
        }
        Some(held)
    }

    /// Whether Gerrit lets the bot in with a token.
    pub async fn gerrit_lets_in(&self, token: &str) -> bool {
        let bot = self.gerrit.logged_in(&self.name(BOT), token);
        let (status, answer) = bot.get("/accounts/self").await;
        assert!(status == 200 || status == 401, "{status} {answer}");
        status == 200
    }

    /// Ids of the bot's tokens, as Gerrit lists them.
    pub async fn tokens(&self) -> Vec<String> {
        let path = format!("/accounts/{}/tokens", encode(&self.name(BOT)));
        let (status, answer) = self.gerrit.get(&path).await;
        assert_eq!(status, 200, "{answer}");
        let rows = answer.as_array().unwrap().iter();
        let mut ids: Vec<String> = rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// Takes away a token of the bot by hand.
    pub async fn delete_token(&self, id: &str) {
        let path = format!("/accounts/{}/tokens/{}", encode(&self.name(BOT)), encode(id));
        let (status, answer) = self.gerrit.call(reqwest::Method::DELETE, &path, None).await;
        assert_eq!(status, 204, "{answer}");
    }

    /// Path of the secrets of the team's service principal at the account.
    async fn secrets_path(&self) -> String {
        let number = self.sim.principal_number(&self.principal()).await;
        format!(
            "/api/2.0/accounts/{}/servicePrincipals/{number}/credentials/secrets",
            self.sim.account
        )
    }

    /// A secret of the team's service principal that somebody else makes; its id.
    pub async fn secret_by_hand(&self) -> String {
        let path = self.secrets_path().await;
        let (status, made) = self.sim.call(reqwest::Method::POST, &path, Some(json!({}))).await;
        assert_eq!(status, 200, "{made}");
        plant(made["secret"].as_str().unwrap());
        made["id"].as_str().unwrap().to_owned()
    }

    /// Takes away a secret of the team's service principal by hand.
    pub async fn delete_secret(&self, id: &str) {
        let path = format!("{}/{id}", self.secrets_path().await);
        let (status, answer) = self.sim.call(reqwest::Method::DELETE, &path, None).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Ids of the secrets that the team's service principal really has, whatever lists show.
    pub async fn live_secrets(&self) -> Vec<String> {
        let world = self.sim.snapshot().await;
        let secrets = world["credentials"]["secrets"].as_object().unwrap();
        let name = self.name("principal");
        let of_ours = |row: &Value| {
            let whose = row["servicePrincipal"].as_str().unwrap();
            whose.contains(&self.principal()) || whose.contains(&name)
        };
        secrets
            .iter()
            .filter(|(_, row)| of_ours(row))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Every id that a status knows, of what may live and of what is gone.
    pub async fn known_ids(&self, name: &str) -> Vec<String> {
        let found = self.all::<ServiceCredential>().get(name).await.unwrap();
        let rows = found.status.unwrap_or_default().generations.unwrap_or_default();
        rows.into_iter().filter_map(|row| row.id).collect()
    }

    /// Whether Databricks lets the team's service principal in with a secret.
    pub async fn databricks_lets_in(&self, secret: &str) -> bool {
        self.sim.lets_in(&self.principal(), secret).await
    }
}

impl Sim {
    /// Whether the workspace lets a service principal in with a secret.
    pub async fn lets_in(&self, principal: &str, secret: &str) -> bool {
        let form = [("grant_type", "client_credentials"), ("scope", "all-apis")];
        let answer = reqwest::Client::new()
            .post(format!("{}/oidc/v1/token", self.url()))
            .basic_auth(principal, Some(secret))
            .form(&form)
            .send()
            .await
            .unwrap();
        answer.status().is_success()
    }
}

/// A consumer that reads its Secret and logs in to Gerrit with it, again and again, every 50 ms.
pub struct Consumer {
    over: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    logins: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Consumer {
    /// One of a Secret that is there already.
    pub fn of(team: &Arc<Team>, secret: &str) -> Self {
        let (reader, secret) = (team.clone(), secret.to_owned());
        Self::reading(team, move || {
            let (team, secret) = (reader.clone(), secret.clone());
            async move { team.held(&secret).await }
        })
    }

    /// One that reads what it logs in with somewhere else.
    pub fn reading<F>(team: &Arc<Team>, read: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Option<BTreeMap<String, String>>> + Send,
    {
        let over = Arc::new(AtomicBool::new(false));
        let (refused, logins) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let team = team.clone();
        let counts = (over.clone(), refused.clone(), logins.clone());
        let task = tokio::spawn(async move {
            let (over, refused, logins) = counts;
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            while !over.load(Ordering::SeqCst) {
                ticks.tick().await;
                let held = read().await.unwrap_or_default();
                let Some(token) = held.get("token") else {
                    refused.fetch_add(1, Ordering::SeqCst);
                    continue;
                };
                let let_in = team.gerrit_lets_in(token).await;
                logins.fetch_add(1, Ordering::SeqCst);
                refused.fetch_add(usize::from(!let_in), Ordering::SeqCst);
            }
        });
        Self {
            over,
            refused,
            logins,
            task,
        }
    }

    /// Ends it; how often it logged in, and how often it was refused.
    pub async fn end(self) -> (usize, usize) {
        self.over.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
        (
            self.logins.load(Ordering::SeqCst),
            self.refused.load(Ordering::SeqCst),
        )
    }
}
