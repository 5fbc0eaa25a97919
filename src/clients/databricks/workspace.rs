//! Who may enter a workspace, and what they are entitled to there. Permissions come from the account where it can
//! be reached, else from the workspace itself; entitlements always belong to the workspace.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::domain::access::grant::{Principal, PrincipalKind, Privilege, Right};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::groups::Groups;
use super::limits::Family;
use super::names::Named;
use super::people::People;
use super::plane::Plane;
use super::scim::{self, Collection, Operation, Scope};
use super::segment;
use crate::clients::http::{Call, Effect};

/// Where assignments are read and written.
#[derive(Clone, Debug)]
pub(super) enum Door {
    /// The published call of the account.
    Account { account: String, workspace: String },
    /// The workspace's own, as Terraform uses it where no account is known.
    Workspace,
}

impl Door {
    pub(super) fn call(&self, method: Method, principal: Option<&str>) -> Call {
        let (route, base) = match self {
            Self::Account { account, workspace } => (
                "/api/2.0/accounts/{account}/workspaces/{workspace}/permissionassignments",
                format!(
                    "/api/2.0/accounts/{}/workspaces/{}/permissionassignments",
                    segment(account),
                    segment(workspace)
                ),
            ),
            Self::Workspace => (
                "/api/2.0/preview/permissionassignments",
                "/api/2.0/preview/permissionassignments".to_owned(),
            ),
        };
        let path = match principal {
            Some(id) => format!("{base}/principals/{}", segment(id)),
            None => base,
        };
        let (family, effect) = if method == Method::GET {
            (Family::Other, Effect::Read)
        } else {
            (Family::AssignmentWrite, Effect::Repeatable)
        };
        Call::new(method, route, path, family.name(), effect)
    }
}

#[derive(Debug, Deserialize)]
struct Listing {
    #[serde(default)]
    permission_assignments: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(default)]
    permissions: Vec<String>,
    #[serde(default)]
    principal: Assigned,
}

#[derive(Debug, Default, Deserialize)]
struct Assigned {
    #[serde(default)]
    principal_id: Option<serde_json::Number>,
    #[serde(flatten)]
    who: Named,
}

/// Numeric id, name, levels.
type Entry = (Box<str>, Named, Box<[Box<str>]>);

/// Everybody assigned to a workspace, and through which door that was read.
#[derive(Debug)]
pub(super) struct Assignments {
    pub door: Door,
    entries: Vec<Entry>,
}

impl Assignments {
    pub async fn read(plane: &Plane, door: Door) -> Result<Self, SystemError> {
        let listing: Listing = plane.read(door.call(Method::GET, None)).await?;
        let entries = listing.permission_assignments.into_iter().map(entry).collect();
        Ok(Self { door, entries })
    }

    fn id_of(&self, who: &Principal, people: &People) -> Option<&str> {
        self.entries
            .iter()
            .find(|(_, named, _)| named.principal(people).as_ref() == Some(who))
            .map(|(id, ..)| id.as_ref())
            .filter(|id| !id.is_empty())
    }
}

fn entry(row: Row) -> Entry {
    let Row {
        permissions,
        principal: Assigned { principal_id, who },
    } = row;
    let id = principal_id.map(|id| id.to_string()).unwrap_or_default();
    (id.into(), who, permissions.into_iter().map(Into::into).collect())
}

/// Permissions and direct entitlements as rows.
pub(super) fn rows(assignments: &Assignments, groups: &Groups, people: &People) -> BTreeSet<Right> {
    let mut rows = BTreeSet::new();
    for (id, named, levels) in &assignments.entries {
        let known = people.by_id(id).cloned().or_else(|| named.principal(people));
        let Some(who) = known else { continue };
        for level in levels {
            let level = if level.as_ref() == "UNKNOWN" {
                continue;
            } else {
                level
            };
            rows.insert((who.clone(), Privilege::Permission(level.to_string())));
        }
    }
    for group in groups.iter() {
        for entitlement in &group.entitlements {
            let who = Principal::group(group.name.as_ref(), group.name.as_ref());
            rows.insert((who, Privilege::Entitlement(entitlement.to_string())));
        }
    }
    for (who, entitlements) in &people.entitlements {
        for entitlement in entitlements {
            rows.insert((who.clone(), Privilege::Entitlement(entitlement.clone())));
        }
    }
    rows
}

