//! What a person would do in Gerrit by hand.

use serde_json::{Value, json};

use super::stack::Stack;

#[derive(Clone)]
pub struct Gerrit {
    url: String,
    user: String,
    password: String,
    http: reqwest::Client,
}

pub fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

impl Gerrit {
    pub fn new(stack: &Stack) -> Self {
        Self {
            url: stack.get("GERRIT_URL").trim_end_matches('/').to_owned(),
            user: stack.get("GERRIT_ADMIN_USER").to_owned(),
            password: stack.get("GERRIT_ADMIN_PASSWORD").to_owned(),
            http: reqwest::Client::new(),
        }
    }

    /// The same server as somebody else reaches it.
    pub fn logged_in(&self, user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            ..self.clone()
        }
    }

    /// One call; the status and the body as JSON, or as a string where it is none.
    pub async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self
            .http
            .request(method, format!("{}/a{path}", self.url))
            .basic_auth(&self.user, Some(&self.password))
            .header("accept", "application/json");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let text = text.strip_prefix(")]}'").unwrap_or(&text);
        (
            status,
            serde_json::from_str(text).unwrap_or_else(|_| json!(text.trim())),
        )
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.call(reqwest::Method::GET, path, None).await
    }

    /// Makes an account and returns its number.
    pub async fn account(&self, username: &str, email: &str) -> i64 {
        let body = json!({"name": username, "email": email});
        let (status, answer) = self
            .call(
                reqwest::Method::PUT,
                &format!("/accounts/{}", encode(username)),
                Some(body),
            )
            .await;
        assert!(status == 201 || status == 409, "{status} {answer}");
        let (_, account) = self.get(&format!("/accounts/{}", encode(username))).await;
        account["_account_id"].as_i64().unwrap()
    }

    pub async fn project(&self, name: &str) {
        let body = json!({"create_empty_commit": true});
        let (status, answer) = self
            .call(
                reqwest::Method::PUT,
                &format!("/projects/{}", encode(name)),
                Some(body),
            )
            .await;
        assert!(status == 201 || status == 409, "{status} {answer}");
    }

    /// Member numbers of a group, or `None` where there is no such group.
    pub async fn members(&self, group: &str) -> Option<Vec<i64>> {
        let (status, members) = self.get(&format!("/groups/{}/members/", encode(group))).await;
        if status == 404 {
            return None;
        }
        assert_eq!(status, 200, "{members}");
        let mut numbers: Vec<i64> = members
            .as_array()?
            .iter()
            .map(|m| m["_account_id"].as_i64().unwrap())
            .collect();
        numbers.sort_unstable();
        Some(numbers)
    }

    pub async fn add_member(&self, group: &str, account: i64) {
        let path = format!("/groups/{}/members/{account}", encode(group));
        let (status, answer) = self.call(reqwest::Method::PUT, &path, None).await;
        assert!(status == 201 || status == 200, "{status} {answer}");
    }

    pub async fn remove_member(&self, group: &str, account: i64) {
        let path = format!("/groups/{}/members/{account}", encode(group));
        let (status, answer) = self.call(reqwest::Method::DELETE, &path, None).await;
        assert!(status == 204, "{status} {answer}");
    }

    /// Makes a group with these members, Administrators owning it.
    pub async fn make_group(&self, name: &str, members: &[i64]) {
        let members: Vec<_> = members.iter().map(ToString::to_string).collect();
        let body = json!({"members": members});
        let path = format!("/groups/{}", encode(name));
        let (status, answer) = self.call(reqwest::Method::PUT, &path, Some(body)).await;
        assert_eq!(status, 201, "{answer}");
        // Whoever makes a group becomes a member of it.
        let admin = self.get("/accounts/self").await.1["_account_id"]
            .as_i64()
            .unwrap();
        if self.members(name).await.unwrap().contains(&admin) {
            self.remove_member(name, admin).await;
        }
    }

    pub async fn rename_group(&self, from: &str, to: &str) {
        let path = format!("/groups/{}/name", encode(from));
        let (status, answer) = self
            .call(reqwest::Method::PUT, &path, Some(json!({"name": to})))
            .await;
        assert_eq!(status, 200, "{answer}");
    }

    pub async fn delete_group(&self, name: &str) {
        let path = format!("/groups/{}", encode(name));
        let (status, answer) = self.call(reqwest::Method::DELETE, &path, None).await;
        assert!(matches!(status, 200 | 204), "{status} {answer}");
    }

    /// Gives an address to an account.
    pub async fn give_email(&self, account: i64, email: &str) {
        let path = format!("/accounts/{account}/emails/{}", encode(email));
        let body = json!({"no_confirmation": true});
        let (status, answer) = self.call(reqwest::Method::PUT, &path, Some(body)).await;
        assert_eq!(status, 201, "{answer}");
    }

    pub async fn take_email(&self, account: i64, email: &str) {
        let path = format!("/accounts/{account}/emails/{}", encode(email));
        let (status, answer) = self.call(reqwest::Method::DELETE, &path, None).await;
        assert_eq!(status, 204, "{answer}");
    }

    pub async fn deactivate(&self, account: i64) {
        let path = format!("/accounts/{account}/active");
        let (status, answer) = self.call(reqwest::Method::DELETE, &path, None).await;
        assert_eq!(status, 204, "{answer}");
    }

    /// Local access rights of a project.
    pub async fn access(&self, project: &str) -> Value {
        let (status, access) = self.get(&format!("/projects/{}/access", encode(project))).await;
        assert_eq!(status, 200, "{access}");
        access["local"].clone()
    }
}
