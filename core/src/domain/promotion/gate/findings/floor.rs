//! Whether the policy asks for as much as the connection's owner demands of everybody.

use super::super::Case;
use super::super::finding::{Finding, FindingKind};
use crate::domain::access::patterns::matches;

pub fn gate_below_floor(case: &Case<'_>) -> Option<Finding> {
    let rules = case.rules;
    let mut against = Vec::new();
    match &case.surroundings.floor {
        None => against.push(
            "the connection's tenant entry has no promotion, so nobody may promote through it".to_owned(),
        ),
        Some(floor) => {
            if !floor
                .projects
                .iter()
                .any(|pattern| matches(pattern, &rules.project))
            {
                against.push(format!(
                    "project {} is not among promotion.projects",
                    rules.project
                ));
            }
            if rules.approvals() < usize::try_from(floor.min_approvals).unwrap_or(usize::MAX) {
                against.push(format!(
                    "gate.approval.count is {}, the entry demands {}",
                    rules.approval.count, floor.min_approvals
                ));
            }
            if !floor
                .approver_groups
                .iter()
                .any(|pattern| matches(pattern, &rules.approval.group_name))
            {
                against.push(format!(
                    "group {} is not among promotion.approverGroups",
                    rules.approval.group_name
                ));
            }
            if floor.require_verification && rules.verification.is_none() {
                against.push("gate.verification is not set, the entry demands it".to_owned());
            }
        }
    }
    (!against.is_empty()).then(|| {
        Finding::new(
            FindingKind::GateBelowFloor,
            format!("gate: {}", against.join("; ")),
        )
    })
}
