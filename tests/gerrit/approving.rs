//! Who approved, as the gate sees it on a real server.

use std::collections::BTreeSet;

use lockstep_core::domain::promotion::gate::evidence::{ChangeStatus, PatchSetKind, RequirementStatus};
use lockstep_core::domain::promotion::gate::finding::{Finding, FindingKind};
use lockstep_core::domain::promotion::gate::people::{Email, GroupUuid};
use lockstep_core::domain::promotion::ports::reviews::{Inquiry, ReviewSystem as _};
use reqwest::Method;
use serde_json::json;

use super::judging::{kinds, result, said};
use super::yard::yard;

#[tokio::test]
async fn a_change_that_a_lead_approved_and_the_checks_verified_passes() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let commit = y.commit_as("ada", "ada", "jobs/train.yml", "a\n", "Assisted-by: A Bot\n");
    let change = y.propose_as("ada", commit);
    assert_eq!(
        kinds(&y.findings(&change).await),
        BTreeSet::from([
            FindingKind::NotMerged,
            FindingKind::NotInBranch,
            FindingKind::MergedAroundReview,
            FindingKind::NotEnoughApprovals,
            FindingKind::NotVerified,
        ]),
        "before it is reviewed"
    );
    y.bring_in(&change).await;
    let evidence = y.evidence(&change).await;
    assert_eq!(y.judged(&evidence, &y.rules("prod")).await, Vec::<Finding>::new());

    let ada = y.house.id("ada");
    assert_eq!(evidence.status, Some(ChangeStatus::Merged));
    assert_eq!((evidence.owner, evidence.submitter), (ada, Some(ada)));
    assert_eq!(evidence.change_id, change.change_id);
    assert_eq!(evidence.revision, change.commit);
    assert_eq!(
        evidence.paths,
        Some(BTreeSet::from(["jobs/train.yml".to_owned()]))
    );
    assert_eq!(
        evidence.author.as_ref().unwrap().email,
        Email::from(y.house.email("ada"))
    );
    let set = &evidence.patch_sets[&1];
    assert_eq!((set.uploader, set.real_uploader), (Some(ada), Some(ada)));
    assert_eq!((set.kind, set.by_submit), (Some(PatchSetKind::Rework), false));
    assert_eq!(
        result(&evidence, "Lockstep-Approved"),
        Some(RequirementStatus::Satisfied)
    );
    let footers: Vec<&str> = evidence
        .footers
        .iter()
        .flatten()
        .map(|footer| footer.key.as_str())
        .collect();
    assert_eq!(footers, ["Assisted-by", "Change-Id"]);
    assert!(evidence.meta_rev_id.is_some());
    let people = &evidence.people.accounts;
    assert!(people[&y.house.id("ci")].service_user && !people[&y.house.id("bob")].service_user);
    assert!(people.contains_key(&y.house.id("ada-admin")) && !people.contains_key(&y.house.id("eve")));
    let leads = &evidence.groups[&y.house.leads];
    assert_eq!(leads.has(y.house.id("bob")), Some(true));
    assert_eq!(leads.let_in_by_others, Some(BTreeSet::new()));
}

#[tokio::test]
async fn nobody_approves_what_is_their_own_in_part() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    // The owner, and uploader.
    let own = y.propose("a", "1\n");
    y.vote("ada", &own, "Code-Review", 2).await;
    y.vote("ci", &own, "Verified", 1).await;
    y.submit("ada", &own).await;
    let findings = y.findings(&own).await;
    let expected = BTreeSet::from([FindingKind::NotEnoughApprovals, FindingKind::SelfApproval]);
    assert_eq!(kinds(&findings), expected);
    assert!(said(&findings, FindingKind::SelfApproval).contains("owns the change"));

    // Whoever uploaded a patch set of somebody else's change.
    let change = y.propose("b", "1\n");
    let change = y.amend_as("bob", &change, "b", "2\n");
    y.approve(&change).await;
    y.submit("ada", &change).await;
    let findings = y.findings(&change).await;
    assert_eq!(kinds(&findings), expected);
    assert!(said(&findings, FindingKind::SelfApproval).contains("uploaded patch set 2"));

    // Her other account.
    y.start_from("prod");
    let change = y.propose("c", "1\n");
    y.vote("ada-admin", &change, "Code-Review", 2).await;
    y.vote("ci", &change, "Verified", 1).await;
    y.submit("ada", &change).await;
    assert_eq!(kinds(&y.findings(&change).await), expected);

    // Whoever wrote what somebody else uploads.
    let commit = y.commit_as("cy", "bob", "d", "1\n", "");
    let change = y.propose_as("bob", commit);
    y.vote("cy", &change, "Code-Review", 2).await;
    y.vote("ci", &change, "Verified", 1).await;
    y.submit("ada", &change).await;
    let findings = y.findings(&change).await;
    assert_eq!(kinds(&findings), expected);
    assert!(said(&findings, FindingKind::SelfApproval).contains("wrote it"));
}

#[tokio::test]
async fn a_vote_of_a_service_user_is_no_approval() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let change = y.propose("a", "1\n");
    y.vote("ci", &change, "Code-Review", 2).await;
    y.vote("ci", &change, "Verified", 1).await;
    y.submit("ada", &change).await;
    let findings = y.findings(&change).await;
    let expected = BTreeSet::from([FindingKind::NotEnoughApprovals, FindingKind::MachineApproval]);
    assert_eq!(kinds(&findings), expected);
    // A machine that the server does not mark is known by the pinned group.
    let inquiry = Inquiry {
        service_users: Some(y.house.leads.clone()),
        ..y.inquiry()
    };
    let change = y.propose("b", "1\n");
    y.bring_in(&change).await;
    let evidence = y.evidence_with(&change, &inquiry).await;
    assert!(kinds(&y.judged(&evidence, &y.rules("prod")).await).contains(&FindingKind::MachineApproval));
    // Nobody is known while it is unknown who is a machine.
    let inquiry = Inquiry {
        service_users: Some(GroupUuid("0123456789abcdef0123456789abcdef01234567".into())),
        ..y.inquiry()
    };
    let evidence = y.evidence_with(&change, &inquiry).await;
    assert!(evidence.people.accounts.is_empty());
    assert!(kinds(&y.judged(&evidence, &y.rules("prod")).await).contains(&FindingKind::NotEnoughApprovals));
}

