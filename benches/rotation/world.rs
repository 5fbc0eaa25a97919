//! Whom credentials are for, in the real Gerrit and in the simulator, one credential for each, and whether its issuer lets
//! a value in.

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use lockstep_core::api::{COMPROMISED, DatabricksConnection, GerritConnection, ROTATE, ServiceCredential};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::common::operator::record;
use crate::support::gate::{Arrival, Gate};
use crate::support::gerrit::encode;
use crate::support::stack::stack;
use crate::support::team::Team;

/// Seconds that the last value lives on. Consumers read a Secret and use it at once.
pub const OVERLAP: u64 = 30;
/// Requests to Kubernetes under way at once.
const AT_ONCE: usize = 16;
/// Longest time for anything: a machine that needs more is of no use for measuring.
const PATIENCE: Duration = Duration::from_mins(30);

/// What a consumer reads in a Secret.
#[derive(Clone, Debug)]
pub struct Login {
    client: String,
    value: String,
}

pub struct World {
    team: Team,
    gate: Gate,
    http: reqwest::Client,
    credentials: usize,
}

/// Even ones are auth tokens of Gerrit accounts, odd ones OAuth secrets of service principals: the two issuers whose rate
/// limits are shared with everything else that Lockstep does.
fn is_token(credential: usize) -> bool {
    credential.is_multiple_of(2)
}

fn name(credential: usize) -> String {
    format!("c{credential:05}")
}

fn principal(credential: usize) -> String {
    format!("{:08x}-0000-4000-9000-{credential:012x}", std::process::id())
}

impl World {
    /// Accounts, service principals and connections; no credential yet, and no operator.
    pub async fn new(word: &str, credentials: usize) -> Self {
        let _ = std::fs::remove_dir_all(record());
        let gate = Gate::default();
        let team = Team::at(stack().unwrap(), word, Some(&gate)).await;
        team.may_rotate().await;
        let world = Self {
            team,
            gate,
            http: reqwest::Client::new(),
            credentials,
        };
        world.people().await;
        world
    }

    pub fn len(&self) -> usize {
        self.credentials
    }

    /// Lets both connections keep to the rates that they have unless they say otherwise.
    pub async fn lower_rates(&self) {
        let unset = Patch::Merge(json!({"spec": {"limits": null}}));
        let params = PatchParams::default();
        let gerrit = self.team.all::<GerritConnection>();
        gerrit.patch("gerrit", &params, &unset).await.unwrap();
        let databricks = self.team.all::<DatabricksConnection>();
        databricks.patch("prod", &params, &unset).await.unwrap();
    }

    async fn people(&self) {
        for token in (0..self.credentials).filter(|credential| is_token(*credential)) {
            self.account(token).await;
        }
        let principal = |credential| {
            let shown = self.team.name(&name(credential));
            json!({"applicationId": principal(credential), "displayName": shown})
        };
        let odd = (0..self.credentials).filter(|credential| !is_token(*credential));
        let principals: Vec<Value> = odd.map(principal).collect();
        let seed = json!({"servicePrincipals": principals});
        self.team.sim.seed(seed).await;
    }

    /// One after the other: Gerrit writes all accounts into one ref, and refuses who comes meanwhile.
    async fn account(&self, credential: usize) {
        let username = self.team.name(&name(credential));
        let path = format!("/accounts/{}", encode(&username));
        let body = json!({"name": username});
        let (status, answer) = self.team.gerrit.call(Method::PUT, &path, Some(body)).await;
        assert_eq!(status, 201, "{answer}");
    }

    async fn each<F: Future<Output = ()>>(&self, work: impl Fn(usize) -> F) {
        stream::iter(0..self.credentials)
            .map(work)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }

    fn api(&self) -> Api<ServiceCredential> {
        self.team.all()
    }

    /// Declares all of them.
    pub async fn declare(&self) {
        self.each(|credential| async move {
            let issuer = if is_token(credential) {
                let account = self.team.name(&name(credential));
                json!({"gerritToken": {"connectionRef": {"name": "gerrit"}, "account": account, "lifetime": "30d"}})
            } else {
                json!({"databricksServicePrincipal": {
                    "connectionRef": {"name": "prod"}, "applicationId": principal(credential), "lifetime": "30d",
                }})
            };
            let object = json!({
                "apiVersion": "lockstep.dev/v1alpha1", "kind": "ServiceCredential", "metadata": {"name": name(credential)},
                "spec": {
                    // Nothing is looked at but what is asked for.
                    "mode": "Enforce", "interval": "12h", "schedule": {"every": "7d"},
                    "overlap": format!("{OVERLAP}s"), "exclusive": true, "issuer": issuer,
                    "stores": [{"kubernetesSecret": {
                        "name": name(credential), "keys": {"clientId": "client", "value": "value"},
                    }}],
                },
            });
            let object: ServiceCredential = serde_json::from_value(object).unwrap();
            self.api().create(&PostParams::default(), &object).await.unwrap();
        })
        .await;
    }

