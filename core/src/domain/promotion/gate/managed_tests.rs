use std::collections::BTreeSet;

use super::super::people::GroupUuid;
use super::super::rules::{Agents, Approval, Verification};
use super::*;

const OWNER: Owner<'_> = Owner {
    namespace: "ml",
    policy: "fraud",
};
const AT: &str = "gerrit://g/projects/ml%2Ffraud";

pub(crate) fn rules(branch: &str, count: u32, leads: &str) -> Rules {
    Rules {
        project: "ml/fraud".into(),
        branch: branch.into(),
        environment: branch.into(),
        approval: Approval {
            label: "Code-Review".into(),
            count,
            group: GroupUuid("l".into()),
            group_name: leads.into(),
        },
        verification: Some(Verification {
            label: "Verified".into(),
            group: GroupUuid("c".into()),
            group_name: "ci".into(),
        }),
        labels: BTreeMap::new(),
        required: BTreeSet::new(),
        allow_overridden: BTreeSet::new(),
        agents: Agents::default(),
        trusted_automation: Vec::new(),
        requires: Vec::new(),
    }
}

fn of(all: &[Rules]) -> BTreeMap<String, Requirement> {
    let rules = all.iter().map(|rules| (rules.environment.clone(), rules.clone()));
    wanted(OWNER, &rules.collect()).unwrap()
}

