//! How a new value comes: planned, minted, proven, written into every store and read back, and then current.

use std::collections::BTreeSet;

use super::decide::{self, Say};
use super::guards::Guard;
use super::state::{Blocked, CredentialId, Generation, GenerationState, Why};
use super::step::{Effect, SETTLE, Turn, after};

/// Looks for what a mint made whose answer never came. Its value is lost, so that what is found goes again; what may be
/// a stranger's is left alone and named.
pub(super) fn found(turn: &mut Turn<'_>) -> Say {
    let lost =
        |generation: &&Generation| matches!(generation.state, GenerationState::Planned { sent: Some(_), .. });
    let Some(generation) = turn.rotation.generations.iter().find(lost) else {
        if matches!(turn.rotation.blocked, Some(Blocked::Stray { .. })) {
            turn.rotation.blocked = None;
        }
        return Say::Continue(());
    };
    let number = generation.number;
    let GenerationState::Planned {
        before,
        sent: Some(sent),
    } = generation.state.clone()
    else {
        return Say::Continue(());
    };
    if !turn.guards.hold(Guard::OneMint) {
        return Say::Break(Some(Effect::Mint { generation: number }));
    }
    decide::list(turn)?;
    let new = newcomers(turn, &before);
    let ours: BTreeSet<CredentialId> = if turn.orders.slots.labelled {
        let listed = turn.rotation.known.listed.clone().unwrap_or_default();
        new.into_iter()
            .filter(|id| listed.get(id) == Some(&Some(number)))
            .collect()
    } else {
        new
    };
    let sure = turn.orders.slots.labelled || turn.orders.slots.exclusive;
    let only_ours = turn.guards.hold(Guard::SweepOnlyOurs);
    if ours.is_empty() {
        if turn.now >= after(sent, SETTLE) || !turn.guards.hold(Guard::AbsentMaySettle) {
            decide::set(turn, number, GenerationState::NeverMinted);
            turn.rotation.blocked = None;
        }
        return Say::Continue(());
    }
    if only_ours && (!sure || ours.len() > 1) {
        turn.rotation.blocked = Some(Blocked::Stray { candidates: ours });
        return Say::Continue(());
    }
    if let Some(generation) = turn.rotation.generation_mut(number) {
        generation.id = ours.into_iter().next();
        generation.state = GenerationState::Revoking {
            why: Why::ValueLost,
            asked: None,
        };
    }
    turn.rotation.blocked = None;
    Say::Continue(())
}

/// What the issuer lists now and did not list then, apart from what we know.
fn newcomers(turn: &Turn<'_>, before: &BTreeSet<CredentialId>) -> BTreeSet<CredentialId> {
    let strangers = turn.rotation.strangers().unwrap_or_default();
    strangers.difference(before).cloned().collect()
}

/// Looks whether the current one is where it should be, and puts it back where it is not.
pub(super) fn seek(turn: &mut Turn<'_>) -> Say {
    let Some(current) = turn.rotation.current().cloned() else {
        return Say::Continue(());
    };
    let number = current.number;
    decide::list(turn)?;
    let listed = turn.rotation.known.listed.as_ref();
    let is_listed = current
        .id
        .as_ref()
        .is_none_or(|id| listed.is_none_or(|listed| listed.contains_key(id)));
    let settled = current
        .minted
        .is_none_or(|minted| turn.now >= after(minted, SETTLE));
    if !is_listed && settled {
        // Somebody revoked it, or the list is wrong: it gets a successor at once and is revoked all the same.
        let state = if turn.guards.hold(Guard::UnlistedMayLive) {
            let until = overlap_ends(turn);
            GenerationState::Draining { until }
        } else {
            GenerationState::Revoked(Why::Replaced)
        };
        decide::set(turn, number, state);
        return Say::Continue(());
    }
    decide::read_stores(turn)?;
    let coming = turn.rotation.coming().map(|generation| generation.number);
    let known = &turn.rotation.known;
    let strayed = turn.orders.stores.iter().find(|store| {
        let held = known.stores.get(*store).copied();
        held.is_some_and(|held| held != Some(number) && (coming.is_none() || held != coming))
            && !known.written.contains(*store)
    });
    let Some(store) = strayed.cloned() else {
        return Say::Continue(());
    };
    if turn.orders.held.contains(&number) {
        return Say::Break(Some(Effect::Write {
            generation: number,
            store,
        }));
    }
    if let Some(store) = decide::store_with(turn, number) {
        return Say::Break(Some(Effect::TakeBack {
            generation: number,
            store,
        }));
    }
    if !decide::some_store_is_dark(turn) && coming.is_none() {
        // Nobody can read it any more. Who still has it keeps it for the overlap.
        let until = overlap_ends(turn);
        decide::set(turn, number, GenerationState::Draining { until });
    }
    Say::Continue(())
}

