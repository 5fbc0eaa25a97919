//! Who there is: users, service principals, groups, who is in which group, who may enter which workspace. Indexed
//! by name and by membership, so that a listing costs its page and a rename costs one entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::Scope;
use super::admissions::{Admissions, Assignment, Sort};

/// learn.microsoft.com/azure/databricks/resources/limits: group nesting.
pub const MAX_NESTING: usize = 10;

#[derive(Debug, Clone, Default)]
pub struct User {
    pub id: u64,
    /// Lower-cased: the vendor folds case on the way in.
    pub user_name: String,
    pub display_name: String,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub emails: Vec<Value>,
    pub active: bool,
    pub external_id: Option<String>,
    pub roles: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
pub struct ServicePrincipal {
    pub id: u64,
    pub application_id: String,
    pub display_name: String,
    pub active: bool,
    pub external_id: Option<String>,
    pub roles: BTreeSet<String>,
}

/// The groups every workspace has. Their members follow from the assignments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemGroup {
    Admins,
    Users,
}

impl SystemGroup {
    pub fn name(self) -> &'static str {
        match self {
            Self::Admins => "admins",
            Self::Users => "users",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Group {
    pub id: u64,
    pub home: Scope,
    pub display_name: String,
    pub external_id: Option<String>,
    pub members: BTreeSet<u64>,
    pub roles: BTreeSet<String>,
    pub system: Option<SystemGroup>,
}

impl Group {
    pub fn new(id: u64, home: Scope, display_name: &str) -> Self {
        Self {
            id,
            home,
            display_name: display_name.to_owned(),
            external_id: None,
            members: BTreeSet::new(),
            roles: BTreeSet::new(),
            system: None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub enum Principal<'a> {
    User(&'a User),
    ServicePrincipal(&'a ServicePrincipal),
    Group(&'a Group),
}

impl<'a> Principal<'a> {
    /// The field that names this principal in access lists and assignments, and its value there.
    pub fn acl_name(self) -> (&'static str, &'a str) {
        match self {
            Self::User(user) => ("user_name", &user.user_name),
            Self::ServicePrincipal(sp) => ("service_principal_name", &sp.application_id),
            Self::Group(group) => ("group_name", &group.display_name),
        }
    }

    pub fn display_name(self) -> &'a str {
        match self {
            Self::User(user) => &user.display_name,
            Self::ServicePrincipal(sp) => &sp.display_name,
            Self::Group(group) => &group.display_name,
        }
    }

    pub fn collection(self) -> &'static str {
        match self {
            Self::User(_) => "Users",
            Self::ServicePrincipal(_) => "ServicePrincipals",
            Self::Group(_) => "Groups",
        }
    }
}

/// What a workspace adds to a principal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkspaceRow {
    pub entitlements: BTreeSet<String>,
    /// Instance profiles.
    pub roles: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Directory {
    pub users: BTreeMap<u64, Arc<User>>,
    pub service_principals: BTreeMap<u64, Arc<ServicePrincipal>>,
    pub(super) groups: BTreeMap<u64, Arc<Group>>,
    pub(super) user_names: BTreeMap<String, u64>,
    pub(super) applications: BTreeMap<String, u64>,
    pub(super) group_names: BTreeMap<(Scope, String), u64>,
    pub(super) homes: BTreeMap<Scope, BTreeSet<u64>>,
    pub(super) parents: BTreeMap<u64, BTreeSet<u64>>,
    pub admissions: Admissions,
    /// By `(workspace, principal)`.
    pub rows: BTreeMap<(u64, u64), WorkspaceRow>,
}

impl Directory {
    pub fn principal(&self, id: u64) -> Option<Principal<'_>> {
        if let Some(user) = self.users.get(&id) {
            return Some(Principal::User(user));
        }
        if let Some(sp) = self.service_principals.get(&id) {
            return Some(Principal::ServicePrincipal(sp));
        }
        self.group(id).map(Principal::Group)
    }

    pub fn group(&self, id: u64) -> Option<&Group> {
        self.groups.get(&id).map(Arc::as_ref)
    }

    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values().map(Arc::as_ref)
    }

    pub fn user_named(&self, name: &str) -> Option<&User> {
        self.user_names
            .get(&name.to_lowercase())
            .and_then(|id| self.users.get(id))
            .map(Arc::as_ref)
    }

    pub fn application(&self, id: &str) -> Option<&ServicePrincipal> {
        let id = self.applications.get(&id.to_lowercase())?;
        self.service_principals.get(id).map(Arc::as_ref)
    }

    pub fn group_named(&self, home: Scope, name: &str) -> Option<&Group> {
        self.group_names
            .get(&(home, name.to_lowercase()))
            .and_then(|id| self.group(*id))
    }

    /// The group that a name means inside a workspace: its own, else an account group assigned to it.
    pub fn group_in_workspace(&self, workspace: u64, name: &str) -> Option<&Group> {
        self.group_named(Scope::Workspace(workspace), name).or_else(|| {
            self.group_named(Scope::Account, name)
                .filter(|group| self.admissions.admits(workspace, group.id))
        })
    }

    pub fn insert_user(&mut self, user: User) {
        self.user_names.insert(user.user_name.clone(), user.id);
        self.users.insert(user.id, Arc::new(user));
    }

    pub fn insert_service_principal(&mut self, sp: ServicePrincipal) {
        self.applications.insert(sp.application_id.to_lowercase(), sp.id);
        self.service_principals.insert(sp.id, Arc::new(sp));
    }

    pub fn insert_group(&mut self, group: Group) {
        self.group_names
            .insert((group.home, group.display_name.to_lowercase()), group.id);
        self.homes.entry(group.home).or_default().insert(group.id);
        for member in &group.members {
            self.parents.entry(*member).or_default().insert(group.id);
        }
        self.groups.insert(group.id, Arc::new(group));
    }

    /// Changes a group and keeps the indexes true.
    pub fn edit_group(&mut self, id: u64, edit: impl FnOnce(&mut Group)) {
        let Some(slot) = self.groups.get_mut(&id) else {
            return;
        };
        let group = Arc::make_mut(slot);
        let (old_name, old_members) = (group.display_name.to_lowercase(), group.members.clone());
        edit(group);
        let (home, name, members) = (
            group.home,
            group.display_name.to_lowercase(),
            group.members.clone(),
        );
        if name != old_name {
            self.group_names.remove(&(home, old_name));
            self.group_names.insert((home, name), id);
        }
        for gone in old_members.difference(&members) {
            self.drop_parent(*gone, id);
        }
        for new in members.difference(&old_members) {
            self.parents.entry(*new).or_default().insert(id);
        }
    }

    fn drop_parent(&mut self, member: u64, group: u64) {
        if let Some(parents) = self.parents.get_mut(&member) {
            parents.remove(&group);
            if parents.is_empty() {
                self.parents.remove(&member);
            }
        }
    }

    /// The principal and every group that contains it, directly or through others.
    pub fn ancestors(&self, id: u64) -> BTreeSet<u64> {
        let mut seen = BTreeSet::from([id]);
        let mut todo = vec![id];
        while let Some(next) = todo.pop() {
            for parent in self.parents.get(&next).into_iter().flatten() {
                if seen.insert(*parent) {
                    todo.push(*parent);
                }
            }
        }
        seen
    }

    fn depth_below(&self, id: u64) -> usize {
        let Some(group) = self.group(id) else { return 0 };
        1 + group
            .members
            .iter()
            .map(|member| self.depth_below(*member))
            .max()
            .unwrap_or(0)
    }

    fn height_above(&self, id: u64) -> usize {
        1 + self
            .parents
            .get(&id)
            .into_iter()
            .flatten()
            .map(|parent| self.height_above(*parent))
            .max()
            .unwrap_or(0)
    }

    /// Why this member cannot be put into this group, if it cannot.
    pub fn refuses_member(&self, group: u64, member: u64) -> Option<String> {
        if self.ancestors(group).contains(&member) {
            return Some(format!(
                "Adding group {member} to group {group} would create a cycle"
            ));
        }
        if self.group(member).is_some() && self.height_above(group) + self.depth_below(member) > MAX_NESTING {
            return Some(format!("Groups can be nested at most {MAX_NESTING} levels deep"));
        }
        None
    }

    /// Sets what a workspace adds to a principal; nothing is not kept.
    pub fn set_row(&mut self, workspace: u64, id: u64, row: WorkspaceRow) {
        if row == WorkspaceRow::default() {
            self.rows.remove(&(workspace, id));
        } else {
            self.rows.insert((workspace, id), row);
        }
    }

    pub fn remove(&mut self, id: u64) {
        let parents: Vec<u64> = self.parents.get(&id).into_iter().flatten().copied().collect();
        for parent in parents {
            self.edit_group(parent, |group| {
                group.members.remove(&id);
            });
        }
        if let Some(user) = self.users.remove(&id) {
            self.user_names.remove(&user.user_name);
        }
        if let Some(sp) = self.service_principals.remove(&id) {
            self.applications.remove(&sp.application_id.to_lowercase());
        }
        if let Some(group) = self.groups.remove(&id) {
            self.group_names
                .remove(&(group.home, group.display_name.to_lowercase()));
            if let Some(ids) = self.homes.get_mut(&group.home) {
                ids.remove(&id);
            }
            for member in &group.members {
                self.drop_parent(*member, id);
            }
        }
        let workspaces: BTreeSet<u64> = self.homes.keys().filter_map(|home| home.workspace()).collect();
        for workspace in workspaces {
            self.admissions.remove(workspace, id);
            self.rows.remove(&(workspace, id));
        }
    }
}

impl Directory {
    pub fn sort_of(&self, id: u64) -> Sort {
        match self.principal(id) {
            Some(Principal::ServicePrincipal(_)) => Sort::ServicePrincipal,
            Some(Principal::Group(_)) => Sort::Group,
            Some(Principal::User(_)) | None => Sort::User,
        }
    }

    pub fn assign(&mut self, workspace: u64, id: u64, level: Assignment) {
        self.admissions.set(workspace, id, self.sort_of(id), level);
    }
}
