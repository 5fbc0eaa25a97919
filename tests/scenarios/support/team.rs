//! A world for one scenario: a namespace with both connections, people in both systems, a project and a job.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::Resource;
use kube::api::{Api, Patch};
use lockstep_core::api::{AccessBinding, DatabricksConnection, GerritConnection};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::RwLockReadGuard;

use super::gate::Gate;
use super::gerrit::Gerrit;
use super::operator::{self, Operator};
use super::sim::{Apart, Sim};
use super::stack::{Stack, place, stack};
pub use super::world::prepare_cluster;
use super::world::{self, manager, merge};

/// A namespaced kind of ours.
pub trait Ours:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + std::fmt::Debug
{
}
impl<K> Ours for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + std::fmt::Debug
{
}

pub struct Team {
    /// Unique word in every name of this scenario, and its namespace.
    pub prefix: String,
    pub client: kube::Client,
    pub gerrit: Gerrit,
    pub sim: Sim,
    pub stack: &'static Stack,
    /// Addresses that the operator is told.
    pub gerrit_url: String,
    pub databricks_url: String,
    shared: Option<RwLockReadGuard<'static, Option<Operator>>>,
}

/// Keeps what the operator said of this world for the search at the end, and clears up, so that it has nothing to do
/// here any more.
impl Drop for Team {
    fn drop(&mut self) {
        let (stack, prefix) = (self.stack, self.prefix.clone());
        let clear = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let left = runtime.block_on(world::clear(stack, &prefix));
            std::fs::write(place().join("shared").join(format!("{prefix}.json")), left).unwrap();
        };
        // A runtime of its own: the scenario's may be on its way out.
        let _ = std::thread::spawn(clear).join();
    }
}

/// Host and port of a URL, as Secrets name them.
pub fn host(url: &str) -> String {
    url.split("://").nth(1).unwrap().trim_end_matches('/').to_owned()
}

impl Team {
    /// A fresh world with the shared operator at work, or `None` where the stack is not up.
    pub async fn new(word: &str) -> Option<Self> {
        Self::behind(word, None, None).await
    }

    /// The same, the operator's calls going through gates.
    pub async fn behind(word: &str, gerrit: Option<&Gate>, databricks: Option<&Gate>) -> Option<Self> {
        let shared = operator::shared().await?;
        let mut team = Self::on(stack()?, word, gerrit, databricks).await;
        team.shared = Some(shared);
        team.connect().await;
        Some(team)
    }

    /// A fresh world with the shared operator at work, and with this Databricks.
    pub async fn with(word: &str, apart: &Apart) -> Option<Self> {
        let shared = operator::shared().await?;
        let mut team = Self::on(stack()?, word, None, None).await;
        team.shared = Some(shared);
        (team.sim, team.databricks_url) = (apart.sim.clone(), apart.url.clone());
        world::principal(&team.sim).await;
        team.connect().await;
        Some(team)
    }

    /// A fresh world on the cluster of an operator of one's own.
    pub async fn of(operator: &Operator, word: &str, gate: Option<&Gate>) -> Self {
        Self::at(operator.stack, word, gate).await
    }

    /// A fresh world on a cluster, whoever works there.
    pub async fn at(stack: &'static Stack, word: &str, gate: Option<&Gate>) -> Self {
        prepare_cluster(stack).await;
        let team = Self::on(stack, word, gate, gate).await;
        team.connect().await;
        team
    }

