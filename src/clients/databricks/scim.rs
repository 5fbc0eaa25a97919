//! SCIM on the wire: where its collections are in either plane, the shapes that are read, and the PATCH envelope.
//! Next: [`super::pages`], which lists them.

use lockstep_core::domain::ports::SystemError;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::limits::Family;
use super::pages::Page;
use super::plane::{Plane, Response};
use super::segment;
use crate::clients::http::{Call, Effect};

pub(super) const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Whose people and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Workspace,
    Account(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collection {
    Users,
    ServicePrincipals,
    Groups,
}

/// One row per plane and collection: path patterns, for metrics.
const ROUTES: &[(bool, Collection, &str, &str)] = &[
    (
        false,
        Collection::Users,
        "/api/2.0/preview/scim/v2/Users",
        "/api/2.0/preview/scim/v2/Users/{id}",
    ),
    (
        false,
        Collection::ServicePrincipals,
        "/api/2.0/preview/scim/v2/ServicePrincipals",
        "/api/2.0/preview/scim/v2/ServicePrincipals/{id}",
    ),
    (
        false,
        Collection::Groups,
        "/api/2.0/preview/scim/v2/Groups",
        "/api/2.0/preview/scim/v2/Groups/{id}",
    ),
    (
        true,
        Collection::Users,
        "/api/2.0/accounts/{account}/scim/v2/Users",
        "/api/2.0/accounts/{account}/scim/v2/Users/{id}",
    ),
    (
        true,
        Collection::ServicePrincipals,
        "/api/2.0/accounts/{account}/scim/v2/ServicePrincipals",
        "/api/2.0/accounts/{account}/scim/v2/ServicePrincipals/{id}",
    ),
    (
        true,
        Collection::Groups,
        "/api/2.0/accounts/{account}/scim/v2/Groups",
        "/api/2.0/accounts/{account}/scim/v2/Groups/{id}",
    ),
];

impl Collection {
    pub fn word(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::ServicePrincipals => "ServicePrincipals",
            Self::Groups => "Groups",
        }
    }
}

impl Scope {
    fn routes(&self, collection: Collection) -> (&'static str, &'static str) {
        let account = matches!(self, Self::Account(_));
        ROUTES
            .iter()
            .find(|(plane, of, ..)| *plane == account && *of == collection)
            .map_or(("", ""), |(_, _, all, one)| (*all, *one))
    }

    fn path(&self, collection: Collection) -> String {
        match self {
            Self::Workspace => format!("/api/2.0/preview/scim/v2/{}", collection.word()),
            Self::Account(id) => format!("/api/2.0/accounts/{}/scim/v2/{}", segment(id), collection.word()),
        }
    }

    fn family(&self, collection: Collection, method: &Method, one: bool) -> Family {
        match (self, collection) {
            (Self::Account(_), _) => match *method {
                Method::GET if one => Family::AccountScimRead,
                Method::GET => Family::AccountScimList,
                Method::PATCH => Family::AccountScimPatch,
                _ => Family::AccountScimWrite,
            },
            (Self::Workspace, Collection::Groups) => match *method {
                Method::GET => Family::GroupRead,
                Method::PATCH => Family::GroupPatch,
                Method::DELETE => Family::GroupDelete,
                _ => Family::Other,
            },
            (Self::Workspace, _) => Family::Other,
        }
    }

    /// A call on the collection itself.
    pub fn all(&self, collection: Collection, method: Method, effect: Effect) -> Call {
        let family = self.family(collection, &method, false).name();
        Call::new(
            method,
            self.routes(collection).0,
            self.path(collection),
            family,
            effect,
        )
    }

    /// A call on one of the collection.
    pub fn one(&self, collection: Collection, id: &str, method: Method, effect: Effect) -> Call {
        let family = self.family(collection, &method, true).name();
        let path = format!("{}/{}", self.path(collection), segment(id));
        Call::new(method, self.routes(collection).1, path, family, effect)
    }
}

/// What has an id.
pub(super) trait Identified {
    fn id(&self) -> &str;
}

/// Groups of exactly this name, asked for by name: what a listing of the past cannot tell.
pub(super) async fn groups_named(
    plane: &Plane,
    scope: &Scope,
    name: &str,
) -> Result<Vec<WireGroup>, SystemError> {
    let call = scope
        .all(Collection::Groups, Method::GET, Effect::Read)
        .query("filter", equals("displayName", name))
        .query("attributes", GROUP_ATTRIBUTES);
    let page: Page<WireGroup> = plane.read(call).await?;
    let same = |group: &WireGroup| group.display_name.to_lowercase() == name.to_lowercase();
    Ok(page.resources.into_iter().filter(same).collect())
}

