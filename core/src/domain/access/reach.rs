//! Who may use a connection how far. Without an entry nobody may; what `reach` does not name is out of reach.

use std::collections::BTreeMap;

use super::administrative::{misspelt, rules_by_membership, rules_over_refs};
use super::catalog::{is_administrative, object_type};
use super::grant::Privilege;
use super::patterns::{any, refs};
use crate::api::condition::Reason;
use crate::api::connection::{NamespaceSelector, Use};
use crate::api::databricks_connection::{DatabricksReach, DatabricksTenant};
use crate::api::gerrit_connection::{GerritReach, GerritTenant};
use crate::api::objects::ObjectName;

/// Why something may not be touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub message: String,
}

/// What a namespace may do through one connection: the entries that select it and allow the use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenancy {
    gerrit: Vec<(GerritReach, bool)>,
    databricks: Vec<(DatabricksReach, bool)>,
}

/// Whether an entry speaks of this namespace.
pub fn selects(
    selector: &NamespaceSelector,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> bool {
    let NamespaceSelector { names, match_labels } = selector;
    if names.is_none() && match_labels.is_none() {
        return false;
    }
    let named = names
        .as_ref()
        .is_none_or(|names| names.iter().any(|name| name == namespace));
    let labelled = match_labels.as_ref().is_none_or(|wanted| {
        wanted
            .iter()
            .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
    });
    named && labelled
}

/// What tenant entries of both kinds of connection have in common.
struct Entry<'a, R> {
    namespaces: &'a NamespaceSelector,
    uses: Option<&'a Vec<Use>>,
    reach: Option<&'a R>,
    administrative: Option<bool>,
}

/// How far the entries lead that select the namespace and allow the use, and whether over others' rights as well.
fn granted<'a, R: Clone + Default + 'a>(
    entries: impl Iterator<Item = Entry<'a, R>>,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
    wanted: Use,
) -> Vec<(R, bool)> {
    entries
        .filter(|entry| selects(entry.namespaces, namespace, labels))
        .filter(|entry| entry.uses.is_some_and(|uses| uses.contains(&wanted)))
        .map(|entry| {
            (
                entry.reach.cloned().unwrap_or_default(),
                entry.administrative.unwrap_or(false),
            )
        })
        .collect()
}

impl Tenancy {
    /// The entries of a Gerrit connection that let this namespace use it.
    pub fn gerrit(
        tenants: Option<&Vec<GerritTenant>>,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
        wanted: Use,
    ) -> Option<Self> {
        let entries = tenants.into_iter().flatten().map(|tenant| Entry {
            namespaces: &tenant.namespaces,
            uses: tenant.uses.as_ref(),
            reach: tenant.reach.as_ref(),
            administrative: tenant.administrative,
        });
        let gerrit = granted(entries, namespace, labels, wanted);
        (!gerrit.is_empty()).then_some(Self {
            gerrit,
            databricks: Vec::new(),
        })
    }

    /// The entries of a Databricks connection that let this namespace use it.
    pub fn databricks(
        tenants: Option<&Vec<DatabricksTenant>>,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
        wanted: Use,
    ) -> Option<Self> {
        let entries = tenants.into_iter().flatten().map(|tenant| Entry {
            namespaces: &tenant.namespaces,
            uses: tenant.uses.as_ref(),
            reach: tenant.reach.as_ref(),
            administrative: tenant.administrative,
        });
        let databricks = granted(entries, namespace, labels, wanted);
        (!databricks.is_empty()).then_some(Self {
            gerrit: Vec::new(),
            databricks,
        })
    }

