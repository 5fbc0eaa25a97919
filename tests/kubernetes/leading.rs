//! Who leads, who may write, and what happens when the leader dies.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use lockstep::kubernetes::{Elector, LONGEST_WRITE, Lost, unique_identity};
use lockstep_core::domain::ports::Permit as _;
use tokio::time::{Instant, timeout};

use crate::support::World;

fn elector(world: &World) -> Elector {
    Elector::new(
        world.client.clone(),
        &world.namespace,
        "lockstep",
        unique_identity("replica"),
    )
}

#[tokio::test]
async fn a_dead_leader_is_replaced_within_20_seconds_and_could_not_have_written_meanwhile() {
    let Some(world) = World::new().await else { return };
    let (first, second) = (elector(&world), elector(&world));
    first.lead().await;
    assert!(first.permit().check(LONGEST_WRITE).is_ok());
    assert!(second.permit().check(Duration::ZERO).is_err());

    // While the first renews the second waits, longer than a lease lasts.
    let renewing = timeout(Duration::from_secs(17), async {
        tokio::select! {
            lost = first.hold() => panic!("{lost}"),
            () = second.lead() => panic!("two lead"),
        }
    });
    assert!(renewing.await.is_err());
    assert!(first.permit().check(LONGEST_WRITE).is_ok());

    // Dropped in the middle, as a killed process would be.
    let died = Instant::now();
    timeout(Duration::from_secs(20), second.lead())
        .await
        .expect("taken over within 20 s");
    eprintln!("taken over after {:.1} s", died.elapsed().as_secs_f32());
    assert!(
        first.permit().check(Duration::ZERO).is_err(),
        "the old permit ended before the new one began"
    );
    assert!(second.permit().check(LONGEST_WRITE).is_ok());
    assert_eq!(first.hold().await, Lost::Expired);
    world.clean().await;
}

#[tokio::test]
async fn a_lease_given_back_is_taken_at_once() {
    let Some(world) = World::new().await else { return };
    let (first, second) = (elector(&world), elector(&world));
    first.lead().await;
    first.release().await;
    assert!(first.permit().check(Duration::ZERO).is_err());
    timeout(Duration::from_secs(5), second.lead()).await.unwrap();
    // Giving back what is no longer ours takes it from nobody.
    first.release().await;
    let lease = world.api::<Lease>().get("lockstep").await.unwrap();
    assert_eq!(
        lease.spec.unwrap().holder_identity.as_deref(),
        Some(second.identity())
    );
    world.clean().await;
}

#[tokio::test]
async fn of_two_that_reach_for_a_new_lease_one_gets_it() {
    let Some(world) = World::new().await else { return };
    let (first, second) = (elector(&world), elector(&world));
    let both = timeout(Duration::from_secs(5), async {
        tokio::join!(first.lead(), second.lead())
    });
    assert!(both.await.is_err(), "only one leads");
    let leading = [&first, &second]
        .iter()
        .filter(|elector| elector.permit().check(Duration::ZERO).is_ok())
        .count();
    assert_eq!(leading, 1);
    world.clean().await;
}
