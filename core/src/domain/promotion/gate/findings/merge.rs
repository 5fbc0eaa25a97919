//! How the change came into the branch.

use super::super::evidence::{ChangeStatus, RequirementStatus};
use super::super::finding::{Finding, FindingKind};
use super::super::{Case, GerritVersion};

pub fn not_merged(case: &Case<'_>) -> Option<Finding> {
    let change = case.change;
    let why = match (change.status, change.submitted, change.submitter) {
        (Some(ChangeStatus::Merged), Some(_), Some(_)) => return None,
        (Some(ChangeStatus::Merged), None, _) => "its time of submit is unknown",
        (Some(ChangeStatus::Merged), _, None) => "its submitter is unknown",
        (Some(ChangeStatus::New), ..) => "it is still open: have it reviewed and submitted",
        (Some(ChangeStatus::Abandoned), ..) => "it was abandoned",
        (None, ..) => "its status could not be read",
    };
    Some(Finding::new(
        FindingKind::NotMerged,
        format!("{}: {why}", change.number),
    ))
}

pub fn not_in_branch(case: &Case<'_>) -> Option<Finding> {
    let (change, rules) = (case.change, case.rules);
    let why = if change.project != rules.project {
        format!("it is in project {}, not in {}", change.project, rules.project)
    } else if change.branch != rules.branch {
        format!("it is on branch {}, not on {}", change.branch, rules.branch)
    } else {
        match change.in_branch {
            Some(true) => return None,
            Some(false) => format!(
                "branch {} does not contain its revision {}",
                rules.branch, change.revision
            ),
            None => format!(
                "it is unknown whether branch {} contains its revision {}",
                rules.branch, change.revision
            ),
        }
    };
    Some(Finding::new(
        FindingKind::NotInBranch,
        format!("{}: {why}", change.number),
    ))
}

pub fn unsupported_gerrit_version(case: &Case<'_>) -> Option<Finding> {
    let message = match case.surroundings.gerrit {
        // These lose votes of merged changes (Gerrit 3.13.3 release notes).
        Some(GerritVersion(3, 13, patch @ 0..=2)) => {
            format!("Gerrit 3.13.{patch} loses the votes of merged changes: upgrade it to 3.13.3 or newer")
        }
        Some(_) => return None,
        None => "the version of Gerrit is unknown, and some versions lose votes".to_owned(),
    };
    Some(Finding::new(FindingKind::UnsupportedGerritVersion, message))
}

pub fn merged_around_review(case: &Case<'_>) -> Option<Finding> {
    let (change, rules) = (case.change, case.rules);
    let mut against = Vec::new();
    if change.closed_by_push {
        against.push("its commit was pushed to the branch directly, which closed it unreviewed".to_owned());
    }
    match &change.requirements {
        None => against.push("its submit requirements could not be read".to_owned()),
        Some(results) if results.is_empty() => {
            against
                .push("no submit requirement was checked when it merged, as after a direct push".to_owned());
        }
        Some(results) => {
            for (name, status) in results {
                let word = match status {
                    RequirementStatus::Satisfied | RequirementStatus::NotApplicable => continue,
                    RequirementStatus::Overridden if rules.allow_overridden.contains(name) => continue,
                    RequirementStatus::Overridden => "was overridden, which the policy does not allow",
                    RequirementStatus::Forced => "was forced (push option %submit)",
                    RequirementStatus::Unsatisfied => "was not satisfied",
                    RequirementStatus::Error => "failed with an error",
                    RequirementStatus::Unknown => "has a result this version does not know",
                };
                against.push(format!("submit requirement {name} {word}"));
            }
            for name in &rules.required {
                match results.get(name) {
                    None => against.push(format!(
                        "required submit requirement {name} is missing from the stored results"
                    )),
                    Some(RequirementStatus::NotApplicable) => {
                        against.push(format!("required submit requirement {name} did not apply"))
                    }
                    Some(_) => {}
                }
            }
        }
    }
    (!against.is_empty()).then(|| {
        Finding::new(
            FindingKind::MergedAroundReview,
            format!(
                "{}: {}: bring it in again by a change that is reviewed and submitted",
                change.number,
                against.join("; ")
            ),
        )
    })
}
