//! Whether what was approved is what was merged.

use super::super::Case;
use super::super::finding::{Finding, FindingKind};
use super::approvals::spoilt;

pub fn content_changed_after_approval(case: &Case<'_>) -> Option<Finding> {
    spoilt(
        case,
        FindingKind::ContentChangedAfterApproval,
        "approve what was merged by a new change, and let copyCondition keep votes over trivial rebases only",
    )
}
