//! The whole world as sorted JSON, by name rather than by id where names are unique, without any secret value: two
//! snapshots are equal exactly when nothing a client could see has changed.

use serde_json::{Map, Value, json};

use crate::state::admissions::Assignment;
use crate::state::{Principal, Scope, State};

fn label(state: &State, id: u64) -> String {
    match state.directory.principal(id) {
        Some(Principal::Group(group)) => format!("group:{}", group.display_name),
        Some(who) => who.acl_name().1.to_owned(),
        None => id.to_string(),
    }
}

fn labels(state: &State, ids: impl IntoIterator<Item = u64>) -> Vec<String> {
    let mut names: Vec<String> = ids.into_iter().map(|id| label(state, id)).collect();
    names.sort();
    names
}

/// Fields that differ between two runs of the same story.
const CHANGING: &[&str] = &[
    "id",
    "uid",
    "job_id",
    "experiment_id",
    "created_time",
    "created_at",
    "modified_at",
    "updated_at",
    "update_time",
    "storage_location",
    "run_id",
    "start_time",
    "end_time",
    "creation_time",
    "last_update_time",
    "creation_timestamp",
    "last_updated_timestamp",
    "created_at_timestamp",
    "artifact_location",
    "service_principal_id",
    "policy_id",
    "cluster_id",
    "instance_pool_id",
    "pipeline_id",
    "dashboard_id",
    "space_id",
];

/// The same world without ids and times, objects by name: for comparing one run with another.
pub fn stable(state: &State) -> Value {
    let mut world = render(state);
    if let Some(kinds) = world["objects"].as_object_mut() {
        for rows in kinds.values_mut() {
            let mut by_name: Map<String, Value> = Map::new();
            for row in rows.as_object().into_iter().flat_map(Map::values) {
                let name = row["name"].as_str().unwrap_or_default();
                // Several jobs may share a name; the copies are numbered.
                let copies = (2..).map(|copy| format!("{name} ({copy})"));
                let free = std::iter::once(name.to_owned())
                    .chain(copies)
                    .find(|name| !by_name.contains_key(name));
                by_name.insert(free.unwrap_or_default(), row.clone());
            }
            *rows = Value::Object(by_name);
        }
    }
    let credentials = &mut world["credentials"];
    for kind in ["tokens", "secrets"] {
        let mut rows: Vec<Value> = credentials[kind]
            .as_object()
            .into_iter()
            .flat_map(Map::values)
            .cloned()
            .collect();
        rows.sort_by_key(ToString::to_string);
        credentials[kind] = Value::Array(rows);
    }
    strip(&mut world);
    world
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| !CHANGING.contains(&name.as_str()) || value.is_object());
            fields.values_mut().for_each(strip);
        }
        Value::Array(rows) => rows.iter_mut().for_each(strip),
        _ => {}
    }
}

fn workspace_facts(state: &State, id: u64) -> Value {
    let mut facts = Map::new();
    for workspace in state.workspaces.keys() {
        let assignment = state
            .directory
            .admissions
            .get(*workspace, id)
            .map(Assignment::name);
        let row = state
            .directory
            .rows
            .get(&(*workspace, id))
            .cloned()
            .unwrap_or_default();
        if assignment.is_some() || row != crate::state::directory::WorkspaceRow::default() {
            facts.insert(
                workspace.to_string(),
                json!({"permission": assignment, "entitlements": row.entitlements, "roles": row.roles}),
            );
        }
    }
    Value::Object(facts)
}

pub fn render(state: &State) -> Value {
    let directory = &state.directory;
    let users: Map<String, Value> = directory
        .users
        .values()
        .map(|user| {
            (user.user_name.clone(), json!({
                "id": user.id.to_string(), "displayName": user.display_name, "active": user.active,
                "externalId": user.external_id, "roles": user.roles, "workspaces": workspace_facts(state, user.id),
            }))
        })
        .collect();
    let principals: Map<String, Value> = directory
        .service_principals
        .values()
        .map(|sp| {
            (sp.application_id.clone(), json!({
                "id": sp.id.to_string(), "displayName": sp.display_name, "active": sp.active,
                "externalId": sp.external_id, "roles": sp.roles, "workspaces": workspace_facts(state, sp.id),
            }))
        })
        .collect();
    let mut groups: Map<String, Value> = Map::new();
    for group in directory.groups() {
        let home = groups.entry(group.home.to_string()).or_insert_with(|| json!({}));
        let workspaces = match group.home {
            Scope::Account => workspace_facts(state, group.id),
            Scope::Workspace(home) => {
                json!(
                    directory
                        .rows
                        .get(&(home, group.id))
                        .cloned()
                        .unwrap_or_default()
                        .entitlements
                )
            }
        };
        home[&group.display_name] = json!({
            "id": group.id.to_string(), "externalId": group.external_id, "roles": group.roles,
            "members": labels(state, directory.members(group)), "workspaces": workspaces,
        });
    }
    json!({
        "accountId": state.account_id,
        "metastoreId": state.metastore_id,
        "workspaces": state.workspaces.keys().map(ToString::to_string).collect::<Vec<_>>(),
        "users": users,
        "servicePrincipals": principals,
        "groups": groups,
        "objects": objects(state),
        "securables": securables(state),
        "models": super::more::models(state),
        "runs": super::more::runs(state),
        "ruleSets": state.rule_sets.iter().map(|(name, set)| (name.clone(), json!(set.rules))).collect::<Map<_, _>>(),
        "credentials": credentials(state),
        "secretScopes": super::more::secret_scopes(state, |id| label(state, id)),
        "workspaceConf": super::more::workspace_conf(state),
    })
}

fn objects(state: &State) -> Value {
    let mut kinds: Map<String, Value> = Map::new();
    for (workspace, kind, object) in state.objects.all() {
        let acl: Map<String, Value> = object
            .acl
            .iter()
            .map(|(id, level)| (label(state, *id), json!(level)))
            .collect();
        let rows = kinds
            .entry(format!("{workspace}/{kind}"))
            .or_insert_with(|| json!({}));
        rows[&object.id] = json!({"name": object.name, "acl": acl, "body": object.body});
    }
    Value::Object(kinds)
}

fn securables(state: &State) -> Value {
    let mut kinds: Map<String, Value> = Map::new();
    for ((kind, _), securable) in &state.securables {
        let rows = kinds.entry((*kind).to_owned()).or_insert_with(|| json!({}));
        rows[&securable.full_name] =
            json!({"owner": securable.owner, "grants": securable.grants, "body": securable.body});
    }
    Value::Object(kinds)
}

/// That a credential exists, never what it is.
fn credentials(state: &State) -> Value {
    let credentials = &state.credentials;
    let personal: Map<String, Value> = credentials
        .personal
        .values()
        .map(|token| {
            (
                token.id.clone(),
                json!({"owner": label(state, token.owner), "comment": token.comment,
                                      "workspace": token.workspace.to_string()}),
            )
        })
        .collect();
    let secrets: Map<String, Value> = credentials
        .secrets
        .values()
        .map(|secret| {
            (
                secret.id.clone(),
                json!({"servicePrincipal": label(state, secret.service_principal)}),
            )
        })
        .collect();
    let policies: Map<String, Value> = credentials
        .policies
        .values()
        .map(|policy| {
            let whose = policy
                .service_principal
                .map_or_else(|| "account".to_owned(), |id| label(state, id));
            (
                format!("{whose}/{}", policy.id),
                json!({"description": policy.description, "oidc_policy": policy.oidc}),
            )
        })
        .collect();
    json!({"tokens": personal, "secrets": secrets, "federationPolicies": policies})
}