    fn decide(
        &self,
        what: &str,
        key: &str,
        needs_administrative: bool,
        within: impl Fn(&Reach<'_>) -> bool,
    ) -> Result<(), Refusal> {
        let gerrit = self
            .gerrit
            .iter()
            .map(|(reach, administrative)| (Reach::Gerrit(reach), *administrative));
        let databricks = self
            .databricks
            .iter()
            .map(|(reach, administrative)| (Reach::Databricks(reach), *administrative));
        let mut reached = false;
        for (reach, administrative) in gerrit.chain(databricks) {
            if within(&reach) {
                reached = true;
                if administrative || !needs_administrative {
                    return Ok(());
                }
            }
        }
        Err(if reached {
            Refusal {
                reason: Reason::NeedsAdministrative,
                message: format!(
                    "{what} rules over others' rights: the connection's tenant entry needs `administrative: true`"
                ),
            }
        } else {
            Refusal {
                reason: Reason::OutOfReach,
                message: format!("{what} is outside the connection's `reach.{key}` for this namespace"),
            }
        })
    }

    /// A group as member source or owner: who is in it is only read.
    pub fn group(&self, name: &str) -> Result<(), Refusal> {
        self.group_with(name, false)
    }

    /// A group whose members are declared. Who fills the group of administrators makes administrators.
    pub fn target_group(&self, name: &str) -> Result<(), Refusal> {
        self.group_with(name, rules_by_membership(name))
    }

    fn group_with(&self, name: &str, administrative: bool) -> Result<(), Refusal> {
        let what = format!("group {name:?}");
        self.decide(&what, "groups", administrative, |reach| match reach {
            Reach::Gerrit(reach) => any(reach.groups.as_ref(), name),
            Reach::Databricks(reach) => any(reach.groups.as_ref(), name),
        })
    }

    /// A right on a ref of a project.
    pub fn ref_right(&self, project: &str, ref_name: &str, privilege: &Privilege) -> Result<(), Refusal> {
        let what = format!("{privilege} on {ref_name} of project {project:?}");
        if let Some(message) = misspelt(privilege) {
            let reason = Reason::InvalidSpec;
            return Err(Refusal { reason, message });
        }
        self.decide(
            &what,
            "projects and reach.refs",
            rules_over_refs(ref_name, privilege),
            |reach| match reach {
                Reach::Gerrit(reach) => {
                    any(reach.projects.as_ref(), project) && refs(reach.refs.as_ref(), ref_name)
                }
                Reach::Databricks(_) => false,
            },
        )
    }

    /// An account for which tokens are made.
    pub fn account(&self, username: &str) -> Result<(), Refusal> {
        let what = format!("account {username:?}");
        self.decide(&what, "accounts", false, |reach| match reach {
            Reach::Gerrit(reach) => any(reach.accounts.as_ref(), username),
            Reach::Databricks(_) => false,
        })
    }

    /// A branch whose merged changes are promoted.
    pub fn branch(&self, project: &str, branch: &str) -> Result<(), Refusal> {
        let what = format!("branch {branch} of project {project:?}");
        let name = format!("refs/heads/{branch}");
        self.decide(&what, "projects and reach.refs", false, |reach| match reach {
            Reach::Gerrit(reach) => any(reach.projects.as_ref(), project) && refs(reach.refs.as_ref(), &name),
            Reach::Databricks(_) => false,
        })
    }

    /// Permission or entitlement in a workspace.
    pub fn workspace(&self, workspace: &str, privilege: &Privilege) -> Result<(), Refusal> {
        let administrative = matches!(privilege, Privilege::Permission(level) if is_administrative(level));
        self.decide(
            &format!("{privilege} in workspace {workspace}"),
            "workspace",
            administrative,
            |reach| match reach {
                Reach::Gerrit(_) => false,
                Reach::Databricks(reach) => any(reach.workspace.as_ref(), workspace),
            },
        )
    }

    /// A level on an object, by the name or id that was declared.
    pub fn object(&self, kind: &str, name: &ObjectName, level: &str) -> Result<(), Refusal> {
        let Some(row) = object_type(kind) else {
            return Err(Refusal {
                reason: Reason::InvalidSpec,
                message: format!("there is no object type {kind:?}"),
            });
        };
        let (ObjectName::Name(text) | ObjectName::Id(text)) = name;
        self.decide(
            &format!("{level} on {kind} {text:?}"),
            row.reach,
            is_administrative(level),
            |reach| match reach {
                Reach::Gerrit(_) => false,
                Reach::Databricks(reach) => {
                    let patterns = object_patterns(reach, row.reach);
                    match name {
                        ObjectName::Name(name) => any(patterns, name),
                        // Patterns speak of names: one that happens to match ids would reach what nobody meant.
                        ObjectName::Id(id) => patterns
                            .into_iter()
                            .flatten()
                            .any(|pattern| pattern == "*" || pattern == id),
                    }
                }
            },
        )
    }

    /// A privilege on a securable.
    pub fn securable(&self, kind: &str, name: &str, privilege: &str) -> Result<(), Refusal> {
        let in_catalog = matches!(
            kind,
            "catalog" | "schema" | "table" | "volume" | "function" | "staging_table"
        );
        let key = if in_catalog { "catalogs" } else { "securables" };
        self.decide(
            &format!("{privilege} on {kind} {name}"),
            key,
            is_administrative(privilege),
            |reach| match reach {
                Reach::Gerrit(_) => false,
                Reach::Databricks(reach) if in_catalog => {
                    // A pattern speaks of the catalog or of the full name below it.
                    let catalog = name.split('.').next().unwrap_or(name);
                    any(reach.catalogs.as_ref(), name) || any(reach.catalogs.as_ref(), catalog)
                }
                Reach::Databricks(reach) => any(reach.securables.as_ref(), &format!("{kind}/{name}")),
            },
        )
    }

    /// A role on a service principal, or the principal itself.
    pub fn service_principal(&self, application_id: &str, role: &str) -> Result<(), Refusal> {
        let what = format!("{role} on service principal {application_id}");
        self.decide(
            &what,
            "servicePrincipals",
            is_administrative(role),
            |reach| match reach {
                Reach::Gerrit(_) => false,
                Reach::Databricks(reach) => any(reach.service_principals.as_ref(), application_id),
            },
        )
    }
}

enum Reach<'a> {
    Gerrit(&'a GerritReach),
    Databricks(&'a DatabricksReach),
}

fn object_patterns<'a>(reach: &'a DatabricksReach, key: &str) -> Option<&'a Vec<String>> {
    match key {
        "clusters" => reach.clusters.as_ref(),
        "clusterPolicies" => reach.cluster_policies.as_ref(),
        "instancePools" => reach.instance_pools.as_ref(),
        "jobs" => reach.jobs.as_ref(),
        "pipelines" => reach.pipelines.as_ref(),
        "paths" => reach.paths.as_ref(),
        "experiments" => reach.experiments.as_ref(),
        "models" => reach.models.as_ref(),
        "servingEndpoints" => reach.serving_endpoints.as_ref(),
        "warehouses" => reach.warehouses.as_ref(),
        "dashboards" => reach.dashboards.as_ref(),
        "vectorSearchEndpoints" => reach.vector_search_endpoints.as_ref(),
        "apps" => reach.apps.as_ref(),
        "databaseInstances" => reach.database_instances.as_ref(),
        "genieSpaces" => reach.genie_spaces.as_ref(),
        "agents" => reach.agents.as_ref(),
        "tokens" => reach.tokens.as_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_entry_nobody_may() {
        assert_eq!(Tenancy::gerrit(None, "ns", None, Use::Access), None);
        let tenant = |selector, uses| GerritTenant {
            namespaces: selector,
            uses,
            reach: None,
            administrative: None,
        };
        let named = NamespaceSelector {
            names: Some(vec!["ns".into()]),
            match_labels: None,
        };
        let entries = vec![
            tenant(NamespaceSelector::default(), Some(vec![Use::Access])),
            tenant(named.clone(), None),
        ];
        assert_eq!(Tenancy::gerrit(Some(&entries), "ns", None, Use::Access), None);
        let entries = vec![tenant(named, Some(vec![Use::Access]))];
        let tenancy = Tenancy::gerrit(Some(&entries), "ns", None, Use::Access).expect("an entry");
        assert_eq!(
            tenancy.group("anything").expect_err("no reach").reason,
            Reason::OutOfReach
        );
    }

    fn tenancy(reach: GerritReach, administrative: bool) -> Tenancy {
        Tenancy {
            gerrit: vec![(reach, administrative)],
            databricks: Vec::new(),
        }
    }

    #[test]
    fn the_group_of_administrators_is_filled_by_administrative_entries_alone() {
        let reach = GerritReach {
            groups: Some(vec!["*".into()]),
            ..GerritReach::default()
        };
        let modest = tenancy(reach.clone(), false);
        for name in ["Administrators", "administrators", "admins", "Admins"] {
            let refused = modest.target_group(name).expect_err(name);
            assert_eq!(refused.reason, Reason::NeedsAdministrative, "{name}");
            // Who is in it may be read, and it may own what a team fills.
            assert_eq!(modest.group(name), Ok(()));
            assert_eq!(tenancy(reach.clone(), true).target_group(name), Ok(()));
        }
        assert_eq!(modest.target_group("ml-admins"), Ok(()));
    }

    #[test]
    fn a_permission_in_another_case_and_an_expression_beyond_the_reach_are_refused() {
        let one = |text: &str| Some(vec![text.to_owned()]);
        let reach = GerritReach {
            projects: one("*"),
            refs: one("refs/heads/*"),
            ..GerritReach::default()
        };
        let right = |ref_name: &str, privilege: &str| {
            let privilege = privilege.parse().expect("a privilege");
            let verdict = tenancy(reach.clone(), false).ref_right("p", ref_name, &privilege);
            verdict.map_err(|refusal| refusal.reason)
        };
        assert_eq!(right("refs/heads/x", "push"), Ok(()));
        assert_eq!(right("refs/heads/x", "Push"), Err(Reason::InvalidSpec));
        assert_eq!(right("refs/heads/x", "Owner"), Err(Reason::InvalidSpec));
        assert_eq!(right("refs/heads/x", "owner"), Err(Reason::NeedsAdministrative));
        assert_eq!(right("^refs/heads/(a|b)$", "push"), Ok(()));
        assert_eq!(
            right("^refs/heads/(a)|refs/tags/.*", "push"),
            Err(Reason::OutOfReach)
        );
    }
}
