//! How a run stands, in the domain's words. The vendor says it twice, in an older and a newer way; the newer is read
//! where it is there.

use lockstep_core::domain::promotion::machine::state::{Failure, FailureKind};
use serde_json::Value;

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Going,
    Succeeded,
    /// Every task ran, and some that others made good have failed.
    WithFailures,
    Failed(Failure),
}

/// States in which a run is over: `status.state`, and `state.life_cycle_state` (databricks.md 5.1).
const OVER: [&str; 3] = ["TERMINATED", "SKIPPED", "INTERNAL_ERROR"];

/// The fault of a service or a cloud by its termination type; what else there is is the run's own.
fn kind(termination: &str, result: &str) -> FailureKind {
    match (termination, result) {
        ("INTERNAL_ERROR", _) => FailureKind::InternalError,
        ("CLOUD_FAILURE", _) => FailureKind::CloudFailure,
        (_, "TIMEDOUT") => FailureKind::TimedOut,
        _ => FailureKind::Failed,
    }
}

/// The first task of a run that failed by itself: its key, and the id under which its output is asked for. Those that
/// only went down with it, or that a person stopped, have nothing to say.
pub(super) fn culprit(run: &Value) -> Option<(&str, String)> {
    let failed = |task: &&Value| {
        let text = |pointer: &str| task.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let code = match text("/status/termination_details/code") {
            "" => text("/state/result_state"),
            code => code,
        };
        let innocent = [
            "",
            "SUCCESS",
            "SUCCESS_WITH_FAILURES",
            "SKIPPED",
            "DISABLED",
            "EXCLUDED",
        ];
        let stopped = [
            "USER_CANCELED",
            "CANCELED",
            "UPSTREAM_FAILED",
            "UPSTREAM_CANCELED",
        ];
        !innocent.contains(&code) && !stopped.contains(&code)
    };
    let tasks = run.get("tasks")?.as_array()?;
    let ended = |task: &&Value| task.get("end_time").and_then(Value::as_i64).unwrap_or(i64::MAX);
    let task = tasks.iter().filter(failed).min_by_key(ended)?;
    let key = task.get("task_key")?.as_str()?;
    Some((key, super::pages::id(task.get("run_id"))?))
}

/// What `runs/get` and `runs/list` say of a run.
pub fn standing(run: &Value) -> Standing {
    let text = |pointer: &str| run.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (newer, older) = (text("/status/state"), text("/state/life_cycle_state"));
    let state = if newer.is_empty() { older } else { newer };
    if !OVER.contains(&state) {
        return Standing::Going;
    }
    let result = text("/state/result_state");
    let code = match text("/status/termination_details/code") {
        "" => result,
        code => code,
    };
    // The older words put every end without a result of its own under one state.
    let termination = match text("/status/termination_details/type") {
        "" if older == "INTERNAL_ERROR" => "INTERNAL_ERROR",
        termination => termination,
    };
    match code {
        "SUCCESS" => return Standing::Succeeded,
        "SUCCESS_WITH_FAILURES" => return Standing::WithFailures,
        _ => {}
    }
    let message = match text("/status/termination_details/message") {
        "" => text("/state/state_message"),
        message => message,
    };
    let id = super::pages::id(run.get("run_id")).unwrap_or_default();
    let link = text("/run_page_url");
    let what = [code, message]
        .iter()
        .filter(|word| !word.is_empty())
        .copied()
        .collect::<Vec<_>>();
    Standing::Failed(Failure::new(
        kind(termination, result),
        format!("run {id} ended with {} ({link})", what.join(": ")),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn newer(code: &str, termination: &str) -> Value {
        json!({"run_id": 7, "run_page_url": "http://x/7",
               "status": {"state": "TERMINATED", "termination_details": {"code": code, "type": termination}}})
    }

    fn older(life: &str, result: &str) -> Value {
        json!({"run_id": 7, "state": {"life_cycle_state": life, "result_state": result, "state_message": "why"}})
    }

    #[test]
    fn only_the_services_and_the_clouds_faults_are_tried_again() {
        for (run, kind) in [
            (
                newer("INTERNAL_ERROR", "INTERNAL_ERROR"),
                FailureKind::InternalError,
            ),
            (newer("CLUSTER_ERROR", "CLOUD_FAILURE"), FailureKind::CloudFailure),
            (newer("RUN_EXECUTION_ERROR", "CLIENT_ERROR"), FailureKind::Failed),
            (newer("USER_CANCELED", "CLIENT_ERROR"), FailureKind::Failed),
            (newer("DISABLED", "SUCCESS"), FailureKind::Failed),
            (newer("BRAND_NEW", ""), FailureKind::Failed),
            (older("INTERNAL_ERROR", "FAILED"), FailureKind::InternalError),
            (older("TERMINATED", "TIMEDOUT"), FailureKind::TimedOut),
            (older("TERMINATED", "CANCELED"), FailureKind::Failed),
            (older("SKIPPED", ""), FailureKind::Failed),
            (older("TERMINATED", ""), FailureKind::Failed),
        ] {
            let Standing::Failed(why) = standing(&run) else {
                panic!("{run}");
            };
            assert_eq!(why.kind, kind, "{run}");
            assert!(why.message.starts_with("run 7 ended"), "{why:?}");
        }
    }

    #[test]
    fn the_task_that_failed_first_by_itself_is_to_blame() {
        let task = |key: &str, id: u64, code: &str, end: u64| json!({"task_key": key, "run_id": id, "end_time": end, "status": {"termination_details": {"code": code}}});
        let run = json!({"tasks": [
            task("load", 1, "SUCCESS", 1), task("last", 4, "UPSTREAM_FAILED", 2), task("late", 3, "DRIVER_ERROR", 9),
            task("train", 2, "RUN_EXECUTION_ERROR", 5),
        ]});
        assert_eq!(culprit(&run), Some(("train", "2".to_owned())));
        let older = json!({"tasks": [{"task_key": "a", "run_id": 7, "state": {"result_state": "FAILED"}}]});
        assert_eq!(culprit(&older), Some(("a", "7".to_owned())));
        let cancelled = json!({"tasks": [task("train", 2, "USER_CANCELED", 5)]});
        assert_eq!((culprit(&cancelled), culprit(&json!({}))), (None, None));
    }

    #[test]
    fn a_run_is_over_when_either_way_of_saying_says_so() {
        assert_eq!(standing(&newer("SUCCESS", "SUCCESS")), Standing::Succeeded);
        assert_eq!(standing(&older("TERMINATED", "SUCCESS")), Standing::Succeeded);
        assert_eq!(
            standing(&newer("SUCCESS_WITH_FAILURES", "SUCCESS")),
            Standing::WithFailures
        );
        for state in [
            "QUEUED",
            "PENDING",
            "RUNNING",
            "TERMINATING",
            "BLOCKED",
            "WAITING",
        ] {
            assert_eq!(standing(&json!({"status": {"state": state}})), Standing::Going);
        }
        assert_eq!(standing(&json!({})), Standing::Going);
    }
}
