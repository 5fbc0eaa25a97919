//! What one person can do in every system in sight: the accounts, the groups they are in, and what those may do,
//! each with the binding and the member entry that gives it, or as foreign.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::domain::access::directory::Account;
use lockstep_core::domain::access::grant::{Grant, Principal, System, Target};
use serde::Serialize;

use super::survey::{Survey, is_membership, principal_of};
use super::who_can::{group_of, groups};
use super::why::{Giver, givers, is_protected};

/// Groups nest no deeper than this in either system.
const NESTING: usize = 10;

/// Everything known of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub person: String,
    pub accounts: Vec<Identity>,
    pub rights: Vec<Right>,
}

/// Who the person is in one system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    pub system: String,
    pub principal: String,
    pub name: String,
    pub active: bool,
}

impl Identity {
    /// Of an account in a system.
    pub fn of((system, account): (&System, &Account)) -> Self {
        Self {
            system: system.to_string(),
            principal: account.principal.to_string(),
            name: account.principal.name.clone(),
            active: account.active,
        }
    }
}

/// One right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Right {
    pub system: String,
    pub target: String,
    pub label: String,
    pub what: String,
    /// The groups that bring it, from the person's own outwards; empty: it is the person's own.
    pub through: Vec<String>,
    pub given_by: Vec<Giver>,
    /// Whether no binding declares it.
    pub foreign: bool,
}

/// Accounts that somebody may mean by an address, a user name, an application id or an account number.
pub fn accounts<'a>(survey: &'a Survey, person: &str) -> Vec<(&'a System, &'a Account)> {
    let mut found = Vec::new();
    for (system, directory) in &survey.directories {
        let mut known: Vec<&Account> = directory.by_email(person).collect();
        if known.is_empty() {
            known.extend(directory.by_username(person));
        }
        if known.is_empty() {
            known.extend(directory.iter().filter(|account| {
                account.principal.subject == person || account.principal.to_string() == person
            }));
        }
        found.extend(known.into_iter().map(|account| (system, account)));
    }
    found
}

/// Answers for one person.
pub fn of_person(survey: &Survey, person: &str) -> Answer {
    let accounts = accounts(survey, person);
    let mut rights = Vec::new();
    for (system, account) in &accounts {
        rights.extend(reached(survey, system, &account.principal));
    }
    rights.sort_by(|a: &Right, b: &Right| {
        (&a.system, a.through.len(), &a.label, &a.what).cmp(&(&b.system, b.through.len(), &b.label, &b.what))
    });
    rights.dedup();
    Answer {
        person: person.to_owned(),
        accounts: accounts.into_iter().map(Identity::of).collect(),
        rights,
    }
}

/// Rows of a principal and of every group it is in, outwards.
fn reached(survey: &Survey, home: &System, person: &Principal) -> Vec<Right> {
    let groups = groups(survey);
    let mut rights = Vec::new();
    let mut visited: BTreeSet<&Target> = BTreeSet::new();
    // Whose rows are looked for: the person everywhere its system reaches, then each group seen from where it is.
    let mut wave: Vec<(Principal, System, Option<&Target>, Vec<String>)> =
        vec![(person.clone(), home.clone(), None, Vec::new())];
    for _ in 0..=NESTING {
        let mut outer = Vec::new();
        for (principal, system, own, through) in wave.drain(..) {
            for (target, observed) in &survey.observed {
                if !survey.reaches(&system, &target.system()) {
                    continue;
                }
                if let Some(own) = own
                    && group_of(survey, &groups, target, &principal) != Some(own)
                {
                    continue;
                }
                let theirs = observed.rows.iter().filter(|(holder, _)| *holder == principal);
                for right @ (_, privilege) in theirs {
                    let grant = Grant::of(target, right);
                    let given_by = givers(survey, &grant);
                    rights.push(Right {
                        system: target.system().to_string(),
                        target: target.to_string(),
                        label: survey.label(target),
                        what: privilege.to_string(),
                        through: through.clone(),
                        foreign: given_by.is_empty() && !is_protected(survey, target, &grant),
                        given_by,
                    });
                    if is_membership(privilege)
                        && visited.insert(target)
                        && let Some(group) = principal_of(target, observed)
                    {
                        let mut through = through.clone();
                        through.push(survey.label(target));
                        outer.push((group, target.system(), Some(target), through));
                    }
                }
            }
        }
        wave = outer;
    }
    rights
}

/// Rights by system, for printing.
pub fn by_system(rights: &[Right]) -> BTreeMap<&str, Vec<&Right>> {
    let mut systems: BTreeMap<&str, Vec<&Right>> = BTreeMap::new();
    for right in rights {
        systems.entry(&right.system).or_default().push(right);
    }
    systems
}