/// What becomes of somebody's permission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Permission {
    #[default]
    Stays,
    /// The one level held from now on.
    Becomes(String),
    Goes,
}

/// What a change does to one principal.
#[derive(Debug, Default, PartialEq, Eq)]
struct Edit {
    permission: Permission,
    entitle: BTreeSet<String>,
    withdraw: BTreeSet<String>,
}

fn edits(change: &Change) -> BTreeMap<Principal, Edit> {
    let mut edits: BTreeMap<Principal, Edit> = BTreeMap::new();
    for (who, privilege) in &change.remove {
        let edit = edits.entry(who.clone()).or_default();
        match privilege {
            Privilege::Permission(_) => edit.permission = Permission::Goes,
            Privilege::Entitlement(name) => {
                edit.withdraw.insert(name.clone());
            }
            _ => {}
        }
    }
    for (who, privilege) in &change.add {
        let edit = edits.entry(who.clone()).or_default();
        match privilege {
            Privilege::Permission(level) => edit.permission = Permission::Becomes(level.clone()),
            Privilege::Entitlement(name) => {
                edit.withdraw.remove(name);
                edit.entitle.insert(name.clone());
            }
            _ => {}
        }
    }
    edits
}

/// One workspace to be written.
pub(super) struct Hall<'a> {
    /// Where assignments are written.
    pub gate: &'a Plane,
    /// The workspace itself, for entitlements.
    pub plane: &'a Plane,
    pub people: &'a People,
    /// Groups as the assigning side knows them, and as the workspace does.
    pub groups: [&'a Groups; 2],
    pub assignments: &'a Assignments,
}

