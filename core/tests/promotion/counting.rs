//! Whether everything that ran, or wrote, is explained.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_core::domain::promotion::machine::attempt::{IdempotencyToken, PromotionName, StepName};
use lockstep_core::domain::promotion::machine::rollback::{OnRollback, Recorded, RecordedStep, StepKind};
use lockstep_core::domain::promotion::ports::deployments::words;
use lockstep_core::domain::promotion::proof::completeness::{Act, Hidden, Occurrence, Run};
use lockstep_core::domain::promotion::proof::explanation::{Acted, Known};
use lockstep_core::domain::promotion::proof::ledger::{Completeness, Judged, Ledger, NAMED, Sight, Standing};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::properties::config;
use crate::review::{at, commit};

const IDENTITY: &str = "fraud-prod";

fn run(n: u64, minute: i64) -> Occurrence {
    Occurrence {
        act: Act::Run,
        address: format!("databricks://123/runs/{n}"),
        by: Some("ada".into()),
        at: Some(at(minute)),
    }
}

fn judged(occurrence: Occurrence, explained: bool) -> Judged {
    Judged {
        occurrence,
        explained,
    }
}

/// A look whose newest run began at this minute.
fn look(events: Vec<Judged>, newest: i64) -> Sight {
    Sight {
        events,
        settled: Some(Ledger::settled(at(newest))),
        ..Sight::default()
    }
}

/// A look at how these things stand; `None`: it could not be read.
fn looks(found: &[(&str, Option<(Act, &str, bool)>)], minute: i64) -> Sight {
    let one = |(act, address, explained): (Act, &str, bool)| {
        let occurrence = Occurrence {
            act,
            address: address.into(),
            by: None,
            at: None,
        };
        vec![judged(occurrence, explained)]
    };
    let found = found
        .iter()
        .map(|(sought, found)| ((*sought).to_owned(), found.map(one)));
    Sight {
        standing: Some(Standing {
            found: found.collect(),
            at: at(minute),
        }),
        ..Sight::default()
    }
}

fn stands(act: Act, address: &str, explained: bool, minute: i64) -> Sight {
    looks(&[("it", Some((act, address, explained)))], minute)
}

#[test]
fn every_run_is_explained_acknowledged_or_named() {
    let mut ledger = Ledger::begin(at(0));
    let all = || vec![judged(run(1, 1), true), judged(run(2, 2), false)];
    let counted = ledger.take_in(&look(all(), 2));
    assert_eq!(counted.to_string(), "2 runs, 1 explained, 1 unexplained");
    assert_eq!(counted.strangers, [run(2, 2)]);
    assert_eq!(
        ledger.strange().unwrap(),
        "1 run that no promotion explains: run databricks://123/runs/2 by ada at 2026-11-23T09:02:00Z"
    );
    ledger.acknowledge();
    let counted = ledger.take_in(&look(all(), 2));
    assert_eq!(
        counted.to_string(),
        "2 runs, 1 explained, 0 unexplained, 1 acknowledged"
    );
    assert_eq!((counted.strangers, ledger.strange()), (vec![], None));
}

#[test]
fn what_ran_before_is_none_of_the_population() {
    let mut ledger = Ledger::begin(at(10));
    let counted = ledger.take_in(&look(vec![judged(run(1, 9), false)], 10));
    assert_eq!(counted, Completeness::default());
}

#[test]
fn a_run_that_is_listed_late_is_counted_all_the_same() {
    let mut ledger = Ledger::begin(at(0));
    ledger.take_in(&look(vec![judged(run(2, 9), true)], 9));
    let late = vec![judged(run(1, 5), false), judged(run(2, 9), true)];
    let counted = ledger.take_in(&look(late, 9));
    assert_eq!(counted.to_string(), "2 runs, 1 explained, 1 unexplained");
}

#[test]
fn what_was_named_stays_when_its_trace_is_gone() {
    let mut ledger = Ledger::begin(at(0));
    ledger.take_in(&look(vec![judged(run(1, 1), false)], 1));
    let counted = ledger.take_in(&look(vec![], 60));
    assert_eq!(counted.strangers, [run(1, 1)]);
}

#[test]
fn a_yes_to_some_says_nothing_of_those_that_come_after() {
    let mut ledger = Ledger::begin(at(0));
    ledger.take_in(&look(vec![judged(run(1, 1), false)], 1));
    let one = ledger.open.clone();
    ledger.take_in(&look(vec![judged(run(1, 1), false), judged(run(2, 1), false)], 1));
    assert_ne!(ledger.open, one);
    ledger.acknowledge();
    assert_eq!(ledger.open, "");
    let counted = ledger.take_in(&look(vec![judged(run(3, 2), false)], 2));
    assert_eq!((counted.acknowledged, counted.unexplained), (2, 1));
}

