//! Who can do what on a target, and why: its rows, and whoever is in the groups they name.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::domain::access::grant::{Grant, Principal, Target};
use serde::Serialize;

use super::survey::{Survey, is_membership, principal_of};
use super::why::{Giver, givers, is_protected};

/// Groups nest no deeper than this in either system.
const NESTING: usize = 10;

/// Everybody who can do something there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub target: String,
    pub label: String,
    pub present: bool,
    pub rights: Vec<Held>,
    /// Inherited rights and those of the system's administrators are not rows of the target.
    pub note: String,
}

/// One row of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    pub who: String,
    /// `group:…`, `user:…`, as inventories name them.
    pub principal: String,
    pub what: String,
    pub given_by: Vec<Giver>,
    /// Whether no binding declares it.
    pub foreign: bool,
    /// Whether it is the owner's, the administrators' or Lockstep's own.
    pub protected: bool,
    /// Whoever has it through the group; unset: it is nobody's group, or its members are not known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<Vec<Person>>,
}

/// Somebody who has the right through a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    pub who: String,
    /// The groups in between, from the target's to the person's own.
    pub through: Vec<String>,
    pub given_by: Vec<Giver>,
    pub foreign: bool,
    pub protected: bool,
}

/// Answers for a target that was observed; `None`: it was not.
pub fn who_can(survey: &Survey, target: &Target) -> Option<Answer> {
    let observed = survey.observed.get(target)?;
    let groups = groups(survey);
    let rights = observed
        .rows
        .iter()
        .map(|right @ (principal, privilege)| {
            let grant = Grant::of(target, right);
            let given_by = givers(survey, &grant);
            let protected = is_protected(survey, target, &grant);
            Held {
                who: principal.name.clone(),
                principal: principal.to_string(),
                what: privilege.to_string(),
                foreign: given_by.is_empty() && !protected,
                given_by,
                protected,
                people: members(survey, &groups, target, principal),
            }
        })
        .collect();
    Some(Answer {
        target: target.to_string(),
        label: survey.label(target),
        present: observed.present,
        rights,
        note: note(target).to_owned(),
    })
}

fn note(target: &Target) -> &'static str {
    match target {
        Target::GerritRef { .. } => {
            "rules of this ref pattern alone; those of parent projects and of other patterns that match add to them"
        }
        Target::Object { .. } => "direct entries alone; folders and workspace administrators add to them",
        Target::Securable { .. } => {
            "direct grants alone; the schema, the catalog, owners and metastore administrators add to them"
        }
        Target::GerritGroup { .. }
        | Target::Group { .. }
        | Target::NewGroup { .. }
        | Target::Roles { .. }
        | Target::Workspace { .. } => "",
    }
}

/// Observed groups by what they are as a principal.
pub(super) fn groups(survey: &Survey) -> BTreeMap<Principal, Vec<&Target>> {
    let mut groups: BTreeMap<Principal, Vec<&Target>> = BTreeMap::new();
    for (target, observed) in &survey.observed {
        if let Some(principal) = principal_of(target, observed).filter(|_| observed.present) {
            groups.entry(principal).or_default().push(target);
        }
    }
    groups
}

/// The observed group that a principal is, seen from a target.
pub(super) fn group_of<'a>(
    survey: &Survey,
    groups: &BTreeMap<Principal, Vec<&'a Target>>,
    target: &Target,
    principal: &Principal,
) -> Option<&'a Target> {
    let candidates = groups.get(principal)?;
    let system = target.system();
    // A workspace's own group comes before one of the account with the same name.
    candidates
        .iter()
        .find(|group| group.system() == system)
        .or_else(|| {
            candidates
                .iter()
                .find(|group| survey.reaches(&group.system(), &system))
        })
        .copied()
}

fn members(
    survey: &Survey,
    groups: &BTreeMap<Principal, Vec<&Target>>,
    target: &Target,
    principal: &Principal,
) -> Option<Vec<Person>> {
    let first = group_of(survey, groups, target, principal)?;
    let mut people = Vec::new();
    let mut visited = BTreeSet::new();
    let mut next = vec![(first, vec![survey.label(first)])];
    for _ in 0..NESTING {
        let mut deeper = Vec::new();
        for (group, through) in next.drain(..) {
            if !visited.insert(group) {
                continue;
            }
            let rows = survey.observed.get(group).into_iter().flat_map(|seen| &seen.rows);
            for right @ (member, privilege) in rows {
                if !is_membership(privilege) {
                    continue;
                }
                let nested = group_of(survey, groups, group, member);
                if let Some(nested) = nested.filter(|_| !member.is_person()) {
                    let mut through = through.clone();
                    through.push(survey.label(nested));
                    deeper.push((nested, through));
                    continue;
                }
                let grant = Grant::of(group, right);
                let given_by = givers(survey, &grant);
                let protected = is_protected(survey, group, &grant);
                people.push(Person {
                    who: member.name.clone(),
                    through: through.clone(),
                    foreign: given_by.is_empty() && !protected,
                    given_by,
                    protected,
                });
            }
        }
        next = deeper;
    }
    Some(people)
}
