//! A project in which people review, check and submit each other's changes, and what they do there with Gerrit and git.
//! Nobody but the bindings says who leads and who checks.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

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

/// How it comes to be.
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

/// What people do with Gerrit.
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

    async fn vote(&self, who: &str, change: &Change, label: &str, value: i32) {
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

/// What people do with git.
impl Reviewed {
    pub(super) fn git_command(&self, who: &str, arguments: &[&str]) -> Command {
        let email = self.email(who);
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(&self.work)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .envs([("GIT_AUTHOR_NAME", who), ("GIT_COMMITTER_NAME", who)])
            .envs([("GIT_AUTHOR_EMAIL", &email), ("GIT_COMMITTER_EMAIL", &email)]);
        command
    }

    pub(super) fn git(&self, who: &str, arguments: &[&str]) -> String {
        let output = self.git_command(who, arguments).output();
        let output = output.expect("git is installed");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        assert!(output.status.success(), "git {arguments:?} by {who}: {said}");
        said
    }

    pub(super) fn remote(&self, who: &str) -> String {
        let url = self.stack.get("GERRIT_URL").trim_end_matches('/');
        let (scheme, place) = url.split_once("://").unwrap();
        format!(
            "{scheme}://{}:{PASSWORD}@{place}/a/{}",
            self.name(who),
            self.project
        )
    }

    /// Goes on from where a branch stands now.
    pub(super) fn start_from(&self, branch: &str) {
        let from = format!("refs/heads/{branch}");
        self.git("ben", &["fetch", "--quiet", &self.remote("ben"), &from]);
        self.git("ben", &["checkout", "--quiet", "-B", "work", "FETCH_HEAD"]);
    }

    pub fn write(&self, file: &str, content: &str) {
        let place = self.work.join(file);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, content).unwrap();
    }

    /// Commits everything under a Change-Id of its own; the commit.
    fn commit(&self, who: &str, subject: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("I{:032x}{count:08x}", jiff::Timestamp::now().as_nanosecond());
        self.git(who, &["add", "--all"]);
        let message = format!("{subject}\n\nBecause a scenario wants it.\n\nChange-Id: {id}\n");
        self.git(who, &["commit", "--quiet", "-m", &message]);
        self.git(who, &["rev-parse", "HEAD"])
    }

    fn push(&self, who: &str, to: &str) -> String {
        self.git(who, &["push", &self.remote(who), &format!("HEAD:{to}")])
    }

    /// Ada proposes a file for `prod`.
    pub fn propose(&self, file: &str, content: &str) -> Change {
        self.propose_as("ada", file, content)
    }

    pub fn propose_as(&self, who: &str, file: &str, content: &str) -> Change {
        self.start_from("prod");
        self.propose_here(who, file, content)
    }

    /// Ada proposes a file on top of what was proposed last.
    pub fn propose_on_top(&self, file: &str, content: &str) -> Change {
        self.propose_here("ada", file, content)
    }

    fn propose_here(&self, who: &str, file: &str, content: &str) -> Change {
        self.write(file, content);
        self.propose_written(who, &format!("Change {file}"))
    }

    /// Proposes what was written on top of where the work stands.
    pub fn propose_written(&self, who: &str, subject: &str) -> Change {
        let commit = self.commit(who, subject);
        self.proposed(who, commit)
    }

    /// Ada proposes the exact inverse of a commit of `prod`, in git's own words.
    pub fn revert(&self, commit: &str) -> Change {
        self.start_from("prod");
        self.git("ada", &["revert", "--no-commit", commit]);
        let commit = self.commit("ada", &format!("Take it back\n\nThis reverts commit {commit}."));
        self.proposed("ada", commit)
    }

    fn proposed(&self, who: &str, commit: String) -> Change {
        let said = self.push(who, "refs/for/refs/heads/prod");
        let (_, rest) = said.rsplit_once("/+/").expect("the push names a change");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Change {
            number: digits.parse().unwrap(),
            commit,
        }
    }

    /// Ben brings a file into `prod` around review; the commit.
    pub fn push_directly(&self, file: &str, content: &str) -> String {
        self.start_from("prod");
        self.write(file, content);
        let commit = self.commit("ben", &format!("Slip in {file}"));
        self.push("ben", "refs/heads/prod");
        commit
    }

    /// Names everything in a commit, as git does.
    pub fn tree(&self, commit: &str) -> String {
        self.git("ben", &["rev-parse", &format!("{commit}^{{tree}}")])
    }

    /// Where `prod` stands.
    pub fn tip(&self) -> String {
        self.start_from("prod");
        self.git("ben", &["rev-parse", "HEAD"])
    }
}
