//! Many credentials that fall due in the same second: spread, within the budget of their connection, and none is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::ListParams;
use lockstep_core::api::ServiceCredential;
use serde_json::json;
use tokio::time::Instant;

use crate::support::gate::Gate;
use crate::support::sim::Apart;
use crate::support::stack::stack;
use crate::support::sweeping::tell;
use crate::support::team::{Team, host};
use crate::support::world::{APPLICATION, CLIENT_SECRET};
use crate::support::{becomes, eventually};

/// How many, how often they fall due, and what their connection may ask of Databricks.
struct Crowd {
    count: usize,
    minutes: i64,
    per_second: usize,
    /// Seconds.
    patience: u64,
}

fn application(number: usize) -> String {
    format!("00000000-0000-4000-a000-{number:012x}")
}

impl Crowd {
    /// A connection with this budget, behind the gate.
    async fn connect(&self, team: &Team, gate: &Gate) {
        let url = gate.open(team.sim.url()).await;
        let login = json!({"clientId": APPLICATION, "clientSecret": CLIENT_SECRET});
        team.secret("crowd", &host(&url), &login).await;
        let more = json!({
            "host": url, "account": {"host": url, "id": team.sim.account},
            "auth": {"oauthSecret": {"secretRef": {"name": "crowd"}}},
            "limits": {"requestsPerSecond": self.per_second},
            "tenants": [{
                "namespaces": {"names": [team.prefix]}, "uses": ["Rotation"], "reach": {"servicePrincipals": ["*"]},
            }],
        });
        team.connect_databricks("crowd", more).await;
        let principals: Vec<_> = (0..self.count)
            .map(|number| json!({"applicationId": application(number), "displayName": format!("crowd-{number}")}))
            .collect();
        team.sim.seed(json!({"servicePrincipals": principals})).await;
    }

    async fn declare(&self, team: &Team) {
        for numbers in (0..self.count).collect::<Vec<_>>().chunks(16) {
            let declared = numbers.iter().map(|number| async move {
                let name = format!("crowd-{number}");
                let spec = json!({
                    "mode": "Enforce", "interval": "10m", "overlap": "3s", "exclusive": true,
                    "schedule": {"cron": format!("*/{} * * * *", self.minutes)},
                    "issuer": {"databricksServicePrincipal": {
                        "connectionRef": {"name": "crowd"}, "applicationId": application(*number), "lifetime": "30d",
                    }},
                    "stores": [{"kubernetesSecret": {"name": name, "keys": {"value": "client_secret"}}}],
                });
                let _: ServiceCredential = team.apply("ServiceCredential", &name, &spec).await;
            });
            join_all(declared).await;
        }
    }

    /// Waits until each uses a value that was minted since.
    async fn until_minted_since(&self, team: &Team, since: Timestamp) -> Vec<ServiceCredential> {
        let what = format!("all {} have a value since {since}", self.count);
        eventually(&what, self.patience, || async {
            let all = team
                .all::<ServiceCredential>()
                .list(&ListParams::default())
                .await
                .unwrap()
                .items;
            let done = |one: &&ServiceCredential| {
                let minted = one.status.as_ref().and_then(|status| status.minted_at);
                minted.is_some_and(|minted| minted >= since)
            };
            let count = all.iter().filter(done).count();
            if count == self.count {
                Ok(all)
            } else {
                Err(format!("{count} of {}", all.len()))
            }
        })
        .await
    }

