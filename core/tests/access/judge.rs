//! What the world should look like, worked out from the teams alone and without the code that is judged.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::api::access_binding::{Membership, Origin, RefAction};
use lockstep_core::domain::access::grant::{Grant, Principal, Privilege, System, Target};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::plan::Plan;

use crate::binding::{Binding, House};
use crate::outside::{Outside, account, gerrit, person, protected, workspace};
use crate::specs::{Group, ROLE_ON, RULES, Team};

/// A right that a team claims, its group by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    pub target: Target,
    pub group: &'static str,
    pub privilege: Privilege,
    pub removes: bool,
}

pub fn groups(team: &Team) -> Vec<(System, Group)> {
    let all = [
        (gerrit(), team.gerrit),
        (account(), team.account),
        (workspace(), team.local),
    ];
    all.into_iter()
        .filter_map(|(system, group)| Some((system, group?)))
        .collect()
}

pub fn find(outside: &Outside, system: &System, name: &str) -> Option<Target> {
    let mut groups = outside.groups.iter();
    let found = groups.find(|(target, group)| target.system() == *system && group.name == name);
    found.map(|(target, _)| target.clone())
}

pub fn rights(team: &Team) -> BTreeSet<Claim> {
    let mut claims = BTreeSet::new();
    let mut claim = |target: &Target, group, privilege: Privilege, removes| {
        claims.insert(Claim {
            target: target.clone(),
            group,
            privilege,
            removes,
        });
    };
    if let Some((group, _)) = team.gerrit {
        for ((at, permission), (choice, removes)) in &team.rules {
            let target = Target::GerritRef {
                server: "g".into(),
                project: "p".into(),
                ref_name: (*at).into(),
            };
            let text = RULES[*permission][*choice];
            let range = text
                .split_once("..")
                .map(|(min, max)| (min.parse().unwrap(), max.parse().unwrap()));
            let rule = Privilege::Rule {
                permission: ["label-Code-Review", "push"][*permission].into(),
                action: if text == "BLOCK" {
                    RefAction::Block
                } else {
                    RefAction::Allow
                },
                force: text.ends_with("force"),
                range,
            };
            claim(&target, group, rule, *removes);
        }
    }
    if let Some((group, _)) = team.account {
        if let Some(role) = team.role {
            let roles = Target::Roles {
                account: "acc".into(),
                application_id: ROLE_ON.into(),
            };
            claim(&roles, group, Privilege::Role(role.into()), false);
        }
        for (name, (privileges, removes)) in &team.grants {
            let securable = Target::Securable {
                metastore: "m".into(),
                kind: if name.contains('.') { "schema" } else { "catalog" }.into(),
                name: (*name).into(),
            };
            for privilege in privileges {
                claim(
                    &securable,
                    group,
                    Privilege::Securable((*privilege).into()),
                    *removes,
                );
            }
        }
    }
    if let Some((group, _)) = team.local.or(team.account) {
        let hall = Target::Workspace {
            workspace: "1".into(),
        };
        if let Some(permission) = team.permission {
            claim(&hall, group, Privilege::Permission(permission.into()), false);
        }
        for entitlement in &team.entitlements {
            claim(&hall, group, Privilege::Entitlement((*entitlement).into()), false);
        }
        for (kind, (level, removes)) in &team.objects {
            let object = Target::Object {
                workspace: "1".into(),
                kind: format!("{kind}s"),
                id: "77".into(),
            };
            claim(&object, group, Privilege::Level((*level).into()), *removes);
        }
    }
    claims
}

/// Whether holding the one is holding the other too.
pub fn includes(wide: &Privilege, narrow: &Privilege) -> bool {
    let ladder = |text: &str| {
        let levels = [
            "CAN_VIEW",
            "CAN_READ",
            "USER",
            "CAN_MANAGE_RUN",
            "CAN_EDIT",
            "CAN_MANAGE",
            "ADMIN",
        ];
        levels.iter().position(|level| *level == text)
    };
    match (wide, narrow) {
        (Privilege::Level(a), Privilege::Level(b)) | (Privilege::Permission(a), Privilege::Permission(b)) => {
            ladder(a) >= ladder(b)
        }
        (
            Privilege::Rule {
                permission: p,
                action: a,
                force: f,
                range: r,
            },
            Privilege::Rule {
                permission: q,
                action: b,
                force: g,
                range: s,
            },
        ) => {
            let ranges = match (r, s) {
                (Some((min, max)), Some((low, high))) => min <= low && high <= max,
                (r, s) => r == s,
            };
            p == q && a == b && f >= g && ranges
        }
        (a, b) => a == b,
    }
}

