//! Jobs of the workspace: found by name, read whole, made, set and deleted. What they should be is `job`'s to know.

use lockstep_core::domain::ports::SystemError;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::limits::Family;
use super::super::plane::Plane;
use super::pages;
use crate::clients::http::{Call, Effect};

/// A job as the workspace shows it.
#[derive(Debug)]
pub struct Job {
    pub id: String,
    pub settings: Value,
    /// Whom it runs as, as the workspace resolves it.
    pub run_as: Option<String>,
}

/// A job by id; `None`: it does not exist.
pub async fn get(plane: &Plane, id: &str) -> Result<Option<Job>, SystemError> {
    let path = "/api/2.2/jobs/get";
    let call = Call::get(path, path, Family::Other.name()).query("job_id", id);
    let Some(mut job) = pages::whole(plane, &call, Some("settings")).await? else {
        return Ok(None);
    };
    let run_as = job.get("run_as_user_name").and_then(Value::as_str);
    Ok(Some(Job {
        id: id.to_owned(),
        run_as: run_as.filter(|name| !name.is_empty()).map(ToOwned::to_owned),
        settings: job.get_mut("settings").map(Value::take).unwrap_or_default(),
    }))
}

/// Ids of all jobs of exactly this name; the vendor's filter overlooks case.
pub async fn named(plane: &Plane, name: &str) -> Result<Vec<String>, SystemError> {
    let path = "/api/2.2/jobs/list";
    let call = Call::get(path, path, Family::Other.name())
        .query("name", name)
        .query("limit", "100");
    let rows = pages::rows(plane, &call, "jobs", |_| false).await?;
    Ok(rows
        .iter()
        .filter(|job| job.pointer("/settings/name").and_then(Value::as_str) == Some(name))
        .filter_map(|job| pages::id(job.get("job_id")))
        .collect())
}

/// Makes a job. Never sent twice: one whose answer was lost is found by its name.
pub async fn create(plane: &Plane, settings: &Value) -> Result<(), SystemError> {
    let path = "/api/2.2/jobs/create";
    let call = Call::new(Method::POST, path, path, Family::JobsCreate.name(), Effect::Once);
    plane.write(call.json(settings)).await.map(|_| ())
}

/// Replaces all settings of a job.
pub async fn reset(plane: &Plane, id: &str, settings: &Value) -> Result<(), SystemError> {
    let path = "/api/2.2/jobs/reset";
    let call = Call::new(Method::POST, path, path, Family::Other.name(), Effect::Repeatable);
    let call = call.json(&json!({"job_id": number(id), "new_settings": settings}));
    plane.write(call).await.map(|_| ())
}

/// Deletes a job; one that is gone is deleted.
pub async fn delete(plane: &Plane, id: &str) -> Result<(), SystemError> {
    let path = "/api/2.2/jobs/delete";
    let call = Call::new(Method::POST, path, path, Family::Other.name(), Effect::Repeatable);
    let response = plane.send(call.json(&json!({"job_id": number(id)}))).await?;
    if response.proves_absence() {
        return Ok(());
    }
    response.success().map(|_| ())
}

/// Ids are numbers in bodies.
pub fn number(id: &str) -> Value {
    id.parse::<u64>()
        .map_or_else(|_| json!(id), |number| json!(number))
}
