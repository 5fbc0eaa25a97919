//! A team on the real Gerrit: people with accounts of their own, a project whose rules are known, and a hand for git.
//! What the rules forbid elsewhere is allowed here, so that it can be done and must be found out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use lockstep::clients::gerrit::GerritSystem;
use lockstep_core::domain::promotion::evidence::{
    ChangeNumber, CommitId, Evidence, Governance, RequirementStatus,
};
use lockstep_core::domain::promotion::finding::{Finding, FindingKind};
use lockstep_core::domain::promotion::gate::{Case, Surroundings, judge_change};
use lockstep_core::domain::promotion::people::{AccountId, GroupUuid};
use lockstep_core::domain::promotion::ports::{ChangeRef, Inquiry, ReviewSystem as _, Watched};
use lockstep_core::domain::promotion::range::{Commit, JudgedChange, Judgement, Question, judge};
use lockstep_core::domain::promotion::rules::{Agents, Approval, Floor, GovernedLabel, Rules, Verification};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Granted, Now, plain};

const PASSWORD: &str = "house-s3cret";
/// Author, her other account, two leads, an engineer, and the checks.
const PEOPLE: [&str; 6] = ["ada", "ada-admin", "bob", "cy", "eve", "ci"];

/// What all tests share.
pub struct House {
    url: String,
    admin: (String, String),
    prefix: String,
    ids: BTreeMap<&'static str, AccountId>,
    pub leads: GroupUuid,
    pub checks: GroupUuid,
    /// When the groups were complete.
    born: Timestamp,
}

/// One test's project.
pub struct Yard {
    pub house: Arc<House>,
    pub system: Arc<GerritSystem>,
    pub project: String,
    raw: reqwest::Client,
    work: PathBuf,
}

/// A change that was pushed.
#[derive(Clone, Debug)]
pub struct Pushed {
    pub number: u64,
    pub change_id: String,
    pub commit: CommitId,
}

static HOUSE: OnceCell<Option<Arc<House>>> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A project with branches `prod` and `staging`, or `None` where there is no Gerrit.
pub async fn yard(submit_type: &str) -> Option<Yard> {
    let house = HOUSE.get_or_init(House::build).await.as_ref()?;
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let project = format!("{}/p{number}", house.prefix);
    let yard = house.yard(project);
    let body = json!({"parent": house.base(), "create_empty_commit": true, "branches": ["prod", "staging"],
        "submit_type": submit_type});
    yard.admin(Method::PUT, &yard.project_path(), body).await;
    yard.git(&["init", "--quiet", "."]);
    yard.start_from("prod");
    Some(yard)
}

impl House {
    async fn build() -> Option<Arc<Self>> {
        let Ok(url) = std::env::var("GERRIT_URL") else {
            assert!(
                std::env::var("CI").is_err(),
                "GERRIT_URL is not set: run `make up` and source dev/.state/env"
            );
            eprintln!("skipped: GERRIT_URL is not set (run `make up` and source dev/.state/env)");
            return None;
        };
        let admin = (
            std::env::var("GERRIT_ADMIN_USER").unwrap(),
            std::env::var("GERRIT_ADMIN_PASSWORD").unwrap(),
        );
        let house = Arc::new(Self {
            url,
            admin,
            prefix: format!("h{:x}", Timestamp::now().as_microsecond()),
            ids: BTreeMap::new(),
            leads: GroupUuid(String::new()),
            checks: GroupUuid(String::new()),
            born: Timestamp::now(),
        });
        let yard = house.yard(house.base());
        let mut ids = BTreeMap::new();
        for name in PEOPLE {
            let username = house.username(name);
            let groups = if name == "ci" {
                vec!["Service Users"]
            } else {
                vec![]
            };
            let body = json!({"name": name, "email": house.email(name), "http_password": PASSWORD, "groups": groups});
            let made = yard
                .admin(Method::PUT, &format!("accounts/{username}"), body)
                .await;
            ids.insert(name, AccountId(made["_account_id"].as_u64().unwrap()));
        }
        let mut uuids = Vec::new();
        for (group, members) in [
            ("leads", &["ada", "ada-admin", "bob", "cy", "ci"][..]),
            ("checks", &["ci"][..]),
        ] {
            let members: Vec<String> = members.iter().map(|name| house.username(name)).collect();
            let body = json!({"owner_id": "Administrators", "visible_to_all": true, "members": members});
            let path = format!("groups/{}-{group}", house.prefix);
            let made = yard.admin(Method::PUT, &path, body).await;
            uuids.push(GroupUuid(made["id"].as_str().unwrap().to_owned()));
        }
        let rules = Self::base_rights(&uuids);
        let body = json!({"permissions_only": true});
        yard.admin(Method::PUT, &yard.project_path(), body).await;
        let values = json!({"-1": "Fails", " 0": "Not run", "+1": "Works"});
        let copy = "changekind:NO_CHANGE OR changekind:TRIVIAL_REBASE OR changekind:NO_CODE_CHANGE";
        yard.admin(
            Method::PUT,
            &format!("{}/labels/Verified", yard.project_path()),
            json!({"values": values, "copy_condition": copy, "commit_message": "Add the label of the checks"}),
        )
        .await;
        yard.admin(
            Method::POST,
            &format!("{}/access", yard.project_path()),
            json!({"add": rules}),
        )
        .await;
        for (name, submittable) in [
            ("Lockstep-Approved", "label:Code-Review=MAX"),
            ("Lockstep-Verified", "label:Verified=MAX"),
            // As of All-Projects, except that a veto does not keep a change from being submitted.
            ("Code-Review", "label:Code-Review=MAX"),
        ] {
            yard.admin(
                Method::PUT,
                &format!("{}/submit_requirements/{name}", yard.project_path()),
                json!({"name": name, "submittability_expression": submittable,
                    "applicability_expression": "-branch:refs/meta/config",
                    "override_expression": "hashtag:urgent", "allow_override_in_child_projects": false}),
            )
            .await;
        }
        // The audit log has whole seconds.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let mut uuids = uuids.into_iter();
        Some(Arc::new(Self {
            url: house.url.clone(),
            admin: house.admin.clone(),
            prefix: house.prefix.clone(),
            ids,
            leads: uuids.next().unwrap(),
            checks: uuids.next().unwrap(),
            born: Timestamp::now(),
        }))
    }

