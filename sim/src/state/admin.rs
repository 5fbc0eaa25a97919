//! Changes that touch several parts of the world at once: a principal comes, goes, or leaves one workspace.

use std::sync::Arc;

use super::admissions::Assignment;
use super::{Scope, State};

impl State {
    /// Removes a principal everywhere: memberships, access rows, grants, credentials.
    pub fn remove_principal(&mut self, id: u64) {
        let name = self
            .directory
            .principal(id)
            .map(|who| who.acl_name().1.to_owned());
        let local = self
            .directory
            .group(id)
            .is_some_and(|group| group.home != Scope::Account);
        self.directory.remove(id);
        self.objects.forget_principal(None, id);
        self.credentials.forget_principal(None, id);
        self.secret_scopes.forget_principal(None, id);
        let Some(name) = name.filter(|_| !local) else {
            return;
        };
        for securable in self.securables.values_mut() {
            if securable.grants.contains_key(&name) {
                Arc::make_mut(securable).grants.remove(&name);
            }
        }
    }

    /// Removes a principal from one workspace; the account keeps it.
    pub fn leave_workspace(&mut self, workspace: u64, id: u64) {
        self.directory.leave_workspace(workspace, id);
        if !self.directory.sees(Scope::Workspace(workspace), id) {
            self.objects.forget_principal(Some(workspace), id);
            self.credentials.forget_principal(Some(workspace), id);
            self.secret_scopes.forget_principal(Some(workspace), id);
        }
    }

    /// A securable is gone, and with it its versions, aliases and tags.
    pub fn forget_securable(&mut self, kind: &'static str, name: &str) {
        self.securables.remove(&(kind, name.to_owned()));
        self.tags.remove(&(kind, name.to_owned()));
        if kind == "FUNCTION" {
            self.models.remove(name);
        }
    }

    pub fn assign(&mut self, workspace: u64, id: u64, level: Assignment) {
        self.directory.assign(workspace, id, level);
    }
}
