//! Policies of a team whose changes are reviewed, and waiting for what becomes of a change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::promotion_policy::{EnvironmentStatus, PendingPlan, PlanSubject};
use lockstep_core::api::{Promotion, PromotionPolicy};
use lockstep_core::domain::promotion::code::tree::MANIFEST;
use reqwest::Method;
use serde_json::{Value, json};

use super::changes::{Change, Reviewed};
use super::waiting::condition;
use super::world::merge;
use super::{PATIENCE, becomes, eventually};

/// Somebody who may approve and has no part in anything.
pub const LEAD: &str = "lead@example.com";
/// Name of a scenario's one policy.
pub const POLICY: &str = "fraud";

/// What is declared.
impl Reviewed {
    /// The step that uploads the tree.
    pub fn code(&self) -> Value {
        let path = format!("/Workspace/{}/${{environment}}/${{revision}}", self.prefix);
        json!({"name": "code", "files": {"path": path}})
    }

    /// The step that trains.
    pub fn training(&self) -> Value {
        json!({"name": "train", "job": {"name": self.job(), "definition": "jobs/train.yml"}})
    }

    /// Name of the job that trains.
    pub fn job(&self) -> String {
        self.name("trainer")
    }

    /// Where a commit's tree lies.
    pub fn directory(&self, environment: &str, commit: &str) -> String {
        format!("/Workspace/{}/{environment}/{commit}", self.prefix)
    }

    /// An environment of the branch of its name; `more` is merged into it.
    pub fn environment(&self, name: &str, more: Value) -> Value {
        let mut environment = json!({
            "name": name, "branch": name, "databricks": {"connectionRef": {"name": "prod"}},
            "runAs": {"applicationId": self.runner},
        });
        merge(&mut environment, more);
        environment
    }

    /// A policy with the one environment `prod`; `more` is merged into the spec.
    pub fn policy_spec(&self, steps: &[Value], more: Value) -> Value {
        let mut spec = json!({
            "mode": "Enforce",
            "gerrit": {"connectionRef": {"name": "gerrit"}, "project": self.project},
            "gate": {
                "submitRequirements": "Existing",
                "approval": {"label": "Code-Review", "group": self.leads()},
                "verification": {"label": "Verified", "group": self.checks()},
            },
            "steps": steps,
            "environments": [self.environment("prod", json!({}))],
        });
        merge(&mut spec, more);
        spec
    }

    /// Applies the policy and waits until it knows where history begins.
    pub async fn policy(&self, steps: &[Value], more: Value) -> PromotionPolicy {
        let spec = self.policy_spec(steps, more);
        let _: PromotionPolicy = self.apply("PromotionPolicy", POLICY, &spec).await;
        self.until_policy("it is followed", |policy| {
            let status = policy.status.clone().unwrap_or_default();
            let environments = status.environments.unwrap_or_default();
            status.observed_generation == policy.metadata.generation
                && status.gate.is_some()
                && environments.len() == policy.spec.environments.len()
                && environments.iter().all(|row| row.baseline.is_some())
        })
        .await
    }

    /// Waits until the policy is as wanted.
    pub async fn until_policy(
        &self,
        what: &str,
        wanted: impl Fn(&PromotionPolicy) -> bool,
    ) -> PromotionPolicy {
        eventually(&format!("policy {POLICY}: {what}"), PATIENCE, || async {
            let policy: PromotionPolicy = self.all().get(POLICY).await.unwrap();
            if wanted(&policy) {
                return Ok(policy);
            }
            let mut status = policy.status.unwrap_or_default();
            status.gate.iter_mut().for_each(|gate| gate.rules = None);
            Err(json!(status).to_string())
        })
        .await
    }

    /// The plan of this kind that waits for a person, as soon as it does.
    pub async fn asked(&self, subject: PlanSubject) -> PendingPlan {
        let of = move |policy: &PromotionPolicy| {
            let plans = policy.status.iter().flat_map(|status| &status.plans);
            plans.into_iter().find(|plan| plan.subject == subject).cloned()
        };
        let policy = self
            .until_policy(&format!("{subject:?} waits"), |policy| of(policy).is_some())
            .await;
        of(&policy).unwrap()
    }

    /// Somebody says yes to a plan of the policy.
    pub async fn yes(&self, user: &str, plan: &PendingPlan) {
        let policy: PromotionPolicy = self.all().get(POLICY).await.unwrap();
        let plan_ref = json!({
            "kind": "PromotionPolicy", "namespace": self.prefix, "name": POLICY, "uid": policy.uid(),
        });
        self.say_yes(user, plan_ref, &plan.digest).await;
    }

