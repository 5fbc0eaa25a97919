//! A plan is a value: changes, risk in terms of people, and a digest of the effects. Dry run, approval, drift
//! report, CLI and record print this one value; apply accepts nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::access::grant::{Principal, Privilege, Right, Target};
use super::access::observed::GroupProperties;
use crate::api::condition::Reason;

/// What is to be done to one target. Additions come before removals unless a privilege shrinks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    pub target: Target,
    /// The group is to be created, with these properties and the rows of `add` as its first members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<GroupProperties>,
    /// Properties to set on an existing group; `None` fields stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub describe: Option<GroupProperties>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub add: BTreeSet<Right>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub remove: BTreeSet<Right>,
    /// The group is to be deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete: bool,
    /// What people call the target.
    pub label: String,
}

impl Change {
    pub fn new(target: Target, label: impl Into<String>) -> Self {
        Self {
            target,
            create: None,
            describe: None,
            add: BTreeSet::new(),
            remove: BTreeSet::new(),
            delete: false,
            label: label.into(),
        }
    }

    /// Whether the outside would notice nothing.
    pub fn is_empty(&self) -> bool {
        let Self {
            target: _,
            create,
            describe,
            add,
            remove,
            delete,
            label: _,
        } = self;
        create.is_none() && describe.is_none() && add.is_empty() && remove.is_empty() && !delete
    }

    /// Whether the change only takes away.
    pub fn only_removes(&self) -> bool {
        self.create.is_none() && self.add.is_empty() && (self.delete || !self.remove.is_empty())
    }

    /// The effects as canonical lines of words, names of people left out: what a digest is made of.
    fn effects(&self) -> Vec<Vec<String>> {
        let Self {
            target,
            create,
            describe,
            add,
            remove,
            delete,
            label: _,
        } = self;
        let mut lines = Vec::new();
        for (verb, properties) in [("create", create), ("describe", describe)] {
            if let Some(properties) = properties {
                let json = serde_json::to_string(properties).unwrap_or_default();
                lines.push(vec![verb.to_owned(), target.to_string(), json]);
            }
        }
        for (verb, rights) in [("add", add), ("remove", remove)] {
            lines.extend(rights.iter().map(|(who, what)| {
                vec![
                    verb.to_owned(),
                    target.to_string(),
                    who.to_string(),
                    what.to_string(),
                ]
            }));
        }
        if *delete {
            lines.push(vec!["delete".to_owned(), target.to_string()]);
        }
        lines
    }

    /// Digest of this change's effects: the name of its intent.
    pub fn digest(&self) -> EffectDigest {
        EffectDigest::of(std::iter::once(self))
    }
}

/// SHA-256 over the versioned canonical encoding of effects: equal exactly if the effects are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectDigest(pub String);

impl EffectDigest {
    /// The digest of a set of changes; their order does not matter.
    pub fn of<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Self {
        let mut lines: Vec<Vec<String>> = changes.into_iter().flat_map(Change::effects).collect();
        lines.sort();
        let mut hash = Sha256::new();
        // A version first: an approval given under an older encoding must not release a newer plan.
        hash.update(b"lockstep-effects-v1\n");
        for line in lines {
            // Lengths frame lines and words, so that no name can forge a boundary.
            hash.update(line.len().to_be_bytes());
            for word in line {
                hash.update(word.len().to_be_bytes());
                hash.update(word.as_bytes());
            }
        }
        Self(format!("sha256:{}", hex::encode(hash.finalize())))
    }
}

impl fmt::Display for EffectDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One reason to ask a person first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Brake {
    pub rule: BrakeRule,
    pub message: String,
}

/// The accident a brake stands against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BrakeRule {
    MaxRemovals,
    MaxAdditions,
    FirstAuthoritative,
    MinMembers,
    LastAdministrator,
    OperatorLosesAccess,
    SourceEmpty,
    MassDeletion,
    TokensDeleted,
    WeakensGate,
}

/// A change that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedChange {
    pub change: Change,
    pub brakes: Vec<Brake>,
}

/// A target that is left alone, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What people call the thing.
    pub label: String,
    #[serde(skip)]
    pub reason: Option<Reason>,
    pub message: String,
}

/// What is at stake, counted in people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Risk {
    /// Everybody who would gain anything, by e-mail or bot name.
    pub gaining: BTreeSet<String>,
    /// Everybody who would lose anything.
    pub losing: BTreeSet<String>,
    /// Every address and user name of those who would gain: what an approver is compared with. Not for showing: a
    /// plan is read by more people than a directory is.
    #[serde(skip)]
    pub gaining_identities: BTreeSet<String>,
}

/// Rows beyond what is declared that stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignRight {
    pub target: Target,
    pub label: String,
    pub principal: Principal,
    pub privilege: Privilege,
}

/// The whole difference between what is declared and what was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What may be done now, in a safe order.
    pub changes: Vec<Change>,
    /// What waits for a PlanApproval of [`Plan::blocked_digest`].
    pub blocked: Vec<BlockedChange>,
    /// What is claimed by another object, or is wrong with single targets.
    pub conflicts: Vec<Problem>,
    pub problems: Vec<Problem>,
    pub foreign: Vec<ForeignRight>,
    pub risk: Risk,
}

impl Plan {
    /// Whether the outside is as declared, as far as it may be touched.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.blocked.is_empty()
    }

    /// All changes, blocked or not.
    pub fn all(&self) -> impl Iterator<Item = &Change> {
        self.changes
            .iter()
            .chain(self.blocked.iter().map(|blocked| &blocked.change))
    }

    /// Digest of everything the plan would do.
    pub fn digest(&self) -> EffectDigest {
        EffectDigest::of(self.all())
    }

    /// Digest that an approval must name; `None` while nothing is blocked.
    pub fn blocked_digest(&self) -> Option<EffectDigest> {
        (!self.blocked.is_empty())
            .then(|| EffectDigest::of(self.blocked.iter().map(|blocked| &blocked.change)))
    }

    /// Changes that can be written in one call, grouped in the plan's order.
    pub fn units(&self) -> Vec<Vec<&Change>> {
        let mut order: Vec<String> = Vec::new();
        let mut units: BTreeMap<String, Vec<&Change>> = BTreeMap::new();
        for change in &self.changes {
            // Revocations run in another phase than grants, also on the same project.
            let unit = format!(
                "{}{}",
                u8::from(change.only_removes()),
                change.target.write_unit()
            );
            if !units.contains_key(&unit) {
                order.push(unit.clone());
            }
            units.entry(unit).or_default().push(change);
        }
        order.into_iter().filter_map(|unit| units.remove(&unit)).collect()
    }

    /// One line per effect, for people: `+ ml-fraud-engineers: ada@example.com member`.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for change in self.all() {
            let Change {
                target: _,
                create,
                describe,
                add,
                remove,
                delete,
                label,
            } = change;
            if let Some(properties) = create {
                lines.push(format!("+ create {label} ({})", properties.name));
            }
            if describe.is_some() {
                lines.push(format!("~ set properties of {label}"));
            }
            lines.extend(
                add.iter()
                    .map(|(who, what)| format!("+ {label}: {} {what}", who.name)),
            );
            lines.extend(
                remove
                    .iter()
                    .map(|(who, what)| format!("- {label}: {} {what}", who.name)),
            );
            if *delete {
                lines.push(format!("- delete {label}"));
            }
        }
        lines
    }
}
