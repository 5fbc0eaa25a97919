//! How a change came in, and what the project still means by its labels.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::domain::promotion::gate::evidence::{ChangeStatus, PatchSetKind, RequirementStatus};
use lockstep_core::domain::promotion::gate::finding::{Class, FindingKind, FindingKind::*};
use lockstep_core::domain::promotion::gate::{CHECKS, GerritVersion, judge_change};

use crate::review::*;

fn only(kind: FindingKind) -> BTreeSet<FindingKind> {
    BTreeSet::from([kind])
}

#[test]
fn what_is_not_merged_does_not_run() {
    for status in [Some(ChangeStatus::New), Some(ChangeStatus::Abandoned), None] {
        assert_eq!(after(|review| review.change.status = status), only(NotMerged));
    }
}

#[test]
fn what_moved_to_another_branch_or_left_it_does_not_run() {
    assert_eq!(
        after(|review| review.change.branch = "staging".into()),
        only(NotInBranch)
    );
    assert_eq!(
        after(|review| review.change.project = "ml/other".into()),
        only(NotInBranch)
    );
    assert_eq!(
        after(|review| review.change.in_branch = Some(false)),
        only(NotInBranch)
    );
    assert_eq!(after(|review| review.change.in_branch = None), only(NotInBranch));
}

#[test]
fn a_gerrit_that_loses_votes_is_not_believed() {
    for (version, refused) in [
        (Some(GerritVersion(3, 13, 0)), true),
        (Some(GerritVersion(3, 13, 2)), true),
        (Some(GerritVersion(3, 13, 3)), false),
        (Some(GerritVersion(3, 12, 1)), false),
        (None, true),
    ] {
        let found = after(|review| review.surroundings.gerrit = version);
        assert_eq!(
            found == only(UnsupportedGerritVersion),
            refused,
            "{version:?} {found:?}"
        );
    }
}

#[test]
fn a_forced_submit_is_seen() {
    assert_eq!(
        after(|review| {
            for status in review.change.requirements.as_mut().unwrap().values_mut() {
                *status = RequirementStatus::Forced;
            }
        }),
        only(MergedAroundReview)
    );
}

#[test]
fn a_direct_push_of_a_reviewed_commit_is_seen() {
    assert_eq!(
        after(|review| review.change.requirements = Some(BTreeMap::new())),
        only(MergedAroundReview)
    );
    assert_eq!(
        after(|review| review.change.closed_by_push = true),
        only(MergedAroundReview)
    );
}

#[test]
fn an_override_needs_the_policys_leave() {
    let overridden = |review: &mut Review| {
        let results = review.change.requirements.as_mut().unwrap();
        results.insert("Lockstep-Approved".into(), RequirementStatus::Overridden);
    };
    assert_eq!(after(overridden), only(MergedAroundReview));
    assert_eq!(
        after(|review| {
            overridden(review);
            review.rules.allow_overridden.insert("Lockstep-Approved".into());
        }),
        BTreeSet::new()
    );
}

#[test]
fn a_required_requirement_must_have_been_checked() {
    for status in [
        None,
        Some(RequirementStatus::NotApplicable),
        Some(RequirementStatus::Unsatisfied),
        Some(RequirementStatus::Error),
        Some(RequirementStatus::Unknown),
    ] {
        let found = after(|review| {
            let results = review.change.requirements.as_mut().unwrap();
            results.remove("Lockstep-Verified");
            results.extend(status.map(|status| ("Lockstep-Verified".to_owned(), status)));
        });
        assert_eq!(found, only(MergedAroundReview), "{status:?}");
    }
    assert_eq!(
        after(|review| review.change.requirements = None),
        only(MergedAroundReview)
    );
}

#[test]
fn a_label_that_was_redefined_means_nothing() {
    let spoils: [fn(&mut Review); 4] = [
        |review| review.change.labels.get_mut(APPROVAL).unwrap().max = 3,
        |review| review.change.labels.get_mut(VERIFIED).unwrap().min = 0,
        |review| review.change.labels.get_mut(APPROVAL).unwrap().function = "MaxNoBlock".into(),
        |review| {
            review.change.labels.remove(VERIFIED);
        },
    ];
    for spoil in spoils {
        assert_eq!(after(spoil), only(LabelRedefined));
    }
}

#[test]
fn a_label_redefined_to_one_does_not_make_a_one_an_approval() {
    assert_eq!(
        after(|review| {
            review.change.labels.get_mut(APPROVAL).unwrap().max = 1;
            review.approval().value = 1;
        }),
        BTreeSet::from([LabelRedefined, NotEnoughApprovals])
    );
}

