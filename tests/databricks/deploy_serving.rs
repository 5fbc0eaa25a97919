//! Serving endpoints: updates that come up, fail, hang, or meet another hand.

use lockstep_core::domain::promotion::machine::state::Words;
use lockstep_core::domain::promotion::machine::steps::Seen;
use lockstep_core::domain::promotion::ports::deployments::{
    DeployError, Deployment as _, EndpointStep, Progress, Restoration, words,
};
use serde_json::{Value, json};

use crate::deploy::{MODEL, Stage, done, failed};
use crate::sim::BOT;
use crate::waiting::{eventually, over};

const CONFIG: &str = "/api/2.0/serving-endpoints/{name}/config";

fn step(version: u64) -> EndpointStep {
    EndpointStep {
        name: "fraud-scorer".into(),
        served_entity: "scorer".into(),
        entity: MODEL.into(),
        version,
        traffic: 100,
        config: None,
    }
}

fn serves(version: u64) -> Value {
    json!({"served_entities": [{"name": "scorer", "entity_name": MODEL, "entity_version": version.to_string(),
        "workload_size": "Medium", "scale_to_zero_enabled": false}]})
}

/// An endpoint that serves version 1 of two.
async fn set() -> Stage {
    let stage = Stage::set().await;
    for _ in 0..3 {
        stage.register(BOT).await;
    }
    let body = json!({"name": "fraud-scorer", "config": serves(1)});
    stage
        .sim
        .stranger("POST", "/api/2.0/serving-endpoints", body)
        .await;
    quiet(&stage).await;
    stage
}

async fn seen(stage: &Stage) -> Value {
    stage
        .sim
        .stranger("GET", "/api/2.0/serving-endpoints/fraud-scorer", json!({}))
        .await
}

async fn quiet(stage: &Stage) {
    eventually("no update goes on", || async {
        let state = &seen(stage).await["state"];
        (state["config_update"] != "IN_PROGRESS")
            .then_some(())
            .ok_or(state.to_string())
    })
    .await;
}

async fn by_hand(stage: &Stage, version: u64) {
    stage
        .sim
        .stranger(
            "PUT",
            "/api/2.0/serving-endpoints/fraud-scorer/config",
            serves(version),
        )
        .await;
    quiet(stage).await;
}

async fn settled(stage: &Stage, step: &EndpointStep, undo: &Words) -> Progress {
    over("the update ends", || async {
        stage.deployment.endpoints().observe(step, undo).await
    })
    .await
}

