//! Brakes against accidents. Each blocks one target until a person approves exactly the plan; the rest goes on.

use std::collections::BTreeSet;

use super::claims::{Extent, TargetClaims};
use super::diff::Phase;
use super::grant::{Principal, Privilege, Right, Target};
use super::inventory::Inventory;
use super::observed::Observed;
use super::weakening::{Governed, weakened};
use crate::domain::defaults::Limits;
use crate::domain::plan::{Brake, BrakeRule, Change};

/// What the brakes need to know beyond the change itself.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    pub limits: Limits,
    pub phase: Phase,
    /// A group source that had members yields nobody.
    pub source_empty: Option<&'a str>,
    /// Too many bindings of a connection, or the kind itself, are going at once.
    pub mass_deletion: Option<&'a str>,
    /// Branches that policies govern.
    pub governed: &'a [Governed],
}

/// Groups whose last human must not leave by accident.
const ADMINISTRATORS: [&str; 2] = ["admins", "Administrators"];
/// Up to this many people may come at once whatever the share, since small teams grow by whole people.
const FREE_ADDITIONS: usize = 5;

/// Every reason to ask a person before this change.
pub fn brakes(
    change: &Change,
    claims: &TargetClaims,
    observed: &Observed,
    inventory: &Inventory,
    circumstances: Circumstances<'_>,
) -> Vec<Brake> {
    let mut brakes = Vec::new();
    let mut brake = |rule, message: String| brakes.push(Brake { rule, message });
    let label = &change.label;
    if let Some(why) = circumstances.mass_deletion {
        brake(BrakeRule::MassDeletion, why.to_owned());
    }
    for why in weakened(change, circumstances.governed) {
        brake(BrakeRule::WeakensGate, why);
    }
    if loses_tokens(&change.target, &change.remove) {
        brake(
            BrakeRule::TokensDeleted,
            format!("{label}: taking CAN_USE deletes the personal access tokens of everybody concerned"),
        );
    }
    // A group that goes takes everybody in it along.
    let going_with_it = change.delete.then_some(&observed.rows);
    if let Some((who, _)) = change
        .remove
        .iter()
        .chain(going_with_it.into_iter().flatten())
        .find(|(who, _)| observed.protected.contains(who))
    {
        brake(
            BrakeRule::OperatorLosesAccess,
            format!("{label}: {} would lose access that Lockstep needs", who.name),
        );
    }
    if !change.target.is_group() || change.create.is_some() {
        return brakes;
    }
    let members = |rights: &BTreeSet<Right>| -> BTreeSet<Principal> {
        rights
            .iter()
            .filter(|(_, what)| *what == Privilege::Member)
            .map(|(who, _)| who.clone())
            .collect()
    };
    let (there, coming) = (members(&observed.rows), members(&change.add));
    let going: BTreeSet<_> = if change.delete {
        there.clone()
    } else {
        members(&change.remove)
    };
    let name = observed.group.as_ref().map_or("", |group| group.name.as_str());
    // We administer as well, and are nobody whom people could turn to.
    let humans_left = there
        .union(&coming)
        .filter(|who| who.may_be_human() && !observed.protected.contains(*who) && !going.contains(*who))
        .count();
    if ADMINISTRATORS.contains(&name) && !going.is_empty() && humans_left == 0 {
        brake(
            BrakeRule::LastAdministrator,
            format!("{label} would lose its last administrator"),
        );
    }
    if circumstances.phase == Phase::Deleting {
        // Who deletes the object means it; only a flood of deletions is an accident, and a system that nobody rules.
        return brakes;
    }
    let declared: BTreeSet<_> = inventory.on(&change.target).map(|((who, _), _)| who).collect();
    // People whom others put there never count: removing strangers is the point, however many they are.
    let counted = going
        .iter()
        .filter(|who| declared.contains(*who) && !claims.inactive.contains(*who))
        .count();
    if counted > 1 && counted * 100 > declared.len() * circumstances.limits.max_removals as usize {
        brake(
            BrakeRule::MaxRemovals,
            format!(
                "{label}: {counted} of {} declared people would go, more than safety.maxRemovals {}%",
                declared.len(),
                circumstances.limits.max_removals
            ),
        );
    }
    if !declared.is_empty()
        && coming.len() > FREE_ADDITIONS
        && coming.len() * 100 > declared.len() * circumstances.limits.max_additions as usize
    {
        brake(
            BrakeRule::MaxAdditions,
            format!(
                "{label}: {} people would come to {} declared ones, more than safety.maxAdditions {}%",
                coming.len(),
                declared.len(),
                circumstances.limits.max_additions
            ),
        );
    }
    let strangers = going.iter().filter(|who| !declared.contains(*who)).count();
    if claims.extent == Extent::All && !inventory.authoritative.contains(&change.target) && strangers > 0 {
        brake(
            BrakeRule::FirstAuthoritative,
            format!(
                "{label} becomes Authoritative for the first time and {strangers} of its members would go"
            ),
        );
    }
    let left = there.union(&coming).filter(|who| !going.contains(*who)).count();
    let least = circumstances.limits.min_members.max(1);
    if counted > 0 && left < least && !(counted == 1 && left > 0) {
        brake(
            BrakeRule::MinMembers,
            format!("{label} would be left with {left} members, fewer than safety.minMembers {least}"),
        );
    }
    if let Some(source) = circumstances.source_empty
        && counted > 0
    {
        brake(
            BrakeRule::SourceEmpty,
            format!("{source} suddenly yields nobody: {label} would lose {counted} people"),
        );
    }
    brakes
}

