//! Labels that the gate asks for and that the project does not have: they are made, and nothing that is there is touched.

use kube::api::{Api, DeleteParams};
use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::promotion::PromotionPhase;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::changes::Reviewed;
use crate::support::cli::lockstep;
use crate::support::gate::{Gate, Trouble};
use crate::support::gerrit::encode;
use crate::support::promoting::{POLICY, findings};
use crate::support::team::Team;
use crate::support::waiting::condition;
use crate::support::{PATIENCE, becomes, eventually};

/// The label that the gate asks for.
const LABEL: &str = "Release";

/// Approval by a label that a new project does not have.
fn asking() -> Value {
    json!({
        "gate": {"submitRequirements": "Managed", "approval": {"label": LABEL}}, "interval": "10s",
    })
}

impl Reviewed {
    fn label_path(&self) -> String {
        format!("/projects/{}/labels/{LABEL}", encode(&self.project))
    }

    /// As the project defines it now.
    async fn label(&self) -> Option<Value> {
        let (status, found) = self.gerrit.get(&self.label_path()).await;
        (status == 200).then_some(found)
    }

    /// Names of the labels that are held for the policy and were seen.
    async fn held_labels(&self) -> Vec<String> {
        let policy: PromotionPolicy = self.all().get(POLICY).await.unwrap();
        let rows = policy.status.and_then(|status| status.labels).unwrap_or_default();
        let seen = rows.into_iter().filter(|row| row.confirming.is_none());
        seen.map(|row| row.name).collect()
    }

    async fn holds_label(&self) {
        becomes("the label is held", vec![LABEL.to_owned()], || self.held_labels()).await;
    }

    /// Lets the leads vote on it.
    async fn let_leads_vote(&self) {
        let path = format!("/groups/{}", encode(&self.leads()));
        let group = self.admin(Method::GET, &path, Value::Null).await;
        let rule = json!({"action": "ALLOW", "min": -1, "max": 1});
        let permission = json!({"rules": {group["id"].as_str().unwrap(): rule}});
        let body = json!({"add": {"refs/heads/*": {"permissions": {format!("label-{LABEL}"): permission}}}});
        let path = format!("/projects/{}/access", encode(&self.project));
        self.admin(Method::POST, &path, body).await;
    }

