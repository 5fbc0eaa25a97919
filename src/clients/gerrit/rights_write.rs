//! Writing access rights: all changes of one project in one call, around the traps of that call.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lockstep_core::domain::access::grant::{PrincipalKind, Privilege, Target};
use lockstep_core::domain::plan::{Change, EffectDigest};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::{Method, StatusCode};

use super::GerritSystem;
use super::names::segment;
use super::rest::parse;
use super::rights::{privilege, rule};
use super::wire::{AccessInput, ChangeInfo, ProjectAccess, Section};
use crate::clients::http::Effect;

/// How soon a change that waits for reviewers is looked at again.
const REVIEW_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// One rule's place: ref, permission, group.
type Place = (String, String, String);

impl GerritSystem {
    /// Writes all changes of one project's rights.
    pub(super) async fn write_rights(&self, project: &str, changes: &[&Change]) -> Result<(), SystemError> {
        let Some(before) = self.rest.access(project).await? else {
            if changes.iter().all(|change| change.only_removes()) && self.sees_everything().await? {
                return Ok(());
            }
            let message = format!(
                "project {project} does not exist or is invisible: create it, or give the account owner on it"
            );
            return Err(self.rest.http.error(SystemErrorKind::NotFound, message));
        };
        for change in changes {
            if let Target::GerritRef { ref_name, .. } = &change.target {
                self.demand_ownership(project, &before, ref_name)?;
            }
        }
        let goal = goal(&before, changes).map_err(|why| {
            self.rest
                .http
                .error(SystemErrorKind::Refused, format!("{project}: {why}"))
        })?;
        let mut input = difference(&before, &goal);
        if input.add.is_empty() && input.remove.is_empty() {
            return Ok(());
        }
        let digest = EffectDigest::of(changes.iter().copied()).to_string();
        let short = digest
            .trim_start_matches("sha256:")
            .get(..12)
            .unwrap_or_default()
            .to_owned();
        input.message = format!("lockstep: set access rights ({short})");
        let path = format!("a/projects/{}/access", segment(project));
        // Repeatable: what is added is removed first, so that a second time changes nothing.
        let answer = self
            .rest
            .write(
                Method::POST,
                "/a/projects/{project}/access",
                path,
                Effect::Repeatable,
                Some(&input),
            )
            .await?;
        if answer.status == StatusCode::METHOD_NOT_ALLOWED {
            return Err(self.propose_rights(project, &input).await?);
        }
        if answer.status == StatusCode::INTERNAL_SERVER_ERROR {
            // A regular expression that does not compile is a server error (Gerrit 3.13.5), and stays one however often it
            // is tried.
            let now = self.rest.access(project).await?;
            if now.is_some_and(|now| now.local == before.local) {
                let hint = "nothing was changed; a ref beginning with ^ must be a valid regular expression";
                return Err(answer.named(SystemErrorKind::Refused, &format!("500: {hint}")));
            }
        }
        // The answer is the project's access read anew after the write.
        let after: ProjectAccess = parse(&answer.success()?)?;
        for (place, wanted) in &goal {
            if shown(&after, place) != *wanted {
                let (ref_name, permission, _) = place;
                let message = format!(
                    "{permission} on {ref_name} of {project} is not as written: somebody else edits it at the same time"
                );
                return Err(self.rest.http.error(SystemErrorKind::Stale, message).partly());
            }
        }
        if let Some((ref_name, permission)) = no_longer_exclusive(&before, &after, &goal) {
            let message = format!(
                "{permission} on {ref_name} of {project} is no longer exclusive, so that inherited rules apply there again: make it exclusive in Gerrit, or give {permission} there to a group"
            );
            return Err(self.rest.http.error(SystemErrorKind::Refused, message).partly());
        }
        Ok(())
    }

    /// Where the site demands review of its configuration: a change for people to submit, made once. Returns the
    /// error that says so.
    async fn propose_rights(&self, project: &str, input: &AccessInput) -> Result<SystemError, SystemError> {
        let change = if let Some(change) = self.proposed(project, &input.message).await? {
            change
        } else {
            let path = format!("a/projects/{}/access:review", segment(project));
            let answer = self
                .rest
                .write(
                    Method::PUT,
                    "/a/projects/{project}/access:review",
                    path,
                    Effect::Once,
                    Some(input),
                )
                .await?;
            parse(&answer.success()?)?
        };
        Ok(self.pending("access rights", project, &change))
    }

    /// Our own open change of a project's configuration that is called so.
    pub(super) async fn proposed(
        &self,
        project: &str,
        subject: &str,
    ) -> Result<Option<ChangeInfo>, SystemError> {
        let mine = [("q", "is:open owner:self".to_owned()), ("n", "500".to_owned())];
        let open: Vec<ChangeInfo> = self.rest.get("/a/changes/", "a/changes/".into(), &mine).await?;
        Ok(open.into_iter().find(|change| {
            change.project == project && change.branch.ends_with("meta/config") && change.subject == subject
        }))
    }

