//! What access means, sentence by sentence: claims, what is foreign, people.

use std::collections::BTreeSet;

use lockstep_core::api::access_binding::Membership::{self, Additive, Authoritative, External};
use lockstep_core::domain::access::decide::{Decision, decide};
use lockstep_core::domain::access::grant::{Principal, Privilege, Right, System, Target};
use lockstep_core::domain::plan::{BrakeRule, Plan, Problem};

use crate::binding::House;
use crate::faults::Fault;
use crate::judge::find;
use crate::outside::{STRANGERS, account, gerrit, person};
use crate::specs::{REFS, Team};

pub fn team(members: impl IntoIterator<Item = u8>) -> Team {
    Team {
        members: Some(members.into_iter().collect()),
        ..Team::default()
    }
}

pub fn in_gerrit(members: impl IntoIterator<Item = u8>, membership: Membership) -> Team {
    Team {
        gerrit: Some(("ga", membership)),
        ..team(members)
    }
}

pub fn on_job(level: &'static str, removes: bool) -> Team {
    Team {
        account: Some(("da", Authoritative)),
        objects: [("job", (level, removes))].into(),
        ..team([0])
    }
}

pub fn job() -> Target {
    Target::Object {
        workspace: "1".into(),
        kind: "jobs".into(),
        id: "77".into(),
    }
}

pub fn level(group: &str, level: &str) -> Right {
    (Principal::group(group, group), Privilege::Level(level.into()))
}

pub fn members(house: &House, system: &System, name: &str) -> BTreeSet<u8> {
    let target = find(&house.outside, system, name).unwrap();
    let members = &house.outside.groups[&target].members;
    (0..100)
        .filter(|n| members.contains(&person(*n, system)))
        .collect()
}

pub fn messages(problems: &[Problem]) -> Vec<String> {
    let said = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.label, problem.message));
    said.collect()
}

pub fn rules(plan: &Plan) -> Vec<BrakeRule> {
    let brakes = plan.blocked.iter().flat_map(|blocked| &blocked.brakes);
    brakes.map(|brake| brake.rule).collect()
}

#[test]
fn of_two_bindings_that_claim_a_group_alone_the_holder_goes_on_and_both_name_each_other() {
    let mut house = House::new([Team::default(), in_gerrit([1], Authoritative)]);
    // The younger one holds it already.
    house.pass(1);
    house.bindings[0].team = in_gerrit([0], Authoritative);
    let older = house.pass(0);
    assert_eq!(older.lines(), Vec::<String>::new());
    assert_eq!(
        messages(&older.conflicts),
        [
            "Gerrit group ga: AccessBinding ns/b1 holds its members already: this binding touches nothing there"
        ]
    );
    house.bindings[1].team.members = Some([1, 2].into());
    let younger = house.pass(1);
    assert_eq!(
        messages(&younger.conflicts),
        [
            "Gerrit group ga: AccessBinding ns/b0 also claims its members for itself alone; this binding holds it and goes on"
        ]
    );
    assert_eq!(members(&house, &gerrit(), "ga"), [1, 2].into());
    // Once the holder is gone the other takes over, and knows that the group was not there before.
    house.delete(1);
    house.settle(&[1, 0]);
    assert_eq!(members(&house, &gerrit(), "ga"), [0].into());
    house.delete(0);
    house.settle(&[0]);
    assert!(house.outside.groups.is_empty());
}

#[test]
fn an_additive_team_joins_an_authoritative_one() {
    let mut house = House::new([in_gerrit([0], Authoritative), in_gerrit([1], Additive)]);
    house.settle(&[0, 1]);
    assert_eq!(members(&house, &gerrit(), "ga"), [0, 1].into());
    house.delete(1);
    house.settle(&[0, 1]);
    assert_eq!(members(&house, &gerrit(), "ga"), [0].into());
}

#[test]
fn levels_join_to_the_highest_and_fall_back_when_it_is_given_up() {
    let mut house = House::new([
        on_job("CAN_VIEW", false),
        Team {
            account: Some(("da", Additive)),
            ..on_job("CAN_MANAGE", false)
        },
    ]);
    house.settle(&[0, 1]);
    assert_eq!(house.outside.rows[&job()], [level("da", "CAN_MANAGE")].into());
    house.delete(1);
    house.settle(&[1, 0]);
    assert_eq!(house.outside.rows[&job()], [level("da", "CAN_VIEW")].into());
    house.delete(0);
    house.settle(&[0]);
    assert!(house.outside.rows[&job()].is_empty());
}

#[test]
fn of_values_that_cannot_be_joined_the_holders_stays() {
    let rule = |choice| Team {
        gerrit: Some(("ga", Additive)),
        rules: [((REFS[0], 0), (choice, false))].into(),
        ..team([0])
    };
    // 0..+1 and -2..0: neither range holds the other.
    let mut house = House::new([Team::default(), rule(2)]);
    house.pass(1);
    house.bindings[0].team = rule(3);
    let other = house.pass(0);
    assert!(other.lines().is_empty(), "{:?}", other.lines());
    assert!(messages(&other.conflicts)[0].contains("ns/b1 holds ga already"));
    assert!(messages(&house.pass(1).conflicts)[0].contains("ns/b0 also claims ga"));
}

