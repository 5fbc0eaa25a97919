//! A project in which people review, check and submit each other's changes: how it comes to be, and what they do there
//! with Gerrit and with git. Nobody but the bindings says who leads and who checks.

mod gerrit;
mod git;

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};

use super::gerrit::encode;
use super::team::Team;
use super::world::APPLICATION;

/// Of everybody who works on changes.
const PASSWORD: &str = "password-of-somebody";
/// The files of the project as it begins.
pub const TREE: [(&str, &str); 2] = [("train.py", "print('trained')\n"), ("jobs/train.yml", TRAINING)];
/// The training job as a team commits it.
const TRAINING: &str = "tasks:\n- task_key: train\n  spark_python_task: {python_file: train.py}\n";

/// A team whose changes are reviewed: Ada writes, Ben and Cy lead, a service user checks.
pub struct Reviewed {
    team: Team,
    pub project: String,
    /// Application id of whom everything runs as.
    pub runner: String,
    work: PathBuf,
}

/// A change as it was proposed.
#[derive(Clone, Debug)]
pub struct Change {
    pub number: i64,
    pub commit: String,
}

/// A team that reviews is a team.
impl std::ops::Deref for Reviewed {
    type Target = Team;

    fn deref(&self) -> &Team {
        &self.team
    }
}

impl Drop for Reviewed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.work);
    }
}

impl Reviewed {
    /// A fresh one with the branch `prod`, or `None` where the stack is not up.
    pub async fn new(word: &str) -> Option<Self> {
        Some(Self::of(Team::new(word).await?, &["prod"]).await)
    }

    /// Of a team whose operator is at work.
    pub async fn of(team: Team, branches: &[&str]) -> Self {
        let work = std::env::temp_dir().join(format!("lockstep-{}", team.prefix));
        std::fs::create_dir_all(&work).unwrap();
        let reviewed = Self {
            project: team.name("code"),
            runner: runner(&team.prefix),
            team,
            work,
        };
        reviewed.allow().await;
        tokio::join!(reviewed.people(), reviewed.identity(), reviewed.project(branches));
        reviewed.give_rights().await;
        reviewed.git("ben", &["init", "--quiet", "."]);
        for branch in branches {
            reviewed.start_from(branch);
            for (file, content) in TREE {
                reviewed.write(file, content);
            }
            reviewed.commit("ben", "Begin");
            reviewed.push("ben", &format!("refs/heads/{branch}"));
        }
        reviewed
    }

    pub fn leads(&self) -> String {
        self.name("leads")
    }

    pub fn checks(&self) -> String {
        self.name("ci")
    }

    /// Accounts, and bindings that say who leads and who checks.
    async fn people(&self) {
        let team = &self.team;
        for (name, groups) in [
            ("ada", json!([])),
            ("ben", json!([])),
            ("cy", json!([])),
            ("ci-bot", json!(["Service Users"])),
        ] {
            let body =
                json!({"name": name, "email": team.email(name), "http_password": PASSWORD, "groups": groups});
            self.admin(
                Method::PUT,
                &format!("/accounts/{}", encode(&team.name(name))),
                body,
            )
            .await;
        }
        let closed = json!({"membership": "Authoritative"});
        let calm = json!({"interval": "10m"});
        team.bind_gerrit("leads", &["ben", "cy"], closed.clone(), calm)
            .await;
        let checks =
            json!({"interval": "10m", "members": [{"serviceUser": {"username": team.name("ci-bot")}}]});
        team.bind_gerrit("ci", &[], closed, checks).await;
        team.until("leads", "Ready", "True").await;
        team.until("ci", "Ready", "True").await;
    }

    /// Whom everything runs as, who may read what is deployed.
    async fn identity(&self) {
        let (team, runner) = (&self.team, &self.runner);
        let rules = format!(
            "accounts/{}/servicePrincipals/{runner}/ruleSets/default",
            team.sim.account
        );
        let user = json!({
            "role": "roles/servicePrincipal.user", "principals": [format!("servicePrincipals/{APPLICATION}")],
        });
        team.sim
            .seed(json!({
                "servicePrincipals": [{"applicationId": runner, "displayName": team.name("runner")}],
                "ruleSets": [{"name": rules, "grantRules": [user]}],
                "objects": [{"type": "directories", "name": format!("/{}", team.prefix), "acl": {runner: "CAN_READ"}}],
            }))
            .await;
    }

    /// A project that asks for a review and a check of every change.
    async fn project(&self, branches: &[&str]) {
        let project = format!("/projects/{}", encode(&self.project));
        let body = json!({
            "create_empty_commit": true, "branches": branches, "submit_type": "FAST_FORWARD_ONLY",
        });
        self.admin(Method::PUT, &project, body).await;
        let values = json!({"-1": "Fails", " 0": "Not run", "+1": "Works"});
        let label = json!({"values": values, "function": "NoBlock", "commit_message": "Let checks vote"});
        self.admin(Method::PUT, &format!("{project}/labels/Verified"), label)
            .await;
        let rule = json!({
            "name": "Reviewed-And-Checked",
            "submittability_expression": "label:Code-Review=MAX AND label:Verified=MAX",
            "allow_override_in_child_projects": false,
        });
        self.admin(
            Method::PUT,
            &format!("{project}/submit_requirements/Reviewed-And-Checked"),
            rule,
        )
        .await;
    }

    /// Lets the project's configuration be submitted without a check.
    pub async fn spare_configuration(&self) {
        let project = format!("/projects/{}", encode(&self.project));
        let rule = json!({
            "name": "Reviewed-And-Checked",
            "applicability_expression": "-branch:refs/meta/config",
            "submittability_expression": "label:Code-Review=MAX AND label:Verified=MAX",
            "allow_override_in_child_projects": false,
        });
        let path = format!("{project}/submit_requirements/Reviewed-And-Checked");
        self.admin(Method::PUT, &path, rule).await;
    }

    /// Leads review and, as they should not, may push; checks check; everybody submits.
    async fn give_rights(&self) {
        let (leads, checks) = (self.group(&self.leads()).await, self.group(&self.checks()).await);
        let allow = |group: &str| json!({"rules": {group: {"action": "ALLOW"}}});
        let range =
            |group: &str, top: i32| json!({"rules": {group: {"action": "ALLOW", "min": -top, "max": top}}});
        let everybody = "global:Registered-Users";
        let permissions = json!({
            "label-Code-Review": range(&leads, 2), "label-Verified": range(&checks, 1),
            "submit": allow(everybody), "push": allow(&leads),
        });
        let path = format!("/projects/{}/access", encode(&self.project));
        let body = json!({"add": {"refs/heads/*": {"permissions": permissions}}});
        self.admin(Method::POST, &path, body).await;
    }

    async fn group(&self, name: &str) -> String {
        let group = self
            .admin(Method::GET, &format!("/groups/{}", encode(name)), Value::Null)
            .await;
        group["id"].as_str().unwrap().to_owned()
    }
}

/// An application id that no other world has.
fn runner(prefix: &str) -> String {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(prefix);
    format!("{:08x}-0000-4000-8000-{:012x}", hash >> 32, hash & 0xffff_ffff)
}
