//! One test's project, and what people do there with Gerrit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lockstep::clients::gerrit::GerritSystem;
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::house::{House, PASSWORD};

/// One test's project.
pub struct Yard {
    pub house: Arc<House>,
    pub system: Arc<GerritSystem>,
    pub project: String,
    raw: reqwest::Client,
    pub work: PathBuf,
}

/// A change that was pushed.
#[derive(Clone, Debug)]
pub struct Pushed {
    pub number: u64,
    pub change_id: String,
    pub commit: CommitId,
}

static HOUSE: OnceCell<Option<Arc<House>>> = OnceCell::const_new();
pub static NEXT: AtomicU32 = AtomicU32::new(0);

/// A project with branches `prod` and `staging`, or `None` where there is no Gerrit.
pub async fn yard(submit_type: &str) -> Option<Yard> {
    let house = HOUSE.get_or_init(House::build).await.as_ref()?;
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let project = format!("{}/p{number}", house.prefix);
    let yard = Yard::of(house, project);
    let body = json!({"parent": house.base(), "create_empty_commit": true, "branches": ["prod", "staging"],
        "submit_type": submit_type});
    yard.admin(Method::PUT, &yard.project_path(), body).await;
    yard.git(&["init", "--quiet", "."]);
    yard.start_from("prod");
    Some(yard)
}

impl Yard {
    pub fn of(house: &Arc<House>, project: String) -> Self {
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let work = std::env::temp_dir().join(format!("lockstep-{}-{number}", house.prefix));
        std::fs::create_dir_all(&work).unwrap();
        Self {
            system: house.system(|_| {}),
            house: Arc::clone(house),
            project,
            raw: reqwest::Client::new(),
            work,
        }
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.work);
    }
}

/// What people do.
impl Yard {
    pub fn project_path(&self) -> String {
        format!("projects/{}", self.project.replace('/', "%2F"))
    }

    pub async fn ask(&self, who: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let (user, password) = match who {
            "admin" => self.house.admin.clone(),
            name => (self.house.username(name), PASSWORD.to_owned()),
        };
        let mut request = self
            .raw
            .request(method, format!("{}/a/{path}", self.house.url))
            .basic_auth(user, Some(password));
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let json = text.strip_prefix(")]}'").unwrap_or(&text);
        let value = serde_json::from_str(json).unwrap_or_else(|_| Value::String(text.clone()));
        (status, value)
    }

    /// What must succeed.
    pub async fn must(&self, who: &str, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(who, method, path, body).await;
        assert!(status < 300, "{path} by {who}: {status} {answer}");
        answer
    }

    pub async fn admin(&self, method: Method, path: &str, body: Value) -> Value {
        self.must("admin", method, path, body).await
    }

    /// A change's path.
    pub fn at(&self, change: &Pushed, rest: &str) -> String {
        format!(
            "changes/{}~{}{rest}",
            self.project.replace('/', "%2F"),
            change.number
        )
    }

    pub async fn vote(&self, who: &str, change: &Pushed, label: &str, value: i32) {
        let body = json!({"labels": {label: value}, "notify": "NONE"});
        self.must(
            who,
            Method::POST,
            &self.at(change, "/revisions/current/review"),
            body,
        )
        .await;
    }

    pub async fn submit(&self, who: &str, change: &Pushed) -> Value {
        self.must(who, Method::POST, &self.at(change, "/submit"), json!({}))
            .await
    }

    /// Bob approves, the checks verify, Ada submits.
    pub async fn approve(&self, change: &Pushed) {
        self.vote("bob", change, "Code-Review", 2).await;
        self.vote("ci", change, "Verified", 1).await;
    }

    pub async fn bring_in(&self, change: &Pushed) {
        self.approve(change).await;
        self.submit("ada", change).await;
    }
}
