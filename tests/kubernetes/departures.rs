//! Deletions that are remembered, and connections that learn of users who may count.

use kube::api::{DeleteParams, Patch, PatchParams};
use lockstep_core::api::{AccessBinding, DEPENDANTS_FINALIZER, FINALIZER};
use lockstep_core::domain::ports::Cluster as _;
use serde_json::json;

use crate::support::{World, claims, eventually};

#[tokio::test]
async fn a_binding_that_is_gone_counts_for_a_while_if_it_held_something() {
    let Some(world) = World::new().await else { return };
    let followed = world.follow().await;
    let api = world.api::<AccessBinding>();
    let before = jiff::Timestamp::now()
        .checked_sub(jiff::SignedDuration::from_secs(60))
        .unwrap();
    let (ours, light) = (
        world.bind("ours", claims("ml")).await,
        world.bind("light", claims("ml")).await,
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
    let connections = world.connect().await;
    followed.woken(&gerrit).await;
    // The first may be nobody who counts.
    world.bind("first", claims("ml")).await;
    followed.woken(&gerrit).await;
    world.bind("second", claims("ml")).await;
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
    world.bind("third", claims("ml")).await;
    world.bind("marker", json!({})).await;
    let before = followed.woken_before(&world.name("marker")).await;
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
