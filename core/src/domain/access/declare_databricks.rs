//! What one binding declares in Databricks.

use super::catalog;
use super::declared::{ConnectionFacts, Declared, DeclaredGroup, DeclaredRight};
use super::grant::{Privilege, System, Target};
use super::observed::{GroupProperties, Named};
use super::reach::Tenancy;
use crate::api::access_binding::{AccountAccess, DatabricksGroup, Foreign, WorkspaceAccess};
use crate::api::condition::Reason;
use crate::api::objects::{ObjectName, SecurableGrant};
use crate::domain::defaults;
use crate::domain::plan::Problem;
use crate::domain::ports::ConnectionKey;

pub(super) fn declare_account(
    declared: &mut Declared,
    access: &AccountAccess,
    key: &ConnectionKey,
    facts: &ConnectionFacts,
    tenancy: &Tenancy,
) {
    let Some(account) = &facts.account else {
        return declared.missing_system(key, "account", "set spec.account on the connection");
    };
    declare_group(
        declared,
        &access.group,
        System::Account(account.clone()),
        key,
        tenancy,
    );
    for role in access.service_principal_roles.iter().flatten() {
        let application_id = role.application_id.to_lowercase();
        let on = Named::Plain(Target::Roles {
            account: account.clone(),
            application_id: application_id.clone(),
        });
        if declared.admit(&on, tenancy.service_principal(&application_id, &role.role)) {
            declared.rights.push(DeclaredRight {
                connection: key.clone(),
                on,
                group: access.group.name.clone(),
                privileges: vec![Privilege::Role(role.role.clone())],
                foreign: Foreign::Report,
            });
        }
    }
}

fn declare_group(
    declared: &mut Declared,
    group: &DatabricksGroup,
    system: System,
    key: &ConnectionKey,
    tenancy: &Tenancy,
) {
    let named = Named::Group {
        system,
        name: group.name.clone(),
    };
    if declared.admit(&named, tenancy.target_group(&group.name)) {
        declared.groups.push(DeclaredGroup {
            connection: key.clone(),
            named,
            properties: GroupProperties {
                name: group.name.clone(),
                ..GroupProperties::default()
            },
            owner: None,
            membership: defaults::membership(group.membership),
        });
    }
}

pub(super) fn declare_catalog(
    declared: &mut Declared,
    grants: &[SecurableGrant],
    team: Option<&str>,
    key: &ConnectionKey,
    facts: &ConnectionFacts,
    tenancy: &Tenancy,
) {
    let Some(metastore) = &facts.metastore else {
        return declared.missing_system(
            key,
            "metastore",
            "assign a Unity Catalog metastore to its workspace",
        );
    };
    let Some(team) = team else {
        return declared.problem(no_group("databricks.catalog", "databricks.account.group"));
    };
    for grant in grants {
        let Some((kind, name)) = grant.securable() else {
            declared.problem(Problem {
                label: "databricks.catalog.grants".into(),
                reason: Some(Reason::InvalidSpec),
                message: "a grant names exactly one securable".into(),
            });
            continue;
        };
        // Unity Catalog compares names without case and answers in lower case.
        let on = Named::Plain(Target::Securable {
            metastore: metastore.clone(),
            kind: kind.to_owned(),
            name: name.to_lowercase(),
        });
        let privileges: Vec<_> = grant
            .privileges
            .iter()
            .filter(|privilege| declared.admit(&on, tenancy.securable(kind, name, privilege)))
            .map(|privilege| Privilege::Securable(privilege.clone()))
            .collect();
        if !privileges.is_empty() {
            declared.rights.push(DeclaredRight {
                connection: key.clone(),
                on,
                group: team.to_owned(),
                privileges,
                foreign: defaults::foreign(grant.foreign),
            });
        }
    }
}

pub(super) fn declare_workspace(
    declared: &mut Declared,
    access: &WorkspaceAccess,
    team: Option<&str>,
    key: &ConnectionKey,
    facts: &ConnectionFacts,
    tenancy: &Tenancy,
) {
    let Some(workspace) = &facts.workspace else {
        return declared.missing_system(key, "workspace", "see its Ready condition");
    };
    let WorkspaceAccess {
        connection_ref: _,
        group,
        permission,
        entitlements,
        objects,
    } = access;
    if let Some(group) = group {
        declare_group(
            declared,
            group,
            System::Workspace(workspace.clone()),
            key,
            tenancy,
        );
    }
    let Some(team) = group.as_ref().map(|group| group.name.as_str()).or(team) else {
        return declared.problem(no_group(
            "databricks.workspaces[]",
            "databricks.account.group or the workspace's own group",
        ));
    };
    let right = |on: Named, privileges, foreign| DeclaredRight {
        connection: key.clone(),
        on,
        group: team.to_owned(),
        privileges,
        foreign,
    };
    let on = Named::Plain(Target::Workspace {
        workspace: workspace.clone(),
    });
    let wanted = permission
        .iter()
        .map(|level| Privilege::Permission(level.clone()));
    let wanted = wanted.chain(
        entitlements
            .iter()
            .flatten()
            .map(|name| Privilege::Entitlement(name.clone())),
    );
    let allowed: Vec<_> = wanted
        .filter(|privilege| declared.admit(&on, tenancy.workspace(workspace, privilege)))
        .collect();
    if !allowed.is_empty() {
        declared.rights.push(right(on, allowed, Foreign::Report));
    }
    for object in objects.iter().flatten() {
        let Some((kind, name)) = object.object() else {
            declared.problem(Problem {
                label: "databricks.workspaces[].objects".into(),
                reason: Some(Reason::InvalidSpec),
                message: "an object names exactly one type, by exactly one of name (or path) and id".into(),
            });
            continue;
        };
        let (ObjectName::Name(text) | ObjectName::Id(text)) = &name;
        let on = Named::Object {
            workspace: workspace.clone(),
            kind,
            name: name.clone(),
        };
        let known = catalog::level_rank(kind, &object.level).is_some();
        if !known {
            let levels = catalog::object_type(kind).map_or(String::new(), |row| row.levels.join(", "));
            declared.frozen.insert(on.clone());
            declared.problem(Problem {
                label: on.label(),
                reason: Some(Reason::LevelNotSupported),
                message: format!(
                    "{kind} {text:?} has no level {:?}: choose one of {levels}",
                    object.level
                ),
            });
        } else if declared.admit(&on, tenancy.object(kind, &name, &object.level)) {
            let level = Privilege::Level(object.level.clone());
            declared
                .rights
                .push(right(on, vec![level], defaults::foreign(object.foreign)));
        }
    }
}

fn no_group(what: &str, fix: &str) -> Problem {
    Problem {
        label: what.into(),
        reason: Some(Reason::InvalidSpec),
        message: format!("{what} gives rights to the team's group: set {fix}"),
    }
}
