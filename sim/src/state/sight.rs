//! What each plane sees of the directory: which principals a workspace knows, whose member somebody is there, who
//! administers what.

use std::collections::BTreeSet;

use super::Scope;
use super::admissions::{Assignment, Sort};
use super::directory::{Directory, Group, Principal, SystemGroup};

impl Directory {
    /// Members as readers see them; those of the system groups follow from the assignments.
    pub fn members(&self, group: &Group) -> Vec<u64> {
        match (group.system, group.home) {
            (Some(system), Scope::Workspace(workspace)) => self
                .admissions
                .all(workspace)
                .filter(|(_, level)| system == SystemGroup::Users || *level == Assignment::Admin)
                .map(|(id, _)| id)
                .collect(),
            _ => group.members.iter().copied().collect(),
        }
    }

    /// Direct parents, in the account or as one workspace sees them.
    pub fn parents(&self, id: u64, scope: Scope) -> Vec<&Group> {
        let mut found: Vec<&Group> = self
            .parents
            .get(&id)
            .into_iter()
            .flatten()
            .filter_map(|parent| self.group(*parent))
            .filter(|group| self.sees_group(scope, group))
            .collect();
        if let Scope::Workspace(workspace) = scope
            && let Some(level) = self.admissions.get(workspace, id)
        {
            found.extend(
                [
                    (SystemGroup::Users, true),
                    (SystemGroup::Admins, level == Assignment::Admin),
                ]
                .into_iter()
                .filter(|(_, member)| *member)
                .filter_map(|(system, _)| self.group_named(scope, system.name())),
            );
        }
        found
    }

    pub fn sees_group(&self, scope: Scope, group: &Group) -> bool {
        match (scope, group.home) {
            (Scope::Workspace(workspace), Scope::Account) => self.admissions.admits(workspace, group.id),
            (scope, home) => scope == home,
        }
    }

    /// Whether a workspace (or the account) knows this principal at all.
    pub fn sees(&self, scope: Scope, id: u64) -> bool {
        match (scope, self.principal(id)) {
            (_, None) => false,
            (_, Some(Principal::Group(group))) => self.sees_group(scope, group),
            (Scope::Account, Some(_)) => true,
            (Scope::Workspace(workspace), Some(_)) => {
                self.admissions.admits(workspace, id)
                    || self
                        .ancestors(id)
                        .iter()
                        .any(|group| self.admissions.admits(workspace, *group))
            }
        }
    }

    /// Ids of all groups that the scope knows, in order of id.
    pub fn group_ids(&self, scope: Scope) -> Vec<u64> {
        let own = self.homes.get(&scope).into_iter().flatten().copied();
        let Scope::Workspace(workspace) = scope else {
            return own.collect();
        };
        let mut ids: Vec<u64> = own
            .chain(self.admissions.of_sort(workspace, Sort::Group))
            .collect();
        ids.sort_unstable();
        ids
    }

    pub fn is_workspace_admin(&self, workspace: u64, id: u64) -> bool {
        self.ancestors(id)
            .iter()
            .any(|who| self.admissions.get(workspace, *who) == Some(Assignment::Admin))
    }

    pub fn is_account_admin(&self, id: u64) -> bool {
        self.ancestors(id).iter().any(|who| match self.principal(*who) {
            Some(Principal::User(user)) => user.roles.contains("account_admin"),
            Some(Principal::ServicePrincipal(sp)) => sp.roles.contains("account_admin"),
            Some(Principal::Group(group)) => group.roles.contains("account_admin"),
            None => false,
        })
    }

    /// Takes a principal out of one workspace: assignment, entitlements, and the local groups it is in.
    pub fn leave_workspace(&mut self, workspace: u64, id: u64) {
        self.admissions.remove(workspace, id);
        self.rows.remove(&(workspace, id));
        let local: Vec<u64> = self
            .parents
            .get(&id)
            .into_iter()
            .flatten()
            .copied()
            .filter(|group| {
                self.group(*group)
                    .is_some_and(|g| g.home == Scope::Workspace(workspace))
            })
            .collect();
        for group in local {
            self.edit_group(group, |group| {
                group.members.remove(&id);
            });
        }
    }

    /// The principal and every group it is in as one workspace sees it, the system groups included.
    pub fn reach(&self, workspace: u64, id: u64) -> BTreeSet<u64> {
        let mut who = self.ancestors(id);
        let scope = Scope::Workspace(workspace);
        let member = self.sees(scope, id);
        let admin = self.is_workspace_admin(workspace, id);
        for (system, holds) in [(SystemGroup::Users, member), (SystemGroup::Admins, admin)] {
            if holds {
                who.extend(self.group_named(scope, system.name()).map(|group| group.id));
            }
        }
        who
    }

    /// Ids of the users, or of the service principals, that the scope knows, in order of id.
    pub fn people_ids(&self, scope: Scope, sort: Sort) -> Vec<u64> {
        let Scope::Workspace(workspace) = scope else {
            return match sort {
                Sort::ServicePrincipal => self.service_principals.keys().copied().collect(),
                _ => self.users.keys().copied().collect(),
            };
        };
        let direct = self.admissions.of_sort(workspace, sort);
        let mut groups: Vec<u64> = self.admissions.of_sort(workspace, Sort::Group).collect();
        if groups.is_empty() {
            return direct.collect();
        }
        let mut people: BTreeSet<u64> = direct.collect();
        let mut seen: BTreeSet<u64> = groups.iter().copied().collect();
        while let Some(group) = groups.pop().and_then(|id| self.group(id)) {
            for member in &group.members {
                match self.sort_of(*member) {
                    Sort::Group if seen.insert(*member) => groups.push(*member),
                    one if one == sort => {
                        people.insert(*member);
                    }
                    _ => {}
                }
            }
        }
        people.into_iter().collect()
    }
}
