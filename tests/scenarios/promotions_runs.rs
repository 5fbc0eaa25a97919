//! What can happen to a run: people and the cloud end it, it takes too long, its job or its code is changed meanwhile.

use lockstep_core::api::promotion::PromotionPhase;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::approvals::protect;
use crate::support::becomes;
use crate::support::changes::Reviewed;
use crate::support::gate::{Gate, Trouble};
use crate::support::promoting::ready;
use crate::support::team::Team;
use crate::support::workspace::parameter;

/// A team that uploads and trains, undoing what fails; `training` is merged into the job's step.
async fn training(word: &str, training: Value) -> Option<Reviewed> {
    let team = Team::new(word).await?;
    protect(&team).await;
    let team = Reviewed::of(team, &["prod"]).await;
    let mut step = team.training();
    crate::support::world::merge(&mut step["job"], training);
    let prod = team.environment("prod", json!({"onFailure": "Rollback"}));
    team.policy(&[team.code(), step], json!({"environments": [prod]}))
        .await;
    Some(team)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_person_cancels_or_that_takes_too_long_fails_and_is_undone() {
    let Some(team) = training("ended", json!({"timeout": "3s"})).await else {
        return;
    };
    team.sim.script(json!({"job": team.job(), "hold": true})).await;
    let cancelled = team.merge("train.py", "print('cancelled')\n").await;
    becomes("it runs", 1, || async { team.sim.runs(&team.job()).await.len() }).await;
    let run = team.sim.runs(&team.job()).await.remove(0);
    let cancel = json!({"run_id": run["run_id"]});
    team.sim
        .by_hand(Method::POST, "/api/2.2/jobs/runs/cancel", cancel)
        .await;
    let failed = team.until_promotion(&cancelled, PromotionPhase::Failed).await;
    let said = ready(&failed).message;
    assert!(
        said.contains("CANCELED") && said.contains("everything was undone"),
        "{said}"
    );

    team.resume().await;
    team.sim.script(json!({"job": team.job(), "hold": true})).await;
    let slow = team.merge("train.py", "print('slow')\n").await;
    let failed = team.until_promotion(&slow, PromotionPhase::Failed).await;
    let said = ready(&failed).message;
    assert!(
        said.contains("timeout of 3 s") && said.contains("everything was undone"),
        "{said}"
    );
    let world = team.sim.snapshot().await;
    let going = world["runs"].as_array().into_iter().flatten().filter(|run| {
        parameter(run, "gerrit_revision") == Some(slow.commit.as_str()) && run["status"]["state"] == "RUNNING"
    });
    assert_eq!(going.count(), 0);
    assert_eq!(team.sim.job(&team.job()).await, None, "it was not there before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_service_is_tried_again_and_a_storm_is_sat_out() {
    let gate = Gate::default();
    let Some(team) = Team::behind("faults", None, Some(&gate)).await else {
        return;
    };
    let team = Reviewed::of(team, &["prod"]).await;
    team.policy(&[team.code(), team.training()], json!({})).await;
    team.sim
        .script(json!({"job": team.job(), "result": "INTERNAL_ERROR"}))
        .await;
    let first = team.merge("train.py", "print(1)\n").await;
    let promotion = team.until_promotion(&first, PromotionPhase::Succeeded).await;
    let runs = team.sim.runs(&team.job()).await;
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert_ne!(
        parameter(&runs[0], "lockstep_key"),
        parameter(&runs[1], "lockstep_key")
    );
    assert_eq!(ready(&promotion).reason, "Succeeded");

    let storm = json!({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "too many requests"});
    gate.trouble(Some(Trouble::RefuseWrites(
        "run-now".into(),
        429,
        storm.to_string(),
    )));
    let second = team.merge("train.py", "print(2)\n").await;
    becomes("nobody starts it", true, || async {
        gate.arrived(|arrival| arrival.path.ends_with("/run-now")) > 3
    })
    .await;
    gate.trouble(None);
    team.until_promotion(&second, PromotionPhase::Succeeded).await;
    assert_eq!(team.sim.runs(&team.job()).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_or_a_file_that_somebody_changes_during_the_run_fails_it() {
    let Some(team) = training("tampered", json!({})).await else {
        return;
    };
    let good = team.merge("train.py", "print('good')\n").await;
    team.until_promotion(&good, PromotionPhase::Succeeded).await;

    let change = team.propose("train.py", "print('reviewed')\n");
    let path = format!("{}/train.py", team.directory("prod", &change.commit));
    team.sim
        .script(json!({"job": team.job(), "files": {path: "evil()"}}))
        .await;
    team.bring_in(&change).await;
    let failed = team.until_promotion(&change, PromotionPhase::Failed).await;
    assert_eq!(ready(&failed).reason, "CodeTampered", "{:?}", ready(&failed));
    assert!(
        ready(&failed).message.contains("train.py has changed"),
        "{:?}",
        ready(&failed)
    );

    team.resume().await;
    let evil = json!([{"task_key": "train", "spark_python_task": {"python_file": "/Shared/evil.py"}}]);
    team.sim
        .script(json!({"job": team.job(), "edits": {"tasks": evil}}))
        .await;
    let next = team.merge("train.py", "print('next')\n").await;
    let failed = team.until_promotion(&next, PromotionPhase::Failed).await;
    let said = ready(&failed);
    assert_eq!(said.reason, "JobRunsOtherCode", "{said:?}");
    assert!(said.message.contains("still in place: train"), "{said:?}");
    // What a person made of it is left for people to look at.
    let job = team.sim.job(&team.job()).await.unwrap();
    assert_eq!(
        job["settings"]["tasks"][0]["spark_python_task"]["python_file"],
        "/Shared/evil.py"
    );
    assert_eq!(team.prod().await.current.unwrap().revision, good.commit);
}
