//! In doubt nothing is taken away, and a doubt that passes leaves no trace.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::binding::House;
use crate::faults::Fault;
use crate::generate::{Event, event, hand, teams};
use crate::judge::assert_nobody_else_lost;
use crate::outside::{PEOPLE, systems};
use crate::properties::{config, live};
use lockstep_core::domain::ports::ConnectionKind;

fn fault() -> impl Strategy<Value = Fault> {
    let system = || select(systems().to_vec());
    let kind = select(vec![ConnectionKind::Gerrit, ConnectionKind::Databricks]);
    prop_oneof![
        system().prop_map(Fault::NoDirectory),
        system().prop_map(Fault::Frozen),
        system().prop_map(Fault::Unread),
        (0..40_usize).prop_map(Fault::UnreadTarget),
        (0..40_usize).prop_map(Fault::UnreadName),
        (0..3_u8).prop_map(|n| Fault::BrokenSource(format!("b{n}"))),
        kind.prop_map(Fault::Unusable),
        (0..PEOPLE).prop_map(Fault::Twice),
        (0..PEOPLE).prop_map(Fault::Recycled),
    ]
}

/// A world in which everything is as declared, seen and confirmed.
fn settled(house: &mut House, events: &[Event]) -> Vec<usize> {
    live(house, events);
    let order: Vec<usize> = (0..house.bindings.len()).collect();
    house.settle(&order);
    house.settle(&order);
    order
}

fn begin(house: &mut House, faults: &[Fault]) {
    house.faults = faults.to_vec();
    for fault in faults {
        fault.happen(&mut house.outside);
    }
}

proptest! {
    #![proptest_config(config(384))]

    #[test]
    fn in_doubt_nothing_is_taken_and_the_doubt_leaves_no_trace(
        teams in teams(),
        hands in vec(hand(), 0..5),
        events in vec(event(), 0..6),
        faults in vec(fault(), 1..3),
    ) {
        let mut house = House::new(teams);
        for hand in hands {
            hand.act(&mut house);
        }
        let order = settled(&mut house, &events);
        let before = house.clone();
        begin(&mut house, &faults);
        for at in order.iter().chain(&order) {
            if !house.bindings[*at].gone {
                let plan = house.pass(*at);
                prop_assert_eq!(plan.lines(), Vec::<String>::new());
            }
        }
        house.faults.clear();
        house.outside.accounts.clone_from(&before.outside.accounts);
        house.settle(&order);
        for (now, then) in house.bindings.iter().zip(&before.bindings) {
            prop_assert_eq!(now.held(), then.held());
            prop_assert_eq!(&now.pins, &then.pins);
        }
    }

    #[test]
    fn whoever_leaves_in_doubt_takes_nothing_from_those_who_stay(
        teams in teams(),
        events in vec(event(), 0..6),
        faults in vec(fault(), 1..3),
        leaver in 0..3_usize,
    ) {
        let mut house = House::new(teams);
        let order = settled(&mut house, &events);
        begin(&mut house, &faults);
        let leaver = leaver % order.len();
        house.delete(leaver);
        for _ in 0..3 {
            let before = house.clone();
            house.pass(leaver);
            assert_nobody_else_lost(&before, &house, leaver);
        }
    }
}
