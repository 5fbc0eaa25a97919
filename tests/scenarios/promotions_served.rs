//! Promotions that end in production: a model comes from the run of reviewed code, is aliased and served; what fails
//! puts all of it back, and what another hand moved in between is left and said.

use lockstep_core::api::promotion::{PromotionPhase, StepRowState};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::approvals::protect;
use crate::support::becomes;
use crate::support::changes::Reviewed;
use crate::support::promoting::ready;
use crate::support::team::Team;
use crate::support::world::merge;

/// A team whose model is served already, and its policy.
async fn served(word: &str, serve: Value) -> Option<Reviewed> {
    served_in(word, serve, json!({})).await
}

/// The same; `more` is merged into the environment.
async fn served_in(word: &str, serve: Value, more: Value) -> Option<Reviewed> {
    let team = Team::new(word).await?;
    protect(&team).await;
    let team = Reviewed::of(team, &["prod"]).await;
    team.serve_by_hand().await;
    let mut prod = team.environment("prod", json!({"onFailure": "Rollback"}));
    merge(&mut prod, more);
    team.policy(&team.whole_way(serve), json!({"environments": [prod]}))
        .await;
    Some(team)
}

impl Reviewed {
    /// The next run of the training registers versions like these.
    async fn trains(&self, registers: Value) {
        self.sim
            .script(json!({"job": self.job(), "registers": registers}))
            .await;
    }

