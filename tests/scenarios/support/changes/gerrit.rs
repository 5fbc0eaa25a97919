//! What people do with Gerrit: vote, submit, propose for another branch; and what its administrator does.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::gerrit::encode;
use super::{Change, PASSWORD, Reviewed};

impl Reviewed {
    async fn ask(&self, who: Option<&str>, method: Method, path: &str, body: Value) -> Value {
        let gerrit = match who {
            Some(name) => &self.gerrit.logged_in(&self.name(name), PASSWORD),
            None => &self.gerrit,
        };
        let body = (!body.is_null()).then_some(body);
        let (status, answer) = gerrit.call(method, path, body).await;
        assert!(status < 300, "{path} by {who:?}: {status} {answer}");
        answer
    }

    /// What an administrator does, or anybody may see.
    pub async fn admin(&self, method: Method, path: &str, body: Value) -> Value {
        self.ask(None, method, path, body).await
    }

    /// Below a change's path.
    pub fn at(&self, change: &Change, rest: &str) -> String {
        format!("/changes/{}~{}{rest}", encode(&self.project), change.number)
    }

    pub async fn vote(&self, who: &str, change: &Change, label: &str, value: i32) {
        let path = self.at(change, "/revisions/current/review");
        let body = json!({"labels": {label: value}, "notify": "NONE"});
        self.ask(Some(who), Method::POST, &path, body).await;
    }

    /// Ben says yes.
    pub async fn approve(&self, change: &Change) {
        self.approve_as("ben", change).await;
    }

    pub async fn approve_as(&self, who: &str, change: &Change) {
        self.vote(who, change, "Code-Review", 2).await;
    }

    /// The checks have found nothing.
    pub async fn verify(&self, change: &Change) {
        self.vote("ci-bot", change, "Verified", 1).await;
    }

    /// Ada submits.
    pub async fn submit(&self, change: &Change) {
        self.ask(Some("ada"), Method::POST, &self.at(change, "/submit"), json!({}))
            .await;
    }

    /// The whole way of a change of Ada's into `prod`, with everything that a change should have behind it.
    pub async fn merge(&self, file: &str, content: &str) -> Change {
        let change = self.propose(file, content);
        self.bring_in(&change).await;
        change
    }

    /// Everybody does their part.
    pub async fn bring_in(&self, change: &Change) {
        self.approve(change).await;
        self.verify(change).await;
        self.submit(change).await;
    }

    /// Ada proposes a change for another branch too.
    pub async fn pick(&self, change: &Change, branch: &str) -> Change {
        let path = self.at(change, "/revisions/current/cherrypick");
        let picked = self
            .ask(Some("ada"), Method::POST, &path, json!({"destination": branch}))
            .await;
        let mut picked = Change {
            number: picked["_number"].as_i64().unwrap(),
            commit: String::new(),
        };
        let path = self.at(&picked, "/?o=CURRENT_REVISION");
        let seen = self.admin(Method::GET, &path, Value::Null).await;
        seen["current_revision"]
            .as_str()
            .unwrap()
            .clone_into(&mut picked.commit);
        picked
    }
}