fn refusal(error: DeployError) -> String {
    match error.of_write() {
        Seen::Refused(why) => why.message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_endpoint_serves_another_version_and_goes_back() {
    let stage = set().await;
    let endpoints = stage.deployment.endpoints();
    let step = step(2);
    let undo = endpoints.prepare(&step).await.unwrap();
    assert_eq!(endpoints.observe(&step, &undo).await.unwrap(), Progress::Absent);
    endpoints.act(&step, &undo).await.unwrap();
    let outputs = done(settled(&stage, &step, &undo).await);
    assert_eq!(
        outputs[words::ADDRESS],
        "databricks://1234567890123456/serving-endpoints/fraud-scorer/config/2"
    );
    let live = seen(&stage).await["config"]["served_entities"][0].clone();
    assert_eq!(
        (&live["entity_version"], &live["workload_size"]),
        (&json!("2"), &json!("Medium"))
    );
    assert_eq!(
        endpoints.undone(&step, &undo).await.unwrap(),
        Restoration::NotUndone
    );
    endpoints.undo(&step, &undo).await.unwrap();
    assert_eq!(
        endpoints.undone(&step, &undo).await.unwrap(),
        Restoration::NotUndone
    );
    quiet(&stage).await;
    assert_eq!(endpoints.undone(&step, &undo).await.unwrap(), Restoration::Undone);
    assert_eq!(
        seen(&stage).await["config"]["served_entities"][0]["entity_version"],
        "1"
    );
    // What the record kept of it can be brought back as it was.
    let mut again = step.clone();
    again.config = serde_json::from_str(&outputs[words::CONFIG]).unwrap();
    endpoints.act(&again, &undo).await.unwrap();
    done(settled(&stage, &again, &undo).await);
}

#[tokio::test]
async fn an_update_that_fails_leaves_the_old_version_and_is_told_apart_from_older_ones() {
    let stage = set().await;
    let endpoints = stage.deployment.endpoints();
    let step = step(2);
    let undo = endpoints.prepare(&step).await.unwrap();
    stage
        .script(json!({"endpoint": "fraud-scorer", "result": "FAILED", "message": "out of memory"}))
        .await;
    endpoints.act(&step, &undo).await.unwrap();
    let why = failed(settled(&stage, &step, &undo).await);
    assert!(
        why.message.contains("out of memory") && why.message.contains("version 1"),
        "{why:?}"
    );
    assert_eq!(endpoints.undone(&step, &undo).await.unwrap(), Restoration::Undone);
    // The next try of the same version is another update.
    let undo = endpoints.prepare(&step).await.unwrap();
    assert_eq!(endpoints.observe(&step, &undo).await.unwrap(), Progress::Absent);
    endpoints.act(&step, &undo).await.unwrap();
    done(settled(&stage, &step, &undo).await);
}

#[tokio::test]
async fn an_update_that_hangs_goes_on_until_the_vendor_ends_it() {
    let stage = set().await;
    let endpoints = stage.deployment.endpoints();
    let step = step(2);
    let undo = endpoints.prepare(&step).await.unwrap();
    stage
        .script(json!({"endpoint": "fraud-scorer", "hold": true}))
        .await;
    endpoints.act(&step, &undo).await.unwrap();
    // Acting again begins no second update.
    endpoints.act(&step, &undo).await.unwrap();
    assert!(matches!(
        endpoints.observe(&step, &undo).await.unwrap(),
        Progress::Going(_)
    ));
    endpoints.undo(&step, &undo).await.unwrap();
    assert_eq!(
        endpoints.undone(&step, &undo).await.unwrap(),
        Restoration::NotUndone
    );
    stage
        .sim
        .control(
            "POST",
            "scripts/release",
            Some(json!({"endpoint": "fraud-scorer"})),
        )
        .await;
    quiet(&stage).await;
    endpoints.undo(&step, &undo).await.unwrap();
    quiet(&stage).await;
    assert_eq!(endpoints.undone(&step, &undo).await.unwrap(), Restoration::Undone);
}

#[tokio::test]
async fn an_endpoint_that_another_hand_changed_is_reported_and_left() {
    let stage = set().await;
    let endpoints = stage.deployment.endpoints();
    let step = step(2);
    let undo = endpoints.prepare(&step).await.unwrap();
    by_hand(&stage, 3).await;
    let error = refusal(endpoints.act(&step, &undo).await.unwrap_err());
    for words in ["version 3", "version 1", "another hand"] {
        assert!(error.contains(words), "{error}");
    }
    failed(endpoints.observe(&step, &undo).await.unwrap());
    let left = endpoints.undone(&step, &undo).await.unwrap();
    assert!(matches!(left, Restoration::TakenByOthers(_)), "{left:?}");
    refusal(endpoints.undo(&step, &undo).await.unwrap_err());
    assert_eq!(
        seen(&stage).await["config"]["served_entities"][0]["entity_version"],
        "3"
    );
}

#[tokio::test]
async fn another_hands_update_is_waited_for() {
    let stage = set().await;
    let endpoints = stage.deployment.endpoints();
    let step = step(2);
    stage
        .script(json!({"endpoint": "fraud-scorer", "hold": true}))
        .await;
    let path = "/api/2.0/serving-endpoints/fraud-scorer/config";
    stage.sim.stranger("PUT", path, serves(3)).await;
    assert_eq!(
        endpoints.prepare(&step).await.unwrap_err().of_write(),
        Seen::Unknown
    );
    let undo: Words = [(words::CONFIG.to_owned(), serves(1).to_string())].into();
    assert_eq!(
        endpoints.act(&step, &undo).await.unwrap_err().of_write(),
        Seen::Unknown
    );
}

#[tokio::test]
async fn an_answer_lost_after_the_update_began_is_looked_up() {
    let stage = set().await;
    let endpoints = stage.deployment.endpoints();
    let step = step(2);
    let undo = endpoints.prepare(&step).await.unwrap();
    stage.sim.forget().await;
    stage.sim.fault("PUT", CONFIG, 9, json!("DropAfter")).await;
    assert_eq!(
        endpoints.act(&step, &undo).await.unwrap_err().of_write(),
        Seen::Unknown
    );
    done(settled(&stage, &step, &undo).await);
    let asked = stage.sim.asked().await;
    assert!(asked.contains(&(format!("PUT {CONFIG}"), 1)), "{asked:?}");
}

#[tokio::test]
async fn an_endpoint_or_a_version_that_is_not_there_is_named() {
    let stage = set().await;
    let endpoints = stage.deployment.endpoints();
    let mut nowhere = step(2);
    nowhere.name = "nothing".into();
    let error = refusal(endpoints.prepare(&nowhere).await.unwrap_err());
    assert!(error.contains("endpoint nothing does not exist"), "{error}");
    let absent = step(7);
    let undo = endpoints.prepare(&absent).await.unwrap();
    let error = refusal(endpoints.act(&absent, &undo).await.unwrap_err());
    assert!(error.contains("version 7"), "{error}");
    let mut part = step(2);
    part.traffic = 50;
    let error = refusal(endpoints.prepare(&part).await.unwrap_err());
    assert!(error.contains("trafficPercentage"), "{error}");
}
