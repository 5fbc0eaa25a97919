//! People, service principals with what they log in with, and groups.

use std::sync::Arc;

use super::words::{Person, Team};
use super::{bad, principal};
use crate::error::ApiError;
use crate::scim::draft::Draft;
use crate::scim::write::{create_group, create_service_principal, create_user};
use crate::state::admissions::Assignment;
use crate::state::credentials::{FederationPolicy, Secret};
use crate::state::hidden::Hidden;
use crate::state::{Scope, State};

pub(super) fn put_person(
    state: &mut State,
    home: u64,
    person: &Person,
    now: i64,
) -> Result<(String, u64), ApiError> {
    let draft = Draft {
        user_name: person.user_name.clone().unwrap_or_default().to_lowercase(),
        application_id: person.application_id.clone(),
        display_name: person.display_name.clone(),
        external_id: person.external_id.clone(),
        active: person.active.unwrap_or(true),
        ..Draft::default()
    };
    let (name, known) = match (&person.user_name, &person.application_id) {
        (Some(name), None) => (name.clone(), state.directory.user_named(name).map(|user| user.id)),
        (None, Some(app)) => (app.clone(), state.directory.application(app).map(|sp| sp.id)),
        _ => return Err(bad("a person needs userName, a service principal applicationId")),
    };
    let id = match known {
        Some(id) => id,
        None if person.user_name.is_some() => create_user(state, Scope::Account, &draft)?,
        None => create_service_principal(state, Scope::Account, &draft)?,
    };
    if let Some(user) = state.directory.users.get_mut(&id).map(Arc::make_mut) {
        if let Some(name) = &person.display_name {
            user.display_name.clone_from(name);
        }
        user.active = person.active.unwrap_or(user.active);
        if person.account_admin {
            user.roles.insert("account_admin".into());
        }
    }
    if let Some(sp) = state.directory.service_principals.get_mut(&id).map(Arc::make_mut) {
        if let Some(name) = &person.display_name {
            sp.display_name.clone_from(name);
        }
        sp.active = person.active.unwrap_or(sp.active);
        if person.account_admin {
            sp.roles.insert("account_admin".into());
        }
    }
    let level = if person.admin {
        Assignment::Admin
    } else {
        Assignment::User
    };
    for workspace in person.workspaces.clone().unwrap_or_else(|| vec![home]) {
        state.assign(workspace, id, level);
        entitle(state, workspace, id, &person.entitlements);
    }
    put_credentials(state, id, person, now);
    Ok((name, id))
}

fn entitle(state: &mut State, workspace: u64, id: u64, entitlements: &[String]) {
    let mut row = state
        .directory
        .rows
        .get(&(workspace, id))
        .cloned()
        .unwrap_or_default();
    row.entitlements.extend(entitlements.iter().cloned());
    state.directory.set_row(workspace, id, row);
}

fn put_credentials(state: &mut State, id: u64, person: &Person, now: i64) {
    for value in &person.secrets {
        if state
            .credentials
            .secrets
            .values()
            .any(|secret| secret.value.show() == value)
        {
            continue;
        }
        let secret = Secret {
            id: state.new_uuid(),
            service_principal: id,
            value: Hidden::new(value.clone()),
            scopes: Vec::new(),
            created: now,
            starts: i64::MIN,
            expires: now + 63_072_000_000,
        };
        state.credentials.secrets.insert(secret.id.clone(), secret);
    }
    for (index, oidc) in person.federation_policies.iter().enumerate() {
        let policy_id = format!("seed-{index}");
        let policy = FederationPolicy {
            id: policy_id.clone(),
            uid: state.new_uuid(),
            service_principal: Some(id),
            description: String::new(),
            oidc: oidc.clone(),
            created: now,
            updated: now,
        };
        state.credentials.policies.insert((Some(id), policy_id), policy);
    }
}

pub(super) fn put_group(state: &mut State, team: &Team) -> Result<u64, ApiError> {
    let scope = team.workspace.map_or(Scope::Account, Scope::Workspace);
    let id = match state
        .directory
        .group_named(scope, &team.display_name)
        .map(|group| group.id)
    {
        Some(id) => id,
        None => create_group(
            state,
            scope,
            &Draft {
                display_name: Some(team.display_name.clone()),
                external_id: team.external_id.clone(),
                ..Draft::default()
            },
        )?,
    };
    for workspace in &team.workspaces {
        if !state.directory.admissions.admits(*workspace, id) {
            state.assign(*workspace, id, Assignment::User);
        }
    }
    for workspace in team.workspace.iter().chain(&team.workspaces) {
        entitle(state, *workspace, id, &team.entitlements);
    }
    Ok(id)
}

pub(super) fn fill_group(state: &mut State, team: &Team) -> Result<(), ApiError> {
    let scope = team.workspace.map_or(Scope::Account, Scope::Workspace);
    let id = state
        .directory
        .group_named(scope, &team.display_name)
        .map_or(0, |group| group.id);
    for name in &team.members {
        let member = principal(state, team.workspace, name)?;
        if let Some(refusal) = state.directory.refuses_member(id, member) {
            return Err(bad(refusal));
        }
        state.directory.edit_group(id, |group| {
            group.members.insert(member);
        });
    }
    Ok(())
}
