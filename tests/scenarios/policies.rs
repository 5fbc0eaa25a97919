//! What people have to say yes to at a policy, what keeps counting until they do, and policies that get in each other's
//! way or go while something runs.

use kube::ResourceExt as _;
use kube::api::DeleteParams;
use lockstep_core::api::promotion::{PromotionPhase, RangeCommit, StepRowState};
use lockstep_core::api::promotion_policy::PlanSubject;
use lockstep_core::api::{ChangeFreeze, Promotion, PromotionPolicy};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::approvals::protect;
use crate::support::changes::Reviewed;
use crate::support::cli::lockstep;
use crate::support::gerrit::encode;
use crate::support::promoting::{LEAD, POLICY, findings, ready};
use crate::support::waiting::condition;
use crate::support::{PATIENCE, becomes, eventually};

/// A gate that asks for so many people.
fn people(count: i32) -> Value {
    json!({"gate": {"approval": {"count": count}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_accepts_what_was_pushed_around_review_and_that_is_shown() {
    let Some(team) = Reviewed::new("accepted").await else {
        return;
    };
    protect(&team).await;
    team.policy(&[team.code()], json!({})).await;
    let slipped = team.push_directly("hotfix.py", "print('hotfix')\n");
    let clean = team.merge("train.py", "print('clean')\n").await;
    let refused = team.until_promotion(&clean, PromotionPhase::Refused).await;
    assert_eq!(findings(&refused), ["UnreviewedAncestor"]);

    let plan = team.asked(PlanSubject::Commit).await;
    let ben = team.email("ben");
    assert!(
        plan.summary[0].contains(&slipped) && plan.summary[0].contains(&ben),
        "{plan:?}"
    );
    assert_eq!(
        team.prod().await.unexplained_commits,
        std::slice::from_ref(&slipped)
    );
    // Who pushed it is not the one to accept it.
    team.yes(&ben, &plan).await;
    team.blocked(&[&slipped, "not released", &ben]).await;
    team.yes(LEAD, &plan).await;

    let promoted = team.until_attempt(&clean, 2, PromotionPhase::Succeeded).await;
    let status = promoted.status.clone().unwrap();
    let exception = &status.verdict.unwrap().exceptions[0];
    assert_eq!((&exception.commit, exception.by.as_str()), (&slipped, LEAD));
    let range = status.range.unwrap();
    let is_it = |commit: &&RangeCommit| commit.commit == slipped;
    let standing = range.commits.iter().find(is_it).unwrap();
    assert_eq!(standing.standing, "AcceptedBy");
    assert!(standing.message.as_ref().unwrap().contains(LEAD), "{standing:?}");
    let (files, _) = team.deployed("prod", &clean.commit).await.unwrap();
    assert_eq!(files["hotfix.py"], "print('hotfix')\n");
    let args = ["promotions", "show", &promoted.name_any(), "-n", &team.prefix];
    let shown = lockstep(team.stack, &args, "").stdout;
    let shown = String::from_utf8_lossy(&shown);
    assert!(
        shown.contains("accepted commit") && shown.contains(LEAD),
        "{shown}"
    );

    team.wipe().await;
    becomes("it is remembered all the same", vec![slipped], || async {
        let accepted = team.row("prod").await.unwrap_or_default().accepted;
        accepted.into_iter().map(|accepted| accepted.commit).collect()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weaker_gate_waits_for_a_person_whatever_becomes_of_the_policy() {
    let Some(team) = Reviewed::new("weaker").await else {
        return;
    };
    protect(&team).await;
    let before = team.policy(&[team.code()], people(2)).await;
    let baseline = team.prod().await.baseline;
    team.policy(&[team.code()], people(1)).await;
    team.blocked(&[
        "gate.approval.count: 2 -> 1",
        "lockstep approve promotionpolicy/fraud",
    ])
    .await;
    let change = team.merge("train.py", "print('one yes')\n").await;
    let refused = team.until_promotion(&change, PromotionPhase::Refused).await;
    assert_eq!(findings(&refused), ["NotEnoughApprovals"]);

    let digest = |policy: &PromotionPolicy| {
        policy
            .status
            .as_ref()?
            .gate
            .as_ref()
            .map(|gate| gate.digest.clone())
    };
    team.wipe().await;
    let wiped = team
        .until_policy("the gate is back", |policy| digest(policy).is_some())
        .await;
    assert_eq!(digest(&wiped), digest(&before));
    team.without_policy().await;
    team.policy(&[team.code()], people(1)).await;
    assert_eq!(team.prod().await.baseline, baseline);
    let plan = team.asked(PlanSubject::WeakerGate).await;
    let refused = team.until_promotion(&change, PromotionPhase::Refused).await;
    assert_eq!(findings(&refused), ["NotEnoughApprovals"]);

    team.yes(LEAD, &plan).await;
    team.unblocked().await;
    let name = refused.name_any();
    let args = ["promotions", "retry", &name, "-n", &team.prefix, "--yes"];
    let retried = lockstep(team.stack, &args, "");
    assert!(retried.status.success(), "{retried:?}");
    team.until_attempt(&change, 2, PromotionPhase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_baseline_counts_once_somebody_has_said_so() {
    let Some(team) = Reviewed::new("moved").await else {
        return;
    };
    protect(&team).await;
    team.policy(&[team.code()], json!({})).await;
    let begun = team.prod().await.baseline.unwrap();
    let slipped = team.push_directly("old.py", "print('old')\n");
    let moved = json!({"environments": [team.environment("prod", json!({"baseline": slipped}))]});
    team.policy(&[team.code()], moved).await;
    team.blocked(&[&slipped, &begun, "which stands"]).await;
    let first = team.merge("train.py", "print(1)\n").await;
    let refused = team.until_promotion(&first, PromotionPhase::Refused).await;
    assert_eq!(findings(&refused), ["UnreviewedAncestor"]);

    let plan = team.asked(PlanSubject::MovedBaseline).await;
    team.yes(LEAD, &plan).await;
    becomes("it is recorded", Some(slipped), || async {
        team.prod().await.baseline
    })
    .await;
    let second = team.merge("train.py", "print(2)\n").await;
    team.until_promotion(&second, PromotionPhase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_policies_that_move_one_thing_the_first_goes_on() {
    let Some(team) = Reviewed::new("rivals").await else {
        return;
    };
    let steps = [team.code(), team.training()];
    team.policy(&steps, json!({})).await;
    becomes("it holds what it moves", 2, || async {
        team.prod().await.holds.len()
    })
    .await;
    let rival = "rival";
    let spec = team.policy_spec(&steps, json!({}));
    let _: PromotionPolicy = team.apply("PromotionPolicy", rival, &spec).await;
    let said = team
        .until_object::<PromotionPolicy>(rival, "ClaimedByAnother")
        .await;
    let holder = format!("PromotionPolicy {}/{POLICY} has it already", team.prefix);
    assert!(
        said.contains(&format!("job {}", team.job())) && said.contains(&holder),
        "{said}"
    );
    team.until_policy("it says who else aims there", |policy| {
        let conditions = policy.status.clone().unwrap_or_default().conditions;
        condition(&conditions, "Conflict").is_some_and(|said| said.message.contains("holds it and goes on"))
    })
    .await;

    let change = team.merge("train.py", "print('once')\n").await;
    team.until_promotion(&change, PromotionPhase::Succeeded).await;
    let theirs = format!("{rival}.prod.{}.{}", change.number, &change.commit[..8]);
    let said = team.until_object::<Promotion>(&theirs, "ClaimedByAnother").await;
    assert!(said.contains(&holder), "{said}");
    assert_eq!(team.sim.runs(&team.job()).await.len(), 1);

    let all = team.all::<PromotionPolicy>();
    all.delete(POLICY, &DeleteParams::default()).await.unwrap();
    team.until_object::<Promotion>(&theirs, "Succeeded").await;
    assert_eq!(team.sim.runs(&team.job()).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_was_redefined_passes_nothing_until_a_person_says_so() {
    let Some(team) = Reviewed::new("redefined").await else {
        return;
    };
    protect(&team).await;
    team.policy(&[team.code()], json!({})).await;
    let label = format!("/projects/{}/labels/Verified", encode(&team.project));
    let values = json!({"-2": "Never", "-1": "Fails", " 0": "Not run", "+1": "Works"});
    team.admin(
        Method::PUT,
        &label,
        json!({"values": values, "commit_message": "Let checks say never"}),
    )
    .await;
    let change = team.merge("train.py", "print('new label')\n").await;
    let refused = team.until_promotion(&change, PromotionPhase::Refused).await;
    assert_eq!(findings(&refused), ["LabelRedefined"]);

    // Names are looked up again with every edit.
    team.policy(&[team.code()], json!({"history": {"keep": 40}}))
        .await;
    let plan = team.asked(PlanSubject::WeakerGate).await;
    assert!(
        plan.summary[0].contains("label Verified from -1 to 1"),
        "{plan:?}"
    );
    team.yes(LEAD, &plan).await;
    team.unblocked().await;
    let next = team.merge("train.py", "print('agreed')\n").await;
    team.until_promotion(&next, PromotionPhase::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_let_into_the_approvers_by_hand_does_not_count() {
    let Some(team) = Reviewed::new("letin").await else {
        return;
    };
    team.policy(&[team.code()], json!({})).await;
    let body = json!({"name": "eve", "email": team.email("eve"), "http_password": "password-of-somebody"});
    let path = format!("/accounts/{}", encode(&team.name("eve")));
    let eve = team.admin(Method::PUT, &path, body).await["_account_id"]
        .as_i64()
        .unwrap();
    team.gerrit.add_member(&team.leads(), eve).await;
    let change = team.propose("train.py", "print('eve says yes')\n");
    team.approve_as("eve", &change).await;
    team.verify(&change).await;
    team.submit(&change).await;
    let refused = team.until_promotion(&change, PromotionPhase::Refused).await;
    let found = findings(&refused);
    assert!(found.contains(&"ApproverGroupUngoverned".to_owned()), "{found:?}");
    assert!(found.contains(&"NotEnoughApprovals".to_owned()), "{found:?}");
}

/// A second job, after the training.
fn again(team: &Reviewed, word: &str) -> (String, Value) {
    let name = team.name(word);
    let step = json!({"name": "again", "job": {"name": name, "definition": "jobs/train.yml"}});
    (name, step)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_promotion_keeps_what_it_began_with_and_stops_with_its_policy() {
    let Some(team) = Reviewed::new("running").await else {
        return;
    };
    let (old, step) = again(&team, "old");
    team.policy(&[team.code(), team.training(), step], json!({}))
        .await;
    let hold = json!({"job": team.job(), "hold": true});
    team.sim.script(hold.clone()).await;
    let first = team.merge("train.py", "print(1)\n").await;
    let runs = |job: &str| {
        let (sim, job) = (&team.sim, job.to_owned());
        async move { sim.runs(&job).await.len() }
    };
    becomes("the first one runs", 1, || runs(&team.job())).await;
    let (new, step) = again(&team, "new");
    team.policy(&[team.code(), team.training(), step], json!({}))
        .await;
    team.sim.release(&team.job()).await;
    team.until_promotion(&first, PromotionPhase::Succeeded).await;
    assert_eq!((runs(&old).await, runs(&new).await), (1, 0));

    team.sim.script(hold).await;
    team.merge("train.py", "print(2)\n").await;
    becomes("the second one runs", 2, || runs(&team.job())).await;
    team.without_policy().await;
    let newest = team.sim.runs(&team.job()).await.swap_remove(0);
    assert_eq!(newest["state"]["result_state"], "CANCELED", "{newest}");
    assert_eq!(runs(&new).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_during_a_run_stops_what_comes_after_it() {
    let Some(team) = Reviewed::new("midway").await else {
        return;
    };
    let (after, step) = again(&team, "after");
    team.policy(&[team.code(), team.training(), step], json!({}))
        .await;
    team.sim.script(json!({"job": team.job(), "hold": true})).await;
    let change = team.merge("train.py", "print('midway')\n").await;
    becomes("it runs", 1, || async { team.sim.runs(&team.job()).await.len() }).await;
    let spec = json!({"reason": "the auditors are here", "until": "2999-01-01T00:00:00Z"});
    let _: ChangeFreeze = team.apply("ChangeFreeze", "audit", &spec).await;
    team.until_object::<ChangeFreeze>("audit", "InForce").await;
    team.sim.release(&team.job()).await;
    let name = format!("{POLICY}.prod.{}.{}", change.number, &change.commit[..8]);
    let trained = eventually("the run has ended", PATIENCE, || async {
        let promotion: Promotion = team.all().get(&name).await.unwrap();
        let steps = promotion.status.clone().unwrap_or_default().steps;
        let done = steps.get(1).is_some_and(|step| step.state == StepRowState::Done);
        done.then_some(promotion).ok_or_else(|| json!(steps).to_string())
    })
    .await;
    team.pass_over(&trained).await;
    assert_eq!(ready(&trained).reason, "Running");
    assert_eq!(team.sim.runs(&after).await, Vec::<Value>::new());

    let freezes = team.all::<ChangeFreeze>();
    freezes.delete("audit", &DeleteParams::default()).await.unwrap();
    team.until_promotion(&change, PromotionPhase::Succeeded).await;
    assert_eq!(team.sim.runs(&after).await.len(), 1);
}
