//! Going back and trying again: what people do after something went wrong.

use kube::ResourceExt as _;
use lockstep_core::api::Promotion;
use lockstep_core::api::promotion::PromotionPhase;
use serde_json::json;

use crate::support::approvals::protect;
use crate::support::changes::Reviewed;
use crate::support::cli::lockstep;
use crate::support::gate::{Gate, Trouble};
use crate::support::promoting::{POLICY, ready};
use crate::support::team::Team;
use crate::support::{PATIENCE, becomes, eventually};

impl Reviewed {
    /// The file that the training job runs.
    async fn runs_from(&self) -> String {
        let job = self.sim.job(&self.job()).await.unwrap();
        let task = &job["settings"]["tasks"][0]["spark_python_task"];
        task["python_file"].as_str().unwrap().to_owned()
    }

    fn promotions_command(&self, arguments: &[&str]) -> String {
        let all = [&["promotions"], arguments, &["-n", &self.prefix]].concat();
        let output = lockstep(self.stack, &all, "");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    async fn until_named(&self, name: &str, phase: PromotionPhase) -> Promotion {
        eventually(&format!("{name} is {phase:?}"), PATIENCE, || async {
            let found = self
                .all::<Promotion>()
                .get_opt(name)
                .await
                .map_err(|e| e.to_string())?;
            let status = found.as_ref().and_then(|found| found.status.clone());
            match (found, status) {
                (Some(found), Some(status)) if status.phase == Some(phase) => Ok(found),
                (_, status) => Err(json!(status).to_string()),
            }
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_on_call_goes_back_while_gerrit_is_down() {
    let gate = Gate::default();
    let Some(team) = Team::behind("back", Some(&gate), None).await else {
        return;
    };
    let team = Reviewed::of(team, &["prod"]).await;
    team.policy(&[team.code(), team.training()], json!({})).await;
    let good = team.merge("train.py", "print('good')\n").await;
    let first = team
        .until_promotion(&good, PromotionPhase::Succeeded)
        .await
        .name_any();
    let drifts = team.merge("train.py", "print('drifts')\n").await;
    team.until_promotion(&drifts, PromotionPhase::Succeeded).await;
    let of = |commit: &str| format!("{}/train.py", team.directory("prod", commit));
    assert_eq!(team.runs_from().await, of(&drifts.commit));
    becomes("both were told", (1, 1), || async {
        (
            team.messages(&good).await.len(),
            team.messages(&drifts).await.len(),
        )
    })
    .await;

    gate.trouble(Some(Trouble::Down));
    let said = team.promotions_command(&[
        "rollback",
        POLICY,
        "prod",
        "--to",
        &first,
        "--reason",
        "the model drifts",
        "--yes",
    ]);
    let name = team.made(&said);
    team.until_named(&name, PromotionPhase::Succeeded).await;
    assert_eq!(team.runs_from().await, of(&good.commit));
    // Nothing was trained again, and no code was taken away.
    assert_eq!(team.sim.runs(&team.job()).await.len(), 2);
    assert!(team.deployed("prod", &drifts.commit).await.is_some());
    becomes("it is what runs", (name, good.commit.clone()), || async {
        let current = team.prod().await.current.unwrap_or_default();
        (current.promotion, current.revision)
    })
    .await;

    gate.trouble(None);
    becomes("the change is told when Gerrit is back", 2, || async {
        team.messages(&good).await.len()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_change_is_tried_again_once_a_person_lets_the_environment_go_on() {
    let Some(team) = Team::new("retried").await else {
        return;
    };
    protect(&team).await;
    let team = Reviewed::of(team, &["prod"]).await;
    team.policy(&[team.code(), team.training()], json!({})).await;
    team.sim
        .script(json!({"job": team.job(), "result": "FAILED"}))
        .await;
    let change = team.merge("train.py", "print('flaky')\n").await;
    let failed = team
        .until_promotion(&change, PromotionPhase::Failed)
        .await
        .name_any();
    team.promotions_command(&["retry", &failed, "--yes"]);
    let next = format!("{failed}.2");
    let waits = eventually("the next attempt waits", PATIENCE, || async {
        let found = team
            .all::<Promotion>()
            .get_opt(&next)
            .await
            .map_err(|e| e.to_string())?;
        let found = found.filter(|found| {
            found
                .status
                .as_ref()
                .is_some_and(|status| !status.conditions.is_empty())
        });
        match found {
            Some(found) if ready(&found).reason == "Held" => Ok(found),
            other => Err(format!("{:?}", other.map(|other| ready(&other)))),
        }
    })
    .await;
    assert!(ready(&waits).message.contains(&failed), "{:?}", ready(&waits));
    team.resume().await;
    team.until_named(&next, PromotionPhase::Succeeded).await;
    assert_eq!(team.sim.runs(&team.job()).await.len(), 2);
    becomes("it is what runs", next, || async {
        team.prod().await.current.unwrap_or_default().promotion
    })
    .await;
}
