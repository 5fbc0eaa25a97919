//! Back to what the record knows, and where models come from.

use std::collections::BTreeSet;

use lockstep_core::domain::promotion::gate::evidence::ChangeNumber;
use lockstep_core::domain::promotion::machine::attempt::{PromotionName, StepName};
use lockstep_core::domain::promotion::machine::rollback::{
    CannotRollBack, Move, OnRollback, Recorded, RecordedStep, RollbackPlan, StepKind, disposable, plan,
};
use lockstep_core::domain::promotion::machine::state::Words;
use lockstep_core::domain::promotion::proof::provenance::{
    ModelVersion, PolicyRun, UnreviewedModel, Usability, explain, from_job_step,
};

use crate::review::{at, commit};

fn name(text: &str) -> PromotionName {
    PromotionName(text.into())
}

fn outputs(value: &str) -> Words {
    Words::from([("value".to_owned(), value.to_owned())])
}

fn recorded(promotion: &str, minute: i64) -> Recorded {
    let step = |step: &str, kind, on_rollback| RecordedStep {
        name: StepName(step.into()),
        kind,
        on_rollback,
        outputs: outputs(&format!("{step} of {promotion}")),
    };
    Recorded {
        promotion: name(promotion),
        policy_uid: "uid".into(),
        environment: "prod".into(),
        change: ChangeNumber(42),
        revision: commit("c42"),
        ended: at(minute),
        succeeded: true,
        steps: vec![
            step("code", StepKind::Files, OnRollback::Skip),
            step("train", StepKind::Job, OnRollback::Skip),
            step("model", StepKind::ModelAlias, OnRollback::Skip),
            step("serve", StepKind::ServingEndpoint, OnRollback::Skip),
            step("smoke", StepKind::Job, OnRollback::Run),
        ],
        directory: Some(format!("/w/{promotion}")),
    }
}

fn back(change: impl FnOnce(&mut Recorded)) -> Result<RollbackPlan, CannotRollBack> {
    let mut record = recorded("p1", 0);
    change(&mut record);
    let standing = BTreeSet::from(["/w/p1".to_owned()]);
    plan(&[record], "uid", "prod", &name("p1"), Some(&standing))
}

#[test]
fn a_rollback_points_at_what_the_record_has_and_trains_nothing() {
    let plan = back(|_| ()).unwrap();
    let moves: Vec<(&str, bool)> = plan
        .steps
        .iter()
        .map(|(step, does)| (step.0.as_str(), matches!(does, Move::RepointAndRun(_))))
        .collect();
    assert_eq!(
        moves,
        [
            ("train", false),
            ("model", false),
            ("serve", false),
            ("smoke", true)
        ]
    );
    assert_eq!(plan.steps[1].1, Move::Repoint(outputs("model of p1")));
}

#[test]
fn only_what_the_record_shows_to_have_succeeded_can_be_gone_back_to() {
    assert_eq!(
        back(|record| record.succeeded = false),
        Err(CannotRollBack::NotSucceeded(name("p1")))
    );
    for change in [
        (|record: &mut Recorded| record.policy_uid = "other".into()) as fn(&mut Recorded),
        |record| record.environment = "staging".into(),
        |record| record.promotion = name("p2"),
    ] {
        assert_eq!(back(change), Err(CannotRollBack::Unknown(name("p1"))));
    }
    let missing = back(|record| record.steps[2].outputs.clear());
    assert!(matches!(missing, Err(CannotRollBack::NoOutputs { step, .. }) if step.0 == "model"));
}

#[test]
fn what_ended_last_under_a_name_counts() {
    let mut later = recorded("p1", 5);
    later.succeeded = false;
    let standing = BTreeSet::from(["/w/p1".to_owned()]);
    let plan = plan(
        &[later, recorded("p1", 0)],
        "uid",
        "prod",
        &name("p1"),
        Some(&standing),
    );
    assert_eq!(plan, Err(CannotRollBack::NotSucceeded(name("p1"))));
}

#[test]
fn a_directory_that_is_gone_or_unread_cannot_be_gone_back_to() {
    let to = |standing: Option<&BTreeSet<String>>| {
        plan(&[recorded("p1", 0)], "uid", "prod", &name("p1"), standing)
    };
    assert!(matches!(
        to(Some(&BTreeSet::new())),
        Err(CannotRollBack::DirectoryGone { .. })
    ));
    assert!(matches!(to(None), Err(CannotRollBack::DirectoryUnknown { .. })));
}

