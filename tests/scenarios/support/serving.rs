//! A model and an endpoint that serves it, as people set them up by hand, and what is seen of them.

use reqwest::Method;
use serde_json::{Value, json};

use super::changes::Reviewed;
use super::sim::Sim;
use super::world::APPLICATION;
use super::{PATIENCE, eventually};

impl Sim {
    /// What an administrator of the workspace does.
    pub async fn by_hand(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, Some(body)).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }
}

impl Reviewed {
    pub fn model(&self) -> String {
        format!("{}.fraud.scorer", self.prefix)
    }

    pub fn endpoint(&self) -> String {
        self.name("scorer")
    }

    pub fn smoker(&self) -> String {
        self.name("smoker")
    }

    /// Code, training, alias, endpoint and smoke test.
    pub fn whole_way(&self, serve: Value) -> Vec<Value> {
        let mut serving = json!({
            "name": self.endpoint(), "servedEntityName": "scorer", "entityName": self.model(),
            "entityVersion": {"fromStep": "model"}, "trafficPercentage": 100,
        });
        super::world::merge(&mut serving, serve);
        vec![
            self.code(),
            self.training(),
            json!({"name": "model", "modelAlias":
                {"model": self.model(), "alias": "champion", "version": {"fromStep": "train"}}}),
            json!({"name": "serve", "servingEndpoint": serving}),
            json!({"name": "smoke", "job":
                {"name": self.smoker(), "definition": "jobs/train.yml", "onRollback": "Run"}}),
        ]
    }

    /// A model of two versions, the first of which is the champion and is served.
    pub async fn serve_by_hand(&self) {
        let (catalog, schema) = (self.prefix.clone(), format!("{}.fraud", self.prefix));
        self.sim
            .seed(json!({"securables": [
                {"type": "catalog", "fullName": catalog, "grants": {APPLICATION: ["USE_CATALOG"]}},
                {"type": "schema", "fullName": schema, "grants": {APPLICATION: ["USE_SCHEMA"]}},
                {"type": "function", "fullName": self.model(), "owner": APPLICATION,
                 "body": {"securable_kind": "FUNCTION_REGISTERED_MODEL"}},
            ]}))
            .await;
        let version = json!({"model": self.model(), "by": self.runner});
        self.train_by_hand(json!([version, version])).await;
        eventually("there are two versions", PATIENCE, || async {
            let model = self.registered().await;
            let versions = model["versions"].as_object().map_or(0, serde_json::Map::len);
            (versions == 2).then_some(()).ok_or(model.to_string())
        })
        .await;
        self.point_by_hand(1).await;
        let served = json!({"name": "scorer", "entity_name": self.model(), "entity_version": "1",
            "workload_size": "Small", "scale_to_zero_enabled": true});
        let body = json!({"name": self.endpoint(), "config": {"served_entities": [served]}});
        self.sim
            .by_hand(Method::POST, "/api/2.0/serving-endpoints", body)
            .await;
        self.until_served("1").await;
    }

    /// Somebody runs a job of their own, which registers these versions.
    pub async fn train_by_hand(&self, registers: Value) {
        let maker = self.name("maker");
        self.sim
            .script(json!({"job": maker, "registers": registers}))
            .await;
        let task = json!({"task_key": "t", "condition_task": {"op": "EQUAL_TO", "left": "1", "right": "1"}});
        let body = json!({"name": maker, "tasks": [task]});
        let job = self.sim.by_hand(Method::POST, "/api/2.2/jobs/create", body).await;
        let run = json!({"job_id": job["job_id"]});
        self.sim.by_hand(Method::POST, "/api/2.2/jobs/run-now", run).await;
    }

    async fn registered(&self) -> Value {
        let world = self.sim.snapshot().await;
        world["models"]["registered"][self.model()].clone()
    }

    /// Somebody points the alias at a version.
    pub async fn point_by_hand(&self, version: u64) {
        let path = format!("/api/2.1/unity-catalog/models/{}/aliases/champion", self.model());
        self.sim
            .by_hand(Method::PUT, &path, json!({"version_num": version}))
            .await;
    }

    /// The version that the alias names.
    pub async fn champion(&self) -> u64 {
        self.registered().await["aliases"]["champion"]
            .as_u64()
            .unwrap_or_default()
    }

    /// Waits until the endpoint serves this version, and no update goes on.
    pub async fn until_served(&self, version: &str) {
        eventually(&format!("version {version} is served"), PATIENCE, || async {
            let seen = self.serving().await;
            let quiet = seen["state"]["config_update"] != "IN_PROGRESS";
            (live_in(&seen) == version && quiet)
                .then_some(())
                .ok_or(seen.to_string())
        })
        .await;
    }

    /// The version that answers, whatever update is under way.
    pub async fn live(&self) -> String {
        live_in(&self.serving().await).to_owned()
    }

    async fn serving(&self) -> Value {
        let path = format!("/api/2.0/serving-endpoints/{}", self.endpoint());
        self.sim.call(Method::GET, &path, None).await.1
    }
}

fn live_in(endpoint: &Value) -> &str {
    endpoint["config"]["served_entities"][0]["entity_version"]
        .as_str()
        .unwrap_or_default()
}
