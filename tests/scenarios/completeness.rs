//! Everything that ran, or wrote, is explained or named; and what is kept of what a promotion leaves behind.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::promotion_policy::{EnvironmentStatus, PendingPlan, PlanSubject};
use lockstep_core::api::{DatabricksConnection, PlanApproval, Promotion, PromotionPolicy};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::approvals::protect;
use crate::support::changes::Reviewed;
use crate::support::promoting::{POLICY, ready};
use crate::support::waiting::condition;
use crate::support::{PATIENCE, becomes, eventually};

impl Reviewed {
    /// Starts the job by hand; the address of its run.
    async fn run_by_hand(&self) -> String {
        let job = self.sim.job(&self.job()).await.unwrap();
        let body = json!({"job_id": job["job_id"]});
        let (status, run) = self
            .sim
            .call(Method::POST, "/api/2.2/jobs/run-now", Some(body))
            .await;
        assert_eq!(status, 200, "{run}");
        format!("runs/{}", run["run_id"])
    }

    /// Asks for a count now, and waits until one that began after this call says so.
    async fn count(&self) -> EnvironmentStatus {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let request = format!("{}-{}", self.prefix, COUNT.fetch_add(1, Ordering::Relaxed));
        let body = json!({"metadata": {"annotations": {"lockstep.dev/requested-at": request}}});
        self.all::<PromotionPolicy>()
            .patch(POLICY, &PatchParams::default(), &Patch::Merge(body))
            .await
            .unwrap();
        self.until_policy("it was looked at", |policy| {
            let status = policy.status.as_ref();
            status.is_some_and(|status| status.last_handled_request.as_ref() == Some(&request))
        })
        .await;
        self.prod().await
    }

    /// Waits until the count of `prod` is this: explained, acknowledged, unexplained.
    async fn until_counted(&self, wanted: (i64, i64, i64)) -> EnvironmentStatus {
        eventually(&format!("{wanted:?} are counted"), PATIENCE, || async {
            let row = self.count().await;
            let runs = row.runs.clone().unwrap_or_default();
            let counted = (runs.explained, runs.acknowledged, runs.unexplained);
            if counted == wanted {
                Ok(row)
            } else {
                Err(json!(row).to_string())
            }
        })
        .await
    }

    /// Lets a policy train a model, made by others before, and move its alias; its full name.
    async fn follows_a_model(&self) -> String {
        let (catalog, model) = (
            self.name("catalog"),
            format!("{}.fraud.scorer", self.name("catalog")),
        );
        let owner = crate::support::world::APPLICATION;
        self.sim
            .seed(json!({"securables": [
                {"type": "catalog", "fullName": catalog, "grants": {owner: ["USE_CATALOG"], &self.runner: ["USE_CATALOG"]}},
                {"type": "schema", "fullName": format!("{catalog}.fraud"),
                 "grants": {owner: ["USE_SCHEMA"], &self.runner: ["USE_SCHEMA", "CREATE_MODEL_VERSION"]}},
                {"type": "function", "fullName": model, "owner": owner,
                 "body": {"securable_kind": "FUNCTION_REGISTERED_MODEL"},
                 "grants": {&self.runner: ["EXECUTE", "CREATE_MODEL_VERSION"]}},
            ]}))
            .await;
        let alias = json!({"name": "model", "modelAlias": {
            "model": model, "alias": "champion", "version": {"fromStep": "train"}}});
        self.policy(&[self.code(), self.training(), alias], json!({}))
            .await;
        self.until_counted((0, 0, 0)).await;
        model
    }

    async fn asked_for(&self, subject: PlanSubject) -> Option<PendingPlan> {
        let policy: PromotionPolicy = self.all().get(POLICY).await.unwrap();
        let plans = policy.status.unwrap().plans;
        plans.into_iter().find(|plan| plan.subject == subject)
    }

