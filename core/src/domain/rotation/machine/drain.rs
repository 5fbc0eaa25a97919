//! How a generation goes: it lives on for the overlap, is revoked at the issuer, and is gone when the issuer lists it no
//! more.

use super::decide::{self, Say};
use super::guards::Guard;
use super::state::{GenerationState, Why};
use super::step::{Effect, SETTLE, Turn, after};

/// Marks what is to go at once: what somebody stole, and everything when the object goes.
pub(super) fn mark(turn: &mut Turn<'_>) {
    let ending = turn.orders.ending.is_some();
    let every = turn.guards.hold(Guard::EndRevokesAll);
    for generation in &mut turn.rotation.generations {
        let stolen = turn.orders.compromised.contains(&generation.number);
        match &generation.state {
            GenerationState::Planned { sent: None, .. } if ending => {
                generation.state = GenerationState::NeverMinted;
            }
            GenerationState::Planned { .. }
            | GenerationState::Revoking { .. }
            | GenerationState::Revoked(_)
            | GenerationState::NeverMinted => {}
            GenerationState::Current if ending || stolen => {
                generation.state = going(stolen);
            }
            _ if stolen || (ending && every) => generation.state = going(stolen),
            _ => {}
        }
    }
}

fn going(stolen: bool) -> GenerationState {
    GenerationState::Revoking {
        why: if stolen { Why::Compromised } else { Why::Deleted },
        asked: None,
    }
}

/// Has the issuer revoke what is to go, and looks whether it is gone. An issuer that refuses does not keep consumers
/// from their new value.
pub(super) fn revoke(turn: &mut Turn<'_>) -> Say {
    let ask = turn.rotation.generations.iter().find(|generation| {
        matches!(generation.state, GenerationState::Revoking { asked: None, .. })
            && !turn.rotation.known.tried.contains(&generation.number)
    });
    if let Some(generation) = ask {
        return Say::Break(Some(Effect::Revoke {
            generation: generation.number,
        }));
    }
    let asked = |state: &GenerationState| matches!(state, GenerationState::Revoking { asked: Some(_), .. });
    if turn.rotation.find(asked).is_none() {
        return Say::Continue(());
    }
    decide::list(turn)?;
    let listed = turn.rotation.known.listed.clone().unwrap_or_default();
    let mut gone = false;
    for generation in &mut turn.rotation.generations {
        let GenerationState::Revoking {
            why,
            asked: Some(asked),
        } = generation.state
        else {
            continue;
        };
        let listed = generation.id.as_ref().is_some_and(|id| listed.contains_key(id));
        if !listed {
            generation.state = GenerationState::Revoked(why);
            generation.revoked = Some(turn.now);
            gone = true;
        } else if turn.now >= after(asked, SETTLE) {
            generation.state = GenerationState::Revoking { why, asked: None };
        }
    }
    if gone {
        // A store that was as it should be may still keep what is gone now beside what is current.
        turn.rotation.known.stores.clear();
    }
    Say::Continue(())
}

/// Lets the overlap of what was replaced come to its end, once every store was seen to hold what took its place.
pub(super) fn replaced(turn: &mut Turn<'_>) -> Say {
    let over = |state: &GenerationState| match state {
        GenerationState::Draining { until } => turn.now >= *until || !turn.guards.hold(Guard::OverlapOver),
        _ => false,
    };
    let Some(number) = turn.rotation.find(over).map(|generation| generation.number) else {
        return Say::Continue(());
    };
    let current = turn.rotation.current().map(|generation| generation.number);
    if current.is_none() && turn.guards.hold(Guard::OtherIsCurrent) {
        return Say::Continue(());
    }
    if turn.guards.hold(Guard::ReadBeforeRevoke) && turn.guards.hold(Guard::OtherIsCurrent) {
        decide::read_stores(turn)?;
        let proven = |state: &GenerationState| {
            matches!(
                state,
                GenerationState::Current
                    | GenerationState::Minted { proven: true }
                    | GenerationState::Verified
            )
        };
        let better: Vec<u64> = turn
            .rotation
            .generations
            .iter()
            .filter(|generation| proven(&generation.state))
            .map(|generation| generation.number)
            .collect();
        if !decide::every_store_holds(turn, &better) {
            return Say::Continue(());
        }
    }
    decide::set(
        turn,
        number,
        GenerationState::Revoking {
            why: Why::Replaced,
            asked: None,
        },
    );
    Say::Break(Some(Effect::Revoke { generation: number }))
}

/// Takes everything of ours out of the stores, when all that may live is gone.
pub(super) fn remove(turn: &mut Turn<'_>) -> Say {
    let live = turn
        .rotation
        .generations
        .iter()
        .any(super::state::Generation::may_live);
    if live && turn.guards.hold(Guard::EndRevokesAll) {
        return Say::Break(None);
    }
    let known = &turn.rotation.known;
    let left = turn
        .orders
        .stores
        .iter()
        .find(|store| !known.removed.contains(*store));
    Say::Break(left.map(|store| Effect::Remove { store: store.clone() }))
}
