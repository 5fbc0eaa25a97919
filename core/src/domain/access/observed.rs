//! What a target was seen to hold.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::grant::{Principal, Right, System, Target};
use crate::api::objects::ObjectName;

/// What a user's words name, before anybody has asked the system what it means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    /// A group by name.
    Group { system: System, name: String },
    /// An object of the permissions API: type as in its path, and name, path or id.
    Object {
        workspace: String,
        kind: &'static str,
        name: ObjectName,
    },
    /// Something whose name is its address.
    Plain(Target),
}

impl Named {
    /// What people call the thing.
    pub fn label(&self) -> String {
        match self {
            Self::Group {
                system: System::Gerrit(_),
                name,
            } => format!("Gerrit group {name}"),
            Self::Group {
                system: System::Account(_),
                name,
            } => format!("Databricks account group {name}"),
            Self::Group { name, .. } => format!("Databricks workspace group {name}"),
            Self::Object {
                kind,
                name: ObjectName::Name(name),
                ..
            } => format!("{kind} {name}"),
            Self::Object {
                kind,
                name: ObjectName::Id(id),
                ..
            } => format!("{kind} {id}"),
            Self::Plain(target) => target.label(),
        }
    }

    /// What a pin calls it: unique inside its system.
    pub fn pin_name(&self) -> Option<String> {
        match self {
            Self::Group { name, .. } => Some(format!("group/{name}")),
            Self::Object {
                kind,
                name: ObjectName::Name(name),
                ..
            } => Some(format!("{kind}/{name}")),
            Self::Object {
                name: ObjectName::Id(_),
                ..
            }
            | Self::Plain(_) => None,
        }
    }

    /// The system that is asked.
    pub fn system(&self) -> System {
        match self {
            Self::Group { system, .. } => system.clone(),
            Self::Object { workspace, .. } => System::Workspace(workspace.clone()),
            Self::Plain(target) => target.system(),
        }
    }
}

/// What a name was found to mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    At(Target),
    /// The system was asked and has no such thing.
    Absent,
    /// Several things of that name, with their addresses.
    Ambiguous(Vec<Target>),
}

/// What a group is besides its members.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupProperties {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// UUID of the owning group (Gerrit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_to_all: Option<bool>,
}

/// One reading of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub target: Target,
    /// When the reading was begun.
    pub taken: Timestamp,
    /// Whether the target exists.
    pub present: bool,
    /// Direct rows; inherited ones are not ours to see or touch.
    pub rows: BTreeSet<Right>,
    /// Principals whose rows are never removed: the owner, `admins`, and the operator's own identity.
    pub protected: BTreeSet<Principal>,
    /// For groups.
    pub group: Option<GroupProperties>,
    /// Whether members come from an identity provider and must not be edited here.
    pub external: bool,
    /// Whether no listing shows it, so that every look at it costs a call of its own.
    pub alone: bool,
}

impl Observed {
    /// A target that does not exist.
    pub fn absent(target: Target, taken: Timestamp) -> Self {
        Self {
            target,
            taken,
            present: false,
            rows: BTreeSet::new(),
            protected: BTreeSet::new(),
            group: None,
            external: false,
            alone: false,
        }
    }
}
