//! What comes back, or goes on: below a clean change, under an old name, after a revert, on a branch made anew; and what
//! agents do.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_core::domain::promotion::gate::evidence::ChangeNumber;
use lockstep_core::domain::promotion::gate::finding::{Finding, FindingKind};
use lockstep_core::domain::promotion::gate::people::GroupUuid;
use lockstep_core::domain::promotion::gate::range::Standing;
use lockstep_core::domain::promotion::gate::rules::{AgentIdentity, Agents, Upstream};
use lockstep_core::domain::promotion::gate::{Case, Success, Surroundings, judge_change};
use lockstep_core::domain::promotion::ports::reviews::{Repository as _, ReviewSystem as _};
use reqwest::Method;
use serde_json::json;

use super::judging::{kinds, said};
use super::trees::{cache, mirror};
use super::yard::{Pushed, Yard, yard};

/// A group of agents, and the one account in it.
async fn agents(y: &Yard, account: &str) -> GroupUuid {
    let path = format!("groups/{}-agents", y.project.replace('/', "-"));
    let body =
        json!({"owner_id": "Administrators", "visible_to_all": true, "members": [y.house.username(account)]});
    let made = y.admin(Method::PUT, &path, body).await;
    GroupUuid(made["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_agents_vote_is_no_approval_and_what_it_uploads_needs_two_humans() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let group = agents(&y, "cy").await;
    let mut inquiry = y.inquiry();
    inquiry.groups.insert(group.clone());
    let mut rules = y.rules("prod");
    rules.agents = Agents {
        identities: vec![AgentIdentity {
            group,
            sponsors: None,
        }],
        ..Agents::default()
    };
    let change = y.propose("a", "1\n");
    y.vote("cy", &change, "Code-Review", 2).await;
    y.vote("ci", &change, "Verified", 1).await;
    y.submit("ada", &change).await;
    let evidence = y.evidence_with(&change, &inquiry).await;
    let findings = y.judged(&evidence, &rules).await;
    assert!(
        kinds(&findings).contains(&FindingKind::MachineApproval),
        "{findings:?}"
    );

    let commit = y.commit_as("cy", "cy", "b", "1\n", "");
    let uploaded = y.propose_as("cy", commit);
    y.bring_in(&uploaded).await;
    let evidence = y.evidence_with(&uploaded, &inquiry).await;
    let findings = y.judged(&evidence, &rules).await;
    assert_eq!(
        kinds(&findings),
        BTreeSet::from([FindingKind::AgentNeedsHumans]),
        "{findings:?}"
    );
}

#[tokio::test]
async fn what_was_forced_in_does_not_ride_along_under_a_clean_change() {
    let Some(y) = yard("MERGE_IF_NECESSARY").await else {
        return;
    };
    let baseline = y.head();
    let commit = y.commit_as("ada", "ada", "a", "1\n", "");
    let forced = y.propose_to("ada", commit, "refs/for/refs/heads/prod%submit");
    y.start_from("prod");
    let overridden = y.propose("b", "1\n");
    y.vote("ci", &overridden, "Verified", 1).await;
    let hashtag = json!({"add": ["urgent"]});
    y.must("cy", Method::POST, &y.at(&overridden, "/hashtags"), hashtag)
        .await;
    y.submit("ada", &overridden).await;
    let clean = y.propose("c", "1\n");
    y.bring_in(&clean).await;
    assert_eq!(y.findings(&clean).await, Vec::<Finding>::new());
    let range = y.range(&baseline).await;
    let findings = range.findings();
    assert_eq!(
        kinds(&findings),
        BTreeSet::from([FindingKind::UnreviewedAncestor]),
        "{findings:?}"
    );
    let below: BTreeSet<_> = [&forced.commit, &overridden.commit].into();
    assert_eq!(range.unexplained(), below, "{range:?}");
}

#[tokio::test]
async fn a_merge_commit_that_was_pushed_around_review_is_found_with_all_it_brought() {
    let Some(y) = yard("MERGE_IF_NECESSARY").await else {
        return;
    };
    let baseline = y.head();
    let side = y.commit_as("ada", "ada", "side", "1\n", "");
    y.start_from("prod");
    let main = y.propose("main", "1\n");
    y.bring_in(&main).await;
    y.git(&[
        "merge",
        "--quiet",
        "--no-ff",
        "-m",
        "Merge the side",
        &side.commit.0,
    ]);
    let merge = y.head();
    y.push("ada", "refs/heads/prod");
    let clean = y.propose("c", "1\n");
    y.bring_in(&clean).await;
    let range = y.range(&baseline).await;
    assert_eq!(range.unexplained(), BTreeSet::from([&merge, &side.commit]));
    assert!(matches!(range.commits[&clean.commit], Standing::Change(_)));
}

#[tokio::test]
async fn a_change_id_with_other_content_is_not_what_ran_upstream() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let tested = y.commit_as("ada", "ada", "a", "1\n", "");
    let tested = y.propose_to("ada", tested, "refs/for/refs/heads/staging");
    y.bring_in(&tested).await;
    y.start_from("prod");
    let other = y.propose_under(&tested.change_id, "a", "2\n");
    assert_ne!(other.number, tested.number);
    y.bring_in(&other).await;

    let mirror = mirror(&y);
    mirror.fetch(&tested.commit).await.unwrap();
    mirror.fetch(&other.commit).await.unwrap();
    let mut evidence = y.evidence(&other).await;
    assert_eq!(evidence.change_id, tested.change_id);
    evidence.patch = mirror.patch(&other.commit).await.unwrap();
    let mut rules = y.rules("prod");
    rules.requires = vec![Upstream {
        environment: "staging".into(),
        soak: 0,
    }];
    let ran = Success {
        change: ChangeNumber(tested.number),
        change_id: tested.change_id.clone(),
        revision: tested.commit.clone(),
        patch: mirror.patch(&tested.commit).await.unwrap(),
        cherry_pick_of: None,
        at: Timestamp::now(),
        taken_back: false,
    };
    let judged = judge_change(&Case {
        rules: &rules,
        change: &evidence,
        surroundings: &Surroundings {
            gerrit: y.system.version().await.unwrap(),
            floor: None,
            upstream: BTreeMap::from([("staging".to_owned(), vec![ran])]),
        },
        now: Timestamp::now(),
    });
    let said = said(&judged, FindingKind::DiffersFromUpstream);
    assert!(said.contains("another patch"), "{judged:?}");
    let _ = std::fs::remove_dir_all(cache(&y));
}

#[tokio::test]
async fn what_was_reverted_comes_back_as_a_change_of_its_own() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let baseline = y.head();
    let change = y.propose("a", "1\n");
    y.bring_in(&change).await;
    let mut last = change;
    for _ in 0..2 {
        let body = json!({"notify": "NONE"});
        let answer = y.must("ada", Method::POST, &y.at(&last, "/revert"), body).await;
        let revert = Pushed {
            number: answer["_number"].as_u64().unwrap(),
            ..last.clone()
        };
        let findings = y.findings(&revert).await;
        assert!(kinds(&findings).contains(&FindingKind::NotEnoughApprovals));
        y.bring_in(&revert).await;
        assert_eq!(y.findings(&revert).await, Vec::<Finding>::new());
        last = revert;
    }
    let range = y.range(&baseline).await;
    assert_eq!((range.commits.len(), range.findings()), (3, Vec::new()));
}

#[tokio::test]
async fn a_branch_that_was_deleted_or_made_anew_no_longer_holds_the_change() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let root = y.head();
    let change = y.propose("a", "1\n");
    y.bring_in(&change).await;
    let on = y.on("prod");
    let branch = format!("{}/branches/prod", y.project_path());
    y.admin(Method::DELETE, &branch, json!(null)).await;
    let tips = y.system.tips(&BTreeSet::from([on.clone()])).await.unwrap();
    assert!(tips.is_empty(), "{tips:?}");
    let findings = y.findings(&change).await;
    assert!(
        kinds(&findings).contains(&FindingKind::NotInBranch),
        "{findings:?}"
    );

    y.admin(Method::PUT, &branch, json!({"revision": root.0})).await;
    let tips = y.system.tips(&BTreeSet::from([on.clone()])).await.unwrap();
    assert_eq!(tips[&on], root);
    let findings = y.findings(&change).await;
    assert_eq!(kinds(&findings), BTreeSet::from([FindingKind::NotInBranch]));
    let range = y.range(&change.commit).await;
    assert!(!range.findings().is_empty(), "{range:?}");
}
