//! A simulator of one's own, and the connection to it.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockstep::clients::databricks::{AccountSettings, Auth, Budget, DatabricksSettings, DatabricksSystem};
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, Privilege, Right, System, Target};
use lockstep_core::domain::access::observed::{GroupProperties, Observed};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{AccessSystem, Applied, Clock, NoPermit, Permit, SystemError};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

pub const ACCOUNT: &str = "11111111-1111-4111-8111-111111111111";
pub const WORKSPACE: &str = "1234567890123456";
pub const METASTORE: &str = "22222222-2222-4222-8222-222222222222";
/// The service principal that the tests act as.
pub const US: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub const SECRET: &str = "dose-planted-client-secret";
/// Another service principal.
pub const BOT: &str = "aaaaaaaa-0000-4000-8000-000000000002";

pub struct Sim {
    pub url: String,
    http: reqwest::Client,
    _process: Child,
}

fn binary() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let stated = std::env::var_os("DATABRICKS_SIM_BIN").map(PathBuf::from);
    let places = [
        Some(here.join("target/debug/databricks-sim")),
        Some(here.join("../../main/target/debug/databricks-sim")),
    ];
    let mut places = stated.into_iter().chain(places.into_iter().flatten());
    places
        .find(|place| place.exists())
        .expect("databricks-sim is missing: run `cargo build -p databricks-sim`, or set DATABRICKS_SIM_BIN")
}

impl Sim {
    /// A fresh world: Ada, Bob and Eve, a bot, and ourselves as administrator of account and workspace.
    pub async fn start() -> Self {
        let mut process = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--json"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).await.unwrap();
        let greeting: Value = serde_json::from_str(&line).expect("one line of JSON");
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sim = Self {
            url: greeting["url"].as_str().unwrap().to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _process: process,
        };
        sim.seed(json!({
            "users": [
                {"userName": "ada@example.com"}, {"userName": "bob@example.com"}, {"userName": "eve@example.com"},
            ],
            "servicePrincipals": [
                {"applicationId": US, "displayName": "lockstep", "admin": true, "accountAdmin": true, "secrets": [SECRET]},
                {"applicationId": BOT, "displayName": "bot"},
            ],
        }))
        .await;
        sim
    }

    pub async fn control(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}/_sim/{path}", self.url);
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Ids by name.
    pub async fn seed(&self, world: Value) -> Value {
        self.control("POST", "seed", Some(world)).await["ids"].clone()
    }

    pub async fn settings(&self, settings: Value) {
        self.control("POST", "settings", Some(settings)).await;
    }

    pub async fn fault(&self, method: &str, route: &str, times: u64, action: Value) {
        let rule = json!({"method": method, "route": route, "times": times, "action": action});
        self.control("POST", "faults", Some(rule)).await;
    }

    pub async fn no_faults(&self) {
        self.control("DELETE", "faults", None).await;
    }

    pub async fn snapshot(&self) -> Value {
        self.control("GET", "snapshot", None).await
    }

    /// Forgets what was asked so far.
    pub async fn forget(&self) {
        self.control("POST", "journal/clear", Some(json!({}))).await;
    }

    /// Requests since then, without those to the token endpoints, as `METHOD route`, with how often.
    pub async fn asked(&self) -> Vec<(String, u64)> {
        let counts = self.control("GET", "counts", None).await;
        let routes = counts["routes"].as_object().unwrap();
        routes
            .iter()
            .filter(|(route, _)| !route.contains("/oidc/"))
            .map(|(route, count)| (route.clone(), count["requests"].as_u64().unwrap()))
            .collect()
    }

    pub async fn writes(&self) -> u64 {
        self.control("GET", "counts", None).await["effects"]
            .as_u64()
            .unwrap()
    }

