//! The explorations: with all rules nothing happens; without one of them, something does.

use std::collections::{BTreeMap, BTreeSet};

use super::act::Action;
use super::world::{Accident, Model, Scene, World};
use crate::domain::exploring::explore;
use crate::domain::promotion::machine::guards::{Guard, Guards};
use crate::domain::promotion::machine::queue::{Place, Want};
use crate::domain::promotion::machine::state::OnFailure;

fn deploy(position: u64) -> Want {
    Want::Deploy(Place { position, attempt: 1 })
}

/// Nothing goes wrong but that runs fail.
fn scene(wants: Vec<Want>) -> Scene {
    Scene {
        wants,
        steps: 1,
        attempts: 2,
        on_failure: OnFailure::Rollback,
        ticks: 1,
        faults: 4,
        crashes: false,
        lost_answers: false,
        refusals: false,
        transient: false,
        hands: false,
        cancels: false,
        freezes: false,
        lifts: false,
        gates: false,
        forgets: false,
    }
}

/// Each looks at one corner of the world closely; together they look at all of it.
fn scenes() -> BTreeMap<&'static str, Scene> {
    BTreeMap::from([
        (
            "crashes and lost answers over two steps",
            Scene {
                steps: 2,
                crashes: true,
                lost_answers: true,
                transient: true,
                ticks: 2,
                ..scene(vec![deploy(1)])
            },
        ),
        (
            "a cancelled promotion, and time",
            Scene {
                crashes: true,
                lost_answers: true,
                cancels: true,
                transient: true,
                ticks: 3,
                ..scene(vec![deploy(1)])
            },
        ),
        (
            "refusals and other hands over two steps",
            Scene {
                steps: 2,
                refusals: true,
                hands: true,
                crashes: true,
                ticks: 2,
                ..scene(vec![deploy(1)])
            },
        ),
        (
            "failures that hold",
            Scene {
                steps: 2,
                on_failure: OnFailure::Hold,
                hands: true,
                crashes: true,
                refusals: true,
                ..scene(vec![deploy(1)])
            },
        ),
        (
            "freezes",
            Scene {
                steps: 2,
                freezes: true,
                crashes: true,
                ..scene(vec![deploy(1)])
            },
        ),
        (
            "glass broken for one of two",
            Scene {
                freezes: true,
                gates: true,
                lifts: true,
                faults: 2,
                ticks: 0,
                ..scene(vec![deploy(1), deploy(2)])
            },
        ),
        (
            "two merges",
            Scene {
                crashes: true,
                lost_answers: true,
                cancels: true,
                gates: true,
                faults: 3,
                ..scene(vec![deploy(1), deploy(2)])
            },
        ),
        (
            "merges found late",
            Scene {
                crashes: true,
                forgets: true,
                ticks: 0,
                ..scene(vec![deploy(1), deploy(2), deploy(3)])
            },
        ),
        (
            "a merge beside a rollback",
            Scene {
                crashes: true,
                lost_answers: true,
                cancels: true,
                ticks: 1,
                ..scene(vec![deploy(1), Want::Rollback])
            },
        ),
    ])
}

fn told(story: Vec<(World, Option<Action>)>) -> Vec<Action> {
    story.into_iter().filter_map(|(_, action)| action).collect()
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
        "something succeeds",
        "everything is undone",
        "something is left and said",
        "something is superseded",
    ] {
        assert!(seen.contains(reached), "{reached}");
    }
}

/// Which accident each rule stands against.
const MUTANTS: &[(Guard, &str, Accident)] = &[
    (Guard::OneAtATime, "two merges", Accident::TwoAct),
    (
        Guard::NoneOlder,
        "merges found late",
        Accident::OlderBeganAfterNewer,
    ),
    (Guard::NewestFirst, "two merges", Accident::TurnBehindNewer),
    (Guard::HoldStops, "two merges", Accident::TurnWhileHeld),
    (Guard::FailureHolds, "two merges", Accident::TurnWhileHeld),
    (Guard::ReleasedWhenEnded, "two merges", Accident::TwoAct),
    (
        Guard::SupersedeWaitingOnly,
        "two merges",
        Accident::RunOutlivesPromotion,
    ),
    (Guard::TurnNeeded, "two merges", Accident::BeganWithoutTurn),
    (Guard::GateNeeded, "two merges", Accident::BeganAgainstGate),
    (
        Guard::UndoSavedFirst,
        "refusals and other hands over two steps",
        Accident::LeftUnsaid,
    ),
    (
        Guard::UndoSavedOnce,
        "a cancelled promotion, and time",
        Accident::LeftUnsaid,
    ),
    (
        Guard::IntentFirst,
        "a cancelled promotion, and time",
        Accident::RunOutlivesPromotion,
    ),
    (
        Guard::LookFirst,
        "crashes and lost answers over two steps",
        Accident::RepeatedBlindly,
    ),
    (
        Guard::OneToken,
        "crashes and lost answers over two steps",
        Accident::TwoRunsOfOneStep,
    ),
    (
        Guard::AmbiguousIsNoRefusal,
        "crashes and lost answers over two steps",
        Accident::RunOutlivesPromotion,
    ),
    (
        Guard::UnreadIsNoSuccess,
        "crashes and lost answers over two steps",
        Accident::SucceededWithoutEffect,
    ),
    (
        Guard::AbsentMaySettle,
        "a cancelled promotion, and time",
        Accident::RunOutlivesPromotion,
    ),
    (
        Guard::StopBeforeUndo,
        "a cancelled promotion, and time",
        Accident::RunOutlivesPromotion,
    ),
    (
        Guard::TimeoutStops,
        "a cancelled promotion, and time",
        Accident::RunOutlivesItsTime,
    ),
    (
        Guard::CancelStops,
        "a cancelled promotion, and time",
        Accident::ActedAfterCancel,
    ),
    (
        Guard::RetryTransientOnly,
        "crashes and lost answers over two steps",
        Accident::TwoRunsOfOneStep,
    ),
    (
        Guard::TriesEnd,
        "crashes and lost answers over two steps",
        Accident::TooManyTries,
    ),
    (Guard::FreezeStops, "freezes", Accident::ActedWhileFrozen),
    (Guard::FreezeStopsUndo, "freezes", Accident::UndidWhileFrozen),
    (Guard::UndoInReverse, "freezes", Accident::UndoneOutOfOrder),
    (Guard::UndoWhatFailed, "freezes", Accident::LeftUnsaid),
    (
        Guard::UndoIsSeen,
        "crashes and lost answers over two steps",
        Accident::LeftUnsaid,
    ),
    (
        Guard::OthersWin,
        "refusals and other hands over two steps",
        Accident::OthersOverwritten,
    ),
    (Guard::LeftIsSaid, "failures that hold", Accident::LeftUnsaid),
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
