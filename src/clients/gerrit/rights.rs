//! Access rights of the projects that have been asked for, read many at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use lockstep_core::api::access_binding::RefAction;
use lockstep_core::domain::access::grant::{Principal, Privilege, Target};
use lockstep_core::domain::access::observed::Observed;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::StatusCode;

use super::GerritSystem;
use super::facts::ADMINISTRATORS;
use super::rest::parse;
use super::wire::{ProjectAccess, Rule};

/// Projects in one request, and the length of their names: a request line must stay below the 8 KiB that servers
/// and proxies take.
const BATCH: usize = 50;
const BATCH_BYTES: usize = 3_000;

/// What is known of projects.
#[derive(Default)]
pub(super) struct Rights {
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Projects whose readers wait for the next request.
    wanted: Mutex<BTreeSet<String>>,
    flight: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Entry {
    begun: Timestamp,
    /// `None`: the project is missing or invisible.
    access: Option<Arc<ProjectAccess>>,
}

impl Rights {
    /// Whether the project was ever asked for.
    pub fn knows(&self, project: &str) -> bool {
        self.entries().contains_key(project)
    }

    fn held(&self, project: &str, fresh: Timestamp) -> Option<Entry> {
        self.entries()
            .get(project)
            .filter(|entry| entry.begun >= fresh)
            .cloned()
    }

    fn keep(&self, project: String, begun: Timestamp, access: Option<ProjectAccess>) {
        let access = access.map(Arc::new);
        self.wanted().remove(&project);
        self.entries().insert(project, Entry { begun, access });
    }

