//! Submit requirements of a project: read as it defines them and as they are inherited, written in one commit.

use std::collections::BTreeMap;

use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::ports::reviews::{
    Requirement, RequirementChanges, Requirements, Written,
};
use reqwest::{Method, StatusCode};

use super::super::GerritSystem;
use super::super::names::segment;
use super::super::rest::parse;
use super::super::wire::ChangeInfo;
use super::wire::{RequirementInfo, RequirementInput, RequirementsInput};
use crate::clients::http::Effect;

impl GerritSystem {
    pub(super) async fn read_requirements(&self, project: &str) -> Result<Requirements, SystemError> {
        let own = self.list_requirements(project, &[]).await?;
        let inherited = [("inherited", "true".to_owned())];
        let all = self.list_requirements(project, &inherited).await?;
        Ok(Requirements {
            own: own.into_iter().collect(),
            all,
        })
    }

    async fn list_requirements(
        &self,
        project: &str,
        query: &[(&str, String)],
    ) -> Result<Vec<(String, Requirement)>, SystemError> {
        let path = format!("a/projects/{}/submit_requirements/", segment(project));
        let route = "/a/projects/{project}/submit_requirements/";
        let found: Vec<RequirementInfo> = self.rest.get(route, path, query).await?;
        Ok(found.into_iter().map(read).collect())
    }

    pub(super) async fn change_requirements(
        &self,
        project: &str,
        changes: &RequirementChanges,
    ) -> Result<Written, SystemError> {
        let own: BTreeMap<String, Requirement> =
            self.list_requirements(project, &[]).await?.into_iter().collect();
        let Some(input) = difference(&own, changes) else {
            return Ok(Written::Already);
        };
        let path = format!("a/projects/{}/submit_requirements/", segment(project));
        let answer = self
            .rest
            .write(
                Method::POST,
                "/a/projects/{project}/submit_requirements/",
                path,
                Effect::Once,
                Some(&input),
            )
            .await?;
        if answer.status == StatusCode::METHOD_NOT_ALLOWED {
            return Err(self.propose_requirements(project, &input).await?);
        }
        answer.success()?;
        let now: BTreeMap<String, Requirement> =
            self.list_requirements(project, &[]).await?.into_iter().collect();
        if difference(&now, changes).is_some() {
            let message = format!(
                "submit requirements of {project} are not as written: somebody else edits them at the same time"
            );
            return Err(self.rest.http.error(SystemErrorKind::Stale, message).partly());
        }
        Ok(Written::Done)
    }

    /// Where the site demands review of its configuration: a change for people to submit, made once.
    async fn propose_requirements(
        &self,
        project: &str,
        input: &RequirementsInput<'_>,
    ) -> Result<SystemError, SystemError> {
        let change = if let Some(change) = self.proposed(project, &input.commit_message).await? {
            change
        } else {
            let path = format!("a/projects/{}/submit_requirements:review", segment(project));
            let answer = self
                .rest
                .write(
                    Method::POST,
                    "/a/projects/{project}/submit_requirements:review",
                    path,
                    Effect::Once,
                    Some(input),
                )
                .await?;
            parse::<ChangeInfo>(&answer.success()?)?
        };
        Ok(self.pending("submit requirements", project, &change))
    }
}

fn read(info: RequirementInfo) -> (String, Requirement) {
    let RequirementInfo {
        name,
        description,
        applicability_expression,
        submittability_expression,
        override_expression,
        allow_override_in_child_projects,
    } = info;
    let set = |text: String| (!text.is_empty()).then_some(text);
    let requirement = Requirement {
        description,
        applicable_if: set(applicability_expression),
        submittable_if: submittability_expression,
        override_if: set(override_expression),
        children_may_override: allow_override_in_child_projects,
    };
    (name, requirement)
}

/// What to send so that it is as planned; `None`: it is.
fn difference<'a>(
    own: &BTreeMap<String, Requirement>,
    changes: &'a RequirementChanges,
) -> Option<RequirementsInput<'a>> {
    let mut input = RequirementsInput::default();
    for (name, wanted) in &changes.0 {
        match (own.get(name), wanted) {
            (Some(_), None) => input.delete.push(name),
            (None, None) => {}
            (Some(there), Some(wanted)) if there == wanted => {}
            (Some(_), Some(wanted)) => {
                input.update.insert(name, written(name, wanted));
            }
            (None, Some(wanted)) => input.create.push(written(name, wanted)),
        }
    }
    let nothing = input.create.is_empty() && input.update.is_empty() && input.delete.is_empty();
    let digest = changes.digest();
    let short = digest.trim_start_matches("sha256:").get(..12).unwrap_or_default();
    input.commit_message = format!("lockstep: set submit requirements ({short})");
    (!nothing).then_some(input)
}

fn written<'a>(name: &'a str, requirement: &'a Requirement) -> RequirementInput<'a> {
    let Requirement {
        description,
        applicable_if,
        submittable_if,
        override_if,
        children_may_override,
    } = requirement;
    RequirementInput {
        name,
        description,
        applicability_expression: applicable_if.as_deref(),
        submittability_expression: submittable_if,
        override_expression: override_if.as_deref(),
        allow_override_in_child_projects: *children_may_override,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written_and_always_whole() {
        let wanted = Requirement {
            description: "d".into(),
            submittable_if: "label:Code-Review=MAX".into(),
            ..Requirement::default()
        };
        let changes = RequirementChanges(BTreeMap::from([
            ("New".to_owned(), Some(wanted.clone())),
            ("Same".to_owned(), Some(wanted.clone())),
            ("Other".to_owned(), Some(wanted.clone())),
            ("Gone".to_owned(), None),
            ("Never".to_owned(), None),
        ]));
        let own = BTreeMap::from([
            ("Same".to_owned(), wanted.clone()),
            ("Other".to_owned(), Requirement::default()),
            ("Gone".to_owned(), Requirement::default()),
        ]);
        let input = serde_json::to_value(difference(&own, &changes)).unwrap();
        let whole = |name: &str| {
            serde_json::json!({"name": name, "description": "d", "submittability_expression": "label:Code-Review=MAX",
                "allow_override_in_child_projects": false})
        };
        assert_eq!(input["create"], serde_json::json!([whole("New")]));
        assert_eq!(input["update"], serde_json::json!({"Other": whole("Other")}));
        assert_eq!(input["delete"], serde_json::json!(["Gone"]));
        let done = BTreeMap::from(["New", "Same", "Other"].map(|name| (name.to_owned(), wanted.clone())));
        assert!(difference(&done, &changes).is_none());
    }
}
