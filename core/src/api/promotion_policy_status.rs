//! What Lockstep remembers about a policy: what runs where, what is held, what a person has to say yes to.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::access_status::{Intent, Origin, PinnedName};
use super::promotion_shapes as shapes;

/// What the last passes saw and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromotionPolicyStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_request: Option<String>,
    /// By name, so that what must survive a crash and what is only told may be written apart. Unset: nothing was ever
    /// promoted, or it was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = shapes::ENVIRONMENTS), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub environments: Option<Vec<EnvironmentStatus>>,
    /// The gate that judges: a weaker one of the spec waits for a PlanApproval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateStatus>,
    /// Submit requirements that were written into Gerrit on behalf of this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub requirements: Option<Vec<ConfiguredRow>>,
    /// Labels that were made in Gerrit on behalf of this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub labels: Option<Vec<ConfiguredRow>>,
    /// The webhook that was set in the project on behalf of this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<RemoteRow>,
    /// Writes that were begun and whose outcome is not yet known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub intents: Option<Vec<Intent>>,
    /// What names in Gerrit meant when they were first resolved: groups, accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub pins: Option<Vec<PinnedName>>,
    /// What waits for a person's yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub plans: Vec<PendingPlan>,
    /// Ways around the gate that are open. Unset: nobody has looked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardening: Option<HardeningStatus>,
    /// The earliest time at which something of this policy may go on by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// What is known and remembered of one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentStatus {
    #[schemars(length(max = 63))]
    pub name: String,
    /// What is in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<CurrentStatus>,
    /// Why nothing begins there until a person says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HoldStatus>,
    /// The Promotion that has the turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub acting: Option<String>,
    /// The newest Promotion that waits and may still run; older ones that wait step aside for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub next: Option<String>,
    /// The newest deploy that ever had the turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<ReachedStatus>,
    /// The branch's newest commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub tip: Option<String>,
    /// Where the history that must be explained begins, as the record has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub baseline: Option<String>,
    /// The submit time of the newest merge of the branch that was taken up; later ones are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Timestamp>,
    /// The first 50 commits between what runs and the tip that nobody accounts for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = shapes::COMMITS), inner(length(max = 64)))]
    pub unexplained_commits: Vec<String>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexplained_commits_beyond: Option<i64>,
    /// From where the places of promotions are counted since the baseline moved; unset: from the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<CountedStatus>,
    /// What only this environment moves, as no other policy may: jobs, aliases, endpoints, directories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = shapes::STEPS), inner(length(max = 2_048)))]
    pub holds: Vec<String>,
    /// Why nothing begins there: another holds what it aims at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4_096))]
    pub conflict: Option<String>,
    /// The newest 100 commits that nobody accounts for and that a person accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = shapes::ACCEPTED))]
    pub accepted: Vec<AcceptedCommit>,
    /// Everything that ran or wrote there, whoever began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<RunsStatus>,
    /// When promotions may begin again; unset while they may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_window: Option<Timestamp>,
    /// What names in the workspace meant when they were first seen: jobs, endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub pins: Vec<PinnedName>,
}

/// From where places are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountedStatus {
    #[schemars(length(max = 64))]
    pub from: String,
    /// Position of that commit.
    pub position: i64,
}

/// A commit that no reviewed change accounts for and that a person accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedCommit {
    #[schemars(length(max = 64))]
    pub commit: String,
    /// The PlanApproval that names it.
    #[schemars(length(max = 253))]
    pub approval: String,
    /// The approver's user name in the cluster.
    #[schemars(length(max = 1024))]
    pub by: String,
    pub at: Timestamp,
}

/// What is in place in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrentStatus {
    /// Gerrit's number of the change.
    pub change: i64,
    /// The commit.
    #[schemars(length(max = 64))]
    pub revision: String,
    /// The Promotion that brought it.
    #[schemars(length(max = 253))]
    pub promotion: String,
}

/// Why nothing begins in an environment until a person says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoldStatus {
    /// Whose failure it was; unset: something else than a promotion, as an unexplained run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub promotion: Option<String>,
    #[schemars(length(max = 4_096))]
    pub reason: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// The newest deploy that ever had the turn; what is older never begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReachedStatus {
    /// Commits from the baseline along first parents.
    pub position: i64,
    /// Which try of that commit, from 1.
    pub attempt: i64,
    #[schemars(length(max = 253))]
    pub promotion: String,
}

