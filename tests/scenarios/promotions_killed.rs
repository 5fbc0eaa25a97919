//! A promotion whose operator is killed right after each of its outward writes: it runs once all the same.

use lockstep_core::api::promotion::PromotionPhase;
use serde_json::json;

use crate::support::becomes;
use crate::support::changes::{Change, Reviewed};
use crate::support::gate::Gate;
use crate::support::operator::{self, Operator};
use crate::support::team::Team;
use crate::support::workspace::parameter;

/// Follows a change to its end, killing the operator after every write; how often it was killed.
async fn follow(team: &Reviewed, change: &Change, gate: &Gate, operator: &mut Operator) -> usize {
    let mut killed = 0;
    let done = async {
        team.until_promotion(change, PromotionPhase::Succeeded).await;
        // What it says last on the change is a write too.
        becomes(
            "the change is told and marked",
            (1, json!(["deployed-prod"])),
            || async { (team.messages(change).await.len(), team.hashtags(change).await) },
        )
        .await;
    };
    tokio::pin!(done);
    loop {
        let over = tokio::select! {
            () = &mut done => true,
            () = gate.held() => false,
        };
        // Dead in any case: at the end it may be held by the gate, and the next one must find nothing to do.
        operator.kill();
        gate.release();
        if over {
            operator.start_afresh().await;
            return killed;
        }
        killed += 1;
        gate.hold_after(1);
        operator.start_afresh().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_every_write_a_promotion_runs_once() {
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let gate = Gate::default();
    let team = Team::of(&operator, "killed", Some(&gate)).await;
    operator.start_afresh().await;
    let team = Reviewed::of(team, &["prod"]).await;
    team.policy(&[team.code(), team.training()], json!({})).await;
    let change = team.propose("train.py", "print('once')\n");
    gate.hold_after(1);
    team.bring_in(&change).await;
    let killed = follow(&team, &change, &gate, &mut operator).await;
    // A directory, its manifest twice, two files, a job, its run, a message and a hashtag at the least.
    assert!(killed > 8, "killed only {killed} times");

    let promotion = team.until_promotion(&change, PromotionPhase::Succeeded).await;
    team.pass_over(&promotion).await;
    let runs = team.sim.runs(&team.job()).await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    let name = promotion.metadata.name.as_deref();
    assert_eq!(parameter(&runs[0], "lockstep_promotion"), name);
    let told = team.messages(&change).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let (files, manifest) = team.deployed("prod", &change.commit).await.unwrap();
    assert_eq!(files["train.py"], "print('once')\n");
    assert_eq!(manifest["complete"], true, "{manifest}");
    assert_eq!(team.promotions().await.len(), 1);
    operator.kill();
}