    /// The error that stands for waiting until people have submitted a change of configuration.
    pub(super) fn pending(&self, what: &str, project: &str, change: &ChangeInfo) -> SystemError {
        let message = format!(
            "the server demands review of {what}: pending until change {number} of {project} is submitted (/c/{path}/+/{number})",
            number = change.number,
            path = segment(project).replace("%2F", "/"),
        );
        // Once somebody submits it, what it gives is our gift.
        let mut error = self.rest.http.error(SystemErrorKind::Refused, message).partly();
        error.retry_at = self.clock.now().checked_add(REVIEW_PAUSE).ok();
        error
    }
}

/// The rule GET shows at a place.
fn shown(access: &ProjectAccess, (ref_name, permission, uuid): &Place) -> Option<Privilege> {
    let rules = &access.local.get(ref_name)?.permissions.get(permission)?.rules;
    privilege(permission, rules.get(uuid)?)
}

/// What is to stand at each place that a change touches. A row that is to go but is not what stands there any more
/// is somebody else's by now and stays.
fn goal(before: &ProjectAccess, changes: &[&Change]) -> Result<BTreeMap<Place, Option<Privilege>>, String> {
    let mut goal: BTreeMap<Place, Option<Privilege>> = BTreeMap::new();
    for (adding, change) in changes
        .iter()
        .map(|change| (false, change))
        .chain(changes.iter().map(|change| (true, change)))
    {
        let Target::GerritRef { ref_name, .. } = &change.target else {
            return Err("not a ref".into());
        };
        for (group, wanted) in if adding { &change.add } else { &change.remove } {
            let Some((permission, _)) = rule(wanted) else {
                return Err(format!("{wanted} is not a right on a ref"));
            };
            if group.kind != PrincipalKind::Group {
                return Err(format!(
                    "{} is not a group: rights on refs go to groups",
                    group.name
                ));
            }
            let place = (ref_name.clone(), permission.to_owned(), group.subject.clone());
            if !adding {
                if shown(before, &place).as_ref() == Some(wanted) {
                    goal.insert(place, None);
                }
            } else if let Some(Some(other)) = goal.insert(place, Some(wanted.clone()))
                && other != *wanted
            {
                // A second rule of one group in one permission is kept in project.config but hidden by every read.
                return Err(format!(
                    "{} cannot have both {other} and {wanted} on {ref_name}: one group has one rule per permission",
                    group.name
                ));
            }
        }
    }
    Ok(goal)
}

/// The call that leads there (all seen on Gerrit 3.13.5):
/// * a rule that changes is removed first, else a second one is appended that no read shows;
/// * a permission in `remove` always carries `rules`, else the whole section of the ref is deleted;
/// * a permission whose last rule goes vanishes with its `exclusive` flag, and what it shut out applies again, so the
///   flag is added anew, with the rules that come or with none; where the permission stays it is ignored.
fn difference(before: &ProjectAccess, goal: &BTreeMap<Place, Option<Privilege>>) -> AccessInput {
    let mut input = AccessInput::default();
    for (place, wanted) in goal {
        let standing = shown(before, place);
        if standing == *wanted {
            continue;
        }
        let (ref_name, permission, uuid) = place;
        if standing.is_some() {
            permission_in(&mut input.remove, ref_name, permission)
                .rules
                .insert(uuid.clone(), super::wire::Rule::default());
        }
        if let Some((_, rule)) = wanted.as_ref().and_then(rule) {
            permission_in(&mut input.add, ref_name, permission)
                .rules
                .insert(uuid.clone(), rule);
        }
    }
    for (ref_name, permission, _) in goal.keys() {
        if is_exclusive(before, ref_name, permission) && all_go(before, &input, ref_name, permission) {
            permission_in(&mut input.add, ref_name, permission).exclusive = true;
        }
    }
    input
}

/// Whether every rule of a permission is removed, for good or to be added anew.
fn all_go(before: &ProjectAccess, input: &AccessInput, ref_name: &str, permission: &str) -> bool {
    let rules = |sections: &BTreeMap<String, Section>| {
        let section = sections.get(ref_name)?;
        Some(section.permissions.get(permission)?.rules.clone())
    };
    let (standing, gone) = (rules(&before.local), rules(&input.remove));
    gone.is_some_and(|gone| {
        standing
            .into_iter()
            .flatten()
            .all(|(uuid, _)| gone.contains_key(&uuid))
    })
}

fn is_exclusive(access: &ProjectAccess, ref_name: &str, permission: &str) -> bool {
    let section = access.local.get(ref_name);
    let permission = section.and_then(|section| section.permissions.get(permission));
    permission.is_some_and(|permission| permission.exclusive)
}

