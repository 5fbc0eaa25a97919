//! Small worlds: teams that meet on few things, and what people do to those things by hand.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::api::access_binding::Membership;
use lockstep_core::domain::access::grant::{Principal, Privilege, System, Target};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::{self, weighted};
use proptest::prelude::*;
use proptest::sample::select;

use crate::binding::House;
use crate::outside::{Outside, PEOPLE, STRANGERS, account, gerrit, person, workspace};
use crate::specs::{Group, REFS, RULES, SECURABLES, Team};

fn group(names: [&'static str; 2]) -> impl Strategy<Value = Option<Group>> {
    let membership = select(vec![
        Membership::Authoritative,
        Membership::Additive,
        Membership::Additive,
    ]);
    weighted(0.8, (select(names.to_vec()), membership))
}

/// A team on few groups and few things, so that teams meet.
pub fn team() -> impl Strategy<Value = Team> {
    let members = weighted(0.9, btree_set(0..PEOPLE, 0..5));
    let rule = (select(REFS.to_vec()), 0..RULES.len()).prop_flat_map(|(at, permission)| {
        let choice = (0..RULES[permission].len(), prop::bool::weighted(0.2));
        (Just((at, permission)), choice)
    });
    let rules = vec(rule, 0..4).prop_map(BTreeMap::from_iter);
    let privileges = btree_set(select(vec!["USE_SCHEMA", "EXECUTE", "SELECT"]), 1..3);
    let grants = btree_map(
        select(SECURABLES.to_vec()),
        (privileges, prop::bool::weighted(0.2)),
        0..3,
    );
    let level = select(vec!["CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE"]);
    let job = (level, prop::bool::weighted(0.3));
    let level = select(vec!["CAN_READ", "CAN_EDIT"]);
    let experiment = (level, prop::bool::weighted(0.3));
    let objects = (weighted(0.6, job), weighted(0.4, experiment)).prop_map(|(job, experiment)| {
        let job = job.map(|job| ("job", job));
        let experiment = experiment.map(|experiment| ("experiment", experiment));
        job.into_iter().chain(experiment).collect()
    });
    let roles = select(vec![
        "roles/servicePrincipal.user",
        "roles/servicePrincipal.manager",
    ]);
    let account = (group(["da", "db"]), weighted(0.4, roles), grants);
    let local = (
        weighted(0.3, group(["la", "lb"])).prop_map(Option::flatten),
        option::of(select(vec!["USER", "ADMIN"])),
        btree_set(select(vec!["workspace-access", "databricks-sql-access"]), 0..3),
        objects,
    );
    (members, group(["ga", "gb"]), rules, account, local).prop_map(
        |(members, gerrit, rules, (account, role, grants), (local, permission, entitlements, objects))| {
            Team {
                members,
                gerrit,
                rules,
                account,
                role,
                grants,
                local,
                permission,
                entitlements,
                objects,
            }
        },
    )
}

pub fn teams() -> impl Strategy<Value = Vec<Team>> {
    vec(team(), 1..4)
}

/// Something a person does in one of the systems.
#[derive(Clone, Debug)]
pub enum Hand {
    /// Makes a group that bindings may adopt.
    Make(&'static str, BTreeSet<u8>),
    /// Puts a stranger, or one of ours, into a group.
    Join(&'static str, u8),
    /// Takes a member out of a group.
    Leave(&'static str, usize),
    /// Gives strangers, or one of our groups, a right.
    Give(&'static str, usize, usize),
    /// Takes away a right.
    Take(usize),
    Delete(&'static str),
    Rename(&'static str),
}

const GROUPS: [&str; 6] = ["ga", "gb", "da", "db", "la", "lb"];

pub fn hand() -> impl Strategy<Value = Hand> {
    let name = || select(GROUPS.to_vec());
    let anybody = || prop_oneof![0..PEOPLE, STRANGERS..STRANGERS + 3];
    prop_oneof![
        2 => (name(), btree_set(anybody(), 0..3)).prop_map(|(name, members)| Hand::Make(name, members)),
        4 => (name(), anybody()).prop_map(|(name, who)| Hand::Join(name, who)),
        3 => (name(), 0..4_usize).prop_map(|(name, at)| Hand::Leave(name, at)),
        4 => (select([&GROUPS[..], &["strangers"]].concat()), 0..8_usize, 0..4_usize)
            .prop_map(|(name, at, what)| Hand::Give(name, at, what)),
        3 => (0..20_usize).prop_map(Hand::Take),
        1 => name().prop_map(Hand::Delete),
        1 => name().prop_map(Hand::Rename),
    ]
}

fn home(name: &str) -> System {
    match name.as_bytes()[0] {
        b'g' => gerrit(),
        b'd' => account(),
        _ => workspace(),
    }
}

fn find(outside: &Outside, name: &str) -> Option<Target> {
    let mut groups = outside.groups.iter();
    let found = groups.find(|(target, group)| target.system() == home(name) && group.name == name);
    found.map(|(target, _)| target.clone())
}

/// Rights that people may give by hand, by target.
fn rights() -> Vec<(Target, Vec<Privilege>)> {
    let at = |ref_name: &str| Target::GerritRef {
        server: "g".into(),
        project: "p".into(),
        ref_name: ref_name.into(),
    };
    let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let object = |kind: &str| Target::Object {
        workspace: "1".into(),
        kind: kind.into(),
        id: "77".into(),
    };
    let securable = |kind: &str, name: &str| Target::Securable {
        metastore: "m".into(),
        kind: kind.into(),
        name: name.into(),
    };
    let rules = parse(&[
        "label-Code-Review -1..+1",
        "label-Code-Review -2..+2",
        "push",
        "push BLOCK",
    ]);
    let levels = parse(&["level CAN_VIEW", "level CAN_MANAGE_RUN", "level CAN_MANAGE"]);
    let privileges: Vec<Privilege> = parse(&["privilege USE_SCHEMA", "privilege SELECT"]);
    vec![
        (at(REFS[0]), rules.clone()),
        (at(REFS[1]), rules),
        (object("jobs"), levels),
        (
            object("experiments"),
            parse(&["level CAN_READ", "level CAN_EDIT"]),
        ),
        (securable("catalog", "c"), privileges.clone()),
        (securable("schema", "c.s"), privileges),
        (
            Target::Workspace {
                workspace: "1".into(),
            },
            parse(&[
                "permission USER",
                "permission ADMIN",
                "entitlement workspace-access",
            ]),
        ),
    ]
}

impl Hand {
    pub fn act(&self, house: &mut House) {
        let outside = &mut house.outside;
        match self {
            Self::Make(name, members) => {
                if find(outside, name).is_none() {
                    outside.make_by_hand(&home(name), name, members.iter().copied());
                }
            }
            Self::Join(name, who) => {
                if let Some(target) = find(outside, name) {
                    let who = person(*who, &home(name));
                    outside.by_hand(&target, (who, Privilege::Member));
                }
            }
            Self::Leave(name, at) => {
                if let Some(target) = find(outside, name)
                    && let Some(who) = outside.groups[&target].members.iter().nth(*at).cloned()
                {
                    outside.take_by_hand(&target, &(who, Privilege::Member));
                }
            }
            Self::Give(name, at, what) => {
                let rights = rights();
                let (target, privileges) = &rights[at % rights.len()];
                let privilege = privileges[what % privileges.len()].clone();
                let who = match (target, find(outside, name)) {
                    (Target::GerritRef { .. }, Some(Target::GerritGroup { uuid, .. })) => uuid,
                    (Target::GerritRef { .. }, Some(_)) => return,
                    (_, Some(Target::GerritGroup { .. })) => return,
                    (_, None) if *name != "strangers" => return,
                    _ => (*name).to_owned(),
                };
                outside.by_hand(target, (Principal::group(who, *name), privilege));
            }
            Self::Take(at) => {
                let rows = outside.rows.iter();
                let all: Vec<_> = rows
                    .flat_map(|(target, rows)| rows.iter().map(move |right| (target.clone(), right.clone())))
                    .filter(|(_, (who, _))| who.subject != "admins")
                    .collect();
                if let Some((target, right)) = all.get(*at) {
                    outside.take_by_hand(target, right);
                }
            }
            Self::Delete(name) => {
                if let Some(target) = find(outside, name) {
                    outside.delete(&target);
                }
            }
            Self::Rename(name) => {
                if let Some(target) = find(outside, name) {
                    outside.rename(&target, &format!("renamed {name}"));
                }
            }
        }
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Event {
    Pass(usize),
    /// A pass killed after its intents were journalled; every part of its writes takes effect or not as this says.
    Cut(usize, u64),
    Edit(usize, Box<Team>),
    Delete(usize),
    Hand(Hand),
}

pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..3_usize).prop_map(Event::Pass),
        2 => (0..3_usize, any::<u64>()).prop_map(|(at, parts)| Event::Cut(at, parts)),
        2 => (0..3_usize, team()).prop_map(|(at, team)| Event::Edit(at, Box::new(team))),
        1 => (0..3_usize).prop_map(Event::Delete),
        5 => hand().prop_map(Event::Hand),
    ]
}