#[tokio::test]
async fn a_vote_on_behalf_of_somebody_is_not_theirs() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let change = y.propose("a", "1\n");
    let bob = y.house.username("bob");
    let body = json!({"labels": {"Code-Review": 2}, "on_behalf_of": bob, "notify": "NONE"});
    y.must(
        "cy",
        Method::POST,
        &y.at(&change, "/revisions/current/review"),
        body,
    )
    .await;
    y.vote("ci", &change, "Verified", 1).await;
    y.submit("ada", &change).await;
    let evidence = y.evidence(&change).await;
    let vote = evidence
        .votes
        .iter()
        .flatten()
        .find(|vote| vote.label == "Code-Review")
        .unwrap();
    assert_eq!(vote.account, y.house.id("bob"));
    assert_eq!(vote.real_author, Some(y.house.id("cy")));
    let expected = BTreeSet::from([FindingKind::NotEnoughApprovals, FindingKind::VoteOnBehalf]);
    assert_eq!(kinds(&y.judged(&evidence, &y.rules("prod")).await), expected);
}

#[tokio::test]
async fn whoever_was_let_in_by_another_hand_does_not_approve() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    // A group that owns itself, so that its members may add others.
    let name = format!("{}-late", y.project.replace('/', "-"));
    let body = json!({"members": [y.house.username("bob")]});
    let made = y.admin(Method::PUT, &format!("groups/{name}"), body).await;
    let late = GroupUuid(made["id"].as_str().unwrap().to_owned());
    let rule = json!({"rules": {late.0.as_str(): {"action": "ALLOW", "min": -2, "max": 2}}});
    let access = json!({"add": {"refs/heads/*": {"permissions": {"label-Code-Review": rule}}}});
    let path = format!("projects/{}/access", y.project.replace('/', "%2F"));
    y.admin(Method::POST, &path, access).await;
    let path = format!("groups/{}/members/{}", late.0, y.house.username("eve"));
    y.must("bob", Method::PUT, &path, json!({})).await;

    let change = y.propose("a", "1\n");
    y.vote("eve", &change, "Code-Review", 2).await;
    y.vote("ci", &change, "Verified", 1).await;
    y.submit("ada", &change).await;
    let mut inquiry = y.inquiry();
    inquiry.groups.insert(late.clone());
    inquiry.fresh = jiff::Timestamp::now();
    let evidence = y.evidence_with(&change, &inquiry).await;
    let eve = BTreeSet::from([y.house.id("eve")]);
    assert_eq!(evidence.groups[&late].let_in_by_others, Some(eve));
    let mut rules = y.rules("prod");
    rules.approval.group = late;
    let findings = y.judged(&evidence, &rules).await;
    assert_eq!(
        kinds(&findings),
        BTreeSet::from([
            FindingKind::NotEnoughApprovals,
            FindingKind::ApproverGroupUngoverned
        ])
    );
}

#[tokio::test]
async fn a_veto_stands_and_a_vote_taken_back_does_not() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let change = y.propose("a", "1\n");
    y.approve(&change).await;
    y.vote("cy", &change, "Code-Review", -2).await;
    y.submit("ada", &change).await;
    let findings = y.findings(&change).await;
    assert_eq!(kinds(&findings), BTreeSet::from([FindingKind::Vetoed]));

    let change = y.propose("b", "1\n");
    y.approve(&change).await;
    y.vote("bob", &change, "Code-Review", 0).await;
    y.vote("cy", &change, "Code-Review", 2).await;
    y.submit("ada", &change).await;
    let evidence = y.evidence(&change).await;
    let voters: Vec<_> = evidence
        .votes
        .iter()
        .flatten()
        .filter(|vote| vote.label == "Code-Review")
        .map(|vote| vote.account)
        .collect();
    assert_eq!(voters, [y.house.id("cy")]);
    assert_eq!(y.judged(&evidence, &y.rules("prod")).await, Vec::<Finding>::new());
}

#[tokio::test]
async fn votes_after_the_submit_come_too_late() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let change = y.propose("a", "1\n");
    y.vote("ci", &change, "Verified", 1).await;
    y.vote("ada", &change, "Code-Review", 2).await;
    y.submit("ada", &change).await;
    y.vote("bob", &change, "Code-Review", 2).await;
    let findings = y.findings(&change).await;
    assert!(said(&findings, FindingKind::NotEnoughApprovals).contains("after the submit"));
}

#[tokio::test]
async fn a_redefined_label_is_noticed() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let change = y.propose("a", "1\n");
    y.bring_in(&change).await;
    let path = format!("projects/{}/labels/Code-Review", y.project.replace('/', "%2F"));
    let values = json!({"-1": "No", " 0": "None", "+1": "Yes", "+2": "Yes", "+3": "Yes"});
    y.admin(
        Method::PUT,
        &path,
        json!({"values": values, "commit_message": "Redefine it"}),
    )
    .await;
    let findings = y.findings(&change).await;
    assert!(
        kinds(&findings).contains(&FindingKind::LabelRedefined),
        "{findings:?}"
    );
    assert!(y.system.version().await.unwrap().is_some());
}
