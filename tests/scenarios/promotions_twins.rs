//! Two operators, and a promotion in the middle of a step: one acts, and whoever goes on does nothing twice.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams};
use lockstep_core::api::promotion::PromotionPhase;
use serde_json::json;

use crate::support::changes::{Change, Reviewed};
use crate::support::operator::{self, NAMESPACE, Operator};
use crate::support::team::Team;
use crate::support::{becomes, eventually};

/// A team with a policy, on the cluster of this operator, that has begun to lead.
async fn begin(word: &str, operator: &mut Operator) -> Reviewed {
    let team = Team::of(operator, word, None).await;
    operator.start_afresh().await;
    operator.until_it_says(" leading", 30).await;
    let team = Reviewed::of(team, &["prod"]).await;
    team.policy(&[team.code(), team.training()], json!({})).await;
    team
}

/// A change whose run has begun and goes on until it is let go.
async fn in_the_middle(team: &Reviewed) -> Change {
    team.sim.script(json!({"job": team.job(), "hold": true})).await;
    let change = team.merge("train.py", "print('long')\n").await;
    becomes("its run goes on", 1, || async {
        team.sim.runs(&team.job()).await.len()
    })
    .await;
    change
}

/// The run ends, and so does the promotion: with one run, and with one message.
async fn comes_to_its_end(team: &Reviewed, change: &Change) {
    team.sim.release(&team.job()).await;
    let promotion = team.until_promotion(change, PromotionPhase::Succeeded).await;
    becomes("the change is told", 1, || async {
        team.messages(change).await.len()
    })
    .await;
    team.pass_over(&promotion).await;
    assert_eq!(team.sim.runs(&team.job()).await.len(), 1);
    assert_eq!(team.messages(change).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_follower_does_nothing_and_goes_on_in_the_middle_of_a_step() {
    let Some((_alone, mut first)) = operator::alone().await else {
        return;
    };
    let team = begin("pair", &mut first).await;
    let mut second = first.twin("follower");
    second.start().await;
    second.until_it_says("the cluster has been read", 30).await;
    let change = in_the_middle(&team).await;
    let said = second.said();
    assert!(
        !said.contains(" leading") && !said.contains("pass{"),
        "a follower polls nothing: {said}"
    );
    first.kill();
    second.until_it_says(" leading", 40).await;
    comes_to_its_end(&team, &change).await;
    second.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_lost_in_the_middle_of_a_step_stops_it_and_nothing_is_done_twice() {
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let team = begin("leaseless", &mut operator).await;
    let change = in_the_middle(&team).await;
    // Somebody else has it, who does nothing and whose time runs out.
    let leases: Api<Lease> = Api::namespaced(operator.stack.kube().await, NAMESPACE);
    let lease = leases.list(&ListParams::default()).await.unwrap().items.remove(0);
    let now = MicroTime(jiff::Timestamp::now());
    let taken = json!({"spec": {"holderIdentity": "somebody-else", "renewTime": now, "acquireTime": now}});
    leases
        .patch(&lease.name_any(), &PatchParams::default(), &Patch::Merge(taken))
        .await
        .unwrap();
    operator.until_it_says("no longer leading", 40).await;
    let led = operator.said().matches(" leading identity").count();
    eventually("it leads again", 60, || async {
        let again = operator.said().matches(" leading identity").count() > led;
        again.then_some(()).ok_or_else(|| "it waits".to_owned())
    })
    .await;
    comes_to_its_end(&team, &change).await;
    operator.kill();
}
