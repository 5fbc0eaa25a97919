//! Filling the world by name: `POST /_sim/seed` and `--seed`. Everything is an upsert, so that seeding twice is
//! seeding once; people and groups are named the way access lists name them. What a seed may say is `words`.

mod crowd;
mod people;
mod things;
mod tokens;
mod words;

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::state::admissions::Assignment;
use crate::state::{RuleSet, Scope, State};
use crowd::generate;
use people::{fill_group, put_group, put_person};
use things::{put_object, put_securable};
use tokens::put_token;
pub use words::Seed;

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::invalid(message)
}

/// The principal a name means: `group:NAME`, an e-mail address, an application id, or a plain group name.
pub fn principal(state: &State, workspace: Option<u64>, name: &str) -> Result<u64, ApiError> {
    let directory = &state.directory;
    let group = |name: &str| {
        workspace
            .and_then(|id| directory.group_named(Scope::Workspace(id), name))
            .or_else(|| directory.group_named(Scope::Account, name))
            .map(|group| group.id)
    };
    if let Some(name) = name.strip_prefix("group:") {
        return group(name).ok_or_else(|| bad(format!("no group named {name}")));
    }
    directory
        .user_named(name)
        .map(|user| user.id)
        .or_else(|| directory.application(name).map(|sp| sp.id))
        .or_else(|| group(name))
        .ok_or_else(|| bad(format!("no principal named {name}")))
}

fn assignment(name: &str) -> Result<Assignment, ApiError> {
    match name {
        "USER" => Ok(Assignment::User),
        "ADMIN" => Ok(Assignment::Admin),
        other => Err(bad(format!("permission {other} is neither USER nor ADMIN"))),
    }
}

/// Applies a seed and says which id each name got.
pub fn apply(state: &mut State, seed: &Seed, now: i64) -> Result<Value, ApiError> {
    let home = *state
        .workspaces
        .keys()
        .next()
        .ok_or_else(|| bad("there is no workspace"))?;
    let mut ids = Map::new();
    for person in seed.users.iter().chain(&seed.service_principals) {
        let (name, id) = put_person(state, home, person, now)?;
        ids.insert(name, json!(id.to_string()));
    }
    // Groups before members, so that groups may contain groups in any order.
    for team in &seed.groups {
        let id = put_group(state, team)?;
        ids.insert(format!("group:{}", team.display_name), json!(id.to_string()));
    }
    for team in &seed.groups {
        fill_group(state, team)?;
    }
    for row in &seed.assignments {
        let workspace = row.workspace.unwrap_or(home);
        let id = principal(state, Some(workspace), &row.principal)?;
        state.assign(workspace, id, assignment(&row.permission)?);
    }
    for thing in &seed.objects {
        let id = put_object(state, home, thing, now)?;
        ids.insert(format!("{}:{}", thing.r#type, thing.name), json!(id));
    }
    for data in &seed.securables {
        put_securable(state, data, now)?;
    }
    for rules in &seed.rule_sets {
        let revision = state.rule_sets.get(&rules.name).map_or(1, |old| old.revision + 1);
        state.rule_sets.insert(
            rules.name.clone(),
            RuleSet {
                revision,
                rules: rules.grant_rules.clone(),
            },
        );
    }
    for token in &seed.tokens {
        let who = principal(state, token.workspace, &token.principal)?;
        let scope = token.workspace.map_or(Scope::Account, Scope::Workspace);
        put_token(state, token, who, scope, now)?;
    }
    if let Some(crowd) = &seed.generate {
        generate(state, home, crowd)?;
    }
    Ok(json!({"ids": ids}))
}
