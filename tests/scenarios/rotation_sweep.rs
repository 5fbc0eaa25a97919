//! The kill sweep over rotations: SIGKILL right after each outward write of create, rotate, compromise and delete with two
//! stores, a Kubernetes Secret and Vault: writes at the issuer and in either store. Whatever the moment: no credential
//! lives that the status does not know, and no consumer ever reads one that the issuer refuses, but in the gap that
//! whoever calls a value stolen asks for.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::api::DeleteParams;
use lockstep_core::api::ServiceCredential;
use lockstep_core::api::{COMPROMISED, ROTATE};
use serde_json::json;

use crate::support::becomes;
use crate::support::gate::Gate;
use crate::support::keeping::Vault;
use crate::support::operator::{self, Operator};
use crate::support::rotating::Consumer;
use crate::support::sweeping::tell;
use crate::support::team::Team;

/// What went wrong at the points so far.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    points: usize,
    /// Live credentials that no status knew when all was quiet.
    unknown: usize,
    /// Logins of consumers that were refused.
    refused: usize,
    logins: usize,
}

/// One telling of the story: create, rotate, compromise, delete.
struct Telling<'a> {
    team: Arc<Team>,
    gate: Gate,
    vault: Vault,
    path: String,
    operator: &'a mut Operator,
    killed: usize,
    tally: &'a mut Tally,
}

/// Tells it, killing once after this write; the number of writes.
async fn story(operator: &mut Operator, kill_at: Option<usize>, tally: &mut Tally) -> usize {
    let gate = Gate::default();
    let team = Arc::new(Team::of(operator, "rotsweep", Some(&gate)).await);
    team.may_rotate().await;
    let vault = Vault::of(team.stack);
    let url = gate.open(&vault.url).await;
    team.vault_by_token("vault", &vault, &url).await;
    let cluster = gate.open_cluster(operator.stack.kube().await).await;
    operator.reach_by(&cluster);
    if let Some(write) = kill_at {
        gate.hold_after(write);
    }
    operator.start_afresh().await;
    let mut telling = Telling {
        path: format!("{}/ci", team.prefix),
        vault,
        team,
        gate,
        operator,
        killed: 0,
        tally,
    };
    Box::pin(telling.tell()).await;
    let Telling {
        gate,
        operator,
        killed,
        ..
    } = telling;
    operator.kill();
    assert_eq!(killed, usize::from(kill_at.is_some()), "write {kill_at:?}");
    gate.writes()
}