    /// Something that other people do, and what they are answered.
    pub async fn stranger(&self, method: &str, path: &str, body: Value) -> Value {
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        let response = request
            .bearer_auth("dapi-workspace")
            .json(&body)
            .send()
            .await
            .unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub fn settings_with(&self, auth: Auth) -> DatabricksSettings {
        DatabricksSettings {
            host: self.url.clone(),
            account: Some(AccountSettings {
                host: self.url.clone(),
                id: ACCOUNT.into(),
            }),
            auth,
            ca_pem: None,
            budget: Budget::Lifted,
            timeout: Duration::from_secs(5),
            concurrency: 8,
            allow_loopback: true,
        }
    }

    pub fn system_settings(&self) -> DatabricksSettings {
        self.settings_with(Auth::OauthSecret {
            client_id: US.into(),
            client_secret: SECRET.to_owned().into(),
        })
    }

    pub fn system(&self) -> Databricks {
        Self::system_with(self.system_settings())
    }

    pub fn without_permit(&self) -> DatabricksSystem {
        let clock = Arc::new(Hand(Mutex::new(Timestamp::now())));
        DatabricksSystem::new(self.system_settings(), Arc::new(Never), clock, None).unwrap()
    }

    pub fn token(&self) -> Databricks {
        Self::system_with(self.settings_with(Auth::PersonalAccessToken("dapi-workspace".to_owned().into())))
    }

    pub fn system_with(settings: DatabricksSettings) -> Databricks {
        let clock = Arc::new(Hand(Mutex::new(Timestamp::now())));
        let system = DatabricksSystem::new(settings, Arc::new(Always), clock.clone(), None).unwrap();
        Databricks { system, clock }
    }
}

/// A clock set by hand.
pub struct Hand(Mutex<Timestamp>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl Hand {
    pub fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }
}

struct Always;
impl Permit for Always {
    fn check(&self, _: Duration) -> Result<(), NoPermit> {
        Ok(())
    }
}

struct Never;
impl Permit for Never {
    fn check(&self, _: Duration) -> Result<(), NoPermit> {
        Err(NoPermit("somebody else leads".into()))
    }
}

pub struct Databricks {
    pub system: DatabricksSystem,
    pub clock: Arc<Hand>,
}

impl Databricks {
    /// As things are now.
    pub async fn see(&self, target: &Target) -> Arc<Observed> {
        self.clock.advance(1);
        self.system.observe(target, self.clock.now()).await.unwrap()
    }

    pub async fn rows(&self, target: &Target) -> Vec<String> {
        let observed = self.see(target).await;
        observed
            .rows
            .iter()
            .map(|(who, what)| format!("{} {what}", who.name))
            .collect()
    }

    pub async fn apply(&self, change: &Change) -> Result<Applied, SystemError> {
        self.clock.advance(1);
        let mut applied = self.system.apply(&[change]).await?;
        Ok(applied.remove(0))
    }

    /// Somebody by user name or application id, as the directory has them.
    pub async fn who(&self, name: &str) -> Principal {
        let directory = self.system.directory(&account(), Timestamp::MIN).await.unwrap();
        directory.by_username(name).unwrap().principal.clone()
    }
}

pub fn account() -> System {
    System::Account(ACCOUNT.into())
}

pub fn workspace() -> System {
    System::Workspace(WORKSPACE.into())
}

pub fn group(system: &System, id: &Value) -> Target {
    Target::Group {
        system: system.clone(),
        id: id.as_str().unwrap().to_owned(),
    }
}

pub fn team(name: &str) -> Principal {
    Principal::group(name, name)
}

pub fn bot() -> Principal {
    Principal::new(PrincipalKind::ServicePrincipal, BOT, "bot")
}

pub fn member(who: &Principal) -> Right {
    (who.clone(), Privilege::Member)
}

/// A group to be created with these members.
pub fn creation(system: &System, name: &str, members: &[Principal]) -> Change {
    let target = Target::NewGroup {
        system: system.clone(),
        name: name.into(),
    };
    let mut change = Change::new(target, name);
    change.create = Some(GroupProperties {
        name: name.into(),
        ..GroupProperties::default()
    });
    change.add = members.iter().map(member).collect();
    change
}

pub fn change(target: &Target, add: &[Right], remove: &[Right]) -> Change {
    let mut change = Change::new(target.clone(), "it");
    change.add = add.iter().cloned().collect();
    change.remove = remove.iter().cloned().collect();
    change
}
