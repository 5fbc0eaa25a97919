//! Promotions whose operator is killed right after one of their outward writes, each write in turn: every change runs
//! once all the same. Killed after one write and the next and the next nobody would ever get far: what was begun is
//! written again before it goes on.

use kube::ResourceExt as _;
use lockstep_core::api::promotion::PromotionPhase;
use serde_json::json;

use crate::support::becomes;
use crate::support::changes::{Change, Reviewed};
use crate::support::gate::Gate;
use crate::support::operator::{self, Operator};
use crate::support::team::Team;
use crate::support::workspace::parameter;

struct Story<'a> {
    team: &'a Reviewed,
    gate: &'a Gate,
}

impl Story<'_> {
    /// Everything that becomes of a change.
    async fn done(&self, change: &Change) {
        let team = self.team;
        team.until_promotion(change, PromotionPhase::Succeeded).await;
        // What is said last on the change is a write too.
        becomes(
            "the change is told and marked",
            (1, json!(["deployed-prod"])),
            || async { (team.messages(change).await.len(), team.hashtags(change).await) },
        )
        .await;
    }

    /// Brings a change in and kills the operator after this write of its promotion; false: there was none.
    async fn killed_after(&self, write: usize, operator: &mut Operator) -> (Change, bool) {
        let content = format!("print({write})\n");
        let change = self.team.propose("train.py", &content);
        self.gate.hold_after(write);
        self.team.bring_in(&change).await;
        let killed = tokio::select! {
            () = self.done(&change) => false,
            () = self.gate.held() => true,
        };
        operator.kill();
        self.gate.release();
        operator.start_afresh().await;
        self.done(&change).await;
        (change, killed)
    }

    /// Nothing of a change is there twice.
    async fn ran_once(&self, change: &Change, write: usize) {
        let team = self.team;
        let promotion = team.until_promotion(change, PromotionPhase::Succeeded).await;
        team.pass_over(&promotion).await;
        let name = promotion.name_any();
        let runs = team.sim.runs(&team.job()).await;
        let ours = runs
            .iter()
            .filter(|run| parameter(run, "lockstep_promotion") == Some(name.as_str()))
            .count();
        assert_eq!(ours, 1, "killed after write {write}: {runs:?}");
        let told = team.messages(change).await;
        assert_eq!(told.len(), 1, "killed after write {write}: {told:?}");
        let (files, manifest) = team.deployed("prod", &change.commit).await.unwrap();
        assert_eq!(files["train.py"], format!("print({write})\n"));
        assert_eq!(
            manifest["complete"], true,
            "killed after write {write}: {manifest}"
        );
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
    let team = &Reviewed::of(team, &["prod"]).await;
    team.policy(&[team.code(), team.training()], json!({})).await;
    let story = Story { team, gate: &gate };
    let mut write = 0;
    loop {
        write += 1;
        let (change, killed) = story.killed_after(write, &mut operator).await;
        story.ran_once(&change, write).await;
        if !killed {
            break;
        }
    }
    // A directory, its manifest twice, two files, a job, its run, a message and a hashtag at the least.
    assert!(write > 9, "there were only {write} writes");
    assert_eq!(team.promotions().await.len(), write);
    operator.kill();
}
