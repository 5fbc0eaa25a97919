//! The row that carries the whole program: who holds which privilege on what.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use super::address::{System, Target};
use crate::api::access_binding::RefAction;

/// What kind of principal a row names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PrincipalKind {
    /// A Gerrit account; subject: the account number.
    Account,
    /// A group; subject: the UUID in Gerrit, the display name in Databricks (its ACLs and grants know no other).
    Group,
    /// A Databricks user; subject: the numeric id.
    User,
    /// A Databricks service principal; subject: the application id.
    ServicePrincipal,
}

/// Whoever holds a right. Identity is kind and subject inside the target's system; the name is for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Principal {
    pub kind: PrincipalKind,
    pub subject: String,
    /// E-mail, user name or display name, as the system shows it; not part of the identity.
    pub name: String,
}

impl Principal {
    pub fn new(kind: PrincipalKind, subject: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            subject: subject.into(),
            name: name.into(),
        }
    }

    /// A Gerrit account by number.
    pub fn account(number: i64, name: impl Into<String>) -> Self {
        Self::new(PrincipalKind::Account, number.to_string(), name)
    }

    /// A group by UUID (Gerrit) or display name (Databricks).
    pub fn group(subject: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(PrincipalKind::Group, subject, name)
    }

    /// Whether this is a human or a bot rather than a group.
    pub fn is_person(&self) -> bool {
        self.kind != PrincipalKind::Group
    }

    /// Whether this may be a human: a service principal and a group are none. Gerrit's rows do not tell bots apart.
    pub fn may_be_human(&self) -> bool {
        matches!(self.kind, PrincipalKind::Account | PrincipalKind::User)
    }

    fn identity(&self) -> (PrincipalKind, &str) {
        (self.kind, &self.subject)
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}
impl Eq for Principal {}
impl PartialOrd for Principal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Principal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}
impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// The identity alone: `account:1000042`, `group:…`, `user:123`, `servicePrincipal:…`. Round-trips.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            PrincipalKind::Account => "account",
            PrincipalKind::Group => "group",
            PrincipalKind::User => "user",
            PrincipalKind::ServicePrincipal => "servicePrincipal",
        };
        write!(f, "{kind}:{}", self.subject)
    }
}

impl FromStr for Principal {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is not a principal");
        let (kind, subject) = text.split_once(':').ok_or_else(refuse)?;
        let kind = match kind {
            "account" => PrincipalKind::Account,
            "group" => PrincipalKind::Group,
            "user" => PrincipalKind::User,
            "servicePrincipal" => PrincipalKind::ServicePrincipal,
            _ => return Err(refuse()),
        };
        Ok(Self::new(kind, subject, subject))
    }
}

/// What a principal may do on a target. Spelled as the vendor spells it wherever the vendor has a word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    /// Belongs to the group.
    Member,
    /// A rule of a Gerrit permission: name (`push`, `label-Code-Review`), action, force, range of a label.
    Rule {
        permission: String,
        action: RefAction,
        force: bool,
        range: Option<(i32, i32)>,
    },
    /// Workspace permission: `USER` or `ADMIN`.
    Permission(String),
    /// Workspace entitlement, for example `workspace-access`.
    Entitlement(String),
    /// Level of the permissions API, for example `CAN_MANAGE_RUN`.
    Level(String),
    /// Privilege of Unity Catalog, for example `USE_SCHEMA`.
    Securable(String),
    /// Role on a service principal, for example `roles/servicePrincipal.user`.
    Role(String),
}

impl Privilege {
    /// The part of a target that `foreign: Remove` speaks of: the permission or label in Gerrit, everything
    /// elsewhere.
    pub fn family(&self) -> &str {
        match self {
            Self::Rule { permission, .. } => permission,
            _ => "",
        }
    }