/// `attribute eq "value"`: the vendor takes double quotes only (TF#3136).
pub(super) fn equals(attribute: &str, value: &str) -> String {
    format!(
        "{attribute} eq \"{}\"",
        value.replace('\\', "\\\\").replace('"', "\\\"")
    )
}

/// Entitlements belong to workspaces; the account knows none and leaves them out.
pub(super) const GROUP_ATTRIBUTES: &str = "id,displayName,externalId,members,meta,entitlements";
pub(super) const USER_ATTRIBUTES: &str = "id,userName,displayName,active,emails,entitlements";
pub(super) const PRINCIPAL_ATTRIBUTES: &str = "id,applicationId,displayName,active,entitlements";

#[derive(Debug, Default, Deserialize)]
pub(super) struct WireValue {
    #[serde(default)]
    pub value: String,
    #[serde(default)]
    pub primary: bool,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct WireMember {
    #[serde(default)]
    pub value: String,
    #[serde(default)]
    pub display: Option<String>,
    #[serde(default, rename = "$ref")]
    pub reference: Option<String>,
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct WireMeta {
    #[serde(default, rename = "resourceType")]
    pub resource_type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireGroup {
    pub id: String,
    #[serde(default)]
    pub display_name: String,
    #[serde(default)]
    pub external_id: Option<String>,
    #[serde(default)]
    pub members: Vec<WireMember>,
    #[serde(default)]
    pub entitlements: Vec<WireValue>,
    #[serde(default)]
    pub meta: Option<WireMeta>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireUser {
    pub id: String,
    #[serde(default)]
    pub user_name: String,
    #[serde(default)]
    pub active: Option<bool>,
    #[serde(default)]
    pub emails: Vec<WireValue>,
    #[serde(default)]
    pub entitlements: Vec<WireValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WirePrincipal {
    pub id: String,
    #[serde(default)]
    pub application_id: String,
    #[serde(default)]
    pub display_name: String,
    #[serde(default)]
    pub active: Option<bool>,
    #[serde(default)]
    pub entitlements: Vec<WireValue>,
}

macro_rules! identified {
    ($($wire:ty),*) => {$(
        impl Identified for $wire {
            fn id(&self) -> &str {
                &self.id
            }
        }
    )*};
}
identified!(WireGroup, WireUser, WirePrincipal);

/// One operation of a PATCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Add {
        path: &'static str,
        values: Vec<String>,
    },
    /// Removes one value. Carries no `value` field beside the filter: that is refused (TF#3374).
    Remove {
        path: &'static str,
        value: String,
    },
    Replace {
        path: &'static str,
        value: String,
    },
}

impl Operation {
    fn json(&self) -> Value {
        match self {
            Self::Add { path, values } => {
                let values: Vec<Value> = values.iter().map(|value| json!({"value": value})).collect();
                json!({"op": "add", "path": path, "value": values})
            }
            Self::Remove { path, value } => {
                json!({"op": "remove", "path": format!("{path}[{}]", equals("value", value))})
            }
            Self::Replace { path, value } => json!({"op": "replace", "path": path, "value": value}),
        }
    }
}

/// Sends one PATCH; all of its operations happen or none does.
pub(super) async fn patch(
    plane: &Plane,
    scope: &Scope,
    collection: Collection,
    id: &str,
    operations: &[Operation],
) -> Result<Response, SystemError> {
    let operations: Vec<Value> = operations.iter().map(Operation::json).collect();
    let call = scope
        .one(collection, id, Method::PATCH, Effect::Repeatable)
        .json(&json!({"schemas": [PATCH_SCHEMA], "Operations": operations}));
    plane.send(call).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_look_as_the_vendor_wants_them() {
        let add = Operation::Add {
            path: "members",
            values: vec!["1".into(), "2".into()],
        };
        assert_eq!(
            add.json(),
            json!({"op": "add", "path": "members", "value": [{"value": "1"}, {"value": "2"}]})
        );
        let remove = Operation::Remove {
            path: "members",
            value: "7".into(),
        };
        assert_eq!(
            remove.json(),
            json!({"op": "remove", "path": "members[value eq \"7\"]"})
        );
    }

    #[test]
    fn a_hostile_name_stays_inside_its_quotes() {
        assert_eq!(
            equals("displayName", "a\" or id ne \"\\"),
            "displayName eq \"a\\\" or id ne \\\"\\\\\""
        );
    }
}
