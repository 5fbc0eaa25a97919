//! Tokens of a seed: bare ones for whoever drives a test, and personal access tokens with a past.

use super::bad;
use super::words::{Personal, Token};
use crate::error::ApiError;
use crate::state::credentials::{Bearer, LastUse, PersonalToken};
use crate::state::hidden::Hidden;
use crate::state::{Scope, State};

const DAY_MS: i64 = 24 * 3600 * 1000;

pub fn put_token(
    state: &mut State,
    token: &Token,
    owner: u64,
    scope: Scope,
    now: i64,
) -> Result<(), ApiError> {
    let Some(personal) = &token.personal else {
        let bearer = Bearer::lasting(owner, scope);
        state
            .credentials
            .bearers
            .insert(Hidden::new(token.value.clone()), bearer);
        return Ok(());
    };
    let Scope::Workspace(workspace) = scope else {
        return Err(bad("a personal access token needs its workspace"));
    };
    let known = state
        .credentials
        .personal
        .values()
        .find(|known| known.value.show() == token.value);
    let id = known.map(|known| known.id.clone());
    let Personal {
        comment,
        created_days_ago,
        last_used_days_ago,
        expires_in_days,
    } = personal;
    let ago = |days: u32| now - i64::from(days) * DAY_MS;
    let token = PersonalToken {
        id: id.unwrap_or_else(|| state.new_hex() + &state.new_hex()),
        value: Hidden::new(token.value.clone()),
        comment: comment.clone(),
        scopes: Vec::new(),
        owner,
        creator: owner,
        workspace,
        created: ago(*created_days_ago),
        expires: expires_in_days.map_or(-1, |days| now + i64::from(days) * DAY_MS),
        used: last_used_days_ago.map_or_else(LastUse::never, |days| LastUse::at(ago(days))),
    };
    state.credentials.add_personal(token, i64::MIN);
    Ok(())
}
