//! What an answer means to the state that asked for it. Only a look says that something is so; a write that was taken,
//! or whose answer never came, is looked for.

use jiff::Timestamp;

use super::guards::{Guard, Guards};
use super::state::{Generation, GenerationState, Known, Rotation, StoreName, Why};
use super::step::{Effect, Issued, SETTLE, Seen, after};

/// A new pass knows nothing of what an earlier one saw.
pub(super) fn forget(rotation: &mut Rotation) {
    rotation.known = Known::default();
}

/// Takes in what came of an effect. An answer to a question that the state no longer asks is dropped.
pub(super) fn learn(rotation: &mut Rotation, effect: &Effect, seen: Seen, now: Timestamp, guards: Guards) {
    match effect {
        Effect::List => match seen {
            Seen::Listed(listed) => rotation.known.listed = Some(listed),
            _ => rotation.known.over = true,
        },
        Effect::Mint { generation } => minted(rotation, *generation, seen, now, guards),
        Effect::Prove { generation } => proven(rotation, *generation, &seen, now),
        Effect::Read { store } => match seen {
            Seen::Holds(generation) => {
                rotation.known.stores.insert(store.clone(), generation);
            }
            _ => cannot(rotation, store),
        },
        Effect::TakeBack { store, .. } => {
            if seen != Seen::Accepted {
                cannot(rotation, store);
            }
        }
        Effect::Write { generation, store } => written(rotation, *generation, store, &seen, guards),
        Effect::Restart { generation } => match seen {
            Seen::Accepted => {
                rotation.known.restarted.insert(*generation);
            }
            _ => rotation.known.over = true,
        },
        Effect::Revoke { generation } => revoked(rotation, *generation, &seen, now, guards),
        Effect::Remove { store } => match seen {
            Seen::Accepted => {
                rotation.known.removed.insert(store.clone());
            }
            _ => rotation.known.over = true,
        },
    }
}

fn cannot(rotation: &mut Rotation, store: &StoreName) {
    rotation.known.stores.remove(store);
    rotation.known.unreadable.insert(store.clone());
}

fn minted(rotation: &mut Rotation, number: u64, seen: Seen, now: Timestamp, guards: Guards) {
    // What was listed and what a mint answers make a list again; without an answer there is none.
    let listed = rotation.known.listed.take();
    if !guards.hold(Guard::PlanFirst) && rotation.generation(number).is_none() {
        rotation
            .generations
            .push(Generation::planned(number, std::collections::BTreeSet::new()));
    }
    let Some(generation) = rotation.generation_mut(number) else {
        return;
    };
    let GenerationState::Planned { sent, .. } = &mut generation.state else {
        return;
    };
    match seen {
        Seen::Minted(Issued {
            id,
            fingerprint,
            expires,
        }) => {
            generation.state = GenerationState::Minted { proven: false };
            generation.id = Some(id.clone());
            generation.fingerprint = Some(fingerprint);
            generation.minted = Some(now);
            generation.expires = expires;
            rotation.known.listed = listed.map(|mut listed| {
                listed.insert(id, Some(number));
                listed
            });
        }
        Seen::Refused => {
            *sent = None;
            rotation.known.over = true;
        }
        _ => rotation.known.over = true,
    }
}

fn proven(rotation: &mut Rotation, number: u64, seen: &Seen, now: Timestamp) {
    let over = match rotation.generation_mut(number) {
        Some(generation) if matches!(generation.state, GenerationState::Minted { proven: false }) => {
            let minted = generation.minted.unwrap_or(now);
            match seen {
                Seen::Accepted => {
                    generation.state = GenerationState::Minted { proven: true };
                    false
                }
                // What was minted a moment ago may not be known everywhere at the issuer.
                Seen::Refused if now >= after(minted, SETTLE) => {
                    generation.state = GenerationState::Revoking {
                        why: Why::Unproven,
                        asked: None,
                    };
                    false
                }
                _ => true,
            }
        }
        _ => false,
    };
    rotation.known.over |= over;
}

fn written(rotation: &mut Rotation, number: u64, store: &StoreName, seen: &Seen, guards: Guards) {
    match seen {
        Seen::Accepted if !guards.hold(Guard::ReadBack) => {
            rotation.known.stores.insert(store.clone(), Some(number));
        }
        Seen::Accepted => {
            rotation.known.stores.remove(store);
            rotation.known.written.insert(store.clone());
        }
        _ => cannot(rotation, store),
    }
}

fn revoked(rotation: &mut Rotation, number: u64, seen: &Seen, now: Timestamp, guards: Guards) {
    rotation.known.listed = None;
    rotation.known.tried.insert(number);
    let Some(generation) = rotation.generation_mut(number) else {
        return;
    };
    let GenerationState::Revoking { why, asked } = &mut generation.state else {
        return;
    };
    if *seen == Seen::Accepted {
        *asked = Some(now);
    }
    if !guards.hold(Guard::GoneIsSeen) {
        generation.state = GenerationState::Revoked(*why);
    }
}