    fn one_version(&self) -> Value {
        json!([{"model": self.model()}])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reviewed_run_trained_is_served_and_a_failing_smoke_test_puts_everything_back() {
    let Some(team) = served("served", json!({})).await else {
        return;
    };
    team.trains(team.one_version()).await;
    let good = team.merge("train.py", "print('good')\n").await;
    let promotion = team.until_promotion(&good, PromotionPhase::Succeeded).await;
    let version = |step: &str| {
        let steps = &promotion.status.as_ref().unwrap().steps;
        let step = steps.iter().find(|row| row.name == step).unwrap();
        step.outputs.get("version").cloned()
    };
    assert_eq!(
        (version("model"), version("serve")),
        (Some("3".into()), Some("3".into()))
    );
    assert_eq!(team.champion().await, 3);
    team.until_served("3").await;
    assert_eq!(team.sim.runs(&team.smoker()).await.len(), 1);

    team.trains(team.one_version()).await;
    let fails = json!({"job": team.smoker(), "result": "FAILED", "message": "ValueError: no such customer"});
    team.sim.script(fails).await;
    let bad = team.merge("train.py", "print('bad')\n").await;
    let failed = team.until_promotion(&bad, PromotionPhase::Failed).await;
    let said = ready(&failed).message;
    for words in [
        "task train: ValueError: no such customer",
        "everything was undone",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(team.champion().await, 3);
    team.until_served("3").await;
    assert_eq!(team.deployed("prod", &bad.commit).await, None);
    becomes("the change is told why", true, || async {
        let told = team.messages(&bad).await;
        told.iter().any(|(_, text)| text.contains("no such customer"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_another_hand_and_several_of_one_run_are_not_taken() {
    // What nobody explains would hold what comes after it.
    let reports = json!({"onUnexplained": "Report"});
    let Some(team) = served_in("unreviewed", json!({}), reports).await else {
        return;
    };
    // In the middle of the run, by somebody else.
    team.trains(json!([{"model": team.model(), "by": crate::support::world::APPLICATION}]))
        .await;
    let hand = team.merge("train.py", "print('by hand')\n").await;
    let failed = team.until_promotion(&hand, PromotionPhase::Failed).await;
    assert_eq!(ready(&failed).reason, "UnreviewedModel", "{:?}", ready(&failed));
    team.resume().await;
    team.trains(json!([{"model": team.model()}, {"model": team.model()}]))
        .await;
    let twice = team.merge("train.py", "print('twice')\n").await;
    let failed = team.until_promotion(&twice, PromotionPhase::Failed).await;
    assert_eq!(ready(&failed).reason, "UnreviewedModel", "{:?}", ready(&failed));
    assert!(
        ready(&failed).message.contains("everything was undone"),
        "{:?}",
        ready(&failed)
    );
    assert_eq!(team.champion().await, 1);
    team.until_served("1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_that_somebody_moved_in_between_is_left_and_said() {
    let Some(team) = served("moved", json!({})).await else {
        return;
    };
    team.trains(json!([{"model": team.model()}])).await;
    team.sim
        .script(json!({"job": team.smoker(), "hold": true, "result": "FAILED"}))
        .await;
    let change = team.merge("train.py", "print('good')\n").await;
    becomes("the smoke test runs", 1, || async {
        team.sim.runs(&team.smoker()).await.len()
    })
    .await;
    assert_eq!(team.champion().await, 3);
    team.point_by_hand(2).await;
    team.sim.release(&team.smoker()).await;
    let failed = team.until_promotion(&change, PromotionPhase::Failed).await;
    let said = ready(&failed).message;
    assert!(said.contains("another hand"), "{said}");
    assert!(!said.contains("everything was undone"), "{said}");
    assert_eq!(team.champion().await, 2);
    // The rest goes back all the same.
    team.until_served("1").await;
    assert_eq!(team.deployed("prod", &change.commit).await, None);
    becomes("the hold says it", true, || async {
        let held = team.prod().await.held;
        held.is_some_and(|held| held.reason.contains("another hand"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_does_not_come_up_puts_the_alias_back() {
    let Some(team) = served("comesup", json!({})).await else {
        return;
    };
    team.trains(team.one_version()).await;
    team.sim
        .script(json!({"endpoint": team.endpoint(), "result": "FAILED", "message": "out of memory"}))
        .await;
    let fails = team.merge("train.py", "print('too big')\n").await;
    let failed = team.until_promotion(&fails, PromotionPhase::Failed).await;
    let said = ready(&failed).message;
    assert!(
        said.contains("out of memory") && said.contains("everything was undone"),
        "{said}"
    );
    assert_eq!(team.champion().await, 1);
    team.until_served("1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_hangs_past_its_time_keeps_everything_waiting_and_is_undone_when_the_vendor_ends_it() {
    let Some(team) = served("hangs", json!({"timeout": "3s"})).await else {
        return;
    };
    team.trains(team.one_version()).await;
    team.sim
        .script(json!({"endpoint": team.endpoint(), "hold": true}))
        .await;
    let change = team.merge("train.py", "print('never up')\n").await;
    let serve = || async {
        let all = team.promotions().await;
        let mut steps = all
            .into_iter()
            .flat_map(|found| found.status.unwrap_or_default().steps);
        let serve = steps.find(|row| row.name == "serve");
        serve.map(|row| (row.state, row.message.unwrap_or_default()))
    };
    becomes("its time is over", true, || async {
        serve().await.is_some_and(|(state, message)| {
            state == StepRowState::Stopping && message.contains("timeout of 3 s")
        })
    })
    .await;
    // Nobody can end such an update but the vendor, and before that nothing is safe to undo or to begin.
    let next = team.merge("train.py", "print('next')\n").await;
    team.until_it_waits(&next, "Waiting").await;
    assert_eq!(team.champion().await, 3);
    assert_eq!(team.live().await, "1");
    assert_eq!(team.sim.runs(&team.smoker()).await.len(), 0);

    let release = json!({"endpoint": team.endpoint()});
    team.sim
        .control(Method::POST, "scripts/release", Some(release))
        .await;
    let failed = team.until_promotion(&change, PromotionPhase::Failed).await;
    let said = ready(&failed).message;
    for words in ["timeout of 3 s", "everything was undone"] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(team.champion().await, 1);
    team.until_served("1").await;
    assert_eq!(team.deployed("prod", &change.commit).await, None);
    becomes("the environment is held, and why", true, || async {
        let held = team.prod().await.held;
        held.is_some_and(|held| held.reason.contains("timeout of 3 s"))
    })
    .await;
    team.until_it_waits(&next, "Held").await;
}
