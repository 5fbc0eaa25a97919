//! What one binding declares, by name; nothing is resolved and nobody is asked yet.

use std::collections::BTreeSet;

use super::catalog;
use super::grant::{Privilege, System, Target};
use super::observed::{GroupProperties, Named};
use super::reach::{Refusal, Tenancy};
use crate::api::access_binding::{
    AccessBindingSpec, AccountAccess, DatabricksGroup, Foreign, GerritAccess, Membership, RefAccess,
    WorkspaceAccess,
};
use crate::api::condition::Reason;
use crate::api::objects::{ObjectName, SecurableGrant};
use crate::domain::defaults;
use crate::domain::plan::Problem;
use crate::domain::ports::{ConnectionKey, ConnectionKind};

/// Words that two bindings share if they can meet on a target: cheap to compute from the spec alone, so that a
/// change of one binding finds the others it concerns without looking at all of them.
pub fn claim_words(spec: &AccessBindingSpec) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for gerrit in spec.gerrit.iter().flatten() {
        words.insert(format!("group {}", gerrit.group.name.to_lowercase()));
        for access in gerrit.access.iter().flatten() {
            words.insert(format!("ref {} {}", access.project, access.ref_));
        }
    }
    let Some(databricks) = &spec.databricks else {
        return words;
    };
    if let Some(account) = &databricks.account {
        words.insert(format!("group {}", account.group.name.to_lowercase()));
        for role in account.service_principal_roles.iter().flatten() {
            words.insert(format!("servicePrincipal {}", role.application_id.to_lowercase()));
        }
    }
    for grant in databricks.catalog.iter().flat_map(|catalog| &catalog.grants) {
        if let Some((kind, name)) = grant.securable() {
            words.insert(format!("{kind} {}", name.to_lowercase()));
        }
    }
    for workspace in databricks.workspaces.iter().flatten() {
        if let Some(group) = &workspace.group {
            words.insert(format!("group {}", group.name.to_lowercase()));
        }
        for object in workspace.objects.iter().flatten() {
            // By id and by name the same object has two words; whoever mixes both is found by its type.
            match object.object() {
                Some((kind, ObjectName::Name(name))) => words.insert(format!("{kind} {name}")),
                Some((kind, ObjectName::Id(_))) => words.insert(format!("{kind} by id")),
                None => false,
            };
        }
    }
    words
}

/// What a connection says of itself, and how far this binding's namespace may use it.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    pub gerrit: Option<String>,
    pub workspace: Option<String>,
    pub account: Option<String>,
    pub metastore: Option<String>,
    /// `None`: the namespace has no entry.
    pub tenancy: Option<Tenancy>,
}

/// A group that stands for the team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredGroup {
    pub connection: ConnectionKey,
    pub named: Named,
    pub properties: GroupProperties,
    /// Name of the owning group, where one is declared.
    pub owner: Option<String>,
    pub membership: Membership,
}

/// Rights of the team's group on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredRight {
    pub connection: ConnectionKey,
    pub on: Named,
    /// Name of the group that gets them, in the system of `on`.
    pub group: String,
    pub privileges: Vec<Privilege>,
    pub foreign: Foreign,
}

/// Everything one binding declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    pub groups: Vec<DeclaredGroup>,
    pub rights: Vec<DeclaredRight>,
    /// What may not be touched, with the reason; the rest goes on.
    pub problems: Vec<Problem>,
    /// Names that are declared but not to be touched now: what is held there stays.
    pub frozen: BTreeSet<Named>,
    /// Connections the binding needs.
    pub connections: BTreeSet<ConnectionKey>,
}

/// Expands a spec. `facts` answers for a connection: its systems, or why it cannot be used now.
pub fn declare(
    spec: &AccessBindingSpec,
    namespace: &str,
    facts: &dyn Fn(&ConnectionKey) -> Result<ConnectionFacts, Problem>,
) -> Declared {
    let mut declared = Declared::default();
    for gerrit in spec.gerrit.iter().flatten() {
        let key = defaults::connection(ConnectionKind::Gerrit, &gerrit.connection_ref, namespace);
        declared.with(&key, facts, |declared, facts, tenancy| {
            declare_gerrit(declared, gerrit, &key, facts, tenancy)
        });
    }
    let Some(databricks) = &spec.databricks else {
        return declared;
    };
    if let Some(account) = &databricks.account {
        let key = defaults::connection(ConnectionKind::Databricks, &account.connection_ref, namespace);
        declared.with(&key, facts, |declared, facts, tenancy| {
            declare_account(declared, account, &key, facts, tenancy)
        });
    }
    let team = databricks
        .account
        .as_ref()
        .map(|account| account.group.name.as_str());
    if let Some(catalog) = &databricks.catalog {
        let key = defaults::connection(ConnectionKind::Databricks, &catalog.connection_ref, namespace);
        declared.with(&key, facts, |declared, facts, tenancy| {
            declare_catalog(declared, &catalog.grants, team, &key, facts, tenancy);
        });
    }
    for workspace in databricks.workspaces.iter().flatten() {
        let key = defaults::connection(ConnectionKind::Databricks, &workspace.connection_ref, namespace);
        declared.with(&key, facts, |declared, facts, tenancy| {
            declare_workspace(declared, workspace, team, &key, facts, tenancy);
        });
    }
    declared
}

