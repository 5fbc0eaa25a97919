//! A policy as both controllers read it: what it declares of an environment, how far its namespace may go, and what its
//! status remembers.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::connection::Use;
use lockstep_core::api::databricks_connection::DatabricksTenant;
use lockstep_core::api::objects::ObjectName;
use lockstep_core::api::promotion_policy::{
    CountedStatus, CurrentStatus, EnvironmentStatus, HoldStatus, ReachedStatus,
};
use lockstep_core::api::windows::WindowText;
use lockstep_core::domain::access::reach::{Refusal, Tenancy, selects};
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::{Cluster, ConnectionKey};
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::gate::in_force::InForce;
use lockstep_core::domain::promotion::gate::range::{Acceptance, BaselineKey};
use lockstep_core::domain::promotion::gate::rules::{Floor, Rules};
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::queue::{self, Counted, Hold, Place, Reached};
use lockstep_core::domain::promotion::policy::{self, Aim, Environment, Policy};
use lockstep_core::domain::promotion::ports::objects::Objects;
use lockstep_core::domain::promotion::ports::reviews::Watched;
use lockstep_core::domain::windows::Windows;
use serde_json::{Map, Value};

use super::unreviewed;

/// Seconds between two looks at Gerrit.
const POLL: i64 = 5;

/// One environment as its policy declares it.
#[derive(Clone, Debug)]
pub struct Declared {
    pub gerrit: ConnectionKey,
    pub on: Watched,
    pub environment: Environment,
    /// `None`: the connection's entry lets nobody promote.
    pub floor: Option<Floor>,
}

/// What keeps a policy, or one of its environments, from being followed.
pub type Problem = (Reason, String);

/// Reads the whole policy.
pub fn whole(policy: &PromotionPolicy) -> Result<Policy, Problem> {
    let namespace = policy.namespace().unwrap_or_default();
    policy::read(&policy.spec, &namespace).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        (Reason::InvalidSpec, all.join("; "))
    })
}

/// One environment with the gate in force as its status has it: what an edit makes weaker does not count yet.
pub fn declared(
    object: &PromotionPolicy,
    environment: &str,
    cluster: &dyn Cluster,
) -> Result<Declared, Problem> {
    let written = written(object, environment, cluster)?;
    held_to(&written, gates(object).get(environment), cluster)
}

/// What is declared, with what the gate in force says instead.
pub fn held_to(
    written: &Declared,
    gate: Option<&Result<InForce, String>>,
    cluster: &dyn Cluster,
) -> Result<Declared, Problem> {
    let mut declared = written.clone();
    let gate = match gate {
        None => return Ok(declared),
        Some(Ok(gate)) => gate,
        Some(Err(why)) => {
            let message = format!(
                "its gate in status.gate cannot be read ({why}): nothing is judged until a version that understands it runs"
            );
            return Err((Reason::InvalidSpec, message));
        }
    };
    if let Some(place) = place(written, cluster)
        && place != gate.place
    {
        let message = format!(
            "its gate and history are those of {}, and it now means {place}: set it back, or give the environment \
             another name",
            gate.place
        );
        return Err((Reason::InvalidSpec, message));
    }
    let all = |texts: &Option<Vec<WindowText>>| texts.clone().unwrap_or_default();
    let windows = Windows::parse(&all(&gate.windows.allow), &all(&gate.windows.deny));
    declared.environment.windows = windows.map_err(|why| (Reason::InvalidSpec, why.to_string()))?;
    declared.environment.on_unexplained = gate.on_unexplained;
    declared.environment.requires.clone_from(&gate.rules.requires);
    Ok(declared)
}