    /// This project, those that others wait for, and, when nothing but age makes it stale, those that are as old: they
    /// will be asked for next.
    fn batch(&self, project: &str, fresh: Timestamp, with_old: bool) -> Vec<String> {
        let mut batch = vec![project.to_owned()];
        let mut bytes = project.len();
        let (wanted, entries) = (self.wanted(), self.entries());
        let known = |name: &&String| entries.get(*name).is_none_or(|entry| entry.access.is_some());
        let old = entries
            .iter()
            .filter(|(_, entry)| with_old && entry.begun < fresh)
            .map(|(name, _)| name);
        // One missing project makes the whole request fail, so those known to be missing go alone.
        for name in wanted.iter().chain(old).filter(known) {
            if batch.len() >= BATCH || bytes + name.len() > BATCH_BYTES {
                break;
            }
            if !batch.contains(name) {
                bytes += name.len();
                batch.push(name.clone());
            }
        }
        batch
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GerritSystem {
    /// A project's own rights, from memory if they are young enough.
    async fn rights_of(&self, project: &str, fresh: Timestamp) -> Result<Entry, SystemError> {
        let needed = self.touched_projects.fresh(project, fresh);
        if let Some(entry) = self.rights.held(project, needed) {
            return Ok(entry);
        }
        self.rights.wanted().insert(project.to_owned());
        let _flight = self.rights.flight.lock().await;
        if let Some(entry) = self.rights.held(project, needed) {
            return Ok(entry);
        }
        // After a write only this project is in question; otherwise all of the same age are.
        let batch = self.rights.batch(project, fresh, needed == fresh);
        let begun = self.clock.now();
        for (name, access) in self.read_rights(&batch).await? {
            self.rights.keep(name.clone(), begun, access);
            if !self.touched_projects.since(&name, begun) {
                self.touched_projects.forget(&name);
            }
        }
        self.rights.held(project, needed).ok_or_else(|| {
            let message = format!("the rights of {project} changed while they were read");
            self.rest.http.error(SystemErrorKind::Stale, message)
        })
    }

    /// A project's own rights; `None`: it is missing or invisible.
    pub(super) async fn project_access(
        &self,
        project: &str,
        fresh: Timestamp,
    ) -> Result<Option<Arc<ProjectAccess>>, SystemError> {
        Ok(self.rights_of(project, fresh).await?.access)
    }

    async fn read_rights(
        &self,
        projects: &[String],
    ) -> Result<Vec<(String, Option<ProjectAccess>)>, SystemError> {
        if projects.len() > 1 {
            let parameters: Vec<(&str, String)> =
                projects.iter().map(|name| ("project", name.clone())).collect();
            let answer = self
                .rest
                .ask("/a/access/", "a/access/".into(), &parameters)
                .await?;
            if answer.status != StatusCode::NOT_FOUND {
                let found: BTreeMap<String, ProjectAccess> = parse(&answer.success()?)?;
                return Ok(found
                    .into_iter()
                    .map(|(name, access)| (name, Some(access)))
                    .collect());
            }
        }
        let mut all = Vec::with_capacity(projects.len());
        for name in projects {
            all.push((name.clone(), self.rest.access(name).await?));
        }
        Ok(all)
    }

    pub(super) async fn observe_ref(
        &self,
        target: &Target,
        project: &str,
        ref_name: &str,
        fresh: Timestamp,
    ) -> Result<Arc<Observed>, SystemError> {
        let facts = self.facts().await?;
        let entry = self.rights_of(project, fresh).await?;
        let Some(access) = entry.access else {
            if self.sees_everything().await? {
                return Ok(Arc::new(Observed::absent(target.clone(), entry.begun)));
            }
            let message = format!(
                "project {project} does not exist or is invisible: create it, or give the account read on its refs"
            );
            return Err(self.rest.http.error(SystemErrorKind::NotFound, message));
        };
        self.demand_ownership(project, &access, ref_name)?;
        let section = access.local.get(ref_name);
        let rows = section
            .into_iter()
            .flat_map(|section| &section.permissions)
            .flat_map(|(name, permission)| permission.rules.iter().map(move |rule| (name, rule)))
            .filter_map(|(name, (uuid, rule))| {
                let shown = access.groups.get(uuid).and_then(|group| group.name.clone());
                let group = Principal::group(uuid, shown.unwrap_or_else(|| uuid.clone()));
                Some((group, privilege(name, rule)?))
            })
            .collect();
        let protected = facts
            .administrators
            .iter()
            .map(|uuid| Principal::group(uuid, ADMINISTRATORS))
            .collect();
        Ok(Arc::new(Observed {
            target: target.clone(),
            taken: entry.begun,
            present: true,
            rows,
            protected,
            group: None,
            external: false,
            alone: false,
        }))
    }

    /// Whoever does not own a ref is shown its section without rules (Gerrit 3.13.5): that is no drift.
    pub(super) fn demand_ownership(
        &self,
        project: &str,
        access: &ProjectAccess,
        ref_name: &str,
    ) -> Result<(), SystemError> {
        if access.is_owner || access.owner_of.iter().any(|owned| covers(owned, ref_name)) {
            return Ok(());
        }
        let message = format!(
            "the rights on {ref_name} of {project} are hidden: the account needs the permission owner there, or the capability administrateServer"
        );
        Err(self.rest.http.error(SystemErrorKind::Forbidden, message))
    }
}

/// Whether who owns one pattern owns the other: the same, or a prefix of it.
fn covers(owned: &str, ref_name: &str) -> bool {
    owned == ref_name
        || owned
            .strip_suffix('*')
            .is_some_and(|prefix| ref_name.starts_with(prefix))
}

/// A rule as a privilege; `None` for actions that refs do not have (`BATCH`, `INTERACTIVE`).
pub(super) fn privilege(permission: &str, rule: &Rule) -> Option<Privilege> {
    let action = match rule.action.as_deref() {
        None | Some("ALLOW") => RefAction::Allow,
        Some("BLOCK") => RefAction::Block,
        Some("DENY") => RefAction::Deny,
        Some(_) => return None,
    };
    let ranged = rule.min.is_some() || rule.max.is_some();
    Some(Privilege::Rule {
        permission: permission.to_owned(),
        action,
        force: rule.force,
        range: ranged.then(|| (rule.min.unwrap_or(0), rule.max.unwrap_or(0))),
    })
}

/// A privilege as a rule; `None` for what is no rule.
pub(super) fn rule(privilege: &Privilege) -> Option<(&str, Rule)> {
    let Privilege::Rule {
        permission,
        action,
        force,
        range,
    } = privilege
    else {
        return None;
    };
    let action = match action {
        RefAction::Allow => "ALLOW",
        RefAction::Block => "BLOCK",
        RefAction::Deny => "DENY",
    };
    let rule = Rule {
        action: Some(action.to_owned()),
        force: *force,
        min: range.map(|(min, _)| min),
        max: range.map(|(_, max)| max),
    };
    Some((permission, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_back_as_written() {
        for text in [
            "push force",
            "read BLOCK",
            "submit DENY",
            "label-Code-Review -2..+2",
            "label-X +0..+1",
        ] {
            let wanted: Privilege = text.parse().unwrap();
            let (permission, wire) = rule(&wanted).unwrap();
            assert_eq!(privilege(permission, &wire), Some(wanted), "{text}");
        }
        assert_eq!(rule(&Privilege::Member), None);
    }

    #[test]
    fn a_batch_takes_along_what_is_as_old_but_nothing_missing() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let rights = Rights::default();
        rights.keep("old".into(), at(1), Some(ProjectAccess::default()));
        rights.keep("new".into(), at(9), Some(ProjectAccess::default()));
        rights.keep("gone".into(), at(1), None);
        rights.wanted().insert("wanted".into());
        assert_eq!(rights.batch("this", at(5), true), ["this", "wanted", "old"]);
        assert_eq!(rights.batch("this", at(5), false), ["this", "wanted"]);
        let long: Vec<String> = (0..100).map(|i| format!("{i}{}", "x".repeat(200))).collect();
        rights.wanted().extend(long);
        assert!(rights.batch("this", at(5), true).len() < 20);
    }
}
