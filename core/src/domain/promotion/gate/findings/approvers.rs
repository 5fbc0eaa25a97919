//! Whether the approvers are who the declared team says they are.

use super::super::Case;
use super::super::finding::{Finding, FindingKind};
use super::approvals::spoilt;

pub fn approver_group_ungoverned(case: &Case<'_>) -> Option<Finding> {
    let kind = FindingKind::ApproverGroupUngoverned;
    let approval = &case.rules.approval;
    let name = &approval.group_name;
    let Some(group) = case.change.groups.get(&approval.group) else {
        return Some(Finding::new(
            kind,
            format!("group {name} ({}) could not be read", approval.group),
        ));
    };
    let held = match &group.governed_by {
        None => Err("no AccessBinding declares its members".to_owned()),
        Some(held) if !held.authoritative => Err(format!(
            "AccessBinding {} is not membership: Authoritative, so others may add members",
            held.binding
        )),
        Some(held) if !held.enforcing => Err(format!(
            "AccessBinding {} is not enforcing: set mode: Enforce and let it become Ready",
            held.binding
        )),
        Some(_) => Ok(()),
    };
    if let Err(why) = held {
        return Some(Finding::new(kind, format!("approvers' group {name}: {why}")));
    }
    if group.let_in_by_others.is_none() {
        return Some(Finding::new(
            kind,
            format!(
                "approvers' group {name}: its audit log could not be read, so nobody knows who let its members in"
            ),
        ));
    }
    spoilt(
        case,
        kind,
        "declare the person in the AccessBinding, and let somebody declared vote",
    )
}
