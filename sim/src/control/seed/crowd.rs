//! A crowd without faces, for measuring.

use super::words::Generate;
use crate::error::ApiError;
use crate::scim::draft::Draft;
use crate::scim::write::{create_group, create_user};
use crate::state::admissions::Assignment;
use crate::state::{Scope, State};

pub(super) fn generate(state: &mut State, home: u64, crowd: &Generate) -> Result<(), ApiError> {
    let prefix = &crowd.prefix;
    let mut users = Vec::with_capacity(crowd.users);
    for number in 0..crowd.users {
        let name = format!("{prefix}user-{number}@example.com");
        let id = match state.directory.user_named(&name).map(|user| user.id) {
            Some(id) => id,
            None => create_user(
                state,
                Scope::Account,
                &Draft {
                    user_name: name,
                    active: true,
                    ..Draft::default()
                },
            )?,
        };
        state.assign(crowd.workspace.unwrap_or(home), id, Assignment::User);
        users.push(id);
    }
    let scope = crowd.workspace.map_or(Scope::Account, Scope::Workspace);
    for number in 0..crowd.groups {
        let name = format!("{prefix}group-{number}");
        if state.directory.group_named(scope, &name).is_some() {
            continue;
        }
        let start = number * crowd.members_per_group;
        let members = (start..start + crowd.members_per_group)
            .filter_map(|index| users.get(index.checked_rem(users.len())?).copied())
            .collect();
        create_group(
            state,
            scope,
            &Draft {
                display_name: Some(name),
                members,
                ..Draft::default()
            },
        )?;
    }
    Ok(())
}
