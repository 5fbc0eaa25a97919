//! The state of one credential, as its status keeps it. What stands here is written before the effect it announces, so
//! that whoever comes after a crash finds either the effect or the announcement of it, never an effect unannounced.
//! No value ever stands here.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The issuer's name of one credential: `secret_id`, `token_id`, the id of a Gerrit token, an access key id. Not secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialId(pub String);

/// A store, as the spec of its credential names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreName(pub String);

/// Tells whether two values are the same, and nothing about either: keyed, so that nobody can try values against it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

/// Why a generation is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Why {
    /// A newer one took its place and the overlap is over.
    Replaced,
    /// A person said that it is known to others.
    Compromised,
    /// Its value was lost before any store had it.
    ValueLost,
    /// The issuer minted it and then refused it.
    Unproven,
    /// Its object goes.
    Deleted,
}

/// Where one generation stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GenerationState {
    /// To be minted. `before` is what the issuer listed when this was written; `sent` is when the call was announced.
    #[serde(rename_all = "camelCase")]
    Planned {
        before: BTreeSet<CredentialId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<Timestamp>,
    },
    /// It exists. Its value is in memory, or in the stores that have it.
    #[serde(rename_all = "camelCase")]
    Minted {
        /// The issuer let it in.
        proven: bool,
    },
    /// Every store has it; consumers may not have been started anew.
    Verified,
    /// Consumers use it.
    Current,
    /// A newer one is current, and this one lives on until then.
    Draining { until: Timestamp },
    /// To be revoked; `asked` is when the issuer last said that it did.
    #[serde(rename_all = "camelCase")]
    Revoking {
        why: Why,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<Timestamp>,
    },
    /// It does not exist any more.
    Revoked(Why),
    /// It never came to exist.
    NeverMinted,
}

/// One value that the issuer gave, from before it was asked for until after it is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Generation {
    /// From 1, never used twice.
    pub number: u64,
    #[serde(flatten)]
    pub state: GenerationState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CredentialId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minted: Option<Timestamp>,
    /// When every store had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
    /// When the issuer lets it in no more; `None`: it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Generation {
    pub(super) fn planned(number: u64, before: BTreeSet<CredentialId>) -> Self {
        Self {
            number,
            state: GenerationState::Planned { before, sent: None },
            id: None,
            fingerprint: None,
            minted: None,
            verified: None,
            current: None,
            revoked: None,
            expires: None,
        }
    }

    /// Whether it may exist at the issuer.
    pub fn may_live(&self) -> bool {
        match &self.state {
            GenerationState::Planned { sent, .. } => sent.is_some(),
            GenerationState::Revoked(_) | GenerationState::NeverMinted => false,
            _ => true,
        }
    }

    /// Whether its value is on the way to the stores.
    pub fn is_on_its_way(&self) -> bool {
        matches!(
            self.state,
            GenerationState::Planned { .. } | GenerationState::Minted { .. } | GenerationState::Verified
        )
    }
}

/// Why nothing goes on without somebody's doing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Blocked {
    /// The issuer has no free slot; these are not ours.
    NoSlot {
        limit: u32,
        strangers: BTreeSet<CredentialId>,
    },
    /// A mint did not answer, and one of these may be what it made.
    Stray { candidates: BTreeSet<CredentialId> },
}

/// What a pass has learnt. Not kept: after a crash it is learnt again.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Known {
    /// What the issuer lists, with the generation that each is labelled with, where the issuer takes labels.
    pub listed: Option<BTreeMap<CredentialId, Option<u64>>>,
    /// Which generation each store was seen to hold: `None` is nothing, or nothing of ours.
    pub stores: BTreeMap<StoreName, Option<u64>>,
    /// A store took a value and has not been read since.
    pub written: BTreeSet<StoreName>,
    /// A store from which a value could not be taken back in this pass.
    pub unreadable: BTreeSet<StoreName>,
    /// Stores out of which everything of ours was taken.
    pub removed: BTreeSet<StoreName>,
    /// Generations for which consumers were started anew.
    pub restarted: BTreeSet<u64>,
    /// Generations whose revocation was asked for.
    pub tried: BTreeSet<u64>,
    /// Nothing more in this pass.
    pub over: bool,
}

/// One credential through all its generations.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// Oldest first. Those that are gone are kept as long as the status has room for them.
    #[serde(default)]
    pub generations: Vec<Generation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
    #[serde(skip)]
    pub known: Known,
}

impl Rotation {
    pub fn current(&self) -> Option<&Generation> {
        self.find(|state| *state == GenerationState::Current)
    }

    /// The one on its way to the stores.
    pub fn coming(&self) -> Option<&Generation> {
        self.generations
            .iter()
            .rev()
            .find(|generation| generation.is_on_its_way())
    }

    pub fn generation(&self, number: u64) -> Option<&Generation> {
        self.generations
            .iter()
            .find(|generation| generation.number == number)
    }

    pub(super) fn generation_mut(&mut self, number: u64) -> Option<&mut Generation> {
        self.generations
            .iter_mut()
            .find(|generation| generation.number == number)
    }

    pub(super) fn find(&self, wanted: impl Fn(&GenerationState) -> bool) -> Option<&Generation> {
        self.generations
            .iter()
            .find(|generation| wanted(&generation.state))
    }

    /// Whether any of these generations may exist at the issuer.
    pub fn may_live(&self, numbers: &BTreeSet<u64>) -> bool {
        let mut generations = self.generations.iter();
        generations.any(|one| one.may_live() && numbers.contains(&one.number))
    }

    /// Whether nothing is left to do before time passes or somebody does something: one is current and in every store that
    /// was looked at, none comes, and none is to go by now.
    pub fn is_at_rest(&self, now: Timestamp) -> bool {
        let Some(current) = self.current() else {
            return false;
        };
        let rests = |generation: &Generation| match &generation.state {
            GenerationState::Draining { until } => *until > now,
            GenerationState::Current | GenerationState::Revoked(_) | GenerationState::NeverMinted => true,
            GenerationState::Planned { .. }
            | GenerationState::Minted { .. }
            | GenerationState::Verified
            | GenerationState::Revoking { .. } => false,
        };
        let held = |held: &Option<u64>| *held == Some(current.number);
        self.generations.iter().all(rests) && self.known.stores.values().all(held)
    }

    /// The number that the next generation gets.
    pub(super) fn next_number(&self) -> u64 {
        let last = self.generations.iter().map(|generation| generation.number).max();
        last.unwrap_or(0) + 1
    }

    /// What the issuer lists and no generation of ours is known by.
    pub fn strangers(&self) -> Option<BTreeSet<CredentialId>> {
        let ours: BTreeSet<_> = self
            .generations
            .iter()
            .filter_map(|generation| generation.id.as_ref())
            .collect();
        let listed = self.known.listed.as_ref()?;
        Some(listed.keys().filter(|id| !ours.contains(id)).cloned().collect())
    }
}
