//! The explorations: with all rules nothing happens; without one of them, something does.

use std::collections::{BTreeMap, BTreeSet};

use super::act::Action;
use super::world::{Accident, Model, Scene, World};
use crate::domain::exploring::explore;
use crate::domain::rotation::machine::guards::{Guard, Guards};
use crate::domain::rotation::machine::step::Slots;

const EXCLUSIVE: Slots = Slots {
    limit: Some(5),
    labelled: false,
    exclusive: true,
};

/// Nothing goes wrong.
fn scene() -> Scene {
    Scene {
        stores: 1,
        slots: EXCLUSIVE,
        strangers: 0,
        restarts: false,
        ticks: 3,
        generations: 2,
        faults: 2,
        crashes: false,
        lost_answers: false,
        refusals: false,
        lost_writes: false,
        wrong_lists: false,
        hands: false,
        thieves: false,
        newcomers: false,
        ends: false,
    }
}

/// Each looks at one corner of the world closely; together they look at all of it.
fn scenes() -> BTreeMap<&'static str, Scene> {
    BTreeMap::from([
        (
            "crashes and lost answers",
            Scene {
                crashes: true,
                lost_answers: true,
                refusals: true,
                ..scene()
            },
        ),
        (
            "three stores that lose writes",
            Scene {
                stores: 3,
                crashes: true,
                lost_writes: true,
                ticks: 2,
                ..scene()
            },
        ),
        (
            "consumers that start anew",
            Scene {
                stores: 2,
                restarts: true,
                crashes: true,
                lost_answers: true,
                lost_writes: true,
                ticks: 2,
                faults: 1,
                ..scene()
            },
        ),
        (
            "two stores and hands in them",
            Scene {
                stores: 2,
                hands: true,
                refusals: true,
                wrong_lists: true,
                ..scene()
            },
        ),
        (
            "strangers where values are labelled",
            Scene {
                slots: Slots {
                    labelled: true,
                    exclusive: false,
                    limit: None,
                },
                strangers: 1,
                newcomers: true,
                crashes: true,
                lost_answers: true,
                ..scene()
            },
        ),
        (
            "strangers where they are not",
            Scene {
                slots: Slots {
                    labelled: false,
                    exclusive: false,
                    limit: None,
                },
                strangers: 1,
                newcomers: true,
                crashes: true,
                lost_answers: true,
                ..scene()
            },
        ),
        (
            "two slots",
            Scene {
                slots: Slots {
                    limit: Some(2),
                    ..EXCLUSIVE
                },
                generations: 3,
                crashes: true,
                lost_answers: true,
                faults: 1,
                ticks: 4,
                ..scene()
            },
        ),
        (
            "three slots, one of them spare",
            Scene {
                slots: Slots {
                    limit: Some(3),
                    ..EXCLUSIVE
                },
                generations: 3,
                crashes: true,
                faults: 1,
                ticks: 4,
                ..scene()
            },
        ),
        (
            "thieves",
            Scene {
                stores: 2,
                thieves: true,
                lost_answers: true,
                ..scene()
            },
        ),
        (
            "the end",
            Scene {
                stores: 2,
                ends: true,
                crashes: true,
                lost_answers: true,
                ..scene()
            },
        ),
    ])
}

/// A story as people read it: what was about to be done, what happened, and what was wrong in the end.
fn told(story: Vec<(World, Option<Action>)>) -> Vec<String> {
    let told = |(world, action): (World, Option<Action>)| match (world.pending, action) {
        (Some(effect), Some(action)) => format!("{action:?}: {effect:?}"),
        (_, Some(action)) => format!("{action:?}"),
        (_, None) => format!("{:?}", world.accidents),
    };
    story.into_iter().map(told).collect()
}

#[test]
fn with_all_rules_there_is_no_accident() {
    let mut total = 0;
    let mut seen = BTreeSet::new();
    let mut stories = BTreeMap::new();
    for (what, scene) in scenes() {
        let explored = explore(Model {
            scene,
            guards: Guards::ALL,
            wanted: None,
        });
        println!("{:>9} states: {what}", explored.states);
        stories.extend(explored.story.map(|story| (what, told(story))));
        total += explored.states;
        seen.extend(explored.reached);
    }
    println!("{total:>9} states");
    assert!(stories.is_empty(), "{stories:#?}");
    // What is never reached is not proven.
    for reached in [
        "one follows another and the last is gone",
        "what was lost is swept",
        "what was stolen is replaced",
        "a stray is named",
        "it ends",
    ] {
        assert!(seen.contains(reached), "{reached}");
    }
}

/// Which accident each rule stands against.
const MUTANTS: &[(Guard, &str, Accident)] = &[
    (Guard::PlanFirst, "crashes and lost answers", Accident::Leaked),
    (
        Guard::OneMint,
        "crashes and lost answers",
        Accident::TwoMintsOfOneGeneration,
    ),
    (
        Guard::AbsentMaySettle,
        "crashes and lost answers",
        Accident::Leaked,
    ),
    (
        Guard::SweepOnlyOurs,
        "strangers where they are not",
        Accident::StrangerRevoked,
    ),
    (Guard::SlotNeeded, "two slots", Accident::MintedWithoutSlot),
    (
        Guard::SpareKept,
        "three slots, one of them spare",
        Accident::SpareUsed,
    ),
    (
        Guard::ProveFirst,
        "crashes and lost answers",
        Accident::StoredUnproven,
    ),
    (
        Guard::ReadBack,
        "three stores that lose writes",
        Accident::CurrentNotEverywhere,
    ),
    (
        Guard::EveryStore,
        "three stores that lose writes",
        Accident::CurrentNotEverywhere,
    ),
    (
        Guard::RestartLast,
        "consumers that start anew",
        Accident::RestartedEarly,
    ),
    (
        Guard::OverlapOver,
        "crashes and lost answers",
        Accident::RevokedTooEarly,
    ),
    (
        Guard::ReadBeforeRevoke,
        "two stores and hands in them",
        Accident::DeadInStore,
    ),
    (
        Guard::OtherIsCurrent,
        "two stores and hands in them",
        Accident::RevokedTooEarly,
    ),
    (Guard::GoneIsSeen, "crashes and lost answers", Accident::Leaked),
    (
        Guard::UnlistedMayLive,
        "two stores and hands in them",
        Accident::Leaked,
    ),
    (Guard::CompromisedFirst, "thieves", Accident::MintedBeforeRevoke),
    (Guard::EndRevokesAll, "the end", Accident::Leaked),
];

#[test]
fn without_any_one_rule_the_accident_is_found() {
    let scenes = scenes();
    let mut missed = Vec::new();
    for (guard, what, accident) in MUTANTS {
        let explored = explore(Model {
            scene: scenes[what].clone(),
            guards: Guards::without(*guard),
            wanted: Some(*accident),
        });
        let moves = explored.story.as_ref().map_or(0, Vec::len);
        println!(
            "{guard:?}: {accident:?} after {moves} moves, {} states seen",
            explored.states
        );
        if explored.story.is_none() {
            missed.push((guard, accident));
        }
    }
    println!("{} rules", MUTANTS.len());
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn every_rule_has_its_accident() {
    let tried: BTreeSet<Guard> = MUTANTS.iter().map(|(guard, ..)| *guard).collect();
    assert_eq!(tried, Guard::EVERY.iter().copied().collect());
}
