//! Ways around review that Gerrit leaves open to whoever has the right, each found out.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::domain::promotion::gate::evidence::{CommitId, RequirementStatus};
use lockstep_core::domain::promotion::gate::finding::{Finding, FindingKind};
use lockstep_core::domain::promotion::gate::range::Standing;
use reqwest::Method;
use serde_json::json;

use super::judging::{kinds, result, said};
use super::yard::yard;

#[tokio::test]
async fn an_overridden_requirement_passes_only_where_the_policy_allows_it() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let change = y.propose("a", "1\n");
    y.vote("ci", &change, "Verified", 1).await;
    y.must(
        "cy",
        Method::POST,
        &y.at(&change, "/hashtags"),
        json!({"add": ["urgent"]}),
    )
    .await;
    y.submit("ada", &change).await;
    let evidence = y.evidence(&change).await;
    assert_eq!(
        result(&evidence, "Lockstep-Approved"),
        Some(RequirementStatus::Overridden)
    );
    let mut rules = y.rules("prod");
    let findings = y.judged(&evidence, &rules).await;
    let expected = BTreeSet::from([FindingKind::MergedAroundReview, FindingKind::NotEnoughApprovals]);
    assert_eq!(kinds(&findings), expected);
    assert!(said(&findings, FindingKind::MergedAroundReview).contains("Lockstep-Approved was overridden"));
    rules.allow_overridden = evidence
        .requirements
        .iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    let findings = y.judged(&evidence, &rules).await;
    assert_eq!(
        kinds(&findings),
        BTreeSet::from([FindingKind::NotEnoughApprovals])
    );
}

#[tokio::test]
async fn a_push_that_submits_forces_every_requirement() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let commit = y.commit_as("ada", "ada", "a", "1\n", "");
    let change = y.propose_to("ada", commit, "refs/for/refs/heads/prod%submit");
    let evidence = y.evidence(&change).await;
    assert_eq!(
        result(&evidence, "Lockstep-Approved"),
        Some(RequirementStatus::Forced)
    );
    let findings = y.judged(&evidence, &y.rules("prod")).await;
    let expected = BTreeSet::from([
        FindingKind::MergedAroundReview,
        FindingKind::NotEnoughApprovals,
        FindingKind::NotVerified,
    ]);
    assert_eq!(kinds(&findings), expected);
}

#[tokio::test]
async fn a_commit_that_was_pushed_around_review_stays_in_the_range_below_clean_changes() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let baseline = y.head();
    let first = y.propose("a", "1\n");
    y.bring_in(&first).await;
    let pushed = y.commit_as("bob", "bob", "b", "1\n", "");
    y.push("bob", "refs/heads/prod");
    let clean = y.propose("c", "1\n");
    y.bring_in(&clean).await;
    assert_eq!(y.findings(&clean).await, Vec::<Finding>::new());

    let range = y.range(&baseline).await;
    assert_eq!(range.unexplained(), BTreeSet::from([&pushed.commit]));
    assert!(matches!(range.commits[&clean.commit], Standing::Change(_)));
    assert!(matches!(range.commits[&first.commit], Standing::Change(_)));
    assert_eq!(range.commits.len(), 3);
    let findings = range.findings();
    assert_eq!(
        kinds(&findings),
        BTreeSet::from([FindingKind::UnreviewedAncestor])
    );
    assert!(said(&findings, FindingKind::UnreviewedAncestor).contains(&pushed.commit.0));
}

#[tokio::test]
async fn a_direct_push_of_a_reviewed_commit_leaves_nothing_that_was_checked() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let baseline = y.head();
    let change = y.propose("a", "1\n");
    y.approve(&change).await;
    y.push("ada", "refs/heads/prod");
    let evidence = y.evidence(&change).await;
    assert!(evidence.closed_by_push);
    assert_eq!(evidence.requirements.as_ref().map(BTreeMap::len), Some(0));
    let findings = y.judged(&evidence, &y.rules("prod")).await;
    assert_eq!(
        kinds(&findings),
        BTreeSet::from([FindingKind::MergedAroundReview])
    );
    assert!(said(&findings, FindingKind::MergedAroundReview).contains("pushed to the branch directly"));
    let range = y.range(&baseline).await;
    assert_eq!(range.unexplained(), BTreeSet::from([&change.commit]));
}

#[tokio::test]
async fn whoever_submits_does_not_verify() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let change = y.propose("a", "1\n");
    y.approve(&change).await;
    y.submit("ci", &change).await;
    let findings = y.findings(&change).await;
    assert_eq!(kinds(&findings), BTreeSet::from([FindingKind::NotVerified]));
    assert!(said(&findings, FindingKind::NotVerified).contains("submitted the change"));
}

#[tokio::test]
async fn whoever_uploads_does_not_verify() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let change = y.propose("a", "1\n");
    let change = y.amend_as("ci", &change, "a", "2\n");
    y.approve(&change).await;
    y.submit("ada", &change).await;
    let findings = y.findings(&change).await;
    // A service user that uploads is an agent as well.
    let both = [FindingKind::NotVerified, FindingKind::AgentNeedsHumans];
    assert_eq!(kinds(&findings), BTreeSet::from(both));
    assert!(said(&findings, FindingKind::NotVerified).contains("uploaded patch set 2"));
}

#[tokio::test]
async fn an_abandoned_change_is_not_merged() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let change = y.propose("a", "1\n");
    y.approve(&change).await;
    y.must("ada", Method::POST, &y.at(&change, "/abandon"), json!({}))
        .await;
    let findings = y.findings(&change).await;
    assert!(said(&findings, FindingKind::NotMerged).contains("was abandoned"));
    assert!(kinds(&findings).contains(&FindingKind::NotInBranch));
}

#[tokio::test]
async fn a_branch_that_was_rewound_is_said_to_be() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let change = y.propose("a", "1\n");
    y.bring_in(&change).await;
    let range = y
        .range(&CommitId("0123456789abcdef0123456789abcdef01234567".into()))
        .await;
    assert!(
        range.broken.iter().any(|why| why.contains("no ancestor")),
        "{range:?}"
    );
}
