//! The whole world as sorted JSON, by name rather than by id where names are unique, without any secret value: two
//! snapshots are equal exactly when nothing a client could see has changed.

use serde_json::{Map, Value, json};

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

fn workspace_facts(state: &State, id: u64) -> Value {
    let mut facts = Map::new();
    for workspace in state.workspaces.keys() {
        let assignment = state
            .directory
            .assignments
            .get(&(*workspace, id))
            .map(|level| level.name());
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
            Scope::Workspace(_) => json!(
                state
                    .directory
                    .rows
                    .iter()
                    .find(|((_, id), _)| *id == group.id)
                    .map(|(_, row)| &row.entitlements)
            ),
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
        "ruleSets": state.rule_sets.iter().map(|(name, set)| (name.clone(), json!(set.rules))).collect::<Map<_, _>>(),
        "credentials": credentials(state),
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