/// `N runs, N explained, 0 unexplained`, over the whole population.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunsStatus {
    pub total: i64,
    pub explained: i64,
    /// Accepted by a person, and counted apart: an exception is no explanation.
    pub acknowledged: i64,
    pub unexplained: i64,
    /// The first 20 that are unexplained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = shapes::OCCURRENCES))]
    pub strangers: Vec<OccurrenceRow>,
    /// What could not be seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub unseen: Vec<UnseenRow>,
    /// Since when: what ran before Lockstep looked is none of the population.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it was last counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Timestamp>,
}

/// One thing that happened and that no promotion explains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OccurrenceRow {
    /// `Run`, `Version`, `Alias`, `Endpoint` or `Files`.
    #[schemars(length(max = 32))]
    pub act: String,
    /// As `databricks://123/runs/77`.
    #[schemars(length(max = 1_024))]
    pub address: String,
    /// Who did it, as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// A part of the population that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnseenRow {
    #[schemars(length(max = 256))]
    pub what: String,
    #[schemars(length(max = 1_024))]
    pub why: String,
}

/// Which ways around the gate are open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HardeningStatus {
    /// The first 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub holes: Vec<HoleRow>,
    /// What could not be seen, and so is not known to be closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub unseen: Vec<UnseenRow>,
    /// Projects that the policy's inherits rights from, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 1_024)))]
    pub ancestors: Vec<String>,
}

/// One way around the gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoleRow {
    /// As `DirectPush`.
    #[schemars(length(max = 64))]
    pub kind: String,
    /// As `refs/heads/prod`.
    #[schemars(length(max = 1_024))]
    pub place: String,
    /// Who can go through it, each with where that is granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 1_024)))]
    pub who: Vec<String>,
    /// What closes it.
    #[schemars(length(max = 1_024))]
    pub fix: String,
}

/// The gate as it was last accepted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateStatus {
    /// Names these rules exactly; stands in the evidence of whatever they judged.
    #[schemars(length(max = 128))]
    pub digest: String,
    /// The gate of each environment, to hold an edited policy against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::preserved")]
    pub rules: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// A submit requirement or a label that stands in Gerrit through Lockstep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfiguredRow {
    /// Canonical address of the project it stands in.
    #[schemars(length(max = 2048))]
    pub target: String,
    #[schemars(length(max = 255))]
    pub name: String,
    /// Digest of its body as it was written.
    #[schemars(length(max = 128))]
    pub digest: String,
    pub origin: Origin,
    pub since: Timestamp,
    /// When it was written, while no fresh reading has shown it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirming: Option<Timestamp>,
}

/// A webhook that stands in Gerrit through Lockstep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoteRow {
    /// Canonical address of the project it stands in.
    #[schemars(length(max = 2048))]
    pub target: String,
    /// Name of the remote in `webhooks.config`.
    #[schemars(length(max = 255))]
    pub name: String,
    pub since: Timestamp,
    /// Why it is not as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4_096))]
    pub problem: Option<String>,
}

/// What a person is asked to say yes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PlanSubject {
    /// The spec's gate is weaker than the one that judges.
    WeakerGate,
    /// The spec's baseline is another than the record's.
    MovedBaseline,
    /// Submit requirements are to be written into Gerrit.
    Requirements,
    /// An environment is held.
    Resume,
    /// A commit that belongs to no reviewed change is to be accepted.
    Commit,
    /// Runs or writes that no promotion explains are to be acknowledged.
    Runs,
    /// Findings are to be lifted.
    Override,
    /// What the glass was broken for is to be looked at.
    AfterReview,
    /// The object goes, and what it holds outside is left behind.
    Abandon,
}

/// One plan that waits for a person's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingPlan {
    pub subject: PlanSubject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub environment: Option<String>,
    /// Digest that a PlanApproval names.
    #[schemars(length(max = 128))]
    pub digest: String,
    /// How many people must say yes, unless one is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvers: Option<i64>,
    /// The first 10 lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 1_024)))]
    pub summary: Vec<String>,
}
