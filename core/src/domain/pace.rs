//! How often everything behind a connection can be looked at within what its system may be asked. What no listing
//! carries is read one by one; if that does not fit into the intervals, they all stretch by the same factor.

use std::collections::BTreeMap;

use super::defaults;
use super::ports::{ConnectionKey, ConnectionKind};
use crate::api::AccessBinding;
use crate::api::access_binding::DatabricksAccess;
use crate::api::connection::Pace;
use crate::api::objects::{ObjectAccess, SecurableGrant};
use crate::api::reference::ConnectionRef;

/// One read in millionths, so that a share of a request for many counts too.
const READ: u64 = 1_000_000;
/// Rights of fifty projects come in one request.
const RIGHTS: u64 = READ / 50;
/// Percent are rounded up to tens: one binding more seldom makes another status.
const STEP: u64 = 10;

/// What reads count against; each has a budget of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// All of Gerrit.
    Gerrit,
    /// Account groups, whose listing may leave their members out.
    AccountGroups,
    /// Roles on service principals.
    Roles,
    /// Grants of Unity Catalog.
    Grants,
    /// Permissions of objects.
    Objects,
}

/// Requests a minute that a connection may be asked. A lane that is not named has no limit of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    pub lanes: BTreeMap<Lane, u64>,
    /// Over all lanes together.
    pub all: Option<u64>,
}

/// What checking everything takes that is declared behind one connection.
#[derive(Clone, Debug, Default)]
pub struct Demand(BTreeMap<(Lane, String), Wanted>);

#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// In millionths of a read.
    cost: u64,
    /// Shortest of those who want it: whoever is due later shares the reading.
    interval: u64,
}

impl Demand {
    /// Counts in what a binding declares behind this connection.
    pub fn add(&mut self, binding: &AccessBinding, connection: &ConnectionKey) {
        let spec = &binding.spec;
        if defaults::suspended(spec) {
            return;
        }
        let namespace = binding.metadata.namespace.as_deref().unwrap_or_default();
        let interval = defaults::interval(spec.interval.as_ref());
        let here = |reference: &ConnectionRef| {
            defaults::connection(connection.kind, reference, namespace) == *connection
        };
        match connection.kind {
            ConnectionKind::Gerrit => {
                let all = spec.gerrit.iter().flatten();
                for row in all
                    .filter(|access| here(&access.connection_ref))
                    .flat_map(|access| access.access.iter().flatten())
                {
                    self.want(
                        Lane::Gerrit,
                        format!("rights of {}", row.project),
                        RIGHTS,
                        interval,
                    );
                    if row.label.is_some() {
                        self.want(Lane::Gerrit, format!("labels of {}", row.project), READ, interval);
                    }
                }
            }
            ConnectionKind::Databricks => {
                if let Some(databricks) = &spec.databricks {
                    self.add_databricks(databricks, &here, interval);
                }
            }
        }
    }

    fn add_databricks(
        &mut self,
        databricks: &DatabricksAccess,
        here: &dyn Fn(&ConnectionRef) -> bool,
        interval: u64,
    ) {
        let DatabricksAccess {
            account,
            catalog,
            workspaces,
        } = databricks;
        for account in account.iter().filter(|account| here(&account.connection_ref)) {
            let group = account.group.name.to_lowercase();
            self.want(Lane::AccountGroups, group, READ, interval);
            for role in account.service_principal_roles.iter().flatten() {
                self.want(Lane::Roles, role.application_id.to_lowercase(), READ, interval);
            }
        }
        for catalog in catalog.iter().filter(|catalog| here(&catalog.connection_ref)) {
            let securables = catalog.grants.iter().filter_map(SecurableGrant::securable);
            for (kind, name) in securables {
                let name = format!("{kind} {}", name.to_lowercase());
                self.want(Lane::Grants, name, READ, interval);
            }
        }
        let workspaces = workspaces.iter().flatten();
        let objects = workspaces
            .filter(|workspace| here(&workspace.connection_ref))
            .flat_map(|workspace| workspace.objects.iter().flatten())
            .filter_map(ObjectAccess::object);
        for (kind, name) in objects {
            self.want(Lane::Objects, format!("{kind} {name:?}"), READ, interval);
        }
    }

