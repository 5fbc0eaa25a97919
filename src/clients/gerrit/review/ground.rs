//! Who may do what with a project's branches: its own rights and all it inherits, and what else decides whether a review
//! can be got around.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_core::domain::access::grant::Principal;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::ports::reviews::Ground;
use lockstep_core::domain::promotion::proof::hardening::rights::{PermissionRules, ProjectRights};

use super::super::GerritSystem;
use super::super::rights::privilege;
use super::super::wire::ProjectAccess;

/// Ancestors that are followed. Gerrit allows no circles, and people no such depth.
const DEPTH: usize = 32;

impl GerritSystem {
    pub(super) async fn read_ground(&self, project: &str, fresh: Timestamp) -> Result<Ground, SystemError> {
        let mut rights = Vec::new();
        let mut next = Some(project.to_owned());
        while let Some(name) = next.take() {
            if rights.len() == DEPTH {
                let message = format!("project {project} has more than {DEPTH} ancestors");
                return Err(self.rest.http.error(SystemErrorKind::Refused, message));
            }
            let Some(access) = self.project_access(&name, fresh).await? else {
                // What is above an ancestor that is hidden is hidden with it.
                rights.push(ProjectRights {
                    project: name,
                    ..ProjectRights::default()
                });
                break;
            };
            next.clone_from(&access.inherits_from.as_ref().map(|parent| parent.name.clone()));
            rights.push(project_rights(name, &access));
        }
        let labels = self.read_label_definitions(project).await?.unwrap_or_default();
        let copied = labels
            .into_iter()
            .filter(|(_, label)| !label.copy_condition.is_empty())
            .map(|(name, label)| (name, label.copy_condition))
            .collect();
        Ok(Ground {
            rights,
            copied,
            whole_topic: Some(self.facts().await?.submits_whole_topics()),
        })
    }
}

fn project_rights(project: String, access: &ProjectAccess) -> ProjectRights {
    let mut sections = BTreeMap::new();
    for (pattern, section) in &access.local {
        let mut permissions = BTreeMap::new();
        for (name, permission) in &section.permissions {
            let rules = permission.rules.iter().filter_map(|(uuid, rule)| {
                let shown = access.groups.get(uuid).and_then(|group| group.name.clone());
                let group = Principal::group(uuid, shown.unwrap_or_else(|| uuid.clone()));
                Some((group, privilege(name, rule)?))
            });
            let rules = PermissionRules {
                exclusive: permission.exclusive,
                rules: rules.collect(),
            };
            permissions.insert(name.clone(), rules);
        }
        sections.insert(pattern.clone(), permissions);
    }
    ProjectRights {
        project,
        // Whoever does not own a ref is shown its section without rules (Gerrit 3.13.5).
        visible: access.is_owner || access.owner_of.iter().any(|owned| owned == "refs/*"),
        sections,
    }
}
