//! Jobs and their runs, and every way in which they go wrong.

use lockstep_core::domain::promotion::machine::state::FailureKind;
use lockstep_core::domain::promotion::machine::steps::Seen;
use lockstep_core::domain::promotion::ports::deployments::{
    DeployError, Deployment as _, Progress, Restoration, words,
};
use serde_json::{Value, json};

use crate::deploy::{DIRECTORY, Stage, done, failed, job_step, key, promotion, settled};
use crate::sim::BOT;
use crate::waiting::eventually;

async fn jobs_named(stage: &Stage, name: &str) -> Vec<Value> {
    let path = format!("/api/2.2/jobs/list?name={name}&expand_tasks=true");
    let listed = stage.sim.stranger("GET", &path, json!({})).await;
    listed["jobs"].as_array().cloned().unwrap_or_default()
}

fn refusal(error: DeployError) -> String {
    match error.of_write() {
        Seen::Refused(why) => why.message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_is_made_from_its_definition_and_runs_once_as_its_identity() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, step, key) = (stage.deployment.jobs(), job_step(), key("train", 1));
    let undo = jobs.prepare(&step).await.unwrap();
    assert_eq!(jobs.observe(&key, &step).await.unwrap(), Progress::Absent);
    jobs.act(&key, &step, &undo).await.unwrap();
    let outputs = done(settled(&stage.deployment, &key, &step).await);
    for word in [
        words::RUN,
        words::JOB,
        words::LINK,
        words::SETTINGS,
        words::STARTED,
        words::ENDED,
    ] {
        assert!(outputs.contains_key(word), "{word}: {outputs:?}");
    }
    assert_eq!(
        outputs[words::ADDRESS],
        format!("databricks://1234567890123456/runs/{}", outputs[words::RUN])
    );
    let path = format!("/api/2.2/jobs/runs/get?run_id={}", outputs[words::RUN]);
    let run = stage.sim.stranger("GET", &path, json!({})).await;
    let parameter = |name: &str| {
        let rows = run["job_parameters"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap()["value"].clone()
    };
    assert_eq!(parameter("lockstep_promotion"), promotion().0);
    assert_eq!(parameter("gerrit_change"), "42");
    assert_eq!(parameter("gerrit_revision"), "0123456789abcdef");
    let runs = stage.runs().await;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["runAs"], BOT);
    // Whoever takes over finds the run by what it carries, and starts none.
    let successor = stage.sim.system().system.deployment();
    let seen = done(successor.jobs().observe(&key, &step).await.unwrap());
    assert_eq!(seen, outputs);
    successor.jobs().act(&key, &step, &undo).await.unwrap();
    assert_eq!(stage.runs().await.len(), 1);
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_found_and_not_repeated() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, step, key) = (stage.deployment.jobs(), job_step(), key("train", 1));
    let undo = jobs.prepare(&step).await.unwrap();
    stage
        .sim
        .fault("POST", "/api/2.2/jobs/create", 1, json!("DropAfter"))
        .await;
    let error = jobs.act(&key, &step, &undo).await.unwrap_err();
    assert_eq!(error.of_write(), Seen::Unknown);
    assert_eq!(jobs.observe(&key, &step).await.unwrap(), Progress::Absent);
    jobs.act(&key, &step, &undo).await.unwrap();
    done(settled(&stage.deployment, &key, &step).await);
    assert_eq!(jobs_named(&stage, "fraud-train").await.len(), 1);
}

