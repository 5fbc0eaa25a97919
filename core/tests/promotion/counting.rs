//! Whether everything that ran is explained.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::proof::completeness::{Act, Completeness, Occurrence, Unseen, count};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::properties::config;

fn run(n: u64) -> Occurrence {
    Occurrence {
        act: Act::Run,
        address: format!("databricks://123/runs/{n}"),
        by: Some("fraud-prod".into()),
        at: None,
    }
}

fn explained(runs: &[u64]) -> BTreeMap<String, PromotionName> {
    runs.iter()
        .map(|n| (run(*n).address, PromotionName("p".into())))
        .collect()
}

fn acknowledged(runs: &[u64]) -> BTreeMap<String, String> {
    runs.iter().map(|n| (run(*n).address, "yes".to_owned())).collect()
}

fn counted(population: &[u64], by_us: &[u64], by_people: &[u64]) -> Completeness {
    count(
        population.iter().map(|n| run(*n)),
        &explained(by_us),
        &acknowledged(by_people),
        [],
    )
}

#[test]
fn every_run_is_explained_acknowledged_or_named() {
    let counted = counted(&[1, 2, 3, 4], &[1, 2], &[3]);
    assert_eq!(
        (counted.total, counted.explained, counted.acknowledged),
        (4, 2, 1)
    );
    assert_eq!(counted.unexplained, BTreeSet::from([run(4)]));
    assert_eq!(
        counted.to_string(),
        "4 runs, 2 explained, 1 unexplained, 1 acknowledged"
    );
}

#[test]
fn what_was_listed_twice_is_one_and_what_we_started_and_nobody_saw_is_none() {
    assert_eq!(
        counted(&[1, 1], &[1, 2], &[]).to_string(),
        "1 runs, 1 explained, 0 unexplained"
    );
}

#[test]
fn what_could_not_be_seen_is_said_and_nothing_is_whole_without_it() {
    let unseen = Unseen {
        what: "writers of ml_prod.fraud.scorer".into(),
        why: "system.access.audit is not readable".into(),
    };
    let counted = count([], &BTreeMap::new(), &BTreeMap::new(), [unseen]);
    assert!(!counted.is_whole());
    assert!(
        counted
            .to_string()
            .ends_with("; not seen: writers of ml_prod.fraud.scorer (system.access.audit is not readable)")
    );
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn the_parts_make_the_whole(
        population in vec(0..12_u64, 0..24),
        ours in btree_map(0..12_u64, Just(()), 0..8),
        theirs in btree_map(0..12_u64, Just(()), 0..8),
    ) {
        let ours: Vec<u64> = ours.into_keys().collect();
        let theirs: Vec<u64> = theirs.into_keys().collect();
        let counted = counted(&population, &ours, &theirs);
        let distinct: BTreeSet<u64> = population.iter().copied().collect();
        prop_assert_eq!(counted.total, distinct.len());
        prop_assert_eq!(counted.total, counted.explained + counted.acknowledged + counted.unexplained.len());
    }
}