fn overlap_ends(turn: &Turn<'_>) -> jiff::Timestamp {
    after(turn.now, i64::try_from(turn.orders.overlap).unwrap_or(i64::MAX))
}

/// Carries a new value on, from plan to current.
pub(super) fn carry(turn: &mut Turn<'_>) -> Say {
    let Some(coming) = turn.rotation.coming().cloned() else {
        return Say::Continue(());
    };
    let number = coming.number;
    match coming.state {
        GenerationState::Planned { sent: None, .. } => mint(turn, number),
        GenerationState::Planned { .. } => Say::Break(None),
        GenerationState::Minted { proven } => {
            hold(turn, number, proven)?;
            if !proven && turn.guards.hold(Guard::ProveFirst) {
                return Say::Break(Some(Effect::Prove { generation: number }));
            }
            if turn.orders.restarts
                && !turn.guards.hold(Guard::RestartLast)
                && !turn.rotation.known.restarted.contains(&number)
            {
                return Say::Break(Some(Effect::Restart { generation: number }));
            }
            fill(turn, number)?;
            if let Some(generation) = turn.rotation.generation_mut(number) {
                generation.state = GenerationState::Verified;
                generation.verified = Some(turn.now);
            }
            use_it(turn, number)
        }
        GenerationState::Verified => {
            hold(turn, number, true)?;
            fill(turn, number)?;
            use_it(turn, number)
        }
        _ => Say::Continue(()),
    }
}

/// The value must be in memory. What no store has is lost with the memory that had it.
fn hold(turn: &mut Turn<'_>, number: u64, proven: bool) -> Say {
    if turn.orders.held.contains(&number) {
        return Say::Continue(());
    }
    if proven || !turn.guards.hold(Guard::ProveFirst) {
        decide::read_stores(turn)?;
        if decide::every_store_holds(turn, &[number]) {
            return Say::Continue(());
        }
        if let Some(store) = decide::store_with(turn, number) {
            return Say::Break(Some(Effect::TakeBack {
                generation: number,
                store,
            }));
        }
        if decide::some_store_is_dark(turn) {
            return Say::Break(None);
        }
    }
    decide::set(
        turn,
        number,
        GenerationState::Revoking {
            why: Why::ValueLost,
            asked: None,
        },
    );
    Say::Break(Some(Effect::Revoke { generation: number }))
}

/// Writes the value into each store and reads it back.
fn fill(turn: &mut Turn<'_>, number: u64) -> Say {
    decide::read_stores(turn)?;
    if decide::every_store_holds(turn, &[number]) {
        return Say::Continue(());
    }
    let known = &turn.rotation.known;
    let open = turn.orders.stores.iter().find(|store| {
        // A store that took it and shows something else is looked at again in the next pass.
        known.stores.get(*store).is_some_and(|held| *held != Some(number)) && !known.written.contains(*store)
    });
    Say::Break(open.map(|store| Effect::Write {
        generation: number,
        store: store.clone(),
    }))
}

