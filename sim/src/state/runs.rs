//! Runs of jobs as values: what was asked, how far it is, how it ended. How a run moves on is told in
//! `runs::engine`; how it looks to a client in `runs::render`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::runs::script::Script;

/// How far a run, or one task of it, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for another run of the job to end.
    Queued,
    /// Waits for compute.
    Pending,
    /// A task that waits for the tasks it depends on.
    Blocked,
    Running,
    Terminating,
    Over(End),
}

/// How a run or a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Success,
    SuccessWithFailures,
    Failed,
    TimedOut,
    Canceled,
    InternalError,
    CloudFailure,
    /// The code to run is not there, or not readable for who runs it.
    NoSource,
    Skipped,
    UpstreamFailed,
    UpstreamCanceled,
    Excluded,
    Disabled,
}

/// `(end, life_cycle_state, result_state, termination code, termination type)` [GO service/jobs/model.go]. That a
/// run over its time limit is said to be CANCELED by code follows from the description of that code; how the state
/// of a task skipped for its upstream is worded is UNCONFIRMED.
type Words = (End, &'static str, &'static str, &'static str, &'static str);
const ENDS: &[Words] = &[
    (End::Success, "TERMINATED", "SUCCESS", "SUCCESS", "SUCCESS"),
    (
        End::SuccessWithFailures,
        "TERMINATED",
        "SUCCESS_WITH_FAILURES",
        "SUCCESS_WITH_FAILURES",
        "SUCCESS",
    ),
    (
        End::Failed,
        "TERMINATED",
        "FAILED",
        "RUN_EXECUTION_ERROR",
        "CLIENT_ERROR",
    ),
    (
        End::TimedOut,
        "TERMINATED",
        "TIMEDOUT",
        "CANCELED",
        "CLIENT_ERROR",
    ),
    (
        End::Canceled,
        "TERMINATED",
        "CANCELED",
        "USER_CANCELED",
        "CLIENT_ERROR",
    ),
    (
        End::InternalError,
        "INTERNAL_ERROR",
        "FAILED",
        "INTERNAL_ERROR",
        "INTERNAL_ERROR",
    ),
    (
        End::CloudFailure,
        "INTERNAL_ERROR",
        "FAILED",
        "CLOUD_FAILURE",
        "CLOUD_FAILURE",
    ),
    (
        End::NoSource,
        "INTERNAL_ERROR",
        "FAILED",
        "RESOURCE_NOT_FOUND",
        "CLIENT_ERROR",
    ),
    (
        End::Skipped,
        "SKIPPED",
        "MAXIMUM_CONCURRENT_RUNS_REACHED",
        "MAX_CONCURRENT_RUNS_EXCEEDED",
        "CLIENT_ERROR",
    ),
    (
        End::UpstreamFailed,
        "TERMINATED",
        "UPSTREAM_FAILED",
        "SKIPPED",
        "CLIENT_ERROR",
    ),
    (
        End::UpstreamCanceled,
        "TERMINATED",
        "UPSTREAM_CANCELED",
        "SKIPPED",
        "CLIENT_ERROR",
    ),
    (End::Excluded, "TERMINATED", "EXCLUDED", "SKIPPED", "SUCCESS"),
    (End::Disabled, "TERMINATED", "DISABLED", "DISABLED", "SUCCESS"),
];

impl End {
    pub fn words(self) -> &'static Words {
        ENDS.iter().find(|row| row.0 == self).unwrap_or(&ENDS[0])
    }

    /// Whether what depends on such a task may go on.
    pub fn is_good(self) -> bool {
        matches!(
            self,
            Self::Success | Self::SuccessWithFailures | Self::Excluded | Self::Disabled
        )
    }
}

impl Phase {
    pub fn is_over(self) -> bool {
        matches!(self, Self::Over(_))
    }

    /// `state.life_cycle_state`, the older word.
    pub fn life(self) -> &'static str {
        match self {
            Self::Over(end) => end.words().1,
            other => other.word(),
        }
    }

    /// `status.state`, the newer word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Pending => "PENDING",
            Self::Blocked => "BLOCKED",
            Self::Running => "RUNNING",
            Self::Terminating => "TERMINATING",
            Self::Over(_) => "TERMINATED",
        }
    }
}

