//! What one binding declares, by name; nothing is resolved and nobody is asked yet.

use std::collections::BTreeSet;

use super::declare_databricks::{declare_account, declare_catalog, declare_workspace};
use super::grant::{Privilege, System, Target};
use super::observed::{GroupProperties, Named};
use super::reach::{Refusal, Tenancy};
use crate::api::access_binding::{AccessBindingSpec, Foreign, GerritAccess, Membership, RefAccess};
use crate::api::condition::Reason;
use crate::domain::defaults;
use crate::domain::plan::Problem;
use crate::domain::ports::{ConnectionKey, ConnectionKind};

pub use super::claim_words::{claim_words, words_to_meet};

/// What a connection says of itself, and how far this binding's namespace may use it.
#[derive(Clone, Debug, Default)]
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
    /// Kinds of connection of which one cannot be used now, so that what is declared through it is not known.
    pub blind: BTreeSet<ConnectionKind>,
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
        declared.keep_to_one_way();
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
    declared.keep_to_one_way();
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
            Err(problem) => {
                self.blind.insert(key.kind);
                self.problem(problem);
            }
            Ok(ConnectionFacts { tenancy: None, .. }) => {
                self.blind.insert(key.kind);
                self.problem(Problem {
                    label: key.to_string(),
                    reason: Some(Reason::NotAllowed),
                    message: format!(
                        "{key} has no tenant entry that lets this namespace use it for Access: add one to its spec.tenants"
                    ),
                });
            }
            Ok(facts) => {
                if let Some(tenancy) = facts.tenancy.clone() {
                    then(self, &facts, &tenancy);
                }
            }
        }
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Keeps a declaration that is within reach; the other is shown, and what is held there is left alone.
    pub(super) fn admit(&mut self, named: &Named, verdict: Result<(), Refusal>) -> bool {
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

    pub(super) fn missing_system(&mut self, key: &ConnectionKey, what: &str, fix: &str) {
        self.blind.insert(key.kind);
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
    if declared.admit(&named, tenancy.target_group(&group.name).and(owner_allowed)) {
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