impl Telling<'_> {
    async fn tell(&mut self) {
        let team = self.team.clone();
        let there = (self.vault.clone(), self.path.clone());
        let mut spec = team.token_spec("ci");
        spec["stores"] = json!([
            {"kubernetesSecret": {"name": "ci", "keys": {"value": "token"}}},
            {"credentialStore": {"ref": {"name": "vault"}, "path": self.path, "keys": {"value": "token"}}},
        ]);
        let _: ServiceCredential = team.apply("ServiceCredential", "ci", &spec).await;
        self.settle(Self::current(&team, &there, None)).await;
        let first = self.number().await;
        self.nothing_is_unknown().await;

        let (by, vault, path) = (team.clone(), self.vault.clone(), self.path.clone());
        let in_vault = Consumer::reading(&team, move || {
            let (vault, path) = (vault.clone(), path.clone());
            async move { vault.held(&path).await }
        });
        let consumers = [Consumer::of(&by, "ci"), in_vault];
        team.annotate_credential("ci", ROTATE, "1").await;
        self.settle(Self::current(&team, &there, Some(first))).await;
        self.settle(Self::only_one_lives(&team)).await;
        for consumer in consumers {
            let (logins, refused) = consumer.end().await;
            self.tally.logins += logins;
            self.tally.refused += refused;
        }
        self.nothing_is_unknown().await;

        let second = self.number().await;
        let stolen = team.held("ci").await.unwrap()["token"].clone();
        team.annotate_credential("ci", COMPROMISED, &second.to_string())
            .await;
        self.settle(Self::current(&team, &there, Some(second))).await;
        self.settle(Self::only_one_lives(&team)).await;
        assert!(!team.gerrit_lets_in(&stolen).await);
        self.nothing_is_unknown().await;

        team.all::<ServiceCredential>()
            .delete("ci", &DeleteParams::default())
            .await
            .unwrap();
        self.settle(async {
            becomes("it is gone", true, || async {
                team.all::<ServiceCredential>()
                    .get_opt("ci")
                    .await
                    .unwrap()
                    .is_none()
            })
            .await;
        })
        .await;
        self.tally.unknown += team.tokens().await.len();
        assert_eq!(team.held("ci").await, None);
        assert!(!self.vault.knows(&self.path).await);
    }

    async fn number(&self) -> u64 {
        let found = self.team.all::<ServiceCredential>().get("ci").await.unwrap();
        found.status.unwrap().current.unwrap()
    }

    /// Another generation than this one is current, and works from both stores.
    async fn current(team: &Team, (vault, path): &(Vault, String), not: Option<u64>) {
        let looks = becomes("the next generation is current everywhere", true, || async {
            let found = team.all::<ServiceCredential>().get("ci").await.unwrap();
            let status = found.status.unwrap_or_default();
            let (one, other) = (team.held("ci").await, vault.held(path).await);
            let (Some(one), Some(other)) = (one, other) else {
                return false;
            };
            // A place in Vault is claimed before a value lies there.
            let both = one.get("token") == other.get("token") && team.gerrit_lets_in(&one["token"]).await;
            status.current.is_some() && status.current != not && both
        });
        Box::pin(looks).await;
    }

    async fn only_one_lives(team: &Team) {
        becomes("only the current one lives", 1, || async {
            team.tokens().await.len()
        })
        .await;
        becomes("only the current one lies in the Secret", false, || async {
            let held = team.held("ci").await;
            held.is_some_and(|held| held.contains_key("previous.token"))
        })
        .await;
    }

    /// Every token that Gerrit lists is one that the status knows.
    async fn nothing_is_unknown(&mut self) {
        let found = self.team.all::<ServiceCredential>().get("ci").await.unwrap();
        let rows = found.status.unwrap_or_default().generations.unwrap_or_default();
        let known: BTreeSet<String> = rows.into_iter().filter_map(|row| row.id).collect();
        let live = self.team.tokens().await;
        self.tally.unknown += live.iter().filter(|id| !known.contains(*id)).count();
    }

    /// Waits until the chapter is over, killing and restarting the operator when the gate holds.
    async fn settle(&mut self, over: impl Future<Output = ()>) {
        let mut over = std::pin::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                () = self.gate.held() => {
                    tell(&format!("    killed right after {}", self.gate.last_write()));
                    self.operator.kill();
                    self.killed += 1;
                    self.gate.release();
                    self.operator.start_afresh().await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_a_rotation_nobody_notices() {
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let mut tally = Tally::default();
    let writes = story(&mut operator, None, &mut tally).await;
    tell(&format!("kill points: {writes}"));
    // The mint of the rotation, after five writes that brought the first value: what it made has a value that nobody knows.
    story(&mut operator, Some(6), &mut tally).await;
    assert_eq!((tally.unknown, tally.refused), (0, 0), "{tally:?}");
    assert!(tally.logins > 20, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "many minutes: make sweep"]
async fn sweep_killed_after_each_write_of_a_rotation_nobody_notices() {
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let mut tally = Tally::default();
    let writes = story(&mut operator, None, &mut tally).await;
    for write in 1..=writes {
        story(&mut operator, Some(write), &mut tally).await;
        tally.points += 1;
        tell(&format!("killed after write {write} of {writes}: {tally:?}"));
    }
    tell(&format!(
        "{} kill points, {} credentials unknown to status, {} of {} logins refused",
        tally.points, tally.unknown, tally.refused, tally.logins
    ));
    assert_eq!((tally.unknown, tally.refused), (0, 0), "{tally:?}");
}
