//! Registered models: whose versions they are, and where their aliases point.

use lockstep_core::domain::promotion::machine::steps::Seen;
use lockstep_core::domain::promotion::ports::deployments::{
    AliasStep, DeployError, Deployment as _, Progress, Restoration, run_of, words,
};
use lockstep_core::domain::promotion::proof::provenance::{
    PolicyRun, UnreviewedModel, Usability, from_job_step,
};
use serde_json::{Value, json};

use crate::deploy::{MODEL, Stage, done, failed, job_step, key, promotion, settled};
use crate::sim::BOT;

const ALIAS: &str = "/api/2.1/unity-catalog/models/{full_name}/aliases/{alias}";

fn champion(version: u64) -> AliasStep {
    AliasStep {
        model: MODEL.into(),
        alias: "champion".into(),
        version,
    }
}

async fn aliases(stage: &Stage) -> Value {
    stage.sim.snapshot().await["models"]["registered"][MODEL]["aliases"].clone()
}

async fn by_hand(stage: &Stage, version: u64) {
    let path = format!("/api/2.1/unity-catalog/models/{MODEL}/aliases/champion");
    stage
        .sim
        .stranger("PUT", &path, json!({"version_num": version}))
        .await;
}

fn refusal(error: DeployError) -> String {
    match error.of_write() {
        Seen::Refused(why) => why.message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_alias_moves_and_goes_back() {
    let stage = Stage::set().await;
    let models = stage.deployment.models();
    for _ in 0..2 {
        stage.register(BOT).await;
    }
    // It was nowhere before.
    let first = champion(1);
    let nowhere = models.prepare(&first).await.unwrap();
    assert_eq!(models.observe(&first, &nowhere).await.unwrap(), Progress::Absent);
    models.act(&first, &nowhere).await.unwrap();
    let outputs = done(models.observe(&first, &nowhere).await.unwrap());
    assert_eq!(outputs[words::VERSION], "1");
    assert!(outputs[words::ADDRESS].starts_with("unity://"), "{outputs:?}");
    // And then somewhere.
    let second = champion(2);
    let before = models.prepare(&second).await.unwrap();
    models.act(&second, &before).await.unwrap();
    done(models.observe(&second, &before).await.unwrap());
    assert_eq!(
        models.undone(&second, &before).await.unwrap(),
        Restoration::NotUndone
    );
    models.undo(&second, &before).await.unwrap();
    assert_eq!(
        models.undone(&second, &before).await.unwrap(),
        Restoration::Undone
    );
    assert_eq!(aliases(&stage).await, json!({"champion": 1}));
    models.undo(&first, &nowhere).await.unwrap();
    assert_eq!(aliases(&stage).await, json!({}));
    models.undo(&first, &nowhere).await.unwrap();
}

#[tokio::test]
async fn an_alias_that_another_hand_moved_is_reported_and_not_overwritten() {
    let stage = Stage::set().await;
    let models = stage.deployment.models();
    for _ in 0..3 {
        stage.register(BOT).await;
    }
    by_hand(&stage, 1).await;
    let step = champion(2);
    let undo = models.prepare(&step).await.unwrap();
    by_hand(&stage, 3).await;
    let error = refusal(models.act(&step, &undo).await.unwrap_err());
    for words in ["version 3", "version 1", "another hand"] {
        assert!(error.contains(words), "{error}");
    }
    let why = failed(models.observe(&step, &undo).await.unwrap());
    assert!(why.message.contains("another hand"), "{why:?}");
    assert_eq!(aliases(&stage).await, json!({"champion": 3}));
    // Nor is it taken back where it was moved after we had moved it.
    by_hand(&stage, 1).await;
    models.act(&step, &undo).await.unwrap();
    by_hand(&stage, 3).await;
    let left = models.undone(&step, &undo).await.unwrap();
    assert!(matches!(left, Restoration::TakenByOthers(_)), "{left:?}");
    refusal(models.undo(&step, &undo).await.unwrap_err());
    assert_eq!(aliases(&stage).await, json!({"champion": 3}));
}

#[tokio::test]
async fn a_version_or_a_model_that_is_not_there_is_named() {
    let stage = Stage::set().await;
    let models = stage.deployment.models();
    stage.register(BOT).await;
    let step = champion(7);
    let undo = models.prepare(&step).await.unwrap();
    let error = refusal(models.act(&step, &undo).await.unwrap_err());
    assert!(error.contains("has no version 7"), "{error}");
    assert_eq!(models.version(MODEL, 7).await.unwrap(), None);
    let mut nowhere = champion(1);
    nowhere.model = "ml.fraud.nothing".into();
    let error = refusal(models.prepare(&nowhere).await.unwrap_err());
    assert!(error.contains("ml.fraud.nothing"), "{error}");
}

#[tokio::test]
async fn an_answer_lost_after_the_move_is_looked_up() {
    let stage = Stage::set().await;
    let models = stage.deployment.models();
    stage.register(BOT).await;
    let step = champion(1);
    let undo = models.prepare(&step).await.unwrap();
    stage.sim.fault("PUT", ALIAS, 9, json!("DropAfter")).await;
    let error = models.act(&step, &undo).await.unwrap_err();
    assert_eq!(error.of_write(), Seen::Unknown);
    done(models.observe(&step, &undo).await.unwrap());
}

/// Runs the job step, its run registering versions as these.
async fn trained(stage: &Stage, attempt: u32, registers: Value) -> PolicyRun {
    stage
        .script(json!({"job": "fraud-train", "registers": registers}))
        .await;
    let (jobs, step, key) = (stage.deployment.jobs(), job_step(), key("train", attempt));
    jobs.act(&key, &step, &jobs.prepare(&step).await.unwrap())
        .await
        .unwrap();
    let outputs = done(settled(&stage.deployment, &key, &step).await);
    run_of(&outputs, &promotion(), BOT).unwrap()
}

#[tokio::test]
async fn a_job_steps_version_is_the_one_that_its_run_made_as_the_server_says() {
    let stage = Stage::set().await;
    stage.upload().await;
    stage.sim.settings(json!({"emptyPages": true})).await;
    let models = stage.deployment.models();
    let from = async |run: &PolicyRun| {
        let versions = models.versions(MODEL).await.unwrap();
        from_job_step("train", MODEL, run, &Usability::DeclaredOnly, &versions).map(|version| version.version)
    };
    stage.register("ada@example.com").await;
    stage.register(BOT).await;
    let one = trained(&stage, 1, json!([{"model": MODEL, "runId": "abc"}])).await;
    assert_eq!(from(&one).await, Ok(3));
    let version = models.version(MODEL, 3).await.unwrap().unwrap();
    assert_eq!(version.created_by.as_deref(), Some(BOT));
    assert_eq!(version.claims_run.as_deref(), Some("abc"));
    let none = trained(&stage, 2, json!([])).await;
    assert!(matches!(
        from(&none).await,
        Err(UnreviewedModel::NoVersion { .. })
    ));
    let two = trained(&stage, 3, json!([{"model": MODEL}, {"model": MODEL}])).await;
    assert!(matches!(
        from(&two).await,
        Err(UnreviewedModel::SeveralVersions { count: 2, .. })
    ));
    // By hand, in the middle of the run, with the tags of ours.
    let tags = json!({"lockstep_promotion": promotion().0});
    let hers = json!([{"model": MODEL, "by": "ada@example.com", "tags": tags}]);
    let copied = trained(&stage, 4, hers).await;
    assert!(matches!(
        from(&copied).await,
        Err(UnreviewedModel::NoVersion { .. })
    ));
}