    /// What the policy says of being blocked, as soon as it says all of this.
    pub async fn blocked(&self, words: &[&str]) -> String {
        let said = |policy: &PromotionPolicy| {
            let status = policy.status.clone().unwrap_or_default();
            condition(&status.conditions, "Blocked").map(|said| said.message.clone())
        };
        let all = |policy: &PromotionPolicy| {
            said(policy).is_some_and(|said| words.iter().all(|word| said.contains(word)))
        };
        let policy = self.until_policy(&format!("it is blocked: {words:?}"), all).await;
        said(&policy).unwrap()
    }

    /// Whether nothing waits for anybody any more.
    pub async fn unblocked(&self) -> PromotionPolicy {
        self.until_policy("nothing waits for a person", |policy| {
            let status = policy.status.clone().unwrap_or_default();
            status.plans.is_empty() && condition(&status.conditions, "Blocked").is_none()
        })
        .await
    }

    /// Deletes the policy, and waits until its promotions are gone with it.
    pub async fn without_policy(&self) {
        let all = self.all::<PromotionPolicy>();
        all.delete(POLICY, &DeleteParams::default()).await.unwrap();
        becomes("its promotions are gone", 0, || async {
            self.promotions().await.len()
        })
        .await;
    }

    /// Name of the promotion that a command says it made.
    pub fn made(&self, said: &str) -> String {
        let rest = said.split_once(&format!("Promotion {}/", self.prefix));
        let name = rest.and_then(|(_, rest)| rest.split_once(" created"));
        name.unwrap_or_else(|| panic!("{said}")).0.to_owned()
    }

    /// A lead lets the held environment go on.
    pub async fn resume(&self) {
        let plan = self.asked(PlanSubject::Resume).await;
        self.yes("lead@example.com", &plan).await;
        self.until_policy("nothing is held", |policy| {
            let rows = policy
                .status
                .as_ref()
                .and_then(|status| status.environments.clone());
            rows.is_some_and(|rows| rows.iter().all(|row| row.held.is_none()))
        })
        .await;
    }

    /// Wipes what is remembered of the policy, as a restored backup does.
    pub async fn wipe(&self) {
        let nothing = json!({"status": {"environments": null, "gate": null, "pins": null, "conditions": []}});
        self.all::<PromotionPolicy>()
            .patch_status(POLICY, &PatchParams::default(), &Patch::Merge(nothing))
            .await
            .unwrap();
    }

    /// What is remembered of `prod`.
    pub async fn prod(&self) -> EnvironmentStatus {
        self.row("prod").await.unwrap()
    }

    /// What is remembered of an environment; `None`: nothing.
    pub async fn row(&self, name: &str) -> Option<EnvironmentStatus> {
        let policy: PromotionPolicy = self.all().get(POLICY).await.unwrap();
        let rows = policy.status?.environments?;
        rows.into_iter().find(|row| row.name == name)
    }
}

/// One line for whoever waits in vain.
fn shown(promotion: &Promotion) -> String {
    let status = promotion.status.clone().unwrap_or_default();
    let said: Vec<_> = status
        .conditions
        .iter()
        .map(|c| (&c.type_, &c.reason, &c.message))
        .collect();
    format!(
        "{} {:?} {said:?} steps {}",
        promotion.name_any(),
        status.phase,
        json!(status.steps)
    )
}

/// What a promotion says of being ready.
pub fn ready(promotion: &Promotion) -> Condition {
    let status = promotion.status.as_ref().unwrap();
    condition(&status.conditions, "Ready").unwrap().clone()
}

/// Kinds of what speaks against it, sorted.
pub fn findings(promotion: &Promotion) -> Vec<String> {
    let verdict = promotion.status.clone().unwrap().verdict.unwrap_or_default();
    let mut kinds: Vec<String> = verdict.findings.into_iter().map(|row| row.kind).collect();
    kinds.sort();
    kinds
}

/// What becomes of changes.
impl Reviewed {
    pub async fn promotions(&self) -> Vec<Promotion> {
        let listed = self.all().list(&ListParams::default()).await.unwrap();
        listed.items
    }

    /// The promotion of a change, as soon as it is as wanted.
    async fn until(&self, change: &Change, what: &str, wanted: impl Fn(&Promotion) -> bool) -> Promotion {
        self.until_of(change, 1, what, wanted).await
    }

