//! `gate.submitRequirements: Managed`: reviewers see in Gerrit what the gate will ask.

use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, PostParams};
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::promotion_policy::PlanSubject;
use lockstep_core::api::{PlanApproval, PromotionPolicy};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::approvals::protect;
use crate::support::changes::{Change, Reviewed};
use crate::support::gate::{Gate, Trouble};
use crate::support::gerrit::encode;
use crate::support::promoting::{POLICY, findings};
use crate::support::team::Team;
use crate::support::waiting::condition;
use crate::support::{PATIENCE, becomes, eventually};

fn managed() -> Value {
    json!({"gate": {"submitRequirements": "Managed"}, "interval": "10s"})
}

impl Reviewed {
    /// Name of a submit requirement of the policy.
    fn requirement(&self, kind: &str) -> String {
        format!("Lockstep-{}-{POLICY}-{kind}", self.prefix)
    }

    fn requirement_path(&self, kind: &str) -> String {
        let project = encode(&self.project);
        format!(
            "/projects/{project}/submit_requirements/{}",
            self.requirement(kind)
        )
    }

    /// As the project defines it now.
    async fn defined(&self, kind: &str) -> Option<Value> {
        let (status, found) = self.gerrit.get(&self.requirement_path(kind)).await;
        (status == 200).then_some(found)
    }

    async fn define(&self, kind: &str, expression: &str) {
        let body = json!({
            "name": self.requirement(kind), "submittability_expression": expression,
            "allow_override_in_child_projects": false,
        });
        self.admin(Method::PUT, &self.requirement_path(kind), body).await;
    }

    /// How often the project's configuration was written.
    async fn configured(&self) -> usize {
        let path = format!(
            "/projects/{}/branches/refs%2Fmeta%2Fconfig/reflog",
            encode(&self.project)
        );
        let log = self.admin(Method::GET, &path, Value::Null).await;
        log.as_array().unwrap().len()
    }

    /// Waits until what is held stands in Gerrit as it should.
    async fn stands(&self) -> PromotionPolicy {
        self.until_policy("its requirements stand", |policy| {
            let status = policy.status.clone().unwrap_or_default();
            let rows = status.requirements.unwrap_or_default();
            rows.len() == 2 && rows.iter().all(|row| row.confirming.is_none())
        })
        .await
    }

    /// What Gerrit shows reviewers of a requirement on a change.
    async fn shown(&self, change: &Change, kind: &str) -> Value {
        let path = self.at(change, "/?o=SUBMIT_REQUIREMENTS");
        let seen = self.admin(Method::GET, &path, Value::Null).await;
        let all = seen["submit_requirements"].as_array().unwrap();
        let name = json!(self.requirement(kind));
        all.iter()
            .find(|one| one["name"] == name)
            .map_or(Value::Null, |one| one["status"].clone())
    }

