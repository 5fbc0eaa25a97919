//! Ways around the gate: said of the policy, and held up where a binding would open one.

use kube::api::{Api, DeleteParams, Patch, PatchParams};
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::promotion_policy::{HoleRow, UnseenRow};
use lockstep_core::api::{AccessBinding, GerritConnection, PromotionPolicy};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::approvals::protect;
use crate::support::changes::Reviewed;
use crate::support::gerrit::encode;
use crate::support::promoting::POLICY;
use crate::support::team::Team;
use crate::support::waiting::condition;
use crate::support::world::{APPLICATION, GERRIT_USER};
use crate::support::{PATIENCE, becomes, eventually};

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

    /// The project's webhook configuration; empty where there is none.
    async fn webhooks(&self) -> String {
        let path = format!(
            "/projects/{}/branches/refs%2Fmeta%2Fconfig/files/webhooks.config/content",
            encode(&self.project)
        );
        match self.gerrit.get(&path).await {
            (200, text) => text.as_str().unwrap().to_owned(),
            _ => String::new(),
        }
    }

    async fn tell(&self, webhook: Value) {
        let all: Api<GerritConnection> = self.all();
        let patch = Patch::Merge(json!({"spec": {"events": {"webhook": webhook}}}));
        all.patch("gerrit", &PatchParams::default(), &patch)
            .await
            .unwrap();
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
async fn who_else_can_move_what_runs_or_act_as_its_identity_is_said_until_it_cannot() {
    let Some(team) = Reviewed::new("movers").await else {
        return;
    };
    let (sim, eve) = (&team.sim, team.email("eve"));
    let rules = format!(
        "accounts/{}/servicePrincipals/{}/ruleSets/default",
        sim.account, team.runner
    );
    let us = format!("servicePrincipals/{APPLICATION}");
    let user = json!({"role": "roles/servicePrincipal.user", "principals": [us]});
    let manager = json!({"role": "roles/servicePrincipal.manager", "principals": [format!("users/{eve}")]});
    let folder = format!("/{}", team.prefix);
    sim.seed(json!({
        "users": [{"userName": eve}],
        "objects": [{"type": "directories", "name": folder, "acl": {(&team.runner): "CAN_READ", (&eve): "CAN_EDIT"}}],
        "ruleSets": [{"name": rules, "grantRules": [user, manager]}],
    }))
    .await;
    team.policy(&[team.code(), team.training()], json!({"interval": "10s"}))
        .await;
    let change = team.merge("train.py", "print('better')\n").await;
    team.until_promotion(&change, PromotionPhase::Succeeded).await;
    let job = sim.job(&team.job()).await.unwrap();
    let path = format!("/api/2.0/permissions/jobs/{}", job["job_id"]);
    let row = json!({"user_name": eve, "permission_level": "CAN_MANAGE"});
    sim.by_hand(Method::PATCH, &path, json!({"access_control_list": [row]}))
        .await;

    let may = |holes: &[HoleRow], kind: &str| {
        through(holes, kind).is_some_and(|who| who.iter().any(|who| who.starts_with(&eve)))
    };
    let kinds = ["WritableCode", "EditableJob", "UsableIdentity"];
    let policy = team
        .until_holes("all three are seen", |holes| {
            kinds.iter().all(|kind| may(holes, kind))
        })
        .await;
    let hardening = policy.status.unwrap().hardening.unwrap();
    let code = hardening
        .holes
        .iter()
        .find(|hole| hole.kind == "WritableCode")
        .unwrap();
    assert!(
        code.place
            .starts_with(&format!("folder /Workspace/{}/prod in", team.prefix)),
        "{code:?}"
    );
    let read = |row: &&UnseenRow| row.what.contains("rights on") || row.what.contains("secrets");
    assert_eq!(
        hardening.unseen.iter().find(read),
        None,
        "everything could be read"
    );

    sim.seed(json!({"ruleSets": [{"name": rules, "grantRules": [user]}]}))
        .await;
    let everybody = sim.by_hand(Method::GET, &path, Value::Null).await;
    let owner = everybody["access_control_list"].as_array().unwrap().iter();
    let owner = owner
        .filter(|row| row["all_permissions"][0]["permission_level"] == "IS_OWNER")
        .map(|row| json!({"service_principal_name": row["service_principal_name"], "permission_level": "IS_OWNER"}));
    let owner: Vec<Value> = owner.collect();
    sim.by_hand(Method::PUT, &path, json!({"access_control_list": owner}))
        .await;
    team.until_holes("two of them are closed", |holes| {
        may(holes, "WritableCode") && !may(holes, "EditableJob") && !may(holes, "UsableIdentity")
    })
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

#[tokio::test(flavor = "multi_thread")]
async fn the_project_tells_what_happens_while_somebody_wants_to_hear_it() {
    let Some(team) = Reviewed::new("remote").await else {
        return;
    };
    team.spare_configuration().await;
    // Gerrit lets nobody without an address propose a change.
    let path = format!("/accounts/{GERRIT_USER}/emails/{GERRIT_USER}%40example.com");
    let body = json!({"no_confirmation": true});
    let (status, answer) = team.gerrit.call(Method::PUT, &path, Some(body)).await;
    assert!(status == 201 || status == 409, "{status} {answer}");
    team.policy(&[team.code()], json!({})).await;
    assert_eq!(team.webhooks().await, "");
    let public = "https://lockstep.example.com/hooks";
    team.tell(json!({"publicUrl": public})).await;
    let header = format!("[remote \"lockstep-{}-gerrit\"]", team.prefix);
    let file = eventually("the project tells us", PATIENCE, || async {
        let file = team.webhooks().await;
        if file.contains(&header) {
            return Ok(file);
        }
        let policy: PromotionPolicy = team.all().get(POLICY).await.unwrap();
        Err(format!("{file} {}", json!(policy.status.unwrap().webhook)))
    })
    .await;
    let connection: GerritConnection = team.all().get("gerrit").await.unwrap();
    let path = connection.status.unwrap().webhook_path.unwrap();
    assert!(file.contains(&format!("url = \"{public}{path}\"")), "{file}");
    assert!(
        file.contains("event = change-merged") && file.contains("sslVerify = true"),
        "{file}"
    );

    team.tell(Value::Null).await;
    becomes("nobody is told any more", String::new(), || team.webhooks()).await;

    team.tell(json!({"publicUrl": public})).await;
    becomes("somebody is told again", true, || async {
        team.webhooks().await.contains(&header)
    })
    .await;
    team.until_policy("it knows what it set", |policy| {
        let webhook = policy.status.clone().unwrap_or_default().webhook;
        webhook.is_some_and(|webhook| webhook.problem.is_none())
    })
    .await;
    let all: Api<PromotionPolicy> = team.all();
    all.delete(POLICY, &DeleteParams::default()).await.unwrap();
    becomes("it goes with its policy", String::new(), || team.webhooks()).await;
}