    fn base_rights(uuids: &[GroupUuid]) -> Value {
        let (leads, checks) = (uuids[0].0.as_str(), uuids[1].0.as_str());
        let everybody = "global:Registered-Users";
        let allow = |group: &str| json!({"rules": {group: {"action": "ALLOW"}}});
        let range = |group: &str, min: i32, max: i32| json!({"rules": {group: {"action": "ALLOW", "min": min, "max": max}}});
        json!({
            "refs/heads/*": {"permissions": {
                "label-Code-Review": range(leads, -2, 2),
                "label-Verified": range(checks, -1, 1),
                "labelAs-Code-Review": range(leads, -2, 2),
                "submit": allow(everybody),
                "push": allow(leads),
                "editHashtags": allow(leads),
                "rebase": allow(everybody),
                "abandon": allow(everybody),
                "revert": allow(everybody),
            }},
            "refs/for/refs/heads/*": {"permissions": {
                "submit": allow(everybody),
                "push": allow(everybody),
                "pushMerge": allow(everybody),
                "addPatchSet": allow(everybody),
            }},
        })
    }

    fn base(&self) -> String {
        format!("{}/base", self.prefix)
    }

    pub fn username(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    pub fn email(&self, name: &str) -> String {
        format!("{}@example.com", self.username(name))
    }

    pub fn id(&self, name: &str) -> AccountId {
        self.ids[name]
    }

    fn yard(self: &Arc<Self>, project: String) -> Yard {
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let work = std::env::temp_dir().join(format!("lockstep-{}-{number}", self.prefix));
        std::fs::create_dir_all(&work).unwrap();
        Yard {
            system: self.system(|_| {}),
            house: Arc::clone(self),
            project,
            raw: reqwest::Client::new(),
            work,
        }
    }

    /// A client of its own, as the server's administrator.
    pub fn system(
        &self,
        settings: impl FnOnce(&mut lockstep::clients::gerrit::GerritSettings),
    ) -> Arc<GerritSystem> {
        let mut plain = plain(&self.url, &self.admin.0, &self.admin.1);
        plain.aliases = vec![(
            self.email("ada"),
            vec![self.username("ada"), self.username("ada-admin")],
        )];
        settings(&mut plain);
        Arc::new(GerritSystem::new(plain, Arc::new(Granted), Arc::new(Now), None).unwrap())
    }

    /// As one of the people.
    pub fn system_of(&self, name: &str) -> Arc<GerritSystem> {
        let plain = plain(&self.url, &self.username(name), PASSWORD);
        Arc::new(GerritSystem::new(plain, Arc::new(Granted), Arc::new(Now), None).unwrap())
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.work);
    }
}

