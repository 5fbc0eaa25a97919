//! What the definition of tasks must be before a job or a run is made of it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::call::only;
use crate::error::ApiError;

/// What a task can do; each has exactly one [GO service/jobs/model.go Task].
const KINDS: &[&str] = &[
    "ai_runtime_task",
    "alert_task",
    "clean_rooms_notebook_task",
    "condition_task",
    "dashboard_task",
    "dbt_cloud_task",
    "dbt_platform_task",
    "dbt_task",
    "for_each_task",
    "gen_ai_compute_task",
    "notebook_task",
    "pipeline_task",
    "power_bi_task",
    "python_operator_task",
    "python_wheel_task",
    "run_job_task",
    "spark_jar_task",
    "spark_python_task",
    "spark_submit_task",
    "sql_task",
];

const OTHERS: &[&str] = &[
    "compute",
    "depends_on",
    "description",
    "disable_auto_optimization",
    "disabled",
    "email_notifications",
    "environment_key",
    "environment_variables_key",
    "existing_cluster_id",
    "health",
    "job_cluster_key",
    "libraries",
    "max_retries",
    "min_retry_interval_millis",
    "new_cluster",
    "notification_settings",
    "retry_on_timeout",
    "run_if",
    "task_key",
    "timeout_seconds",
    "webhook_notifications",
];

/// Fields of the kinds that this simulator understands, and those they must have.
const FIELDS: &[(&str, &[&str], &[&str])] = &[
    (
        "spark_python_task",
        &["python_file", "parameters", "source"],
        &["python_file"],
    ),
    (
        "notebook_task",
        &["notebook_path", "base_parameters", "source", "warehouse_id"],
        &["notebook_path"],
    ),
    (
        "python_wheel_task",
        &["package_name", "entry_point", "parameters", "named_parameters"],
        &["package_name", "entry_point"],
    ),
    (
        "sql_task",
        &[
            "warehouse_id",
            "alert",
            "dashboard",
            "file",
            "parameters",
            "query",
        ],
        &["warehouse_id"],
    ),
];

const RUN_IF: &[&str] = &[
    "ALL_DONE",
    "ALL_FAILED",
    "ALL_SUCCESS",
    "AT_LEAST_ONE_FAILED",
    "AT_LEAST_ONE_SUCCESS",
    "NONE_FAILED",
];

fn text<'a>(task: &'a Map<String, Value>, name: &str) -> &'a str {
    task.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub fn needs(task: &Map<String, Value>) -> impl Iterator<Item = &str> {
    task.get("depends_on")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|row| row["task_key"].as_str())
}

/// Refuses what the vendor refuses of the `tasks` in settings.
pub fn check(settings: &Map<String, Value>) -> Result<(), ApiError> {
    let rows = match settings.get("tasks") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(rows)) => rows,
        Some(_) => return Err(ApiError::malformed("tasks must be a list")),
    };
    let tasks: Vec<&Map<String, Value>> = rows
        .iter()
        .map(|row| {
            row.as_object()
                .ok_or_else(|| ApiError::malformed("A task must be an object"))
        })
        .collect::<Result<_, _>>()?;
    let mut keys = BTreeSet::new();
    for task in &tasks {
        one(task)?;
        if !keys.insert(text(task, "task_key")) {
            return Err(ApiError::invalid(format!(
                "Duplicate task key '{}'",
                text(task, "task_key")
            )));
        }
    }
    if let Some(unknown) = tasks
        .iter()
        .flat_map(|task| needs(task))
        .find(|key| !keys.contains(key))
    {
        return Err(ApiError::invalid(format!("Task key '{unknown}' does not exist")));
    }
    acyclic(&tasks)
}

fn one(task: &Map<String, Value>) -> Result<(), ApiError> {
    let known: Vec<&str> = KINDS.iter().chain(OTHERS).copied().collect();
    only(task, &known)?;
    let key = text(task, "task_key");
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.is_empty() || key.len() > 100 || !key.chars().all(plain) {
        return Err(ApiError::invalid(format!(
            "Invalid task key '{key}': expected 1 to 100 letters, digits, '-' and '_'"
        )));
    }
    let kinds: Vec<&&str> = KINDS.iter().filter(|kind| task.contains_key(**kind)).collect();
    let [kind] = kinds.as_slice() else {
        return Err(ApiError::invalid(format!(
            "Task '{key}' must have exactly one kind of task, but has {}",
            kinds.len()
        )));
    };
    let run_if = text(task, "run_if");
    if !run_if.is_empty() && !RUN_IF.contains(&run_if) {
        return Err(ApiError::invalid(format!("Invalid run_if '{run_if}'")));
    }
    let (Some((_, fields, required)), Some(body)) = (
        FIELDS.iter().find(|(name, ..)| name == *kind),
        task.get(**kind).and_then(Value::as_object),
    ) else {
        return Ok(());
    };
    only(body, fields)?;
    match required.iter().find(|name| text(body, name).is_empty()) {
        Some(missing) => Err(ApiError::invalid(format!(
            "Missing required field: {kind}.{missing}"
        ))),
        None => Ok(()),
    }
}

fn acyclic(tasks: &[&Map<String, Value>]) -> Result<(), ApiError> {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    loop {
        let ready: Vec<&str> = tasks
            .iter()
            .filter(|task| !done.contains(text(task, "task_key")))
            .filter(|task| needs(task).all(|key| done.contains(key)))
            .map(|task| text(task, "task_key"))
            .collect();
        if ready.is_empty() {
            break;
        }
        done.extend(ready);
    }
    if done.len() == tasks.len() {
        return Ok(());
    }
    Err(ApiError::invalid("The tasks depend on each other in a cycle"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn refusal(tasks: Value) -> Option<String> {
        let settings = Map::from_iter([("tasks".to_owned(), tasks)]);
        check(&settings).err().map(|error| error.message)
    }

    fn task(key: &str, needs: &[&str]) -> Value {
        let needs: Vec<Value> = needs.iter().map(|key| json!({"task_key": key})).collect();
        json!({"task_key": key, "depends_on": needs, "notebook_task": {"notebook_path": "/n"}})
    }

    #[test]
    fn a_task_does_exactly_one_thing() {
        assert_eq!(refusal(json!([task("a", &[]), task("b", &["a"])])), None);
        assert!(refusal(json!([{"task_key": "a"}])).unwrap().contains("but has 0"));
        assert!(refusal(json!([{"task_key": "a", "sql_task": {}, "dbt_task": {}}])).is_some());
    }

    #[test]
    fn tasks_that_wait_for_each_other_are_refused() {
        assert!(
            refusal(json!([task("a", &["b"]), task("b", &["a"])]))
                .unwrap()
                .contains("cycle")
        );
        assert!(refusal(json!([task("a", &["c"])])).unwrap().contains("'c'"));
        assert!(
            refusal(json!([task("a", &[]), task("a", &[])]))
                .unwrap()
                .contains("Duplicate")
        );
    }
}