/// A permission that the write has opened to inherited rules.
fn no_longer_exclusive<'a>(
    before: &ProjectAccess,
    after: &ProjectAccess,
    goal: &'a BTreeMap<Place, Option<Privilege>>,
) -> Option<(&'a str, &'a str)> {
    goal.keys()
        .map(|(ref_name, permission, _)| (ref_name.as_str(), permission.as_str()))
        .find(|(ref_name, permission)| {
            is_exclusive(before, ref_name, permission) && !is_exclusive(after, ref_name, permission)
        })
}

fn permission_in<'a>(
    side: &'a mut BTreeMap<String, Section>,
    ref_name: &str,
    permission: &str,
) -> &'a mut super::wire::Permission {
    side.entry(ref_name.to_owned())
        .or_default()
        .permissions
        .entry(permission.to_owned())
        .or_default()
}

#[cfg(test)]
mod tests {
    use lockstep_core::domain::access::grant::Principal;
    use serde_json::json;

    use super::*;

    fn before() -> ProjectAccess {
        serde_json::from_value(
            json!({"is_owner": true, "local": {"refs/heads/prod": {"permissions": {
            "push": {"exclusive": true, "rules": {"team": {"action": "ALLOW", "force": false}}},
            "label-Code-Review": {"rules": {
                "team": {"action": "ALLOW", "force": false, "min": -1, "max": 1},
                "other": {"action": "ALLOW", "force": false, "min": -2, "max": 2}}}}}}}),
        )
        .unwrap()
    }

    fn change(add: &[(&str, &str)], remove: &[(&str, &str)]) -> Change {
        let target = Target::GerritRef {
            server: "s".into(),
            project: "p".into(),
            ref_name: "refs/heads/prod".into(),
        };
        let mut change = Change::new(target, "prod");
        let rows = |rows: &[(&str, &str)]| {
            rows.iter()
                .map(|(group, right)| (Principal::group(*group, *group), right.parse().unwrap()))
                .collect()
        };
        change.add = rows(add);
        change.remove = rows(remove);
        change
    }

    fn call(changes: &[&Change]) -> serde_json::Value {
        let before = before();
        serde_json::to_value(difference(&before, &goal(&before, changes).unwrap())).unwrap()
    }

    #[test]
    fn a_changed_range_is_removed_and_added() {
        let change = change(
            &[("team", "label-Code-Review -2..+2")],
            &[("team", "label-Code-Review -1..+1")],
        );
        assert_eq!(
            call(&[&change]),
            json!({"message": "",
                "remove": {"refs/heads/prod": {"permissions": {"label-Code-Review": {"rules": {"team": {}}}}}},
                "add": {"refs/heads/prod": {"permissions": {"label-Code-Review":
                    {"rules": {"team": {"action": "ALLOW", "min": -2, "max": 2}}}}}}})
        );
    }

    #[test]
    fn a_rule_is_replaced_even_if_nobody_asked_to_remove_it() {
        let call = call(&[&change(&[("team", "push force")], &[])]);
        assert_eq!(
            call["remove"]["refs/heads/prod"]["permissions"]["push"],
            json!({"rules": {"team": {}}})
        );
    }

    #[test]
    fn an_exclusive_permission_stays_exclusive() {
        let call = call(&[&change(&[("team", "push force")], &[("team", "push")])]);
        assert_eq!(
            call["add"]["refs/heads/prod"]["permissions"]["push"]["exclusive"],
            json!(true)
        );
    }

    #[test]
    fn the_last_rule_of_an_exclusive_permission_leaves_it_exclusive() {
        let revoke = change(&[], &[("team", "push")]);
        assert_eq!(
            call(&[&revoke]),
            json!({"message": "",
                "remove": {"refs/heads/prod": {"permissions": {"push": {"rules": {"team": {}}}}}},
                "add": {"refs/heads/prod": {"permissions": {"push": {"exclusive": true, "rules": {}}}}}})
        );
        let goal = goal(&before(), &[&revoke]).unwrap();
        let opened = no_longer_exclusive(&before(), &ProjectAccess::default(), &goal);
        assert_eq!(opened, Some(("refs/heads/prod", "push")));
        assert_eq!(no_longer_exclusive(&before(), &before(), &goal), None);
    }

    #[test]
    fn what_is_so_already_and_what_others_changed_is_left_alone() {
        let unchanged = change(&[("team", "push")], &[("team", "push BLOCK"), ("gone", "push")]);
        assert_eq!(call(&[&unchanged]), json!({"message": ""}));
    }

    #[test]
    fn only_the_named_group_loses_its_rule() {
        assert_eq!(
            call(&[&change(&[], &[("team", "label-Code-Review -1..+1")])]),
            json!({"message": "",
                "remove": {"refs/heads/prod": {"permissions": {"label-Code-Review": {"rules": {"team": {}}}}}}})
        );
    }

    #[test]
    fn two_rules_for_one_group_are_refused() {
        let change = change(&[("team", "read"), ("team", "read BLOCK")], &[]);
        assert!(goal(&before(), &[&change]).is_err());
    }
}
