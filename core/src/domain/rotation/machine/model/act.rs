//! What can happen next, and what it does.

use std::collections::BTreeMap;

use stateright::{Model as Checked, Property};

use super::world::{Model, Owner, World, id, number, raw};
use crate::domain::exploring::NO_ACCIDENT;
use crate::domain::rotation::machine::state::{Blocked, Fingerprint, GenerationState, Why};
use crate::domain::rotation::machine::step::{Effect, Ending, Issued, Seen, next_under};

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Answered,
    Refused,
    /// No answer, and it was done.
    Done,
    /// No answer, and it never will be.
    Lost,
    /// No answer yet, and it may still be done.
    InFlight,
    /// The store takes the value and does not keep it.
    Forgotten,
    /// The list does not show what is current.
    Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Pass,
    Call(Call),
    /// The process dies before the pending effect.
    DieBefore,
    /// The process dies after the pending effect, before it writes down what came of it.
    DieAfter,
    /// The pass and its memory end.
    Restart,
    Arrives,
    Due,
    Thief(u64),
    Newcomer,
    /// Somebody puts another of our generations, or nothing, into a store.
    Hand(usize, Option<u64>),
    End,
    Tick,
}

impl Checked for Model {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.begin()]
    }

    fn actions(&self, world: &World, out: &mut Vec<Action>) {
        // A story ends with its accident.
        if !world.accidents.is_empty() || world.ended {
            return;
        }
        match &world.pending {
            None => {
                out.push(Action::Pass);
                self.people(world, out);
            }
            Some(effect) => self.calls(world, effect, out),
        }
        if world.in_flight.is_some() {
            out.push(Action::Arrives);
        }
        if world.faults < self.scene.faults
            && self.scene.crashes
            && !world.held.is_empty()
            && world.pending.is_none()
        {
            out.push(Action::Restart);
        }
        // A pass has a deadline and a call needs a permit: what is not sent in time is not sent.
        if world.tick < self.scene.ticks && world.pending.is_none() {
            out.push(Action::Tick);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        self.happen(&mut world, action)?;
        world.inspect(last);
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_ACCIDENT, |model: &Model, world: &World| match model.wanted {
                None => world.accidents.is_empty(),
                Some(wanted) => !world.accidents.contains(&wanted),
            }),
            Property::sometimes("one follows another and the last is gone", |_, world: &World| {
                let gone = |state: &GenerationState| *state == GenerationState::Revoked(Why::Replaced);
                world.rotation.find(gone).is_some() && world.rotation.current().is_some()
            }),
            Property::sometimes("what was lost is swept", |_, world: &World| {
                let gone = |state: &GenerationState| *state == GenerationState::Revoked(Why::ValueLost);
                world.rotation.find(gone).is_some() && world.rotation.current().is_some()
            }),
            Property::sometimes("what was stolen is replaced", |_, world: &World| {
                let gone = |state: &GenerationState| *state == GenerationState::Revoked(Why::Compromised);
                world.rotation.find(gone).is_some() && world.rotation.current().is_some()
            }),
            Property::sometimes("a stray is named", |_, world: &World| {
                matches!(world.rotation.blocked, Some(Blocked::Stray { .. }))
            }),
            Property::sometimes("it ends", |_, world: &World| world.ended),
        ]
    }
}

impl Model {
    fn people(&self, world: &World, out: &mut Vec<Action>) {
        let scene = &self.scene;
        let begun = world
            .rotation
            .generations
            .iter()
            .filter(|g| g.current.is_some())
            .count() as u64;
        let faulty = world.faults < scene.faults;
        if !world.due && begun > 0 && begun < scene.generations {
            out.push(Action::Due);
        }
        if scene.ends && world.ending.is_none() && begun > 0 {
            out.push(Action::End);
        }
        if !faulty {
            return;
        }
        if scene.thieves {
            let stolen = world
                .rotation
                .generations
                .iter()
                .filter(|g| g.may_live() && g.id.is_some());
            out.extend(
                stolen
                    .filter(|g| !world.compromised.contains(&g.number))
                    .map(|g| Action::Thief(g.number)),
            );
        }
        if scene.newcomers {
            out.push(Action::Newcomer);
        }
        if scene.hands {
            let older = world
                .rotation
                .generations
                .iter()
                .filter(|g| matches!(g.state, GenerationState::Draining { .. }))
                .map(|g| Some(g.number));
            for other in older.chain([None]) {
                out.extend((0..world.stores.len()).map(|at| Action::Hand(at, other)));
            }
        }
    }

    /// How the pending effect can go.
    fn calls(&self, world: &World, effect: &Effect, out: &mut Vec<Action>) {
        let scene = &self.scene;
        out.push(Action::Call(Call::Answered));
        if world.faults >= scene.faults {
            return;
        }
        let writes = matches!(
            effect,
            Effect::Mint { .. }
                | Effect::Write { .. }
                | Effect::Restart { .. }
                | Effect::Revoke { .. }
                | Effect::Remove { .. }
        );
        if scene.crashes {
            out.push(Action::DieBefore);
            if writes {
                out.push(Action::DieAfter);
            }
        }
        if scene.lost_answers {
            out.push(Action::Call(Call::Lost));
            if writes {
                out.push(Action::Call(Call::Done));
            }
            if matches!(effect, Effect::Mint { .. }) {
                out.push(Action::Call(Call::InFlight));
            }
        }
        if scene.refusals && (writes || matches!(effect, Effect::Prove { .. })) {
            out.push(Action::Call(Call::Refused));
        }
        if scene.lost_writes && matches!(effect, Effect::Write { .. }) {
            out.push(Action::Call(Call::Forgotten));
        }
        if scene.wrong_lists && *effect == Effect::List && world.rotation.current().is_some() {
            out.push(Action::Call(Call::Wrong));
        }
    }