    async fn falls_due(&self, word: &str) {
        let Some(stack) = stack() else { return };
        let apart = Apart::start(stack).await;
        let Some(team) = Team::with(word, &apart).await else {
            return;
        };
        let gate = Gate::default();
        self.connect(&team, &gate).await;
        let began = Timestamp::now();
        self.declare(&team).await;
        let all = self.until_minted_since(&team, began).await;
        // The same start of the clock for all, and not the same second.
        let dues: BTreeSet<i64> = all
            .iter()
            .filter_map(|one| Some(one.status.as_ref()?.next_rotation?.as_second()))
            .collect();
        assert!(dues.len() > 2, "{dues:?}");
        let gap = self.minutes * 60;
        assert!(dues.iter().all(|due| due % gap <= gap / 20), "{dues:?}");
        // Some may have met the next start already.
        let start = dues.last().unwrap() / gap * gap;

        let samples = self
            .watch(&team, &gate, Timestamp::from_second(start).unwrap())
            .await;
        self.kept_to_the_budget(&samples);
        let asked = samples.last().unwrap().1 - samples[0].1;
        let took = samples.last().unwrap().0 - samples[0].0;
        tell(&format!(
            "{} credentials due in the same second: {asked} requests in {} s of at most {} per second",
            self.count,
            took.as_secs(),
            self.per_second
        ));
        self.everybody_is_let_in(&team).await;
    }

    /// How many requests had arrived when, until everybody has a value that was minted since.
    async fn watch(&self, team: &Team, gate: &Gate, since: Timestamp) -> Vec<(Instant, usize)> {
        let mut samples = vec![(Instant::now(), gate.requests())];
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let mut over = std::pin::pin!(self.until_minted_since(team, since));
        loop {
            tokio::select! {
                _ = &mut over => return samples,
                _ = ticks.tick() => samples.push((Instant::now(), gate.requests())),
            }
        }
    }

    /// Between any two looks no more was asked than the budget allows, with what a second's allowance may save up.
    fn kept_to_the_budget(&self, samples: &[(Instant, usize)]) {
        let allowance = self.per_second;
        for (at, (from, before)) in samples.iter().enumerate() {
            for (until, after) in &samples[at..] {
                let seconds = usize::try_from((*until - *from).as_millis()).unwrap();
                let most = allowance * seconds / 1_000 + 2 * allowance;
                assert!(
                    after - before <= most,
                    "{} requests in {seconds} ms",
                    after - before
                );
            }
        }
    }

    /// What lies in each Secret is let in, and every secret that lives is one that a status knows.
    async fn everybody_is_let_in(&self, team: &Team) {
        let all = team.all::<ServiceCredential>().list(&ListParams::default()).await;
        for one in &all.unwrap().items {
            let name = one.name_any();
            let number: usize = name.trim_start_matches("crowd-").parse().unwrap();
            let secret = team.held(&name).await.unwrap()["client_secret"].clone();
            assert!(team.sim.lets_in(&application(number), &secret).await, "{name}");
        }
        // What was minted a moment ago is written down in the next.
        becomes("every secret that lives is known", Vec::<String>::new(), || {
            self.unknown(team)
        })
        .await;
    }

    /// Secrets that live and that no status knows.
    async fn unknown(&self, team: &Team) -> Vec<String> {
        let live = team.sim.snapshot().await["credentials"]["secrets"].clone();
        let all = team.all::<ServiceCredential>().list(&ListParams::default()).await;
        let known: BTreeSet<String> = all
            .unwrap()
            .items
            .into_iter()
            .flat_map(|one| one.status.unwrap_or_default().generations.unwrap_or_default())
            .filter_map(|row| row.id)
            .collect();
        let ours = |row: &serde_json::Value| {
            row["servicePrincipal"]
                .as_str()
                .unwrap()
                .contains("0000-4000-a000-")
        };
        let rows = live.as_object().unwrap().iter();
        rows.filter(|(id, row)| ours(row) && !known.contains(*id))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_that_fall_due_in_the_same_second_are_spread_and_keep_to_the_budget() {
    let crowd = Crowd {
        count: 60,
        minutes: 1,
        per_second: 20,
        patience: 240,
    };
    crowd.falls_due("sixty").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "many minutes: make sweep"]
async fn sweep_five_hundred_that_fall_due_in_the_same_second() {
    let crowd = Crowd {
        count: 500,
        minutes: 5,
        per_second: 100,
        patience: 900,
    };
    crowd.falls_due("crowd").await;
}
