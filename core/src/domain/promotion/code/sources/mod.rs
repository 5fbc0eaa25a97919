//! Whose code a job runs. Everything a definition can run code from is found by one walk over it and judged by one
//! table: it lies in the directory of reviewed files, or is pinned by exact version or digest, or the job runs other
//! code. What the table does not know is refused.

mod pins;
#[cfg(test)]
mod tests;
mod walk;

use serde_json::Value;

use super::tree::without_notebook_extension;
use crate::domain::promotion::gate::evidence::CommitId;
use crate::domain::promotion::machine::state::{Failure, FailureKind};
use pins::{has_scheme, inside, is_exact, is_pinned, normal};
use walk::{Source, walk};

/// What a job is judged against.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The job's name.
    pub name: &'a str,
    /// Application id of the identity it must run as.
    pub run_as: &'a str,
    pub revision: &'a CommitId,
    /// Where reviewed files lie, if a step uploaded any.
    pub directory: Option<&'a str>,
}

impl Frame<'_> {
    pub(in crate::domain::promotion) fn other_code(&self, what: &str) -> Failure {
        let message = format!("job {:?} would run code that was not reviewed: {what}", self.name);
        Failure::new(FailureKind::JobRunsOtherCode, message)
    }
}

/// Makes relative paths absolute below the directory.
pub(in crate::domain::promotion) fn resolve(settings: &mut Value, frame: &Frame<'_>) -> Result<(), Failure> {
    walk(settings, &mut |place, source| {
        let (text, notebook, before) = match source {
            Source::Path { text, notebook } => (text, notebook, ""),
            Source::Requirements(text) => (text, false, "-r "),
            _ => return Ok(()),
        };
        let path = text
            .strip_prefix(before)
            .unwrap_or(text.as_str())
            .trim()
            .to_owned();
        if path.starts_with('/') || has_scheme(&path) {
            return Ok(());
        }
        let Some(directory) = frame.directory else {
            let why = format!("{place} is {path:?}, and no files step before it uploads anything");
            return Err(frame.other_code(&why));
        };
        let path = if notebook {
            without_notebook_extension(&path)
        } else {
            path.as_str()
        };
        let joined = normal(&format!("{directory}/{path}"))
            .filter(|joined| inside(joined, Some(directory)))
            .ok_or_else(|| frame.other_code(&format!("{place} is {path:?}, which leaves the tree")))?;
        // Both spellings mean one path, but libraries are found by the longer one only.
        let spelled = if directory.starts_with("/Workspace/") {
            "/Workspace"
        } else {
            ""
        };
        *text = format!("{before}{spelled}{joined}");
        Ok(())
    })
}

/// Fails with `JobRunsOtherCode` unless all code of these settings is this step's.
pub fn check(settings: &Value, frame: &Frame<'_>) -> Result<(), Failure> {
    let mut settings = settings.clone();
    let tasks = settings.get("tasks").and_then(Value::as_array);
    if tasks.is_none_or(Vec::is_empty) {
        return Err(frame.other_code("it has no tasks"));
    }
    walk(&mut settings, &mut |place, source| {
        let refuse = |why: &str| Err(frame.other_code(&format!("{place} {why}")));
        match source {
            Source::Path { text, .. } if inside(text, frame.directory) => Ok(()),
            Source::Requirements(text) if inside(text.trim_start_matches("-r ").trim(), frame.directory) => {
                Ok(())
            }
            Source::Path { text, .. } | Source::Requirements(text) => {
                let where_to = frame
                    .directory
                    .unwrap_or("a files step's directory, which there is none");
                refuse(&format!("is {text:?}, which is not in {where_to}"))
            }
            Source::Package(text) if is_pinned(text) => Ok(()),
            Source::Package(text) => refuse(&format!("is {text:?}: pin it as name==version")),
            Source::Maven(text) if is_exact(text) => Ok(()),
            Source::Maven(text) => refuse(&format!("is {text:?}: pin it as group:artifact:version")),
            Source::Image(text) if text.contains("@sha256:") => Ok(()),
            Source::Image(text) => refuse(&format!("is {text:?}: pin it by @sha256 digest")),
            Source::Git(source) => {
                let commit = source.get("git_commit").and_then(Value::as_str);
                if commit == Some(&frame.revision.0) {
                    Ok(())
                } else {
                    refuse(&format!("is not pinned to git_commit {}", frame.revision))
                }
            }
            Source::Elsewhere(why) => refuse(&why),
        }
    })
}