#[test]
fn the_newest_directories_and_those_in_use_stay() {
    let record: Vec<Recorded> = (0..6).map(|n| recorded(&format!("p{n}"), n)).collect();
    let in_use = BTreeSet::from([name("p1")]);
    let gone: Vec<String> = disposable(&record, 2, &in_use).into_iter().collect();
    assert_eq!(gone, ["/w/p0", "/w/p2", "/w/p3"]);
    // A rollback that stands on an old directory keeps it.
    let mut shared = record.clone();
    shared[5].directory = Some("/w/p0".into());
    assert!(!disposable(&shared, 2, &in_use).contains("/w/p0"));
}

#[test]
fn the_directory_of_a_failure_takes_the_place_of_none() {
    let mut record: Vec<Recorded> = (0..4).map(|n| recorded(&format!("p{n}"), n)).collect();
    record[2].succeeded = false;
    record[3].succeeded = false;
    let held = BTreeSet::from([name("p3")]);
    let gone: Vec<String> = disposable(&record, 2, &held).into_iter().collect();
    assert_eq!(gone, ["/w/p2"]);
    // What a later try brought to its end is a success.
    record[2].directory = Some("/w/p1".into());
    assert!(disposable(&record, 2, &held).is_empty());
}

fn version(number: u64, by: &str, minute: i64) -> ModelVersion {
    ModelVersion {
        model: "ml.fraud.scorer".into(),
        version: number,
        created_by: Some(by.into()),
        created_at: Some(at(minute)),
        claims_run: None,
    }
}

fn run(id: &str, from: i64, to: Option<i64>) -> PolicyRun {
    PolicyRun {
        run: id.into(),
        promotion: name("p1"),
        run_as: "fraud-prod".into(),
        started: at(from),
        ended: to.map(at),
    }
}

fn explained(version: &ModelVersion) -> Result<String, UnreviewedModel> {
    let runs = [run("7", 10, Some(20)), run("8", 15, None)];
    explain(version, "fraud-prod", &Usability::DeclaredOnly, &runs).map(|run| run.run.clone())
}

#[test]
fn a_version_is_explained_by_who_made_it_and_when() {
    assert_eq!(explained(&version(1, "fraud-prod", 10)), Ok("7".into()));
    assert_eq!(explained(&version(1, "fraud-prod", 99)), Ok("8".into()));
    let mut tagged = version(1, "fraud-prod", 17);
    tagged.claims_run = Some("8".into());
    assert_eq!(explained(&tagged), Ok("8".into()));
}

#[test]
fn a_version_trained_by_hand_is_unreviewed_whatever_its_tags_say() {
    let mut by_hand = version(1, "eve@example.com", 15);
    by_hand.claims_run = Some("7".into());
    let error = explained(&by_hand).unwrap_err();
    assert!(matches!(error, UnreviewedModel::OtherCreator { .. }));
    assert!(error.to_string().contains("eve@example.com"));
    assert!(matches!(
        explained(&version(1, "fraud-prod", 9)),
        Err(UnreviewedModel::OutsideRuns { .. })
    ));
}

#[test]
fn a_version_of_unknown_making_or_of_an_identity_that_others_use_proves_nothing() {
    let mut unknown = version(1, "fraud-prod", 15);
    unknown.created_by = None;
    assert!(matches!(
        explained(&unknown),
        Err(UnreviewedModel::Unknown { .. })
    ));
    let runs = [run("7", 10, Some(20))];
    for usable_by in [
        Usability::Unknown,
        Usability::Others(BTreeSet::from(["eve".to_owned()])),
    ] {
        let found = explain(&version(1, "fraud-prod", 15), "fraud-prod", &usable_by, &runs);
        assert!(matches!(found, Err(UnreviewedModel::IdentityShared { .. })));
    }
}

#[test]
fn a_step_gives_the_one_version_its_run_made() {
    let run = run("7", 10, Some(20));
    let from = |versions: &[ModelVersion]| {
        from_job_step(
            "train",
            "ml.fraud.scorer",
            &run,
            &Usability::DeclaredOnly,
            versions,
        )
        .map(|version| version.version)
    };
    let mut other_model = version(9, "fraud-prod", 15);
    other_model.model = "ml.fraud.other".into();
    let strangers = [version(1, "fraud-prod", 9), version(2, "eve", 15), other_model];
    assert_eq!(
        from(&[&strangers[..], &[version(3, "fraud-prod", 15)]].concat()),
        Ok(3)
    );
    assert!(matches!(from(&strangers), Err(UnreviewedModel::NoVersion { .. })));
    let two = from(&[version(3, "fraud-prod", 15), version(4, "fraud-prod", 16)]);
    assert!(two.unwrap_err().to_string().contains("3, 4"));
}
