//! What the steps of a promotion are tried on: a simulator of one's own with a tree, a model and an identity to run as.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep::clients::databricks::DatabricksDeployment;
use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::promotion::code::definition;
use lockstep_core::domain::promotion::code::sources::Frame;
use lockstep_core::domain::promotion::code::tree::{Content, TreeEntry};
use lockstep_core::domain::promotion::expressions::Values;
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId, TreeId};
use lockstep_core::domain::promotion::machine::attempt::{Cause, PromotionName, StepName, Subject};
use lockstep_core::domain::promotion::machine::state::{Failure, Words};
use lockstep_core::domain::promotion::ports::deployments::{
    Deployment as _, FilesStep, JobStep, Key, Progress, Tree,
};
use serde_json::{Value, json};

use crate::sim::{ACCOUNT, BOT, Sim, US};
use crate::waiting::{eventually, over};

pub const DIRECTORY: &str = "/Workspace/lockstep/fraud/0123456789abcdef";
pub const MODEL: &str = "ml.fraud.scorer";
const NOTEBOOK: &[u8] = b"# Databricks notebook source\r\nprint(1)\n\n";

/// A simulator in which we may run as the bot, the bot may read what we deploy, and a model is ours.
pub struct Stage {
    pub sim: Sim,
    pub deployment: DatabricksDeployment,
}

impl Stage {
    pub async fn set() -> Self {
        let sim = Sim::start().await;
        sim.settings(json!({"taskSeconds": 0.05})).await;
        sim.seed(json!({
            "objects": [{"type": "directories", "name": "/lockstep", "owner": US, "acl": {BOT: "CAN_READ"}}],
            "ruleSets": [{"name": format!("accounts/{ACCOUNT}/servicePrincipals/{BOT}/ruleSets/default"),
                "grantRules": [{"role": "roles/servicePrincipal.user", "principals": [format!("servicePrincipals/{US}")]}]}],
            "securables": [
                {"type": "catalog", "fullName": "ml", "grants": {US: ["USE_CATALOG"]}},
                {"type": "schema", "fullName": "ml.fraud", "grants": {US: ["USE_SCHEMA"]}},
                {"type": "function", "fullName": MODEL, "owner": US,
                 "body": {"securable_kind": "FUNCTION_REGISTERED_MODEL"}},
            ],
        }))
        .await;
        let deployment = sim.system().system.deployment();
        Self { sim, deployment }
    }

    pub async fn script(&self, script: Value) {
        self.sim.control("POST", "scripts", Some(script)).await;
    }

    /// Runs a job whose run registers a version, as this principal or whoever is named.
    pub async fn register(&self, by: &str) {
        self.script(json!({"job": "maker", "result": "SUCCESS", "registers": [{"model": MODEL, "by": by}]}))
            .await;
        let task = json!({"task_key": "t", "condition_task": {"op": "EQUAL_TO", "left": "1", "right": "1"}});
        let job = self
            .sim
            .stranger(
                "POST",
                "/api/2.2/jobs/create",
                json!({"name": "maker", "tasks": [task]}),
            )
            .await;
        let run = self
            .sim
            .stranger("POST", "/api/2.2/jobs/run-now", json!({"job_id": job["job_id"]}))
            .await;
        let path = format!("/api/2.2/jobs/runs/get?run_id={}", run["run_id"]);
        eventually("the maker ends", || async {
            let seen = self.sim.stranger("GET", &path, json!({})).await;
            let state = &seen["status"]["state"];
            (state == "TERMINATED").then_some(()).ok_or(state.to_string())
        })
        .await;
    }

    /// Puts the tree into its directory.
    pub async fn upload(&self) -> Words {
        let files = self.deployment.files();
        let step = files_step();
        files.prepare(&step).await.unwrap();
        files.act(&key("code", 1), &step, &mut tree()).await.unwrap();
        done(files.observe(&step).await.unwrap())
    }

    /// Rows of the world's snapshot.
    pub async fn runs(&self) -> Vec<Value> {
        self.sim.snapshot().await["runs"].as_array().unwrap().clone()
    }
}

pub fn revision() -> CommitId {
    CommitId("0123456789abcdef".into())
}

pub fn promotion() -> PromotionName {
    PromotionName("fraud.prod.42.01234567".into())
}

pub fn key(step: &str, attempt: u32) -> Key {
    let subject = Subject {
        policy_uid: "uid".into(),
        environment: "prod".into(),
        change: ChangeNumber(42),
        revision: revision(),
        cause: Cause::Deploy { attempt: 1 },
    };
    Key::new(
        &promotion(),
        &subject,
        &StepName(step.into()),
        attempt,
        Timestamp::now(),
    )
}

pub fn files_step() -> FilesStep {
    FilesStep {
        directory: DIRECTORY.into(),
        revision: revision(),
        tree: TreeId("tree".into()),
    }
}

/// The training job's step, its definition as it stands in the tree.
pub fn job_step() -> JobStep {
    job_step_from("tasks:\n- task_key: train\n  spark_python_task: {python_file: jobs/train.py}\n")
}

pub fn job_step_from(yaml: &str) -> JobStep {
    let (revision, variables) = (revision(), BTreeMap::new());
    let values = Values {
        revision: &revision,
        change: ChangeNumber(42),
        environment: "prod",
        variables: &variables,
    };
    let frame = Frame {
        name: "fraud-train",
        run_as: BOT,
        revision: &revision,
        directory: Some(DIRECTORY),
    };
    JobStep {
        name: "fraud-train".into(),
        pinned: None,
        settings: Some(definition::settings("jobs/train.yml", yaml, &values, &frame).unwrap()),
        run_as: BOT.into(),
        directory: Some(DIRECTORY.into()),
        revision,
        parameters: BTreeMap::new(),
        run: true,
        accept_failures: false,
    }
}

/// Entries handed out one by one.
pub struct Leaves(pub Vec<TreeEntry>);

#[async_trait]
impl Tree for Leaves {
    async fn next(&mut self) -> Result<Option<TreeEntry>, SystemError> {
        Ok(self.0.pop())
    }
}

pub fn file(path: &str, text: &[u8]) -> TreeEntry {
    TreeEntry {
        path: path.into(),
        content: Content::File(text.into()),
    }
}

pub fn tree() -> Leaves {
    let mut entries = vec![
        file("jobs/train.py", b"print('train')\n"),
        file("jobs/train.yml", b"tasks: []\n"),
        file("notebooks/explore.py", NOTEBOOK),
        file("requirements.txt", b"numpy==1.2\n"),
        file("data/bytes.bin", &[0, 159, 146, 150]),
    ];
    entries.extend((0..20).map(|number| file(&format!("many/{number}.py"), b"pass\n")));
    Leaves(entries)
}

pub fn done(progress: Progress) -> Words {
    match progress {
        Progress::Succeeded(words) => words,
        other => panic!("{other:?}"),
    }
}

pub fn failed(progress: Progress) -> Failure {
    match progress {
        Progress::Failed(why) => why,
        other => panic!("{other:?}"),
    }
}

/// Looks until the run is over.
pub async fn settled(deployment: &DatabricksDeployment, key: &Key, step: &JobStep) -> Progress {
    over("the run ends", || async {
        deployment.jobs().observe(key, step).await
    })
    .await
}