#[tokio::test]
async fn two_jobs_of_one_name_are_told_apart_by_nobody() {
    let stage = Stage::set().await;
    for _ in 0..2 {
        let body = json!({"name": "fraud-train"});
        stage.sim.stranger("POST", "/api/2.2/jobs/create", body).await;
    }
    let error = refusal(stage.deployment.jobs().prepare(&job_step()).await.unwrap_err());
    for job in jobs_named(&stage, "fraud-train").await {
        assert!(error.contains(&job["job_id"].to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_job_that_goes_by_another_name_now_is_not_made_again() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, key) = (stage.deployment.jobs(), key("train", 1));
    let mut step = job_step();
    step.run = false;
    jobs.act(&key, &step, &jobs.prepare(&step).await.unwrap())
        .await
        .unwrap();
    let id = done(jobs.observe(&key, &step).await.unwrap())[words::JOB].clone();
    step.pinned = Some(id.clone());
    let rename = json!({"job_id": id.parse::<u64>().unwrap(), "new_settings": {"name": "mine"}});
    stage.sim.stranger("POST", "/api/2.2/jobs/update", rename).await;
    let error = refusal(jobs.prepare(&step).await.unwrap_err());
    assert!(error.contains("\"mine\"") && error.contains(&id), "{error}");
    // Deleted, it is made anew.
    let body = json!({"job_id": id.parse::<u64>().unwrap()});
    stage.sim.stranger("POST", "/api/2.2/jobs/delete", body).await;
    jobs.act(&key, &step, &jobs.prepare(&step).await.unwrap())
        .await
        .unwrap();
    assert_ne!(done(jobs.observe(&key, &step).await.unwrap())[words::JOB], id);
}

#[tokio::test]
async fn a_run_is_stopped_and_its_promotion_undone() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, step, key) = (stage.deployment.jobs(), job_step(), key("train", 1));
    stage.script(json!({"job": "fraud-train", "hold": true})).await;
    let undo = jobs.prepare(&step).await.unwrap();
    jobs.stop(&key, &step).await.unwrap();
    jobs.act(&key, &step, &undo).await.unwrap();
    assert!(
        matches!(jobs.observe(&key, &step).await.unwrap(), Progress::Going(known) if known.contains_key(words::RUN))
    );
    assert_eq!(
        jobs.undone(&promotion(), &step, &undo).await.unwrap(),
        Restoration::NotUndone
    );
    jobs.stop(&key, &step).await.unwrap();
    let why = failed(settled(&stage.deployment, &key, &step).await);
    assert!(why.message.contains("CANCELED"), "{why:?}");
    jobs.undo(&promotion(), &step, &undo).await.unwrap();
    assert_eq!(
        jobs.undone(&promotion(), &step, &undo).await.unwrap(),
        Restoration::Undone
    );
    assert!(
        jobs_named(&stage, "fraud-train").await.is_empty(),
        "what was made is deleted"
    );
}

#[tokio::test]
async fn a_job_that_was_there_gets_its_settings_back_and_its_run_ends() {
    let stage = Stage::set().await;
    stage.upload().await;
    let theirs = json!({"name": "fraud-train", "max_concurrent_runs": 3,
        "tasks": [{"task_key": "old", "notebook_task": {"notebook_path": "/Shared/old"}}]});
    stage.sim.stranger("POST", "/api/2.2/jobs/create", theirs).await;
    let before = jobs_named(&stage, "fraud-train").await[0]["settings"].clone();
    let (jobs, step, key) = (stage.deployment.jobs(), job_step(), key("train", 1));
    stage.script(json!({"job": "fraud-train", "hold": true})).await;
    let undo = jobs.prepare(&step).await.unwrap();
    jobs.act(&key, &step, &undo).await.unwrap();
    assert_eq!(
        jobs_named(&stage, "fraud-train").await[0]["settings"]["tasks"][0]["task_key"],
        "train"
    );
    jobs.undo(&promotion(), &step, &undo).await.unwrap();
    eventually("the job is as it was", || async {
        let found = jobs.undone(&promotion(), &step, &undo).await.unwrap();
        (found == Restoration::Undone)
            .then_some(())
            .ok_or(format!("{found:?}"))
    })
    .await;
    assert_eq!(jobs_named(&stage, "fraud-train").await[0]["settings"], before);
    assert_eq!(stage.runs().await[0]["result"], "CANCELED");
}

#[tokio::test]
async fn a_job_edited_by_hand_while_it_runs_is_told_and_left() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, step, key) = (stage.deployment.jobs(), job_step(), key("train", 1));
    let evil = json!([{"task_key": "train", "spark_python_task": {"python_file": "/Shared/evil.py"}}]);
    stage
        .script(json!({"job": "fraud-train", "edits": {"tasks": evil}}))
        .await;
    let undo = jobs.prepare(&step).await.unwrap();
    jobs.act(&key, &step, &undo).await.unwrap();
    let why = failed(settled(&stage.deployment, &key, &step).await);
    assert_eq!(why.kind, FailureKind::JobRunsOtherCode);
    assert!(why.message.contains("another hand"), "{why:?}");
    let left = jobs.undone(&promotion(), &step, &undo).await.unwrap();
    assert!(matches!(left, Restoration::TakenByOthers(_)), "{left:?}");
    refusal(jobs.undo(&promotion(), &step, &undo).await.unwrap_err());
    assert_eq!(jobs_named(&stage, "fraud-train").await.len(), 1);
}

