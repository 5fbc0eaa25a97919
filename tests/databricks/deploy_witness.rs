//! What else happened: the population that completeness counts.

use jiff::{SignedDuration, Timestamp};
use lockstep_core::domain::promotion::ports::deployments::{Deployment as _, Population, words};
use lockstep_core::domain::promotion::proof::completeness::{Act, Runs};
use serde_json::json;

use crate::deploy::{DIRECTORY, MODEL, Stage, done, job_step, key, settled};
use crate::sim::{BOT, US};

fn hour() -> (Timestamp, Timestamp) {
    let now = Timestamp::now();
    let hour = SignedDuration::from_hours(1);
    (now.checked_sub(hour).unwrap(), now.checked_add(hour).unwrap())
}

fn addresses(population: &Population) -> Vec<&str> {
    population
        .occurrences
        .iter()
        .map(|one| one.address.as_str())
        .collect()
}

#[tokio::test]
async fn every_run_as_the_identity_is_seen_whoever_started_it() {
    let stage = Stage::set().await;
    stage.upload().await;
    let (jobs, step, key) = (stage.deployment.jobs(), job_step(), key("train", 1));
    jobs.act(&key, &step, &jobs.prepare(&step).await.unwrap())
        .await
        .unwrap();
    let ours = done(settled(&stage.deployment, &key, &step).await);
    // The same job, started by hand; a job of somebody else; and a run that has none.
    let job: u64 = ours[words::JOB].parse().unwrap();
    let theirs = stage
        .sim
        .stranger("POST", "/api/2.2/jobs/run-now", json!({"job_id": job}))
        .await;
    stage.register("ada@example.com").await;
    let task = json!({"task_key": "t", "condition_task": {"op": "EQUAL_TO", "left": "1", "right": "1"}});
    stage
        .sim
        .stranger(
            "POST",
            "/api/2.2/jobs/runs/submit",
            json!({"run_name": "once", "tasks": [task]}),
        )
        .await;
    stage.sim.settings(json!({"emptyPages": true})).await;
    let (from, to) = hour();
    let bot = [BOT.to_owned()].into();
    let witness = stage.deployment.witness();
    let found = witness.runs(&bot, from, to).await.unwrap();
    let theirs = format!("databricks://1234567890123456/runs/{}", theirs["run_id"]);
    let mut seen: Vec<_> = found
        .seen
        .iter()
        .map(|run| {
            let address = run.occurrence.address.as_str();
            (address, run.run_as.as_str(), run.token.as_ref(), run.triggered)
        })
        .collect();
    let mut expected = vec![
        (ours[words::ADDRESS].as_str(), BOT, Some(&key.token), false),
        (theirs.as_str(), BOT, None, false),
    ];
    seen.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let starters: Vec<_> = found
        .seen
        .iter()
        .map(|run| run.occurrence.by.as_deref())
        .collect();
    assert!(starters.contains(&Some(US)), "{starters:?}");
    let job = job.to_string();
    assert!(found.seen.iter().all(|run| run.job.as_ref() == Some(&job)));
    assert!(found.seen.iter().all(|run| found.newest >= run.occurrence.at));
    assert_eq!(found.hidden.len(), 1, "{found:?}");
    assert!(found.hidden[0].why.contains("without a job"), "{found:?}");
    assert_eq!(found.unseen, []);
    // One listing serves whoever else is asked for.
    let both = [BOT.to_owned(), "ada@example.com".to_owned()].into();
    let more = witness.runs(&both, from, to).await.unwrap();
    assert!(more.seen.len() > found.seen.len() || more == found, "{more:?}");
    // Of what is gone nobody can say whom it ran as.
    stage
        .sim
        .stranger(
            "POST",
            "/api/2.2/jobs/delete",
            json!({"job_id": job.parse::<u64>().unwrap()}),
        )
        .await;
    let found = witness.runs(&bot, from, to).await.unwrap();
    assert_eq!(found.seen, []);
    let gone = found
        .hidden
        .iter()
        .filter(|hidden| hidden.why == "the job is gone");
    assert_eq!(gone.count(), 2, "{found:?}");
    let long_ago: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    let found = witness.runs(&bot, long_ago, long_ago).await.unwrap();
    assert_eq!(found, Runs::default());
}

#[tokio::test]
async fn a_model_that_is_not_there_is_said_to_be_unseen() {
    let stage = Stage::set().await;
    let (from, to) = hour();
    let aliases = ["champion".to_owned()].into();
    let witness = stage.deployment.witness();
    let population = witness
        .model("ml.fraud.nothing", &aliases, from, to)
        .await
        .unwrap();
    assert_eq!(population.occurrences, []);
    assert_eq!(population.unseen[0].what, "model ml.fraud.nothing");
}

#[tokio::test]
async fn versions_aliases_configurations_and_files_are_seen_with_their_makers() {
    let stage = Stage::set().await;
    let files = stage.upload().await;
    stage.register("ada@example.com").await;
    let path = format!("/api/2.1/unity-catalog/models/{MODEL}/aliases/champion");
    stage.sim.stranger("PUT", &path, json!({"version_num": 1})).await;
    let (from, to) = hour();
    let witness = stage.deployment.witness();
    let aliases = ["champion".to_owned(), "nothing".to_owned()].into();
    let population = witness.model(MODEL, &aliases, from, to).await.unwrap();
    let acts: Vec<Act> = population.occurrences.iter().map(|one| one.act).collect();
    assert_eq!(acts, [Act::Version, Act::Alias]);
    assert_eq!(population.occurrences[0].by.as_deref(), Some("ada@example.com"));
    let body = json!({"name": "fraud-scorer", "config": {"served_entities": [
        {"entity_name": MODEL, "entity_version": "1", "workload_size": "Small"}]}});
    stage
        .sim
        .stranger("POST", "/api/2.0/serving-endpoints", body)
        .await;
    let population = witness.endpoint("fraud-scorer").await.unwrap();
    assert_eq!(
        addresses(&population),
        ["databricks://1234567890123456/serving-endpoints/fraud-scorer/config/1"]
    );
    assert_eq!(population.occurrences[0].by.as_deref(), Some("admin@example.com"));
    assert_eq!(witness.endpoint("nothing").await.unwrap(), Population::default());
    let population = witness.files("/Workspace/lockstep/fraud", "0123*").await.unwrap();
    assert_eq!(
        addresses(&population),
        [files[words::ADDRESS].as_str()],
        "{DIRECTORY}"
    );
    let others = witness.files("/Workspace/lockstep/fraud", "9*").await.unwrap();
    assert_eq!(others, Population::default());
}
