//! How users, groups and service principals look on the wire, in the account and in a workspace. Empty lists are
//! left out, as the vendor does.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::state::{Group, Principal, Scope, State};

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const USER_EXTENSION: &str = "urn:ietf:params:scim:schemas:extension:workspace:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const SERVICE_PRINCIPAL: &str = "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal";
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
pub const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Group,
    ServicePrincipal,
}

impl Kind {
    pub fn noun(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::ServicePrincipal => "ServicePrincipal",
        }
    }

    pub fn of(principal: Principal<'_>) -> Self {
        match principal {
            Principal::User(_) => Self::User,
            Principal::Group(_) => Self::Group,
            Principal::ServicePrincipal(_) => Self::ServicePrincipal,
        }
    }
}

/// `attributes` and `excludedAttributes`, compared by their first segment and without case.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    only: Option<BTreeSet<String>>,
    without: BTreeSet<String>,
}

fn heads(list: &str) -> BTreeSet<String> {
    list.split(',')
        .map(|name| name.trim().split('.').next().unwrap_or_default().to_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

impl Selection {
    pub fn new(attributes: Option<&str>, excluded: Option<&str>) -> Self {
        Self {
            only: attributes.map(heads).filter(|names| !names.is_empty()),
            without: excluded.map(heads).unwrap_or_default(),
        }
    }

    pub fn wants(&self, attribute: &str) -> bool {
        let name = attribute.to_lowercase();
        // RFC 7643: `id` is returned always.
        name == "id"
            || name == "schemas"
            || (self.only.as_ref().is_none_or(|only| only.contains(&name)) && !self.without.contains(&name))
    }

    #[must_use]
    pub fn and_without(mut self, attribute: &str) -> Self {
        self.without.insert(attribute.to_lowercase());
        self
    }
}

struct Sheet<'a> {
    fields: Map<String, Value>,
    selection: &'a Selection,
}

impl Sheet<'_> {
    fn put(&mut self, name: &str, value: impl FnOnce() -> Option<Value>) {
        if self.selection.wants(name)
            && let Some(value) = value()
        {
            self.fields.insert(name.to_owned(), value);
        }
    }

    fn list(&mut self, name: &str, values: impl FnOnce() -> Vec<Value>) {
        self.put(name, || {
            Some(values())
                .filter(|values| !values.is_empty())
                .map(Value::Array)
        });
    }
}

fn values(set: &BTreeSet<String>) -> Vec<Value> {
    set.iter().map(|value| json!({"value": value})).collect()
}

fn reference(state: &State, id: u64) -> Option<Value> {
    let principal = state.directory.principal(id)?;
    Some(json!({
        "value": id.to_string(),
        "display": principal.display_name(),
        "$ref": format!("{}/{id}", principal.collection()),
    }))
}

fn parents(state: &State, scope: Scope, id: u64) -> Vec<Value> {
    let one = |group: &Group| {
        json!({"value": group.id.to_string(), "display": group.display_name, "type": "direct",
               "$ref": format!("Groups/{}", group.id)})
    };
    state.directory.parents(id, scope).into_iter().map(one).collect()
}

/// Renders a principal as `scope` sees it, with the selected attributes only.
pub fn render(state: &State, scope: Scope, principal: Principal<'_>, selection: &Selection) -> Value {
    let mut sheet = Sheet {
        fields: Map::new(),
        selection,
    };
    let id = match principal {
        Principal::User(user) => {
            sheet.put("schemas", || {
                Some(match scope {
                    Scope::Account => json!([USER]),
                    Scope::Workspace(_) => json!([USER, USER_EXTENSION]),
                })
            });
            sheet.put("userName", || Some(json!(user.user_name)));
            sheet.put("displayName", || Some(json!(user.display_name)));
            sheet.put("name", || {
                let mut name = Map::new();
                if let Some(given) = &user.given_name {
                    name.insert("givenName".into(), json!(given));
                }
                if let Some(family) = &user.family_name {
                    name.insert("familyName".into(), json!(family));
                }
                Some(Value::Object(name)).filter(|name| name != &json!({}))
            });
            sheet.list("emails", || user.emails.clone());
            sheet.put("active", || Some(json!(user.active)));
            sheet.put("externalId", || user.external_id.as_ref().map(|id| json!(id)));
            user.id
        }
        Principal::ServicePrincipal(sp) => {
            sheet.put("schemas", || Some(json!([SERVICE_PRINCIPAL])));
            sheet.put("applicationId", || Some(json!(sp.application_id)));
            sheet.put("displayName", || Some(json!(sp.display_name)));
            sheet.put("active", || Some(json!(sp.active)));
            sheet.put("externalId", || sp.external_id.as_ref().map(|id| json!(id)));
            sp.id
        }
        Principal::Group(group) => {
            sheet.put("schemas", || Some(json!([GROUP])));
            sheet.put("displayName", || Some(json!(group.display_name)));
            sheet.put("externalId", || group.external_id.as_ref().map(|id| json!(id)));
            sheet.list("members", || {
                state
                    .directory
                    .members(group)
                    .into_iter()
                    .filter_map(|member| reference(state, member))
                    .collect()
            });
            sheet.put("meta", || {
                let kind = if group.home == Scope::Account {
                    "Group"
                } else {
                    "WorkspaceGroup"
                };
                Some(json!({"resourceType": kind}))
            });
            group.id
        }
    };
    sheet.fields.insert("id".to_owned(), json!(id.to_string()));
    sheet.list("groups", || parents(state, scope, id));
    sheet.list("roles", || values(&roles(state, scope, principal, id)));
    if let Scope::Workspace(workspace) = scope {
        sheet.list("entitlements", || {
            state
                .directory
                .rows
                .get(&(workspace, id))
                .map(|row| values(&row.entitlements))
                .unwrap_or_default()
        });
    }
    Value::Object(sheet.fields)
}

/// Account roles in the account, instance profiles in a workspace.
fn roles(state: &State, scope: Scope, principal: Principal<'_>, id: u64) -> BTreeSet<String> {
    match (scope, principal) {
        (Scope::Workspace(workspace), _) => state
            .directory
            .rows
            .get(&(workspace, id))
            .map(|row| row.roles.clone())
            .unwrap_or_default(),
        (Scope::Account, Principal::User(user)) => user.roles.clone(),
        (Scope::Account, Principal::ServicePrincipal(sp)) => sp.roles.clone(),
        (Scope::Account, Principal::Group(group)) => group.roles.clone(),
    }
}
