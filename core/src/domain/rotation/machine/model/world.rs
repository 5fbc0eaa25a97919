//! The world around the machine: an issuer, stores, a process that dies, and people who do as they like.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::rotation::machine::guards::Guards;
use crate::domain::rotation::machine::state::{CredentialId, Rotation, StoreName};
use crate::domain::rotation::machine::step::{Effect, Ending, Held, Orders, SETTLE, Slots};

/// What went wrong, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Accident {
    /// A consumer finds a credential that the issuer does not let in.
    DeadInStore,
    RevokedTooEarly,
    /// It lives, and nobody knows of it.
    Leaked,
    StrangerRevoked,
    MintedWithoutSlot,
    SpareUsed,
    CurrentNotEverywhere,
    TwoMintsOfOneGeneration,
    TwoOnTheirWay,
    StoredUnproven,
    RestartedEarly,
    MintedBeforeRevoke,
}

/// Whom a credential at the issuer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    Ours(u64),
    Stranger,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// In units of the time in which everything settles.
    pub tick: i64,
    pub rotation: Rotation,
    pub held: Held,
    /// What the pass is about to do.
    pub pending: Option<Effect>,
    /// What lives at the issuer, by id.
    pub live: BTreeMap<u8, Owner>,
    /// A mint that has not arrived.
    pub in_flight: Option<u64>,
    pub issued: u8,
    /// Mints that the issuer did, by generation.
    pub mints: BTreeMap<u64, u8>,
    pub stores: Vec<Option<u64>>,
    pub proven: BTreeSet<u64>,
    pub compromised: BTreeSet<u64>,
    /// Its revocation was asked for.
    pub tried: BTreeSet<u64>,
    pub due: bool,
    pub ending: Option<Ending>,
    pub ended: bool,
    pub faults: u8,
    /// A thief or a hand has broken what no machine can keep whole, until the next one is current.
    pub excused: bool,
    pub accidents: BTreeSet<Accident>,
}

/// What can happen in one exploration.
#[derive(Clone, Debug)]
pub struct Scene {
    pub stores: usize,
    pub slots: Slots,
    pub strangers: u8,
    pub restarts: bool,
    pub ticks: i64,
    /// Rotations that the schedule asks for.
    pub generations: u64,
    /// How many things may go wrong, of the kinds below.
    pub faults: u8,
    pub crashes: bool,
    pub lost_answers: bool,
    pub refusals: bool,
    /// A store takes a value and does not keep it.
    pub lost_writes: bool,
    /// A list does not show what is current.
    pub wrong_lists: bool,
    /// Somebody puts the last value back into a store, or takes one out.
    pub hands: bool,
    pub thieves: bool,
    pub newcomers: bool,
    pub ends: bool,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub scene: Scene,
    pub guards: Guards,
    /// The accident that is looked for; `None`: any.
    pub wanted: Option<Accident>,
}

pub fn store(n: usize) -> StoreName {
    StoreName(format!("store{n}"))
}

pub fn number(store: &StoreName) -> usize {
    store.0.trim_start_matches("store").parse().unwrap_or_default()
}

pub fn id(n: u8) -> CredentialId {
    CredentialId(format!("{n}"))
}

pub fn raw(id: &CredentialId) -> u8 {
    id.0.parse().unwrap_or_default()
}

impl Model {
    pub fn begin(&self) -> World {
        World {
            tick: 0,
            rotation: Rotation::default(),
            held: Held::new(),
            pending: None,
            live: (1..=self.scene.strangers).map(|n| (n, Owner::Stranger)).collect(),
            in_flight: None,
            issued: self.scene.strangers,
            mints: BTreeMap::new(),
            stores: vec![None; self.scene.stores],
            proven: BTreeSet::new(),
            compromised: BTreeSet::new(),
            tried: BTreeSet::new(),
            due: false,
            ending: None,
            ended: false,
            faults: 0,
            excused: false,
            accidents: BTreeSet::new(),
        }
    }

    pub fn orders(&self, world: &World) -> Orders {
        Orders {
            stores: (0..self.scene.stores).map(store).collect(),
            restarts: self.scene.restarts,
            due: world.due,
            overlap: SETTLE.unsigned_abs(),
            slots: self.scene.slots,
            compromised: world.compromised.clone(),
            patient: true,
            frozen: false,
            ending: world.ending,
            held: world.held.clone(),
        }
    }
}

impl World {
    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.tick * SETTLE).unwrap_or(Timestamp::MIN)
    }

    pub fn lives(&self, generation: u64) -> bool {
        self.live.values().any(|owner| *owner == Owner::Ours(generation))
    }

    /// The issuer makes one.
    pub fn issue(&mut self, owner: Owner) -> u8 {
        self.issued += 1;
        self.live.insert(self.issued, owner);
        if let Owner::Ours(generation) = owner {
            *self.mints.entry(generation).or_default() += 1;
        }
        self.issued
    }

    pub fn revoke(&mut self, generation: u64) {
        let id = self
            .rotation
            .generation(generation)
            .and_then(|found| found.id.as_ref());
        if let Some(owner) = id.and_then(|id| self.live.remove(&raw(id)))
            && owner == Owner::Stranger
        {
            self.accidents.insert(Accident::StrangerRevoked);
        }
    }
}
