//! Canonical addresses: one per thing outside, whichever connection reaches it.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::catalog::OBJECT_TYPES;
use crate::domain::ports::ConnectionKind;

/// What a segment of an address keeps as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@')
    .remove(b':');
/// A query value also keeps `/` and `*`, so that refs stay readable.
const VALUE: &AsciiSet = &SEGMENT.remove(b'/').remove(b'*');

/// A system outside: two connections to it are one system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// A Gerrit server.
    Gerrit(String),
    /// A Databricks workspace, by numeric id.
    Workspace(String),
    /// A Databricks account, by id.
    Account(String),
    /// A Unity Catalog metastore, by id.
    Metastore(String),
}

impl System {
    /// The kind of connection that reaches it.
    pub fn kind(&self) -> ConnectionKind {
        match self {
            Self::Gerrit(_) => ConnectionKind::Gerrit,
            Self::Workspace(_) | Self::Account(_) | Self::Metastore(_) => ConnectionKind::Databricks,
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gerrit(server) => write!(f, "gerrit://{}", segment(server)),
            Self::Workspace(id) => write!(f, "databricks://{}", segment(id)),
            Self::Account(id) => write!(f, "databricks://account/{}", segment(id)),
            Self::Metastore(id) => write!(f, "unity://{}", segment(id)),
        }
    }
}

/// A thing outside on which rights are held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A Gerrit group; its rows are memberships.
    GerritGroup { server: String, uuid: String },
    /// A ref pattern of a Gerrit project; its rows are rules.
    GerritRef {
        server: String,
        project: String,
        ref_name: String,
    },
    /// A group of a Databricks account or workspace, by numeric id; its rows are memberships.
    Group { system: System, id: String },
    /// A Databricks group that does not exist yet.
    NewGroup { system: System, name: String },
    /// The roles on a service principal, by application id.
    Roles { account: String, application_id: String },
    /// A workspace; its rows are permission and entitlements.
    Workspace { workspace: String },
    /// An object of the permissions API: type as in its path, and id.
    Object {
        workspace: String,
        kind: String,
        id: String,
    },
    /// A securable of Unity Catalog: type as in the grants API, and full name.
    Securable {
        metastore: String,
        kind: String,
        name: String,
    },
}

impl Target {
    /// The system the target lives in.
    pub fn system(&self) -> System {
        match self {
            Self::GerritGroup { server, .. } | Self::GerritRef { server, .. } => {
                System::Gerrit(server.clone())
            }
            Self::Group { system, .. } | Self::NewGroup { system, .. } => system.clone(),
            Self::Roles { account, .. } => System::Account(account.clone()),
            Self::Workspace { workspace } | Self::Object { workspace, .. } => {
                System::Workspace(workspace.clone())
            }
            Self::Securable { metastore, .. } => System::Metastore(metastore.clone()),
        }
    }

    /// What one write covers: all refs of one Gerrit project are one `POST …/access`, everything else is itself.
    pub fn write_unit(&self) -> String {
        match self {
            Self::GerritRef { server, project, .. } => {
                format!("gerrit://{}/projects/{}", segment(server), segment(project))
            }
            other => other.to_string(),
        }
    }

    /// What people call the target where no better name is known.
    pub fn label(&self) -> String {
        match self {
            Self::GerritGroup { uuid, .. } => format!("Gerrit group {uuid}"),
            Self::GerritRef {
                project, ref_name, ..
            } => format!("{project} {ref_name}"),
            Self::Group { id, .. } => format!("Databricks group {id}"),
            Self::NewGroup { name, .. } => format!("Databricks group {name}"),
            Self::Roles { application_id, .. } => format!("service principal {application_id}"),
            Self::Workspace { workspace } => format!("workspace {workspace}"),
            Self::Object { kind, id, .. } => format!("{kind} {id}"),
            Self::Securable { kind, name, .. } => format!("{kind} {name}"),
        }
    }

    /// Whether the target is a group, existing or to be created.
    pub fn is_group(&self) -> bool {
        matches!(
            self,
            Self::GerritGroup { .. } | Self::Group { .. } | Self::NewGroup { .. }
        )
    }

    /// Order in which targets are granted; revocation runs it backwards. Groups first: they are the subjects of
    /// everything else, and entitlements need the assignment to the workspace.
    pub fn rank(&self) -> u8 {
        match self {
            Self::GerritGroup { .. } | Self::Group { .. } | Self::NewGroup { .. } => 0,
            Self::Workspace { .. } => 1,
            Self::Roles { .. } => 2,
            Self::GerritRef { .. } | Self::Object { .. } | Self::Securable { .. } => 3,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = self.system();
        match self {
            Self::GerritGroup { uuid, .. } => write!(f, "{system}/groups/{}", segment(uuid)),
            Self::GerritRef {
                project, ref_name, ..
            } => {
                write!(
                    f,
                    "{system}/projects/{}?ref={}",
                    segment(project),
                    utf8_percent_encode(ref_name, VALUE)
                )
            }
            Self::Group { id, .. } => write!(f, "{system}/groups/{}", segment(id)),
            Self::NewGroup { name, .. } => {
                write!(f, "{system}/groups?name={}", utf8_percent_encode(name, VALUE))
            }
            Self::Roles { application_id, .. } => {
                write!(f, "{system}/servicePrincipals/{}", segment(application_id))
            }
            Self::Workspace { .. } => write!(f, "{system}"),
            Self::Object { kind, id, .. } => write!(f, "{system}/{kind}/{}", segment(id)),
            Self::Securable { kind, name, .. } => write!(f, "{system}/{kind}/{}", segment(name)),
        }
    }
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

fn plain(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

impl FromStr for System {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once("://").and_then(|(scheme, rest)| match scheme {
            "gerrit" => Some(Self::Gerrit(plain(rest)?)),
            "unity" => Some(Self::Metastore(plain(rest)?)),
            "databricks" => Some(if let Some(id) = rest.strip_prefix("account/") {
                Self::Account(plain(id)?)
            } else {
                Self::Workspace(plain(rest)?)
            }),
            _ => None,
        });
        parsed.ok_or_else(|| format!("{text:?} is not the address of a system"))
    }
}

impl FromStr for Target {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| {
            format!("{text:?} is not an address: write for example gerrit://<server>/groups/<uuid> or databricks://<workspace-id>/jobs/77")
        })
    }
}