/// What people do.
impl Yard {
    fn project_path(&self) -> String {
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

/// What people do with git.
impl Yard {
    pub fn git(&self, arguments: &[&str]) -> String {
        let (ok, text) = self.try_git("ada", "ada", arguments);
        assert!(ok, "git {arguments:?}: {text}");
        text
    }

    fn try_git(&self, author: &str, committer: &str, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.work)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", author)
            .env("GIT_AUTHOR_EMAIL", self.house.email(author))
            .env("GIT_COMMITTER_NAME", committer)
            .env("GIT_COMMITTER_EMAIL", self.house.email(committer))
            .output()
            .expect("git is installed");
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.success(), text.trim().to_owned())
    }

    fn remote(&self, who: &str) -> String {
        let place = self.house.url.trim_start_matches("http://");
        format!(
            "http://{}:{PASSWORD}@{place}/a/{}",
            self.house.username(who),
            self.project
        )
    }

    /// Continues from where a branch stands now.
    pub fn start_from(&self, branch: &str) {
        let remote = self.remote("ada");
        self.git(&["fetch", "--quiet", &remote, &format!("refs/heads/{branch}")]);
        self.git(&["checkout", "--quiet", "-B", "work", "FETCH_HEAD"]);
    }

    /// A commit of one file, by author and committer, with a Change-Id of its own and these footers.
    pub fn commit_as(
        &self,
        author: &str,
        committer: &str,
        file: &str,
        content: &str,
        footers: &str,
    ) -> Pushed {
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let change_id = format!("I{:032x}{number:08x}", Timestamp::now().as_nanosecond());
        self.record(author, committer, file, content, &change_id, footers, &[])
    }

    #[allow(clippy::too_many_arguments)]
    fn record(
        &self,
        author: &str,
        committer: &str,
        file: &str,
        content: &str,
        change_id: &str,
        footers: &str,
        more: &[&str],
    ) -> Pushed {
        let place = self.work.join(file);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, content).unwrap();
        self.git(&["add", "--all"]);
        let message = format!("Change {file}\n\nBecause of a test.\n\n{footers}Change-Id: {change_id}\n");
        let arguments = [
            &["commit", "--quiet", "--allow-empty", "-m", message.as_str()][..],
            more,
        ]
        .concat();
        let (ok, text) = self.try_git(author, committer, &arguments);
        assert!(ok, "{text}");
        Pushed {
            number: 0,
            change_id: change_id.to_owned(),
            commit: self.head(),
        }
    }

    pub fn head(&self) -> CommitId {
        CommitId(self.git(&["rev-parse", "HEAD"]))
    }

    pub fn try_push(&self, who: &str, to: &str) -> (bool, String) {
        let remote = self.remote(who);
        self.try_git(who, who, &["push", &remote, &format!("HEAD:{to}")])
    }

    pub fn push(&self, who: &str, to: &str) -> String {
        let (ok, text) = self.try_push(who, to);
        assert!(ok, "push to {to} by {who}: {text}");
        text
    }

    /// Pushes HEAD for review on `prod`.
    pub fn propose_as(&self, who: &str, commit: Pushed) -> Pushed {
        self.propose_to(who, commit, "refs/for/refs/heads/prod")
    }

    pub fn propose_to(&self, who: &str, commit: Pushed, to: &str) -> Pushed {
        let said = self.push(who, to);
        let (_, rest) = said.rsplit_once("/+/").expect("the push names a change");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Pushed {
            number: digits.parse().unwrap(),
            ..commit
        }
    }

    /// Ada writes and proposes.
    pub fn propose(&self, file: &str, content: &str) -> Pushed {
        let commit = self.commit_as("ada", "ada", file, content, "");
        self.propose_as("ada", commit)
    }

    /// A new patch set of HEAD by somebody.
    pub fn amend_as(&self, who: &str, change: &Pushed, file: &str, content: &str) -> Pushed {
        let amended = self.record("ada", who, file, content, &change.change_id, "", &["--amend"]);
        self.propose_as(who, amended)
    }

    /// The work directory of git.
    pub fn directory(&self) -> &std::path::Path {
        &self.work
    }
}

/// What Lockstep sees and says.
impl Yard {
    pub fn on(&self, branch: &str) -> Watched {
        Watched {
            project: self.project.clone(),
            branch: branch.into(),
        }
    }

    pub fn reference(&self, change: &Pushed) -> ChangeRef {
        ChangeRef {
            project: self.project.clone(),
            number: ChangeNumber(change.number),
        }
    }

    pub fn inquiry(&self) -> Inquiry {
        Inquiry {
            groups: BTreeSet::from([self.house.leads.clone(), self.house.checks.clone()]),
            service_users: None,
            since: self.house.born,
            fresh: self.house.born,
        }
    }

    /// Evidence as a controller completes it: the groups are held by enforcing bindings.
    pub async fn evidence(&self, change: &Pushed) -> Evidence {
        self.evidence_with(change, &self.inquiry()).await
    }

