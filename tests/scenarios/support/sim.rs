//! The simulator's control plane, and what a person would do in Databricks by hand.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::stack::Stack;

#[derive(Clone)]
pub struct Sim {
    url: String,
    token: String,
    account_token: String,
    pub account: String,
    http: reqwest::Client,
}

/// A simulator for one scenario alone. It ends with this value.
pub struct Apart {
    pub sim: Sim,
    pub url: String,
    _process: Child,
}

/// Tokens of a simulator apart.
const WORKSPACE_TOKEN: &str = "workspace-token-of-a-simulator-apart";
const ACCOUNT_TOKEN: &str = "account-token-of-a-simulator-apart";

impl Apart {
    pub async fn start(stack: &Stack) -> Self {
        Self::with(stack, &[]).await
    }

    /// One that really runs the Python files of jobs.
    pub async fn executing(stack: &Stack) -> Self {
        Self::with(stack, &["--execute"]).await
    }

    async fn with(stack: &Stack, more: &[&str]) -> Self {
        let account = stack.get("DATABRICKS_SIM_ACCOUNT_ID");
        let mut process = Command::new(stack.simulator())
            .args(["serve", "--listen", "127.0.0.1:0", "--json"])
            .args([
                "--workspace-token",
                WORKSPACE_TOKEN,
                "--account-token",
                ACCOUNT_TOKEN,
            ])
            .args(["--account-id", account])
            .args(more)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).await.unwrap();
        let greeting: Value = serde_json::from_str(&line).unwrap();
        let url = greeting["url"].as_str().unwrap().to_owned();
        let sim = Sim {
            url: url.clone(),
            token: WORKSPACE_TOKEN.to_owned(),
            account_token: ACCOUNT_TOKEN.to_owned(),
            account: account.to_owned(),
            http: reqwest::Client::new(),
        };
        Self {
            sim,
            url,
            _process: process,
        }
    }
}

impl Sim {
    pub fn new(stack: &Stack) -> Self {
        Self {
            url: stack.get("DATABRICKS_SIM_URL").trim_end_matches('/').to_owned(),
            token: stack.get("DATABRICKS_SIM_TOKEN").to_owned(),
            account_token: stack.get("DATABRICKS_SIM_ACCOUNT_TOKEN").to_owned(),
            account: stack.get("DATABRICKS_SIM_ACCOUNT_ID").to_owned(),
            http: reqwest::Client::new(),
        }
    }

    pub async fn control(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.http.request(method, format!("{}/_sim/{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The account's number of a service principal.
    pub async fn principal_number(&self, application_id: &str) -> String {
        let all = format!("/api/2.0/accounts/{}/scim/v2/ServicePrincipals", self.account);
        self.id_by(&all, "applicationId", application_id).await.unwrap()
    }

    pub async fn seed(&self, seed: Value) {
        self.control(reqwest::Method::POST, "seed", Some(seed)).await;
    }

    pub async fn snapshot(&self) -> Value {
        self.control(reqwest::Method::GET, "snapshot", None).await
    }

    /// A call on the account plane (paths below `/api/2.0/accounts/<id>`) or the workspace plane.
    pub async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let token = if path.contains("/accounts/") {
            &self.account_token
        } else {
            &self.token
        };
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or_else(|_| json!(text)),
        )
    }

    /// Display names of an account group's members, sorted; `None` where there is no such group.
    pub async fn account_group(&self, name: &str) -> Option<Vec<String>> {
        self.group(
            &format!("/api/2.0/accounts/{}/scim/v2/Groups", self.account),
            name,
        )
        .await
    }

    /// Somebody in the account whose address is another one than the user name.
    pub async fn user_with_address(&self, name: &str, address: &str) {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name, "emails": [{"value": address, "primary": true}],
        });
        let path = format!("/api/2.0/accounts/{}/scim/v2/Users", self.account);
        let (status, answer) = self.call(reqwest::Method::POST, &path, Some(body)).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Deletes an account group by hand.
    pub async fn delete_account_group(&self, name: &str) {
        let base = format!("/api/2.0/accounts/{}/scim/v2/Groups", self.account);
        let id = self.id(&base, name).await.unwrap();
        let (status, answer) = self
            .call(reqwest::Method::DELETE, &format!("{base}/{id}"), None)
            .await;
        assert_eq!(status, 204, "{answer}");
    }

    /// Puts somebody into an account group by hand.
    pub async fn add_to_account_group(&self, name: &str, user: &str) {
        let users = format!("/api/2.0/accounts/{}/scim/v2/Users", self.account);
        let user = self.id_by(&users, "userName", user).await.unwrap();
        let operation = json!({"op": "add", "path": "members", "value": [{"value": user}]});
        self.patch_account_group(name, operation).await;
    }

    /// Gives an account group another name by hand.
    pub async fn rename_account_group(&self, from: &str, to: &str) {
        let operation = json!({"op": "replace", "path": "displayName", "value": to});
        self.patch_account_group(from, operation).await;
    }

    async fn patch_account_group(&self, name: &str, operation: Value) {
        let base = format!("/api/2.0/accounts/{}/scim/v2/Groups", self.account);
        let id = self.id(&base, name).await.unwrap();
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation],
        });
        let (status, answer) = self
            .call(reqwest::Method::PATCH, &format!("{base}/{id}"), Some(body))
            .await;
        assert!(matches!(status, 200 | 204), "{status} {answer}");
    }

    async fn id(&self, base: &str, name: &str) -> Option<String> {
        self.id_by(base, "displayName", name).await
    }

    async fn id_by(&self, base: &str, attribute: &str, name: &str) -> Option<String> {
        // As SCIM spells strings: quotes and backslashes escaped.
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        let filter = super::gerrit::encode(&format!("{attribute} eq \"{name}\""));
        let (status, found) = self
            .call(reqwest::Method::GET, &format!("{base}?filter={filter}"), None)
            .await;
        assert_eq!(status, 200, "{found}");
        Some(found["Resources"].as_array()?.first()?["id"].as_str()?.to_owned())
    }

    async fn group(&self, base: &str, name: &str) -> Option<Vec<String>> {
        let id = self.id(base, name).await?;
        let (status, group) = self
            .call(reqwest::Method::GET, &format!("{base}/{id}"), None)
            .await;
        assert_eq!(status, 200, "{group}");
        let mut members: Vec<String> = group["members"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|member| member["display"].as_str().unwrap_or_default().to_owned())
            .collect();
        members.sort();
        Some(members)
    }
}