/// The branch, and where it leads to, by the systems' own names; `None`: a connection has not said them yet.
pub fn place(declared: &Declared, cluster: &dyn Cluster) -> Option<BaselineKey> {
    let (gerrit, databricks) = (&declared.gerrit, &declared.environment.recipe.databricks);
    let server = cluster.gerrit_connection(&gerrit.namespace, &gerrit.name)?;
    let workspace = cluster.databricks_connection(&databricks.namespace, &databricks.name)?;
    Some(BaselineKey {
        server: server.status.as_ref()?.server.clone()?,
        project: declared.on.project.clone(),
        branch: declared.on.branch.clone(),
        workspace: workspace.status.as_ref()?.workspace_id.clone()?,
    })
}

/// Reads one environment as it is written, and holds it against what the connections' owners allow.
pub fn written(
    object: &PromotionPolicy,
    environment: &str,
    cluster: &dyn Cluster,
) -> Result<Declared, Problem> {
    let policy = whole(object)?;
    let found = policy.environment(environment).cloned().ok_or_else(|| {
        let message = format!("spec.environments has no {environment} any more");
        (Reason::NotFound, message)
    })?;
    let namespace = object.namespace().unwrap_or_default();
    let floor = admitted(&policy, &found, &namespace, cluster)?;
    Ok(Declared {
        on: Watched {
            project: policy.project.clone(),
            branch: found.branch.clone(),
        },
        gerrit: policy.gerrit,
        environment: found,
        floor,
    })
}

/// Whether the namespace may promote this environment through its connections; the floor of the entry that lets it.
pub fn admitted(
    policy: &Policy,
    environment: &Environment,
    namespace: &str,
    cluster: &dyn Cluster,
) -> Result<Option<Floor>, Problem> {
    let labels = cluster.namespace_labels(namespace);
    let not_allowed = |key: &ConnectionKey| {
        let message =
            format!("{key} has no tenant entry with use Promotion for namespace {namespace}: ask its owner");
        (Reason::NotAllowed, message)
    };
    let refused = |refusal: Refusal| (refusal.reason, refusal.message);
    let gone = |key: &ConnectionKey| (Reason::DependencyNotReady, format!("{key} does not exist"));
    let key = &policy.gerrit;
    let gerrit = cluster
        .gerrit_connection(&key.namespace, &key.name)
        .ok_or_else(|| gone(key))?;
    let tenancy = Tenancy::gerrit(
        gerrit.spec.tenants.as_ref(),
        namespace,
        labels.as_ref(),
        Use::Promotion,
    )
    .ok_or_else(|| not_allowed(key))?;
    tenancy
        .branch(&policy.project, &environment.branch)
        .map_err(refused)?;

    let key = &environment.recipe.databricks;
    let databricks = cluster
        .databricks_connection(&key.namespace, &key.name)
        .ok_or_else(|| gone(key))?;
    let tenants = databricks.spec.tenants.as_ref();
    let tenancy = Tenancy::databricks(tenants, namespace, labels.as_ref(), Use::Promotion)
        .ok_or_else(|| not_allowed(key))?;
    let recipe = &environment.recipe;
    tenancy
        .service_principal(&recipe.run_as, "roles/servicePrincipal.user")
        .map_err(refused)?;
    for aim in recipe.aims() {
        match aim {
            Aim::Directory(path) => tenancy.object("directories", &ObjectName::Name(path), "CAN_READ"),
            Aim::Job(name) => tenancy.object("jobs", &ObjectName::Name(name), "CAN_VIEW"),
            Aim::Alias { model, .. } => tenancy.securable("function", &model, "EXECUTE"),
            Aim::Endpoint(name) => tenancy.object("serving-endpoints", &ObjectName::Name(name), "CAN_QUERY"),
        }
        .map_err(refused)?;
    }
    let entries = tenants.into_iter().flatten();
    let entries = entries.filter(|tenant| selects(&tenant.namespaces, namespace, labels.as_ref()));
    Ok(floor(entries.filter(|tenant| {
        tenant
            .uses
            .iter()
            .flatten()
            .any(|allowed| *allowed == Use::Promotion)
    })))
}