    async fn without(&self) {
        let all: Api<PromotionPolicy> = self.all();
        all.delete(POLICY, &DeleteParams::default()).await.unwrap();
        eventually("the policy is gone", PATIENCE, || async {
            let policy = all.get_opt(POLICY).await.map_err(|e| e.to_string())?;
            policy.map_or(Ok(()), |policy| Err(json!(policy.status).to_string()))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_the_project_does_not_have_is_made_counts_and_goes_with_the_policy() {
    let Some(team) = Reviewed::new("madelabel").await else {
        return;
    };
    team.policy(&[team.code()], asking()).await;
    team.holds_label().await;
    let label = team.label().await.unwrap();
    assert_eq!(label["project_name"], json!(team.project));
    assert_eq!(label["copy_condition"], json!("changekind:NO_CHANGE"));
    let votes: Vec<&String> = label["values"].as_object().unwrap().keys().collect();
    assert_eq!(votes.len(), 3, "{votes:?}");
    team.let_leads_vote().await;
    let said = lockstep(team.stack, &["doctor", "-n", &team.prefix, "-o", "json"], "");
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    let checks = said["checks"].as_array().unwrap();
    let policy = checks.iter().find(|check| check["area"] == "policies").unwrap();
    assert_eq!(policy["mark"], json!("good"), "{policy}");

    let change = team.propose("train.py", "print('better')\n");
    team.approve(&change).await;
    team.verify(&change).await;
    let path = team.at(&change, "/submit");
    let ada = team.gerrit.logged_in(&team.name("ada"), "password-of-somebody");
    eventually("the requirement on the label stands", PATIENCE, || async {
        let (status, answer) = ada.call(Method::POST, &path, Some(json!({}))).await;
        let asks = answer.as_str().is_some_and(|said| said.contains("-Approval"));
        (status == 409 && asks)
            .then_some(())
            .ok_or(format!("{status} {answer}"))
    })
    .await;
    team.vote("ben", &change, LABEL, 1).await;
    team.submit(&change).await;
    let promotion = team.until_promotion(&change, PromotionPhase::Succeeded).await;
    assert_eq!(findings(&promotion), Vec::<String>::new());

    // Somebody takes it away: it is put back, and somebody should know.
    team.admin(Method::DELETE, &team.label_path(), Value::Null).await;
    becomes("it is there again", true, || async {
        team.label().await.is_some()
    })
    .await;
    let said = team.until_event("Drifted").await;
    assert!(said.contains(&format!("label {LABEL} was removed")), "{said}");
    team.holds_label().await;

    team.without().await;
    assert_eq!(team.label().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_others_made_or_changed_is_theirs() {
    let Some(team) = Reviewed::new("theirlabel").await else {
        return;
    };
    let values = json!({" 0": "-", "+1": "fine", "+2": "good"});
    let body = json!({"values": values, "function": "NoBlock", "description": "ours"});
    team.admin(Method::PUT, &team.label_path(), body).await;
    let before = team.label().await;
    team.policy(&[team.code()], asking()).await;
    team.says("Ready", "Succeeded").await;
    assert_eq!(team.held_labels().await, Vec::<String>::new());
    team.without().await;
    assert_eq!(team.label().await, before);

    // One that Lockstep made becomes theirs when they change it.
    team.admin(Method::DELETE, &team.label_path(), Value::Null).await;
    let _: PromotionPolicy = team
        .apply(
            "PromotionPolicy",
            POLICY,
            &team.policy_spec(&[team.code()], asking()),
        )
        .await;
    eventually("the gate in force is another one's", PATIENCE, || async {
        let policy: PromotionPolicy = team.all().get(POLICY).await.unwrap();
        let status = policy.status.unwrap_or_default();
        let said = condition(&status.conditions, "Ready").map(|said| said.message.clone());
        let said = said.unwrap_or_default();
        // The record knows the gate of this branch, with a label that Lockstep would not make.
        said.contains("bring it back").then_some(()).ok_or(said)
    })
    .await;
    assert_eq!(team.label().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_was_changed_after_it_was_made_outlives_its_policy() {
    let Some(team) = Reviewed::new("tweaked").await else {
        return;
    };
    team.policy(&[team.code()], asking()).await;
    team.holds_label().await;
    let body = json!({"copy_condition": "changekind:NO_CHANGE OR changekind:TRIVIAL_REBASE"});
    team.admin(Method::PUT, &team.label_path(), body).await;
    let said = team.until_event("Drifted").await;
    assert!(said.contains(&format!("label {LABEL} was changed")), "{said}");
    becomes("it is held no more", Vec::<String>::new(), || team.held_labels()).await;
    let changed = team.label().await;
    assert!(changed.is_some());
    team.without().await;
    assert_eq!(team.label().await, changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_configuration_is_reviewed_the_label_waits_for_its_change_to_be_submitted() {
    let gate = Gate::default();
    let Some(team) = Team::behind("sitelabel", Some(&gate), None).await else {
        return;
    };
    let team = Reviewed::of(team, &["prod"]).await;
    team.spare_configuration().await;
    let refusal = "the site demands review".to_owned();
    gate.trouble(Some(Trouble::RefuseWrites("/labels/".into(), 405, refusal)));
    let spec = team.policy_spec(&[team.code()], asking());
    let _: PromotionPolicy = team.apply("PromotionPolicy", POLICY, &spec).await;
    let said = team.says("Ready", "Refused").await;
    assert!(said.contains("review of labels"), "{said}");
    let (_, rest) = said.split_once("pending until change ").expect(&said);
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    assert_eq!(team.label().await, None);
    let vote = json!({"labels": {"Code-Review": 2}});
    let change = format!("/changes/{number}");
    team.admin(Method::POST, &format!("{change}/revisions/current/review"), vote)
        .await;
    team.admin(Method::POST, &format!("{change}/submit"), json!({}))
        .await;
    // Whoever waits for people looks again after minutes, and at once where the policy changes.
    let mut spec = spec;
    spec["interval"] = json!("11s");
    let _: PromotionPolicy = team.apply("PromotionPolicy", POLICY, &spec).await;
    team.holds_label().await;
    team.says("Ready", "Succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_written_a_missing_label_is_named_with_what_to_do() {
    let Some(team) = Reviewed::new("nolabel").await else {
        return;
    };
    let mut spec = asking();
    spec["gate"]["submitRequirements"] = json!("Existing");
    let whole = team.policy_spec(&[team.code()], spec.clone());
    let _: PromotionPolicy = team.apply("PromotionPolicy", POLICY, &whole).await;
    let said = team.says("Ready", "Unresolved").await;
    assert!(
        said.contains(&format!("has no label {LABEL}: make it, or set")),
        "{said}"
    );
    spec["gate"]["submitRequirements"] = json!("Managed");
    spec["mode"] = json!("Observe");
    let whole = team.policy_spec(&[team.code()], spec);
    let _: PromotionPolicy = team.apply("PromotionPolicy", POLICY, &whole).await;
    becomes("the would-be is said", true, || async {
        team.says("Ready", "Unresolved")
            .await
            .contains("mode Enforce would make it")
    })
    .await;
    assert_eq!(team.label().await, None);
}