fn loses_tokens(target: &Target, remove: &BTreeSet<Right>) -> bool {
    matches!(target, Target::Object { kind, id, .. } if kind == "authorization" && id == "tokens")
        && !remove.is_empty()
}

/// Whether so many of a connection's bindings are going at once that it is more likely an accident.
pub fn is_mass_deletion(going: usize, all: usize) -> bool {
    going > 5.max(all / 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::access_binding::Origin;
    use crate::domain::access::grant::{Grant, PrincipalKind};
    use crate::domain::access::inventory::Held;
    use crate::domain::access::observed::GroupProperties;
    use crate::domain::defaults;
    use jiff::Timestamp;

    struct Case {
        inventory: Inventory,
        observed: Observed,
        change: Change,
        claims: TargetClaims,
        circumstances: Circumstances<'static>,
    }

    fn person(n: i64) -> Right {
        (Principal::account(n, format!("p{n}")), Privilege::Member)
    }

    /// A group with `declared` people of ours and `strangers` others.
    fn case(declared: i64, strangers: i64) -> Case {
        let target = Target::GerritGroup {
            server: "g".into(),
            uuid: "u".into(),
        };
        let mut inventory = Inventory::default();
        let held = Held {
            origin: Origin::Created,
            since: Timestamp::UNIX_EPOCH,
            confirming: None,
        };
        for n in 0..declared {
            let (principal, privilege) = person(n);
            inventory.rows.insert(
                Grant {
                    target: target.clone(),
                    principal,
                    privilege,
                },
                held,
            );
        }
        inventory.groups.insert(target.clone(), held);
        inventory.authoritative.insert(target.clone());
        let mut observed = Observed::absent(target.clone(), Timestamp::UNIX_EPOCH);
        observed.present = true;
        observed.group = Some(GroupProperties {
            name: "team".into(),
            ..GroupProperties::default()
        });
        observed.rows = (0..declared).chain(100..100 + strangers).map(person).collect();
        Case {
            inventory,
            observed,
            change: Change::new(target, "group team"),
            claims: TargetClaims {
                extent: Extent::All,
                members_managed: true,
                ..TargetClaims::default()
            },
            circumstances: Circumstances {
                limits: defaults::limits(None),
                phase: Phase::Living,
                source_empty: None,
                mass_deletion: None,
                governed: &[],
            },
        }
    }

    fn rules(case: &Case) -> Vec<BrakeRule> {
        brakes(
            &case.change,
            &case.claims,
            &case.observed,
            &case.inventory,
            case.circumstances,
        )
        .into_iter()
        .map(|brake| brake.rule)
        .collect()
    }

    #[test]
    fn a_quarter_of_the_people_may_go_and_one_always() {
        let mut some = case(12, 0);
        some.change.remove = (0..3).map(person).collect();
        assert_eq!(rules(&some), []);
        some.change.remove.insert(person(3));
        assert_eq!(rules(&some), [BrakeRule::MaxRemovals]);
        let mut one = case(2, 0);
        one.change.remove = BTreeSet::from([person(0)]);
        assert_eq!(rules(&one), []);
    }

    #[test]
    fn strangers_never_count() {
        let mut strangers = case(12, 5);
        strangers.change.remove = (100..105).map(person).collect();
        assert_eq!(rules(&strangers), []);
    }

    #[test]
    fn the_deactivated_are_never_braked() {
        let mut gone = case(4, 0);
        gone.change.remove = (0..2).map(person).collect();
        assert_eq!(rules(&gone), [BrakeRule::MaxRemovals]);
        gone.claims.inactive = (0..2).map(|n| person(n).0).collect();
        assert_eq!(rules(&gone), []);
    }

    #[test]
    fn the_first_fill_is_free_and_small_teams_grow_by_whole_people() {
        let mut first = case(0, 0);
        first.change.add = (0..40).map(person).collect();
        assert_eq!(rules(&first), []);
        let mut small = case(2, 0);
        small.change.add = (10..15).map(person).collect();
        assert_eq!(rules(&small), []);
        small.change.add.insert(person(15));
        assert_eq!(rules(&small), [BrakeRule::MaxAdditions]);
    }

    #[test]
    fn a_group_is_not_taken_over_or_emptied_unasked() {
        let mut taken = case(0, 3);
        taken.inventory.authoritative.clear();
        taken.change.remove = (100..103).map(person).collect();
        assert_eq!(rules(&taken), [BrakeRule::FirstAuthoritative]);
        let mut emptied = case(1, 0);
        emptied.change.remove = BTreeSet::from([person(0)]);
        assert_eq!(rules(&emptied), [BrakeRule::MinMembers]);
    }

    #[test]
    fn an_empty_source_a_flood_of_deletions_and_tokens_ask_first() {
        let mut source = case(2, 0);
        source.change.remove = BTreeSet::from([person(0)]);
        source.circumstances.source_empty = Some("Gerrit group leads");
        assert_eq!(rules(&source), [BrakeRule::SourceEmpty]);
        source.circumstances = Circumstances {
            mass_deletion: Some("9 of 10 bindings are going"),
            source_empty: None,
            phase: Phase::Deleting,
            ..source.circumstances
        };
        assert_eq!(rules(&source), [BrakeRule::MassDeletion]);
        assert!(is_mass_deletion(6, 10) && !is_mass_deletion(5, 10) && !is_mass_deletion(200, 1_000));
        let tokens = Target::Object {
            workspace: "1".into(),
            kind: "authorization".into(),
            id: "tokens".into(),
        };
        assert!(loses_tokens(
            &tokens,
            &BTreeSet::from([(Principal::group("g", "g"), Privilege::Level("CAN_USE".into()))])
        ));
    }

    #[test]
    fn the_last_administrator_stays() {
        let mut admins = case(2, 0);
        admins.observed.group = Some(GroupProperties {
            name: "admins".into(),
            ..GroupProperties::default()
        });
        admins.claims.inactive = (0..2).map(|n| person(n).0).collect();
        admins.change.remove = (0..2).map(person).collect();
        assert_eq!(rules(&admins), [BrakeRule::LastAdministrator]);
        // Whoever deletes the object means the object, not the last administrator.
        admins.circumstances.phase = Phase::Deleting;
        assert_eq!(rules(&admins), [BrakeRule::LastAdministrator]);
        admins.change.remove = BTreeSet::from([person(0)]);
        assert_eq!(rules(&admins), []);
        // Neither a service principal nor the operator itself is a human.
        let bot = Principal::new(PrincipalKind::ServicePrincipal, "app", "bot");
        admins.observed.rows.insert((bot, Privilege::Member));
        admins.observed.protected = BTreeSet::from([person(1).0]);
        assert_eq!(rules(&admins), [BrakeRule::LastAdministrator]);
    }

    #[test]
    fn the_operator_stays_in_whatever_it_needs() {
        let mut needed = case(3, 0);
        needed.observed.protected = BTreeSet::from([person(2).0]);
        needed.change.remove = BTreeSet::from([person(1)]);
        assert_eq!(rules(&needed), []);
        needed.change.remove = BTreeSet::from([person(2)]);
        assert_eq!(rules(&needed), [BrakeRule::OperatorLosesAccess]);
        // A group that is deleted need not name those who go with it.
        needed.change.remove.clear();
        needed.change.delete = true;
        needed.circumstances.phase = Phase::Deleting;
        assert_eq!(rules(&needed), [BrakeRule::OperatorLosesAccess]);
        // Elsewhere protected, not in here: nothing is lost.
        needed.observed.rows.remove(&person(2));
        assert_eq!(rules(&needed), []);
    }
}
