//! What Gerrit sends and takes, as far as it is used. Unknown fields are ignored, as Gerrit asks of its clients.

use std::collections::BTreeMap;

use lockstep_core::api::permissions::canonical;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, Serialize};

/// An account, with the fields of `o=DETAILS` and `o=ALL_EMAILS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AccountInfo {
    #[serde(rename = "_account_id")]
    pub id: i64,
    pub username: Option<String>,
    pub email: Option<String>,
    pub secondary_emails: Vec<String>,
    pub inactive: bool,
    pub tags: Vec<String>,
    /// On the last element of a page that is not the last.
    #[serde(rename = "_more_accounts")]
    pub more: bool,
}

impl AccountInfo {
    /// E-mail, else user name, else number: what people call the account.
    pub fn shown(&self) -> String {
        let name = self.email.clone().or_else(|| self.username.clone());
        name.unwrap_or_else(|| self.id.to_string())
    }
}

/// A group, with the fields of `o=MEMBERS` and `o=INCLUDES` or of `/detail`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GroupInfo {
    /// Percent-encoded, unlike everywhere else: see [`GroupInfo::uuid`].
    id: String,
    /// Missing in listings, where it is the key.
    pub name: String,
    pub description: Option<String>,
    pub owner_id: Option<String>,
    pub options: GroupOptions,
    pub members: Vec<AccountInfo>,
    pub includes: Vec<GroupInfo>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GroupOptions {
    pub visible_to_all: bool,
}

impl GroupInfo {
    pub fn uuid(&self) -> String {
        decode(&self.id)
    }

    pub fn owner(&self) -> Option<String> {
        self.owner_id.as_deref().map(decode)
    }
}

fn decode(id: &str) -> String {
    percent_decode_str(id).decode_utf8_lossy().into_owned()
}

/// A group that is to be created.
#[derive(Clone, Debug, Serialize)]
pub struct GroupInput<'a> {
    pub uuid: &'a str,
    /// Without an owner the creator becomes a member and the group owns itself.
    pub owner_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    pub visible_to_all: bool,
    pub members: Vec<String>,
}

/// Rights of one project: its own, not those it inherits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProjectAccess {
    pub local: BTreeMap<String, Section>,
    pub is_owner: bool,
    pub owner_of: Vec<String>,
    pub groups: BTreeMap<String, NamedGroup>,
    /// Whether the site demands review of changes of configuration.
    pub require_change_for_config_update: bool,
    /// The root has none.
    pub inherits_from: Option<ProjectInfo>,
}

/// A project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProjectInfo {
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NamedGroup {
    pub name: Option<String>,
}

/// Rights on one ref pattern, by permission.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Section {
    #[serde(deserialize_with = "by_canonical_name")]
    pub permissions: BTreeMap<String, Permission>,
}

/// Gerrit keeps a permission as somebody once wrote it, and takes `Owner` for `owner` (seen on 3.13.5).
fn by_canonical_name<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Permission>, D::Error> {
    let written = BTreeMap::<String, Permission>::deserialize(deserializer)?;
    let named = |(name, permission): (String, Permission)| (canonical(&name).unwrap_or(name), permission);
    Ok(written.into_iter().map(named).collect())
}

/// Rules of one permission, by raw group UUID.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Permission {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
    /// Always sent: a permission without this field removes its whole section, silently (Gerrit 3.13.5).
    pub rules: BTreeMap<String, Rule>,
}

/// One rule; empty when it only names what is to be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i32>,
}

/// A change of one project's rights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccessInput {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub remove: BTreeMap<String, Section>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, Section>,
    pub message: String,
}

/// A label of a project, with what is read of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LabelInfo {
    pub name: String,
    /// The project that defines it.
    pub project_name: String,
    pub description: String,
    /// What each vote means, by vote: ` 0`, `+1`, `-1`.
    values: BTreeMap<String, String>,
    /// `NoBlock`, `NoOp`, `MaxWithBlock`, ...
    pub function: String,
    pub can_override: bool,
    /// When votes stay on the next patch set; empty: never.
    pub copy_condition: String,
}

impl LabelInfo {
    /// The votes there are.
    pub fn values(&self) -> impl Iterator<Item = i32> {
        self.values.keys().filter_map(|value| value.trim().parse().ok())
    }

    /// What each of them means.
    pub fn meanings(&self) -> BTreeMap<i32, String> {
        let meaning = |(value, words): (&String, &String)| Some((value.trim().parse().ok()?, words.clone()));
        self.values.iter().filter_map(meaning).collect()
    }
}

/// What a server says about itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServerInfo {
    pub accounts: AccountsInfo,
    pub auth: AuthInfo,
    pub change: ChangeConfig,
    pub gerrit: InstanceInfo,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AccountsInfo {
    pub visibility: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuthInfo {
    pub git_basic_auth_policy: Option<String>,
    /// Longest lifetime of an auth token, in minutes; 0: no limit.
    pub max_token_lifetime: u64,
}

/// An auth token as a list shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct TokenInfo {
    pub id: String,
    /// Missing: it never runs out.
    #[serde(default)]
    pub expiration: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ChangeConfig {
    /// Left out while it is false.
    pub submit_whole_topic: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct InstanceInfo {
    pub instance_id: Option<String>,
}

/// A change for review.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ChangeInfo {
    #[serde(rename = "_number")]
    pub number: i64,
    pub project: String,
    pub branch: String,
    pub subject: String,
}

/// One entry of a group's audit log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuditEvent {
    #[serde(rename = "type")]
    pub kind: String,
    pub member: AuditMember,
    pub user: AccountInfo,
    /// `2026-11-22 23:12:39.000000000`, UTC, to the second.
    pub date: String,
}

/// An account or a group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuditMember {
    #[serde(rename = "_account_id")]
    pub account: Option<i64>,
    id: Option<String>,
}

impl AuditMember {
    pub fn uuid(&self) -> Option<String> {
        self.id.as_deref().map(decode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_groups_are_decoded_and_rule_keys_are_not() {
        let group: GroupInfo =
            serde_json::from_str(r#"{"id":"global%3ARegistered-Users","options":{}}"#).unwrap();
        assert_eq!(group.uuid(), "global:Registered-Users");
        let access: ProjectAccess = serde_json::from_str(
            r#"{"local":{"refs/*":{"permissions":{"push":{"rules":{"global:Registered-Users":{"action":"ALLOW"}}}}}}}"#,
        )
        .unwrap();
        assert!(
            access.local["refs/*"].permissions["push"]
                .rules
                .contains_key("global:Registered-Users")
        );
    }

    #[test]
    fn a_permission_is_known_in_whichever_case_somebody_wrote_it() {
        let section: Section = serde_json::from_str(
            r#"{"permissions":{"Owner":{"rules":{"team":{"action":"ALLOW"}}},"plugin-x-do":{"rules":{}}}}"#,
        )
        .unwrap();
        let names: Vec<&String> = section.permissions.keys().collect();
        assert_eq!(names, ["owner", "plugin-x-do"]);
    }

    #[test]
    fn a_rule_that_is_to_be_removed_never_takes_its_section_along() {
        let permission = Permission::default();
        assert_eq!(serde_json::to_string(&permission).unwrap(), r#"{"rules":{}}"#);
    }
}
