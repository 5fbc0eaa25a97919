//! Creating, replacing, patching and deleting principals: a draft is checked against the world and then becomes
//! part of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::draft::Draft;
use super::patch;
use super::read::find;
use super::resource::{Kind, Selection, render};
use crate::call::Call;
use crate::error::ApiError;
use crate::route::{Answer, Reply};
use crate::state::admissions::Assignment;
use crate::state::directory::WorkspaceRow;
use crate::state::{Group, Principal, Scope, ServicePrincipal, State, SystemGroup, User};

fn id_of(principal: Principal<'_>) -> u64 {
    match principal {
        Principal::User(user) => user.id,
        Principal::ServicePrincipal(sp) => sp.id,
        Principal::Group(group) => group.id,
    }
}

pub fn answer(state: &State, scope: Scope, id: u64, status: u16) -> Answer {
    let who = state
        .directory
        .principal(id)
        .ok_or_else(|| ApiError::missing("The resource is gone"))?;
    Ok(Reply {
        status,
        ..Reply::ok(render(state, scope, who, &Selection::default()))
    })
}

pub fn create(call: &Call, state: &mut State, scope: Scope, kind: Kind) -> Answer {
    let draft = Draft::whole(kind, scope, call.object()?)?;
    let id = match kind {
        Kind::User => create_user(state, scope, &draft)?,
        Kind::ServicePrincipal => create_service_principal(state, scope, &draft)?,
        Kind::Group => create_group(state, scope, &draft)?,
    };
    answer(state, scope, id, 201)
}

fn already(what: &str, name: &str) -> ApiError {
    ApiError::exists(format!("{what} with name {name} already exists."))
}

/// A principal known to the account joins the workspace; a new one is made in the account first.
fn join(state: &mut State, scope: Scope, id: u64, draft: &Draft) {
    if let Scope::Workspace(workspace) = scope {
        state.assign(workspace, id, Assignment::User);
        let row = WorkspaceRow {
            entitlements: draft.entitlements.clone(),
            roles: draft.roles.clone(),
        };
        state.directory.set_row(workspace, id, row);
    }
}

pub fn create_user(state: &mut State, scope: Scope, draft: &Draft) -> Result<u64, ApiError> {
    if draft.user_name.is_empty() {
        return Err(ApiError::invalid("Attribute 'userName' is required"));
    }
    if let Some(id) = state.directory.user_named(&draft.user_name).map(|user| user.id) {
        if state.directory.sees(scope, id) {
            return Err(already("User", &draft.user_name));
        }
        join(state, scope, id, draft);
        return Ok(id);
    }
    let id = state.new_id();
    let emails = if draft.emails.is_empty() {
        vec![json!({"type": "work", "value": draft.user_name, "primary": true})]
    } else {
        draft.emails.clone()
    };
    state.directory.insert_user(User {
        id,
        user_name: draft.user_name.clone(),
        display_name: draft
            .display_name
            .clone()
            .unwrap_or_else(|| draft.user_name.clone()),
        given_name: draft.given_name.clone(),
        family_name: draft.family_name.clone(),
        emails,
        active: draft.active,
        external_id: draft.external_id.clone(),
        roles: if scope == Scope::Account {
            draft.roles.clone()
        } else {
            BTreeSet::new()
        },
    });
    join(state, scope, id, draft);
    Ok(id)
}

pub fn create_service_principal(state: &mut State, scope: Scope, draft: &Draft) -> Result<u64, ApiError> {
    if let Some(app) = &draft.application_id {
        match state.directory.application(app).map(|sp| sp.id) {
            Some(id) if state.directory.sees(scope, id) => return Err(already("ServicePrincipal", app)),
            Some(id) => {
                join(state, scope, id, draft);
                return Ok(id);
            }
            None => {}
        }
    }
    let application_id = draft.application_id.clone().unwrap_or_else(|| state.new_uuid());
    let id = state.new_id();
    state.directory.insert_service_principal(ServicePrincipal {
        id,
        display_name: draft
            .display_name
            .clone()
            .unwrap_or_else(|| application_id.clone()),
        application_id,
        active: draft.active,
        external_id: draft.external_id.clone(),
        roles: if scope == Scope::Account {
            draft.roles.clone()
        } else {
            BTreeSet::new()
        },
    });
    join(state, scope, id, draft);
    Ok(id)
}