    fn want(&mut self, lane: Lane, what: String, cost: u64, interval: u64) {
        let wanted = self.0.entry((lane, what)).or_insert(Wanted { cost, interval });
        wanted.interval = wanted.interval.min(interval);
    }

    /// By how much intervals stretch, told for the budget that is the tightest; `None`: everything fits.
    pub fn pace(&self, allowance: &Allowance) -> Option<Pace> {
        let Allowance { lanes, all } = allowance;
        let lanes = lanes.iter().map(|(lane, budget)| (Some(*lane), *budget));
        let budgets = lanes.chain(all.map(|budget| (None, budget)));
        let paces = budgets.filter_map(|(lane, budget)| {
            let counted = |(known, _): &(&(Lane, String), &Wanted)| lane.is_none_or(|lane| known.0 == lane);
            let (mut cost, mut a_minute) = (0, 0);
            for (_, wanted) in self.0.iter().filter(counted) {
                cost += wanted.cost;
                a_minute += wanted.cost * 60 / wanted.interval.max(1);
            }
            let percent = percent(a_minute, budget)?;
            Some((percent, cost.div_ceil(READ), budget))
        });
        let (interval_percent, reads_per_check, budget_per_minute) = paces.max()?;
        let number = |value| i64::try_from(value).unwrap_or(i64::MAX);
        Some(Pace {
            reads_per_check: number(reads_per_check),
            budget_per_minute: number(budget_per_minute),
            interval_percent: number(interval_percent),
        })
    }
}

/// Intervals in percent of what is asked for, so that this many millionths of a read a minute become `budget` reads
/// a minute; `None`: they fit as they are.
fn percent(a_minute: u64, budget: u64) -> Option<u64> {
    let percent = a_minute
        .saturating_mul(100)
        .div_ceil(budget.max(1).saturating_mul(READ));
    (percent > 100).then(|| percent.next_multiple_of(STEP))
}