#[test]
fn a_veto_stands_whoever_gave_it_and_whenever() {
    assert_eq!(
        after(|review| review.vote(APPROVAL, -2, EVE).value = -2),
        only(Vetoed)
    );
    assert_eq!(
        after(|review| review.vote(APPROVAL, -2, CI).post_submit = true),
        only(Vetoed)
    );
    assert_eq!(
        after(|review| review.vote(VERIFIED, -1, CI).value = -1),
        only(Vetoed)
    );
    assert_eq!(
        after(|review| review.vote(APPROVAL, -1, EVE).value = -1),
        BTreeSet::new()
    );
    assert_eq!(
        after(|review| review.vote("Docs", -2, EVE).value = -2),
        BTreeSet::new()
    );
}

#[test]
fn a_verification_by_who_owns_uploads_or_submits_does_not_count() {
    assert_eq!(
        after(|review| {
            review.verification().account = ADA;
            review.verification().real_author = Some(ADA);
        }),
        only(NotVerified)
    );
    assert_eq!(
        after(|review| review.change.submitter = Some(CI)),
        only(NotVerified)
    );
    assert!(after(|review| review.change.owner = CI).contains(&NotVerified));
}

#[test]
fn a_verification_late_missing_or_of_other_content_does_not_count() {
    let spoils: [fn(&mut Review); 8] = [
        |review| review.verification().post_submit = true,
        |review| review.verification().time = Some(at(21)),
        |review| review.verification().time = None,
        |review| review.verification().value = 0,
        |review| review.verification().real_author = Some(EVE),
        |review| review.group(&checks()).members = Some(BTreeSet::from([EVE])),
        |review| review.group(&checks()).members = None,
        |review| {
            review.patch_set(2, PatchSetKind::Rework, 12);
            review.approval().patch_set = Some(2);
            review.approval().time = Some(at(13));
        },
    ];
    for (n, spoil) in spoils.into_iter().enumerate() {
        assert_eq!(after(spoil), only(NotVerified), "{n}");
    }
}

#[test]
fn a_policy_without_verification_passes_nothing() {
    assert_eq!(
        after(|review| review.rules.verification = None),
        BTreeSet::from([GateBelowFloor, NotVerified])
    );
}

#[test]
fn a_gate_below_the_connections_floor_lets_nobody_through() {
    let spoils: [fn(&mut Review); 5] = [
        |review| review.surroundings.floor = None,
        |review| review.surroundings.floor.as_mut().unwrap().min_approvals = 2,
        |review| {
            review
                .surroundings
                .floor
                .as_mut()
                .unwrap()
                .approver_groups
                .clear()
        },
        |review| review.surroundings.floor.as_mut().unwrap().projects = vec!["ml/other*".into()],
        |review| review.surroundings.floor.as_mut().unwrap().projects.clear(),
    ];
    for spoil in spoils {
        assert_eq!(after(spoil), only(GateBelowFloor));
    }
    let pattern = |pattern: &str| {
        let pattern = pattern.to_owned();
        after(|review| {
            let floor = review.surroundings.floor.as_mut().unwrap();
            floor.approver_groups = BTreeSet::from([pattern]);
        })
    };
    assert_eq!(pattern("ml-fraud-*"), BTreeSet::new());
    assert_eq!(pattern("ml-other-*"), only(GateBelowFloor));
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_in_the_tables_order() {
    let mut review = needs_staging();
    review.surroundings.gerrit = None;
    review.change.status = None;
    review.change.requirements = None;
    review.change.votes = None;
    review.change.labels.clear();
    review.change.in_branch = None;
    review.surroundings.floor = None;
    let found: Vec<FindingKind> = review.findings().iter().map(|finding| finding.kind).collect();
    assert_eq!(
        found,
        [
            NotMerged,
            NotInBranch,
            UnsupportedGerritVersion,
            GateBelowFloor,
            MergedAroundReview,
            LabelRedefined,
            Vetoed,
            NotEnoughApprovals,
            NotVerified,
            UpstreamMissing,
        ]
    );
}

#[test]
fn each_row_of_the_table_gives_its_own_finding() {
    let order: Vec<FindingKind> = CHECKS.iter().map(|(kind, _)| *kind).collect();
    assert!(order.is_sorted(), "{order:?}");
    let mut review = needs_staging();
    review.change.votes = None;
    review.change.requirements = None;
    for (kind, check) in CHECKS {
        if let Some(finding) = check(&review.case()) {
            assert_eq!(finding.kind, *kind);
        }
    }
    assert!(!judge_change(&review.case()).is_empty());
}

#[test]
fn only_time_freezes_and_upstream_wait() {
    let waiting: Vec<FindingKind> = CHECKS
        .iter()
        .map(|(kind, _)| *kind)
        .chain([UnreviewedAncestor, Frozen, OutsideWindow])
        .filter(|kind| kind.class() == Class::Waits)
        .collect();
    assert_eq!(waiting, [UpstreamMissing, Soaking, Frozen, OutsideWindow]);
}