/// One attempt at one task.
#[derive(Debug, Clone)]
pub struct TaskRun {
    pub id: u64,
    pub key: String,
    pub definition: Map<String, Value>,
    pub attempt: u64,
    pub phase: Phase,
    /// When it ends by itself; `None` while it waits, is held, or really runs.
    pub due: Option<i64>,
    pub start: Option<i64>,
    pub end: Option<i64>,
    pub message: String,
    pub logs: String,
    pub logs_truncated: bool,
    pub error: Option<String>,
    pub error_trace: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Repair {
    /// 0 for the original run.
    pub id: u64,
    pub task_runs: Vec<u64>,
    pub start: i64,
    pub end: Option<i64>,
    pub ended: Option<End>,
}

#[derive(Debug, Clone)]
pub struct Run {
    pub id: u64,
    pub workspace: u64,
    /// `None`: submitted without a job.
    pub job: Option<u64>,
    pub name: String,
    pub creator: u64,
    pub run_as: u64,
    /// The settings as they were when the run was made, tasks apart.
    pub settings: Map<String, Value>,
    /// `{name, default?, value}`.
    pub parameters: Vec<Value>,
    /// The older parameters, by kind of task.
    pub overriding: Map<String, Value>,
    pub queues: bool,
    pub phase: Phase,
    pub due: Option<i64>,
    /// Milliseconds that the run may take once it has its place.
    pub timeout: Option<i64>,
    pub deadline: Option<i64>,
    pub start: i64,
    pub running_since: Option<i64>,
    pub end: Option<i64>,
    pub message: String,
    pub tasks: Vec<TaskRun>,
    /// Attempts that a repair has replaced.
    pub replaced: Vec<TaskRun>,
    pub repairs: Vec<Repair>,
    pub script: Script,
    /// Milliseconds that a task takes unless the script says otherwise.
    pub pace: i64,
    /// Whether Python files really run.
    pub execute: bool,
}

impl Run {
    pub fn task(&self, id: u64) -> Option<&TaskRun> {
        self.tasks.iter().chain(&self.replaced).find(|task| task.id == id)
    }

    pub fn task_mut(&mut self, id: u64) -> Option<&mut TaskRun> {
        self.tasks.iter_mut().find(|task| task.id == id)
    }

    /// When something happens next without anybody asking.
    pub fn next(&self) -> Option<i64> {
        if self.phase.is_over() {
            return None;
        }
        let tasks = self.tasks.iter().filter(|task| !task.phase.is_over());
        self.due
            .into_iter()
            .chain(self.deadline)
            .chain(tasks.filter_map(|task| task.due))
            .min()
    }
}

/// A Python file that has to be run for real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub run: u64,
    pub task: u64,
}

#[derive(Debug, Clone, Default)]
pub struct Runs {
    by_id: BTreeMap<u64, Arc<Run>>,
    active: BTreeSet<u64>,
    /// Run of each task run.
    of_task: BTreeMap<u64, u64>,
    /// Idempotency tokens by workspace. They outlive their runs and their jobs (CLI#5882).
    pub tokens: BTreeMap<(u64, String), u64>,
    pub scripts: Vec<Script>,
    pub orders: Vec<Order>,
}

impl Runs {
    pub fn get(&self, id: u64) -> Option<&Run> {
        self.by_id.get(&id).map(Arc::as_ref)
    }

    pub fn get_mut(&mut self, id: u64) -> Option<&mut Run> {
        self.by_id.get_mut(&id).map(Arc::make_mut)
    }

    /// The run that a task run belongs to.
    pub fn of_task(&self, task: u64) -> Option<&Run> {
        self.of_task.get(&task).and_then(|id| self.get(*id))
    }

    pub fn insert(&mut self, run: Run) {
        self.index(&run);
        self.by_id.insert(run.id, Arc::new(run));
    }

    /// To be called when a run got new tasks, or is over.
    pub fn reindex(&mut self, id: u64) {
        if let Some(run) = self.by_id.get(&id).map(Arc::clone) {
            self.index(&run);
        }
    }

    fn index(&mut self, run: &Run) {
        for task in &run.tasks {
            self.of_task.insert(task.id, run.id);
        }
        if run.phase.is_over() {
            self.active.remove(&run.id);
        } else {
            self.active.insert(run.id);
        }
    }

    pub fn remove(&mut self, id: u64) {
        self.by_id.remove(&id);
        self.active.remove(&id);
        self.of_task.retain(|_, run| *run != id);
    }

    /// Newest first: ids are counted up.
    pub fn newest_first(&self) -> impl Iterator<Item = &Run> {
        self.by_id.values().rev().map(Arc::as_ref)
    }

    /// Oldest first.
    pub fn active(&self) -> impl Iterator<Item = &Run> {
        self.active.iter().filter_map(|id| self.get(*id))
    }

    pub fn next(&self) -> Option<i64> {
        self.active().filter_map(Run::next).min()
    }
}
