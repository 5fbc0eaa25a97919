//! A scratch job whose one task compares two words: it needs no compute and runs nobody's code.

use std::collections::BTreeMap;

use lockstep_core::domain::promotion::code::definition::{KEY, PROMOTION, parameters};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::deploy::run_state::{Standing, standing};
use super::super::deploy::{jobs, pages, runs};
use super::{Bench, LOOK, PROPAGATION};
use crate::clients::contract::{Broken, Held, demand};

fn name(b: &Bench<'_>) -> String {
    format!("{}-run", b.prefix)
}

/// Declares what Lockstep declares in every job.
fn settings(b: &Bench<'_>) -> Value {
    let given = given(b);
    let declared: Vec<Value> = given
        .keys()
        .map(|name| json!({"name": name, "default": ""}))
        .collect();
    let compare = json!({"op": "EQUAL_TO", "left": "1", "right": "1"});
    json!({
        "name": name(b),
        "tasks": [{"task_key": "compare", "condition_task": compare}],
        "parameters": declared,
    })
}

fn given(b: &Bench<'_>) -> BTreeMap<String, String> {
    parameters(&BTreeMap::new(), &b.prefix, &token(b), 1, &"0".repeat(40))
}

/// At most 64 characters.
fn token(b: &Bench<'_>) -> String {
    let mut token = b.prefix.clone();
    token.truncate(64);
    token
}

pub(super) async fn job(b: &Bench<'_>) -> Result<Held, Broken> {
    b.job.get("scratch job")?;
    jobs::create(b.plane, &settings(b)).await?;
    let end = Instant::now() + PROPAGATION;
    let id = loop {
        let ids = jobs::named(b.plane, &name(b)).await?;
        if let [id] = ids.as_slice() {
            break id.clone();
        }
        demand(ids.is_empty() && Instant::now() < end, || format!("jobs {ids:?}"))?;
        tokio::time::sleep(LOOK).await;
    };
    let body = json!({"job_id": jobs::number(&id)});
    b.undo("job", Method::POST, "/api/2.2/jobs/delete".into(), Some(body));
    jobs::reset(b.plane, &id, &settings(b)).await?;
    let job = jobs::get(b.plane, &id).await?;
    let job = job.ok_or_else(|| Broken::Seen(format!("job {id} is not there")))?;
    let same = job.settings["tasks"][0]["task_key"] == json!("compare");
    demand(same && job.run_as.is_some(), || {
        format!("runs as {:?}: {}", job.run_as, job.settings)
    })?;
    b.running_job.set(id);
    Ok(None)
}

pub(super) async fn once(b: &Bench<'_>) -> Result<Held, Broken> {
    let job = b.running_job.get("scratch job to run")?;
    let body = json!({
        "job_id": jobs::number(&job),
        "idempotency_token": token(b),
        "job_parameters": given(b),
        "queue": {"enabled": true},
    });
    let mut started = Vec::new();
    for _ in 0..2 {
        let said = b.send(Method::POST, "/api/2.2/jobs/run-now", &body).await?;
        demand(said.is_success(), || said.show())?;
        started.extend(pages::id(said.json.get("run_id")));
    }
    let [first, second] = started.as_slice() else {
        return Err(Broken::Seen("an answer without run_id".into()));
    };
    b.run.set(first);
    if first != second {
        runs::cancel(b.plane, second).await?;
    }
    demand(first == second, || format!("runs {first} and {second}"))?;
    Ok(None)
}

pub(super) async fn found(b: &Bench<'_>) -> Result<Held, Broken> {
    let (job, run) = (
        b.running_job.get("scratch job to run")?,
        b.run.get("scratch run")?,
    );
    let end = Instant::now() + PROPAGATION;
    loop {
        let call = runs::listing().query("job_id", job.as_str());
        let rows = pages::rows(b.plane, &call, "runs", |_| false).await?;
        let named = rows
            .iter()
            .find(|row| runs::parameter(row, KEY) == Some(&token(b)));
        if let Some(row) = named {
            let whole = pages::id(row.get("run_id")).as_deref() == Some(&run)
                && runs::parameter(row, PROMOTION) == Some(&b.prefix)
                && runs::moment(row.get("start_time")).is_some();
            demand(whole, || row.to_string())?;
            return Ok(None);
        }
        demand(Instant::now() < end, || {
            format!("{} runs of the job, none with the parameter", rows.len())
        })?;
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) async fn ended(b: &Bench<'_>) -> Result<Held, Broken> {
    let run = b.run.get("scratch run")?;
    for _ in 0..2 {
        runs::cancel(b.plane, &run).await?;
    }
    let end = Instant::now() + PROPAGATION;
    loop {
        let Some(whole) = runs::whole(b.plane, &run).await? else {
            return Err(Broken::Seen(format!("run {run} is gone")));
        };
        match standing(&whole) {
            Standing::Going => {}
            Standing::Succeeded => return Ok(Some("it was over before it could be cancelled".into())),
            Standing::WithFailures | Standing::Failed(_) => return Ok(None),
        }
        demand(Instant::now() < end, || {
            format!(
                "still {} and {}",
                whole["status"]["state"], whole["state"]["life_cycle_state"]
            )
        })?;
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) async fn deleted(b: &Bench<'_>) -> Result<Held, Broken> {
    let job = b.running_job.get("scratch job to run")?;
    for _ in 0..2 {
        jobs::delete(b.plane, &job).await?;
    }
    let left = jobs::get(b.plane, &job).await?;
    demand(left.is_none(), || format!("job {job} is still there"))?;
    Ok(None)
}