pub fn create_group(state: &mut State, scope: Scope, draft: &Draft) -> Result<u64, ApiError> {
    let name = draft
        .display_name
        .clone()
        .ok_or_else(|| ApiError::invalid("Attribute 'displayName' is required"))?;
    name_is_free(state, scope, &name, None)?;
    check_members(state, scope, None, &draft.members)?;
    let id = state.new_id();
    state.directory.insert_group(Group {
        external_id: draft.external_id.clone(),
        members: draft.members.clone(),
        roles: if scope == Scope::Account {
            draft.roles.clone()
        } else {
            BTreeSet::new()
        },
        ..Group::new(id, scope, &name)
    });
    if let Scope::Workspace(workspace) = scope {
        let row = WorkspaceRow {
            entitlements: draft.entitlements.clone(),
            roles: draft.roles.clone(),
        };
        state.directory.set_row(workspace, id, row);
    }
    Ok(id)
}

fn name_is_free(state: &State, scope: Scope, name: &str, but: Option<u64>) -> Result<(), ApiError> {
    let taken = match scope {
        Scope::Account => state.directory.group_named(scope, name),
        Scope::Workspace(workspace) => state.directory.group_in_workspace(workspace, name),
    };
    match taken {
        Some(group) if Some(group.id) != but => Err(already("Group", name)),
        _ => Ok(()),
    }
}

fn check_members(
    state: &State,
    scope: Scope,
    group: Option<u64>,
    new: &BTreeSet<u64>,
) -> Result<(), ApiError> {
    for member in new {
        if !state.directory.sees(scope, *member) {
            return Err(ApiError::invalid(format!(
                "Member with id {member} does not exist"
            )));
        }
        if let Some(refusal) = group.and_then(|group| state.directory.refuses_member(group, *member)) {
            return Err(ApiError::invalid(refusal));
        }
    }
    Ok(())
}

pub fn replace(call: &Call, state: &mut State, scope: Scope, kind: Kind) -> Answer {
    let id = id_of(find(call, state, scope, kind)?);
    let mut draft = Draft::whole(kind, scope, call.object()?)?;
    if let Some(principal) = state.directory.principal(id) {
        let old = Draft::of(state, scope, principal);
        if kind == Kind::User && draft.user_name != old.user_name {
            return Err(ApiError::invalid("Attribute 'userName' cannot be changed").scim("mutability"));
        }
        if draft.application_id.is_some() && draft.application_id != old.application_id {
            return Err(ApiError::invalid("Attribute 'applicationId' cannot be changed").scim("mutability"));
        }
        if draft.emails.is_empty() {
            draft.emails = old.emails;
        }
        if kind != Kind::Group && draft.display_name.is_none() {
            draft.display_name = old.display_name;
        }
    }
    commit(state, scope, id, draft)?;
    answer(state, scope, id, 200)
}

pub fn update(call: &Call, state: &mut State, scope: Scope, kind: Kind) -> Answer {
    let principal = find(call, state, scope, kind)?;
    let id = id_of(principal);
    let mut draft = Draft::of(state, scope, principal);
    patch::apply(&mut draft, kind, scope, call.object()?)?;
    commit(state, scope, id, draft)?;
    if kind == Kind::Group {
        Ok(Reply::no_content())
    } else {
        answer(state, scope, id, 200)
    }
}

