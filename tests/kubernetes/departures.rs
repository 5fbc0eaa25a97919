//! Deletions that are remembered, and connections that learn of users who may count.

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use lockstep_core::api::{AccessBinding, DEPENDANTS_FINALIZER, FINALIZER, GerritConnection};
use lockstep_core::domain::ports::Cluster as _;
use serde_json::{Value, json};

use crate::support::{World, eventually};

fn uses_gerrit() -> Value {
    json!({"gerrit": [{"connectionRef": {"name": "gerrit"}, "group": {"name": "ml"}}]})
}

#[tokio::test]
async fn a_binding_that_is_gone_counts_for_a_while_if_it_held_something() {
    let Some(world) = World::new().await else { return };
    let followed = world.follow().await;
    let api = world.api::<AccessBinding>();
    let before = jiff::Timestamp::now()
        .checked_sub(jiff::SignedDuration::from_secs(60))
        .unwrap();
    let (ours, light) = (
        world.bind("ours", uses_gerrit()).await,
        world.bind("light", uses_gerrit()).await,
    );
    followed.see(&world.name("light")).await;
    followed.see(&world.name("ours")).await;
    followed.cluster.add_finalizer(&ours, FINALIZER).await.unwrap();
    for name in ["ours", "light"] {
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
    eventually("its deletion is seen", || {
        let binding = followed.store.bindings.get(&world.name("ours"))?;
        binding.metadata.deletion_timestamp.clone()
    })
    .await;
    followed.cluster.remove_finalizer(&ours, FINALIZER).await.unwrap();
    eventually("both are gone", || {
        let left = ["ours", "light"].map(|name| followed.store.bindings.get(&world.name(name)));
        left.iter().all(Option::is_none).then_some(())
    })
    .await;
    let found: Vec<_> = followed
        .cluster
        .deletions(before)
        .into_iter()
        .filter_map(|binding| binding.metadata.uid.clone())
        .filter(|uid| [&ours.uid, &light.uid].contains(&uid))
        .collect();
    assert_eq!(found, [ours.uid]);
    world.clean().await;
}

#[tokio::test]
async fn a_connection_without_a_finalizer_learns_of_every_user_and_one_with_it_of_none() {
    let Some(world) = World::new().await else { return };
    let mut followed = world.follow().await;
    let gerrit = world.name("gerrit");
    let connection: GerritConnection = serde_json::from_value(json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "GerritConnection", "metadata": {"name": "gerrit"},
        "spec": {"url": "https://gerrit.example.com", "auth": {"basic": {"secretRef": {"name": "gerrit"}}}},
    }))
    .unwrap();
    let connections = world.api::<GerritConnection>();
    connections
        .create(&PostParams::default(), &connection)
        .await
        .unwrap();
    followed.woken(&gerrit).await;
    // The first may be nobody who counts.
    world.bind("first", uses_gerrit()).await;
    followed.woken(&gerrit).await;
    world.bind("second", uses_gerrit()).await;
    followed.woken(&gerrit).await;

    let held = json!({"metadata": {"finalizers": [DEPENDANTS_FINALIZER]}});
    connections
        .patch("gerrit", &PatchParams::default(), &Patch::Merge(held))
        .await
        .unwrap();
    eventually("it holds", || {
        let connection = followed.store.gerrit_connections.get(&gerrit)?;
        connection.metadata.finalizers.clone()
    })
    .await;
    world.bind("third", uses_gerrit()).await;
    let marker = world.bind("marker", json!({})).await;
    let mut before = Vec::new();
    loop {
        let woken = followed.woken.recv().await.unwrap();
        if woken.name == world.name(&marker.name) {
            break;
        }
        before.push(woken.name);
    }
    assert!(!before.contains(&gerrit), "{before:?}");

    // While it goes it waits for the last who counts, whoever else names it.
    connections
        .delete("gerrit", &DeleteParams::default())
        .await
        .unwrap();
    followed.woken(&gerrit).await;
    world
        .api::<AccessBinding>()
        .delete("second", &DeleteParams::default())
        .await
        .unwrap();
    followed.woken(&gerrit).await;
    let free = json!({"metadata": {"finalizers": null}});
    connections
        .patch("gerrit", &PatchParams::default(), &Patch::Merge(free))
        .await
        .unwrap();
    world.clean().await;
}