#[test]
fn what_is_foreign_is_reported_or_removed_as_declared() {
    let mut house = House::new([on_job("CAN_VIEW", false)]);
    let strangers = level("strangers", "CAN_MANAGE");
    let admins = level("admins", "CAN_MANAGE");
    for right in [&strangers, &admins] {
        house.outside.by_hand(&job(), right.clone());
    }
    house.settle(&[0]);
    assert!(house.outside.rows[&job()].contains(&strangers));
    house.bindings[0].team = on_job("CAN_VIEW", true);
    house.settle(&[0]);
    assert_eq!(
        house.outside.rows[&job()],
        [admins, level("da", "CAN_VIEW")].into()
    );
}

#[test]
fn a_higher_level_that_was_there_before_is_left_and_reported() {
    let mut house = House::new([on_job("CAN_VIEW", false)]);
    house.outside.make_by_hand(&account(), "da", [0]);
    house.outside.by_hand(&job(), level("da", "CAN_MANAGE"));
    let plan = house.pass(0);
    assert!(plan.lines().is_empty());
    assert_eq!(plan.foreign.len(), 1);
    house.delete(0);
    house.settle(&[0]);
    assert_eq!(house.outside.rows[&job()], [level("da", "CAN_MANAGE")].into());
}

#[test]
fn an_external_group_is_used_and_never_edited() {
    let external = Team {
        account: Some(("da", External)),
        ..on_job("CAN_VIEW", false)
    };
    let mut house = House::new([external]);
    let missing = house.pass(0);
    assert!(missing.lines().is_empty());
    assert_eq!(
        messages(&missing.problems),
        ["Databricks account group da: an External group comes from elsewhere and does not exist yet"]
    );
    house.outside.make_by_hand(&account(), "da", [5]);
    house.settle(&[0]);
    assert_eq!(members(&house, &account(), "da"), [5].into());
    assert_eq!(house.outside.rows[&job()], [level("da", "CAN_VIEW")].into());
}

#[test]
fn a_group_of_the_identity_provider_is_left_alone_whatever_is_declared() {
    let mut house = House::new([on_job("CAN_VIEW", false)]);
    let target = house.outside.make_by_hand(&account(), "da", [5]);
    house.outside.provided.insert(target);
    let plan = house.pass(0);
    assert_eq!(members(&house, &account(), "da"), [5].into());
    assert!(messages(&plan.problems)[0].contains("set `membership: External`"));
    house.delete(0);
    house.settle(&[0]);
}

#[test]
fn unset_members_claim_nobody_and_empty_members_claim_that_there_is_nobody() {
    let unset = Team {
        members: None,
        ..in_gerrit([], Authoritative)
    };
    let mut house = House::new([unset]);
    house.outside.make_by_hand(&gerrit(), "ga", [STRANGERS]);
    house.settle(&[0]);
    assert_eq!(members(&house, &gerrit(), "ga"), [STRANGERS].into());
    house.bindings[0].team.members = Some(BTreeSet::new());
    house.settle(&[0]);
    assert_eq!(members(&house, &gerrit(), "ga"), [].into());
}

#[test]
fn without_inventory_people_come_and_nobody_goes_and_nothing_counts_as_taken_over() {
    let mut house = House::new([in_gerrit([0, 1], Authoritative)]);
    house.outside.make_by_hand(&gerrit(), "ga", [0, STRANGERS]);
    let mut question = house.question(0);
    question.inventory_lost = true;
    let Decision { plan, inventory, .. } = decide(&question, house.outside.now);
    assert_eq!(plan.lines(), ["+ Gerrit group ga: p1@x member"]);
    assert!(inventory.authoritative.is_empty());
}

#[test]
fn a_recycled_address_gives_nobody_anything_and_takes_nothing() {
    let mut house = House::new([in_gerrit([0, 1], Authoritative)]);
    house.settle(&[0]);
    Fault::Recycled(0).happen(&mut house.outside);
    let decision = house.decide(0);
    assert!(decision.plan.is_empty() && decision.doubtful);
    let [who] = &decision.members.unresolved[..] else {
        panic!("{:?}", decision.members);
    };
    assert_eq!(
        (who.who.as_str(), who.reason.as_str()),
        ("p0@x", "IdentityChanged")
    );
}

#[test]
fn a_person_without_an_account_is_named_and_the_rest_goes_on() {
    let mut house = House::new([in_gerrit([0, 42], Authoritative)]);
    let decision = house.decide(0);
    let unresolved = &decision.members.unresolved;
    assert_eq!(
        (decision.members.resolved, unresolved[0].reason.as_str()),
        (1, "NoAccount")
    );
    assert!(!decision.doubtful);
    house.settle(&[0]);
    assert_eq!(members(&house, &gerrit(), "ga"), [0].into());
}

#[test]
fn two_accounts_of_one_address_are_both_left_where_they_are() {
    let mut house = House::new([in_gerrit([0, 1], Authoritative)]);
    house.settle(&[0]);
    house.bindings[0].pins.clear();
    Fault::Twice(0).happen(&mut house.outside);
    let target = find(&house.outside, &gerrit(), "ga").unwrap();
    house
        .outside
        .by_hand(&target, (Principal::account(900, "new"), Privilege::Member));
    let decision = house.decide(0);
    assert!(decision.plan.is_empty(), "{:?}", decision.plan.lines());
    assert!(decision.doubtful);
}

#[test]
fn what_a_team_gains_through_its_group_counts_for_everybody_in_it() {
    let mut house = House::new([Team {
        members: Some([0, 1].into()),
        ..on_job("CAN_VIEW", false)
    }]);
    house.settle(&[0]);
    house.bindings[0].team.objects = [("job", ("CAN_MANAGE", false))].into();
    let risk = house.decide(0).plan.risk;
    assert_eq!(risk.gaining, ["p0@x".to_owned(), "p1@x".to_owned()].into());
}
