//! The place that a project's events are posted to, in the file that Gerrit's plugin webhooks reads: `webhooks.config` of
//! `refs/meta/config`. It is changed by a change of its own, so that it is seen and can be held up like any other
//! configuration; whoever may submits it at once. What others wrote there stays as it is, to the letter.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::ports::reviews::{Remote, Written};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::super::GerritSystem;
use super::super::names::segment;
use super::super::rest::parse;
use super::super::wire::ChangeInfo;
use crate::clients::http::Effect;

const FILE: &str = "webhooks.config";
const CONFIG: &str = "refs/meta/config";
/// A reading of rights that is young enough to tell whether the site demands review.
const RIGHTS: SignedDuration = SignedDuration::from_secs(60);

#[derive(Serialize)]
struct NewChange<'a> {
    project: &'a str,
    branch: &'a str,
    subject: &'a str,
}

#[derive(Serialize)]
struct Quietly {
    notify: &'static str,
}

#[derive(Serialize)]
struct Approve {
    labels: std::collections::BTreeMap<&'static str, i32>,
    notify: &'static str,
}

impl GerritSystem {
    pub(super) async fn read_remote(&self, project: &str, name: &str) -> Result<Option<Remote>, SystemError> {
        let text = self.webhooks(project).await?;
        Ok(find(&text, name))
    }

    pub(super) async fn change_remote(
        &self,
        project: &str,
        name: &str,
        wanted: Option<&Remote>,
    ) -> Result<Written, SystemError> {
        // Two policies of one project want the same thing at the same time.
        let _one = self.creating.lock().await;
        let before = self.webhooks(project).await?;
        if find(&before, name).as_ref() == wanted {
            return Ok(Written::Already);
        }
        let after = with(&before, name, wanted);
        let digest = hex::encode(Sha256::digest(&after));
        let subject = format!("lockstep: tell {name} of what happens ({})", &digest[..12]);
        let change = match self.proposed(project, &subject).await? {
            Some(change) => change,
            None => self.propose_config(project, &subject).await?,
        };
        self.fill(&change, &after).await?;
        let fresh = self.clock.now().checked_sub(RIGHTS).unwrap_or_default();
        let access = self.project_access(project, fresh).await?;
        let reviewed = access.is_some_and(|access| access.require_change_for_config_update);
        if reviewed || !self.submit_config(&change).await? {
            return Err(self.pending("configuration", project, &change));
        }
        if find(&self.webhooks(project).await?, name).as_ref() == wanted {
            return Ok(Written::Done);
        }
        let message =
            format!("{FILE} of {project} is not as written: somebody else edits it at the same time");
        Err(self.rest.http.error(SystemErrorKind::Stale, message).partly())
    }

    /// The file as it stands; empty where there is none.
    async fn webhooks(&self, project: &str) -> Result<String, SystemError> {
        let branch = format!("a/projects/{}/branches/{}", segment(project), segment(CONFIG));
        let file = format!("{branch}/files/{FILE}/content");
        let answer = self
            .rest
            .ask(
                "/a/projects/{project}/branches/{branch}/files/{file}/content",
                file,
                &[],
            )
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            // Missing, or hidden with its branch: what is not seen must not be written over.
            let route = "/a/projects/{project}/branches/{branch}";
            self.rest.ask(route, branch, &[]).await?.success()?;
            return Ok(String::new());
        }
        let answer = answer.success()?;
        let refuse = || {
            let message = format!("{FILE} of {project} is no text");
            self.rest.http.error(SystemErrorKind::BadAnswer, message)
        };
        // A string of JSON where JSON was asked for, base64 otherwise (Gerrit 3.13.5).
        if let Ok(text) = parse::<String>(&answer) {
            return Ok(text);
        }
        let bytes = STANDARD.decode(answer.body.trim_ascii()).map_err(|_| refuse())?;
        String::from_utf8(bytes).map_err(|_| refuse())
    }

    async fn propose_config(&self, project: &str, subject: &str) -> Result<ChangeInfo, SystemError> {
        let input = NewChange {
            project,
            branch: CONFIG,
            subject,
        };
        let path = "a/changes/".to_owned();
        let answer = self
            .rest
            .write(Method::POST, "/a/changes/", path, Effect::Once, Some(&input))
            .await?;
        parse(&answer.success()?)
    }

    /// Makes the text the file of the change, unless it is.
    async fn fill(&self, change: &ChangeInfo, text: &str) -> Result<(), SystemError> {
        let path = format!("a/changes/{}~{}", segment(&change.project), change.number);
        let there = self
            .rest
            .ask(
                "/a/changes/{id}/revisions/{revision}/files/{file}/content",
                format!("{path}/revisions/current/files/{FILE}/content"),
                &[],
            )
            .await?;
        if there.status.is_success() && parse::<String>(&there).is_ok_and(|known| known == text) {
            return Ok(());
        }
        let edit = self
            .rest
            .put_text("/a/changes/{id}/edit/{file}", format!("{path}/edit/{FILE}"), text)
            .await?;
        // The edit of a try before that was not published holds the same.
        if edit.status != StatusCode::CONFLICT {
            edit.success()?;
        }
        let quietly = Quietly { notify: "NONE" };
        let route = "/a/changes/{id}/edit:publish";
        let answer = self
            .rest
            .write(
                Method::POST,
                route,
                format!("{path}/edit:publish"),
                Effect::Once,
                Some(&quietly),
            )
            .await?;
        answer.success().map(drop)
    }

    /// Whether it is submitted. Who may not approve or submit leaves it to others.
    async fn submit_config(&self, change: &ChangeInfo) -> Result<bool, SystemError> {
        let path = format!("a/changes/{}~{}", segment(&change.project), change.number);
        let approve = Approve {
            labels: [("Code-Review", 2)].into(),
            notify: "NONE",
        };
        let voted = self
            .rest
            .write(
                Method::POST,
                "/a/changes/{id}/revisions/{revision}/review",
                format!("{path}/revisions/current/review"),
                Effect::Repeatable,
                Some(&approve),
            )
            .await?;
        // The site may have another label, or let nobody approve his own.
        if !matches!(voted.status, StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST) {
            voted.success()?;
        }
        let quietly = Quietly { notify: "NONE" };
        let answer = self
            .rest
            .write(
                Method::POST,
                "/a/changes/{id}/submit",
                format!("{path}/submit"),
                Effect::Once,
                Some(&quietly),
            )
            .await?;
        if matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::CONFLICT) {
            return Ok(false);
        }
        answer.success()?;
        Ok(true)
    }
}