fn parse(text: &str) -> Option<Target> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, path) = match (scheme, rest.strip_prefix("account/")) {
        ("databricks", Some(account)) => {
            let (id, path) = account.split_once('/')?;
            (System::Account(plain(id)?), path)
        }
        _ => {
            let (id, path) = rest.split_once('/').unwrap_or((rest, ""));
            let id = plain(id)?;
            let system = match scheme {
                "gerrit" => System::Gerrit(id),
                "databricks" => System::Workspace(id),
                "unity" => System::Metastore(id),
                _ => return None,
            };
            (system, path)
        }
    };
    if let Some(name) = path.strip_prefix("groups?name=") {
        return Some(Target::NewGroup {
            system: authority,
            name: plain(name)?,
        });
    }
    match authority {
        System::Gerrit(server) => {
            if let Some(uuid) = path.strip_prefix("groups/") {
                return Some(Target::GerritGroup {
                    server,
                    uuid: plain(uuid)?,
                });
            }
            let (project, ref_name) = path.strip_prefix("projects/")?.split_once("?ref=")?;
            Some(Target::GerritRef {
                server,
                project: plain(project)?,
                ref_name: plain(ref_name)?,
            })
        }
        System::Account(account) => match path.split_once('/')? {
            ("groups", id) => Some(Target::Group {
                system: System::Account(account),
                id: plain(id)?,
            }),
            ("servicePrincipals", id) => Some(Target::Roles {
                account,
                application_id: plain(id)?,
            }),
            _ => None,
        },
        System::Workspace(workspace) if path.is_empty() => Some(Target::Workspace { workspace }),
        System::Workspace(workspace) => {
            if let Some(id) = path.strip_prefix("groups/") {
                return Some(Target::Group {
                    system: System::Workspace(workspace),
                    id: plain(id)?,
                });
            }
            // The longest match first: `sql/warehouses` is one type, not a folder.
            let kind = OBJECT_TYPES
                .iter()
                .map(|row| row.path)
                .filter(|kind| path.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/')))
                .max_by_key(|kind| kind.len())?;
            let id = plain(&path[kind.len() + 1..])?;
            Some(Target::Object {
                workspace,
                kind: kind.to_owned(),
                id,
            })
        }
        System::Metastore(metastore) => {
            let (kind, name) = path.split_once('/')?;
            Some(Target::Securable {
                metastore,
                kind: kind.to_owned(),
                name: plain(name)?,
            })
        }
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
as_text!(System, Target);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_written() {
        let hostile = "a/b c%2F..\"'\nü?ref=x";
        let account = System::Account("1111-2222".into());
        let workspace = System::Workspace("123".into());
        for target in [
            Target::GerritGroup {
                server: "site".into(),
                uuid: hostile.into(),
            },
            Target::GerritRef {
                server: "site".into(),
                project: "ml/fraud".into(),
                ref_name: "refs/heads/*".into(),
            },
            Target::GerritRef {
                server: "site".into(),
                project: hostile.into(),
                ref_name: hostile.into(),
            },
            Target::Group {
                system: account.clone(),
                id: "12".into(),
            },
            Target::Group {
                system: workspace.clone(),
                id: "12".into(),
            },
            Target::NewGroup {
                system: workspace,
                name: hostile.into(),
            },
            Target::NewGroup {
                system: account,
                name: "ml-fraud".into(),
            },
            Target::Roles {
                account: "1111".into(),
                application_id: "aaaa-bbbb".into(),
            },
            Target::Workspace {
                workspace: "123".into(),
            },
            Target::Object {
                workspace: "123".into(),
                kind: "jobs".into(),
                id: "77".into(),
            },
            Target::Object {
                workspace: "123".into(),
                kind: "sql/warehouses".into(),
                id: hostile.into(),
            },
            Target::Securable {
                metastore: "m".into(),
                kind: "schema".into(),
                name: "ml_prod.fraud".into(),
            },
        ] {
            let text = target.to_string();
            assert!(!text.contains('\n'), "{text}");
            assert_eq!(text.parse(), Ok(target), "{text}");
        }
        assert_eq!(
            Target::GerritRef {
                server: "g".into(),
                project: "ml/fraud".into(),
                ref_name: "refs/heads/prod".into()
            }
            .to_string(),
            "gerrit://g/projects/ml%2Ffraud?ref=refs/heads/prod"
        );
    }
}
