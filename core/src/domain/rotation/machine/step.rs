//! One move of a rotation. [`next`] takes what is known and what was just seen, and gives what is to be written down
//! and then done: the state always first, the effect after. It never advances on an answer that did not come.
//!
//! A new value goes: list what the issuer has, write down that one is to be minted, mint, log in with it, write it into
//! each store and read it back, start consumers anew, call it current. The last one lives on for the overlap and is
//! revoked when every store was seen to hold the new one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::guards::Guards;
use super::state::{CredentialId, Fingerprint, GenerationState, Rotation, StoreName};
use super::{decide, learn};

/// Seconds after which a mint that did not answer no longer arrives, a list shows what was minted, and a revoked
/// credential is listed no more. An exchange that writes ends after 10 s at most, as a lease permits no longer; a proxy
/// may hold it beyond that, and lists of the vendors lag by seconds.
pub const SETTLE: i64 = 60;

/// One thing to do outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// What does the issuer list? Writes nothing.
    List,
    /// Ask the issuer for a new value, under the number of this generation where the issuer takes labels.
    Mint { generation: u64 },
    /// Log in with the value.
    Prove { generation: u64 },
    /// Which generation does the store hold? Writes nothing.
    Read { store: StoreName },
    /// Take the value out of a store into memory. Writes nothing.
    TakeBack { generation: u64, store: StoreName },
    /// Write the value into a store, if the store still is as it was read.
    Write { generation: u64, store: StoreName },
    /// Start the consumers anew, once for each generation.
    Restart { generation: u64 },
    /// Have the issuer revoke it.
    Revoke { generation: u64 },
    /// Take everything of ours out of a store.
    Remove { store: StoreName },
}

/// What the issuer says of a new value. The value itself stays with whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    pub id: CredentialId,
    pub fingerprint: Fingerprint,
    pub expires: Option<Timestamp>,
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A pass begins: nothing was seen yet.
    Pass,
    /// Every credential of the identity, with the generation it is labelled with by us.
    Listed(BTreeMap<CredentialId, Option<u64>>),
    Minted(Issued),
    /// A write was taken, or there was nothing to revoke or remove; a value logged in or was taken back.
    Accepted,
    /// It certainly did nothing; a value was not let in.
    Refused,
    /// A write may or may not have happened, or a question was not answered.
    Unknown,
    /// The store holds this generation; `None`: nothing, or nothing of ours.
    Holds(Option<u64>),
}

/// What the issuer allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slots {
    /// Credentials of one identity at most; `None`: no limit that matters.
    pub limit: Option<u32>,
    /// A credential carries the number of its generation, so that it can be told from any other.
    pub labelled: bool,
    /// Nobody else mints for this identity.
    pub exclusive: bool,
}

/// What becomes of everything when the object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    Revoke,
    Orphan,
}

/// Generations whose value is in memory now.
pub type Held = BTreeSet<u64>;

/// What is asked of this credential now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Orders {
    pub stores: Vec<StoreName>,
    /// Some consumer must be started anew to see a new value.
    pub restarts: bool,
    /// The schedule, or a person, asks for a new one.
    pub due: bool,
    /// Seconds that the last one lives on.
    pub overlap: u64,
    pub slots: Slots,
    /// Generations that are known to others.
    pub compromised: BTreeSet<u64>,
    /// Nothing new is begun while a store cannot be read: it could not be brought there. Not so where the current one
    /// would run out meanwhile.
    pub patient: bool,
    /// A freeze stops what can wait.
    pub frozen: bool,
    pub ending: Option<Ending>,
    pub held: Held,
}

/// What is to be written down, and then done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    pub rotation: Rotation,
    /// `None`: nothing more in this pass.
    pub effect: Option<Effect>,
    /// When time alone changes something, the schedule apart.
    pub again: Option<Timestamp>,
    /// The object goes, and nothing of it is left but what was to be left.
    pub ended: bool,
}

/// One move. `seen` answers `effect`, the one that the last move asked for; a pass begins with [`Seen::Pass`] and no
/// effect.
pub fn next(
    rotation: Rotation,
    effect: Option<&Effect>,
    seen: Seen,
    orders: &Orders,
    now: Timestamp,
) -> Next {
    next_under(rotation, effect, seen, orders, now, Guards::ALL)
}

pub(super) fn next_under(
    mut rotation: Rotation,
    effect: Option<&Effect>,
    seen: Seen,
    orders: &Orders,
    now: Timestamp,
    guards: Guards,
) -> Next {
    match effect {
        None => learn::forget(&mut rotation),
        Some(effect) => learn::learn(&mut rotation, effect, seen, now, guards),
    }
    let mut turn = Turn {
        rotation: &mut rotation,
        orders,
        now,
        guards,
    };
    let effect = decide::decide(&mut turn);
    let ended = effect.is_none() && decide::ended(&rotation, orders, guards);
    let again = again(&rotation, now);
    Next {
        rotation,
        effect,
        again,
        ended,
    }
}

/// What a decision is made of.
pub(super) struct Turn<'a> {
    pub rotation: &'a mut Rotation,
    pub orders: &'a Orders,
    pub now: Timestamp,
    pub guards: Guards,
}

pub(super) fn after(since: Timestamp, seconds: i64) -> Timestamp {
    since
        .checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// When time alone changes something: an answer no longer comes, an overlap is over.
fn again(rotation: &Rotation, now: Timestamp) -> Option<Timestamp> {
    let moments = rotation.generations.iter().filter_map(|generation| {
        let moment = match &generation.state {
            GenerationState::Planned { sent, .. } => after((*sent)?, SETTLE),
            GenerationState::Minted { proven: false } => after(generation.minted?, SETTLE),
            GenerationState::Draining { until } => *until,
            GenerationState::Revoking { asked, .. } => after((*asked)?, SETTLE),
            _ => return None,
        };
        (moment > now).then_some(moment)
    });
    moments.min()
}
