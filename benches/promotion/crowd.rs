//! Many policies on a few projects: what Gerrit is asked while nothing happens, and what their history weighs.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use kube::api::{Patch, PatchParams, PostParams};
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::{Promotion, PromotionPolicy};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::common::operator::Operator;
use crate::common::results::rounded;
use crate::support::changes::Reviewed;
use crate::support::eventually;
use crate::support::gate::Gate;
use crate::support::gerrit::encode;
use crate::support::promoting::POLICY;
use crate::support::stack::stack;
use crate::support::team::Team;

/// Requests under way at once.
const AT_ONCE: usize = 16;
/// Seconds between two looks.
const POLL: u64 = 2;

pub async fn measure([projects, branches, kept]: [usize; 3], idle_s: u64) -> Value {
    let operator = Operator::fresh().await;
    let gate = Gate::default();
    let team = Team::at(stack().unwrap(), "crowd", Some(&gate)).await;
    let team = Reviewed::of(team, &["prod"]).await;
    team.hear(json!({"poll": format!("{POLL}s")})).await;
    // One that runs, as a pattern for the others.
    team.policy(&[team.code(), team.training()], json!({})).await;
    let change = team.merge("train.py", "print('a pattern')\n").await;
    let pattern = team.until_promotion(&change, PromotionPhase::Succeeded).await;
    let policies = declare(&team, projects, branches, kept).await;
    let begun = Instant::now();
    eventually("all policies are followed", 1_800, || async {
        let all = team.all::<PromotionPolicy>();
        let listed = all.list(&kube::api::ListParams::default()).await.unwrap();
        let followed = listed.items.iter().filter(|policy| {
            let rows = policy
                .status
                .as_ref()
                .and_then(|status| status.environments.as_ref());
            rows.is_some_and(|rows| rows.iter().all(|row| row.baseline.is_some()))
        });
        let followed = followed.count();
        (followed > policies.len())
            .then_some(())
            .ok_or_else(|| format!("{followed}"))
    })
    .await;
    eprintln!(
        "   {} policies followed after {:.0} s",
        policies.len(),
        begun.elapsed().as_secs_f64()
    );
    // Whatever they look up at first is done after a few polls.
    sleep(Duration::from_secs(10 * POLL)).await;
    let before = gate.requests();
    sleep(Duration::from_secs(idle_s)).await;
    let calls = calls(&gate, before);
    for (call, count) in &calls {
        eprintln!("   {count:>6} {call}");
    }
    let requests: usize = calls.values().sum();
    let polls = idle_s as f64 / POLL as f64;
    let per_poll = requests as f64 / polls;
    eprintln!("   {requests} requests in {polls} polls");
    operator.stop().await;

    let promotions = remember(&team, &policies, &pattern, kept).await;
    let operator = Operator::start().await;
    operator.until_all_seen().await;
    let (peak, seen) = (operator.peak_mb(), operator.started.elapsed().as_secs_f64());
    eprintln!("   {promotions} finished promotions seen after {seen:.1} s, {peak:.1} MB");
    operator.stop().await;
    json!({
        "gerrit_requests_per_poll": rounded(per_poll),
        "history": {"promotions": promotions, "seen_s": rounded(seen), "rss_mb": rounded(peak)},
    })
}

/// Calls of Gerrit that arrived after so many arrivals.
fn calls(gate: &Gate, before: usize) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for arrival in gate.arrivals().into_iter().skip(before) {
        // Both systems are behind the gate; what is Gerrit's begins with its sign of being logged in.
        if arrival.path.starts_with("/a/") {
            *calls
                .entry(format!("{} {}", arrival.method, arrival.path))
                .or_default() += 1;
        }
    }
    calls
}

/// Projects that inherit the team's rules, and a policy for each of their branches.
async fn declare(team: &Reviewed, projects: usize, branches: usize, kept: usize) -> Vec<PromotionPolicy> {
    let names: Vec<String> = (0..branches).map(|branch| format!("b{branch}")).collect();
    let places = (0..projects).flat_map(|project| names.iter().map(move |branch| (project, branch.clone())));
    for project in 0..projects {
        let path = format!("/projects/{}", encode(&team.name(&format!("p{project}"))));
        let body = json!({"parent": team.project, "create_empty_commit": true, "branches": names});
        team.admin(Method::PUT, &path, body).await;
    }
    stream::iter(places)
        .map(|(project, branch)| async move {
            let name = format!("p{project}-{branch}");
            let code = json!({"name": "code", "files": {
                "path": format!("/Workspace/{}/{name}/${{revision}}", team.prefix),
            }});
            let environment = team.environment("prod", json!({"branch": branch}));
            let more = json!({
                "gerrit": {"project": team.name(&format!("p{project}"))},
                "environments": [environment], "history": {"keep": kept},
            });
            let spec = team.policy_spec(&[code], more);
            team.apply::<PromotionPolicy>("PromotionPolicy", &name, &spec)
                .await
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

/// Gives every policy so many promotions like the pattern; how many there are then.
async fn remember(team: &Reviewed, policies: &[PromotionPolicy], pattern: &Promotion, kept: usize) -> usize {
    let all = team.all::<Promotion>();
    let text = json!(pattern).to_string();
    let of_policy = |policy: &PromotionPolicy, number: usize| {
        let name = policy.metadata.name.clone().unwrap();
        let commit = format!("{:08x}{:032x}", number, name.len());
        let position = i64::try_from(number).unwrap() + 1;
        let change = 100_000 + position;
        let old = pattern.spec.deploy.as_ref().unwrap();
        let text = text
            .replace(&old.revision, &commit)
            .replace(&old.revision[..8], &commit[..8])
            .replace(
                &format!("{POLICY}.prod.{}", old.change),
                &format!("{name}.prod.{change}"),
            );
        let mut made: Promotion = serde_json::from_str(&text).unwrap();
        let meta = &mut made.metadata;
        meta.resource_version = None;
        meta.uid = None;
        meta.managed_fields = None;
        meta.labels = meta.labels.take().map(|mut labels| {
            labels.insert(lockstep_core::api::POLICY_LABEL.to_owned(), name.clone());
            labels
        });
        for owner in meta.owner_references.iter_mut().flatten() {
            owner.name.clone_from(&name);
            owner.uid = policy.metadata.uid.clone().unwrap();
        }
        made.spec.policy_ref.name.clone_from(&name);
        if let Some(deploy) = &mut made.spec.deploy {
            (deploy.change, deploy.position) = (change, position);
        }
        made
    };
    let wanted = policies
        .iter()
        .flat_map(|policy| (0..kept).map(move |number| (policy, number)));
    stream::iter(wanted)
        .map(|(policy, number)| {
            let (all, made) = (all.clone(), of_policy(policy, number));
            async move {
                let name = made.metadata.name.clone().unwrap();
                let status = json!({"status": made.status});
                all.create(&PostParams::default(), &made).await.unwrap();
                all.patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
                    .await
                    .unwrap();
            }
        })
        .buffer_unordered(AT_ONCE)
        .count()
        .await
}
