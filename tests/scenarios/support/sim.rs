//! The simulator's control plane, and what a person would do in Databricks by hand.

use serde_json::{Value, json};

use super::stack::Stack;

#[derive(Clone)]
pub struct Sim {
    url: String,
    token: String,
    account_token: String,
    pub account: String,
    pub workspace: String,
    http: reqwest::Client,
}

impl Sim {
    pub fn new(stack: &Stack) -> Self {
        Self {
            url: stack.get("DATABRICKS_SIM_URL").trim_end_matches('/').to_owned(),
            token: stack.get("DATABRICKS_SIM_TOKEN").to_owned(),
            account_token: stack.get("DATABRICKS_SIM_ACCOUNT_TOKEN").to_owned(),
            account: stack.get("DATABRICKS_SIM_ACCOUNT_ID").to_owned(),
            workspace: stack.get("DATABRICKS_SIM_WORKSPACE_ID").to_owned(),
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

    /// The same for a group of the workspace.
    pub async fn workspace_group(&self, name: &str) -> Option<Vec<String>> {
        self.group("/api/2.0/preview/scim/v2/Groups", name).await
    }

    async fn group(&self, base: &str, name: &str) -> Option<Vec<String>> {
        let filter = super::gerrit::encode(&format!("displayName eq \"{name}\""));
        let (status, found) = self
            .call(reqwest::Method::GET, &format!("{base}?filter={filter}"), None)
            .await;
        assert_eq!(status, 200, "{found}");
        let id = found["Resources"].as_array()?.first()?["id"].as_str()?.to_owned();
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