    async fn on(
        stack: &'static Stack,
        word: &str,
        gerrit_gate: Option<&Gate>,
        databricks_gate: Option<&Gate>,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() % 100_000_000;
        let prefix = format!("{word}-{millis:x}{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let client = stack.kube().await;
        world::namespace(&client, &prefix).await;
        let (gerrit, sim) = (Gerrit::new(stack), Sim::new(stack));
        world::identity(&gerrit, &sim).await;
        let mut gerrit_url = stack.get("GERRIT_URL").trim_end_matches('/').to_owned();
        let mut databricks_url = stack.get("DATABRICKS_SIM_URL").trim_end_matches('/').to_owned();
        if let Some(gate) = gerrit_gate {
            gerrit_url = gate.open(&gerrit_url).await;
        }
        if let Some(gate) = databricks_gate {
            databricks_url = gate.open(&databricks_url).await;
        }
        let team = Self {
            prefix,
            client,
            gerrit,
            sim,
            stack,
            gerrit_url,
            databricks_url,
            shared: None,
        };
        team.gerrit.project(&team.name("project")).await;
        let job = json!({"type": "jobs", "name": team.name("train")});
        team.sim.seed(json!({"objects": [job]})).await;
        team
    }

    /// A name that belongs to this scenario.
    pub fn name(&self, word: &str) -> String {
        format!("{}-{word}", self.prefix)
    }

    pub fn email(&self, person: &str) -> String {
        format!("{}-{person}@example.com", self.prefix)
    }

    /// Somebody with an account in both systems; the Gerrit number.
    pub async fn person(&self, name: &str) -> i64 {
        let email = self.email(name);
        let user = json!({"userName": email, "displayName": email});
        self.sim.seed(json!({"users": [user]})).await;
        self.gerrit.account(&self.name(name), &email).await
    }

    /// Several of them.
    pub async fn people(&self, names: &[&str]) -> Vec<i64> {
        let mut numbers = Vec::new();
        for name in names {
            numbers.push(self.person(name).await);
        }
        numbers
    }

    async fn connect(&self) {
        let data = json!({"username": world::GERRIT_USER, "password": world::GERRIT_PASSWORD});
        self.secret("gerrit", &host(&self.gerrit_url), &data).await;
        let data = json!({"clientId": world::APPLICATION, "clientSecret": world::CLIENT_SECRET});
        self.secret("databricks", &host(&self.databricks_url), &data)
            .await;
        self.connect_gerrit("gerrit", json!({})).await;
        self.connect_databricks("prod", json!({})).await;
    }

    /// Makes a connection to Gerrit; `more` is merged into the spec.
    pub async fn connect_gerrit(&self, name: &str, more: Value) -> GerritConnection {
        let own = format!("{}*", self.prefix);
        let mut spec = json!({
            "url": self.gerrit_url, "auth": {"basic": {"secretRef": {"name": "gerrit"}}},
            "limits": {"requestsPerSecond": 0},
            "tenants": [{"namespaces": {"names": [self.prefix]}, "uses": ["Access"], "reach": {
                "projects": [own], "refs": ["refs/*"], "groups": [own],
            }}],
        });
        merge(&mut spec, more);
        self.apply("GerritConnection", name, &spec).await
    }

    /// Makes a connection to Databricks; `more` is merged into the spec.
    pub async fn connect_databricks(&self, name: &str, more: Value) -> DatabricksConnection {
        let own = format!("{}*", self.prefix);
        let mut spec = json!({
            "host": self.databricks_url, "account": {"host": self.databricks_url, "id": self.sim.account},
            "auth": {"oauthSecret": {"secretRef": {"name": "databricks"}}},
            "limits": {"requestsPerSecond": 0},
            "tenants": [{"namespaces": {"names": [self.prefix]}, "uses": ["Access"], "reach": {
                "workspace": ["*"], "groups": [own], "jobs": [own], "catalogs": ["*"], "servicePrincipals": ["*"],
                "paths": ["*"], "experiments": ["*"], "tokens": ["tokens"],
            }}],
        });
        merge(&mut spec, more);
        self.apply("DatabricksConnection", name, &spec).await
    }

    pub async fn secret(&self, name: &str, host: &str, data: &Value) {
        let body = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "annotations": {"lockstep.dev/host": host}}, "stringData": data,
        });
        self.all_secrets()
            .patch(name, &manager(), &Patch::Apply(&body))
            .await
            .unwrap();
    }

    pub fn all<K: Ours>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.prefix)
    }

    pub fn all_secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.prefix)
    }

    pub fn bindings(&self) -> Api<AccessBinding> {
        self.all()
    }

    /// Applies an object of ours in the scenario's namespace, as `kubectl apply --server-side` would.
    pub async fn apply<K: Ours>(&self, kind: &str, name: &str, spec: &Value) -> K {
        self.try_apply(kind, name, spec).await.unwrap()
    }

    pub async fn try_apply<K: Ours>(&self, kind: &str, name: &str, spec: &Value) -> kube::Result<K> {
        let body = json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        self.all::<K>()
            .patch(name, &manager(), &Patch::Apply(&body))
            .await
    }

    fn members(&self, people: &[&str]) -> Vec<Value> {
        let person = |name: &&str| json!({"person": {"email": self.email(name)}});
        people.iter().map(person).collect()
    }

    /// A binding for a group in both systems; `more` is merged into the spec.
    pub async fn bind(&self, name: &str, people: &[&str], more: Value) -> AccessBinding {
        let group = self.name(name);
        let project = self.name("project");
        let mut spec = json!({
            "mode": "Enforce",
            "interval": "10s",
            "members": self.members(people),
            "gerrit": [{
                "connectionRef": {"name": "gerrit"},
                "group": {"name": group, "description": "made by a scenario"},
                "access": [
                    {"project": project, "ref": "refs/heads/*", "permission": "read"},
                    {"project": project, "ref": "refs/heads/*", "label": {"name": "Code-Review", "min": -1, "max": 1}},
                ],
            }],
            "databricks": {
                "account": {"connectionRef": {"name": "prod"}, "group": {"name": group}},
                "workspaces": [{
                    "connectionRef": {"name": "prod"}, "permission": "USER", "entitlements": ["workspace-access"],
                    "objects": [{"job": {"name": self.name("train")}, "level": "CAN_MANAGE_RUN"}],
                }],
            },
        });
        merge(&mut spec, more);
        self.apply("AccessBinding", name, &spec).await
    }

    /// A binding for a group in Gerrit alone; `group` is merged into the group.
    pub async fn bind_gerrit(&self, name: &str, people: &[&str], group: Value, more: Value) -> AccessBinding {
        let mut spec = self.gerrit_spec(name, people, group);
        merge(&mut spec, more);
        self.apply("AccessBinding", name, &spec).await
    }

    pub fn gerrit_spec(&self, name: &str, people: &[&str], group: Value) -> Value {
        let mut whole = json!({"name": self.name(name)});
        merge(&mut whole, group);
        json!({
            "mode": "Enforce", "interval": "10s", "members": self.members(people),
            "gerrit": [{"connectionRef": {"name": "gerrit"}, "group": whole}],
        })
    }
}
