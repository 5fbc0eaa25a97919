//! A world for one scenario: a namespace with both connections, people in both systems, a project and a job.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use lockstep_core::api::{AccessBinding, DatabricksConnection, GerritConnection};
use serde_json::{Value, json};

use super::eventually;
use super::gate::Gate;
use super::gerrit::Gerrit;
use super::operator::NAMESPACE;
use super::sim::Sim;
use super::stack::{Stack, stack};

/// CRDs and the operator's namespace, once per stack.
pub async fn prepare_cluster(stack: &Stack) {
    let client = stack.kube().await;
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let apply = PatchParams::apply("scenarios").force();
    for crd in lockstep_core::api::crd::all() {
        crds.patch(&crd.name_any(), &apply, &Patch::Apply(&crd))
            .await
            .unwrap();
    }
    for crd in lockstep_core::api::crd::all() {
        eventually("the CRD is served", 30, || async {
            let seen = crds.get(&crd.name_any()).await.map_err(|e| e.to_string())?;
            let conditions = seen
                .status
                .and_then(|status| status.conditions)
                .unwrap_or_default();
            let served = conditions
                .iter()
                .any(|c| c.type_ == "Established" && c.status == "True");
            served.then_some(()).ok_or_else(|| format!("{conditions:?}"))
        })
        .await;
    }
    namespace(&client, NAMESPACE).await;
}

async fn namespace(client: &kube::Client, name: &str) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    namespaces
        .patch(
            name,
            &PatchParams::apply("scenarios").force(),
            &Patch::Apply(&body),
        )
        .await
        .unwrap();
}

pub struct Team {
    /// Unique word in every name of this scenario.
    pub prefix: String,
    pub client: kube::Client,
    pub gerrit: Gerrit,
    pub sim: Sim,
}

impl Team {
    /// A fresh world, or `None` where the stack is not up.
    pub async fn new(word: &str) -> Option<Self> {
        Self::behind(word, None).await
    }