/// Where a remote's section stands: its lines, without those of others.
fn section(lines: &[&str], name: &str) -> Option<std::ops::Range<usize>> {
    let header = |line: &&str| {
        let line = line.trim();
        let inner = line.strip_prefix('[')?.split_once(']')?.0;
        let (kind, rest) = inner.split_once(char::is_whitespace)?;
        (kind.eq_ignore_ascii_case("remote") && rest.trim() == format!("\"{name}\"")).then_some(())
    };
    let start = lines.iter().position(|line| header(line).is_some())?;
    let below = lines[start + 1..].iter();
    let length = below
        .take_while(|line| !line.trim_start().starts_with('['))
        .count();
    Some(start..start + 1 + length)
}

/// What the file says of a remote.
fn find(text: &str, name: &str) -> Option<Remote> {
    let lines: Vec<&str> = text.lines().collect();
    let section = section(&lines, name)?;
    let mut remote = Remote::default();
    for line in &lines[section] {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"').to_owned();
        match key.trim().to_ascii_lowercase().as_str() {
            "url" => remote.url = value,
            "event" => {
                remote.events.insert(value);
            }
            "sslverify" => remote.verifies = value.eq_ignore_ascii_case("true"),
            _ => {}
        }
    }
    Some(remote)
}

/// The file with this remote as wanted, everything else as it is.
fn with(text: &str, name: &str, wanted: Option<&Remote>) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let known = section(&lines, name);
    let mut said = Vec::new();
    if let Some(Remote {
        url,
        events,
        verifies,
    }) = wanted
    {
        said.push(format!("[remote \"{name}\"]"));
        said.push(format!("\turl = \"{url}\""));
        said.extend(events.iter().map(|event| format!("\tevent = {event}")));
        said.push(format!("\tsslVerify = {verifies}"));
    }
    let at = known.unwrap_or(lines.len()..lines.len());
    lines.splice(at, said.iter().map(String::as_str));
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> Remote {
        Remote {
            url: "https://lockstep.example.com/webhooks/gerrit/0123".into(),
            events: ["change-merged", "ref-updated"].map(str::to_owned).into(),
            verifies: true,
        }
    }

    const OTHERS: &str =
        "# ours\n[remote \"zuul\"]\n\turl = https://zuul.example.com\n\tevent = patchset-created\n";

    #[test]
    fn a_remote_reads_back_as_written_and_others_stay_to_the_letter() {
        let added = with(OTHERS, "lockstep-a-b", Some(&remote()));
        assert!(added.starts_with(OTHERS), "{added}");
        assert_eq!(find(&added, "lockstep-a-b"), Some(remote()));
        assert_eq!(find(&added, "zuul").unwrap().events.len(), 1);
        assert_eq!(with(&added, "lockstep-a-b", Some(&remote())), added);
        assert_eq!(with(&added, "lockstep-a-b", None), OTHERS);
        assert_eq!(with("", "lockstep-a-b", None), "");
    }

    #[test]
    fn a_remote_between_others_is_changed_in_its_place() {
        let text = format!("[remote \"a\"]\n\turl = x\n[remote \"b\"]\n\turl = y\n{OTHERS}");
        let changed = with(&text, "b", Some(&remote()));
        assert_eq!(find(&changed, "b"), Some(remote()));
        assert_eq!(find(&changed, "a").unwrap().url, "x");
        assert!(
            changed.ends_with(OTHERS.trim_start_matches("# ours\n")),
            "{changed}"
        );
        assert_eq!(find(&changed, "c"), None);
    }
}
