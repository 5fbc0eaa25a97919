//! Condition types and reasons: the one typed place for both.

use std::fmt;

/// Types of conditions. `Ready` always; `Reconciling` and `Stalled` only while true (kstatus); the others only on
/// the kinds that name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    Ready,
    Reconciling,
    Stalled,
    Drifted,
    Conflict,
    Blocked,
    WeakensGate,
    Hardened,
    Reviewed,
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ConditionType {
    /// Whether a condition's `type` is this one.
    pub fn is(self, text: &str) -> bool {
        self.to_string() == text
    }
}

/// Reasons of conditions and of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    Succeeded,
    Observing,
    Suspended,
    Progressing,
    Confirming,
    NotConfirmed,
    DependencyNotReady,
    InvalidSpec,
    TooLarge,
    OutOfReach,
    NotAllowed,
    NeedsAdministrative,
    NotFound,
    NoAccount,
    Inactive,
    Ambiguous,
    IdentityChanged,
    Unresolved,
    LevelNotSupported,
    InventoryLost,
    Blocked,
    AwaitingApproval,
    ApprovalsUnprotected,
    ClaimedByAnother,
    Drifted,
    Repaired,
    InStep,
    Unauthorized,
    Forbidden,
    Unreachable,
    Throttled,
    BadAnswer,
    Failed,
    SecretMissing,
    SecretHostMismatch,
    HostRefused,
    Refused,
    HasDependants,
    Revoking,
    RevokeWaiting,
    Abandoned,
    LeaseLost,
    Used,
    Expired,
    Superseded,
    ApproverMismatch,
    SelfApproval,
    NotAPerson,
    Waiting,
    Running,
    Undoing,
    Cancelled,
    Held,
    AfterReviewDue,
    AfterReviewOverdue,
    Unexplained,
    BaselineMoved,
    InForce,
    Over,
    NotMerged,
    NotInBranch,
    UnsupportedGerritVersion,
    GateBelowFloor,
    MergedAroundReview,
    LabelRedefined,
    Vetoed,
    NotEnoughApprovals,
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
    HolesOpen,
    Unseen,
    CodeTampered,
    JobRunsOtherCode,
    UnreviewedModel,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Reason {
    /// Whether a `reason` is this one.
    pub fn is(self, text: &str) -> bool {
        self.to_string() == text
    }
}
