//! Breaking the glass: two people let a change pass what it waits for, a third looks at it, and nobody lifts more.

use kube::ResourceExt as _;
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::promotion_policy::{PendingPlan, PlanSubject};
use lockstep_core::api::{ChangeFreeze, Promotion};
use serde_json::{Value, json};

use crate::support::approvals::protect;
use crate::support::changes::Reviewed;
use crate::support::cli::lockstep;
use crate::support::promoting::{findings, ready};
use crate::support::team::Team;
use crate::support::waiting::condition;
use crate::support::{PATIENCE, becomes, eventually};

/// A team whose cluster knows who approves and who asks.
async fn guarded(word: &str) -> Option<Reviewed> {
    let team = Team::new(word).await?;
    protect(&team).await;
    Some(Reviewed::of(team, &["prod"]).await)
}

/// No time at which anything may begin.
fn never() -> Value {
    json!({"windows": {"deny": [{"start": "0 0 * * *", "duration": "2d"}]}})
}

impl Reviewed {
    /// Somebody on call breaks the glass; the name of the override.
    fn break_glass(&self, promotion: &Promotion, finding: &str) -> String {
        let name = promotion.name_any();
        let arguments = [
            "promotions",
            "override",
            &name,
            "--finding",
            finding,
            "--reason",
            "customers cannot pay",
            "--yes",
            "-n",
            &self.prefix,
        ];
        let output = lockstep(self.stack, &arguments, "");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{said} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(said.contains("two PlanApprovals by different people"), "{said}");
        self.made(&said)
    }

    async fn glass(&self, name: &str, what: &str, wanted: impl Fn(&Promotion) -> bool) -> Promotion {
        eventually(&format!("{name} {what}"), PATIENCE, || async {
            let found = self
                .all::<Promotion>()
                .get(name)
                .await
                .map_err(|e| e.to_string())?;
            if wanted(&found) {
                Ok(found)
            } else {
                Err(json!(found.status).to_string())
            }
        })
        .await
    }

    /// The plan that waits for people.
    async fn plan(&self, name: &str, subject: PlanSubject) -> (Promotion, PendingPlan) {
        let of_it = |promotion: &Promotion| {
            let plans = promotion
                .status
                .as_ref()
                .map(|status| status.plans.clone())
                .unwrap_or_default();
            plans.into_iter().find(|plan| plan.subject == subject)
        };
        let found = self
            .glass(name, &format!("asks for {subject:?}"), |found| {
                of_it(found).is_some()
            })
            .await;
        let plan = of_it(&found).unwrap();
        (found, plan)
    }

    /// These people say yes to what waits.
    async fn agree(&self, name: &str, subject: PlanSubject, people: &[&str]) {
        let (found, plan) = self.plan(name, subject).await;
        for who in people {
            let of = json!({
                "kind": "Promotion", "namespace": self.prefix, "name": name, "uid": found.uid().unwrap(),
            });
            self.say_yes(&self.email(who), of, &plan.digest).await;
        }
    }