    pub async fn evidence_with(&self, change: &Pushed, inquiry: &Inquiry) -> Evidence {
        let mut evidence = self
            .system
            .evidence(&self.reference(change), inquiry)
            .await
            .unwrap();
        for group in evidence.groups.values_mut() {
            group.governed_by = Some(Governance {
                binding: "ml/team".into(),
                authoritative: true,
                enforcing: true,
            });
        }
        evidence
    }

    pub fn rules(&self, branch: &str) -> Rules {
        let label = |min, max| GovernedLabel {
            min,
            max,
            functions: ["NoBlock", "NoOp"].map(str::to_owned).into(),
        };
        Rules {
            project: self.project.clone(),
            branch: branch.into(),
            environment: branch.into(),
            approval: Approval {
                label: "Code-Review".into(),
                count: 1,
                group: self.house.leads.clone(),
                group_name: "leads".into(),
            },
            verification: Some(Verification {
                label: "Verified".into(),
                group: self.house.checks.clone(),
                group_name: "checks".into(),
            }),
            labels: BTreeMap::from([
                ("Code-Review".to_owned(), label(-2, 2)),
                ("Verified".to_owned(), label(-1, 1)),
            ]),
            required: ["Lockstep-Approved", "Lockstep-Verified"]
                .map(str::to_owned)
                .into(),
            allow_overridden: BTreeSet::new(),
            agents: Agents::default(),
            trusted_automation: Vec::new(),
            requires: Vec::new(),
        }
    }

    pub async fn judged(&self, evidence: &Evidence, rules: &Rules) -> Vec<Finding> {
        let surroundings = Surroundings {
            gerrit: self.system.version().await.unwrap(),
            floor: Some(Floor {
                projects: vec!["*".into()],
                min_approvals: 1,
                approver_groups: BTreeSet::from(["leads".to_owned()]),
                require_verification: true,
            }),
            upstream: BTreeMap::new(),
        };
        judge_change(&Case {
            rules,
            change: evidence,
            surroundings: &surroundings,
            now: Timestamp::now(),
        })
    }

    /// What the gate of `prod` says of a change.
    pub async fn findings(&self, change: &Pushed) -> Vec<Finding> {
        let evidence = self.evidence(change).await;
        self.judged(&evidence, &self.rules("prod")).await
    }

    /// The range from a commit to the tip of `prod`, each change of it judged. Trees are not known to REST.
    pub async fn range(&self, baseline: &CommitId) -> Judgement {
        let on = self.on("prod");
        let tips = self.system.tips(&BTreeSet::from([on.clone()])).await.unwrap();
        let tip = tips[&on].clone();
        let known = BTreeSet::from([baseline.clone()]);
        let read = self.system.commits(&self.project, &tip, &known).await.unwrap();
        let graph: BTreeMap<CommitId, Commit> = read
            .into_iter()
            .map(|(commit, lineage)| {
                let node = Commit {
                    parents: lineage.parents,
                    tree: lockstep_core::domain::promotion::evidence::TreeId(String::new()),
                    automatic_merge: None,
                    reverts: None,
                };
                (commit, node)
            })
            .collect();
        self.judged_range(&graph, &tip, baseline).await
    }

    pub async fn judged_range(
        &self,
        graph: &BTreeMap<CommitId, Commit>,
        tip: &CommitId,
        baseline: &CommitId,
    ) -> Judgement {
        let commits = graph.keys().cloned().collect();
        let on = self.on("prod");
        let numbers = self.system.changes_of(&on, &commits).await.unwrap();
        let mut changes = BTreeMap::new();
        for (commit, number) in numbers {
            let pushed = Pushed {
                number: number.0,
                change_id: String::new(),
                commit: commit.clone(),
            };
            let findings = self.findings(&pushed).await;
            changes.insert(commit, JudgedChange { number, findings });
        }
        judge(&Question {
            graph,
            tip,
            own: tip,
            current: None,
            baseline,
            changes: &changes,
            accepted: &BTreeMap::new(),
        })
    }
}

pub fn kinds(findings: &[Finding]) -> BTreeSet<FindingKind> {
    findings.iter().map(|finding| finding.kind).collect()
}

/// What the gate says of one kind.
pub fn said(findings: &[Finding], kind: FindingKind) -> &str {
    findings
        .iter()
        .find(|finding| finding.kind == kind)
        .map_or("", |finding| finding.message.as_str())
}

/// Results that were stored at submit, by name.
pub fn result(evidence: &Evidence, name: &str) -> Option<RequirementStatus> {
    evidence.requirements.as_ref()?.get(name).copied()
}
