//! What a machine wrote needs more people.

use std::collections::BTreeSet;

use lockstep_core::domain::promotion::gate::finding::FindingKind::{self, *};
use lockstep_core::domain::promotion::gate::people::AccountId;

use crate::review::*;

fn none() -> BTreeSet<FindingKind> {
    BTreeSet::new()
}

fn kinds(kinds: &[FindingKind]) -> BTreeSet<FindingKind> {
    kinds.iter().copied().collect()
}

/// The change is the agent's, with these approvals.
fn by_agent(review: &mut Review, approvers: &[AccountId]) {
    review.made_by(AGENT, "agent");
    review.votes().retain(|vote| vote.label != APPROVAL);
    for approver in approvers {
        review.vote(APPROVAL, 2, *approver);
    }
}

#[test]
fn what_an_agent_uploaded_needs_two_humans() {
    assert_eq!(
        after(|review| by_agent(review, &[BOB])),
        kinds(&[AgentNeedsHumans])
    );
    assert_eq!(
        after(|review| {
            by_agent(review, &[BOB, EVE]);
            review.group(&leads()).members.as_mut().unwrap().insert(EVE);
        }),
        none()
    );
}

#[test]
fn what_a_footer_calls_assisted_needs_two_humans() {
    assert_eq!(
        after(|review| review.footer("assisted-BY", "a machine")),
        kinds(&[AgentNeedsHumans])
    );
    assert_eq!(
        after(|review| {
            review.footer("Assisted-by", "a machine");
            review.footer("Requested-by", "Ada <ada@example.com>");
            review.vote(APPROVAL, 2, CY);
        }),
        none()
    );
}

#[test]
fn a_sponsors_vote_counts_only_when_somebody_else_asked_for_it() {
    // Cy is a sponsor.
    assert_eq!(
        after(|review| by_agent(review, &[BOB, CY])),
        kinds(&[AgentNeedsHumans])
    );
    let asked_by = |who: &'static str| {
        move |review: &mut Review| {
            by_agent(review, &[BOB, CY]);
            review.footer("Requested-by", who);
        }
    };
    assert_eq!(after(asked_by("Ada <ada@example.com>")), none());
    for who in [
        "Cy <cy@example.com>",
        "Bob <bob@example.com>",
        "nobody@elsewhere.org",
        "Ada",
    ] {
        assert_eq!(after(asked_by(who)), kinds(&[AgentNeedsHumans]), "{who}");
    }
}

#[test]
fn a_service_user_is_trusted_with_its_own_files_only() {
    let touching = |paths: Option<&'static [&'static str]>| {
        move |review: &mut Review| {
            review.made_by(DEPENDENCIES, "dependencies");
            review.change.paths = paths.map(|paths| paths.iter().map(ToString::to_string).collect());
        }
    };
    assert_eq!(
        after(touching(Some(&["requirements.txt", "requirements-dev.txt"]))),
        none()
    );
    for paths in [Some(&["requirements.txt", "models/fraud/train.py"][..]), None] {
        assert_eq!(after(touching(paths)), kinds(&[AgentNeedsHumans]));
    }
}

#[test]
fn footers_that_could_not_be_read_may_say_anything() {
    assert_eq!(
        after(|review| review.change.footers = None),
        kinds(&[AgentNeedsHumans])
    );
}
