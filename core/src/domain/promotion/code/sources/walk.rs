//! The walk over a definition: every place that code can come from, one row per kind of task. It judges nothing.

use serde_json::{Map, Value};

use super::pins::has_scheme;
use crate::domain::promotion::machine::state::Failure;

/// One place of a definition that code comes from.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// A workspace path; `notebook`: it loses its extension.
    Path { text: &'a mut String, notebook: bool },
    /// `-r PATH` among the requirements of an environment.
    Requirements(&'a mut String),
    /// A Python requirement.
    Package(&'a str),
    /// Maven coordinates.
    Maven(&'a str),
    /// A container image.
    Image(&'a str),
    /// The job's Git repository.
    Git(&'a Value),
    /// Something whose code cannot be known from here.
    Elsewhere(String),
}

/// How the code of a kind of task is found.
#[derive(Clone, Copy)]
enum Kind {
    /// In this field, a path.
    Path { field: &'static str, notebook: bool },
    /// `file.path`; what else a SQL task names are objects of the workspace.
    Sql,
    /// In libraries, environments and images, which are looked at in any case.
    Libraries,
    /// Another task inside.
    Nested,
    /// It runs none.
    NoCode,
}

/// Kinds of tasks of the Jobs API whose code a definition says (databricks.md 5.1); others start something that lives
/// elsewhere.
const KINDS: &[(&str, Kind)] = &[
    (
        "notebook_task",
        Kind::Path {
            field: "notebook_path",
            notebook: true,
        },
    ),
    (
        "spark_python_task",
        Kind::Path {
            field: "python_file",
            notebook: false,
        },
    ),
    (
        "dbt_task",
        Kind::Path {
            field: "project_directory",
            notebook: false,
        },
    ),
    ("sql_task", Kind::Sql),
    ("python_wheel_task", Kind::Libraries),
    ("spark_jar_task", Kind::Libraries),
    ("for_each_task", Kind::Nested),
    ("condition_task", Kind::NoCode),
];

pub(super) type Visit<'v> = &'v mut dyn FnMut(&str, Source<'_>) -> Result<(), Failure>;

/// Visits every source in a job's settings, or in the answer that shows a run.
pub(super) fn walk(settings: &mut Value, visit: Visit<'_>) -> Result<(), Failure> {
    let git = settings.get("git_source").is_some_and(|source| !source.is_null());
    if let Some(source) = settings.get("git_source").filter(|_| git) {
        visit("git_source", Source::Git(source))?;
    }
    for task in rows(settings.get_mut("tasks")) {
        visit_task(task, git, visit)?;
    }
    for cluster in rows(settings.get_mut("job_clusters")) {
        visit_cluster("job_clusters", cluster.get_mut("new_cluster"), visit)?;
    }
    for environment in rows(settings.get_mut("environments")) {
        let Some(spec) = environment.get_mut("spec") else {
            continue;
        };
        for dependency in rows(spec.get_mut("dependencies")) {
            if let Value::String(text) = dependency {
                visit_dependency(text, visit)?;
            }
        }
        for dependency in rows(spec.get_mut("java_dependencies")) {
            if let Value::String(text) = dependency {
                let place = "environments.java_dependencies";
                if text.matches(':').count() >= 2 && !has_scheme(text) {
                    visit(place, Source::Maven(text))?;
                } else {
                    visit(
                        place,
                        Source::Path {
                            text,
                            notebook: false,
                        },
                    )?;
                }
            }
        }
        if let Some(Value::String(text)) = spec.get_mut("base_environment") {
            visit(
                "environments.base_environment",
                Source::Path {
                    text,
                    notebook: false,
                },
            )?;
        }
    }
    Ok(())
}

fn rows(value: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    value.and_then(Value::as_array_mut).into_iter().flatten()
}

fn visit_task(task: &mut Value, git: bool, visit: Visit<'_>) -> Result<(), Failure> {
    let Some(task) = task.as_object_mut() else {
        return visit("a task", Source::Elsewhere("is no object".into()));
    };
    let key = task.get("task_key").and_then(Value::as_str).unwrap_or_default();
    let place = format!("task {key:?}");
    if task.get("existing_cluster_id").is_some_and(|id| !id.is_null()) {
        let why = "uses existing_cluster_id, and a cluster that exists can carry libraries and scripts that nobody \
                   reviewed: define new_cluster or an environment";
        visit(&place, Source::Elsewhere(why.into()))?;
    }
    let known: Vec<(&str, Kind)> = KINDS
        .iter()
        .filter(|(name, _)| task.get(*name).is_some_and(|body| !body.is_null()))
        .copied()
        .collect();
    let strange = task.iter().find(|(name, body)| {
        name.ends_with("_task") && !body.is_null() && !KINDS.iter().any(|(known, _)| known == name)
    });
    if let Some((name, _)) = strange {
        let why = format!("is a {name}, which starts something that is not in the reviewed tree");
        return visit(&place, Source::Elsewhere(why));
    }
    let [(name, kind)] = known[..] else {
        return visit(&place, Source::Elsewhere("does not do exactly one thing".into()));
    };
    match task.get_mut(name).and_then(Value::as_object_mut) {
        Some(body) => visit_kind(&place, name, kind, body, git, visit)?,
        None => visit(
            &place,
            Source::Elsewhere(format!("has a {name} that is no object")),
        )?,
    }
    visit_libraries(&place, task.get_mut("libraries"), visit)?;
    visit_cluster(&place, task.get_mut("new_cluster"), visit)
}

fn visit_kind(
    place: &str,
    name: &str,
    kind: Kind,
    body: &mut Map<String, Value>,
    git: bool,
    visit: Visit<'_>,
) -> Result<(), Failure> {
    // Without `source` it is GIT if the job has a git_source (databricks-sdk-go, service/jobs/model.go).
    let from_git = |body: &Map<String, Value>| match body.get("source").and_then(Value::as_str) {
        Some(source) => source == "GIT",
        None => git,
    };
    match kind {
        Kind::NoCode | Kind::Libraries => Ok(()),
        Kind::Nested => match body.get_mut("task") {
            Some(task) => visit_task(task, git, visit),
            None => visit(place, Source::Elsewhere("repeats nothing".into())),
        },
        Kind::Path { field, notebook } => {
            visit_path(place, name, field, notebook, from_git(body), git, body, visit)
        }
        Kind::Sql => {
            let other = ["query", "alert", "dashboard"]
                .into_iter()
                .find(|name| body.contains_key(*name));
            if let Some(other) = other {
                let why = format!("runs a {other} of the workspace: use a file of the tree");
                return visit(place, Source::Elsewhere(why));
            }
            match body.get_mut("file").and_then(Value::as_object_mut) {
                Some(file) => visit_path(
                    place,
                    "sql_task.file",
                    "path",
                    false,
                    from_git(file),
                    git,
                    file,
                    visit,
                ),
                None => visit(place, Source::Elsewhere("is a sql_task without a file".into())),
            }
        }
    }
}

#[allow(clippy::too_many_arguments)] // All of one place; a struct would be made to be taken apart.
fn visit_path(
    place: &str,
    name: &str,
    field: &str,
    notebook: bool,
    from_git: bool,
    git: bool,
    body: &mut Map<String, Value>,
    visit: Visit<'_>,
) -> Result<(), Failure> {
    if from_git {
        // The repository is judged once, for the whole job.
        return if git {
            Ok(())
        } else {
            visit(
                place,
                Source::Elsewhere("comes from Git, and the job has no git_source".into()),
            )
        };
    }
    match body.get_mut(field) {
        Some(Value::String(text)) => visit(
            &format!("{place}: {name}.{field}"),
            Source::Path { text, notebook },
        ),
        _ => visit(place, Source::Elsewhere(format!("has no {name}.{field}"))),
    }
}

fn visit_libraries(place: &str, libraries: Option<&mut Value>, visit: Visit<'_>) -> Result<(), Failure> {
    for library in rows(libraries) {
        for (kind, value) in library.as_object_mut().into_iter().flat_map(Map::iter_mut) {
            let place = format!("{place}: library {kind}");
            match (kind.as_str(), value) {
                ("jar" | "whl" | "egg" | "requirements", Value::String(text)) => {
                    visit(
                        &place,
                        Source::Path {
                            text,
                            notebook: false,
                        },
                    )?;
                }
                ("pypi", Value::Object(body)) => {
                    let text = body.get("package").and_then(Value::as_str).unwrap_or_default();
                    visit(&place, Source::Package(text))?;
                }
                ("maven", Value::Object(body)) => {
                    let text = body
                        .get("coordinates")
                        .and_then(Value::as_str)
                        .unwrap_or_default();
                    visit(&place, Source::Maven(text))?;
                }
                _ => visit(&place, Source::Elsewhere("cannot be pinned".into()))?,
            }
        }
    }
    Ok(())
}

fn visit_cluster(place: &str, cluster: Option<&mut Value>, visit: Visit<'_>) -> Result<(), Failure> {
    let Some(cluster) = cluster.and_then(Value::as_object_mut) else {
        return Ok(());
    };
    if let Some(url) = cluster
        .get("docker_image")
        .and_then(|image| image.get("url")?.as_str())
    {
        visit(&format!("{place}: docker_image"), Source::Image(url))?;
    }
    for script in rows(cluster.get_mut("init_scripts")) {
        for (kind, value) in script.as_object_mut().into_iter().flat_map(Map::iter_mut) {
            let place = format!("{place}: init script");
            match (kind.as_str(), value.get_mut("destination")) {
                ("workspace", Some(Value::String(text))) => {
                    visit(
                        &place,
                        Source::Path {
                            text,
                            notebook: false,
                        },
                    )?;
                }
                _ => visit(
                    &place,
                    Source::Elsewhere(format!("is in {kind}, not in the workspace")),
                )?,
            }
        }
    }
    Ok(())
}

fn visit_dependency(text: &mut String, visit: Visit<'_>) -> Result<(), Failure> {
    let place = "environments.dependencies";
    if let Some(path) = text
        .strip_prefix("-r ")
        .or_else(|| text.strip_prefix("--requirement "))
    {
        *text = format!("-r {}", path.trim());
        return visit(place, Source::Requirements(text));
    }
    if text.starts_with('-') {
        return visit(place, Source::Elsewhere(format!("has the option {text:?}")));
    }
    let wheel = text
        .rsplit_once('.')
        .is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("whl"));
    let local = text.starts_with(['/', '.']) || (wheel && !has_scheme(text));
    if local {
        visit(
            place,
            Source::Path {
                text,
                notebook: false,
            },
        )
    } else {
        visit(place, Source::Package(text))
    }
}