fn subject(outside: &Outside, claim: &Claim) -> Option<Principal> {
    match &claim.target {
        Target::GerritRef { .. } => match find(outside, &gerrit(), claim.group)? {
            Target::GerritGroup { uuid, .. } => Some(Principal::group(uuid, claim.group)),
            _ => None,
        },
        _ => {
            let found = find(outside, &account(), claim.group).or(find(outside, &workspace(), claim.group));
            found.map(|_| Principal::group(claim.group, claim.group))
        }
    }
}

pub fn holds(outside: &Outside, claim: &Claim) -> bool {
    let Some(subject) = subject(outside, claim) else {
        return false;
    };
    let rows = outside.rows.get(&claim.target);
    rows.into_iter()
        .flatten()
        .any(|(who, what)| *who == subject && includes(what, &claim.privilege))
}

fn living(house: &House) -> impl Iterator<Item = &Binding> {
    let all = house.bindings.iter();
    all.filter(|binding| !binding.deleting && !binding.gone)
}

/// Whether what is claimed there cannot all be had at once.
pub fn contested(house: &House, claim: &Claim) -> bool {
    let Some(slot) = claim.privilege.slot() else {
        return false;
    };
    let bids: Vec<Privilege> = living(house)
        .flat_map(|binding| rights(&binding.team))
        .filter(|other| other.target == claim.target && other.group == claim.group)
        .filter(|other| other.privilege.slot() == Some(slot))
        .map(|other| other.privilege)
        .collect();
    !bids.iter().any(|top| bids.iter().all(|bid| includes(top, bid)))
}

/// Everybody who should be in a group, one set for each binding that claims its members for itself alone.
fn teams(house: &House, system: &System, name: &str) -> (BTreeSet<Principal>, Vec<BTreeSet<Principal>>) {
    let (mut shared, mut alone) = (BTreeSet::new(), Vec::new());
    for binding in living(house) {
        let declared = groups(&binding.team);
        let Some((_, (_, membership))) = declared
            .iter()
            .find(|(at, (own, _))| at == system && *own == name)
        else {
            continue;
        };
        let Some(members) = &binding.team.members else {
            continue;
        };
        let people = members.iter().map(|n| person(*n, system));
        if *membership == Membership::Authoritative {
            alone.push(people.collect());
        } else {
            shared.extend(people);
        }
    }
    (shared, alone)
}

/// The settled world: everything claimed is there, and where Lockstep is alone there is nothing else.
pub fn assert_as_declared(house: &House) {
    let outside = &house.outside;
    let all: BTreeSet<Claim> = living(house).flat_map(|binding| rights(&binding.team)).collect();
    for binding in living(house) {
        for (system, (name, _)) in groups(&binding.team) {
            let target = find(outside, &system, name).unwrap_or_else(|| panic!("no group {name}"));
            let members = &outside.groups[&target].members;
            let (shared, alone) = teams(house, &system, name);
            assert!(
                members.is_superset(&shared),
                "{name}: {members:?} lacks some of {shared:?}"
            );
            let exact = |team: &BTreeSet<Principal>| *members == team | &shared;
            assert!(
                alone.is_empty() || alone.iter().any(exact),
                "{name}: {members:?} is not {shared:?} and one of {alone:?}"
            );
        }
        for claim in rights(&binding.team) {
            assert!(
                contested(house, &claim) || holds(outside, &claim),
                "{}: {claim:?} is not there",
                binding.name
            );
            if claim.removes {
                assert_alone(outside, &claim, &all);
            }
        }
    }
}

fn assert_alone(outside: &Outside, claim: &Claim, all: &BTreeSet<Claim>) {
    for (who, what) in outside.rows.get(&claim.target).into_iter().flatten() {
        let declared = all.iter().any(|other| {
            other.target == claim.target
                && subject(outside, other).as_ref() == Some(who)
                && (other.privilege == *what || other.privilege.slot().is_some())
        });
        assert!(
            declared || what.family() != claim.privilege.family() || protected().contains(who),
            "{}: {who} {what} is foreign and should have gone",
            claim.target
        );
    }
}