/// Consumers start anew, and the last one's overlap begins.
fn use_it(turn: &mut Turn<'_>, number: u64) -> Say {
    let restarted = turn.rotation.known.restarted.contains(&number);
    if turn.orders.restarts && !restarted {
        return Say::Break(Some(Effect::Restart { generation: number }));
    }
    let until = overlap_ends(turn);
    // What drained while nothing was current may be all that consumers had: its overlap begins now.
    let bare = turn.rotation.current().is_none();
    for generation in &mut turn.rotation.generations {
        match generation.state {
            GenerationState::Current => generation.state = GenerationState::Draining { until },
            GenerationState::Draining { .. } if bare => {
                generation.state = GenerationState::Draining { until }
            }
            _ => {}
        }
        if generation.number == number {
            generation.state = GenerationState::Current;
            generation.current = Some(turn.now);
        }
    }
    // What was asked for is done; whether more is due is asked anew.
    Say::Break(None)
}

/// Begins a new generation if one is due, or none is current.
pub(super) fn begin(turn: &mut Turn<'_>) -> Say {
    if turn.rotation.coming().is_some() {
        return Say::Continue(());
    }
    let current = turn.rotation.current().is_some();
    let first = turn
        .rotation
        .generations
        .iter()
        .all(|generation| generation.current.is_none());
    let wanted = turn.orders.due || !current;
    // A freeze does not leave consumers without a credential that they had.
    if !wanted || (turn.orders.frozen && (current || first)) {
        if !wanted && matches!(turn.rotation.blocked, Some(Blocked::NoSlot { .. })) {
            turn.rotation.blocked = None;
        }
        return Say::Continue(());
    }
    if turn.orders.patient {
        decide::read_stores(turn)?;
        if decide::some_store_is_dark(turn) {
            return Say::Continue(());
        }
    }
    let number = turn.rotation.next_number();
    decide::list(turn)?;
    if !slot(turn) {
        return Say::Continue(());
    }
    if !turn.guards.hold(Guard::PlanFirst) {
        return Say::Break(Some(Effect::Mint { generation: number }));
    }
    turn.rotation
        .generations
        .push(Generation::planned(number, BTreeSet::new()));
    mint(turn, number)
}

/// Writes down what the issuer has and that one more is asked for, and asks.
fn mint(turn: &mut Turn<'_>, number: u64) -> Say {
    decide::list(turn)?;
    if !slot(turn) {
        return Say::Break(None);
    }
    let listed = turn.rotation.known.listed.as_ref();
    let before = listed
        .map(|listed| listed.keys().cloned().collect())
        .unwrap_or_default();
    let sent = Some(turn.now);
    decide::set(turn, number, GenerationState::Planned { before, sent });
    Say::Break(Some(Effect::Mint { generation: number }))
}

/// Whether the issuer has room for one more; who takes the room is named.
fn slot(turn: &mut Turn<'_>) -> bool {
    let Some(limit) = turn.orders.slots.limit else {
        return true;
    };
    let listed = turn
        .rotation
        .known
        .listed
        .as_ref()
        .map_or(0, std::collections::BTreeMap::len);
    let spare = turn.rotation.current().is_some() && limit >= 3 && turn.guards.hold(Guard::SpareKept);
    let room = limit.saturating_sub(u32::from(spare));
    if u32::try_from(listed).unwrap_or(u32::MAX) < room || !turn.guards.hold(Guard::SlotNeeded) {
        turn.rotation.blocked = None;
        return true;
    }
    let leaving = |state: &GenerationState| {
        matches!(
            state,
            GenerationState::Draining { .. } | GenerationState::Revoking { .. }
        )
    };
    turn.rotation.blocked = if turn.rotation.find(leaving).is_some() {
        None
    } else {
        let strangers = turn.rotation.strangers().unwrap_or_default();
        Some(Blocked::NoSlot { limit, strangers })
    };
    false
}
