//! Ways around the gate: said of the policy, and held up where a binding would open one.

use lockstep_core::api::promotion_policy::HoleRow;
use lockstep_core::api::{AccessBinding, PromotionPolicy};
use reqwest::Method;
use serde_json::json;

use crate::support::approvals::protect;
use crate::support::changes::Reviewed;
use crate::support::gerrit::encode;
use crate::support::promoting::POLICY;
use crate::support::team::Team;
use crate::support::waiting::condition;

/// Those who get around review by this kind of hole.
fn through<'a>(holes: &'a [HoleRow], kind: &str) -> Option<&'a [String]> {
    let hole = holes.iter().find(|hole| hole.kind == kind);
    hole.map(|hole| hole.who.as_slice())
}

impl Reviewed {
    /// Waits until the holes are as wanted.
    async fn until_holes(&self, what: &str, wanted: impl Fn(&[HoleRow]) -> bool) -> PromotionPolicy {
        self.until_policy(what, |policy| {
            let hardening = policy.status.clone().unwrap_or_default().hardening;
            hardening.is_some_and(|hardening| wanted(&hardening.holes))
        })
        .await
    }

    /// Groups that may push to branches of the project.
    async fn pushers(&self) -> Vec<String> {
        let access = self.gerrit.access(&self.project).await;
        let mut all = Vec::new();
        for (_, section) in access.as_object().unwrap() {
            let rules = section["permissions"]["push"]["rules"].as_object();
            all.extend(rules.into_iter().flatten().map(|(group, _)| group.clone()));
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_push_around_review_is_said_until_it_is_taken_away() {
    let Some(team) = Reviewed::new("holes").await else {
        return;
    };
    team.policy(&[team.code()], json!({"interval": "10s"})).await;
    let policy = team
        .until_holes("the leads' push is seen", |holes| {
            through(holes, "DirectPush").is_some()
        })
        .await;
    let status = policy.status.unwrap();
    let hardening = status.hardening.unwrap();
    let who = through(&hardening.holes, "DirectPush").unwrap();
    assert_eq!(
        who,
        [format!("{} (refs/heads/* of {})", team.leads(), team.project)]
    );
    assert_eq!(hardening.ancestors, ["All-Projects"]);
    let hardened = condition(&status.conditions, "Hardened").unwrap();
    assert_eq!(
        (hardened.status.as_str(), hardened.reason.as_str()),
        ("False", "HolesOpen")
    );
    assert!(hardened.message.contains(&team.leads()), "{}", hardened.message);
    // It is said, and keeps nothing from running.
    assert_eq!(condition(&status.conditions, "Ready").unwrap().status, "True");

    let path = format!("/projects/{}/access", encode(&team.project));
    let body = json!({"remove": {"refs/heads/*": {"permissions": {"push": {"rules": {}}}}}});
    team.admin(Method::POST, &path, body).await;
    team.until_holes("it is closed", |holes| through(holes, "DirectPush").is_none())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_gives_no_push_around_the_gate_before_a_person_says_so() {
    let Some(team) = Reviewed::new("weakens").await else {
        return;
    };
    protect(&team).await;
    team.policy(&[team.code()], json!({})).await;
    let before = team.pushers().await;
    let spec = json!({
        "mode": "Enforce", "interval": "10m",
        "gerrit": [{
            "connectionRef": {"name": "gerrit"}, "group": {"name": team.name("pushers")},
            "access": [{"project": team.project, "ref": "refs/heads/prod", "permission": "push"}],
        }],
    });
    let _: AccessBinding = team.apply("AccessBinding", "pushers", &spec).await;
    let said = team
        .until_reason("pushers", "WeakensGate", "AwaitingApproval")
        .await;
    assert!(
        said.contains(&format!("PromotionPolicy {}/{POLICY}", team.prefix)),
        "{said}"
    );
    assert_eq!(team.pushers().await, before);

    let binding = team.until("pushers", "Blocked", "True").await;
    Team::approve(&team, &binding).await;
    team.until("pushers", "Ready", "True").await;
    assert_eq!(team.pushers().await.len(), before.len() + 1);
    let binding: AccessBinding = team.all().get("pushers").await.unwrap();
    assert!(condition(&binding.status.unwrap().conditions, "WeakensGate").is_none());
}
