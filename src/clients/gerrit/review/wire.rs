//! Changes as Gerrit sends them, as far as they are used. What may be missing is an `Option`: missing is not empty.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An account, of which only the number is relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Numbered {
    #[serde(rename = "_account_id")]
    pub id: u64,
}

/// A change, with the fields of `/detail`, `ALL_REVISIONS`, `ALL_COMMITS` and `SUBMIT_REQUIREMENTS`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ChangeInfo {
    #[serde(rename = "_number")]
    pub number: u64,
    pub project: String,
    pub branch: String,
    pub change_id: String,
    pub subject: String,
    pub status: Option<String>,
    pub owner: Numbered,
    pub submitter: Option<Numbered>,
    pub submitted: Option<String>,
    pub submission_id: Option<String>,
    pub current_revision: Option<String>,
    pub revisions: BTreeMap<String, RevisionInfo>,
    pub labels: Option<BTreeMap<String, LabelVotes>>,
    pub submit_requirements: Option<Vec<RequirementResult>>,
    pub messages: Option<Vec<Message>>,
    pub cherry_pick_of_change: Option<u64>,
    pub meta_rev_id: Option<String>,
    /// On the last element of a page that is not the last.
    #[serde(rename = "_more_changes")]
    pub more: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RevisionInfo {
    #[serde(rename = "_number")]
    pub number: u32,
    pub kind: Option<String>,
    pub created: Option<String>,
    pub uploader: Option<Numbered>,
    /// Only if it is somebody else.
    pub real_uploader: Option<Numbered>,
    pub commit: Option<CommitInfo>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CommitInfo {
    /// Missing inside a revision.
    pub commit: Option<String>,
    pub parents: Vec<ParentInfo>,
    pub author: Option<GitPerson>,
    pub committer: Option<GitPerson>,
    pub message: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ParentInfo {
    pub commit: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GitPerson {
    pub name: String,
    pub email: String,
    pub date: String,
}

/// Votes on one label, with everybody who could vote.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LabelVotes {
    pub all: Vec<Approval>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Approval {
    #[serde(rename = "_account_id")]
    pub id: u64,
    /// 0 or missing: no vote.
    pub value: i32,
    pub date: Option<String>,
    pub tag: Option<String>,
    pub post_submit: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RequirementResult {
    pub name: String,
    pub status: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Message {
    pub author: Option<Numbered>,
    /// Only if it is somebody else.
    pub real_author: Option<Numbered>,
    pub date: Option<String>,
    #[serde(rename = "message")]
    pub text: String,
    pub tag: Option<String>,
    #[serde(rename = "_revision_number")]
    pub revision_number: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FileInfo {
    pub old_path: Option<String>,
}

/// Where a commit is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IncludedIn {
    /// Short names.
    pub branches: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProjectInfo {
    /// By the name that was asked for.
    pub branches: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BranchInfo {
    pub revision: Option<String>,
}

/// A message on a change.
#[derive(Clone, Debug, Serialize)]
pub struct ReviewInput<'a> {
    pub message: &'a str,
    pub tag: &'a str,
    pub notify: &'static str,
    pub omit_duplicate_comments: bool,
    pub ignore_automatic_attention_set_rules: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct HashtagsInput<'a> {
    pub add: [&'a str; 1],
}

/// A submit requirement as it is read. Empty means not set, as missing does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RequirementInfo {
    pub name: String,
    pub description: String,
    pub applicability_expression: String,
    pub submittability_expression: String,
    pub override_expression: String,
    pub allow_override_in_child_projects: bool,
}

/// A submit requirement as it is written. Always whole: what is left out takes a default, and the documentation
/// contradicts itself about which.
#[derive(Clone, Debug, Serialize)]
pub struct RequirementInput<'a> {
    pub name: &'a str,
    pub description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applicability_expression: Option<&'a str>,
    pub submittability_expression: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_expression: Option<&'a str>,
    pub allow_override_in_child_projects: bool,
}

/// A label as it is made. What is left out is as Gerrit has it by default.
#[derive(Clone, Debug, Serialize)]
pub struct LabelInput<'a> {
    pub name: &'a str,
    pub description: &'a str,
    /// Always said: before 3.12 a label without blocks (documentation).
    pub function: &'a str,
    pub values: BTreeMap<String, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_condition: Option<&'a str>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct LabelsInput<'a> {
    pub commit_message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create: Vec<LabelInput<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delete: Vec<&'a str>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct RequirementsInput<'a> {
    pub commit_message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create: Vec<RequirementInput<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub update: BTreeMap<&'a str, RequirementInput<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delete: Vec<&'a str>,
}
