//! What Lockstep remembers about a promotion: why it may run or not, how far it is, and the machine's own state.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::promotion_policy_status::{AcceptedCommit, PendingPlan};
use super::promotion_shapes as shapes;

/// Where a promotion stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PromotionPhase {
    /// Judged, or waiting to be; nothing was done.
    Waiting,
    /// Its steps go forward.
    Running,
    /// Its steps go back.
    Undoing,
    Succeeded,
    Failed,
    /// The gate refused it; nothing was done.
    Refused,
    /// A newer one took its place; nothing was done.
    Superseded,
    /// Cancelled before anything was done.
    Cancelled,
}

/// What the last passes saw and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromotionStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PromotionPhase>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub environment: Option<String>,
    /// Gerrit's number of the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<i64>,
    /// The commit that is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub revision: Option<String>,
    /// Digest of the rules that judged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub rules: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictStatus>,
    /// The commits that were judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<RangeStatus>,
    /// What was known of the first 20 changes of the range, its own first; the record has all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = shapes::EVIDENCE))]
    pub evidence: Vec<EvidenceRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = shapes::STEPS))]
    pub steps: Vec<StepRow>,
    /// State of the promotion as the operator itself needs it; written before every effect that it announces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::preserved")]
    pub machine: Option<Value>,
    /// The environment and its steps as the policy had them when the promotion began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::preserved")]
    pub taken: Option<Value>,
    /// What waits for people's yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub plans: Vec<PendingPlan>,
    /// Of an override: who let it go on, and who looked at it afterwards. Written before anything goes on because of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glass: Option<GlassStatus>,
    /// The newest value of `lockstep.dev/retry` that made a next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_retry: Option<String>,
    /// When it was first judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_at: Option<Timestamp>,
    /// When its first step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When it is looked at again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// What the gate says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerdictStatus {
    /// Whether nothing speaks against it. Always written: an object without any field is taken for null when it is
    /// applied over one that had some (kube-apiserver 1.37.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passes: Option<bool>,
    /// What speaks against it; none: it passes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = shapes::FINDINGS))]
    pub findings: Vec<FindingRow>,
    /// What was lifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub overridden: Vec<FindingRow>,
    /// Commits without which it would not pass: nobody reviewed them, and a person accepted them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = shapes::ACCEPTED))]
    pub exceptions: Vec<AcceptedCommit>,
}

/// One thing that speaks against it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingRow {
    #[schemars(length(max = 64))]
    pub kind: String,
    #[schemars(length(max = 4_096))]
    pub message: String,
    /// When it may be over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Timestamp>,
}

/// The commits between what runs and what shall run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RangeStatus {
    #[schemars(length(max = 64))]
    pub tip: String,
    /// What ran when it was judged; unset: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub current: Option<String>,
    #[schemars(length(max = 64))]
    pub baseline: String,
    /// How many commits the range has.
    pub count: i64,
    /// The first 50, those that nobody accounts for before others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = shapes::COMMITS))]
    pub commits: Vec<RangeCommit>,
}

/// One commit, and how it is accounted for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RangeCommit {
    #[schemars(length(max = 64))]
    pub commit: String,
    /// `Change`, `MergeOf`, `RevertedBy`, `AcceptedBy` or `Unreviewed`.
    #[schemars(length(max = 32))]
    pub standing: String,
    /// The change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<i64>,
    /// The PlanApproval that accepted it, or why nobody accounts for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1_024))]
    pub message: Option<String>,
}

/// What was known of one change when it was judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceRow {
    pub change: i64,
    #[schemars(length(max = 64))]
    pub revision: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub tree: Option<String>,
    #[schemars(length(max = 256))]
    pub owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub uploader: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub submitter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub votes: Vec<VoteRow>,
    /// Submit requirements as stored at submit: `<name>: <status>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 320)))]
    pub requirements: Vec<String>,
    /// The state of Gerrit's own store that this was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub meta_rev_id: Option<String>,
    /// Digest of the whole evidence, as the record has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub digest: Option<String>,
}

/// One vote that stood when the change was judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VoteRow {
    #[schemars(length(max = 128))]
    pub label: String,
    pub value: i32,
    #[schemars(length(max = 256))]
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Where a step stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum StepRowState {
    Pending,
    /// What undoes it is saved; nothing was done.
    Prepared,
    Acting,
    Stopping,
    Done,
    Failed,
    Undoing,
    Undone,
    NotUndone,
}

/// One step as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepRow {
    #[schemars(length(max = 63))]
    pub name: String,
    /// `files`, `job`, `modelAlias` or `servingEndpoint`.
    #[schemars(length(max = 32))]
    pub kind: String,
    pub state: StepRowState,
    /// Which try, from 1; unset: none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// What the system outside calls it, as a run's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1_024))]
    pub external_id: Option<String>,
    /// The page that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2_048))]
    pub link: Option<String>,
    /// What it left for the next ones, long values left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "shapes::outputs")]
    pub outputs: BTreeMap<String, String>,
    /// What undoes it, long values left out; saved before it first acted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "shapes::outputs")]
    pub undo: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2_048))]
    pub message: Option<String>,
}

/// What became of breaking the glass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlassStatus {
    /// Who let it go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub approvals: Vec<ApprovalRow>,
    /// Since when the findings are lifted; unset: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_at: Option<Timestamp>,
    /// What it came to, as the promotion that it lifts did; unset: that has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<PromotionPhase>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it came to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4_096))]
    pub message: Option<String>,
    /// By when a third person must have looked at it; unset: nothing went on because of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_due: Option<Timestamp>,
    /// Who did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewed: Option<ApprovalRow>,
}

/// One PlanApproval that was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRow {
    /// Its name.
    #[schemars(length(max = 253))]
    pub approval: String,
    #[schemars(length(max = 256))]
    pub approver: String,
    /// When it was used.
    pub at: Timestamp,
    /// The entry of the record that says so.
    #[schemars(length(max = 128))]
    pub entry: String,
}
