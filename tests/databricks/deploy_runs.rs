//! Runs: how they end, and what is made of it.

use lockstep_core::domain::promotion::machine::state::FailureKind;
use lockstep_core::domain::promotion::machine::steps::Seen;
use lockstep_core::domain::promotion::ports::deployments::{DeployError, Deployment as _, Progress};
use serde_json::json;

use crate::deploy::{DIRECTORY, Stage, done, failed, job_step, job_step_from, key, settled};

const RUN_NOW: &str = "/api/2.2/jobs/run-now";

#[tokio::test]
async fn a_connection_lost_right_after_the_start_leaves_one_run_that_is_found() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, step, key) = (stage.deployment.jobs(), job_step(), key("train", 1));
    let undo = jobs.prepare(&step).await.unwrap();
    stage.sim.fault("POST", RUN_NOW, 9, json!("DropAfter")).await;
    let error = jobs.act(&key, &step, &undo).await.unwrap_err();
    assert_eq!(error.of_write(), Seen::Unknown);
    stage.sim.no_faults().await;
    let outputs = done(settled(&stage.deployment, &key, &step).await);
    jobs.act(&key, &step, &undo).await.unwrap();
    assert_eq!(stage.runs().await.len(), 1);
    assert_eq!(done(settled(&stage.deployment, &key, &step).await), outputs);
}

#[tokio::test]
async fn every_end_of_a_run_is_told_in_our_words() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, mut step) = (stage.deployment.jobs(), job_step());
    for (attempt, (result, kind)) in [
        ("FAILED", FailureKind::Failed),
        ("TIMEDOUT", FailureKind::TimedOut),
        ("CANCELED", FailureKind::Failed),
        ("INTERNAL_ERROR", FailureKind::InternalError),
        ("CLOUD_FAILURE", FailureKind::CloudFailure),
        ("SUCCESS_WITH_FAILURES", FailureKind::Failed),
    ]
    .into_iter()
    .enumerate()
    {
        stage
            .script(json!({"job": "fraud-train", "result": result, "message": "no data"}))
            .await;
        let key = key("train", u32::try_from(attempt).unwrap() + 1);
        jobs.act(&key, &step, &jobs.prepare(&step).await.unwrap())
            .await
            .unwrap();
        let why = failed(settled(&stage.deployment, &key, &step).await);
        assert_eq!(why.kind, kind, "{result}: {why:?}");
        assert!(why.message.contains("run "), "{why:?}");
        assert_eq!(
            why.message.contains("; task train"),
            !["CANCELED", "TIMEDOUT"].contains(&result),
            "{result}: {why:?}"
        );
        // Only a task that ran has words of its own.
        let own = ["FAILED", "SUCCESS_WITH_FAILURES"].contains(&result);
        assert_eq!(
            why.message.contains("; task train: no data"),
            own,
            "{result}: {why:?}"
        );
    }
    step.accept_failures = true;
    stage
        .script(json!({"job": "fraud-train", "result": "SUCCESS_WITH_FAILURES"}))
        .await;
    let key = key("train", 9);
    jobs.act(&key, &step, &jobs.prepare(&step).await.unwrap())
        .await
        .unwrap();
    done(settled(&stage.deployment, &key, &step).await);
}

#[tokio::test]
async fn a_fault_of_the_service_is_tried_again_under_a_token_of_its_own() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, step) = (stage.deployment.jobs(), job_step());
    stage
        .script(json!({"job": "fraud-train", "result": "INTERNAL_ERROR"}))
        .await;
    let undo = jobs.prepare(&step).await.unwrap();
    let (first, second) = (key("train", 1), key("train", 2));
    jobs.act(&first, &step, &undo).await.unwrap();
    assert!(
        failed(settled(&stage.deployment, &first, &step).await)
            .kind
            .is_transient()
    );
    assert_eq!(jobs.observe(&second, &step).await.unwrap(), Progress::Absent);
    jobs.act(&second, &step, &undo).await.unwrap();
    done(settled(&stage.deployment, &second, &step).await);
    assert_eq!(stage.runs().await.len(), 2);
}

