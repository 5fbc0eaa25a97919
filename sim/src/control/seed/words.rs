//! What a seed may say.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Seed {
    pub users: Vec<Person>,
    pub service_principals: Vec<Person>,
    pub groups: Vec<Team>,
    pub assignments: Vec<Assigned>,
    pub objects: Vec<Thing>,
    pub securables: Vec<Data>,
    pub rule_sets: Vec<Rules>,
    pub tokens: Vec<Token>,
    pub generate: Option<Generate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Person {
    pub user_name: Option<String>,
    pub application_id: Option<String>,
    pub display_name: Option<String>,
    pub external_id: Option<String>,
    pub active: Option<bool>,
    pub account_admin: bool,
    /// Workspaces to be assigned to as USER; unset: the first workspace. `admin` makes it ADMIN.
    pub workspaces: Option<Vec<u64>>,
    pub admin: bool,
    pub entitlements: Vec<String>,
    /// Client secrets, for service principals.
    pub secrets: Vec<String>,
    /// `oidc_policy` bodies, for service principals.
    pub federation_policies: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Team {
    pub display_name: String,
    pub external_id: Option<String>,
    /// Unset: an account group.
    pub workspace: Option<u64>,
    pub members: Vec<String>,
    /// Workspaces an account group is assigned to.
    pub workspaces: Vec<u64>,
    pub entitlements: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assigned {
    pub workspace: Option<u64>,
    pub principal: String,
    pub permission: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Thing {
    /// The `{type}` of the permissions API.
    pub r#type: String,
    pub name: String,
    pub id: Option<String>,
    pub workspace: Option<u64>,
    #[serde(default)]
    pub body: Map<String, Value>,
    pub owner: Option<String>,
    /// Principal name to level.
    #[serde(default)]
    pub acl: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Data {
    pub r#type: String,
    pub full_name: String,
    pub owner: Option<String>,
    #[serde(default)]
    pub body: Map<String, Value>,
    #[serde(default)]
    pub grants: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    pub name: String,
    pub grant_rules: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Token {
    pub value: String,
    pub principal: String,
    /// Unset: an account token.
    pub workspace: Option<u64>,
    /// That it is a personal access token, which the workspace lists.
    pub personal: Option<Personal>,
}

/// Days lie before now.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Personal {
    #[serde(default)]
    pub comment: String,
    #[serde(default)]
    pub created_days_ago: u32,
    /// Unset: never used.
    pub last_used_days_ago: Option<u32>,
    /// Unset: never expires.
    pub expires_in_days: Option<u32>,
}

/// A crowd, for measuring: `{prefix}user-N@example.com` and `{prefix}group-N`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Generate {
    #[serde(default = "crowd")]
    pub prefix: String,
    #[serde(default)]
    pub users: usize,
    #[serde(default)]
    pub groups: usize,
    #[serde(default)]
    pub members_per_group: usize,
    /// Unset: account groups.
    pub workspace: Option<u64>,
}

fn crowd() -> String {
    "crowd-".to_owned()
}
