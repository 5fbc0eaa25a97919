//! Changes that come in together, and branches that Gerrit merges into.

use kube::ResourceExt as _;
use lockstep_core::api::promotion::PromotionPhase;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::becomes;
use crate::support::changes::{Change, Reviewed, TREE};
use crate::support::promoting::findings;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_that_one_submission_merges_the_newer_stays_with_both() {
    let Some(team) = Reviewed::new("chain").await else {
        return;
    };
    team.policy(&[team.code()], json!({})).await;
    let below = team.propose("a.py", "print('a')\n");
    let above = team.propose_on_top("b.py", "print('b')\n");
    for change in [&below, &above] {
        team.approve(change).await;
        team.verify(change).await;
    }
    // Submits what lies below it as well.
    team.submit(&above).await;
    let ran = team.until_promotion(&above, PromotionPhase::Succeeded).await;
    assert_eq!(findings(&ran), Vec::<String>::new());
    let (files, _) = team.deployed("prod", &above.commit).await.unwrap();
    assert_eq!(files.len(), TREE.len() + 2, "{files:?}");
    becomes("the newer one is what runs", above.commit.clone(), || async {
        team.prod().await.current.unwrap_or_default().revision
    })
    .await;
    let all = team.promotions().await;
    assert_eq!(all.len(), 2);
    // Whether the older one had its turn before the newer one was judged is chance; after it, it has none.
    for promotion in all
        .iter()
        .filter(|promotion| promotion.name_any() != ran.name_any())
    {
        let status = promotion.status.clone().unwrap();
        assert_eq!(findings(promotion), Vec::<String>::new());
        assert!(
            matches!(
                status.phase,
                Some(PromotionPhase::Superseded | PromotionPhase::Succeeded)
            ),
            "{:?}",
            status.phase
        );
        assert!(status.ended_at <= ran.status.as_ref().unwrap().ended_at);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_gerrit_makes_merges_the_merge_is_deployed() {
    let Some(team) = Reviewed::new("merges").await else {
        return;
    };
    let config = format!("/projects/{}/config", team.project);
    let merges = json!({"submit_type": "MERGE_ALWAYS"});
    team.admin(Method::PUT, &config, merges).await;
    team.policy(&[team.code()], json!({})).await;
    // Both begin at the same commit, so that the second is merged beside the first.
    let one = team.propose("a.py", "print('a')\n");
    let other = team.propose("b.py", "print('b')\n");
    team.bring_in(&one).await;
    team.until_promotion(&one, PromotionPhase::Succeeded).await;
    team.bring_in(&other).await;
    let ran = team.until_promotion(&other, PromotionPhase::Succeeded).await;
    let deploy = ran.spec.deploy.clone().unwrap();
    assert_eq!(deploy.revision, other.commit);
    let tip = deploy.tip.expect("Gerrit made a merge");
    assert_eq!(tip, team.tip());
    let (files, _) = team.deployed("prod", &tip).await.unwrap();
    assert_eq!(files.len(), TREE.len() + 2, "{files:?}");
}

impl Reviewed {
    /// Puts a change with others.
    async fn put_into(&self, topic: &str, change: &Change) {
        self.admin(Method::PUT, &self.at(change, "/topic"), json!({"topic": topic}))
            .await;
    }

    /// A change as it merged: what was submitted may have been rebased on the way. With the name of the submission.
    async fn merged(&self, change: &Change) -> (Change, Value) {
        let path = self.at(change, "/?o=CURRENT_REVISION");
        let seen = self.admin(Method::GET, &path, Value::Null).await;
        assert_eq!(seen["status"], "MERGED", "{seen}");
        let merged = Change {
            number: change.number,
            commit: seen["current_revision"].as_str().unwrap().to_owned(),
        };
        (merged, seen["submission_id"].clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_topic_that_one_submission_merges_every_change_is_judged_and_the_last_one_stays() {
    let Some(team) = Reviewed::new("topic").await else {
        return;
    };
    let info = team.admin(Method::GET, "/config/server/info", Value::Null).await;
    assert_eq!(
        info["change"]["submit_whole_topic"], true,
        "the stack's Gerrit is older than this scenario: dev/stack restart gerrit"
    );
    let config = format!("/projects/{}/config", team.project);
    team.admin(
        Method::PUT,
        &config,
        json!({"submit_type": "REBASE_IF_NECESSARY"}),
    )
    .await;
    team.policy(&[team.code()], json!({})).await;
    // Neither lies on the other.
    let one = team.propose("a.py", "print('a')\n");
    let other = team.propose("b.py", "print('b')\n");
    let topic = team.name("topic");
    for change in [&one, &other] {
        team.put_into(&topic, change).await;
        team.approve(change).await;
        team.verify(change).await;
    }
    team.submit(&one).await;
    let ((one, first), (other, second)) = (team.merged(&one).await, team.merged(&other).await);
    assert_eq!(first, second, "one submission");
    let tip = team.tip();
    let newest = if one.commit == tip { &one } else { &other };
    assert_eq!(newest.commit, tip);
    let ran = team.until_promotion(newest, PromotionPhase::Succeeded).await;
    assert_eq!(findings(&ran), Vec::<String>::new());
    let (files, _) = team.deployed("prod", &tip).await.unwrap();
    assert_eq!(files.len(), TREE.len() + 2, "{files:?}");
    let all = team.promotions().await;
    assert_eq!(all.len(), 2);
    for promotion in &all {
        assert_eq!(findings(promotion), Vec::<String>::new());
    }
    assert_eq!(team.prod().await.current.unwrap_or_default().revision, tip);
}
