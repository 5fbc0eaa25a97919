//! What speaks against a promotion, in words that name the object, the field, the value seen and what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::evidence::CommitId;
use super::range::Acceptance;

/// Everything the gate can say. The order is that of the table in which the checks stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FindingKind {
    NotMerged,
    NotInBranch,
    UnsupportedGerritVersion,
    GateBelowFloor,
    MergedAroundReview,
    LabelRedefined,
    Vetoed,
    NotEnoughApprovals,
    SelfApproval,
    VoteOnBehalf,
    MachineApproval,
    ApproverGroupUngoverned,
    ContentChangedAfterApproval,
    NotVerified,
    AgentNeedsHumans,
    DiffersFromUpstream,
    UpstreamMissing,
    Soaking,
    UnreviewedAncestor,
    Frozen,
    OutsideWindow,
}

/// What a finding does to a promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// It does not run; only another change, or a person's approval where one is possible, helps.
    Refuses,
    /// It is judged again later.
    Waits,
}

impl FindingKind {
    pub fn class(self) -> Class {
        match self {
            Self::OutsideWindow | Self::Frozen | Self::Soaking | Self::UpstreamMissing => Class::Waits,
            _ => Class::Refuses,
        }
    }

    /// Whether breaking the glass can lift it: what only asks to wait, never what was got around.
    pub fn can_be_overridden(self) -> bool {
        self.class() == Class::Waits
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One thing that speaks against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub kind: FindingKind,
    pub message: String,
    /// When judging again may come to something else; `None`: not by waiting for a known time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Timestamp>,
}

impl Finding {
    pub fn new(kind: FindingKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            again: None,
        }
    }

    /// With the time from which it may be over.
    #[must_use]
    pub fn again(self, at: Option<Timestamp>) -> Self {
        Self { again: at, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// What the gate says of one promotion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// All of them, in the table's order.
    pub findings: Vec<Finding>,
    /// Those that a break-glass promotion lifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<Finding>,
    /// Commits that nobody reviewed and a person accepted: without them it would not pass.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exceptions: BTreeMap<CommitId, Acceptance>,
}

impl Verdict {
    pub fn passes(&self) -> bool {
        self.findings.is_empty()
    }

    pub fn refuses(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.kind.class() == Class::Refuses)
    }

    /// Whether nothing but time or another environment is missing.
    pub fn waits(&self) -> bool {
        !self.passes() && !self.refuses()
    }

    /// The earliest time at which every finding that names one may be over.
    pub fn again(&self) -> Option<Timestamp> {
        self.findings.iter().filter_map(|finding| finding.again).max()
    }

    pub fn has(&self, kind: FindingKind) -> bool {
        self.findings.iter().any(|finding| finding.kind == kind)
    }

    /// The verdict with these kinds lifted, as far as they can be.
    #[must_use]
    pub fn lifting(self, kinds: &BTreeSet<FindingKind>) -> Self {
        let Self {
            findings,
            mut overridden,
            exceptions,
        } = self;
        let (lifted, findings): (Vec<_>, Vec<_>) = findings
            .into_iter()
            .partition(|finding| kinds.contains(&finding.kind) && finding.kind.can_be_overridden());
        overridden.extend(lifted);
        Self {
            findings,
            overridden,
            exceptions,
        }
    }
}
