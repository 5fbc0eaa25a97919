//! Runs: found by the key they carry as a parameter, read whole, cancelled. Nothing here starts one.

use jiff::{SignedDuration, Timestamp};
use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::promotion::code::definition::{KEY, PROMOTION};
use lockstep_core::domain::promotion::ports::deployments::Key;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::limits::Family;
use super::super::plane::Plane;
use super::pages;
use crate::clients::http::{Call, Effect};

/// The vendor's largest page of runs.
const PAGE: &str = "25";
/// Letters of a task's own error that are told.
const ERROR: usize = 500;
/// By how much the vendor's clock may be behind ours when we look for what we began.
const SLACK: SignedDuration = SignedDuration::from_mins(10);

pub fn listing() -> Call {
    let path = "/api/2.2/jobs/runs/list";
    Call::get(path, path, Family::Other.name()).query("limit", PAGE)
}

/// The value that a run was started with for a job parameter.
pub fn parameter<'a>(run: &'a Value, name: &str) -> Option<&'a str> {
    let rows = run.get("job_parameters")?.as_array()?;
    let row = rows.iter().find(|row| row["name"] == name)?;
    row.get("value").or(row.get("default"))?.as_str()
}

pub(super) fn is_of(run: &Value, key: &Key) -> bool {
    parameter(run, KEY) == Some(&key.token.0)
}

/// The run that this key started; of these jobs, or of any where the job is gone.
pub(super) async fn search(plane: &Plane, key: &Key, jobs: &[String]) -> Result<Option<String>, SystemError> {
    let since = key.since.checked_sub(SLACK).unwrap_or(Timestamp::MIN);
    let first = listing().query("start_time_from", since.as_millisecond().to_string());
    let mut calls: Vec<Call> = jobs
        .iter()
        .map(|job| first.clone().query("job_id", job.as_str()))
        .collect();
    if calls.is_empty() {
        calls.push(first);
    }
    for call in calls {
        let found = |rows: &[Value]| rows.iter().any(|run| is_of(run, key));
        let rows = pages::rows(plane, &call, "runs", found).await?;
        if let Some(run) = rows.iter().find(|run| is_of(run, key)) {
            return Ok(pages::id(run.get("run_id")));
        }
    }
    Ok(None)
}

/// Runs of a job that a promotion started and that are not over.
pub(super) async fn active(plane: &Plane, job: &str, promotion: &str) -> Result<Vec<String>, SystemError> {
    let call = listing().query("active_only", "true").query("job_id", job);
    let rows = pages::rows(plane, &call, "runs", |_| false).await?;
    Ok(rows
        .iter()
        .filter(|run| parameter(run, PROMOTION) == Some(promotion))
        .filter_map(|run| pages::id(run.get("run_id")))
        .collect())
}

/// A run with all its tasks; `None`: it is gone.
pub async fn whole(plane: &Plane, run: &str) -> Result<Option<Value>, SystemError> {
    let path = "/api/2.2/jobs/runs/get";
    let call = Call::get(path, path, Family::RunsGet.name()).query("run_id", run);
    pages::whole(plane, &call, None).await
}

/// What a task's run says went wrong, in its own words; `None`: nothing.
pub(super) async fn error(plane: &Plane, task: &str) -> Result<Option<String>, SystemError> {
    let path = "/api/2.2/jobs/runs/get-output";
    let call = Call::get(path, path, Family::Other.name()).query("run_id", task);
    let output = plane.find::<Value>(call).await?;
    let error = output.as_ref().and_then(|output| output.get("error")?.as_str());
    Ok(error.map(short).filter(|error| !error.is_empty()))
}

/// One line of a sane length, its end kept: that is where the words stand that matter.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = line.chars().count();
    if length <= ERROR {
        return line;
    }
    let end: String = line.chars().skip(length - ERROR).collect();
    format!("... {end}")
}

/// Asks a run to end; one that is over, or gone, has ended.
pub async fn cancel(plane: &Plane, run: &str) -> Result<(), SystemError> {
    let path = "/api/2.2/jobs/runs/cancel";
    let number: Value = run
        .parse::<u64>()
        .map_or_else(|_| json!(run), |number| json!(number));
    let call = Call::new(Method::POST, path, path, Family::Other.name(), Effect::Repeatable)
        .json(&json!({"run_id": number}));
    let response = plane.send(call).await?;
    if response.proves_absence() {
        return Ok(());
    }
    response.success().map(|_| ())
}

/// Milliseconds since the epoch, where there are any.
pub fn moment(value: Option<&Value>) -> Option<Timestamp> {
    let milliseconds = value?.as_i64().filter(|milliseconds| *milliseconds > 0)?;
    Timestamp::from_millisecond(milliseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_error_the_end_is_told_in_one_line() {
        assert_eq!(short("ValueError:\n  no data\n"), "ValueError: no data");
        let long = short(&format!("{} the end", "x ".repeat(1_000)));
        assert!(long.starts_with("... ") && long.ends_with("the end"), "{long}");
        assert_eq!(long.chars().count(), ERROR + 4);
    }
}
