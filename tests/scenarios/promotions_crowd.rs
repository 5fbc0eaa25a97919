//! Very many changes merged before a policy first looked at them: all are judged, the newest runs, and the others step
//! aside with the reason. `make test` has two hundred, `make sweep` a thousand.

use kube::ResourceExt as _;
use lockstep_core::api::promotion::PromotionPhase;
use serde_json::{Value, json};

use crate::support::changes::Reviewed;
use crate::support::gate::{Arrival, Gate};
use crate::support::promoting::{findings, ready};
use crate::support::sweeping::tell;
use crate::support::team::Team;
use crate::support::{PATIENCE, eventually};

/// The page of one change.
fn is_evidence(arrival: &Arrival) -> bool {
    arrival.path.starts_with("/a/changes/") && arrival.path.ends_with("/detail")
}

async fn the_newest_of(count: usize) {
    let gate = Gate::default();
    let Some(team) = Team::behind("crowd", Some(&gate), None).await else {
        return;
    };
    let team = Reviewed::of(team, &["prod"]).await;
    let beginning = team.tip();
    let began = std::time::Instant::now();
    let changes = team.merge_many(count).await;
    tell(&format!(
        "{count} changes merged in {} s",
        began.elapsed().as_secs()
    ));
    let newest = changes.last().unwrap();
    let before = gate.arrived(is_evidence);

    let began = std::time::Instant::now();
    let all = json!({
        "history": {"keep": count},
        "environments": [team.environment("prod", json!({"baseline": beginning}))],
    });
    team.policy(&[team.code()], all).await;
    let patience = PATIENCE + 2 * count as u64;
    eventually("the newest runs and all others ended", patience, || async {
        let prod = team.prod().await;
        let current = prod.current.as_ref().map(|current| current.revision.as_str());
        if current != Some(&newest.commit) {
            return Err(json!(prod).to_string());
        }
        let promotions = team.promotions().await;
        let open = promotions.iter().filter(|promotion| {
            let phase = promotion.status.as_ref().and_then(|status| status.phase);
            phase.is_none_or(|phase| matches!(phase, PromotionPhase::Waiting | PromotionPhase::Running))
        });
        match (open.count(), promotions.len()) {
            (0, there) if there == count => Ok(()),
            (open, there) => Err(format!("{there} there, {open} of them open")),
        }
    })
    .await;
    tell(&format!(
        "{count} changes judged in {} s",
        began.elapsed().as_secs()
    ));

    let mut largest = 0;
    for promotion in team.promotions().await {
        let name = promotion.name_any();
        largest = largest.max(json!(promotion).to_string().len());
        let status = promotion.status.clone().unwrap();
        assert!(status.judged_at.is_some(), "{name} was not judged");
        assert_eq!(findings(&promotion), Vec::<String>::new(), "{name}");
        let deploy = promotion.spec.deploy.as_ref().unwrap();
        if deploy.change == newest.number {
            assert_eq!(status.phase, Some(PromotionPhase::Succeeded), "{name}");
            let brought = &status.machine.unwrap()["brought"];
            assert_eq!(brought.as_array().map(Vec::len), Some(count), "{name}");
            continue;
        }
        assert_eq!(status.phase, Some(PromotionPhase::Superseded), "{name}");
        let said = ready(&promotion).message;
        assert!(said.ends_with("takes its place"), "{name}: {said}");
        assert_eq!(status.machine.unwrap()["brought"], Value::Null, "{name}");
    }
    // Half of what etcd takes.
    assert!(largest < 750_000, "one promotion has {largest} bytes");
    let newest = team.directory("prod", &newest.commit);
    let newest = newest.rsplit('/').next().unwrap();
    for path in team.uploaded().await.keys() {
        assert!(path.contains(newest), "{path} was uploaded");
    }
    // Everybody reads what all need, and few read it twice.
    let read = gate.arrived(is_evidence) - before;
    tell(&format!(
        "{read} readings of {count} changes, {} requests to Gerrit in all, largest object {largest} bytes",
        gate.requests()
    ));
    assert!(read < 2 * count, "{count} changes were read {read} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_changes_merged_before_the_policy_the_newest_runs() {
    the_newest_of(200).await;
}

/// `make sweep`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make sweep"]
async fn sweep_of_a_thousand_changes_merged_before_the_policy() {
    the_newest_of(1_000).await;
}