#[tokio::test]
async fn a_job_edited_by_hand_before_the_promotion_is_set_as_reviewed() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, step) = (stage.deployment.jobs(), job_step());
    jobs.act(&key("train", 1), &step, &jobs.prepare(&step).await.unwrap())
        .await
        .unwrap();
    let id = jobs_named(&stage, "fraud-train").await[0]["job_id"].clone();
    let evil = json!([{"task_key": "train", "spark_python_task": {"python_file": "/Shared/evil.py"}}]);
    let edit = json!({"job_id": id, "new_settings": {"tasks": evil}});
    stage.sim.stranger("POST", "/api/2.2/jobs/update", edit).await;
    jobs.act(&key("train", 2), &step, &jobs.prepare(&step).await.unwrap())
        .await
        .unwrap();
    done(settled(&stage.deployment, &key("train", 2), &step).await);
}

#[tokio::test]
async fn a_job_without_a_definition_must_already_run_exactly_this() {
    let stage = Stage::set().await;
    stage.upload().await;
    let jobs = stage.deployment.jobs();
    let mut bare = job_step();
    bare.settings = None;
    let missing = refusal(jobs.prepare(&bare).await.unwrap_err());
    assert!(missing.contains("no job \"fraud-train\""), "{missing}");
    let settings = |path: &str, who: &str| {
        json!({"name": "fraud-train", "run_as": {"service_principal_name": who},
            "tasks": [{"task_key": "t", "spark_python_task": {"python_file": path}}]})
    };
    let ours = format!("{DIRECTORY}/jobs/train.py");
    let made = settings(&ours, BOT);
    let undo = {
        let mut defined = job_step();
        defined.settings = Some(made.clone());
        defined.run = false;
        let undo = jobs.prepare(&defined).await.unwrap();
        jobs.act(&key("train", 1), &defined, &undo).await.unwrap();
        undo
    };
    jobs.act(&key("train", 2), &bare, &undo).await.unwrap();
    done(settled(&stage.deployment, &key("train", 2), &bare).await);
    let id = jobs_named(&stage, "fraud-train").await[0]["job_id"].clone();
    for (path, who) in [("/Shared/other.py", Some(BOT)), (ours.as_str(), None)] {
        let mut other = settings(path, BOT);
        if who.is_none() {
            other["run_as"] = json!({"user_name": "admin@example.com"});
        }
        let body = json!({"job_id": id, "new_settings": other});
        // The administrator may not name the bot again, but what stands may stay.
        stage.sim.stranger("POST", "/api/2.2/jobs/reset", body).await;
        let error = jobs.act(&key("train", 3), &bare, &undo).await.unwrap_err();
        let DeployError::Fails(why) = error else {
            panic!("{error}");
        };
        assert_eq!(why.kind, FailureKind::JobRunsOtherCode);
    }
    assert_eq!(stage.runs().await.len(), 1);
}

#[tokio::test]
async fn whom_we_may_not_run_as_is_refused_in_the_vendors_words() {
    let stage = Stage::set().await;
    stage.upload().await;
    let name = format!(
        "accounts/{}/servicePrincipals/{BOT}/ruleSets/default",
        crate::sim::ACCOUNT
    );
    stage
        .sim
        .seed(json!({"ruleSets": [{"name": name, "grantRules": []}]}))
        .await;
    let (jobs, step) = (stage.deployment.jobs(), job_step());
    let undo = jobs.prepare(&step).await.unwrap();
    let error = refusal(jobs.act(&key("train", 1), &step, &undo).await.unwrap_err());
    assert!(error.contains("servicePrincipal.user"), "{error}");
    assert!(jobs_named(&stage, "fraud-train").await.is_empty());
}

#[tokio::test]
async fn a_job_left_to_its_schedule_is_set_and_not_run() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, key) = (stage.deployment.jobs(), key("train", 1));
    let mut step = job_step();
    step.run = false;
    let undo = jobs.prepare(&step).await.unwrap();
    assert_eq!(jobs.observe(&key, &step).await.unwrap(), Progress::Absent);
    jobs.act(&key, &step, &undo).await.unwrap();
    done(jobs.observe(&key, &step).await.unwrap());
    assert!(stage.runs().await.is_empty());
}
