//! What an issuer is asked for while nothing goes wrong but the clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::state::{CredentialId, Fingerprint, GenerationState, Rotation, StoreName};
use super::step::after;
use super::{Effect, Issued, Orders, Seen, Slots, next};

const OVERLAP: u64 = 7_200;

/// An issuer and one store, and what the issuer was asked.
#[derive(Default)]
struct World {
    live: BTreeMap<CredentialId, Option<u64>>,
    store: Option<u64>,
    asked: Vec<&'static str>,
}

impl World {
    fn does(&mut self, effect: &Effect, orders: &mut Orders) -> Seen {
        match effect {
            Effect::List => {
                self.asked.push("list");
                return Seen::Listed(self.live.clone());
            }
            Effect::Mint { generation } => {
                self.asked.push("mint");
                let id = CredentialId(generation.to_string());
                self.live.insert(id.clone(), None);
                orders.held.insert(*generation);
                return Seen::Minted(Issued {
                    id,
                    fingerprint: Fingerprint(generation.to_string()),
                    expires: None,
                });
            }
            Effect::Prove { .. } => self.asked.push("prove"),
            Effect::Revoke { generation } => {
                self.asked.push("revoke");
                self.live.remove(&CredentialId(generation.to_string()));
            }
            Effect::Read { .. } => return Seen::Holds(self.store),
            Effect::Write { generation, .. } => self.store = Some(*generation),
            Effect::Remove { .. } => self.store = None,
            Effect::TakeBack { .. } | Effect::Restart { .. } => {}
        }
        Seen::Accepted
    }

    /// One pass from its beginning to its end; what the issuer was asked in it.
    fn pass(&mut self, rotation: &mut Rotation, due: bool, now: Timestamp) -> Vec<&'static str> {
        let mut orders = Orders {
            stores: vec![StoreName("secret/a".into())],
            restarts: false,
            due,
            overlap: OVERLAP,
            slots: Slots {
                limit: Some(5),
                labelled: false,
                exclusive: true,
            },
            compromised: BTreeSet::new(),
            patient: true,
            frozen: false,
            ending: None,
            held: BTreeSet::new(),
        };
        let (mut effect, mut seen) = (None, Seen::Pass);
        loop {
            let step = next(rotation.clone(), effect.as_ref(), seen, &orders, now);
            *rotation = step.rotation;
            orders.due &= rotation.coming().is_none();
            let Some(todo) = step.effect else {
                return std::mem::take(&mut self.asked);
            };
            seen = self.does(&todo, &mut orders);
            effect = Some(todo);
        }
    }
}

#[test]
fn a_rotation_asks_for_little_and_then_rests() {
    let (mut world, mut rotation) = (World::default(), Rotation::default());
    let begun = Timestamp::UNIX_EPOCH;
    assert_eq!(world.pass(&mut rotation, false, begun), ["list", "mint", "prove"]);
    assert!(rotation.is_at_rest(begun));

    let later = after(begun, 86_400);
    assert_eq!(world.pass(&mut rotation, true, later), ["list", "mint", "prove"]);
    assert_eq!(rotation.current().map(|one| one.number), Some(2));
    let over = after(later, 7_200);
    assert!(rotation.is_at_rest(later) && !rotation.is_at_rest(over));

    // Nothing is revoked before what took its place was seen to live, and gone is what is not listed any more.
    assert_eq!(world.pass(&mut rotation, false, over), ["list", "revoke", "list"]);
    assert!(rotation.is_at_rest(over));
    assert_eq!(world.pass(&mut rotation, false, over), ["list"]);
}

#[test]
fn nothing_rests_while_a_store_has_another_value_or_none_is_current() {
    let (mut world, mut rotation) = (World::default(), Rotation::default());
    let now = Timestamp::UNIX_EPOCH;
    assert!(!rotation.is_at_rest(now));
    world.pass(&mut rotation, false, now);
    let mut other = rotation.clone();
    other.known.stores.insert(StoreName("secret/b".into()), None);
    assert!(!other.is_at_rest(now));
    let mut coming = rotation.clone();
    coming.generations[0].state = GenerationState::Verified;
    assert!(!coming.is_at_rest(now));
}

#[test]
fn a_clock_that_jumps_mints_nothing_twice_and_revokes_nothing_early() {
    let (mut world, mut rotation) = (World::default(), Rotation::default());
    let begun = after(Timestamp::UNIX_EPOCH, 10 * 86_400);
    world.pass(&mut rotation, false, begun);
    let due = after(begun, 86_400);
    world.pass(&mut rotation, true, due);
    // Back to before either was minted, and on again: the one that drains has its overlap, by whatever clock.
    for now in [Timestamp::UNIX_EPOCH, begun, after(due, 7_199)] {
        assert_eq!(world.pass(&mut rotation, false, now), ["list"], "{now}");
        assert_eq!((world.live.len(), world.store), (2, Some(2)), "{now}");
    }
    // A year ahead its time is over. What is current stays, in the store and at the issuer.
    let ahead = after(due, 365 * 86_400);
    assert_eq!(
        world.pass(&mut rotation, false, ahead),
        ["list", "revoke", "list"]
    );
    for now in [ahead, due, Timestamp::UNIX_EPOCH] {
        assert_eq!(world.pass(&mut rotation, false, now), ["list"], "{now}");
    }
    assert_eq!((world.live.len(), world.store), (1, Some(2)));
    // One that is due while the clock stands before the birth of the current one is minted once.
    assert_eq!(world.pass(&mut rotation, true, begun), ["list", "mint", "prove"]);
    assert_eq!(world.pass(&mut rotation, false, begun), ["list"]);
    assert_eq!((world.live.len(), world.store), (2, Some(3)));
}