/// Makes the world agree with an accepted draft, or refuses it whole.
fn commit(state: &mut State, scope: Scope, id: u64, draft: Draft) -> Result<(), ApiError> {
    if let Some(group) = state.directory.group(id).cloned() {
        commit_group(state, scope, &group, &draft)?;
    } else {
        let directory = &mut state.directory;
        if let Some(user) = directory.users.get_mut(&id).map(Arc::make_mut) {
            user.display_name = draft.display_name.clone().unwrap_or_default();
            user.given_name.clone_from(&draft.given_name);
            user.family_name.clone_from(&draft.family_name);
            user.emails.clone_from(&draft.emails);
            user.active = draft.active;
            user.external_id.clone_from(&draft.external_id);
            if scope == Scope::Account {
                user.roles.clone_from(&draft.roles);
            }
        }
        if let Some(sp) = directory.service_principals.get_mut(&id).map(Arc::make_mut) {
            sp.display_name = draft.display_name.clone().unwrap_or_default();
            sp.active = draft.active;
            sp.external_id.clone_from(&draft.external_id);
            if scope == Scope::Account {
                sp.roles.clone_from(&draft.roles);
            }
        }
    }
    if let Scope::Workspace(workspace) = scope {
        let row = WorkspaceRow {
            entitlements: draft.entitlements,
            roles: draft.roles,
        };
        state.directory.set_row(workspace, id, row);
    }
    Ok(())
}

fn commit_group(state: &mut State, scope: Scope, group: &Group, draft: &Draft) -> Result<(), ApiError> {
    let old: BTreeSet<u64> = state.directory.members(group).into_iter().collect();
    let name = draft
        .display_name
        .clone()
        .ok_or_else(|| ApiError::invalid("Attribute 'displayName' is required"))?;
    let foreign = group.home != scope;
    if foreign
        && (old != draft.members || name != group.display_name || draft.external_id != group.external_id)
    {
        return Err(ApiError::denied(format!(
            "Group {} belongs to the account: its name and members can only be changed in the account",
            group.id
        )));
    }
    if foreign {
        return Ok(());
    }
    let added: BTreeSet<u64> = draft.members.difference(&old).copied().collect();
    check_members(state, scope, Some(group.id), &added)?;
    if let (Some(system), Scope::Workspace(workspace)) = (group.system, group.home) {
        return commit_system(state, workspace, system, &name, &old, draft);
    }
    name_is_free(state, scope, &name, Some(group.id))?;
    state.directory.edit_group(group.id, |group| {
        group.display_name = name;
        group.external_id.clone_from(&draft.external_id);
        group.members.clone_from(&draft.members);
        if scope == Scope::Account {
            group.roles.clone_from(&draft.roles);
        }
    });
    Ok(())
}

/// Membership of `admins` is the ADMIN assignment under another name; that of `users` cannot be edited.
fn commit_system(
    state: &mut State,
    workspace: u64,
    system: SystemGroup,
    name: &str,
    old: &BTreeSet<u64>,
    draft: &Draft,
) -> Result<(), ApiError> {
    if name != system.name() || (system == SystemGroup::Users && *old != draft.members) {
        return Err(ApiError::denied(format!(
            "Cannot change the system group '{}'",
            system.name()
        )));
    }
    if system == SystemGroup::Admins {
        for gone in old.difference(&draft.members) {
            state.assign(workspace, *gone, Assignment::User);
        }
        for new in draft.members.difference(old) {
            state.assign(workspace, *new, Assignment::Admin);
        }
    }
    Ok(())
}

pub fn delete(call: &Call, state: &mut State, scope: Scope, kind: Kind) -> Answer {
    let principal = find(call, state, scope, kind)?;
    let id = id_of(principal);
    if let Principal::Group(group) = principal
        && group.system.is_some()
    {
        return Err(ApiError::denied(format!(
            "Cannot delete the system group '{}'",
            group.display_name
        )));
    }
    match (scope, state.directory.group(id)) {
        (Scope::Workspace(_), Some(group)) if group.home == scope => state.remove_principal(id),
        (Scope::Workspace(workspace), _) => state.leave_workspace(workspace, id),
        (Scope::Account, _) => state.remove_principal(id),
    }
    Ok(Reply::no_content())
}