    /// What a principal holds at most one of on a target, so that a new value replaces the old: a level, a
    /// permission of the workspace, or the rule of a Gerrit permission (a second one is kept there, but no read
    /// shows it).
    pub fn slot(&self) -> Option<&str> {
        match self {
            Self::Level(_) => Some("level"),
            Self::Permission(_) => Some("permission"),
            Self::Rule { permission, .. } => Some(permission),
            Self::Member | Self::Entitlement(_) | Self::Securable(_) | Self::Role(_) => None,
        }
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member => f.write_str("member"),
            Self::Rule {
                permission,
                action,
                force,
                range,
            } => {
                f.write_str(permission)?;
                match action {
                    RefAction::Allow => {}
                    RefAction::Block => f.write_str(" BLOCK")?,
                    RefAction::Deny => f.write_str(" DENY")?,
                }
                if *force {
                    f.write_str(" force")?;
                }
                range.map_or(Ok(()), |(min, max)| write!(f, " {min:+}..{max:+}"))
            }
            Self::Permission(level) => write!(f, "permission {level}"),
            Self::Entitlement(name) => write!(f, "entitlement {name}"),
            Self::Level(level) => write!(f, "level {level}"),
            Self::Securable(privilege) => write!(f, "privilege {privilege}"),
            Self::Role(role) => write!(f, "role {role}"),
        }
    }
}

impl FromStr for Privilege {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "member" {
            return Ok(Self::Member);
        }
        if let Some((kind, rest)) = text.split_once(' ') {
            match kind {
                "permission" => return Ok(Self::Permission(rest.into())),
                "entitlement" => return Ok(Self::Entitlement(rest.into())),
                "level" => return Ok(Self::Level(rest.into())),
                "privilege" => return Ok(Self::Securable(rest.into())),
                "role" => return Ok(Self::Role(rest.into())),
                _ => {}
            }
        }
        let mut words = text.split(' ');
        let permission = words.next().unwrap_or_default().to_owned();
        let (mut action, mut force, mut range) = (RefAction::Allow, false, None);
        for word in words {
            match word {
                "BLOCK" => action = RefAction::Block,
                "DENY" => action = RefAction::Deny,
                "force" => force = true,
                _ => {
                    let parsed = word
                        .split_once("..")
                        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
                    range = Some(parsed.ok_or_else(|| format!("{text:?} is not a privilege"))?);
                }
            }
        }
        Ok(Self::Rule {
            permission,
            action,
            force,
            range,
        })
    }
}

impl Serialize for Privilege {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Privilege {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// One principal's privilege, the target being known from where it stands.
pub type Right = (Principal, Privilege);

/// One row of the relation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    pub target: Target,
    pub principal: Principal,
    pub privilege: Privilege,
}

impl Grant {
    /// A right on a target.
    pub fn of(target: &Target, (principal, privilege): &Right) -> Self {
        Self {
            target: target.clone(),
            principal: principal.clone(),
            privilege: privilege.clone(),
        }
    }

    /// The row without its target.
    pub fn right(&self) -> Right {
        (self.principal.clone(), self.privilege.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_read_back_as_written() {
        let label = |range| Privilege::Rule {
            permission: "label-Code-Review".into(),
            action: RefAction::Allow,
            force: false,
            range: Some(range),
        };
        let push = |action, force| Privilege::Rule {
            permission: "push".into(),
            action,
            force,
            range: None,
        };
        for privilege in [
            Privilege::Member,
            label((-2, 2)),
            label((0, 1)),
            push(RefAction::Block, false),
            push(RefAction::Allow, true),
            push(RefAction::Deny, false),
            Privilege::Permission("USER".into()),
            Privilege::Entitlement("workspace-access".into()),
            Privilege::Level("CAN_MANAGE_RUN".into()),
            Privilege::Securable("USE_SCHEMA".into()),
            Privilege::Role("roles/servicePrincipal.user".into()),
        ] {
            assert_eq!(
                privilege.to_string().parse(),
                Ok(privilege.clone()),
                "{privilege}"
            );
        }
        assert_eq!(label((-2, 2)).to_string(), "label-Code-Review -2..+2");
    }

    #[test]
    fn a_principal_is_the_same_under_another_name() {
        assert_eq!(
            Principal::account(7, "ada"),
            Principal::account(7, "Ada Lovelace")
        );
        assert_ne!(Principal::group("7", "x"), Principal::account(7, "x"));
    }
}
