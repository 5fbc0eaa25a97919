//! Whether enough people said yes who may: and if not, which yes did not count, and why.

use super::super::Case;
use super::super::finding::{Finding, FindingKind};
use super::weigh::{Weighed, approvals, approved};

pub fn not_enough_approvals(case: &Case<'_>) -> Option<Finding> {
    let has = approved(case);
    let needs = case.rules.approvals();
    if has >= needs {
        return None;
    }
    let approval = &case.rules.approval;
    let mut message = format!(
        "{} has {has} of the {needs} approvals it needs: a vote {} at the top by a human of group {} who did not work on \
         it, before the submit and on what was merged",
        case.change.number, approval.label, approval.group_name
    );
    if case.change.votes.is_none() {
        message.push_str("; its votes could not be read");
    }
    let against = against(case, FindingKind::NotEnoughApprovals);
    if !against.is_empty() {
        message = format!("{message}; {}", against.join("; "));
    }
    Some(Finding::new(FindingKind::NotEnoughApprovals, message))
}

pub fn self_approval(case: &Case<'_>) -> Option<Finding> {
    spoilt(
        case,
        FindingKind::SelfApproval,
        "somebody else of the approvers must vote",
    )
}

pub fn vote_on_behalf(case: &Case<'_>) -> Option<Finding> {
    spoilt(
        case,
        FindingKind::VoteOnBehalf,
        "the person must vote with their own account; take away labelAs and runAs",
    )
}

pub fn machine_approval(case: &Case<'_>) -> Option<Finding> {
    spoilt(
        case,
        FindingKind::MachineApproval,
        "a human must vote; a machine's vote belongs on the verification label",
    )
}

/// A finding while approvals are short and some vote failed for this reason. With enough others a vote that does not
/// count harms nobody, and taking it away must not turn a refusal into a pass.
pub(super) fn spoilt(case: &Case<'_>, kind: FindingKind, remedy: &str) -> Option<Finding> {
    if approved(case) >= case.rules.approvals() {
        return None;
    }
    let against = against(case, kind);
    (!against.is_empty()).then(|| {
        Finding::new(
            kind,
            format!("{}: {}: {remedy}", case.change.number, against.join("; ")),
        )
    })
}

/// One sentence for every vote that failed for this reason.
fn against(case: &Case<'_>, kind: FindingKind) -> Vec<String> {
    approvals(case)
        .iter()
        .filter_map(|weighed| sentence(case, weighed, kind))
        .collect()
}

fn sentence(case: &Case<'_>, weighed: &Weighed<'_>, kind: FindingKind) -> Option<String> {
    let why: Vec<&str> = weighed
        .objections
        .iter()
        .filter(|objection| objection.kind == kind)
        .map(|objection| objection.why.as_str())
        .collect();
    (!why.is_empty()).then(|| {
        format!(
            "{}{:+} of {} does not count because {}",
            weighed.vote.label,
            weighed.vote.value,
            case.change.people.name(weighed.vote.account),
            why.join(" and ")
        )
    })
}
