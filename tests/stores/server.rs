//! The real Vault as its root sees it, and how a client of ours reaches it.

use std::sync::Arc;
use std::time::Duration;

use lockstep::clients::vault::{Vault, VaultAuth, VaultSettings, VaultStore};
use reqwest::Method;
use serde_json::{Value, json};

use super::stack::{Granted, Now, unique, variable};

pub struct Server {
    pub url: String,
    root: String,
    http: reqwest::Client,
}

impl Server {
    /// `None` with a note where the stack is not up.
    pub fn find() -> Option<Self> {
        Some(Self::at(variable("VAULT_ADDR")?, variable("VAULT_TOKEN")?))
    }

    pub fn at(url: String, root: String) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url, root, http }
    }

    /// Status and answer of a call as root.
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/v1/{path}", self.url);
        let asked = self.http.request(method, url).header("X-Vault-Token", &self.root);
        let answer = asked.json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default(),
        )
    }

    /// A call as root that must be done.
    pub async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    /// A policy under a name of its own: capabilities by path.
    pub async fn policy(&self, rules: &[(&str, &[&str])]) -> String {
        let rules: Vec<String> = rules
            .iter()
            .map(|(path, may)| format!("path {path:?} {{ capabilities = {may:?} }}"))
            .collect();
        let name = unique("policy");
        let path = format!("sys/policies/acl/{name}");
        self.done(Method::PUT, &path, json!({"policy": rules.join("\n")}))
            .await;
        name
    }

    /// A token that may do this and no more.
    pub async fn token(&self, rules: &[(&str, &[&str])]) -> String {
        let policy = self.policy(rules).await;
        let made = self
            .done(Method::POST, "auth/token/create", json!({"policies": [policy]}))
            .await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    pub fn settings(&self, auth: VaultAuth) -> VaultSettings {
        settings(&self.url, "secret", auth)
    }

    pub fn vault(&self, auth: VaultAuth) -> Vault {
        vault(self.settings(auth))
    }

    /// A path of one's own, as root.
    pub fn store(&self, path: &str) -> VaultStore {
        self.vault(VaultAuth::Token(self.root.clone().into()))
            .store(path)
            .unwrap()
    }

    /// The same with a token.
    pub fn store_as(&self, token: &str, path: &str) -> VaultStore {
        self.vault(VaultAuth::Token(token.to_owned().into()))
            .store(path)
            .unwrap()
    }

    pub fn root(&self) -> VaultAuth {
        VaultAuth::Token(self.root.clone().into())
    }
}

pub fn settings(url: &str, mount: &str, auth: VaultAuth) -> VaultSettings {
    VaultSettings {
        address: url.parse().unwrap(),
        namespace: None,
        mount: mount.into(),
        auth,
        ca_pem: None,
        timeout: Duration::from_secs(20),
        concurrency: 8,
        allow_loopback: true,
    }
}

pub fn vault(settings: VaultSettings) -> Vault {
    Vault::new(settings, Arc::new(Granted), Arc::new(Now), None).unwrap()
}

macro_rules! server_or_skip {
    () => {
        match $crate::server::Server::find() {
            Some(server) => server,
            None => return,
        }
    };
}
pub(crate) use server_or_skip;