    /// The lead says yes to a plan of the policy.
    async fn say_yes(&self, plan: &PendingPlan) {
        let policy: PromotionPolicy = self.all().get(POLICY).await.unwrap();
        let name = format!("{}-{}", self.prefix, &plan.digest[7..15]);
        let body: PlanApproval = serde_json::from_value(json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "PlanApproval", "metadata": {"name": name},
            "spec": {
                "planRef": {
                    "kind": "PromotionPolicy", "namespace": self.prefix, "name": POLICY, "uid": policy.uid(),
                },
                "digest": plan.digest, "approver": "lead@example.com", "reason": "it was Ada, and harmless",
            },
        }))
        .unwrap();
        let client = self.stack.kube_as(Some("lead@example.com")).await;
        let api: Api<PlanApproval> = Api::namespaced(client, &self.prefix);
        api.create(&PostParams::default(), &body).await.unwrap();
    }

    /// Names of the directories that lie in `prod`.
    async fn directories(&self) -> BTreeSet<String> {
        let prod = |path: &String| {
            let (directory, _) = path.strip_prefix("prod/")?.split_once('/')?;
            Some(directory.to_owned())
        };
        self.uploaded().await.keys().filter_map(prod).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_by_hand_is_named_and_holds_the_environment_until_somebody_acknowledges_it() {
    let Some(team) = Reviewed::new("strange").await else {
        return;
    };
    protect(&team).await;
    team.policy(&[team.code(), team.training()], json!({})).await;
    let first = team.merge("train.py", "print(1)\n").await;
    team.until_promotion(&first, PromotionPhase::Succeeded).await;
    // Its run, and its directory.
    let row = team.until_counted((2, 0, 0)).await;
    assert_eq!(row.held, None);

    let run = team.run_by_hand().await;
    let row = team.until_counted((2, 0, 1)).await;
    let runs = row.runs.unwrap();
    assert_eq!((runs.total, runs.strangers.len()), (3, 1));
    let stranger = &runs.strangers[0];
    assert!(stranger.address.ends_with(&run), "{stranger:?}");
    assert_eq!(stranger.act, "Run");
    assert!(stranger.by.is_some() && stranger.at.is_some(), "{stranger:?}");
    let held = row.held.unwrap();
    assert_eq!(held.promotion, None);
    assert!(held.reason.contains(&run), "{held:?}");

    let second = team.merge("train.py", "print(2)\n").await;
    let waits = team.until_it_waits(&second, "Held").await;
    assert!(ready(&waits).message.contains(&run), "{:?}", ready(&waits));
    assert_eq!(
        team.asked_for(PlanSubject::Resume).await,
        None,
        "one plan is enough"
    );
    let plan = team.asked_for(PlanSubject::Runs).await.unwrap();
    assert!(plan.summary.iter().any(|line| line.contains(&run)), "{plan:?}");
    team.say_yes(&plan).await;
    team.until_promotion(&second, PromotionPhase::Succeeded).await;
    let row = team.until_counted((4, 1, 0)).await;
    assert_eq!((row.held, row.runs.unwrap().strangers), (None, vec![]));
    assert_eq!(team.asked_for(PlanSubject::Runs).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_policy_wants_a_report_nothing_is_held() {
    let Some(team) = Reviewed::new("reported").await else {
        return;
    };
    let reports = team.environment("prod", json!({"onUnexplained": "Report"}));
    team.policy(
        &[team.code(), team.training()],
        json!({"environments": [reports]}),
    )
    .await;
    let first = team.merge("train.py", "print(1)\n").await;
    team.until_promotion(&first, PromotionPhase::Succeeded).await;
    team.run_by_hand().await;
    let row = team.until_counted((2, 0, 1)).await;
    assert_eq!(row.held, None);
    assert!(team.asked_for(PlanSubject::Runs).await.is_some());
    let second = team.merge("train.py", "print(2)\n").await;
    team.until_promotion(&second, PromotionPhase::Succeeded).await;
    team.until_counted((4, 0, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_before_the_policy_and_files_that_others_bring_are_told_apart() {
    let Some(team) = Reviewed::new("before").await else {
        return;
    };
    let folder = format!("/{}/prod", team.prefix);
    let mkdirs = |name: &str| {
        let body = json!({"path": format!("{folder}/{name}")});
        let sim = team.sim.clone();
        async move {
            let path = "/api/2.0/workspace/mkdirs";
            let (status, answer) = sim.call(Method::POST, path, Some(body)).await;
            assert_eq!(status, 200, "{answer}");
        }
    };
    mkdirs("old").await;
    team.policy(&[team.code(), team.training()], json!({})).await;
    team.until_counted((0, 0, 0)).await;
    mkdirs("new").await;
    let row = team.until_counted((0, 0, 1)).await;
    let stranger = &row.runs.unwrap().strangers[0];
    assert_eq!(stranger.act, "Files");
    assert!(stranger.address.ends_with("prod%2Fnew"), "{stranger:?}");
    assert!(row.held.unwrap().reason.contains("prod%2Fnew"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_that_a_hand_moved_is_named() {
    let Some(team) = Reviewed::new("moved").await else {
        return;
    };
    let model = team.follows_a_model().await;
    for content in ["print(1)\n", "print(2)\n"] {
        let script = json!({"job": team.job(), "result": "SUCCESS", "registers": [{"model": model}]});
        team.sim.script(script).await;
        let change = team.merge("train.py", content).await;
        team.until_promotion(&change, PromotionPhase::Succeeded).await;
    }
    // Of each: its directory, its run, its version and where the alias points.
    let row = team.until_counted((8, 0, 0)).await;
    assert_eq!(row.held, None);
    let path = format!("/api/2.1/unity-catalog/models/{model}/aliases/champion");
    let (status, answer) = team
        .sim
        .call(Method::PUT, &path, Some(json!({"version_num": 1})))
        .await;
    assert_eq!(status, 200, "{answer}");
    let row = team.until_counted((8, 0, 1)).await;
    let stranger = &row.runs.unwrap().strangers[0];
    assert_eq!(stranger.act, "Alias");
    assert!(stranger.address.ends_with("aliases/champion/1"), "{stranger:?}");
    assert!(row.held.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_trained_by_hand_is_a_stranger_whatever_run_and_tags_it_copies() {
    let Some(team) = Reviewed::new("copies").await else {
        return;
    };
    let model = team.follows_a_model().await;
    let version =
        json!({"model": model, "runId": "0f1e2d", "tags": {"git_commit": "4b825dc", "approved": "yes"}});
    let script = json!({"job": team.job(), "result": "SUCCESS", "registers": [version]});
    team.sim.script(script).await;
    let change = team.merge("train.py", "print(1)\n").await;
    team.until_promotion(&change, PromotionPhase::Succeeded).await;
    team.until_counted((4, 0, 0)).await;
    let mut copy = version.clone();
    copy["by"] = json!(team.runner);
    team.train_by_hand(json!([copy])).await;
    let row = team.until_counted((4, 0, 1)).await;
    let stranger = &row.runs.unwrap().strangers[0];
    assert_eq!(stranger.act, "Version");
    assert!(stranger.address.ends_with("versions/2"), "{stranger:?}");
    assert!(row.held.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_beyond_the_limit_go_and_the_current_one_stays() {
    let Some(team) = Reviewed::new("tidy").await else {
        return;
    };
    team.policy(&[team.code()], json!({"history": {"directories": 2}}))
        .await;
    let mut commits = Vec::new();
    for n in 0..4 {
        let change = team.merge("train.py", &format!("print({n})\n")).await;
        team.until_promotion(&change, PromotionPhase::Succeeded).await;
        commits.push(change.commit);
    }
    let kept: BTreeSet<String> = commits[2..].iter().cloned().collect();
    becomes("two directories stay", kept.clone(), || async {
        team.count().await;
        team.directories().await
    })
    .await;
    let row = team.count().await;
    assert_eq!(row.current.unwrap().revision, commits[3]);
    assert_eq!(row.held, None);
    assert_eq!(team.directories().await, kept);

    // No way leads back to one that is gone.
    let first = format!("{POLICY}.prod.");
    let old = team.promotions().await;
    let old = old
        .iter()
        .find(|promotion| {
            let deploy = promotion.spec.deploy.as_ref();
            deploy.is_some_and(|deploy| deploy.revision == commits[0])
        })
        .unwrap()
        .name_any();
    assert!(old.starts_with(&first));
    let back = json!({"policyRef": {"name": POLICY}, "environment": "prod",
        "rollback": {"to": old, "reason": "it was better"}});
    let _: Promotion = team
        .apply("Promotion", &format!("{POLICY}.prod.rollback.1"), &back)
        .await;
    let said = team
        .until_object::<Promotion>(&format!("{POLICY}.prod.rollback.1"), "Refused")
        .await;
    assert!(said.contains(&commits[0]) && said.contains("is gone"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_a_policy_uses_is_not_torn_away() {
    let Some(team) = Reviewed::new("needed").await else {
        return;
    };
    team.policy(&[team.code()], json!({})).await;
    let connections = team.all::<DatabricksConnection>();
    becomes("the connection is held", true, || async {
        let connection = connections.get("prod").await.unwrap();
        !connection.finalizers().is_empty()
    })
    .await;
    connections
        .delete("prod", &DeleteParams::default())
        .await
        .unwrap();
    let said = eventually("the connection says who still needs it", PATIENCE, || async {
        let connection = connections.get("prod").await.map_err(|e| e.to_string())?;
        let conditions = connection.status.unwrap().conditions;
        match condition(&conditions, "Reconciling") {
            Some(said) if said.reason == "HasDependants" => Ok(said.message.clone()),
            _ => Err(format!("{conditions:?}")),
        }
    })
    .await;
    assert_eq!(
        said,
        "1 promotion policies still depend on it: delete or change them first"
    );
    // What was promised goes on.
    let change = team.merge("train.py", "print('still')\n").await;
    team.until_promotion(&change, PromotionPhase::Succeeded).await;

    team.all::<PromotionPolicy>()
        .delete(POLICY, &DeleteParams::default())
        .await
        .unwrap();
    eventually("the connection is gone", PATIENCE, || async {
        match connections.get_opt("prod").await.map_err(|e| e.to_string())? {
            None => Ok(()),
            Some(connection) => Err(json!(connection.metadata.finalizers).to_string()),
        }
    })
    .await;
}

/// Nothing is left out of what is shown.
#[tokio::test(flavor = "multi_thread")]
async fn the_count_is_measured_and_recorded() {
    let Some(team) = Reviewed::new("measured").await else {
        return;
    };
    team.policy(&[team.code(), team.training()], json!({})).await;
    let change = team.merge("train.py", "print(1)\n").await;
    team.until_promotion(&change, PromotionPhase::Succeeded).await;
    let run = team.run_by_hand().await;
    team.until_counted((2, 0, 1)).await;
    let shared = crate::support::operator::SHARED.read().await;
    let operator = shared.as_ref().unwrap();
    let labels = format!(
        "lockstep_environment_runs{{namespace=\"{}\",policy=\"{POLICY}\",environment=\"prod\",result=",
        team.prefix
    );
    let metrics = operator.metrics().await;
    for line in ["\"explained\"} 2", "\"acknowledged\"} 0", "\"unexplained\"} 1"] {
        assert!(metrics.contains(&format!("{labels}{line}")), "{line}");
    }
    let named = operator.recorded().lines().any(|line| {
        // The last line may be half written at the moment of the reading.
        let Ok(entry) = serde_json::from_str::<Value>(line) else {
            return false;
        };
        let ledger = &entry["entry"]["promotion"]["ledger"];
        entry["entry"]["object"]["namespace"] == json!(team.prefix)
            && ledger["strangers"].to_string().contains(&run)
    });
    assert!(named, "the record names {run}");
}
