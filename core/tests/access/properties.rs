//! Properties of the pure middle over small worlds.

use lockstep_core::domain::access::decide::{Question, decide};
use lockstep_core::domain::access::inventory::Inventory;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use crate::binding::{House, Reach};
use crate::generate::{Event, Hand, event, hand, teams};
use crate::judge::{assert_as_declared, checked_pass, includes};

/// Where the generator starts unless somebody looks further.
const SEED: u64 = 0x10c5_57e9;

/// So many cases, or as many as `PROPTEST_CASES` says.
pub fn config(cases: u32) -> Config {
    let default = Config::default();
    let told = std::env::var_os("PROPTEST_CASES").is_some();
    Config {
        cases: if told { default.cases } else { cases },
        failure_persistence: None,
        // The same cases every time, so that a change is judged by itself; `PROPTEST_CASES=20000` looks further, at
        // others each time.
        rng_seed: if told {
            default.rng_seed
        } else {
            RngSeed::Fixed(SEED)
        },
        max_shrink_iters: 4_000,
        ..default
    }
}

/// All bindings, from the one of this number on.
fn order(house: &House, first: usize) -> Vec<usize> {
    let count = house.bindings.len();
    (0..count).map(|n| (n + first) % count).collect()
}

pub fn live(house: &mut House, events: &[Event]) {
    let count = house.bindings.len();
    for event in events {
        match event {
            Event::Pass(at) => {
                if !house.bindings[at % count].gone {
                    checked_pass(house, at % count);
                }
            }
            Event::Cut(at, parts) => {
                let mut parts = *parts;
                let mut takes = || {
                    parts = parts.rotate_right(1);
                    parts >> 63 == 1
                };
                if !house.bindings[at % count].gone {
                    house.pass_as_far(at % count, Reach::Cut(&mut takes));
                }
            }
            Event::Edit(at, team) => house.bindings[at % count].team = (**team).clone(),
            Event::Delete(at) => house.delete(at % count),
            Event::Hand(hand @ Hand::Rename(name)) => rename(house, hand, name),
            Event::Hand(hand) => hand.act(house),
        }
    }
}

/// A group of Databricks has no identity but its name until a pass has seen it, and a name that has a second bearer
/// by then cannot be given back: who made it sees it before, and who knows it comes first afterwards.
fn rename(house: &mut House, hand: &Hand, name: &str) {
    let count = house.bindings.len();
    let pin = format!("group/{name}");
    let begun = |house: &House, n: usize| !house.bindings[n].intents.is_empty();
    let knows = |house: &House, n: usize| house.bindings[n].pins.iter().any(|known| known.name == pin);
    let pass = |house: &mut House, who: &dyn Fn(&House, usize) -> bool| {
        for at in 0..count {
            if !house.bindings[at].gone && who(house, at) {
                house.pass(at);
            }
        }
    };
    pass(house, &begun);
    pass(house, &|_, _| true);
    hand.act(house);
    pass(house, &knows);
    pass(house, &|_, _| true);
}

/// Deletes everything. Whatever Lockstep gave is gone, but for groups that others have joined.
fn leave(house: &mut House, order: &[usize]) {
    for at in order {
        house.delete(*at);
        house.settle(order);
    }
    let outside = &house.outside;
    assert_eq!(outside.ours, [].into(), "left behind");
    for target in &outside.our_groups {
        assert!(
            !outside.groups[target].members.is_empty(),
            "{target} is left behind, empty"
        );
    }
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn whatever_happens_bindings_converge_and_leave_nothing_behind(
        teams in teams(),
        hands in vec(hand(), 0..6),
        events in vec(event(), 0..14),
        first in 0..3_usize,
    ) {
        let mut house = House::new(teams);
        for hand in hands {
            hand.act(&mut house);
        }
        live(&mut house, &events);
        let order = order(&house, first);
        house.settle(&order);
        assert_as_declared(&house);
        leave(&mut house, &order);
    }
}

proptest! {
    #![proptest_config(config(192))]

    #[test]
    fn the_order_of_objects_never_matters(
        teams in teams(),
        hands in vec(hand(), 0..6),
        events in vec(event(), 0..10),
        turn in 1..5_usize,
    ) {
        let mut house = House::new(teams);
        for hand in hands {
            hand.act(&mut house);
        }
        live(&mut house, &events);
        for at in 0..house.bindings.len() {
            let question = house.question(at);
            let mut turned = question.clone();
            turned.others.reverse();
            turned.intents.reverse();
            let Question { me, others, .. } = &mut turned;
            for claimant in std::iter::once(me).chain(others) {
                shuffle(&mut claimant.declared.groups, turn);
                shuffle(&mut claimant.declared.rights, turn);
                shuffle(&mut claimant.declared.problems, turn);
                shuffle(&mut claimant.pins, turn);
                if let Some(team) = &mut claimant.team {
                    shuffle(team, turn);
                }
            }
            let [one, other] = [question, turned].map(|question| decide(&question, house.outside.now));
            let (one, other) = (format!("{one:#?}"), format!("{other:#?}"));
            let differs = one.lines().zip(other.lines()).find(|(a, b)| a != b);
            prop_assert!(one == other, "{:?}", differs);
        }
    }

    #[test]
    fn without_memory_nothing_is_taken_away(
        teams in teams(),
        hands in vec(hand(), 0..6),
        events in vec(event(), 0..8),
        more in vec(hand(), 0..4),
    ) {
        let mut house = House::new(teams);
        for hand in hands {
            hand.act(&mut house);
        }
        live(&mut house, &events);
        for hand in more {
            hand.act(&mut house);
        }
        for at in 0..house.bindings.len() {
            let mut question = house.question(at);
            question.me.inventory = Inventory::default();
            question.me.pins.clear();
            question.intents.clear();
            question.inventory_lost = true;
            let plan = decide(&question, house.outside.now).plan;
            for change in plan.all() {
                prop_assert!(!change.delete && change.remove.is_empty());
                // What replaces a value without a removal must not take anything away either.
                let rows = house.outside.rows.get(&change.target);
                for (who, what) in &change.add {
                    for (holder, held) in rows.into_iter().flatten() {
                        let same = holder == who && held.slot().is_some() && held.slot() == what.slot();
                        prop_assert!(!same || includes(what, held), "{what} replaces {held}");
                    }
                }
            }
        }
    }
}

fn shuffle<T>(list: &mut [T], turn: usize) {
    list.reverse();
    if !list.is_empty() {
        list.rotate_left(turn % list.len());
    }
}