impl Declared {
    fn with(
        &mut self,
        key: &ConnectionKey,
        facts: &dyn Fn(&ConnectionKey) -> Result<ConnectionFacts, Problem>,
        then: impl FnOnce(&mut Self, &ConnectionFacts, &Tenancy),
    ) {
        self.connections.insert(key.clone());
        match facts(key) {
            Err(problem) => self.problem(problem),
            Ok(ConnectionFacts { tenancy: None, .. }) => self.problem(Problem {
                label: key.to_string(),
                reason: Some(Reason::NotAllowed),
                message: format!(
                    "{key} has no tenant entry that lets this namespace use it for Access: add one to its spec.tenants"
                ),
            }),
            Ok(facts) => {
                if let Some(tenancy) = facts.tenancy.clone() {
                    then(self, &facts, &tenancy);
                }
            }
        }
    }

    fn problem(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Keeps a declaration that is within reach; the other is shown, and what is held there is left alone.
    fn admit(&mut self, named: &Named, verdict: Result<(), Refusal>) -> bool {
        let Err(Refusal { reason, message }) = verdict else {
            return true;
        };
        self.frozen.insert(named.clone());
        self.problem(Problem {
            label: named.label(),
            reason: Some(reason),
            message,
        });
        false
    }

    fn missing_system(&mut self, key: &ConnectionKey, what: &str, fix: &str) {
        self.problem(Problem {
            label: key.to_string(),
            reason: Some(Reason::DependencyNotReady),
            message: format!("{key} does not know its {what} yet: {fix}"),
        });
    }
}

fn declare_gerrit(
    declared: &mut Declared,
    gerrit: &GerritAccess,
    key: &ConnectionKey,
    facts: &ConnectionFacts,
    tenancy: &Tenancy,
) {
    let Some(server) = &facts.gerrit else {
        return declared.missing_system(key, "server", "see its Ready condition");
    };
    let group = &gerrit.group;
    let named = Named::Group {
        system: System::Gerrit(server.clone()),
        name: group.name.clone(),
    };
    let owner_allowed = group.owner.as_ref().map_or(Ok(()), |owner| tenancy.group(owner));
    if declared.admit(&named, tenancy.group(&group.name).and(owner_allowed)) {
        declared.groups.push(DeclaredGroup {
            connection: key.clone(),
            named,
            properties: GroupProperties {
                name: group.name.clone(),
                description: group.description.clone(),
                owner: None,
                visible_to_all: group.visible_to_all,
            },
            owner: group.owner.clone(),
            membership: defaults::membership(group.membership),
        });
    }
    for access in gerrit.access.iter().flatten() {
        let on = Named::Plain(Target::GerritRef {
            server: server.clone(),
            project: access.project.clone(),
            ref_name: access.ref_.clone(),
        });
        let Some(privilege) = rule(access) else {
            declared.problem(Problem {
                label: on.label(),
                reason: Some(Reason::InvalidSpec),
                message: "an access row has exactly one of `permission` and `label`".into(),
            });
            continue;
        };
        if declared.admit(&on, tenancy.ref_right(&access.project, &access.ref_, &privilege)) {
            declared.rights.push(DeclaredRight {
                connection: key.clone(),
                on,
                group: group.name.clone(),
                privileges: vec![privilege],
                foreign: defaults::foreign(access.foreign),
            });
        }
    }
}

fn rule(access: &RefAccess) -> Option<Privilege> {
    let RefAccess {
        project: _,
        ref_: _,
        permission,
        label,
        action,
        force,
        foreign: _,
    } = access;
    let (permission, range) = match (permission, label) {
        (Some(permission), None) => (permission.clone(), None),
        (None, Some(label)) => (format!("label-{}", label.name), Some((label.min, label.max))),
        _ => return None,
    };
    Some(Privilege::Rule {
        permission,
        action: defaults::action(*action),
        force: force.unwrap_or(false),
        range,
    })
}

fn declare_account(
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
    if declared.admit(&named, tenancy.group(&group.name)) {
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

fn declare_catalog(
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

fn declare_workspace(
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
        } else if declared.admit(&on, tenancy.object(kind, text, &object.level)) {
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
