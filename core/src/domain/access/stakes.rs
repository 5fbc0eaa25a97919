//! What is at stake in a plan, counted in people.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::World;
use super::directory::Account;
use super::grant::{Grant, Principal, System};
use super::inventory::Inventory;
use super::people::Resolved;
use crate::api::access_binding::MembersStatus;
use crate::domain::plan::{Plan, Risk};

/// How far the team could be found in the systems it is needed in.
pub(super) fn members(resolved: &BTreeMap<System, Resolved>) -> MembersStatus {
    let mut unresolved = BTreeSet::new();
    let mut people: BTreeSet<&String> = BTreeSet::new();
    for resolved in resolved.values() {
        unresolved.extend(resolved.unresolved.iter().cloned());
        people.extend(resolved.principals.values());
    }
    for missing in &unresolved {
        people.remove(&missing.who);
    }
    MembersStatus {
        resolved: i64::try_from(people.len()).unwrap_or(i64::MAX),
        unresolved: unresolved.into_iter().collect(),
        unresolved_beyond: None,
    }
}

/// Who gains and who loses anything by a plan.
pub(super) fn risk(
    plan: &Plan,
    resolved: &BTreeMap<System, Resolved>,
    inventory: &Inventory,
    world: &World,
) -> Risk {
    let mut risk = Risk::default();
    let mut accounts: BTreeSet<(&System, &Principal)> = BTreeSet::new();
    for change in plan.all() {
        let system = change.target.system();
        let home = resolved.get_key_value(&system);
        // A group of the account has its people there, and its rights in workspaces and metastores.
        let team = || {
            resolved
                .iter()
                .filter(|(known, _)| known.kind() == system.kind())
                .flat_map(|(known, resolved)| resolved.principals.iter().map(move |entry| (known, entry)))
        };
        for (rights, gains) in [(&change.add, true), (&change.remove, false)] {
            let side = if gains {
                &mut risk.gaining
            } else {
                &mut risk.losing
            };
            for right @ (principal, _) in rights {
                let grant = Grant::of(&change.target, right);
                let person = home.and_then(|(known, home)| Some((known, home.principals.get(principal)?)));
                if let Some((known, person)) = person {
                    side.insert(person.clone());
                    if gains {
                        accounts.insert((known, principal));
                    }
                } else if !principal.is_person()
                    && team().next().is_some()
                    && (gains || inventory.rows.contains_key(&grant))
                {
                    // What the team's group gains or loses, everybody in the team does.
                    side.extend(team().map(|(_, (_, person))| person.clone()));
                    if gains {
                        accounts.extend(team().map(|(known, (principal, _))| (known, principal)));
                    }
                } else {
                    side.insert(principal.name.clone());
                }
            }
        }
        if change.delete {
            risk.losing.extend(team().map(|(_, (_, person))| person.clone()));
        }
    }
    risk.gaining_identities = identities(&accounts, &risk.gaining, world);
    risk
}

/// Everything by which those who gain are known anywhere: an address as written may be one of many, or nobody's where
/// a user name decides. Accounts that share an address or an alias are one human's.
fn identities(
    accounts: &BTreeSet<(&System, &Principal)>,
    gaining: &BTreeSet<String>,
    world: &World,
) -> BTreeSet<String> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut asked: Vec<String> = gaining.iter().cloned().collect();
    for (system, principal) in accounts {
        let directory = world.directories.get(system);
        asked.extend(
            directory
                .and_then(|directory| directory.get(principal))
                .into_iter()
                .flat_map(names),
        );
    }
    while let Some(name) = asked.pop() {
        if !known.insert(name.to_lowercase()) {
            continue;
        }
        let directories = world.directories.values();
        asked.extend(
            directories
                .flat_map(|directory| directory.of_human(&name))
                .flat_map(names),
        );
    }
    known
}

fn names(account: &Account) -> impl Iterator<Item = String> {
    let Account {
        principal: _,
        username,
        emails,
        aliases,
        active: _,
        service: _,
    } = account;
    username.iter().chain(emails).chain(aliases).cloned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::super::directory::Directory;
    use super::super::grant::{PrincipalKind, Privilege, Target};
    use super::*;
    use crate::domain::plan::Change;

    fn account(principal: Principal, username: &str, emails: &[&str]) -> Account {
        Account {
            principal,
            username: Some(username.into()),
            emails: emails.iter().map(ToString::to_string).collect(),
            aliases: Vec::new(),
            active: true,
            service: false,
        }
    }

    /// Mallory is written as `ghost@x`, and gains what the change says.
    fn stakes(change: Change) -> Risk {
        let (gerrit, workspace) = (System::Gerrit("g".into()), System::Workspace("1".into()));
        let mallory = Principal::account(7, "mallory");
        let directories = [
            Directory::new(
                gerrit.clone(),
                Timestamp::UNIX_EPOCH,
                vec![
                    account(mallory.clone(), "mallory", &["m@private", "Mallory@corp"]),
                    account(Principal::account(8, "ben"), "ben", &["ben@corp"]),
                ],
            ),
            Directory::new(
                workspace.clone(),
                Timestamp::UNIX_EPOCH,
                vec![account(
                    Principal::new(PrincipalKind::User, "70", "m"),
                    "mm@corp",
                    &["mm@corp", "mallory@corp"],
                )],
            ),
        ];
        let world = World {
            directories: directories
                .into_iter()
                .map(|directory| (directory.system.clone(), Arc::new(directory)))
                .collect(),
            ..World::default()
        };
        let team = Resolved {
            principals: [(mallory, "ghost@x".to_owned())].into(),
            ..Resolved::default()
        };
        let plan = Plan {
            changes: vec![change],
            ..Plan::default()
        };
        risk(&plan, &[(gerrit, team)].into(), &Inventory::default(), &world)
    }

    const EVERY_NAME: [&str; 5] = ["ghost@x", "m@private", "mallory", "mallory@corp", "mm@corp"];

    #[test]
    fn who_gains_is_known_by_every_name_and_shown_by_one() {
        let group = Target::GerritGroup {
            server: "g".into(),
            uuid: "u".into(),
        };
        let mut change = Change::new(group, "ml");
        change.add.insert((Principal::account(7, "m"), Privilege::Member));
        let found = stakes(change);
        assert_eq!(found.gaining, ["ghost@x".to_owned()].into());
        assert_eq!(found.gaining_identities, EVERY_NAME.map(str::to_owned).into());
        let shown = serde_json::to_string(&found).unwrap();
        assert!(!shown.contains("mallory"), "{shown}");
    }

    #[test]
    fn who_gains_by_a_group_is_known_by_every_name_too() {
        let on = Target::GerritRef {
            server: "g".into(),
            project: "p".into(),
            ref_name: "refs/heads/*".into(),
        };
        let right = (Principal::group("u", "ml"), Privilege::Member);
        let mut change = Change::new(on.clone(), "p");
        change.add.insert(right.clone());
        assert_eq!(
            stakes(change).gaining_identities,
            EVERY_NAME.map(str::to_owned).into()
        );
        let mut change = Change::new(on, "p");
        change.remove.insert(right);
        assert!(
            stakes(change).gaining_identities.is_empty(),
            "who loses gains nothing"
        );
    }
}