    /// The same, the operator's calls going through a gate.
    pub async fn behind(word: &str, gate: Option<&Gate>) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let stack = stack()?;
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() % 100_000_000;
        let prefix = format!("{word}-{millis:x}{}", COUNT.fetch_add(1, Ordering::Relaxed));
        prepare_cluster(stack).await;
        let client = stack.kube().await;
        namespace(&client, &prefix).await;
        let team = Self {
            prefix,
            client,
            gerrit: Gerrit::new(stack),
            sim: Sim::new(stack),
        };
        team.connect(stack, gate).await;
        team.gerrit.project(&team.name("project")).await;
        let job = json!({"type": "jobs", "name": team.name("train")});
        team.sim.seed(json!({"objects": [job]})).await;
        Some(team)
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
        self.sim
            .seed(json!({"users": [{"userName": email, "displayName": email}]}))
            .await;
        self.gerrit.account(&self.name(name), &email).await
    }

    async fn connect(&self, stack: &Stack, gate: Option<&Gate>) {
        let host = |url: &str| url.split("://").nth(1).unwrap().trim_end_matches('/').to_owned();
        let (mut gerrit, mut databricks) = (
            stack.get("GERRIT_URL").to_owned(),
            stack.get("DATABRICKS_SIM_URL").to_owned(),
        );
        if let Some(gate) = gate {
            gerrit = gate.open(&gerrit).await;
            databricks = gate.open(&databricks).await;
        }
        let sim_host = host(&databricks);
        self.secret(
            "gerrit",
            &host(&gerrit),
            &json!({
                "username": stack.get("GERRIT_ADMIN_USER"), "password": stack.get("GERRIT_ADMIN_PASSWORD"),
            }),
        )
        .await;
        // A service principal that administers both planes, as the docs tell users to make one.
        let app = "00000000-0000-4000-8000-00000000beef";
        self.sim
            .seed(json!({"servicePrincipals": [{
                "applicationId": app, "displayName": "lockstep", "accountAdmin": true, "admin": true,
                "secrets": ["planted-secret-of-the-service-principal"],
            }]}))
            .await;
        self.secret(
            "databricks",
            &sim_host,
            &json!({
                "clientId": app, "clientSecret": "planted-secret-of-the-service-principal",
            }),
        )
        .await;
        let limits = json!({"requestsPerSecond": 0});
        let namespaces = json!({"names": [self.prefix]});
        self.apply::<GerritConnection>(&json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "GerritConnection", "metadata": {"name": "gerrit"},
            "spec": {
                "url": gerrit, "auth": {"basic": {"secretRef": {"name": "gerrit"}}}, "limits": limits,
                "tenants": [{"namespaces": namespaces, "uses": ["Access"], "reach": {
                    "projects": [format!("{}*", self.prefix)], "refs": ["refs/*"], "groups": [format!("{}*", self.prefix)],
                }}],
            },
        }))
        .await;
        self.apply::<DatabricksConnection>(&json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "DatabricksConnection", "metadata": {"name": "prod"},
            "spec": {
                "host": databricks,
                "account": {"host": databricks, "id": self.sim.account},
                "auth": {"oauthSecret": {"secretRef": {"name": "databricks"}}}, "limits": limits,
                "tenants": [{"namespaces": namespaces, "uses": ["Access"], "reach": {
                    "workspace": ["*"], "groups": [format!("{}*", self.prefix)], "jobs": [format!("{}*", self.prefix)],
                    "catalogs": ["*"], "servicePrincipals": ["*"], "paths": ["*"], "experiments": ["*"],
                }}],
            },
        }))
        .await;
    }

    pub async fn secret(&self, name: &str, host: &str, data: &Value) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.prefix);
        let body = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "annotations": {"lockstep.dev/host": host}}, "stringData": data,
        });
        secrets
            .patch(
                name,
                &PatchParams::apply("scenarios").force(),
                &Patch::Apply(&body),
            )
            .await
            .unwrap();
    }

    /// Applies an object of ours in the scenario's namespace, as `kubectl apply --server-side` would.
    pub async fn apply<K>(&self, body: &Value) -> K
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + serde::de::DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.prefix);
        let name = body["metadata"]["name"].as_str().unwrap();
        api.patch(
            name,
            &PatchParams::apply("scenarios").force(),
            &Patch::Apply(body),
        )
        .await
        .unwrap()
    }

    /// A binding for a group in both systems; `more` is merged into the spec.
    pub async fn bind(&self, name: &str, people: &[&str], more: Value) -> AccessBinding {
        let members: Vec<_> = people
            .iter()
            .map(|person| json!({"person": {"email": self.email(person)}}))
            .collect();
        let group = self.name(name);
        let mut spec = json!({
            "mode": "Enforce",
            "interval": "10s",
            "members": members,
            "gerrit": [{
                "connectionRef": {"name": "gerrit"},
                "group": {"name": group, "description": "made by a scenario"},
                "access": [
                    {"project": self.name("project"), "ref": "refs/heads/*", "permission": "read"},
                    {"project": self.name("project"), "ref": "refs/heads/*", "label": {"name": "Code-Review", "min": -1, "max": 1}},
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
        let body = json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "AccessBinding", "metadata": {"name": name}, "spec": spec,
        });
        self.apply(&body).await
    }

    pub fn bindings(&self) -> Api<AccessBinding> {
        Api::namespaced(self.client.clone(), &self.prefix)
    }

    /// Waits for a condition of a binding and returns the binding.
    pub async fn until(&self, name: &str, kind: &str, status: &str) -> AccessBinding {
        self.until_seconds(name, kind, status, 60).await
    }

    pub async fn until_seconds(&self, name: &str, kind: &str, status: &str, seconds: u64) -> AccessBinding {
        eventually(&format!("{name} {kind}={status}"), seconds, || async {
            let binding = self.bindings().get(name).await.map_err(|e| e.to_string())?;
            let seen = binding.status.clone().unwrap_or_default();
            let current = seen.observed_generation == binding.metadata.generation;
            let holds = seen
                .conditions
                .iter()
                .any(|c| c.type_ == kind && c.status == status);
            if holds && current {
                Ok(binding)
            } else {
                Err(serde_json::to_string(&seen.conditions).unwrap())
            }
        })
        .await
    }

    pub async fn delete(&self, name: &str) {
        self.bindings()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        self.gone(name, 60).await;
    }

    /// Waits until a binding is no more.
    pub async fn gone(&self, name: &str, seconds: u64) {
        eventually(&format!("{name} is gone"), seconds, || async {
            match self.bindings().get_opt(name).await.map_err(|e| e.to_string())? {
                None => Ok(()),
                Some(binding) => Err(format!("{:?}", binding.status.map(|status| status.conditions))),
            }
        })
        .await;
    }

    pub async fn create<K>(&self, body: &K) -> Result<K, kube::Error>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + serde::de::DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        Api::namespaced(self.client.clone(), &self.prefix)
            .create(&PostParams::default(), body)
            .await
    }
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, more) => *into = more,
    }
}
