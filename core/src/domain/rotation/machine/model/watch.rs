//! What is an accident.

use super::world::{Accident, Model, Owner, World};
use crate::domain::rotation::machine::state::GenerationState;
use crate::domain::rotation::machine::step::Effect;

impl World {
    /// Looks at what is about to be done.
    pub fn watch_effect(&mut self, model: &Model, effect: &Effect) {
        match effect {
            Effect::Mint { .. } => self.watch_mint(model),
            Effect::Write { generation, .. } if !self.proven.contains(generation) => {
                self.accidents.insert(Accident::StoredUnproven);
            }
            Effect::Restart { generation } if self.stores.iter().any(|held| *held != Some(*generation)) => {
                self.accidents.insert(Accident::RestartedEarly);
            }
            Effect::Revoke { generation } => self.watch_revoke(*generation),
            _ => {}
        }
    }

    fn watch_mint(&mut self, model: &Model) {
        let live = u32::try_from(self.live.len()).unwrap_or(u32::MAX);
        let slots = model.scene.slots;
        if slots.limit.is_some_and(|limit| live >= limit) {
            self.accidents.insert(Accident::MintedWithoutSlot);
        }
        let spare = slots.limit.is_some_and(|limit| limit >= 3 && live + 1 >= limit);
        if spare && self.rotation.current().is_some() {
            self.accidents.insert(Accident::SpareUsed);
        }
        if self
            .compromised
            .iter()
            .any(|stolen| self.lives(*stolen) && !self.tried.contains(stolen))
        {
            self.accidents.insert(Accident::MintedBeforeRevoke);
        }
    }

    fn watch_revoke(&mut self, generation: u64) {
        let again = !self.tried.insert(generation);
        if again || self.compromised.contains(&generation) || self.ending.is_some() || self.excused {
            return;
        }
        let Some(found) = self.rotation.generation(generation) else {
            return;
        };
        if found.current.is_none() {
            return;
        }
        let better = self
            .rotation
            .current()
            .filter(|current| current.number != generation);
        let over = better.and_then(|current| current.current).is_some_and(|since| {
            self.now().as_second() - since.as_second() >= crate::domain::rotation::machine::step::SETTLE
        });
        if !over {
            self.accidents.insert(Accident::RevokedTooEarly);
        }
    }

    /// Looks at the world after something has happened.
    pub fn inspect(&mut self, before: &Self) {
        let current = self.rotation.current().map(|generation| generation.number);
        let was = before.rotation.current().map(|generation| generation.number);
        if let Some(number) = current
            && current != was
        {
            self.excused = false;
            if self.stores.iter().any(|held| *held != Some(number)) || !self.lives(number) {
                self.accidents.insert(Accident::CurrentNotEverywhere);
            }
        }
        let began = self
            .rotation
            .generations
            .iter()
            .any(|generation| generation.current.is_some());
        let dead = self
            .stores
            .iter()
            .any(|held| held.is_none_or(|number| !self.lives(number)));
        if began && dead && !self.excused && self.ending.is_none() {
            self.accidents.insert(Accident::DeadInStore);
        }
        if self.mints.values().any(|mints| *mints > 1) {
            self.accidents.insert(Accident::TwoMintsOfOneGeneration);
        }
        let coming = |state: &GenerationState| {
            matches!(
                state,
                GenerationState::Planned { .. } | GenerationState::Minted { .. } | GenerationState::Verified
            )
        };
        let on_their_way = self
            .rotation
            .generations
            .iter()
            .filter(|generation| coming(&generation.state));
        if on_their_way.count() > 1 {
            self.accidents.insert(Accident::TwoOnTheirWay);
        }
        self.watch_leaks();
    }

    fn watch_leaks(&mut self) {
        let known = |number: u64| {
            self.rotation
                .generation(number)
                .is_some_and(super::super::state::Generation::may_live)
        };
        // While a mint is being asked for, its answer is on the way.
        let ours = self.live.values().filter_map(|owner| match owner {
            Owner::Ours(number) => Some(*number),
            Owner::Stranger => None,
        });
        let leaked = ours.into_iter().any(|number| !known(number))
            || (self.ended && self.live.values().any(|owner| *owner != Owner::Stranger));
        if leaked {
            self.accidents.insert(Accident::Leaked);
        }
    }
}