/// The floor of the entries that let a namespace promote: the strictest of each, as two entries must not be weaker
/// than one.
fn floor<'a>(entries: impl Iterator<Item = &'a DatabricksTenant>) -> Option<Floor> {
    entries
        .filter_map(|tenant| tenant.promotion.as_ref())
        .map(Floor::declared)
        .reduce(|one, other| Floor {
            projects: one
                .projects
                .iter()
                .filter(|project| other.projects.contains(project))
                .cloned()
                .collect(),
            min_approvals: one.min_approvals.max(other.min_approvals),
            approver_groups: one
                .approver_groups
                .intersection(&other.approver_groups)
                .cloned()
                .collect(),
            require_verification: one.require_verification || other.require_verification,
        })
}

/// Whether a policy depends on a connection: it names it, and its owner lets it promote through it, or something that it
/// wrote goes back through it. Anybody may name any connection, and that alone must neither pin it nor count for anything.
pub fn depends_on(cluster: &dyn Cluster, object: &PromotionPolicy, connection: &ConnectionKey) -> bool {
    let namespace = object.namespace().unwrap_or_default();
    let Ok(policy) = whole(object) else { return false };
    let status = object.status.as_ref();
    let wrote = status.is_some_and(|status| {
        let all = [&status.requirements, &status.labels];
        all.into_iter().flatten().any(|rows| !rows.is_empty())
    });
    if wrote && policy.gerrit == *connection {
        return true;
    }
    policy.environments.iter().any(|environment| {
        [&policy.gerrit, &environment.recipe.databricks].contains(&connection)
            && admitted(&policy, environment, &namespace, cluster).is_ok()
    })
}

/// Branches that all policies behind one connection watch together.
pub fn watched(
    objects: &dyn Objects,
    cluster: &dyn Cluster,
    connection: &ConnectionKey,
) -> BTreeSet<Watched> {
    let mut watched = BTreeSet::new();
    for policy in objects.policies() {
        let going = policy.metadata.deletion_timestamp.is_some();
        if going || defaults::policy_suspended(&policy.spec) {
            continue;
        }
        let namespace = policy.namespace().unwrap_or_default();
        let Ok(read) = whole(&policy) else { continue };
        if read.gerrit != *connection {
            continue;
        }
        for environment in &read.environments {
            // Anybody may name any connection and any project: that alone makes nobody read it.
            if admitted(&read, environment, &namespace, cluster).is_ok() {
                watched.insert(Watched {
                    project: read.project.clone(),
                    branch: environment.branch.clone(),
                });
            }
        }
    }
    watched
}

/// How often a connection's branches are looked at.
pub fn poll(cluster: &dyn Cluster, connection: &ConnectionKey) -> SignedDuration {
    let connection = cluster.gerrit_connection(&connection.namespace, &connection.name);
    let poll = connection.and_then(|connection| {
        let poll = connection.spec.events.as_ref()?.poll.as_ref()?;
        i64::try_from(poll.seconds().ok()?).ok().filter(|poll| *poll > 0)
    });
    SignedDuration::from_secs(poll.unwrap_or(POLL))
}

/// How old a reading of branches may be: of those who look at the same pace the first one reads for all.
pub fn fresh(cluster: &dyn Cluster, connection: &ConnectionKey, now: Timestamp) -> Timestamp {
    let poll = poll(cluster, connection);
    now.checked_sub(poll - poll / 10).unwrap_or(now)
}

/// What a policy's status remembers of one environment.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    pub environment: queue::Environment,
    /// The commit that runs.
    pub current: Option<CommitId>,
    pub baseline: Option<CommitId>,
    /// The gate in force; an error: this version does not understand it.
    pub gate: Option<Result<InForce, String>>,
    /// Since when it matters by whose hand somebody came into a group.
    pub gate_since: Option<Timestamp>,
    /// Commits that people accepted.
    pub accepted: BTreeMap<CommitId, Acceptance>,
}

/// The row of an environment.
pub fn row<'a>(policy: &'a PromotionPolicy, environment: &str) -> Option<&'a EnvironmentStatus> {
    let rows = policy.status.as_ref()?.environments.as_ref()?;
    rows.iter().find(|row| row.name == environment)
}

