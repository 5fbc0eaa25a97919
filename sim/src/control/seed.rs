//! Filling the world by name: `POST /_sim/seed` and `--seed`. Everything is an upsert, so that seeding twice is
//! seeding once; people and groups are named the way access lists name them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::catalog;
use crate::error::ApiError;
use crate::objects;
use crate::permissions::kinds;
use crate::scim::draft::Draft;
use crate::scim::write::{create_group, create_service_principal, create_user};
use crate::state::admissions::Assignment;
use crate::state::credentials::{Bearer, FederationPolicy, Secret};
use crate::state::{RuleSet, Scope, State};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Seed {
    users: Vec<Person>,
    service_principals: Vec<Person>,
    groups: Vec<Team>,
    assignments: Vec<Assigned>,
    objects: Vec<Thing>,
    securables: Vec<Data>,
    rule_sets: Vec<Rules>,
    tokens: Vec<Token>,
    generate: Option<Generate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Person {
    user_name: Option<String>,
    application_id: Option<String>,
    display_name: Option<String>,
    external_id: Option<String>,
    active: Option<bool>,
    account_admin: bool,
    /// Workspaces to be assigned to as USER; unset: the first workspace. `admin` makes it ADMIN.
    workspaces: Option<Vec<u64>>,
    admin: bool,
    entitlements: Vec<String>,
    /// Client secrets, for service principals.
    secrets: Vec<String>,
    /// `oidc_policy` bodies, for service principals.
    federation_policies: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Team {
    display_name: String,
    external_id: Option<String>,
    /// Unset: an account group.
    workspace: Option<u64>,
    members: Vec<String>,
    /// Workspaces an account group is assigned to.
    workspaces: Vec<u64>,
    entitlements: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Assigned {
    workspace: Option<u64>,
    principal: String,
    permission: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Thing {
    /// The `{type}` of the permissions API.
    r#type: String,
    name: String,
    id: Option<String>,
    workspace: Option<u64>,
    #[serde(default)]
    body: Map<String, Value>,
    owner: Option<String>,
    /// Principal name to level.
    #[serde(default)]
    acl: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Data {
    r#type: String,
    full_name: String,
    owner: Option<String>,
    #[serde(default)]
    body: Map<String, Value>,
    #[serde(default)]
    grants: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rules {
    name: String,
    grant_rules: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Token {
    value: String,
    principal: String,
    /// Unset: an account token.
    workspace: Option<u64>,
}

/// A crowd, for measuring: `{prefix}user-N@example.com` and `{prefix}group-N`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Generate {
    #[serde(default = "crowd")]
    prefix: String,
    #[serde(default)]
    users: usize,
    #[serde(default)]
    groups: usize,
    #[serde(default)]
    members_per_group: usize,
    /// Unset: account groups.
    workspace: Option<u64>,
}

fn crowd() -> String {
    "crowd-".to_owned()
}

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
        state.credentials.bearers.insert(
            token.value.clone(),
            Bearer {
                principal: who,
                scope,
                expires: None,
            },
        );
    }
    if let Some(crowd) = &seed.generate {
        generate(state, home, crowd)?;
    }
    Ok(json!({"ids": ids}))
}

fn put_person(state: &mut State, home: u64, person: &Person, now: i64) -> Result<(String, u64), ApiError> {
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
            .any(|secret| secret.value == *value)
        {
            continue;
        }
        let secret = Secret {
            id: state.new_uuid(),
            service_principal: id,
            value: value.clone(),
            created: now,
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

fn put_group(state: &mut State, team: &Team) -> Result<u64, ApiError> {
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

fn fill_group(state: &mut State, team: &Team) -> Result<(), ApiError> {
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

fn put_object(state: &mut State, home: u64, thing: &Thing, now: i64) -> Result<String, ApiError> {
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

fn put_securable(state: &mut State, data: &Data, now: i64) -> Result<(), ApiError> {
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

fn generate(state: &mut State, home: u64, crowd: &Generate) -> Result<(), ApiError> {
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