#[tokio::test]
async fn a_file_changed_under_a_run_is_tampering() {
    let stage = Stage::set().await;
    let outputs = stage.upload().await;
    let (jobs, step, key) = (stage.deployment.jobs(), job_step(), key("train", 1));
    stage.deployment.files().verify(&outputs).await.unwrap();
    let path = format!("{DIRECTORY}/jobs/train.py");
    stage
        .script(json!({"job": "fraud-train", "files": {path: "evil()"}}))
        .await;
    jobs.act(&key, &step, &jobs.prepare(&step).await.unwrap())
        .await
        .unwrap();
    done(settled(&stage.deployment, &key, &step).await);
    let DeployError::Fails(why) = stage.deployment.files().verify(&outputs).await.unwrap_err() else {
        panic!("not a failure");
    };
    assert_eq!(why.kind, FailureKind::CodeTampered);
    assert!(why.message.contains("jobs/train.py has changed"), "{why:?}");
}

#[tokio::test]
async fn a_run_whose_code_is_missing_fails_and_a_deleted_run_as_well() {
    let stage = Stage::set().await;
    let (jobs, step) = (stage.deployment.jobs(), job_step());
    let (first, second) = (key("train", 1), key("train", 2));
    let undo = jobs.prepare(&step).await.unwrap();
    jobs.act(&first, &step, &undo).await.unwrap();
    let why = failed(settled(&stage.deployment, &first, &step).await);
    assert!(why.message.contains("RESOURCE_NOT_FOUND"), "{why:?}");
    assert_eq!(why.kind, FailureKind::Failed);
    jobs.act(&second, &step, &undo).await.unwrap();
    failed(settled(&stage.deployment, &second, &step).await);
    let run = stage.runs().await[1]["run_id"].clone();
    stage
        .sim
        .stranger("POST", "/api/2.2/jobs/runs/delete", json!({"run_id": run}))
        .await;
    let why = failed(jobs.observe(&second, &step).await.unwrap());
    assert!(why.message.contains("was deleted"), "{why:?}");
}

#[tokio::test]
async fn a_git_source_must_be_at_the_deployed_commit_in_the_run_too() {
    let stage = Stage::set().await;
    let yaml = "git_source: {git_url: 'https://git/x', git_provider: gitHub, git_commit: 0123456789abcdef}\n\
                tasks:\n- task_key: train\n  spark_python_task: {python_file: jobs/train.py}\n";
    let (jobs, step, key) = (stage.deployment.jobs(), job_step_from(yaml), key("train", 1));
    stage
        .script(json!({"job": "fraud-train", "result": "SUCCESS", "usedCommit": "ffff"}))
        .await;
    jobs.act(&key, &step, &jobs.prepare(&step).await.unwrap())
        .await
        .unwrap();
    let why = failed(settled(&stage.deployment, &key, &step).await);
    assert_eq!(why.kind, FailureKind::JobRunsOtherCode);
    assert!(why.message.contains("ffff"), "{why:?}");
}

#[tokio::test]
async fn a_storm_of_429_says_when_to_come_back_and_starts_nothing_twice() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, step, key) = (stage.deployment.jobs(), job_step(), key("train", 1));
    let undo = jobs.prepare(&step).await.unwrap();
    stage
        .sim
        .fault(
            "POST",
            RUN_NOW,
            99,
            json!({"TooManyRequests": {"retry_after": 60}}),
        )
        .await;
    let error = jobs.act(&key, &step, &undo).await.unwrap_err();
    let DeployError::System(error) = error else {
        panic!("{error}");
    };
    assert!(error.retry_at.is_some());
    assert_eq!(DeployError::System(error).of_write(), Seen::Unknown);
    stage.sim.no_faults().await;
    assert_eq!(jobs.observe(&key, &step).await.unwrap(), Progress::Absent);
    // Another replica, whom nobody told to wait.
    let successor = stage.sim.system().system.deployment();
    successor.jobs().act(&key, &step, &undo).await.unwrap();
    done(settled(&successor, &key, &step).await);
    assert_eq!(stage.runs().await.len(), 1);
}