    async fn until_of(
        &self,
        change: &Change,
        attempt: i32,
        what: &str,
        wanted: impl Fn(&Promotion) -> bool,
    ) -> Promotion {
        let number = change.number;
        eventually(
            &format!("change {number}, attempt {attempt}, {what}"),
            PATIENCE,
            || async {
                let all = self.promotions().await;
                let of_it = |promotion: &&Promotion| {
                    let deploy = promotion.spec.deploy.as_ref();
                    promotion.spec.policy_ref.name == POLICY
                        && deploy.is_some_and(|deploy| deploy.change == number && deploy.attempt == attempt)
                };
                match all.iter().find(of_it) {
                    Some(promotion) if wanted(promotion) => Ok(promotion.clone()),
                    Some(promotion) => Err(shown(promotion)),
                    None => Err(format!("{:?}", all.iter().map(shown).collect::<Vec<_>>())),
                }
            },
        )
        .await
    }

    /// Waits until the promotion of a change is in this phase, and says so in its conditions as well.
    pub async fn until_promotion(&self, change: &Change, phase: PromotionPhase) -> Promotion {
        self.until_attempt(change, 1, phase).await
    }

    /// The same of a later attempt.
    pub async fn until_attempt(&self, change: &Change, attempt: i32, phase: PromotionPhase) -> Promotion {
        self.until_of(change, attempt, &format!("is {phase:?}"), |promotion| {
            let status = promotion.status.clone().unwrap_or_default();
            status.phase == Some(phase) && condition(&status.conditions, "Ready").is_some()
        })
        .await
    }

    /// Waits until the promotion of a change waits, and says this reason.
    pub async fn until_it_waits(&self, change: &Change, reason: &str) -> Promotion {
        self.until(change, &format!("waits because of {reason}"), |promotion| {
            let status = promotion.status.clone().unwrap_or_default();
            let ready = condition(&status.conditions, "Ready");
            status.phase == Some(PromotionPhase::Waiting) && ready.is_some_and(|ready| ready.reason == reason)
        })
        .await
    }

    /// Waits for a whole pass over a promotion that began after this call.
    pub async fn pass_over(&self, promotion: &Promotion) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (name, count) = (promotion.name_any(), COUNT.fetch_add(1, Ordering::Relaxed));
        let request = format!("{}-{count}", self.prefix);
        let body = json!({"metadata": {"annotations": {"lockstep.dev/requested-at": request}}});
        let all = self.all::<Promotion>();
        all.patch(&name, &PatchParams::default(), &Patch::Merge(body))
            .await
            .unwrap();
        eventually(&format!("{name} was looked at"), PATIENCE, || async {
            let seen = all.get(&name).await.map_err(|e| e.to_string())?;
            let status = seen.status.clone().unwrap_or_default();
            let done = status.last_handled_request.as_ref() == Some(&request);
            done.then_some(()).ok_or_else(|| shown(&seen))
        })
        .await;
    }

    /// What was said on a change on behalf of environments: tags and texts.
    pub async fn messages(&self, change: &Change) -> Vec<(String, String)> {
        let path = self.at(change, "/messages");
        let all = self.admin(Method::GET, &path, Value::Null).await;
        let text = |message: &Value, field: &str| message[field].as_str().unwrap_or_default().to_owned();
        all.as_array()
            .unwrap()
            .iter()
            .map(|message| (text(message, "tag"), text(message, "message")))
            .filter(|(tag, _)| tag.starts_with("autogenerated:lockstep~"))
            .collect()
    }

    pub async fn hashtags(&self, change: &Change) -> Value {
        let path = self.at(change, "/hashtags");
        self.admin(Method::GET, &path, Value::Null).await
    }

    /// Files of the workspace that belong to this team: by path below its folder.
    pub async fn uploaded(&self) -> BTreeMap<String, String> {
        let folder = format!("/Workspace/{}", self.prefix);
        self.sim.files(&folder).await.unwrap()
    }

    /// The tree of a commit as it lies in an environment, and the manifest beside it; `None`: nothing lies there.
    pub async fn deployed(
        &self,
        environment: &str,
        commit: &str,
    ) -> Option<(BTreeMap<String, String>, Value)> {
        let directory = self.directory(environment, commit);
        let mut files = self.sim.files(&directory).await?;
        let manifest = files.remove(MANIFEST).unwrap_or_default();
        Some((files, serde_json::from_str(&manifest).unwrap_or_default()))
    }
}
