//! What a person sees in a workspace of the simulator: jobs, runs and files; and how runs are told to end.

use std::collections::BTreeMap;

use base64::Engine as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::gerrit::encode;
use super::sim::Sim;

impl Sim {
    /// A call on the workspace; `None` where there is no such thing.
    async fn see(&self, path: &str) -> Option<Value> {
        let (status, answer) = self.call(Method::GET, path, None).await;
        if status == 404 {
            return None;
        }
        assert_eq!(status, 200, "{path}: {answer}");
        Some(answer)
    }

    /// The one job of this name.
    pub async fn job(&self, name: &str) -> Option<Value> {
        let path = format!("/api/2.2/jobs/list?expand_tasks=true&name={}", encode(name));
        let listed = self.see(&path).await.unwrap();
        let jobs = listed["jobs"].as_array().cloned().unwrap_or_default();
        assert!(jobs.len() < 2, "{jobs:?}");
        jobs.into_iter().next()
    }

    /// Runs of the one job of this name, the newest first.
    pub async fn runs(&self, job: &str) -> Vec<Value> {
        let Some(job) = self.job(job).await else {
            return Vec::new();
        };
        let path = format!("/api/2.2/jobs/runs/list?job_id={}", job["job_id"]);
        let listed = self.see(&path).await.unwrap();
        listed["runs"].as_array().cloned().unwrap_or_default()
    }

    /// What the newest run of a job has printed, if it really ran.
    pub async fn printed(&self, job: &str) -> Option<String> {
        let run = self.runs(job).await.into_iter().next()?;
        let run = self
            .see(&format!("/api/2.2/jobs/runs/get?run_id={}", run["run_id"]))
            .await?;
        let task = &run["tasks"][0]["run_id"];
        let output = self
            .see(&format!("/api/2.2/jobs/runs/get-output?run_id={task}"))
            .await?;
        output["logs"].as_str().map(ToOwned::to_owned)
    }

    /// Says how the next run of a job goes.
    pub async fn script(&self, script: Value) {
        self.control(Method::POST, "scripts", Some(script)).await;
    }

    /// Lets the runs of a job end that are held.
    pub async fn release(&self, job: &str) {
        self.control(Method::POST, "scripts/release", Some(json!({"job": job})))
            .await;
    }

    /// Every file below a directory with its text; `None` where there is no such directory.
    pub async fn files(&self, directory: &str) -> Option<BTreeMap<String, String>> {
        let list = |folder: &str| format!("/api/2.0/workspace/list?path={}", encode(folder));
        let root = directory.strip_prefix("/Workspace").unwrap_or(directory);
        let mut open = vec![self.see(&list(root)).await?];
        let mut found = BTreeMap::new();
        while let Some(listed) = open.pop() {
            for row in listed["objects"].as_array().into_iter().flatten() {
                let path = row["path"].as_str().unwrap();
                if row["object_type"] == "DIRECTORY" {
                    open.extend(self.see(&list(path)).await);
                    continue;
                }
                let export = format!("/api/2.0/workspace/export?format=AUTO&path={}", encode(path));
                let Some(exported) = self.see(&export).await else {
                    continue;
                };
                let content = exported["content"].as_str().unwrap();
                let bytes = base64::engine::general_purpose::STANDARD.decode(content).unwrap();
                let relative = path.strip_prefix(root).unwrap().trim_start_matches('/');
                found.insert(relative.to_owned(), String::from_utf8(bytes).unwrap());
            }
        }
        Some(found)
    }
}

/// What a run was given for a job parameter.
pub fn parameter<'a>(run: &'a Value, name: &str) -> Option<&'a str> {
    let rows = run["job_parameters"].as_array()?;
    rows.iter().find(|row| row["name"] == name)?["value"].as_str()
}