#[test]
fn a_thing_counts_when_it_comes_to_stand_otherwise() {
    let mut ledger = Ledger::begin(at(0));
    let alias = |version: u64| format!("databricks-metastore://m/model/a/aliases/champion/{version}");
    let mut sees = |version, explained, minute| {
        let counted = ledger.take_in(&stands(Act::Alias, &alias(version), explained, minute));
        (counted.explained, counted.unexplained)
    };
    // What stands at the first look was there before.
    assert_eq!(sees(1, false, 1), (0, 0));
    assert_eq!(sees(1, false, 2), (0, 0));
    assert_eq!(sees(2, true, 3), (1, 0));
    assert_eq!(sees(2, false, 4), (1, 0));
    assert_eq!(sees(1, false, 5), (1, 1));
    assert_eq!(sees(2, true, 6), (2, 1));
    assert_eq!(ledger.strangers[0].address, alias(1));
}

#[test]
fn what_a_policy_comes_to_govern_was_there_before() {
    let mut ledger = Ledger::begin(at(0));
    let alias = ("alias", Some((Act::Alias, "m/aliases/champion/1", false)));
    let endpoint = |version| ("endpoint", Some((Act::Endpoint, version, false)));
    ledger.take_in(&looks(&[alias], 1));
    let counted = ledger.take_in(&looks(&[alias, endpoint("e/config/7")], 2));
    assert_eq!(counted.total(), 0);
    let counted = ledger.take_in(&looks(&[alias, endpoint("e/config/8")], 3));
    assert_eq!(counted.unexplained, 1);
}

#[test]
fn what_another_identity_ran_before_it_was_governed_is_none_of_the_population() {
    let mut ledger = Ledger::begin(at(0));
    ledger.turn_to("a".into(), at(0));
    ledger.turn_to("b".into(), at(10));
    let counted = ledger.take_in(&look(
        vec![judged(run(1, 9), false), judged(run(2, 10), false)],
        10,
    ));
    assert_eq!(counted.strangers, [run(2, 10)]);
}

#[test]
fn what_could_not_be_read_has_not_gone() {
    let mut ledger = Ledger::begin(at(0));
    ledger.take_in(&stands(Act::Files, "databricks://1/directories/a", false, 1));
    ledger.take_in(&looks(&[("it", None)], 2));
    let counted = ledger.take_in(&stands(Act::Files, "databricks://1/directories/a", false, 3));
    assert_eq!(counted.unexplained, 0);
}

#[test]
fn runs_whose_identity_nobody_knows_are_said_to_be_unseen() {
    let mut ledger = Ledger::begin(at(0));
    let hidden = |minute| Hidden {
        why: "the job is gone",
        at: Some(at(minute)),
    };
    for newest in [1, 60] {
        let counted = ledger.take_in(&Sight {
            hidden: vec![hidden(1), hidden(1)],
            ..look(vec![], newest)
        });
        let said = counted.to_string();
        assert!(
            said.ends_with("; not seen: whom 2 runs ran as (the job is gone)"),
            "{said}"
        );
    }
    let counted = ledger.take_in(&look(vec![], 90));
    assert_eq!(counted.unseen.len(), 1);
}

#[test]
fn a_storm_is_counted_to_the_last_and_named_in_part() {
    let mut ledger = Ledger::begin(at(0));
    let storm = || (0..2_000).map(|n| judged(run(n, 1), false)).collect();
    for newest in [1, 60, 60] {
        let counted = ledger.take_in(&look(storm(), newest));
        assert_eq!((counted.unexplained, counted.strangers.len()), (2_000, NAMED));
        assert!(serde_json::to_vec(&ledger).unwrap().len() < 60_000);
    }
}

fn known() -> Known {
    Known {
        tried: BTreeMap::from([(IdempotencyToken("t".into()), PromotionName("p".into()))]),
        ourselves: BTreeSet::from(["lockstep".to_owned()]),
        jobs: BTreeSet::from(["7".to_owned()]),
        acted: vec![Acted {
            promotion: PromotionName("p".into()),
            since: at(10),
            until: Some(at(20)),
        }],
        left: Vec::new(),
    }
}

fn started(by: &str, token: Option<&str>, job: &str, triggered: bool) -> Run {
    Run {
        occurrence: Occurrence {
            by: Some(by.into()),
            ..run(1, 1)
        },
        run_as: IDENTITY.into(),
        job: Some(job.into()),
        token: token.map(|token| IdempotencyToken(token.into())),
        triggered,
    }
}

#[test]
fn a_run_is_ours_if_it_was_announced_and_the_server_says_that_we_started_it() {
    let known = known();
    assert!(known.explains_run(&started("lockstep", Some("t"), "7", false)));
    for (other, why) in [
        (started("ada", Some("t"), "7", false), "a copied key"),
        (started("lockstep", Some("u"), "7", false), "never announced"),
        (started("lockstep", None, "7", false), "no key"),
        (started("ada", None, "7", false), "by hand"),
    ] {
        assert!(!known.explains_run(&other), "{why}");
    }
}

