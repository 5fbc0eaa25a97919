//! The kill sweep over promotions: SIGKILL right after each outward write of two stories, one that succeeds and one
//! whose smoke test fails, so that everything goes back. Whatever the moment, every change ends as it would have, each of
//! its jobs ran once, and of what was undone nothing is left half.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use lockstep_core::api::Promotion;
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::promotion_policy::PlanSubject;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::approvals::install;
use crate::support::changes::{Change, Reviewed};
use crate::support::gate::Gate;
use crate::support::operator::{self, Operator};
use crate::support::promoting::ready;
use crate::support::sweeping::tell;
use crate::support::team::Team;
use crate::support::workspace::parameter;
use crate::support::{PATIENCE, becomes, eventually};

/// How a story ends by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Story {
    Succeeds,
    /// The smoke test fails, after everything else was done.
    GoesBack,
}

/// What promotions move.
#[derive(Clone, Debug, PartialEq)]
struct InPlace {
    /// Settings of the job that trains, and of the one that tests.
    jobs: [Value; 2],
    alias: Value,
    served: Value,
    files: BTreeSet<String>,
}

/// What went wrong at the points so far.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    points: usize,
    double_runs: usize,
    lost: usize,
    half_undone: usize,
}

/// A team whose promotions train, move an alias, serve and test.
struct Stage<'a> {
    team: &'a Reviewed,
    gate: &'a Gate,
    tally: Tally,
}