impl Hall<'_> {
    /// Enters before it entitles, and withdraws before it shows the door: entitlements hang on the assignment.
    pub async fn apply(&self, change: &Change) -> Result<(), SystemError> {
        for (at, (who, edit)) in edits(change).into_iter().enumerate() {
            let done = self.apply_one(&who, edit).await;
            done.map_err(|error| if at > 0 { error.partly() } else { error })?;
        }
        Ok(())
    }

    async fn apply_one(&self, who: &Principal, edit: Edit) -> Result<(), SystemError> {
        let Edit {
            permission,
            entitle,
            withdraw,
        } = edit;
        let leaves = permission == Permission::Goes;
        let id = match (self.id(who), &permission) {
            (Some(id), _) => id,
            (None, Permission::Becomes(_)) => self.admit(who).await?,
            // Whom nobody knows holds nothing here.
            (None, _) if entitle.is_empty() => return Ok(()),
            (None, _) => return Err(self.unknown(who)),
        };
        let mut begun = false;
        if let Permission::Becomes(level) = &permission {
            self.assign(&id, level).await?;
            begun = true;
        }
        let entitled = self.entitle(who, &id, &entitle, &withdraw, leaves).await;
        entitled.map_err(|error| if begun { error.partly() } else { error })?;
        if leaves {
            let response = self
                .gate
                .send(self.assignments.door.call(Method::DELETE, Some(&id)))
                .await?;
            if !response.proves_absence() {
                response.success()?;
            }
        }
        Ok(())
    }

    /// The numeric id of anybody whom one of our readings shows.
    fn id(&self, who: &Principal) -> Option<String> {
        if let Some(id) = self.assignments.id_of(who, self.people) {
            return Some(id.to_owned());
        }
        if who.kind != PrincipalKind::Group {
            return self.people.number(who).map(ToOwned::to_owned);
        }
        let mut named = self.groups.iter().flat_map(|groups| groups.named(&who.subject));
        named.next().map(|group| group.id.to_string())
    }

    fn unknown(&self, who: &Principal) -> SystemError {
        let message = format!(
            "{} is not known here and cannot be assigned to the workspace",
            who.name
        );
        self.plane.error(SystemErrorKind::Refused, message)
    }

    /// Assigns somebody by name: a workspace that knows no account cannot see whom it has not assigned yet. Gives
    /// USER and says the id.
    async fn admit(&self, who: &Principal) -> Result<String, SystemError> {
        if !matches!(self.assignments.door, Door::Workspace) {
            return Err(self.unknown(who));
        }
        let named = Named::of(who, self.people, self.plane)?;
        let call = self
            .assignments
            .door
            .call(Method::POST, None)
            .json(&json!({"permission_assignments": [{"principal": named}]}));
        let made: Listing = self.gate.read(call).await?;
        let mut made = made.permission_assignments.into_iter().map(entry);
        let found = made.find(|(id, name, _)| *name == named && !id.is_empty());
        found.map_or_else(|| Err(self.unknown(who)), |(id, ..)| Ok(id.into_string()))
    }

    async fn assign(&self, id: &str, level: &str) -> Result<(), SystemError> {
        let call = self
            .assignments
            .door
            .call(Method::PUT, Some(id))
            .json(&json!({"permissions": [level]}));
        self.gate.write(call).await.map(|_| ())
    }

    async fn entitle(
        &self,
        who: &Principal,
        id: &str,
        give: &BTreeSet<String>,
        take: &BTreeSet<String>,
        leaves: bool,
    ) -> Result<(), SystemError> {
        let collection = match who.kind {
            PrincipalKind::Group => Collection::Groups,
            PrincipalKind::ServicePrincipal => Collection::ServicePrincipals,
            PrincipalKind::User | PrincipalKind::Account => Collection::Users,
        };
        if !give.is_empty() {
            let add = Operation::Add {
                path: "entitlements",
                values: give.iter().cloned().collect(),
            };
            let response = scim::patch(self.plane, &Scope::Workspace, collection, id, &[add]).await?;
            if response.proves_absence() {
                return Err(self.plane.unknown_principal(&response));
            }
            response.success()?;
        }
        if take.is_empty() {
            return Ok(());
        }
        let remove: Vec<Operation> = take
            .iter()
            .map(|value| Operation::Remove {
                path: "entitlements",
                value: value.clone(),
            })
            .collect();
        let response = scim::patch(self.plane, &Scope::Workspace, collection, id, &remove).await?;
        // Taking from somebody who has none is refused with this text, and is done (TF scim/*.go).
        let none_left = response.status() == 400 && response.refusal.message.contains("No such attribute");
        if none_left || (leaves && response.proves_absence()) {
            return Ok(());
        }
        response.success().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use lockstep_core::domain::access::grant::Target;

    use super::*;

    #[test]
    fn a_new_level_replaces_the_old_one_and_an_entitlement_is_not_taken_and_given() {
        let team = Principal::group("team", "team");
        let workspace = Target::Workspace {
            workspace: "1".into(),
        };
        let mut change = Change::new(workspace, "workspace");
        let permission = |level: &str| (team.clone(), Privilege::Permission(level.into()));
        let entitlement = |name: &str| (team.clone(), Privilege::Entitlement(name.into()));
        change.remove = [permission("USER"), entitlement("a"), entitlement("b")].into();
        change.add = [permission("ADMIN"), entitlement("b")].into();
        let edits = edits(&change);
        assert_eq!(
            edits.get(&team),
            Some(&Edit {
                permission: Permission::Becomes("ADMIN".into()),
                entitle: ["b".to_owned()].into(),
                withdraw: ["a".to_owned()].into(),
            })
        );
    }
}