    /// Somebody asks for an override by hand.
    async fn ask_for(&self, name: &str, target: &str) -> Promotion {
        let wish =
            json!({"promotion": target, "findings": ["OutsideWindow"], "reason": "customers cannot pay"});
        let spec = json!({"policyRef": {"name": "fraud"}, "environment": "prod", "override": wish});
        self.apply("Promotion", name, &spec).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_let_a_change_pass_a_closed_window_and_a_third_looks_at_it() {
    let Some(team) = guarded("glass").await else {
        return;
    };
    let closed = json!({"environments": [team.environment("prod", never())]});
    team.policy(&[team.code()], closed).await;
    let change = team.merge("train.py", "print('urgent')\n").await;
    let waits = team.until_it_waits(&change, "OutsideWindow").await;
    let glass = team.break_glass(&waits, "OutsideWindow");

    // Ada made the change, and Ben alone is one.
    team.agree(&glass, PlanSubject::Override, &["ada", "ben"]).await;
    let says = |words: &'static str| move |found: &Promotion| ready(found).message.contains(words);
    let one = team.glass(&glass, "counts one", says("1 of 2 people")).await;
    assert!(ready(&one).message.contains("would gain"), "{:?}", ready(&one));
    team.pass_over(&waits).await;
    assert_eq!(team.uploaded().await.len(), 0);
    assert_eq!(findings(&waits), ["OutsideWindow"]);

    team.agree(&glass, PlanSubject::Override, &["cy"]).await;
    let ran = team.until_promotion(&change, PromotionPhase::Succeeded).await;
    let verdict = ran.status.clone().unwrap().verdict.unwrap();
    assert_eq!(verdict.passes, Some(true));
    assert_eq!(verdict.overridden[0].kind, "OutsideWindow");
    becomes("the change is told", true, || async {
        let told = team.messages(&change).await;
        told.iter()
            .any(|(_, text)| text.contains(&format!("People lifted OutsideWindow by Promotion {glass}")))
    })
    .await;

    let reviewed = |status: &'static str| {
        move |found: &Promotion| {
            let status_of = found.status.clone().unwrap_or_default();
            condition(&status_of.conditions, "Reviewed").is_some_and(|said| said.status == status)
        }
    };
    let due = team.glass(&glass, "asks for a third", reviewed("False")).await;
    assert_eq!(
        due.status.as_ref().unwrap().phase,
        Some(PromotionPhase::Succeeded)
    );
    let approved = due.status.unwrap().glass.unwrap().approvals;
    let approvers: Vec<String> = approved.into_iter().map(|row| row.approver).collect();
    assert_eq!(approvers.len(), 2, "{approvers:?}");
    for who in ["ben", "cy"] {
        assert!(approvers.contains(&team.email(who)), "{approvers:?}");
    }
    let listed = lockstep(team.stack, &["promotions", "list", "-n", &team.prefix], "");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("AfterReviewDue"), "{listed}");
    team.agree(&glass, PlanSubject::AfterReview, &["cy", "eve"]).await;
    let done = team.glass(&glass, "was looked at", reviewed("True")).await;
    let status = done.status.unwrap();
    assert_eq!(status.plans, []);
    assert_eq!(
        status.glass.unwrap().reviewed.unwrap().approver,
        team.email("eve")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_was_lifted_for_one_promotion_stops_none_of_its_steps() {
    let Some(team) = guarded("thaw").await else {
        return;
    };
    team.policy(&[team.code(), team.training()], json!({})).await;
    let spec = json!({"reason": "the auditors are here", "until": "2999-01-01T00:00:00Z"});
    let _: ChangeFreeze = team.apply("ChangeFreeze", "audit", &spec).await;
    let change = team.merge("train.py", "print('urgent')\n").await;
    let waits = team.until_it_waits(&change, "Frozen").await;
    let glass = team.break_glass(&waits, "Frozen");
    team.agree(&glass, PlanSubject::Override, &["ben", "cy"]).await;
    team.until_promotion(&change, PromotionPhase::Succeeded).await;
    assert_eq!(team.sim.runs(&team.job()).await.len(), 1);
    let next = team.merge("train.py", "print('not urgent')\n").await;
    team.until_it_waits(&next, "Frozen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_and_what_got_around_review_cannot_be_lifted() {
    let Some(team) = guarded("unliftable").await else {
        return;
    };
    team.policy(&[team.code(), team.training()], json!({})).await;
    let refused = |name: String, words: &'static str| {
        let team = &team;
        async move {
            let wanted = |found: &Promotion| {
                found
                    .status
                    .as_ref()
                    .is_some_and(|status| status.phase == Some(PromotionPhase::Refused))
            };
            let found = team.glass(&name, "is refused", wanted).await;
            assert!(ready(&found).message.contains(words), "{:?}", ready(&found));
            assert_eq!(found.status.unwrap().plans, []);
        }
    };
    team.sim.script(json!({"job": team.job(), "hold": true})).await;
    let change = team.merge("train.py", "print('good')\n").await;
    let running = team.until_promotion(&change, PromotionPhase::Running).await;
    team.ask_for("running", &running.name_any()).await;
    refused("running".into(), "is Running").await;
    becomes("it runs", 1, || async { team.sim.runs(&team.job()).await.len() }).await;
    team.sim.release(&team.job()).await;
    team.until_promotion(&change, PromotionPhase::Succeeded).await;
    team.ask_for("finished", &running.name_any()).await;
    refused("finished".into(), "has ended (Succeeded)").await;

    let alone = team.propose_as("ben", "train.py", "print('mine')\n");
    team.approve_as("ben", &alone).await;
    team.verify(&alone).await;
    team.submit(&alone).await;
    let bad = team.until_promotion(&alone, PromotionPhase::Refused).await;
    team.ask_for("around", &bad.name_any()).await;
    refused("around".into(), "what nobody can lift: NotEnoughApprovals").await;

    team.ask_for("nobody", "fraud.prod.1.01234567").await;
    team.until_object::<Promotion>("nobody", "NotFound").await;
}
