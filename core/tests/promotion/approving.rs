//! Who may say yes, and which yes counts.

use std::collections::BTreeSet;

use lockstep_core::domain::promotion::gate::evidence::PatchSetKind;
use lockstep_core::domain::promotion::gate::finding::FindingKind::{self, *};
use lockstep_core::domain::promotion::gate::people::Email;

use crate::review::*;

fn none() -> BTreeSet<FindingKind> {
    BTreeSet::new()
}

fn kinds(kinds: &[FindingKind]) -> BTreeSet<FindingKind> {
    kinds.iter().copied().collect()
}

#[test]
fn a_change_that_somebody_else_approved_and_a_check_verified_passes() {
    assert_eq!(after(|_| ()), none());
}

#[test]
fn without_an_approval_it_does_not_pass() {
    assert_eq!(
        after(|review| review.votes().retain(|vote| vote.label != APPROVAL)),
        kinds(&[NotEnoughApprovals])
    );
}

#[test]
fn a_withdrawn_or_lower_vote_is_no_approval() {
    for value in [0, 1] {
        assert_eq!(
            after(|review| review.approval().value = value),
            kinds(&[NotEnoughApprovals]),
            "{value}"
        );
    }
}

#[test]
fn a_vote_by_the_owner_does_not_count() {
    assert_eq!(
        after(|review| {
            review.made_by(EVE, "eve");
            review.change.owner = BOB;
        }),
        kinds(&[NotEnoughApprovals, SelfApproval])
    );
}

#[test]
fn a_vote_by_the_uploader_does_not_count() {
    assert_eq!(
        after(|review| review.change.patch_sets.get_mut(&1).unwrap().uploader = Some(BOB)),
        kinds(&[NotEnoughApprovals, SelfApproval])
    );
}

#[test]
fn a_vote_by_the_real_uploader_does_not_count() {
    assert_eq!(
        after(|review| review.change.patch_sets.get_mut(&1).unwrap().real_uploader = Some(BOB)),
        kinds(&[NotEnoughApprovals, SelfApproval])
    );
}

#[test]
fn a_vote_by_who_uploaded_an_earlier_patch_set_does_not_count() {
    assert_eq!(
        after(|review| {
            review.change.patch_sets.get_mut(&1).unwrap().uploader = Some(BOB);
            review.patch_set(2, PatchSetKind::Rework, 5);
            review.approval().patch_set = Some(2);
            review.verification().patch_set = Some(2);
        }),
        kinds(&[NotEnoughApprovals, SelfApproval])
    );
}

#[test]
fn a_vote_by_the_author_or_committer_does_not_count_whatever_the_case_of_the_address() {
    let bob = Email::from("BOB@Example.com".to_owned());
    assert_eq!(
        after(|review| review.change.author.as_mut().unwrap().email = bob.clone()),
        kinds(&[NotEnoughApprovals, SelfApproval])
    );
    assert_eq!(
        after(|review| review.change.committer.as_mut().unwrap().email = bob.clone()),
        kinds(&[NotEnoughApprovals, SelfApproval])
    );
}

#[test]
fn a_vote_by_the_owners_other_account_does_not_count() {
    let spoilt = kinds(&[NotEnoughApprovals, SelfApproval]);
    let by_alias = |review: &mut Review| {
        review.approval().account = ADA_ADMIN;
        review.approval().real_author = Some(ADA_ADMIN);
    };
    assert_eq!(after(by_alias), spoilt);
    let by_address = |review: &mut Review| {
        review.change.people.aliases.clear();
        let emails = &mut review.change.people.accounts.get_mut(&BOB).unwrap().emails;
        emails.insert(email("ada"));
    };
    assert_eq!(after(by_address), spoilt);
}

#[test]
fn two_accounts_of_one_person_are_one_approval() {
    let two = |review: &mut Review| {
        review.rules.approval.count = 2;
        review.vote(APPROVAL, 2, CY);
    };
    assert_eq!(after(two), none());
    assert_eq!(
        after(|review| {
            two(review);
            let emails = &mut review.change.people.accounts.get_mut(&CY).unwrap().emails;
            emails.insert(email("bob"));
        }),
        kinds(&[NotEnoughApprovals])
    );
}

#[test]
fn pressing_submit_is_no_part_in_the_change() {
    // Rebase Always and Cherry Pick make a patch set at submit, uploaded by who pressed the button.
    assert_eq!(
        after(|review| {
            review.change.submitter = Some(BOB);
            let made = review.patch_set(2, PatchSetKind::TrivialRebase, 20);
            made.uploader = Some(BOB);
            made.real_uploader = Some(BOB);
            made.by_submit = true;
        }),
        none()
    );
}

#[test]
fn a_vote_cast_on_behalf_of_somebody_does_not_count() {
    for real in [Some(EVE), None] {
        assert_eq!(
            after(|review| review.approval().real_author = real),
            kinds(&[NotEnoughApprovals, VoteOnBehalf])
        );
    }
}

#[test]
fn a_vote_by_a_service_user_does_not_count() {
    assert_eq!(
        after(|review| {
            review.approval().account = DEPENDENCIES;
            review.approval().real_author = Some(DEPENDENCIES);
        }),
        kinds(&[NotEnoughApprovals, MachineApproval])
    );
}

#[test]
fn a_vote_by_an_agent_does_not_count() {
    assert_eq!(
        after(|review| {
            review.approval().account = AGENT;
            review.approval().real_author = Some(AGENT);
        }),
        kinds(&[NotEnoughApprovals, MachineApproval])
    );
}