/// One pass with everything that must hold for every pass.
pub fn checked_pass(house: &mut House, at: usize) -> Plan {
    let before = house.clone();
    let plan = house.pass(at);
    assert_lawful(&before, at, &plan);
    assert_nobody_else_lost(&before, house, at);
    let binding = &house.bindings[at];
    if !binding.gone && !binding.deleting {
        for claim in rights(&binding.team) {
            // The group of a conflict may not have been made yet by the one who holds it.
            let made = subject(&house.outside, &claim).is_some();
            let wanting = made && !contested(house, &claim);
            assert!(!wanting || holds(&house.outside, &claim), "{claim:?}");
        }
        house.outside.tick(2);
        let again = house.decide(at).plan;
        assert!(again.is_empty(), "planned again: {:#?}", again.lines());
    }
    plan
}

/// A plan takes away only what the binding holds, what stands undeclared where it is alone, and what stands in the
/// place of something it declares.
pub fn assert_lawful(before: &House, at: usize, plan: &Plan) {
    let binding = &before.bindings[at];
    let held = before.question(at).me.inventory;
    let begun: Vec<_> = binding
        .intents
        .iter()
        .flat_map(|intent| intent.adds.clone())
        .collect();
    let intended = Inventory::read(&begun).0;
    let outside = &before.outside;
    for change in plan.all() {
        for (who, what) in &change.remove {
            let grant = Grant {
                target: change.target.clone(),
                principal: who.clone(),
                privilege: what.clone(),
            };
            let replaced = change
                .add
                .iter()
                .any(|(new, value)| new == who && value.slot() == what.slot());
            let alone = !binding.deleting && is_alone(outside, &binding.team, &change.target, what);
            let recovered = intended
                .rows
                .keys()
                .any(|intent| intent.principal == *who && intent.privilege == *what);
            assert!(
                held.rows.contains_key(&grant) || recovered || alone || (replaced && what.slot().is_some()),
                "{}: takes {who} {what} from {}, which is not its own",
                binding.name,
                change.target
            );
            assert!(!protected().contains(who), "takes a protected row");
        }
        if change.delete {
            let created = held.groups.get(&change.target).map(|held| held.origin);
            assert!(created == Some(Origin::Created) || !intended.groups.is_empty());
        }
    }
}

fn is_alone(outside: &Outside, team: &Team, target: &Target, what: &Privilege) -> bool {
    let group = groups(team).into_iter().any(|(system, (name, membership))| {
        let here = outside
            .groups
            .get(target)
            .is_some_and(|group| group.name.ends_with(name));
        target.system() == system && here && membership == Membership::Authoritative && team.members.is_some()
    });
    let mut rights = rights(team).into_iter();
    group
        || rights.any(|claim| {
            claim.removes && claim.target == *target && claim.privilege.family() == what.family()
        })
}

/// Whatever another binding claims and had, it still has.
pub fn assert_nobody_else_lost(before: &House, after: &House, at: usize) {
    let me = &before.bindings[at];
    let mine: BTreeMap<_, _> = groups(&me.team)
        .into_iter()
        .map(|(system, group)| ((system, group.0), group.1))
        .collect();
    for (n, other) in before.bindings.iter().enumerate() {
        if n == at || other.deleting || other.gone {
            continue;
        }
        for claim in rights(&other.team) {
            assert!(
                contested(before, &claim) || !holds(&before.outside, &claim) || holds(&after.outside, &claim),
                "{} took {claim:?} from {}",
                me.name,
                other.name
            );
        }
        for (system, (name, membership)) in groups(&other.team) {
            let rival = mine.get(&(system.clone(), name)) == Some(&Membership::Authoritative)
                && membership == Membership::Authoritative
                && !me.deleting;
            let Some(target) = find(&before.outside, &system, name) else {
                continue;
            };
            assert!(
                after.outside.groups.contains_key(&target),
                "{} deleted {name}",
                me.name
            );
            for n in other.team.members.iter().flatten() {
                let who = person(*n, &system);
                let had = before.outside.groups[&target].members.contains(&who);
                let has = after.outside.groups[&target].members.contains(&who);
                assert!(
                    rival || !had || has,
                    "{} took {who} from {}'s {name}",
                    me.name,
                    other.name
                );
            }
        }
    }
}