/// Reads it.
pub fn remembered(policy: &PromotionPolicy, environment: &str) -> Remembered {
    let gate = gates(policy).remove(environment);
    let gate_since = policy
        .status
        .as_ref()
        .and_then(|status| status.gate.as_ref()?.since);
    let Some(row) = row(policy, environment) else {
        return Remembered {
            gate,
            gate_since,
            ..Remembered::default()
        };
    };
    let name = |text: &String| PromotionName(text.clone());
    Remembered {
        environment: queue::Environment {
            acting: row.acting.as_ref().map(name),
            held: row.held.as_ref().map(|held| Hold {
                promotion: held.promotion.as_ref().map(name),
                reason: held.reason.clone(),
            }),
            reached: row.reached.as_ref().map(|reached| Reached {
                place: Place {
                    position: u64::try_from(reached.position).unwrap_or_default(),
                    attempt: u32::try_from(reached.attempt).unwrap_or_default(),
                },
                promotion: name(&reached.promotion),
            }),
            current: row.current.as_ref().map(|current| name(&current.promotion)),
            counted: row.counted.as_ref().map(|counted| Counted {
                from: CommitId(counted.from.clone()),
                position: u64::try_from(counted.position).unwrap_or_default(),
            }),
        },
        current: row
            .current
            .as_ref()
            .map(|current| CommitId(current.revision.clone())),
        baseline: row.baseline.clone().map(CommitId),
        gate,
        gate_since,
        accepted: unreviewed::read(&row.accepted),
    }
}

impl Remembered {
    /// What the gate in force asks.
    pub fn rules(&self) -> Option<&Rules> {
        let gate = self.gate.as_ref()?.as_ref().ok()?;
        Some(&gate.rules)
    }
}

/// The gates in force as the status has them, by environment; whatever cannot be read must not look like none.
pub fn gates(policy: &PromotionPolicy) -> BTreeMap<String, Result<InForce, String>> {
    let read = |value: Value| serde_json::from_value(value).map_err(|error| error.to_string());
    raw_gates(policy)
        .into_iter()
        .map(|(environment, value)| (environment, read(value)))
        .collect()
}

/// The same, unread.
pub fn raw_gates(policy: &PromotionPolicy) -> Map<String, Value> {
    let gate = policy.status.as_ref().and_then(|status| status.gate.as_ref());
    match gate.and_then(|gate| gate.rules.clone()) {
        Some(Value::Object(gates)) => gates,
        _ => Map::new(),
    }
}

/// Puts what the queue remembers into a row.
pub fn write(row: &mut EnvironmentStatus, next: &queue::Environment, since: Timestamp) {
    row.acting = next.acting.as_ref().map(ToString::to_string);
    let held = |hold: &Hold| {
        let before = row.held.as_ref().filter(|held| held.reason == hold.reason);
        HoldStatus {
            promotion: hold.promotion.as_ref().map(ToString::to_string),
            reason: hold.reason.clone(),
            since: before.and_then(|held| held.since).or(Some(since)),
        }
    };
    row.held = next.held.as_ref().map(held);
    row.reached = next.reached.as_ref().map(|reached| ReachedStatus {
        position: i64::try_from(reached.place.position).unwrap_or(i64::MAX),
        attempt: i64::from(reached.place.attempt),
        promotion: reached.promotion.to_string(),
    });
    row.counted = next.counted.as_ref().map(|counted| CountedStatus {
        from: counted.from.0.clone(),
        position: i64::try_from(counted.position).unwrap_or(i64::MAX),
    });
}

/// The row of what runs.
pub fn current(promotion: &PromotionName, change: u64, revision: &CommitId) -> CurrentStatus {
    CurrentStatus {
        change: i64::try_from(change).unwrap_or(i64::MAX),
        revision: revision.0.clone(),
        promotion: promotion.to_string(),
    }
}
