//! Objects of workspaces and securables of the metastore.

use std::sync::Arc;

use super::words::{Data, Thing};
use super::{bad, principal};
use crate::catalog;
use crate::error::ApiError;
use crate::objects;
use crate::permissions::kinds;
use crate::state::State;

pub(super) fn put_object(state: &mut State, home: u64, thing: &Thing, now: i64) -> Result<String, ApiError> {
    let workspace = thing.workspace.unwrap_or(home);
    let kind =
        kinds::by_path(&thing.r#type).ok_or_else(|| bad(format!("unknown object type {}", thing.r#type)))?;
    let owner = match &thing.owner {
        Some(name) => principal(state, Some(workspace), name)?,
        None => state
            .directory
            .admissions
            .all(workspace)
            .next()
            .map_or(0, |(id, _)| id),
    };
    let known = state
        .objects
        .named(workspace, kind.path, &thing.name)
        .next()
        .map(|object| object.id.clone());
    let id = match known {
        Some(id) => id,
        None => objects::seed(
            state,
            workspace,
            kind,
            &thing.name,
            thing.id.as_deref(),
            &thing.body,
            owner,
            now,
        ),
    };
    for (name, level) in &thing.acl {
        if !kind.levels.contains(&level.as_str()) {
            return Err(bad(format!("{level} is not a level of {}", kind.path)));
        }
        let who = principal(state, Some(workspace), name)?;
        if let Some(object) = state.objects.get_mut(workspace, kind.path, &id) {
            object.acl.insert(who, level.clone());
        }
    }
    Ok(id)
}

pub(super) fn put_securable(state: &mut State, data: &Data, now: i64) -> Result<(), ApiError> {
    let kind = catalog::kinds::by_name(&data.r#type)
        .ok_or_else(|| bad(format!("unknown securable type {}", data.r#type)))?;
    let owner = data
        .owner
        .clone()
        .unwrap_or_else(|| catalog::metastore_owner(state));
    catalog::seed(state, kind, &data.full_name, &owner, &data.body, now);
    let key = (kind.name, data.full_name.to_lowercase());
    if let Some(securable) = state.securables.get_mut(&key).map(Arc::make_mut) {
        for (principal, privileges) in &data.grants {
            securable
                .grants
                .entry(principal.clone())
                .or_default()
                .extend(privileges.iter().cloned());
        }
    }
    Ok(())
}
