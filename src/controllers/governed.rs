//! Whom AccessBindings declare: who is in the groups whose votes count, and who can run things as an identity.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{AccessBinding, PromotionPolicy};
use lockstep_core::domain::access::grant::{Right, Target};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::access::weakening::Governed;
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::{Cluster, ConnectionKey};
use lockstep_core::domain::promotion::gate::evidence::Governance;
use lockstep_core::domain::promotion::proof::provenance::Usability;

use super::Context;
use super::promotion_policy::reading;

/// What Gerrit calls the root of all projects, unless its administrator chose another name.
const ROOT: &str = "All-Projects";

/// The binding that holds a group's members; an authoritative one before any other.
pub fn by(group: &Target, cluster: &dyn Cluster) -> Option<Governance> {
    let address = group.to_string();
    let holds = |binding: &AccessBinding| {
        let inventory = binding
            .status
            .as_ref()
            .and_then(|status| status.inventory.as_ref());
        inventory.is_some_and(|rows| rows.iter().any(|row| row.target == address))
    };
    let held = cluster.bindings().into_iter().filter(|binding| holds(binding));
    held.map(|binding| governance(group, &binding))
        .max_by_key(|governance| (governance.authoritative, governance.enforcing))
}

fn governance(group: &Target, binding: &AccessBinding) -> Governance {
    let status = binding.status.as_ref();
    let rows = status
        .and_then(|status| status.inventory.as_deref())
        .unwrap_or_default();
    let ready = status.is_some_and(|status| {
        let ready = status
            .conditions
            .iter()
            .find(|said| ConditionType::Ready.is(&said.type_));
        ready.is_some_and(|said| said.status == "True")
    });
    Governance {
        binding: format!(
            "{}/{}",
            binding.namespace().unwrap_or_default(),
            binding.name_any()
        ),
        authoritative: Inventory::read(rows).0.authoritative.contains(group),
        enforcing: ready
            && defaults::mode(&binding.spec) == Mode::Enforce
            && !defaults::suspended(&binding.spec)
            && binding.metadata.deletion_timestamp.is_none(),
    }
}

/// Branches of which merges run, with the projects whose rights count there.
pub fn branches(context: &Context) -> Vec<Governed> {
    let mut governed = Vec::new();
    for policy in context.objects.policies() {
        let enforces = defaults::policy_mode(&policy.spec) == Mode::Enforce;
        let Ok(read) = reading::whole(&policy) else {
            continue;
        };
        if !enforces || policy.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let namespace = policy.namespace().unwrap_or_default();
        let connection = context
            .cluster
            .gerrit_connection(&read.gerrit.namespace, &read.gerrit.name);
        let server = connection.and_then(|connection| connection.status.as_ref()?.server.clone());
        // Anybody may name any project: that alone governs nothing.
        let admitted = read.environments.iter().filter(|environment| {
            reading::admitted(&read, environment, &namespace, &*context.cluster).is_ok()
        });
        let branches: BTreeSet<String> = admitted.map(|environment| environment.branch.clone()).collect();
        let Some(server) = server.filter(|_| !branches.is_empty()) else {
            continue;
        };
        let hardening = policy
            .status
            .as_ref()
            .and_then(|status| status.hardening.as_ref());
        let ancestors = hardening
            .into_iter()
            .flat_map(|hardening| hardening.ancestors.iter().cloned());
        governed.push(Governed {
            policy: format!("{namespace}/{}", policy.name_any()),
            server,
            project: read.project,
            // Whatever else is not known yet, this one every project inherits from.
            ancestors: ancestors.chain([ROOT.to_owned()]).collect(),
            branches,
        });
    }
    governed.sort();
    governed
}

/// Since when it matters by whose hand somebody came into a group.
pub fn since(policy: &PromotionPolicy) -> Timestamp {
    let gate = policy.status.as_ref().and_then(|status| status.gate.as_ref());
    let made = policy.metadata.creation_timestamp.as_ref().map(|time| time.0);
    gate.and_then(|gate| gate.since)
        .or(made)
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Who else than those whom bindings declare, and ourselves, can run things as a service principal.
pub async fn usable_by(databricks: &ConnectionKey, application_id: &str, context: &Context) -> Usability {
    let cluster = &*context.cluster;
    let connection = cluster.databricks_connection(&databricks.namespace, &databricks.name);
    let Some(status) = connection.and_then(|connection| connection.status.clone()) else {
        return Usability::Unknown;
    };
    let Some(account) = status.account_id else {
        return Usability::Unknown;
    };
    let target = Target::Roles {
        account,
        application_id: application_id.to_owned(),
    };
    let Ok(system) = context.systems.open(databricks).await else {
        return Usability::Unknown;
    };
    let Ok(observed) = system.observe(&target, context.clock.now()).await else {
        return Usability::Unknown;
    };
    let declared = declared(&target, cluster);
    let ourselves = status
        .identity
        .map(|identity| [identity.id, identity.name])
        .unwrap_or_default();
    let others: BTreeSet<String> = observed
        .rows
        .iter()
        .filter(|right| !declared.contains(right))
        .filter(|(who, _)| !ourselves.contains(&who.subject) && !ourselves.contains(&who.name))
        .map(|(who, what)| format!("{} ({what})", who.name))
        .collect();
    if others.is_empty() {
        Usability::DeclaredOnly
    } else {
        Usability::Others(others)
    }
}

/// The rights on a target that bindings hold.
fn declared(target: &Target, cluster: &dyn Cluster) -> BTreeSet<Right> {
    let address = target.to_string();
    let bindings = cluster.bindings();
    let rows = bindings
        .iter()
        .filter_map(|binding| binding.status.as_ref()?.inventory.as_ref());
    let of_here = rows.filter(|rows| rows.iter().any(|row| row.target == address));
    of_here
        .flat_map(|rows| {
            let inventory = Inventory::read(rows).0;
            inventory
                .on(target)
                .map(|(right, _)| right)
                .collect::<Vec<Right>>()
        })
        .collect()
}