/// An interval in seconds, stretched as far as the most stretched of these connections.
pub fn stretched<'a>(interval: u64, paces: impl IntoIterator<Item = &'a Pace>) -> u64 {
    let percents = paces
        .into_iter()
        .filter_map(|pace| u64::try_from(pace.interval_percent).ok());
    let percent = percents.max().unwrap_or(100).max(100);
    interval.saturating_mul(percent).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(kind: ConnectionKind) -> ConnectionKey {
        ConnectionKey {
            kind,
            namespace: "ml".into(),
            name: "c".into(),
        }
    }

    fn demand(kind: ConnectionKind, specs: impl IntoIterator<Item = Value>) -> Demand {
        let mut demand = Demand::default();
        for spec in specs {
            let binding = json!({
                "apiVersion": "lockstep.dev/v1alpha1", "kind": "AccessBinding",
                "metadata": {"name": "x", "namespace": "ml"}, "spec": spec,
            });
            demand.add(&serde_json::from_value(binding).unwrap(), &key(kind));
        }
        demand
    }

    fn jobs(first: usize, count: usize, interval: &str) -> Value {
        let objects: Vec<Value> = (first..first + count)
            .map(|at| json!({"job": {"name": format!("j{at}")}, "level": "CAN_VIEW"}))
            .collect();
        let workspace = json!({"connectionRef": {"name": "c"}, "objects": objects});
        json!({"interval": interval, "databricks": {"workspaces": [workspace]}})
    }

    fn allowance(lane: Lane, budget: u64) -> Allowance {
        Allowance {
            lanes: [(lane, budget)].into(),
            all: None,
        }
    }

    #[test]
    fn what_fits_into_the_interval_is_not_stretched() {
        let demand = demand(ConnectionKind::Databricks, [jobs(0, 600, "10m")]);
        assert_eq!(demand.pace(&allowance(Lane::Objects, 60)), None, "exactly full");
        assert_eq!(demand.pace(&Allowance::default()), None, "limits are lifted");
        assert_eq!(demand.pace(&allowance(Lane::Grants, 1)), None, "another budget");
    }

    #[test]
    fn what_does_not_fit_stretches_every_interval_by_the_same_factor() {
        // 600 in ten minutes and 100 in one are 160 a minute.
        let specs = [jobs(0, 600, "10m"), jobs(600, 100, "1m")];
        let demand = demand(ConnectionKind::Databricks, specs);
        let pace = demand.pace(&allowance(Lane::Objects, 60)).unwrap();
        assert_eq!(
            pace,
            Pace {
                reads_per_check: 700,
                budget_per_minute: 60,
                interval_percent: 270
            }
        );
        assert_eq!(stretched(600, [&pace]), 1_620);
        assert_eq!(stretched(60, [&pace]), 162);
        assert_eq!(stretched(600, []), 600);
    }

    #[test]
    fn who_shares_a_thing_shares_its_reading() {
        let specs = [jobs(0, 100, "10m"), jobs(0, 100, "5m")];
        let pace = demand(ConnectionKind::Databricks, specs).pace(&allowance(Lane::Objects, 10));
        let pace = pace.unwrap();
        assert_eq!((pace.reads_per_check, pace.interval_percent), (100, 200));
    }

    #[test]
    fn a_cap_over_everything_counts_everything() {
        let group = json!({"connectionRef": {"name": "c"}, "group": {"name": "G"},
            "servicePrincipalRoles": [{"applicationId": "A", "role": "r"}]});
        let catalog = json!({"connectionRef": {"name": "c"}, "grants": [{"catalog": "m", "privileges": []}]});
        let mut spec = jobs(0, 17, "1m");
        spec["databricks"]["account"] = group;
        spec["databricks"]["catalog"] = catalog;
        let elsewhere = json!({"connectionRef": {"name": "other"}, "objects": [{"job": {"name": "j"}, "level": "CAN_VIEW"}]});
        spec["databricks"]["workspaces"]
            .as_array_mut()
            .unwrap()
            .push(elsewhere);
        let mut suspended = jobs(100, 50, "1m");
        suspended["suspend"] = json!(true);
        let demand = demand(ConnectionKind::Databricks, [spec, suspended]);
        let cap = Allowance {
            lanes: [(Lane::Objects, 17)].into(),
            all: Some(10),
        };
        let pace = demand.pace(&cap).unwrap();
        assert_eq!((pace.reads_per_check, pace.interval_percent), (20, 200));
    }

    #[test]
    fn rights_of_many_projects_are_one_read_and_labels_one_each() {
        let row = |at: usize, label: bool| {
            let mut row = json!({"project": format!("p{at}"), "ref": "refs/heads/*"});
            if label {
                row["label"] = json!({"name": "Code-Review", "min": -1, "max": 1});
            } else {
                row["permission"] = json!("read");
            }
            row
        };
        let spec = |label: bool| {
            let rows: Vec<Value> = (0..50).map(|at| row(at, label)).collect();
            let access = json!({"connectionRef": {"name": "c"}, "group": {"name": "g"}, "access": rows});
            json!({"interval": "1m", "gerrit": [access]})
        };
        let reads = |label| {
            let pace = demand(ConnectionKind::Gerrit, [spec(label)]).pace(&allowance(Lane::Gerrit, 1));
            pace.map(|pace| (pace.reads_per_check, pace.interval_percent))
        };
        assert_eq!(reads(false), None);
        assert_eq!(reads(true), Some((51, 5_100)));
    }
}
