//! Seeing merges and tips of many branches in few requests.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use lockstep_core::domain::ports::SystemErrorKind;
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, ChangeStatus};
use lockstep_core::domain::promotion::ports::reviews::{ChangeName, ReviewSystem as _, Watched};
use reqwest::Method;
use serde_json::json;

use super::yard::yard;

#[tokio::test]
async fn merges_of_all_watched_branches_come_in_one_listing_and_page_by_page() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let before = Timestamp::now();
    let mut numbers = BTreeSet::new();
    for file in ["a", "b", "c"] {
        let change = y.propose(file, "1\n");
        y.bring_in(&change).await;
        numbers.insert(change.number);
    }
    y.start_from("staging");
    let commit = y.commit_as("ada", "ada", "d", "1\n", "");
    let other = y.propose_to("ada", commit, "refs/for/refs/heads/staging");
    y.bring_in(&other).await;
    y.start_from("prod");
    let open = y.propose("e", "1\n");

    let prod = BTreeSet::from([y.on("prod")]);
    let both = BTreeSet::from([y.on("prod"), y.on("staging")]);
    let found = |merges: &lockstep_core::domain::promotion::ports::reviews::Merges| -> BTreeSet<u64> {
        merges.found.iter().map(|merged| merged.number.0).collect()
    };
    let seen = y.system.merges(&prod, before).await.unwrap();
    assert_eq!(found(&seen), numbers);
    let submitted: Vec<Timestamp> = seen.found.iter().map(|merged| merged.submitted).collect();
    assert!(submitted.is_sorted());
    assert_eq!(seen.watermark, submitted.last().copied());
    numbers.insert(other.number);
    let seen = y.system.merges(&both, before).await.unwrap();
    assert_eq!(found(&seen), numbers);
    assert!(!found(&seen).contains(&open.number));
    // Small pages give the same, and five minutes before the watermark are looked at again.
    let paged = y.house.system(|settings| settings.page = 2);
    let again = paged.merges(&both, seen.watermark.unwrap()).await.unwrap();
    assert_eq!(again, seen);
    let later = seen.watermark.unwrap() + SignedDuration::from_mins(6);
    let nothing = y.system.merges(&both, later).await.unwrap();
    assert_eq!((nothing.found.len(), nothing.watermark), (0, None));
}

#[tokio::test]
async fn tips_of_all_branches_are_shown_and_missing_ones_are_not() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let other = yard("FAST_FORWARD_ONLY").await.unwrap();
    let root = y.head();
    let change = y.propose("a", "1\n");
    y.bring_in(&change).await;
    let gone = Watched {
        project: format!("{}-gone", y.project),
        branch: "prod".into(),
    };
    let watched = BTreeSet::from([
        y.on("prod"),
        y.on("staging"),
        y.on("nowhere"),
        other.on("prod"),
        gone.clone(),
    ]);
    let tips = y.system.tips(&watched).await.unwrap();
    assert_eq!(tips[&y.on("prod")], change.commit);
    assert_eq!(tips[&y.on("staging")], root);
    assert!(tips.contains_key(&other.on("prod")));
    assert!(!tips.contains_key(&y.on("nowhere")) && !tips.contains_key(&gone));
    assert_eq!(tips.len(), 3);
}

#[tokio::test]
async fn a_name_that_would_be_another_search_is_refused() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let hostile = Watched {
        project: "x\" OR project:\"All-Projects".into(),
        branch: "prod".into(),
    };
    let error = y
        .system
        .merges(&BTreeSet::from([hostile]), Timestamp::now())
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Refused);
}

#[tokio::test]
async fn a_change_is_found_by_its_number_and_by_its_change_id_on_every_branch() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let change = y.propose("a", "1\n");
    let pick = y.at(&change, "/revisions/current/cherrypick");
    let picked = y
        .must("ada", Method::POST, &pick, json!({"destination": "staging"}))
        .await;
    let picked = picked["_number"].as_u64().unwrap();
    y.bring_in(&change).await;

    let name = ChangeName::Number(ChangeNumber(change.number));
    let found = y.system.find(&name).await.unwrap();
    let [found] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!((found.number.0, &found.on), (change.number, &y.on("prod")));
    assert_eq!(
        (&found.revision, found.status),
        (&change.commit, Some(ChangeStatus::Merged))
    );

    let all = y
        .system
        .find(&ChangeName::Id(change.change_id.clone()))
        .await
        .unwrap();
    let seen: BTreeSet<_> = all.iter().map(|one| (one.number.0, one.status)).collect();
    let both = [
        (change.number, Some(ChangeStatus::Merged)),
        (picked, Some(ChangeStatus::New)),
    ];
    assert_eq!(seen, BTreeSet::from(both));

    let nowhere = ChangeName::Number(ChangeNumber(99_999_999));
    assert_eq!(y.system.find(&nowhere).await.unwrap(), Vec::new());
}
