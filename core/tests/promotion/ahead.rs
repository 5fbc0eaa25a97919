//! What a reviewer is told before the merge.

use std::collections::BTreeMap;

use lockstep_core::domain::promotion::gate::ahead::{as_submitted, unsatisfied};
use lockstep_core::domain::promotion::gate::evidence::{ChangeStatus, RequirementStatus};
use lockstep_core::domain::promotion::gate::finding::FindingKind::{self, *};

use crate::review::*;

/// A change with everything behind it that nobody has submitted yet.
fn open() -> Review {
    let mut review = reviewed();
    let change = &mut review.change;
    change.status = Some(ChangeStatus::New);
    (change.submitted, change.submitter, change.in_branch) = (None, None, Some(false));
    review
}

/// What speaks against it if it were submitted now.
fn ahead(mut review: Review) -> Vec<FindingKind> {
    review.change = as_submitted(&review.change, review.now);
    review.kinds().into_iter().collect()
}

#[test]
fn nothing_is_missing_of_an_open_change_but_the_submit() {
    assert!(!open().kinds().is_empty());
    assert_eq!(ahead(open()), []);
}

#[test]
fn what_people_still_have_to_do_is_missing() {
    let mut review = open();
    review.votes().clear();
    assert_eq!(ahead(review), [NotEnoughApprovals, NotVerified]);
    let mut review = open();
    review.approval().account = ADA;
    review.approval().real_author = Some(ADA);
    assert_eq!(ahead(review), [NotEnoughApprovals, SelfApproval]);
}

#[test]
fn a_requirement_that_is_not_satisfied_yet_keeps_it_from_the_submit_alone() {
    let mut review = open();
    let requirements = review.change.requirements.as_mut().unwrap();
    requirements.insert("Tested".into(), RequirementStatus::Unsatisfied);
    assert_eq!(unsatisfied(&review.change), ["Tested"]);
    assert_eq!(ahead(review), []);
}

#[test]
fn a_project_that_requires_nothing_is_told_before_the_merge() {
    let mut review = open();
    review.change.requirements = Some(BTreeMap::new());
    assert_eq!(ahead(review), [MergedAroundReview]);
}

#[test]
fn only_an_open_change_is_imagined_to_be_submitted() {
    let mut abandoned = open();
    abandoned.change.status = Some(ChangeStatus::Abandoned);
    assert_eq!(as_submitted(&abandoned.change, abandoned.now), abandoned.change);
    assert!(ahead(abandoned).contains(&NotMerged));
    let merged = reviewed();
    assert_eq!(as_submitted(&merged.change, merged.now), merged.change);
    assert_eq!(unsatisfied(&merged.change), Vec::<String>::new());
}
