//! The order in which things are done: what may live without anybody's knowing comes first, then what somebody stole,
//! then what consumers need, then what is new.

use std::ops::ControlFlow;

use super::drain;
use super::guards::{Guard, Guards};
use super::prepare;
use super::state::{GenerationState, Rotation, StoreName};
use super::step::{Effect, Ending, Orders, Turn};

/// Either this is to be done, or nothing more in this pass, or the next rule has its say.
pub(super) type Say = ControlFlow<Option<Effect>>;

pub(super) fn decide(turn: &mut Turn<'_>) -> Option<Effect> {
    if turn.rotation.known.over || turn.orders.ending == Some(Ending::Orphan) {
        return None;
    }
    match rules(turn) {
        ControlFlow::Break(effect) => effect,
        ControlFlow::Continue(()) => None,
    }
}

fn rules(turn: &mut Turn<'_>) -> Say {
    drain::mark(turn);
    if !turn.guards.hold(Guard::CompromisedFirst) {
        prepare::found(turn)?;
        prepare::begin(turn)?;
    }
    drain::revoke(turn)?;
    prepare::found(turn)?;
    drain::revoke(turn)?;
    if turn.orders.ending.is_some() {
        return drain::remove(turn);
    }
    prepare::seek(turn)?;
    drain::replaced(turn)?;
    prepare::carry(turn)?;
    prepare::begin(turn)
}

/// Whether the object may go.
pub(super) fn ended(rotation: &Rotation, orders: &Orders, guards: Guards) -> bool {
    match orders.ending {
        None => false,
        Some(Ending::Orphan) => true,
        Some(Ending::Revoke) => {
            let gone = if guards.hold(Guard::EndRevokesAll) {
                rotation
                    .generations
                    .iter()
                    .all(|generation| !generation.may_live())
            } else {
                rotation.current().is_none()
            };
            let removed = |store: &StoreName| rotation.known.removed.contains(store);
            gone && orders.stores.iter().all(removed)
        }
    }
}

/// Reads the stores that this pass has not read. What cannot be read is left out.
pub(super) fn read_stores(turn: &Turn<'_>) -> Say {
    let known = &turn.rotation.known;
    let unread = turn
        .orders
        .stores
        .iter()
        .find(|store| !known.stores.contains_key(*store) && !known.unreadable.contains(*store));
    match unread {
        Some(store) => Say::Break(Some(Effect::Read { store: store.clone() })),
        None => Say::Continue(()),
    }
}

/// Lists what the issuer has, if this pass has not.
pub(super) fn list(turn: &Turn<'_>) -> Say {
    match turn.rotation.known.listed {
        Some(_) => Say::Continue(()),
        None => Say::Break(Some(Effect::List)),
    }
}

/// Whether every store was seen in this pass to hold one of these.
pub(super) fn every_store_holds(turn: &Turn<'_>, generations: &[u64]) -> bool {
    let holds = |store: &StoreName| {
        let held = turn.rotation.known.stores.get(store).copied().flatten();
        held.is_some_and(|number| generations.contains(&number))
    };
    let stores = &turn.orders.stores;
    if turn.guards.hold(Guard::EveryStore) {
        stores.iter().all(holds)
    } else {
        stores.first().is_none_or(holds)
    }
}

/// A store that is known to hold this generation.
pub(super) fn store_with(turn: &Turn<'_>, number: u64) -> Option<StoreName> {
    let known = &turn.rotation.known;
    let mut stores = turn.orders.stores.iter();
    stores
        .find(|store| known.stores.get(*store) == Some(&Some(number)) && !known.unreadable.contains(*store))
        .cloned()
}

/// Whether some store could not be read.
pub(super) fn some_store_is_dark(turn: &Turn<'_>) -> bool {
    let known = &turn.rotation.known;
    turn.orders
        .stores
        .iter()
        .any(|store| known.unreadable.contains(store))
}

/// The state of a generation that exists.
pub(super) fn set(turn: &mut Turn<'_>, number: u64, state: GenerationState) {
    if let Some(generation) = turn.rotation.generation_mut(number) {
        generation.state = state;
    }
}
