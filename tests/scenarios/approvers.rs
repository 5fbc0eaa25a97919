//! Whose word counts: where an approval lies, by whatever name its approver is known; and what nobody has to be asked
//! about.

use std::sync::atomic::{AtomicU32, Ordering};

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use lockstep_core::api::{AccessBinding, CHANGED_BY, GerritConnection, PlanApproval};
use serde_json::{Value, json};

use crate::support::approvals::{install, protect};
use crate::support::team::Team;
use crate::support::waiting::{digest, uid};
use crate::support::world::{manager, strip};
use crate::support::{PATIENCE, becomes, eventually, operator};

/// Somebody with every right in Kubernetes approves in their own name, in any namespace.
async fn say(team: &Team, home: &str, user: &str, plan_ref: Value, digest: &str) {
    let name: String = user
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let body: PlanApproval = serde_json::from_value(json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "PlanApproval", "metadata": {"name": name},
        "spec": {"planRef": plan_ref, "digest": digest, "approver": user, "reason": "the scenario wants it"},
    }))
    .unwrap();
    let api: Api<PlanApproval> = Api::namespaced(team.stack.kube_as(Some(user)).await, home);
    api.create(&PostParams::default(), &body).await.unwrap();
}

fn plan_of(binding: &AccessBinding, namespace: &str) -> Value {
    json!({"kind": "AccessBinding", "namespace": namespace, "name": binding.name_any(), "uid": uid(binding)})
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_who_gains_by_another_name_nor_who_has_no_say_here_releases_a_plan() {
    let Some(team) = Team::new("whosays").await else {
        return;
    };
    let elsewhere = Team::new("elsewhere").await.unwrap();
    protect(&team).await;
    let mut numbers = team.people(&["ada", "ben", "cy", "dee"]).await;
    let mallory = team.person("mallory").await;
    let second = team.email("second");
    team.gerrit.give_email(mallory, &second).await;
    let group = team.name("crew");
    team.bind_gerrit("crew", &["ada", "ben", "cy", "dee"], json!({}), json!({}))
        .await;
    team.until("crew", "Ready", "True").await;

    // Two go, and one comes who is written as nobody.
    let ghost = json!({"members": [
        {"person": {"email": team.email("ada")}}, {"person": {"email": team.email("ben")}},
        {"person": {"email": team.email("ghost"), "gerritAccount": team.name("mallory")}},
    ]});
    team.bind_gerrit("crew", &[], json!({}), ghost).await;
    let binding = team.until("crew", "Blocked", "True").await;
    let asked = digest(&binding);
    // Somebody who may approve in a namespace of their own, and writes whatever helps.
    for says in [&elsewhere.prefix, &team.prefix] {
        let user = format!("outsider-{says}@example.com");
        say(&team, &elsewhere.prefix, &user, plan_of(&binding, says), &asked).await;
    }
    let first = team.email("mallory");
    for user in [first.as_str(), &second, "system:serviceaccount:ci:deployer"] {
        say(&team, &team.prefix, user, plan_of(&binding, &team.prefix), &asked).await;
    }
    team.until_message(
        "crew",
        "Blocked",
        &[
            &format!("{first} would gain"),
            &format!("{second} would gain"),
            "system:serviceaccount:ci:deployer is an identity of the cluster",
        ],
    )
    .await;
    team.pass("crew").await;
    assert_eq!(team.gerrit.members(&group).await, Some(numbers.clone()));

    team.approve(&binding).await;
    numbers.truncate(2);
    numbers.push(mallory);
    becomes("the lead's yes counts", Some(numbers), || {
        team.gerrit.members(&group)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changed_the_spec_does_not_abandon_what_it_gave() {
    // Elsewhere others have connections to the same server, and any of them may take back what was given.
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let team = Team::of(&operator, "abandoner", None).await;
    install(team.stack).await;
    operator.start_afresh().await;
    team.person("ada").await;
    let author = "author@example.com";
    let theirs: Api<AccessBinding> = Api::namespaced(team.stack.kube_as(Some(author)).await, &team.prefix);
    let attempts = AtomicU32::new(0);
    // A policy takes a moment to be in force.
    eventually("the change is stamped with its author", PATIENCE, || async {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed).to_string();
        let spec = team.gerrit_spec("crew", &["ada"], json!({"description": attempt}));
        let body = json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "AccessBinding", "metadata": {"name": "crew"}, "spec": spec,
        });
        let applied = theirs.patch("crew", &manager(), &Patch::Apply(&body)).await;
        let applied = applied.map_err(|error| error.to_string())?;
        let stamp = applied.annotations().get(CHANGED_BY).cloned();
        (stamp.as_deref() == Some(author)).then_some(()).ok_or_else(|| format!("{stamp:?}"))
    })
    .await;
    team.until("crew", "Ready", "True").await;
    team.all::<GerritConnection>()
        .delete("gerrit", &DeleteParams::default())
        .await
        .unwrap();
    team.strip::<GerritConnection>("gerrit").await;
    // While the operator still knows it, it takes back through it.
    team.until_message("crew", "Ready", &["does not exist"]).await;
    team.go("crew").await;
    let message = team.until_reason("crew", "Ready", "RevokeWaiting").await;
    let at = message.find("sha256:").unwrap();
    let asked = &message[at..at + 71];
    let binding = team.bindings().get("crew").await.unwrap();
    say(
        &team,
        &team.prefix,
        author,
        plan_of(&binding, &team.prefix),
        asked,
    )
    .await;
    let refused = ["not released", "author@example.com changed the spec"];
    team.until_message("crew", "Ready", &refused).await;
    team.approve_in(&team.prefix, &binding, asked).await;
    team.gone("crew").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_one_after_another_are_a_flood_as_well() {
    let Some(team) = Team::new("drip").await else {
        return;
    };
    protect(&team).await;
    let ada = team.person("ada").await;
    let names: Vec<String> = (0..7).map(|at| format!("crew-{at}")).collect();
    for name in &names {
        team.bind_gerrit(name, &["ada"], json!({}), json!({})).await;
    }
    for name in &names {
        team.until(name, "Ready", "True").await;
    }
    // As a tool that prunes does: the next is deleted when the last is gone.
    for name in &names[..5] {
        team.delete(name).await;
    }
    team.go("crew-5").await;
    team.until_message(
        "crew-5",
        "Blocked",
        &["MassDeletion", "6 of the connection's 7 bindings"],
    )
    .await;
    assert_eq!(team.gerrit.members(&team.name("crew-5")).await, Some(vec![ada]));
    let binding = team.bindings().get("crew-5").await.unwrap();
    team.approve(&binding).await;
    team.gone("crew-5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_entry_neither_pins_a_connection_nor_thins_out_a_flood() {
    let Some(owner) = Team::new("pinned").await else {
        return;
    };
    let stranger = Team::new("pinner").await.unwrap();
    stranger.person("ada").await;
    let mut spec = stranger.gerrit_spec("crew", &["ada"], json!({}));
    spec["gerrit"][0]["connectionRef"] = json!({"name": "gerrit", "namespace": owner.prefix});
    // Enough of them that six deletions would be no fifth of all.
    for at in 0..30 {
        let _: AccessBinding = stranger
            .apply("AccessBinding", &format!("crew-{at}"), &spec)
            .await;
    }
    stranger.until_reason("crew-29", "Stalled", "NotAllowed").await;

    owner.person("ada").await;
    let names: Vec<String> = (0..6).map(|at| format!("crew-{at}")).collect();
    for name in &names {
        owner.bind_gerrit(name, &["ada"], json!({}), json!({})).await;
    }
    for name in &names {
        owner.until(name, "Ready", "True").await;
    }
    for name in &names {
        owner.go(name).await;
    }
    owner
        .until_message(
            "crew-5",
            "Blocked",
            &["MassDeletion", "6 of the connection's 6 bindings"],
        )
        .await;
    // The first may be gone already; the others are let go without ado.
    for name in &names {
        let _ = strip(&owner.bindings(), name).await;
    }
    for name in &names {
        owner.gone(name).await;
    }

    let connections = owner.all::<GerritConnection>();
    let asked = json!({"metadata": {"annotations": {"lockstep.dev/requested-at": "now"}}});
    connections
        .patch("gerrit", &PatchParams::default(), &Patch::Merge(asked))
        .await
        .unwrap();
    eventually("nobody holds the connection", PATIENCE, || async {
        let connection = connections.get("gerrit").await.map_err(|e| e.to_string())?;
        let status = connection.status.clone().unwrap_or_default();
        let looked = status.last_handled_request.as_deref() == Some("now");
        (looked && connection.finalizers().is_empty())
            .then_some(())
            .ok_or_else(|| format!("{looked} {:?}", connection.finalizers()))
    })
    .await;
    connections
        .delete("gerrit", &DeleteParams::default())
        .await
        .unwrap();
    eventually("the connection is gone", PATIENCE, || async {
        match connections.get_opt("gerrit").await.map_err(|e| e.to_string())? {
            None => Ok(()),
            Some(connection) => Err(format!("{:?}", connection.status.map(|s| s.conditions))),
        }
    })
    .await;
}
