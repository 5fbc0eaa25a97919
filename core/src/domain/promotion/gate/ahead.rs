//! A change that is still open, before the same gate: as it would be if it were submitted now just as it is. What
//! speaks against it then is what people can still bring; what the submit itself brings is told apart.

use jiff::Timestamp;

use super::evidence::{ChangeStatus, Evidence, RequirementStatus};

/// The change as it would be after a submit at this time; one that is not open stays as it is. Whoever submits may
/// have no part in checking it: taken for that is the owner, who has none anyway.
pub fn as_submitted(change: &Evidence, now: Timestamp) -> Evidence {
    let mut change = change.clone();
    if change.status != Some(ChangeStatus::New) {
        return change;
    }
    change.status = Some(ChangeStatus::Merged);
    change.submitted = Some(now);
    change.submitter = Some(change.owner);
    change.in_branch = Some(true);
    for status in change.requirements.iter_mut().flat_map(|all| all.values_mut()) {
        // Gerrit submits nothing before they are; who forces it is found out afterwards.
        if *status == RequirementStatus::Unsatisfied {
            *status = RequirementStatus::Satisfied;
        }
    }
    change
}

/// Submit requirements that keep Gerrit from submitting it now.
pub fn unsatisfied(change: &Evidence) -> Vec<String> {
    let open = change.status == Some(ChangeStatus::New);
    let results = change.requirements.iter().flatten();
    results
        .filter(|(_, status)| open && **status == RequirementStatus::Unsatisfied)
        .map(|(name, _)| name.clone())
        .collect()
}