    /// Asks for another generation of all of them, as `lockstep credentials rotate` does.
    pub async fn rotate(&self, mark: &str) {
        self.each(|credential| self.annotate(credential, ROTATE, mark))
            .await;
    }

    /// Says that others know a generation, as `lockstep credentials revoke` does.
    pub async fn call_stolen(&self, credential: usize, generation: u64) {
        self.annotate(credential, COMPROMISED, &generation.to_string())
            .await;
    }

    async fn annotate(&self, credential: usize, key: &str, value: &str) {
        let body = json!({"metadata": {"annotations": {key: value}}});
        let params = PatchParams::default();
        let api = self.api();
        api.patch_metadata(&name(credential), &params, &Patch::Merge(&body))
            .await
            .unwrap();
    }

    /// Waits until all but so many have a generation that consumers use, this one or a later.
    pub async fn until_current(&self, generation: u64, but: usize) {
        let what = format!("credentials at generation {generation}");
        self.until(&what, but, |status| {
            status["current"].as_u64() >= Some(generation)
        })
        .await;
    }

    /// Waits until of each the current generation is all that lives.
    pub async fn until_alone(&self) {
        let over =
            |row: &Value| ["Current", "Revoked", "NeverMinted"].contains(&row["state"].as_str().unwrap());
        self.until("credentials with one value", 0, |status| {
            let rows = status["generations"].as_array();
            rows.is_some_and(|rows| rows.iter().all(over))
        })
        .await;
        let begun = Instant::now();
        loop {
            let listed = self.team.all_secrets().list(&ListParams::default()).await;
            let last = |secret: &Secret| {
                let mut keys = secret.data.iter().flatten().map(|(key, _)| key);
                keys.any(|key| key.starts_with("previous."))
            };
            let left = listed.unwrap().items.iter().filter(|secret| last(secret)).count();
            if left == 0 {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{left} Secrets still hold the last value"
            );
            sleep(Duration::from_secs(1)).await;
        }
    }

    async fn until(&self, what: &str, but: usize, holds: impl Fn(&Value) -> bool) {
        let (begun, mut said) = (Instant::now(), Instant::now());
        loop {
            let listed = self.api().list(&ListParams::default()).await.unwrap().items;
            let done = listed.iter().filter(|one| holds(&json!(one.status))).count();
            if done + but >= self.credentials {
                return;
            }
            if said.elapsed() > Duration::from_secs(15) {
                eprintln!("   {:.0} s: {done} {what}", begun.elapsed().as_secs_f64());
                said = Instant::now();
            }
            assert!(begun.elapsed() < PATIENCE, "{done} {what}");
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Waits until the operator has asked nothing for a while: what was created is looked at once more.
    pub async fn until_quiet(&self) {
        let (mut asked, mut since) = (self.gate.requests(), Instant::now());
        while since.elapsed() < Duration::from_secs(3) {
            sleep(Duration::from_millis(200)).await;
            let now = self.gate.requests();
            if now != asked {
                (asked, since) = (now, Instant::now());
            }
        }
    }

    /// The generation that consumers use.
    pub async fn generation(&self, credential: usize) -> u64 {
        let found = self.api().get(&name(credential)).await.unwrap();
        found.status.unwrap_or_default().current.expect("it is current")
    }

    /// What a consumer finds; `None`: nothing to log in with.
    pub async fn held(&self, credential: usize) -> Option<Login> {
        let found = self.team.all_secrets().get_opt(&name(credential)).await.unwrap();
        let data = found?.data?;
        let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
        Some(Login {
            client: text("client")?,
            value: text("value")?,
        })
    }

    /// Whether the issuer lets somebody in, asked past the operator's own way.
    pub async fn lets_in(&self, credential: usize, login: &Login) -> bool {
        if is_token(credential) {
            let gerrit = self.team.gerrit.logged_in(&login.client, &login.value);
            return gerrit.get("/accounts/self").await.0 == 200;
        }
        let form = [("grant_type", "client_credentials"), ("scope", "all-apis")];
        let host = self.team.stack.get("DATABRICKS_SIM_URL").trim_end_matches('/');
        let answer = self
            .http
            .post(format!("{host}/oidc/v1/token"))
            .basic_auth(&login.client, Some(&login.value))
            .form(&form)
            .send()
            .await;
        answer.unwrap().status().is_success()
    }

    /// What the operator has asked both systems so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.gate.arrivals()
    }

    pub fn kube(&self) -> &kube::Client {
        &self.team.client
    }
}
