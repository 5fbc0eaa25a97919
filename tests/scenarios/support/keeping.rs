//! Stores besides Kubernetes Secrets, as those who run them see them: the real Vault, a secret scope.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, Patch};
use lockstep_core::api::CredentialStore;
use reqwest::Method;
use serde_json::{Value, json};

use super::secrets::plant;
use super::stack::{Stack, manage, place, read};
use super::team::{Team, host};
use super::world::{APPLICATION, manager};

/// Paths with the capabilities that a policy of Vault grants there.
pub type Rules<'a> = &'a [(&'a str, &'a [&'a str])];

/// Vault as its root sees it.
#[derive(Clone)]
pub struct Vault {
    pub url: String,
    root: String,
    http: reqwest::Client,
}

impl Vault {
    pub fn of(stack: &Stack) -> Self {
        Self::at(stack.get("VAULT_ADDR"), stack.get("VAULT_TOKEN"))
    }

    pub fn at(url: &str, root: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            root: root.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Status and answer of a call as root.
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/v1/{path}", self.url);
        let asked = self.http.request(method, url).header("X-Vault-Token", &self.root);
        let answer = asked.json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// A call as root that must be done.
    pub async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    /// Writes a policy, or another one in its place.
    pub async fn policy(&self, name: &str, rules: Rules<'_>) {
        let rules: Vec<String> = rules
            .iter()
            .map(|(path, may)| format!("path {path:?} {{ capabilities = {may:?} }}"))
            .collect();
        let path = format!("sys/policies/acl/{name}");
        self.done(Method::PUT, &path, json!({"policy": rules.join("\n")}))
            .await;
    }

    /// What lies at a path of `secret/`; `None`: nothing. Its values count as planted from now on.
    pub async fn held(&self, path: &str) -> Option<BTreeMap<String, String>> {
        let (status, answer) = self
            .ask(Method::GET, &format!("secret/data/{path}"), json!(null))
            .await;
        if status == 404 {
            return None;
        }
        assert_eq!(status, 200, "{path}");
        let held: BTreeMap<String, String> =
            serde_json::from_value(answer["data"]["data"].clone()).unwrap_or_default();
        plant_secrets(&held);
        Some(held)
    }

    /// Whether Vault has ever heard of a path that was not erased.
    pub async fn knows(&self, path: &str) -> bool {
        let (status, _) = self
            .ask(Method::GET, &format!("secret/metadata/{path}"), json!(null))
            .await;
        assert!(status == 200 || status == 404, "{path}: {status}");
        status == 200
    }
}

/// What is secret of what a consumer reads is looked for at the end.
pub fn plant_secrets(held: &BTreeMap<String, String>) {
    for (key, value) in held {
        if ["token", "client_secret", "secret"]
            .iter()
            .any(|word| key.ends_with(word))
        {
            plant(value);
        }
    }
}

impl Team {
    /// What the docs demand of a policy for a path.
    pub async fn may_keep(&self, vault: &Vault) -> String {
        let (data, metadata) = (
            format!("secret/data/{}/*", self.prefix),
            format!("secret/metadata/{}/*", self.prefix),
        );
        vault
            .policy(
                &self.prefix,
                &[
                    (&data, &["create", "read", "update"]),
                    (&metadata, &["create", "read", "update", "delete"]),
                ],
            )
            .await;
        self.prefix.clone()
    }

    /// A store in Vault that logs in with a token of a ServiceAccount of the namespace. `url`: how the operator is told
    /// to reach it.
    pub async fn vault_by_account(&self, name: &str, vault: &Vault, url: &str) {
        let policy = self.may_keep(vault).await;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.prefix);
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "vault", "annotations": {"lockstep.dev/host": host(url)}},
        });
        accounts
            .patch("vault", &manager(), &Patch::Apply(&account))
            .await
            .unwrap();
        let role = json!({
            "bound_service_account_names": "vault", "bound_service_account_namespaces": self.prefix,
            "audience": url, "policies": policy,
        });
        vault
            .done(
                Method::POST,
                &format!("auth/kubernetes/role/{}", self.prefix),
                role,
            )
            .await;
        let login = json!({"serviceAccountRef": {"name": "vault"}, "role": self.prefix});
        self.vault(name, url, "secret", json!({"kubernetes": login}))
            .await;
    }

    /// A store in Vault that logs in with a token.
    pub async fn vault_by_token(&self, name: &str, vault: &Vault, url: &str) {
        let policy = self.may_keep(vault).await;
        let made = vault
            .done(Method::POST, "auth/token/create", json!({"policies": [policy]}))
            .await;
        let token = made["auth"]["client_token"].as_str().unwrap();
        plant(token);
        self.secret("vault", &host(url), &json!({"token": token})).await;
        self.vault(name, url, "secret", json!({"tokenSecretRef": {"name": "vault"}}))
            .await;
    }

    /// A store in Vault.
    pub async fn vault(&self, name: &str, url: &str, mount: &str, auth: Value) {
        let store = json!({"address": url, "mount": mount, "auth": auth});
        self.store(name, json!({"vault": store})).await;
    }

    /// A store that the team may write to below its own name.
    pub async fn store(&self, name: &str, kind: Value) {
        let mut spec = kind;
        spec["tenants"] = json!([{
            "namespaces": {"names": [self.prefix]}, "reach": {"paths": [format!("{}*", self.prefix)]},
        }]);
        let _: CredentialStore = self.apply("CredentialStore", name, &spec).await;
    }

    /// A secret scope of the team's name, which the operator may write to, and the store of it.
    pub async fn scope(&self, name: &str) {
        let scope = json!({"scope": self.prefix});
        let (status, answer) = self
            .sim
            .call(Method::POST, "/api/2.0/secrets/scopes/create", Some(scope))
            .await;
        assert_eq!(status, 200, "{answer}");
        let acl = json!({"scope": self.prefix, "principal": APPLICATION, "permission": "WRITE"});
        let (status, answer) = self
            .sim
            .call(Method::POST, "/api/2.0/secrets/acls/put", Some(acl))
            .await;
        assert_eq!(status, 200, "{answer}");
        let store = json!({"connectionRef": {"name": "prod"}, "scope": self.prefix});
        self.store(name, json!({"databricksSecretScope": store})).await;
    }

    /// What lies in the team's secret scope, by key. Its values count as planted from now on.
    pub async fn in_scope(&self) -> BTreeMap<String, String> {
        let path = format!("/api/2.0/secrets/list?scope={}", self.prefix);
        let (status, listed) = self.sim.call(Method::GET, &path, None).await;
        assert_eq!(status, 200, "{listed}");
        let mut held = BTreeMap::new();
        for row in listed["secrets"].as_array().into_iter().flatten() {
            let key = row["key"].as_str().unwrap();
            let path = format!("/api/2.0/secrets/get?scope={}&key={key}", self.prefix);
            let (status, found) = self.sim.call(Method::GET, &path, None).await;
            if status == 404 {
                continue;
            }
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(found["value"].as_str().unwrap())
                .unwrap();
            held.insert(key.to_owned(), String::from_utf8(bytes).unwrap());
        }
        plant_secrets(&held);
        held
    }

    /// Deletes a credential and waits until it is no more.
    pub async fn drop_credential(&self, name: &str) {
        self.delete_credential(name).await;
        self.credential_gone(name).await;
    }

    pub async fn delete_credential(&self, name: &str) {
        use lockstep_core::api::ServiceCredential;
        self.all::<ServiceCredential>()
            .delete(name, &kube::api::DeleteParams::default())
            .await
            .unwrap();
    }

    pub async fn credential_gone(&self, name: &str) {
        use lockstep_core::api::ServiceCredential;
        super::eventually(&format!("{name} is gone"), super::PATIENCE, || async {
            let found = self.all::<ServiceCredential>().get_opt(name).await;
            match found.map_err(|error| error.to_string())? {
                None => Ok(()),
                Some(left) => Err(serde_json::to_string(&left.status).unwrap()),
            }
        })
        .await;
    }
}

/// A Vault of one's own, to seal. It goes with the scenario.
pub struct Aside {
    pub vault: Vault,
    key: String,
    state: PathBuf,
}

impl Aside {
    pub fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let state = place().join(format!("vault-{}-{count}", std::process::id()));
        manage(&state, &["up", "--only", "vault"]);
        let variables = read(&state);
        Self {
            vault: Vault::at(&variables["VAULT_ADDR"], &variables["VAULT_TOKEN"]),
            key: variables["VAULT_UNSEAL_KEY"].clone(),
            state,
        }
    }

    pub async fn seal(&self) {
        self.vault.done(Method::PUT, "sys/seal", json!({})).await;
    }

    pub async fn unseal(&self) {
        let key = json!({"key": self.key});
        self.vault.done(Method::PUT, "sys/unseal", key).await;
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        manage(&self.state, &["reset"]);
        let _ = std::fs::remove_dir_all(&self.state);
    }
}