fn seen(own: &BTreeMap<String, Requirement>) -> Requirements {
    Requirements {
        own: own.clone(),
        all: Vec::new(),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What is held once everything wanted was written and seen.
fn held(wanted: &BTreeMap<String, Requirement>) -> Vec<ConfiguredRow> {
    decide(wanted, &seen(wanted), &[], AT, at(1)).rows
}

const APPROVAL: &str = "Lockstep-ml-fraud-Approval";

#[test]
fn environments_that_ask_the_same_share_one_requirement_of_their_branches() {
    let all = of(&[rules("staging", 1, "ML leads"), rules("prod", 1, "ML leads")]);
    let names: Vec<&String> = all.keys().collect();
    assert_eq!(names, [APPROVAL, "Lockstep-ml-fraud-Verification"]);
    let approval = &all[APPROVAL];
    assert_eq!(
        approval.applicable_if.as_deref(),
        Some(r#"(-branch:refs/meta/config) AND (branch:"prod" OR branch:"staging")"#)
    );
    assert_eq!(
        approval.submittable_if,
        r#"(label:"Code-Review=MAX,group=ML leads") AND (label:"Code-Review=MAX,user=non_contributor") AND (-label:"Code-Review=MIN")"#
    );
    assert!(!approval.children_may_override && approval.override_if.is_none());
    assert_eq!(
        all["Lockstep-ml-fraud-Verification"].submittable_if,
        r#"(label:"Verified=MAX,group=ci")"#
    );
}

#[test]
fn more_people_are_counted_as_far_as_gerrit_counts() {
    for (count, said) in [(2, "count>=2"), (5, "count>=5"), (9, "count>=5")] {
        let all = of(&[rules("prod", count, "leads")]);
        let submittable = &all[APPROVAL].submittable_if;
        assert!(
            submittable.ends_with(&format!(r#" AND (label:"Code-Review=MAX,{said}")"#)),
            "{submittable}"
        );
    }
}

#[test]
fn environments_that_ask_otherwise_have_requirements_of_their_own() {
    let all = of(&[rules("a", 1, "leads"), rules("b", 2, "leads")]);
    assert_eq!(
        all[APPROVAL].applicable_if.as_deref(),
        Some(r#"(-branch:refs/meta/config) AND (branch:"a")"#)
    );
    assert_eq!(
        all["Lockstep-ml-fraud-b-Approval"].applicable_if.as_deref(),
        Some(r#"(-branch:refs/meta/config) AND (branch:"b")"#)
    );
}

#[test]
fn a_name_is_quoted_and_one_that_cannot_be_is_refused() {
    let all = of(&[rules("prod", 1, r#"the "best""#)]);
    assert!(all[APPROVAL].submittable_if.contains(r#"group=the \"best\"""#));
    let rules = BTreeMap::from([("prod".to_owned(), rules("prod", 1, "a, b"))]);
    let error = wanted(OWNER, &rules).unwrap_err();
    assert!(error.to_string().contains("\"a, b\""), "{error}");
}

#[test]
fn what_is_absent_is_created_and_what_is_equal_is_ours_without_a_write() {
    let wanted = of(&[rules("prod", 1, "leads")]);
    let decision = decide(&wanted, &Requirements::default(), &[], AT, at(1));
    assert_eq!(decision.write.0.len(), 2);
    assert!(decision.ask.0.is_empty() && decision.drift.is_empty());
    assert!(decision.rows.iter().all(|row| row.confirming == Some(at(1))));
    let again = decide(&wanted, &seen(&wanted), &decision.rows, AT, at(2));
    assert!(again.is_done());
    assert!(
        again
            .rows
            .iter()
            .all(|row| row.confirming.is_none() && row.since == at(1))
    );
    // The status is lost.
    let lost = decide(&wanted, &seen(&wanted), &[], AT, at(3));
    assert!(lost.is_done() && lost.rows.len() == 2);
}

#[test]
fn what_another_hand_changed_or_removed_is_put_back() {
    let wanted = of(&[rules("prod", 1, "leads")]);
    let mut there = wanted.clone();
    there.get_mut(APPROVAL).unwrap().submittable_if = "is:true".into();
    there.remove("Lockstep-ml-fraud-Verification");
    let decision = decide(&wanted, &seen(&there), &held(&wanted), AT, at(5));
    assert_eq!(decision.write.0.len(), 2);
    assert_eq!(decision.drift.len(), 2, "{:?}", decision.drift);
}

#[test]
fn what_was_begun_or_declared_anew_is_no_drift() {
    let (before, after) = (of(&[rules("prod", 1, "leads")]), of(&[rules("prod", 2, "leads")]));
    let decision = decide(&after, &seen(&before), &held(&before), AT, at(5));
    assert_eq!(decision.write.0.len(), 1);
    assert_eq!(decision.drift, [""; 0]);
    let begun = decide(&before, &Requirements::default(), &[], AT, at(5)).rows;
    let decision = decide(&before, &Requirements::default(), &begun, AT, at(6));
    assert_eq!((decision.write.0.len(), decision.drift.len()), (2, 0));
}

#[test]
fn what_is_not_ours_is_replaced_only_by_a_persons_word() {
    let wanted = of(&[rules("prod", 1, "leads")]);
    let foreign = Requirement {
        submittable_if: "is:true".into(),
        ..Requirement::default()
    };
    let there = BTreeMap::from([(APPROVAL.to_owned(), foreign)]);
    let decision = decide(&wanted, &seen(&there), &[], AT, at(1));
    let names = |changes: &RequirementChanges| changes.0.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&decision.ask), [APPROVAL]);
    assert_eq!(names(&decision.write), ["Lockstep-ml-fraud-Verification"]);
    assert!(decision.rows.iter().all(|row| row.name != APPROVAL));
    let mut rows = decision.rows;
    rows.extend(released(&decision.ask, AT, at(2)));
    let after = decide(&wanted, &seen(&there), &rows, AT, at(3));
    assert!(after.ask.0.is_empty() && after.write.0.contains_key(APPROVAL));
}

#[test]
fn what_is_wanted_no_more_goes_and_is_held_until_it_is_gone() {
    let wanted = of(&[rules("prod", 1, "leads")]);
    let nothing = BTreeMap::new();
    let decision = decide(&nothing, &seen(&wanted), &held(&wanted), AT, at(5));
    assert!(decision.write.0.values().all(Option::is_none));
    assert_eq!((decision.write.0.len(), decision.rows.len()), (2, 2));
    let gone = decide(&nothing, &Requirements::default(), &decision.rows, AT, at(6));
    assert!(gone.is_done() && gone.rows.is_empty());
    // What only bears such a name was never ours.
    assert!(decide(&nothing, &seen(&wanted), &[], AT, at(7)).is_done());
}
