//! Merges in a few projects side by side, in each one after the other, and how soon something comes of each.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::{GerritConnection, Promotion};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::common::operator::Operator;
use crate::common::results::rounded;
use crate::support::changes::{Change, Reviewed};
use crate::support::promoting::POLICY;
use crate::support::stack::stack;
use crate::support::team::Team;
use crate::support::{PATIENCE, eventually};

/// Projects that merge side by side.
const LANES: usize = 4;

/// Seconds from the answer to a submit.
#[derive(Clone, Copy, Debug)]
struct Taken {
    decision: f64,
    start: f64,
}

/// Merges so many changes; `told`: Gerrit posts each.
pub async fn measure(merges: usize, told: bool) -> Value {
    let operator = Operator::fresh().await;
    let sim = crate::support::sim::Sim::new(stack().unwrap());
    sim.control(
        reqwest::Method::POST,
        "settings",
        Some(json!({"taskSeconds": 0.1})),
    )
    .await;
    let lanes = join_all((0..LANES).map(|_| Lane::open(told))).await;
    let per_lane = merges.div_ceil(LANES);
    // Each in a task of its own: git is waited for where it is called, and must not stop the clocks of the others.
    let webhooks: Arc<str> = operator.webhooks().into();
    let lanes = lanes.into_iter().map(|lane| {
        let webhooks = webhooks.clone();
        tokio::spawn(async move { lane.merge(per_lane, &webhooks).await })
    });
    let taken = join_all(lanes).await.into_iter();
    let taken: Vec<Taken> = taken.flat_map(|taken| taken.unwrap()).collect();
    operator.stop().await;
    let of = |what: fn(&Taken) -> f64| {
        let mut all: Vec<f64> = taken.iter().map(what).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let (decision, start) = (of(|taken| taken.decision), of(|taken| taken.start));
    eprintln!("   decided after {decision:.2?} s\n   started after {start:.2?} s");
    json!({
        "merges": taken.len(),
        "decision_s_p50": rounded(share(&decision, 50)),
        "decision_s_p99": rounded(share(&decision, 99)),
        "start_s_p50": rounded(share(&start, 50)),
        "start_s_p99": rounded(share(&start, 99)),
    })
}

/// The value that so many of a hundred do not exceed.
fn share(sorted: &[f64], of_hundred: usize) -> f64 {
    sorted[(sorted.len() * of_hundred).div_ceil(100).max(1) - 1]
}

struct Lane {
    team: Reviewed,
    /// Where the operator is told of what is behind the connection.
    path: Option<String>,
}

impl Lane {
    async fn open(told: bool) -> Self {
        let team = Team::at(stack().unwrap(), "lane", None).await;
        let team = Reviewed::of(team, &["prod"]).await;
        let mut events = json!({"poll": "2s"});
        if told {
            events["webhook"] = json!({"publicUrl": "https://lockstep.example.com"});
        }
        team.hear(events).await;
        team.policy(&[team.code(), team.training()], json!({})).await;
        let path = if told {
            Some(
                eventually("the connection shows a path", PATIENCE, || async {
                    let connection: GerritConnection = team.all().get("gerrit").await.unwrap();
                    let status = connection.status.unwrap_or_default();
                    status.webhook_path.clone().ok_or_else(|| format!("{status:?}"))
                })
                .await,
            )
        } else {
            None
        };
        Self { team, path }
    }

    async fn merge(&self, merges: usize, webhooks: &str) -> Vec<Taken> {
        let mut taken = Vec::new();
        for number in 0..merges {
            let change = self.team.propose("train.py", &format!("print({number})\n"));
            self.team.approve(&change).await;
            self.team.verify(&change).await;
            self.team.submit(&change).await;
            let (merged, at) = (Instant::now(), Timestamp::now());
            if let Some(path) = &self.path {
                self.tell(webhooks, path, &change).await;
            }
            let decision = self.decided(&change, merged).await;
            let started = self.started(&change).await;
            let start = (started - at.as_millisecond()) as f64 / 1_000.0;
            taken.push(Taken { decision, start });
            self.team
                .until_promotion(&change, PromotionPhase::Succeeded)
                .await;
        }
        taken
    }

    /// What Gerrit posts when a branch has moved.
    async fn tell(&self, webhooks: &str, path: &str, change: &Change) {
        let event = json!({
            "refUpdate": {
                "oldRev": "0000000000000000000000000000000000000000", "newRev": change.commit,
                "refName": "refs/heads/prod", "project": self.team.project,
            },
            "type": "ref-updated", "eventCreatedOn": Timestamp::now().as_second(),
        });
        let answer = reqwest::Client::new()
            .post(format!("{webhooks}{path}"))
            .header("content-type", "application/json; charset=utf-8")
            .body(event.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 202);
    }

    /// Seconds until there is a verdict.
    async fn decided(&self, change: &Change, merged: Instant) -> f64 {
        let name = format!("{POLICY}.prod.{}.{}", change.number, &change.commit[..8]);
        let all = self.team.all::<Promotion>();
        loop {
            let found = all.get_opt(&name).await.unwrap();
            let status = found.and_then(|found| found.status);
            if status.is_some_and(|status| status.judged_at.is_some()) {
                return merged.elapsed().as_secs_f64();
            }
            assert!(
                merged.elapsed() < Duration::from_secs(PATIENCE),
                "{name} is not decided on"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// When its run started, by the clock of the workspace, which is this machine's: milliseconds.
    async fn started(&self, change: &Change) -> i64 {
        let job = self.team.job();
        eventually(&format!("{} runs", change.commit), PATIENCE, || async {
            let runs = self.team.sim.runs(&job).await;
            let ours = runs.iter().find(|run| {
                crate::support::workspace::parameter(run, "gerrit_revision") == Some(change.commit.as_str())
            });
            ours.and_then(|run| run["start_time"].as_i64())
                .ok_or_else(|| format!("{} runs", runs.len()))
        })
        .await
    }
}