impl Stage<'_> {
    fn catalog(&self) -> String {
        self.team.prefix.replace('-', "_")
    }

    fn model(&self) -> String {
        format!("{}.fraud.scorer", self.catalog())
    }

    fn endpoint(&self) -> String {
        self.team.name("scorer")
    }

    fn smoke(&self) -> String {
        self.team.name("smoke")
    }

    /// A model without versions, and an endpoint that serves nothing yet.
    async fn set(&self) {
        let (team, catalog) = (self.team, self.catalog());
        let us = crate::support::world::APPLICATION;
        team.sim
            .seed(json!({
                "objects": [{"type": "serving-endpoints", "name": self.endpoint()}],
                "securables": [
                    {"type": "catalog", "fullName": catalog, "grants": {us: ["USE_CATALOG"]}},
                    {"type": "schema", "fullName": format!("{catalog}.fraud"), "grants": {us: ["USE_SCHEMA"]}},
                    {"type": "function", "fullName": self.model(), "owner": us,
                     "body": {"securable_kind": "FUNCTION_REGISTERED_MODEL"}},
                ],
            }))
            .await;
        team.reach_catalog(&catalog).await;
        let smoke = json!({"name": "smoke", "job": {"name": self.smoke(), "definition": "jobs/train.yml"}});
        let alias = json!({"name": "champion", "modelAlias": {
            "model": self.model(), "alias": "champion", "version": {"fromStep": "train"},
        }});
        let serve = json!({"name": "serve", "servingEndpoint": {
            "name": self.endpoint(), "servedEntityName": "scorer", "entityName": self.model(),
            "entityVersion": {"fromStep": "champion"}, "trafficPercentage": 100,
        }});
        let rolls_back = team.environment("prod", json!({"onFailure": "Rollback"}));
        team.policy(
            &[team.code(), team.training(), alias, serve, smoke],
            json!({"environments": [rolls_back]}),
        )
        .await;
    }

    async fn in_place(&self) -> InPlace {
        let sim = &self.team.sim;
        let settings = async |job: &str| {
            sim.job(job)
                .await
                .map_or(Value::Null, |job| job["settings"].clone())
        };
        let path = format!("/api/2.0/serving-endpoints/{}", self.endpoint());
        let (_, endpoint) = sim.call(Method::GET, &path, None).await;
        let registered = sim.snapshot().await["models"]["registered"].clone();
        let entities = endpoint["config"]["served_entities"]
            .as_array()
            .into_iter()
            .flatten();
        let entities = entities.map(|entity| json!([entity["name"], entity["entity_version"]]));
        InPlace {
            jobs: [settings(&self.team.job()).await, settings(&self.smoke()).await],
            alias: registered[&self.model()]["aliases"].clone(),
            served: json!([entities.collect::<Vec<_>>(), endpoint["pending_config"]]),
            files: self.team.uploaded().await.into_keys().collect(),
        }
    }

    /// Says how the jobs of the next promotion go.
    async fn prescribe(&self, story: Story) {
        let sim = &self.team.sim;
        sim.script(json!({"job": self.team.job(), "registers": [{"model": self.model()}]}))
            .await;
        if story == Story::GoesBack {
            let failure = json!({"job": self.smoke(), "result": "FAILED", "message": "it scores nonsense"});
            sim.script(failure).await;
        }
    }

    /// Waits for everything that becomes of a change.
    async fn done(&self, change: &Change, story: Story) -> Promotion {
        let phase = match story {
            Story::Succeeds => PromotionPhase::Succeeded,
            Story::GoesBack => PromotionPhase::Failed,
        };
        let promotion = self.team.until_promotion(change, phase).await;
        // What is said last on the change is a write too.
        let marks = match story {
            Story::Succeeds => json!(["deployed-prod"]),
            Story::GoesBack => json!([]),
        };
        becomes("the change is told and marked", (1, marks), || async {
            (
                self.team.messages(change).await.len(),
                self.team.hashtags(change).await,
            )
        })
        .await;
        promotion
    }

    /// Brings a change in and kills the operator after this write of its promotion; false: there was none.
    async fn killed_after(&mut self, write: usize, story: Story, operator: &mut Operator) -> bool {
        let before = self.in_place().await;
        self.prescribe(story).await;
        let content = format!("print('{story:?} {write}')\n");
        let change = self.team.propose("train.py", &content);
        self.gate.hold_after(write);
        self.team.bring_in(&change).await;
        let killed = tokio::select! {
            _ = self.done(&change, story) => false,
            () = self.gate.held() => true,
        };
        let last = self.gate.last_write();
        if killed {
            operator.kill();
            self.gate.release();
            operator.start_afresh().await;
        } else {
            self.gate.release();
        }
        let promotion = self.done(&change, story).await;
        self.team.pass_over(&promotion).await;
        let wrong = self.wrong(&promotion, &change, story, &before).await;
        if killed {
            self.tally.points += 1;
            let point = format!("{story:?}: killed after write {write}, {last}");
            tell(&if wrong.is_empty() {
                format!("{point}: ended as it should")
            } else {
                format!("{point}: {wrong}")
            });
        } else {
            assert_eq!(wrong, "", "{story:?} without a kill");
        }
        if story == Story::GoesBack {
            self.resume().await;
        }
        killed
    }

    /// What is not as it should be, in words, and counts it.
    async fn wrong(
        &mut self,
        promotion: &Promotion,
        change: &Change,
        story: Story,
        before: &InPlace,
    ) -> String {
        let mut wrong = Vec::new();
        let name = promotion.name_any();
        for job in [self.team.job(), self.smoke()] {
            let runs = self.team.sim.runs(&job).await;
            let ours = |run: &&Value| parameter(run, "lockstep_promotion") == Some(name.as_str());
            match runs.iter().filter(ours).count() {
                1 => {}
                0 => {
                    self.tally.lost += 1;
                    wrong.push(format!("{job} never ran"));
                }
                count => {
                    self.tally.double_runs += 1;
                    wrong.push(format!("{job} ran {count} times"));
                }
            }
        }
        let after = self.in_place().await;
        match story {
            Story::GoesBack => {
                let said = ready(promotion).message;
                if after != *before || !said.contains("everything was undone") {
                    self.tally.half_undone += 1;
                    wrong.push(format!("{said}: {before:?} became {after:?}"));
                }
            }
            Story::Succeeds => {
                let served = after.served.pointer("/0/0/1").cloned().unwrap_or_default();
                let champion = after.alias["champion"].to_string();
                let runs = after
                    .jobs
                    .iter()
                    .all(|job| job.to_string().contains(&change.commit));
                let deployed = self.team.deployed("prod", &change.commit).await;
                let complete = deployed.is_some_and(|(_, manifest)| manifest["complete"] == true);
                if served != json!(champion) || after.alias == before.alias || !runs || !complete {
                    self.tally.lost += 1;
                    wrong.push(format!("not all of it is in place: {after:?}"));
                }
            }
        }
        wrong.join("; ")
    }

    /// A person lets the environment go on.
    async fn resume(&self) {
        let held = self
            .team
            .until_policy("it asks to be resumed", |policy| {
                let plans = policy.status.iter().flat_map(|status| &status.plans);
                plans.into_iter().any(|plan| plan.subject == PlanSubject::Resume)
            })
            .await;
        let plans = held.status.iter().flat_map(|status| &status.plans);
        let digest = plans
            .into_iter()
            .find(|plan| plan.subject == PlanSubject::Resume)
            .map(|plan| plan.digest.clone());
        self.team.agree(&held, &digest.unwrap()).await;
        eventually("the environment goes on", PATIENCE, || async {
            let prod = self.team.prod().await;
            prod.held
                .is_none()
                .then_some(())
                .ok_or_else(|| json!(prod).to_string())
        })
        .await;
    }
}

/// `make sweep`: a kill at each write of both stories.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make sweep"]
async fn sweep_of_promotions() {
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let gate = Gate::default();
    let team = Team::of(&operator, "promoting", Some(&gate)).await;
    operator.start_afresh().await;
    install(operator.stack).await;
    let team = &Reviewed::of(team, &["prod"]).await;
    let mut stage = Stage {
        team,
        gate: &gate,
        tally: Tally::default(),
    };
    stage.set().await;
    let began = std::time::Instant::now();
    for story in [Story::Succeeds, Story::GoesBack] {
        let mut write = 1;
        while stage.killed_after(write, story, &mut operator).await {
            write += 1;
        }
        tell(&format!(
            "{story:?}: {} kill points, {} s so far",
            write - 1,
            began.elapsed().as_secs()
        ));
        // Uploading, two jobs and their runs, an alias, an endpoint, and what is said of it.
        assert!(write > 12, "{story:?} has only {} writes", write - 1);
    }
    let Tally {
        points,
        double_runs,
        lost,
        half_undone,
    } = &stage.tally;
    tell(&format!(
        "kill points: {points}; double runs: {double_runs}, lost promotions: {lost}, half-undone environments: {half_undone}"
    ));
    assert_eq!((*double_runs, *lost, *half_undone), (0, 0, 0));
    operator.kill();
}