    /// Waits until something has been said of the policy as it is now.
    pub async fn says(&self, kind: &str, reason: &str) -> String {
        let policy = self
            .until_policy(&format!("{kind} because of {reason}"), |policy| {
                let status = policy.status.clone().unwrap_or_default();
                let said = condition(&status.conditions, kind);
                status.observed_generation == policy.metadata.generation
                    && said.is_some_and(|said| said.reason == reason)
            })
            .await;
        let conditions = policy.status.unwrap().conditions;
        condition(&conditions, kind).unwrap().message.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reviewers_see_the_gate_in_gerrit_and_it_is_written_once() {
    let Some(team) = Reviewed::new("managed").await else {
        return;
    };
    team.policy(&[team.code()], managed()).await;
    let policy = team.stands().await;
    let approval = team.defined("Approval").await.unwrap();
    assert_eq!(
        approval["submittability_expression"],
        json!(format!(
            "(label:\"Code-Review=MAX,group={}\") AND (label:\"Code-Review=MAX,user=non_contributor\") AND (-label:\"Code-Review=MIN\")",
            team.leads()
        ))
    );
    assert_eq!(
        approval["applicability_expression"],
        json!("(-branch:refs/meta/config) AND (branch:\"prod\")")
    );
    assert_eq!(approval["allow_override_in_child_projects"], json!(false));
    assert!(
        policy
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == "lockstep.dev/revoke")
    );
    let written = team.configured().await;

    let change = team.propose("train.py", "print('better')\n");
    assert_eq!(team.shown(&change, "Approval").await, json!("UNSATISFIED"));
    team.approve(&change).await;
    assert_eq!(team.shown(&change, "Approval").await, json!("SATISFIED"));
    assert_eq!(team.shown(&change, "Verification").await, json!("UNSATISFIED"));
    team.verify(&change).await;
    team.submit(&change).await;
    let promotion = team.until_promotion(&change, PromotionPhase::Succeeded).await;
    assert_eq!(findings(&promotion), Vec::<String>::new());
    assert_eq!(
        team.configured().await,
        written,
        "nothing changed, so nothing was written"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requirement_that_another_hand_changed_is_put_back_and_goes_with_its_policy() {
    let Some(team) = Reviewed::new("putback").await else {
        return;
    };
    team.policy(&[team.code()], managed()).await;
    team.stands().await;
    let before = team.defined("Approval").await;
    team.define("Approval", "is:true").await;
    becomes("it is as it was", before, || team.defined("Approval")).await;
    let said = team.until_event("Repaired").await;
    assert!(said.contains(&team.requirement("Approval")), "{said}");

    let all: Api<PromotionPolicy> = team.all();
    all.delete(POLICY, &DeleteParams::default()).await.unwrap();
    eventually("the policy is gone", PATIENCE, || async {
        let policy = all.get_opt(POLICY).await.map_err(|e| e.to_string())?;
        policy.map_or(Ok(()), |policy| Err(json!(policy.status).to_string()))
    })
    .await;
    for kind in ["Approval", "Verification"] {
        assert_eq!(team.defined(kind).await, None);
    }
    let path = format!(
        "/projects/{}/submit_requirements/Reviewed-And-Checked",
        encode(&team.project)
    );
    team.admin(Method::GET, &path, Value::Null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requirement_of_that_name_that_is_not_ours_is_replaced_only_by_a_persons_word() {
    let Some(team) = Reviewed::new("foreign").await else {
        return;
    };
    protect(&team).await;
    team.define("Approval", "is:true").await;
    team.policy(&[team.code()], managed()).await;
    let said = team.says("Blocked", "AwaitingApproval").await;
    assert!(said.contains(&team.requirement("Approval")), "{said}");
    let policy: PromotionPolicy = team.all().get(POLICY).await.unwrap();
    let plans = policy.status.as_ref().unwrap().plans.clone();
    let plan = plans
        .iter()
        .find(|plan| plan.subject == PlanSubject::Requirements)
        .unwrap();
    assert!(said.contains(&plan.digest), "{said}");
    // What is ours to write was not held up by it.
    assert!(team.defined("Verification").await.is_some());
    let there = team.defined("Approval").await.unwrap();
    assert_eq!(there["submittability_expression"], json!("is:true"));

    let approval: PlanApproval = serde_json::from_value(json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "PlanApproval", "metadata": {"name": "replace"},
        "spec": {
            "planRef": {"kind": "PromotionPolicy", "namespace": team.prefix, "name": POLICY, "uid": policy.uid()},
            "digest": plan.digest, "approver": "lead@example.com", "reason": "it was a trial",
        },
    }))
    .unwrap();
    let client = team.stack.kube_as(Some("lead@example.com")).await;
    let approvals: Api<PlanApproval> = Api::namespaced(client, &team.prefix);
    approvals.create(&PostParams::default(), &approval).await.unwrap();
    team.stands().await;
    let there = team.defined("Approval").await.unwrap();
    assert_ne!(there["submittability_expression"], json!("is:true"));
    team.says("Ready", "Succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_says_what_it_would_write_and_writes_nothing() {
    let Some(team) = Reviewed::new("wouldwrite").await else {
        return;
    };
    let mut spec = managed();
    spec["mode"] = json!("Observe");
    team.policy(&[team.code()], spec).await;
    let said = team.says("Drifted", "Drifted").await;
    assert!(
        said.contains(&format!(
            "create submit requirement {}",
            team.requirement("Approval")
        )),
        "{said}"
    );
    assert_eq!(team.defined("Approval").await, None);
    let policy: PromotionPolicy = team.all().get(POLICY).await.unwrap();
    assert!(policy.finalizers().is_empty() && policy.status.unwrap().requirements.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_configuration_is_reviewed_the_rule_waits_for_its_change_to_be_submitted() {
    let gate = Gate::default();
    let Some(team) = Team::behind("siterule", Some(&gate), None).await else {
        return;
    };
    let team = Reviewed::of(team, &["prod"]).await;
    team.spare_configuration().await;
    let refusal = "the site demands review".to_owned();
    gate.trouble(Some(Trouble::RefuseWrites(
        "/submit_requirements/".into(),
        405,
        refusal,
    )));
    team.policy(&[team.code()], managed()).await;
    let said = team.says("Ready", "Refused").await;
    assert!(said.contains("pending until change"), "{said}");
    let number: String = said
        .split("pending until change ")
        .nth(1)
        .unwrap()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    assert_eq!(team.defined("Approval").await, None);
    let vote = json!({"labels": {"Code-Review": 2}});
    team.admin(
        Method::POST,
        &format!("/changes/{number}/revisions/current/review"),
        vote,
    )
    .await;
    team.admin(Method::POST, &format!("/changes/{number}/submit"), json!({}))
        .await;
    // Whoever waits for people looks again after minutes, and at once where the policy changes.
    let _: PromotionPolicy = team
        .apply(
            "PromotionPolicy",
            POLICY,
            &team.policy_spec(
                &[team.code()],
                json!({
                    "gate": {"submitRequirements": "Managed"}, "interval": "11s",
                }),
            ),
        )
        .await;
    team.stands().await;
    team.says("Ready", "Succeeded").await;
}