#[test]
fn the_schedule_of_a_job_that_was_promoted_explains_its_runs() {
    let known = known();
    assert!(known.explains_run(&started("ada", None, "7", true)));
    assert!(!known.explains_run(&started("ada", None, "8", true)));
}

#[test]
fn a_version_is_ours_if_the_identity_made_it_while_a_promotion_was_at_work() {
    let version = |by: &str, minute| Occurrence {
        act: Act::Version,
        address: "databricks-metastore://m/model/a/versions/1".into(),
        by: Some(by.into()),
        at: Some(at(minute)),
    };
    let known = known();
    assert!(known.explains_version(&version(IDENTITY, 15), IDENTITY));
    for other in [version("ada", 15), version(IDENTITY, 9), version(IDENTITY, 21)] {
        assert!(!known.explains_version(&other, IDENTITY), "{other}");
    }
}

fn left(minute: i64, kind: StepKind, address: Option<&str>) -> Recorded {
    let outputs = address.map(|address| (words::ADDRESS.to_owned(), address.to_owned()));
    Recorded {
        promotion: PromotionName(format!("p{minute}")),
        policy_uid: "uid".into(),
        environment: "prod".into(),
        change: lockstep_core::domain::promotion::gate::evidence::ChangeNumber(1),
        revision: commit("c"),
        ended: at(minute),
        succeeded: address.is_some(),
        steps: vec![RecordedStep {
            name: StepName("step".into()),
            kind,
            on_rollback: OnRollback::Skip,
            outputs: outputs.into_iter().collect(),
        }],
        directory: None,
    }
}

#[test]
fn an_alias_that_a_hand_moved_back_is_not_as_the_last_promotion_left_it() {
    let alias = |version: u64| Occurrence {
        act: Act::Alias,
        address: format!("databricks-metastore://m/model/a/aliases/champion/{version}"),
        by: None,
        at: None,
    };
    let mut known = known();
    let step = |minute, version| left(minute, StepKind::ModelAlias, Some(&alias(version).address));
    known.left = vec![step(20, 2), step(10, 1)];
    assert!(known.explains_standing(&alias(2), None));
    assert!(!known.explains_standing(&alias(1), None));
    assert!(!known.explains_standing(&alias(3), None));
}

#[test]
fn every_directory_that_a_promotion_filled_is_explained() {
    let directory = |name: &str| Occurrence {
        act: Act::Files,
        address: format!("databricks://1/directories/{name}"),
        by: None,
        at: None,
    };
    let mut known = known();
    let step = |minute, name| left(minute, StepKind::Files, Some(&directory(name).address));
    known.left = vec![step(20, "b"), step(10, "a")];
    for (name, explained) in [("a", true), ("b", true), ("c", false)] {
        assert_eq!(known.explains_standing(&directory(name), None), explained);
    }
}

#[test]
fn an_endpoint_that_was_put_back_is_explained_until_it_was_seen() {
    let config = |by: &str| Occurrence {
        act: Act::Endpoint,
        address: "databricks://1/serving-endpoints/fraud/config/3".into(),
        by: Some(by.into()),
        at: None,
    };
    let mut known = known();
    known.left = vec![left(20, StepKind::ServingEndpoint, None)];
    assert!(known.explains_standing(&config("lockstep"), Some(at(15))));
    assert!(!known.explains_standing(&config("lockstep"), Some(at(25))));
    assert!(!known.explains_standing(&config("ada"), Some(at(15))));
}

proptest! {
    #![proptest_config(config(256))]

    /// However often and in whichever pieces it is listed, each run counts once.
    #[test]
    fn the_parts_make_the_whole(
        population in vec((0..60_i64, any::<bool>()), 0..40),
        looks in vec(0..80_i64, 1..8),
    ) {
        let mut ledger = Ledger::begin(at(0));
        let mut looks = looks;
        looks.sort_unstable();
        let all = |until: i64| -> Vec<Judged> {
            let begun = population.iter().enumerate().filter(|(_, (minute, _))| *minute <= until);
            begun.map(|(n, (minute, explained))| judged(run(n as u64, *minute), *explained)).collect()
        };
        for look_at in looks {
            let from: Timestamp = ledger.counted;
            let newest = all(look_at).iter().filter_map(|event| event.occurrence.at).max();
            let listed = all(look_at).into_iter().filter(|event| event.occurrence.at >= Some(from)).collect();
            let counted = ledger.take_in(&Sight {
                events: listed,
                settled: newest.map(Ledger::settled),
                ..Sight::default()
            });
            let (explained, strange): (Vec<Judged>, Vec<Judged>) =
                all(look_at).into_iter().partition(|event| event.explained);
            prop_assert_eq!(counted.explained, explained.len() as u64);
            prop_assert_eq!(counted.unexplained, strange.len() as u64);
            prop_assert_eq!(counted.total(), all(look_at).len() as u64);
        }
    }
}
