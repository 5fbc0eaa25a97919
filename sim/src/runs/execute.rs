//! With `--execute`, and only then: Python files of runs really run, with the local `python3`, in a copy of the
//! simulated workspace as whoever the run runs as may read it, so that a test can prove that the code that ran is
//! the code that was put there. The program is not confined: it can do what this process can do.

use std::fs::{self, DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use super::engine::{self, Leftover};
use super::source;
use crate::objects::files;
use crate::state::credentials::Bearer;
use crate::state::hidden::Hidden;
use crate::state::runs::{End, Order, Phase};
use crate::state::{Scope, State};
use crate::world::World;

/// How much of its output a task keeps [GO service/jobs/model.go RunOutput].
const LONGEST: usize = 5 * 1024 * 1024;

/// How often the world moves on although nobody asks: programs should start while nobody looks, too.
const BEAT: Duration = Duration::from_millis(25);

/// Keeps the world moving and starts what is ordered, for as long as the process lives.
pub async fn attend(world: Arc<World>, python: PathBuf) {
    loop {
        tokio::time::sleep(BEAT).await;
        world.tick();
        if world.state().runs.orders.is_empty() {
            continue;
        }
        let orders = std::mem::take(&mut world.state_mut().runs.orders);
        for order in orders {
            tokio::spawn(perform(Arc::clone(&world), order, python.clone()));
        }
    }
}

/// What a program needs.
struct Work {
    file: String,
    parameters: Vec<String>,
    /// Path in the workspace and bytes.
    files: Vec<(String, Vec<u8>)>,
    environment: Vec<(&'static str, String)>,
    token: String,
}

fn prepare(world: &World, order: Order) -> Option<Work> {
    let mut state = world.state_mut();
    let run = state.runs.get(order.run)?;
    let task = run.task(order.task)?;
    let (workspace, run_as) = (run.workspace, run.run_as);
    let file = source::python_file(run, task)?;
    let parameters = source::parameters(run, task);
    let host = world.addresses.get()?.get(&workspace)?.clone();
    let mut environment = vec![
        ("DATABRICKS_HOST", host),
        ("DATABRICKS_JOB_ID", run.job.unwrap_or_default().to_string()),
        ("DATABRICKS_JOB_RUN_ID", run.id.to_string()),
        ("DATABRICKS_TASK_RUN_ID", task.id.to_string()),
        ("DATABRICKS_TASK_KEY", task.key.clone()),
    ];
    let files = readable(&state, workspace, run_as);
    let token = format!("dapi-run-{}", state.new_hex());
    environment.push(("DATABRICKS_TOKEN", token.clone()));
    let bearer = Bearer::lasting(run_as, Scope::Workspace(workspace));
    state
        .credentials
        .bearers
        .insert(Hidden::new(token.clone()), bearer);
    Some(Work {
        file,
        parameters,
        files,
        environment,
        token,
    })
}

fn readable(state: &State, workspace: u64, who: u64) -> Vec<(String, Vec<u8>)> {
    ["files", "notebooks"]
        .into_iter()
        .flat_map(|kind| {
            state
                .objects
                .of_kind(workspace, kind)
                .map(move |object| (kind, object))
        })
        .filter(|(kind, object)| source::readable(state, workspace, kind, object, who))
        .filter_map(|(kind, object)| Some((object.name.clone(), files::bytes(kind, object)?)))
        .collect()
}

/// A directory that goes with its owner.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn materialise(work: &Work, task: u64) -> std::io::Result<Scratch> {
    let name = format!("databricks-sim-{}-{task}", std::process::id());
    let scratch = Scratch(std::env::temp_dir().join(name));
    DirBuilder::new().mode(0o700).create(&scratch.0)?;
    for (path, bytes) in &work.files {
        // Workspace paths are absolute; one that climbs out of the copy is not followed.
        if path.split('/').any(|part| part == "..") {
            continue;
        }
        let to = place(&scratch.0, path);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(to, bytes)?;
    }
    Ok(scratch)
}

fn place(scratch: &Path, path: &str) -> PathBuf {
    scratch.join("Workspace").join(path.trim_start_matches('/'))
}

async fn perform(world: Arc<World>, order: Order, python: PathBuf) {
    let Some(work) = prepare(&world, order) else {
        return;
    };
    let (end, leftover) = match run(&world, order, &python, &work).await {
        Ok(outcome) => outcome,
        Err(error) => (
            End::InternalError,
            Leftover {
                message: format!("Cannot run {}: {error}", python.display()),
                ..Leftover::default()
            },
        ),
    };
    let now = world.now();
    let mut state = world.state_mut();
    state.credentials.bearers.remove(work.token.as_str());
    engine::end_task(&mut state, order.run, order.task, end, leftover, now);
}

/// Runs the program to its end, or until its task is no longer wanted.
async fn run(world: &World, order: Order, python: &Path, work: &Work) -> std::io::Result<(End, Leftover)> {
    let scratch = materialise(work, order.task)?;
    let output = scratch.0.join("output");
    let log = File::create(&output)?;
    let program = place(&scratch.0, &work.file);
    let directory = program.parent().unwrap_or(&scratch.0);
    let mut child = Command::new(python)
        .arg("-B")
        .arg(&program)
        .args(&work.parameters)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &scratch.0)
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONIOENCODING", "utf-8")
        .envs(work.environment.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            () = tokio::time::sleep(BEAT) => if !wanted(world, order) {
                child.kill().await?;
            },
        }
    };
    let (logs, logs_truncated) = read(&output)?;
    if status.success() {
        let leftover = Leftover {
            logs,
            logs_truncated,
            ..Leftover::default()
        };
        return Ok((End::Success, leftover));
    }
    let trace = logs
        .rfind("Traceback (most recent call last):")
        .map(|at| logs[at..].trim_end().to_owned());
    let last = trace.as_deref().and_then(|trace| trace.lines().last());
    let error = last.map_or_else(|| format!("The program ended with {status}"), ToOwned::to_owned);
    Ok((
        End::Failed,
        Leftover {
            message: "Workload failed, see run output for details".to_owned(),
            error: Some(error),
            error_trace: trace,
            logs,
            logs_truncated,
        },
    ))
}

fn wanted(world: &World, order: Order) -> bool {
    world
        .state()
        .runs
        .get(order.run)
        .and_then(|run| run.task(order.task))
        .is_some_and(|task| task.phase == Phase::Running)
}

fn read(output: &Path) -> std::io::Result<(String, bool)> {
    let size = fs::metadata(output)?.len();
    let longest = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(output)?.take(longest).read_to_end(&mut bytes)?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), size > longest))
}