    fn happen(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Pass => self.go(world, None, Seen::Pass),
            Action::Call(call) => {
                let effect = world.pending.take()?;
                world.faults += u8::from(call != Call::Answered);
                let seen = perform(self, world, &effect, call);
                self.go(world, Some(&effect), seen);
            }
            Action::DieBefore => {
                world.pending.take()?;
                world.faults += 1;
                world.die();
            }
            Action::DieAfter => {
                let effect = world.pending.take()?;
                world.faults += 1;
                perform(self, world, &effect, Call::Done);
                world.die();
            }
            Action::Restart => {
                world.faults += 1;
                world.die();
            }
            Action::Arrives => {
                let generation = world.in_flight.take()?;
                world.issue(Owner::Ours(generation));
            }
            Action::Due => world.due = true,
            Action::Thief(generation) => {
                world.faults += 1;
                world.compromised.insert(generation);
                world.excused = true;
            }
            Action::Newcomer => {
                world.faults += 1;
                world.issue(Owner::Stranger);
            }
            Action::Hand(at, held) => {
                world.faults += 1;
                world.stores[at] = held;
                // With nothing in it no machine helps until it is looked at.
                world.excused |= held.is_none();
            }
            Action::End => world.ending = Some(Ending::Revoke),
            Action::Tick => {
                world.tick += 1;
                // What has not arrived by now does not.
                world.in_flight = None;
            }
        }
        Some(())
    }

    /// One move of the machine; what it gives is written down before anything else happens.
    fn go(&self, world: &mut World, effect: Option<&Effect>, seen: Seen) {
        let orders = self.orders(world);
        let last = world.rotation.current().map(|generation| generation.number);
        let next = next_under(
            world.rotation.clone(),
            effect,
            seen,
            &orders,
            world.now(),
            self.guards,
        );
        world.rotation = next.rotation;
        world.ended = next.ended;
        if world.rotation.current().map(|generation| generation.number) != last {
            world.due = false;
        }
        if let Some(effect) = &next.effect {
            world.watch_effect(self, effect);
        }
        world.pending = next.effect;
        if world.pending.is_none() {
            // A pass is over and what it saw is old.
            world.rotation.known = super::super::state::Known::default();
        }
    }
}

impl World {
    fn die(&mut self) {
        self.held.clear();
        self.rotation.known = super::super::state::Known::default();
    }
}

/// Has the effect, and gives what is seen of it.
fn perform(model: &Model, world: &mut World, effect: &Effect, call: Call) -> Seen {
    let done = matches!(call, Call::Answered | Call::Done | Call::Forgotten);
    let answer = match call {
        Call::Answered | Call::Forgotten => Seen::Accepted,
        Call::Refused => Seen::Refused,
        _ => Seen::Unknown,
    };
    match effect {
        Effect::List => match call {
            Call::Answered => Seen::Listed(list(model, world)),
            Call::Wrong => {
                let current = world
                    .rotation
                    .current()
                    .and_then(|generation| generation.id.clone());
                let mut listed = list(model, world);
                listed.retain(|id, _| Some(id) != current.as_ref());
                Seen::Listed(listed)
            }
            _ => Seen::Unknown,
        },
        Effect::Mint { generation } => mint(world, *generation, call),
        Effect::Prove { generation } => {
            if call == Call::Answered {
                world.proven.insert(*generation);
            }
            answer
        }
        Effect::Read { store } => match call {
            Call::Answered => Seen::Holds(world.stores[number(store)]),
            _ => Seen::Unknown,
        },
        Effect::TakeBack { generation, store } => {
            if call == Call::Answered && world.stores[number(store)] == Some(*generation) {
                world.held.insert(*generation);
                return Seen::Accepted;
            }
            Seen::Unknown
        }
        Effect::Write { generation, store } => {
            if done && call != Call::Forgotten {
                world.stores[number(store)] = Some(*generation);
            }
            answer
        }
        Effect::Restart { .. } => answer,
        Effect::Revoke { generation } => {
            if done {
                world.revoke(*generation);
            }
            answer
        }
        Effect::Remove { store } => {
            if done {
                world.stores[number(store)] = None;
            }
            answer
        }
    }
}

fn mint(world: &mut World, generation: u64, call: Call) -> Seen {
    match call {
        Call::Answered => {
            let issued = world.issue(Owner::Ours(generation));
            world.held.insert(generation);
            Seen::Minted(Issued {
                id: id(issued),
                fingerprint: Fingerprint(format!("{generation}")),
                expires: None,
            })
        }
        Call::Done => {
            world.issue(Owner::Ours(generation));
            Seen::Unknown
        }
        Call::InFlight => {
            world.in_flight = Some(generation);
            Seen::Unknown
        }
        Call::Refused => Seen::Refused,
        _ => Seen::Unknown,
    }
}

fn list(
    model: &Model,
    world: &World,
) -> BTreeMap<crate::domain::rotation::machine::state::CredentialId, Option<u64>> {
    let label = |owner: &Owner| match owner {
        Owner::Ours(generation) if model.scene.slots.labelled => Some(*generation),
        _ => None,
    };
    debug_assert!(world.live.keys().all(|n| raw(&id(*n)) == *n));
    world
        .live
        .iter()
        .map(|(n, owner)| (id(*n), label(owner)))
        .collect()
}
