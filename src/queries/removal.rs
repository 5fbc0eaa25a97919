//! The edits that take one person out: never made here, only named.

use std::collections::BTreeSet;

use lockstep_core::domain::access::grant::{Grant, Principal, System};
use lockstep_core::domain::access::people::Who;
use serde::Serialize;

use super::of_person::{Identity, accounts};
use super::survey::{Source, Survey, Surveyed};
use super::why::{givers, is_protected};

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Removal {
    pub person: String,
    pub accounts: Vec<Identity>,
    /// Member entries that name the person: take them out.
    pub edits: Vec<Edit>,
    /// Groups the person is in and a binding takes its members from: take the person out there.
    pub sources: Vec<SourceEdit>,
    /// Rights that no binding declares: they stay until somebody takes them away by hand.
    pub foreign: Vec<ForeignRow>,
}

/// An entry to take out of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    pub namespace: String,
    pub binding: String,
    /// `spec.members[3]`.
    pub path: String,
    pub entry: String,
}

/// A group that brings the person into a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceEdit {
    pub namespace: String,
    pub binding: String,
    pub path: String,
    pub group: String,
    pub connection: String,
}

/// A right that nobody declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignRow {
    pub target: String,
    pub label: String,
    pub what: String,
}

/// Finds every edit.
pub fn removal(survey: &Survey, person: &str) -> Removal {
    let known = accounts(survey, person);
    let principals: BTreeSet<(&System, &Principal)> = known
        .iter()
        .map(|(system, account)| (*system, &account.principal))
        .collect();
    let mut edits = Vec::new();
    let mut sources = Vec::new();
    for binding in &survey.bindings {
        for (at, entry) in binding.entries.iter().enumerate() {
            if !names(binding, at, person, &principals) {
                continue;
            }
            let (namespace, name) = (binding.key.namespace.clone(), binding.key.name.clone());
            match &entry.source {
                None => edits.push(Edit {
                    namespace,
                    binding: name,
                    path: entry.path.clone(),
                    entry: entry.words.clone(),
                }),
                Some(Source { connection, group }) => sources.push(SourceEdit {
                    namespace,
                    binding: name,
                    path: entry.path.clone(),
                    group: group.clone(),
                    connection: connection.clone(),
                }),
            }
        }
    }
    let mut foreign = Vec::new();
    for (target, observed) in &survey.observed {
        for right @ (principal, privilege) in &observed.rows {
            let theirs = principals
                .iter()
                .any(|(system, own)| *own == principal && survey.reaches(system, &target.system()));
            let grant = Grant::of(target, right);
            // What was once given and is declared no more goes by itself.
            let held = survey
                .bindings
                .iter()
                .any(|binding| binding.inventory.rows.contains_key(&grant));
            if theirs && !held && givers(survey, &grant).is_empty() && !is_protected(survey, target, &grant) {
                foreign.push(ForeignRow {
                    target: target.to_string(),
                    label: survey.label(target),
                    what: privilege.to_string(),
                });
            }
        }
    }
    Removal {
        person: person.to_owned(),
        accounts: known.into_iter().map(Identity::of).collect(),
        edits,
        sources,
        foreign,
    }
}

/// Whether an entry names the person: in words, or by the account it was resolved to.
fn names(binding: &Surveyed, at: usize, person: &str, principals: &BTreeSet<(&System, &Principal)>) -> bool {
    let written = binding.entries.get(at).is_some_and(|entry| {
        entry.people.iter().any(|who| {
            let name = match who {
                Who::ServiceUser(name) | Who::ServicePrincipal(name) => name.to_lowercase(),
                other => other.person(),
            };
            name == person.to_lowercase()
        })
    });
    let resolved = || {
        binding.people.get(at).is_some_and(|meant| {
            principals
                .iter()
                .any(|(system, own)| meant.get(*system).is_some_and(|people| people.contains(*own)))
        })
    };
    written || resolved()
}
