//! What a principal will look like once a request has been understood. POST, PUT and PATCH each fill a draft;
//! nothing in the world changes until the whole draft has been accepted.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::resource::Kind;
use crate::error::ApiError;
use crate::state::{Principal, Scope, State};

/// docs of the Terraform provider, `databricks_entitlements`.
pub const ENTITLEMENTS: &[&str] = &[
    "workspace-access",
    "databricks-sql-access",
    "allow-cluster-create",
    "allow-instance-pool-create",
    "workspace-consume",
];

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    pub user_name: String,
    pub application_id: Option<String>,
    pub display_name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub emails: Vec<Value>,
    pub active: bool,
    pub external_id: Option<String>,
    pub members: BTreeSet<u64>,
    pub entitlements: BTreeSet<String>,
    pub roles: BTreeSet<String>,
}

/// Top-level attributes a client may send, read-only ones (ignored, RFC 7644) included.
pub fn known(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::User => &[
            "schemas",
            "id",
            "userName",
            "displayName",
            "name",
            "emails",
            "active",
            "externalId",
            "groups",
            "roles",
            "entitlements",
            "meta",
        ],
        Kind::Group => &[
            "schemas",
            "id",
            "displayName",
            "externalId",
            "members",
            "groups",
            "roles",
            "entitlements",
            "meta",
        ],
        Kind::ServicePrincipal => &[
            "schemas",
            "id",
            "applicationId",
            "displayName",
            "active",
            "externalId",
            "groups",
            "roles",
            "entitlements",
            "meta",
        ],
    }
}

impl Draft {
    pub fn of(state: &State, scope: Scope, principal: Principal<'_>) -> Self {
        let (id, mut draft) = match principal {
            Principal::User(user) => (
                user.id,
                Self {
                    user_name: user.user_name.clone(),
                    display_name: Some(user.display_name.clone()),
                    given_name: user.given_name.clone(),
                    family_name: user.family_name.clone(),
                    emails: user.emails.clone(),
                    active: user.active,
                    external_id: user.external_id.clone(),
                    roles: user.roles.clone(),
                    ..Self::default()
                },
            ),
            Principal::ServicePrincipal(sp) => (
                sp.id,
                Self {
                    application_id: Some(sp.application_id.clone()),
                    display_name: Some(sp.display_name.clone()),
                    active: sp.active,
                    external_id: sp.external_id.clone(),
                    roles: sp.roles.clone(),
                    ..Self::default()
                },
            ),
            Principal::Group(group) => (
                group.id,
                Self {
                    display_name: Some(group.display_name.clone()),
                    external_id: group.external_id.clone(),
                    members: state.directory.members(group).into_iter().collect(),
                    roles: group.roles.clone(),
                    ..Self::default()
                },
            ),
        };
        if let Scope::Workspace(workspace) = scope {
            let row = state
                .directory
                .rows
                .get(&(workspace, id))
                .cloned()
                .unwrap_or_default();
            draft.entitlements = row.entitlements;
            draft.roles = row.roles;
        }
        draft
    }

    /// A whole resource, as POST and PUT send it: what is not said is not there.
    pub fn whole(kind: Kind, scope: Scope, body: &Map<String, Value>) -> Result<Self, ApiError> {
        let mut draft = Self {
            active: true,
            ..Self::default()
        };
        for (name, value) in body {
            draft.set(kind, scope, name, value)?;
        }
        Ok(draft)
    }

    /// Sets one attribute as a whole.
    pub fn set(&mut self, kind: Kind, scope: Scope, name: &str, value: &Value) -> Result<(), ApiError> {
        let Some(known) = known(kind).iter().find(|known| known.eq_ignore_ascii_case(name)) else {
            return Err(ApiError::new(
                400,
                "INVALID_PARAMETER_VALUE",
                format!("Unknown attribute '{name}'"),
            )
            .scim("invalidSyntax"));
        };
        match *known {
            "userName" => self.user_name = text(name, value)?.to_lowercase(),
            "applicationId" => self.application_id = Some(text(name, value)?),
            "displayName" => self.display_name = Some(text(name, value)?),
            "externalId" => self.external_id = optional(name, value)?,
            "active" => self.active = truth(name, value)?,
            "name" => {
                let fields = value.as_object().ok_or_else(|| wrong(name, "an object"))?;
                for (part, value) in fields {
                    self.set_name(part, value)?;
                }
            }
            "emails" => self.emails = list(name, value)?.to_vec(),
            "members" => self.members = members(value)?,
            "entitlements" => self.entitlements = entitlements(scope, value)?,
            "roles" => self.roles = valued(name, value)?.into_iter().collect(),
            _ => {}
        }
        Ok(())
    }

    pub fn set_name(&mut self, part: &str, value: &Value) -> Result<(), ApiError> {
        match part {
            "givenName" => self.given_name = optional(part, value)?,
            "familyName" => self.family_name = optional(part, value)?,
            other => {
                return Err(
                    ApiError::invalid(format!("Unknown attribute 'name.{other}'")).scim("invalidSyntax")
                );
            }
        }
        Ok(())
    }
}

fn wrong(name: &str, expected: &str) -> ApiError {
    ApiError::invalid(format!("Attribute '{name}' must be {expected}")).scim("invalidSyntax")
}

fn text(name: &str, value: &Value) -> Result<String, ApiError> {
    match value.as_str() {
        Some("") => Err(ApiError::invalid(format!("Attribute '{name}' must not be empty"))),
        Some(text) => Ok(text.to_owned()),
        None => Err(wrong(name, "a string")),
    }
}

fn optional(name: &str, value: &Value) -> Result<Option<String>, ApiError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        _ => Err(wrong(name, "a string")),
    }
}

fn truth(name: &str, value: &Value) -> Result<bool, ApiError> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(wrong(name, "a boolean")),
    }
}

fn list<'a>(name: &str, value: &'a Value) -> Result<&'a [Value], ApiError> {
    match value {
        Value::Array(values) => Ok(values),
        Value::Null => Ok(&[]),
        _ => Err(wrong(name, "a list")),
    }
}

/// `[{"value": "x"}, …]`
pub fn valued(name: &str, value: &Value) -> Result<Vec<String>, ApiError> {
    list(name, value)?
        .iter()
        .map(|row| match row.get("value") {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(wrong(name, "a list of {\"value\": \"…\"}")),
        })
        .collect()
}

pub fn members(value: &Value) -> Result<BTreeSet<u64>, ApiError> {
    valued("members", value)?.iter().map(|id| member(id)).collect()
}

pub fn member(id: &str) -> Result<u64, ApiError> {
    id.parse()
        .map_err(|_| ApiError::invalid(format!("Member id '{id}' is not a number")))
}

pub fn entitlements(scope: Scope, value: &Value) -> Result<BTreeSet<String>, ApiError> {
    let names = valued("entitlements", value)?;
    if scope == Scope::Account && !names.is_empty() {
        return Err(ApiError::invalid(
            "Entitlements belong to workspaces and cannot be set in the account",
        ));
    }
    match names.iter().find(|name| !ENTITLEMENTS.contains(&name.as_str())) {
        Some(unknown) => Err(ApiError::invalid(format!("Entitlement '{unknown}' is not valid"))),
        None => Ok(names.into_iter().collect()),
    }
}
