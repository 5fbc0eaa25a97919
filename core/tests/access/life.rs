//! What access means, sentence by sentence: groups that come, are taken over, and go.

use lockstep_core::api::access_binding::Membership::{Additive, Authoritative};
use lockstep_core::domain::access::decide::{Decision, decide};
use lockstep_core::domain::access::grant::Privilege;
use lockstep_core::domain::plan::BrakeRule;
use lockstep_core::domain::ports::ConnectionKind;

use crate::behaviour::{in_gerrit, job, level, members, on_job, rules};
use crate::binding::{House, Reach};
use crate::faults::Fault;
use crate::judge::find;
use crate::outside::{STRANGERS, account, gerrit, person};
use crate::specs::Team;

#[test]
fn a_group_deleted_by_hand_is_made_anew_with_all_it_was_given_and_goes_whole() {
    let mut house = House::new([on_job("CAN_VIEW", false)]);
    house.settle(&[0]);
    let old = find(&house.outside, &account(), "da").unwrap();
    house.outside.delete(&old);
    let decision = house.decide(0);
    assert!(
        decision
            .drift
            .iter()
            .any(|drift| drift.text.contains("was deleted by hand")),
        "{:?}",
        decision.drift
    );
    house.settle(&[0]);
    let new = find(&house.outside, &account(), "da").unwrap();
    assert_ne!(old, new);
    assert!(!house.bindings[0].held().targets().contains(&old));
    assert_eq!(members(&house, &account(), "da"), [0].into());
    assert_eq!(house.outside.rows[&job()], [level("da", "CAN_VIEW")].into());
    house.delete(0);
    house.settle(&[0]);
    assert!(house.outside.groups.is_empty() && house.outside.rows[&job()].is_empty());
}

#[test]
fn a_group_renamed_before_anybody_saw_it_gets_its_name_back() {
    let mut house = House::new([on_job("CAN_VIEW", false)]);
    house.pass(0);
    let made = find(&house.outside, &account(), "da").unwrap();
    house.outside.rename(&made, "taken");
    house.settle(&[0]);
    assert_eq!(find(&house.outside, &account(), "da"), Some(made));
    assert_eq!(house.outside.groups.len(), 1);
}

#[test]
fn a_group_is_not_taken_for_one_that_is_declared_instead_of_it() {
    let mut house = House::new([on_job("CAN_VIEW", false)]);
    house.pass(0);
    let made = find(&house.outside, &account(), "da").unwrap();
    house.bindings[0].team.account = Some(("db", Authoritative));
    house.pass_as_far(0, Reach::Cut(&mut || false));
    house.settle(&[0]);
    assert!(!house.outside.groups.contains_key(&made));
    assert_eq!(members(&house, &account(), "db"), [0].into());
}

#[test]
fn a_group_that_no_listing_shows_yet_is_not_made_twice() {
    let mut house = House::new([on_job("CAN_VIEW", false)]);
    house.pass(0);
    let made = find(&house.outside, &account(), "da").unwrap();
    house.outside.unlisted.insert(made.clone());
    house.outside.tick(20);
    let decision = house.decide(0);
    assert!(decision.plan.is_empty(), "{:?}", decision.plan.lines());
    house.outside.unlisted.clear();
    house.settle(&[0]);
    // Longer than any listing may lag, it counts as gone.
    house.outside.delete(&made);
    house.settle(&[0]);
    assert_eq!(members(&house, &account(), "da"), [0].into());
}

#[test]
fn what_was_adopted_goes_with_its_line_and_stays_when_the_object_goes() {
    let mut house = House::new([on_job("CAN_VIEW", false)]);
    house.outside.make_by_hand(&account(), "da", [0]);
    house.outside.by_hand(&job(), level("da", "CAN_VIEW"));
    house.settle(&[0]);
    let mut other = house.clone();
    other.delete(0);
    other.settle(&[0]);
    assert_eq!(other.outside.rows[&job()], [level("da", "CAN_VIEW")].into());
    assert_eq!(members(&other, &account(), "da"), [0].into());
    house.bindings[0].team.objects.clear();
    house.settle(&[0]);
    assert!(house.outside.rows[&job()].is_empty());
}

#[test]
fn a_connection_that_says_nothing_of_itself_is_no_line_removed() {
    let mut house = House::new([Team {
        account: Some(("da", Authoritative)),
        ..in_gerrit([0], Authoritative)
    }]);
    house.settle(&[0]);
    house.faults.push(Fault::Unusable(ConnectionKind::Gerrit));
    house.bindings[0].team.members = Some([0, 1].into());
    assert_eq!(
        house.pass(0).lines(),
        ["+ Databricks account group da: p1@x member"]
    );
}

#[test]
fn taking_a_group_over_asks_once_and_later_strangers_go_without_asking() {
    let mut house = House::new([in_gerrit([0, 1], Authoritative)]);
    let target = house.outside.make_by_hand(&gerrit(), "ga", [0, STRANGERS]);
    for _ in 0..3 {
        assert_eq!(rules(&house.careful_pass(0)), [BrakeRule::FirstAuthoritative]);
    }
    assert_eq!(members(&house, &gerrit(), "ga"), [0, STRANGERS].into());
    house.pass(0);
    for n in 0..3 {
        let stranger = person(STRANGERS + n, &gerrit());
        house.outside.by_hand(&target, (stranger, Privilege::Member));
    }
    let plan = house.careful_pass(0);
    assert_eq!(rules(&plan), []);
    assert_eq!(members(&house, &gerrit(), "ga"), [0, 1].into());
    // Shared for a while, it is taken over anew only with a new yes.
    house.bindings[0].team = in_gerrit([0, 1], Additive);
    house.careful_pass(0);
    house
        .outside
        .by_hand(&target, (person(STRANGERS, &gerrit()), Privilege::Member));
    house.bindings[0].team = in_gerrit([0, 1], Authoritative);
    assert_eq!(rules(&house.careful_pass(0)), [BrakeRule::FirstAuthoritative]);
}

#[test]
fn a_yes_to_something_else_takes_no_group_over() {
    let mut house = House::new([in_gerrit([0, 1, 2], Additive)]);
    house.settle(&[0]);
    let target = find(&house.outside, &gerrit(), "ga").unwrap();
    house
        .outside
        .by_hand(&target, (person(STRANGERS, &gerrit()), Privilege::Member));
    house.bindings[0].team = in_gerrit([0], Additive);
    assert_eq!(rules(&house.pass(0)), [BrakeRule::MaxRemovals]);
    house.delete(0);
    house.settle(&[0]);
    assert_eq!(members(&house, &gerrit(), "ga"), [STRANGERS].into());
}

#[test]
fn an_orphan_keeps_everything() {
    let mut house = House::new([in_gerrit([0], Authoritative)]);
    house.settle(&[0]);
    house.delete(0);
    let mut question = house.question(0);
    question.orphan = true;
    let Decision { plan, inventory, .. } = decide(&question, house.outside.now);
    assert!(plan.is_empty());
    assert_eq!(inventory, question.me.inventory);
}
