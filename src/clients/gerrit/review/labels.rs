//! Labels of a project, whole: read with the project that defines each, made and removed in one commit.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::ports::configuration::{
    Configuring, DefinedLabel, Label, LabelChanges,
};
use lockstep_core::domain::promotion::ports::reviews::Written;
use reqwest::{Method, StatusCode};

use super::super::GerritSystem;
use super::super::names::segment;
use super::super::rest::parse;
use super::super::wire::{ChangeInfo, LabelInfo};
use super::wire::{LabelInput, LabelsInput};
use crate::clients::http::Effect;

/// A reading of rights that is young enough to tell whose a project's configuration is.
const RIGHTS: SignedDuration = SignedDuration::from_secs(60);

impl GerritSystem {
    /// Labels as they count in a project; an error where it does not tell them.
    pub(super) async fn told_labels(
        &self,
        project: &str,
    ) -> Result<BTreeMap<String, LabelInfo>, SystemError> {
        self.read_label_definitions(project).await?.ok_or_else(|| {
            let message = format!(
                "project {project} does not tell its labels: it does not exist, or refs/meta/config of it or of a parent is hidden from us"
            );
            self.rest.http.error(SystemErrorKind::NotFound, message)
        })
    }

    pub(super) async fn read_defined_labels(
        &self,
        project: &str,
    ) -> Result<BTreeMap<String, DefinedLabel>, SystemError> {
        let told = self.told_labels(project).await?;
        Ok(told.into_iter().map(|(name, info)| (name, read(info))).collect())
    }

    pub(super) async fn change_labels(
        &self,
        project: &str,
        changes: &LabelChanges,
    ) -> Result<Written, SystemError> {
        let there = self.read_defined_labels(project).await?;
        let Some(input) = difference(project, &there, changes) else {
            return Ok(Written::Already);
        };
        let path = format!("a/projects/{}/labels/", segment(project));
        let route = "/a/projects/{project}/labels/";
        let answer = self
            .rest
            .write(Method::POST, route, path, Effect::Once, Some(&input))
            .await?;
        if answer.status == StatusCode::METHOD_NOT_ALLOWED {
            return Err(self.propose_labels(project, &input).await?);
        }
        answer.success()?;
        let there = self.read_defined_labels(project).await?;
        if difference(project, &there, changes).is_some() {
            let message =
                format!("labels of {project} are not as written: somebody else edits them at the same time");
            return Err(self.rest.http.error(SystemErrorKind::Stale, message).partly());
        }
        Ok(Written::Done)
    }

    /// Where the site demands review of its configuration: a change for people to submit, made once.
    async fn propose_labels(
        &self,
        project: &str,
        input: &LabelsInput<'_>,
    ) -> Result<SystemError, SystemError> {
        let change = if let Some(change) = self.proposed(project, &input.commit_message).await? {
            change
        } else {
            let path = format!("a/projects/{}/labels:review", segment(project));
            let route = "/a/projects/{project}/labels:review";
            let answer = self
                .rest
                .write(Method::POST, route, path, Effect::Once, Some(input))
                .await?;
            parse::<ChangeInfo>(&answer.success()?)?
        };
        Ok(self.pending("labels", project, &change))
    }

    pub(super) async fn read_configuring(&self, project: &str) -> Result<Configuring, SystemError> {
        let fresh = self.clock.now().checked_sub(RIGHTS).unwrap_or_default();
        let access = self.project_access(project, fresh).await?.ok_or_else(|| {
            let message = format!("there is no project {project} that we can see");
            self.rest.http.error(SystemErrorKind::NotFound, message)
        })?;
        Ok(Configuring {
            owns: access.is_owner,
            reviewed: access.require_change_for_config_update,
        })
    }
}

fn read(info: LabelInfo) -> DefinedLabel {
    let values = info.meanings();
    let LabelInfo {
        project_name,
        description,
        function,
        copy_condition,
        ..
    } = info;
    DefinedLabel {
        project: project_name,
        label: Label {
            description,
            values,
            function,
            copied_if: (!copy_condition.is_empty()).then_some(copy_condition),
        },
    }
}

/// What to send so that what is to be made is there, in whatever shape, and what is to go is not; `None`: it is so.
fn difference<'a>(
    project: &str,
    there: &BTreeMap<String, DefinedLabel>,
    changes: &'a LabelChanges,
) -> Option<LabelsInput<'a>> {
    let mut input = LabelsInput::default();
    for (name, wanted) in &changes.0 {
        let known = there.get(name);
        match wanted {
            Some(label) if known.is_none() => input.create.push(written(name, label)),
            None if known.is_some_and(|known| known.project == project) => input.delete.push(name),
            _ => {}
        }
    }
    let digest = changes.digest();
    let short = digest.trim_start_matches("sha256:").get(..12).unwrap_or_default();
    input.commit_message = format!("lockstep: set labels ({short})");
    (!input.create.is_empty() || !input.delete.is_empty()).then_some(input)
}

fn written<'a>(name: &'a str, label: &'a Label) -> LabelInput<'a> {
    let Label {
        description,
        values,
        function,
        copied_if,
    } = label;
    let values = values
        .iter()
        .map(|(vote, words)| match vote {
            // As Gerrit spells it itself.
            0 => (" 0".to_owned(), words.as_str()),
            vote => (format!("{vote:+}"), words.as_str()),
        })
        .collect();
    LabelInput {
        name,
        description,
        function,
        values,
        copy_condition: copied_if.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_sent_again_and_what_a_parent_defines_is_not_removed() {
        let label = Label {
            description: "d".into(),
            values: [(-1, "no".to_owned()), (0, "-".to_owned()), (1, "yes".to_owned())].into(),
            function: "NoBlock".into(),
            copied_if: Some("changekind:NO_CHANGE".into()),
        };
        let changes = LabelChanges(BTreeMap::from([
            ("New".to_owned(), Some(label.clone())),
            ("Theirs".to_owned(), Some(label.clone())),
            ("Gone".to_owned(), None),
            ("Inherited".to_owned(), None),
            ("Never".to_owned(), None),
        ]));
        let defined = |project: &str| DefinedLabel {
            project: project.to_owned(),
            label: Label::default(),
        };
        let there = BTreeMap::from([
            ("Theirs".to_owned(), defined("p")),
            ("Gone".to_owned(), defined("p")),
            ("Inherited".to_owned(), defined("All-Projects")),
        ]);
        let input = serde_json::to_value(difference("p", &there, &changes)).unwrap();
        assert_eq!(
            input["create"],
            serde_json::json!([{
                "name": "New", "description": "d", "function": "NoBlock",
                "values": {"-1": "no", " 0": "-", "+1": "yes"}, "copy_condition": "changekind:NO_CHANGE",
            }])
        );
        assert_eq!(input["delete"], serde_json::json!(["Gone"]));
        let done = BTreeMap::from([
            ("New".to_owned(), defined("p")),
            ("Theirs".to_owned(), defined("p")),
        ]);
        assert!(difference("p", &done, &changes).is_none());
    }
}
