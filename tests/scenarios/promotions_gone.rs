//! What a policy rests on in Gerrit, and that goes away: its branch, its project.

use kube::api::{Api, DeleteParams, Patch, PatchParams};
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::{PromotionPolicy, REQUESTED_AT};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::changes::Reviewed;
use crate::support::gerrit::encode;
use crate::support::promoting::POLICY;
use crate::support::waiting::condition;
use crate::support::{PATIENCE, becomes, eventually};

impl Reviewed {
    fn branch_path(&self) -> String {
        format!("/projects/{}/branches/prod", encode(&self.project))
    }

    /// Deletes the project as the plugin for that does: the repository goes, and Gerrit forgets what it knew of it.
    async fn delete_project(&self) {
        let state = std::path::Path::new(self.stack.get("KUBECONFIG"));
        let state = state.ancestors().nth(2).unwrap();
        let repository = state
            .join("gerrit/site/git")
            .join(format!("{}.git", self.project));
        std::fs::remove_dir_all(&repository)
            .unwrap_or_else(|error| panic!("{}: {error}", repository.display()));
        let flush = json!({"operation": "FLUSH", "caches": ["projects", "project_list"]});
        self.admin(Method::POST, "/config/server/caches/", flush).await;
    }

    /// Whether the policy is Ready, and why not.
    async fn standing(&self) -> (String, String) {
        let policy: PromotionPolicy = self.all().get(POLICY).await.unwrap();
        let conditions = policy.status.unwrap().conditions;
        let ready = condition(&conditions, "Ready").unwrap();
        (ready.reason.clone(), ready.message.clone())
    }

    async fn misses_its_branch(&self) {
        eventually("the branch is missed", PATIENCE, || async {
            let (reason, message) = self.standing().await;
            let said = message.contains(&self.project) && message.contains("no branch prod");
            (reason == "NotFound" && said)
                .then_some(())
                .ok_or_else(|| format!("{reason}: {message}"))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_or_a_project_that_is_gone_is_said_and_what_ran_is_not_forgotten() {
    let Some(team) = Reviewed::new("gone").await else {
        return;
    };
    team.policy(&[team.code()], json!({})).await;
    let first = team.merge("train.py", "print(1)\n").await;
    team.until_promotion(&first, PromotionPhase::Succeeded).await;
    let current = || async { team.prod().await.current.map(|current| current.revision) };
    becomes("it is what runs", Some(first.commit.clone()), current).await;

    team.admin(Method::DELETE, &team.branch_path(), Value::Null).await;
    team.misses_its_branch().await;
    assert_eq!(current().await, Some(first.commit.clone()));
    // Made anew where it was, it goes on where it was. What is missing is looked for once a minute, or when asked to.
    let made = json!({"revision": first.commit});
    team.admin(Method::PUT, &team.branch_path(), made).await;
    let asked = json!({"metadata": {"annotations": {REQUESTED_AT: "now"}}});
    team.all::<PromotionPolicy>()
        .patch(POLICY, &PatchParams::default(), &Patch::Merge(asked))
        .await
        .unwrap();
    becomes("it is followed again", "Succeeded".to_owned(), || async {
        team.standing().await.0
    })
    .await;
    let second = team.merge("train.py", "print(2)\n").await;
    team.until_promotion(&second, PromotionPhase::Succeeded).await;
    becomes("the next one runs", Some(second.commit.clone()), current).await;

    team.delete_project().await;
    team.misses_its_branch().await;
    assert_eq!(team.promotions().await.len(), 2);
    assert_eq!(current().await, Some(second.commit.clone()));
    assert!(team.deployed("prod", &second.commit).await.is_some());
    let all: Api<PromotionPolicy> = team.all();
    all.delete(POLICY, &DeleteParams::default()).await.unwrap();
    becomes("the policy goes all the same", true, || async {
        all.get_opt(POLICY).await.unwrap().is_none()
    })
    .await;
}
