//! What is at stake in a plan, counted in people.

use std::collections::{BTreeMap, BTreeSet};

use super::grant::{Grant, System};
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
pub(super) fn risk(plan: &Plan, resolved: &BTreeMap<System, Resolved>, inventory: &Inventory) -> Risk {
    let mut risk = Risk::default();
    for change in plan.all() {
        let system = change.target.system();
        let home = resolved.get(&system);
        // A group of the account has its people there, and its rights in workspaces and metastores.
        let team: BTreeSet<&String> = resolved
            .iter()
            .filter(|(known, _)| known.kind() == system.kind())
            .flat_map(|(_, resolved)| resolved.principals.values())
            .collect();
        for (rights, gains) in [(&change.add, true), (&change.remove, false)] {
            let side = if gains {
                &mut risk.gaining
            } else {
                &mut risk.losing
            };
            for (principal, privilege) in rights {
                let grant = Grant {
                    target: change.target.clone(),
                    principal: principal.clone(),
                    privilege: privilege.clone(),
                };
                let person = home.and_then(|home| home.principals.get(principal));
                if let Some(person) = person {
                    side.insert(person.clone());
                } else if !principal.is_person()
                    && !team.is_empty()
                    && (gains || inventory.rows.contains_key(&grant))
                {
                    // What the team's group gains or loses, everybody in the team does.
                    side.extend(team.iter().copied().cloned());
                } else {
                    side.insert(principal.name.clone());
                }
            }
        }
        if change.delete {
            risk.losing.extend(team.into_iter().cloned());
        }
    }
    risk
}
