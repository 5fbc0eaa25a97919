//! The gate: an ordered table of small checks, one row each, all of them asked, all answers shown. A check that lacks
//! what it must know answers with its finding; none passes by not knowing.
//!
//! * what is known: [`people`], [`evidence`], [`rules`];
//! * one change: [`findings`], each a [`finding`]; every commit below it: [`range`];
//! * what reviewers see of it beforehand: [`managed`], and the labels they need for it: [`managed_labels`];
//! * what judges until a person allows less: [`in_force`];
//! * now? [`crate::domain::windows`] and [`freeze`]; and all the same: [`break_glass`].

pub mod ahead;
pub mod break_glass;
pub mod evidence;
pub mod finding;
pub mod findings;
pub mod freeze;
pub mod in_force;
pub mod managed;
pub mod managed_labels;
pub mod people;
pub mod range;
pub mod rules;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::evidence::{ChangeNumber, CommitId, Evidence, PatchId};
use self::finding::{Class, Finding, FindingKind, Verdict};
use self::findings::{
    agents, approvals, approvers, content, floor, labels, merge, moment, upstream, verification,
};
use self::freeze::{Freeze, Stopped};
use self::range::Judgement;
use self::rules::{Floor, Rules};
use crate::domain::windows::Windows;

/// Version of a Gerrit server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GerritVersion(pub u32, pub u32, pub u32);

/// One change that an environment runs or ran: a promotion that succeeded gives one for every change of its range, so
/// that a change which a newer one superseded counts as carried by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Success {
    pub change: ChangeNumber,
    pub change_id: String,
    pub revision: CommitId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<PatchId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cherry_pick_of: Option<ChangeNumber>,
    pub at: Timestamp,
    /// Undone or rolled back since: it proves nothing any more.
    pub taken_back: bool,
}

/// What is known beyond the changes themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `None`: unknown, and then no vote can be relied on.
    pub gerrit: Option<GerritVersion>,
    /// `None`: the connection's entry lets nobody promote.
    pub floor: Option<Floor>,
    /// By environment; one that is missing could not be read.
    pub upstream: BTreeMap<String, Vec<Success>>,
}

/// One change before the gate.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub rules: &'a Rules,
    pub change: &'a Evidence,
    pub surroundings: &'a Surroundings,
    pub now: Timestamp,
}

/// One row of the table.
pub type Check = fn(&Case<'_>) -> Option<Finding>;

/// What every change of the range must bear, in the order in which it is shown.
pub const CHECKS: &[(FindingKind, Check)] = &[
    (FindingKind::NotMerged, merge::not_merged),
    (FindingKind::NotInBranch, merge::not_in_branch),
    (
        FindingKind::UnsupportedGerritVersion,
        merge::unsupported_gerrit_version,
    ),
    (FindingKind::GateBelowFloor, floor::gate_below_floor),
    (FindingKind::MergedAroundReview, merge::merged_around_review),
    (FindingKind::LabelRedefined, labels::label_redefined),
    (FindingKind::Vetoed, labels::vetoed),
    (FindingKind::NotEnoughApprovals, approvals::not_enough_approvals),
    (FindingKind::SelfApproval, approvals::self_approval),
    (FindingKind::VoteOnBehalf, approvals::vote_on_behalf),
    (FindingKind::MachineApproval, approvals::machine_approval),
    (
        FindingKind::ApproverGroupUngoverned,
        approvers::approver_group_ungoverned,
    ),
    (
        FindingKind::ContentChangedAfterApproval,
        content::content_changed_after_approval,
    ),
    (FindingKind::NotVerified, verification::not_verified),
    (FindingKind::AgentNeedsHumans, agents::agent_needs_humans),
    (FindingKind::DiffersFromUpstream, upstream::differs_from_upstream),
    (FindingKind::UpstreamMissing, upstream::upstream_missing),
    (FindingKind::Soaking, upstream::soaking),
];

/// What speaks against one change, wherever in the range it stands.
pub fn judge_change(case: &Case<'_>) -> Vec<Finding> {
    CHECKS.iter().filter_map(|(_, check)| check(case)).collect()
}

/// When a promotion may begin.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub windows: &'a Windows,
    pub freezes: &'a [Freeze],
    pub stopped: &'a Stopped<'a>,
    pub now: Timestamp,
}

/// The verdict over a promotion: its own change, the range below it, and the moment.
pub fn judge(case: &Case<'_>, range: &Judgement, moment: &Moment<'_>) -> Verdict {
    let mut findings = judge_change(case);
    findings.extend(range.findings());
    findings.extend(moment::frozen(moment));
    findings.extend(moment::outside_window(moment));
    Verdict {
        findings: merged(findings),
        overridden: Vec::new(),
        exceptions: range.exceptions(),
    }
}

/// One finding of each kind, in the table's order: what several changes of a range wait for is one sentence.
fn merged(findings: Vec<Finding>) -> Vec<Finding> {
    let mut by_kind: BTreeMap<FindingKind, Finding> = BTreeMap::new();
    for finding in findings {
        match by_kind.get_mut(&finding.kind) {
            None => {
                by_kind.insert(finding.kind, finding);
            }
            Some(known) if known.message.contains(&finding.message) => {}
            Some(known) => {
                known.message = format!("{}; {}", known.message, finding.message);
                known.again = known.again.max(finding.again);
            }
        }
    }
    by_kind.into_values().collect()
}

/// Whether every finding only asks to wait.
pub fn only_waits(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.kind.class() == Class::Waits)
}