#[test]
fn a_vote_tagged_as_generated_does_not_count() {
    assert_eq!(
        after(|review| review.approval().tag = Some("autogenerated:review-bot".into())),
        kinds(&[NotEnoughApprovals, MachineApproval])
    );
}

#[test]
fn a_machine_beside_enough_people_harms_nobody() {
    assert_eq!(
        after(|review| {
            review.vote(APPROVAL, 2, DEPENDENCIES);
            review.vote(APPROVAL, 2, ADA);
            review.vote(APPROVAL, 2, CY).real_author = Some(EVE);
        }),
        none()
    );
}

#[test]
fn a_vote_by_who_is_not_in_the_group_does_not_count() {
    assert_eq!(
        after(|review| {
            review.approval().account = EVE;
            review.approval().real_author = Some(EVE);
        }),
        kinds(&[NotEnoughApprovals])
    );
}

#[test]
fn a_vote_after_the_submit_does_not_count() {
    assert_eq!(
        after(|review| review.approval().post_submit = true),
        kinds(&[NotEnoughApprovals])
    );
    assert_eq!(
        after(|review| review.approval().time = Some(at(21))),
        kinds(&[NotEnoughApprovals])
    );
}

#[test]
fn a_vote_copied_over_a_trivial_rebase_counts_and_over_a_rework_does_not() {
    let later = |kind| {
        move |review: &mut Review| {
            review.patch_set(2, kind, 15);
            review.verification().patch_set = Some(2);
            review.verification().time = Some(at(16));
            review.approval().copied = true;
        }
    };
    for kind in [
        PatchSetKind::TrivialRebase,
        PatchSetKind::NoCodeChange,
        PatchSetKind::NoChange,
    ] {
        assert_eq!(after(later(kind)), none(), "{kind:?}");
    }
    for kind in [PatchSetKind::Rework, PatchSetKind::Unknown] {
        assert_eq!(
            after(later(kind)),
            kinds(&[NotEnoughApprovals, ContentChangedAfterApproval]),
            "{kind:?}"
        );
    }
}

#[test]
fn a_vote_that_claims_a_patch_set_uploaded_after_it_speaks_for_the_one_before() {
    assert_eq!(
        after(|review| {
            review.patch_set(2, PatchSetKind::Rework, 15);
            review.verification().patch_set = Some(2);
            review.verification().time = Some(at(16));
            review.approval().patch_set = Some(2);
        }),
        kinds(&[NotEnoughApprovals, ContentChangedAfterApproval])
    );
}

#[test]
fn approvers_whom_nobody_governs_approve_nothing() {
    let spoils: [fn(&mut Review); 5] = [
        |review| review.group(&leads()).governed_by = None,
        |review| review.group(&leads()).governed_by.as_mut().unwrap().authoritative = false,
        |review| review.group(&leads()).governed_by.as_mut().unwrap().enforcing = false,
        |review| review.group(&leads()).let_in_by_others = None,
        |review| review.rules.approval.group.0 = "elsewhere".into(),
    ];
    for spoil in spoils {
        let found = after(spoil);
        assert!(found.contains(&ApproverGroupUngoverned), "{found:?}");
    }
}

#[test]
fn who_was_let_in_by_another_hand_does_not_approve() {
    let let_in = |review: &mut Review| {
        review.group(&leads()).let_in_by_others = Some(BTreeSet::from([BOB]));
    };
    assert_eq!(
        after(let_in),
        kinds(&[NotEnoughApprovals, ApproverGroupUngoverned])
    );
    assert_eq!(
        after(|review| {
            let_in(review);
            review.vote(APPROVAL, 2, CY);
        }),
        none()
    );
}

#[test]
fn what_is_not_known_does_not_speak_for_a_change() {
    let spoils: [fn(&mut Review); 12] = [
        |review| review.change.votes = None,
        |review| review.approval().time = None,
        |review| review.approval().patch_set = None,
        |review| review.change.submitted = None,
        |review| review.change.author = None,
        |review| review.change.committer = None,
        |review| review.change.patch_sets.clear(),
        |review| review.change.patch_sets.get_mut(&1).unwrap().uploader = None,
        |review| review.change.patch_sets.get_mut(&1).unwrap().created = None,
        |review| review.group(&leads()).members = None,
        |review| review.group(&agents()).members = None,
        |review| {
            review.change.people.accounts.remove(&BOB);
        },
    ];
    for (n, spoil) in spoils.into_iter().enumerate() {
        assert!(after(spoil).contains(&NotEnoughApprovals), "{n}");
    }
}

#[test]
fn a_policy_that_asks_for_nobody_still_asks_for_one() {
    assert_eq!(
        after(|review| {
            review.rules.approval.count = 0;
            review.surroundings.floor.as_mut().unwrap().min_approvals = 0;
            review.votes().retain(|vote| vote.label != APPROVAL);
        }),
        kinds(&[NotEnoughApprovals])
    );
}

#[test]
fn a_message_names_the_vote_and_every_reason_against_it() {
    let mut review = reviewed();
    review.approval().account = ADA;
    review.approval().real_author = Some(ADA);
    let finding = review
        .findings()
        .into_iter()
        .find(|finding| finding.kind == SelfApproval)
        .unwrap();
    for part in [
        "change 42",
        "Code-Review+2 of ada (account 1)",
        "owns the change",
        "uploaded patch set 1",
        "wrote it",
    ] {
        assert!(finding.message.contains(part), "{part}: {}", finding.message);
    }
}
