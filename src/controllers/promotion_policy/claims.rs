//! What this policy's environments and those of all others aim at, whoever owns them: one thing is moved by one
//! environment alone.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::reference::Mode;
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::Cluster;
use lockstep_core::domain::promotion::policy::claims::{Claim, Order, Rival};
use lockstep_core::domain::promotion::policy::{Environment as Declared, Policy};

use super::super::Context;
use super::gather::Environment;
use super::{key, reading};

/// What one environment claims, and who else may.
pub struct Claims {
    pub own: BTreeSet<Claim>,
    pub held: BTreeSet<String>,
    /// Whether it takes up what it does not hold yet.
    pub takes: bool,
    pub order: Order,
    pub rivals: Vec<Rival>,
}

/// Reads them, for every environment whose workspace is known.
pub fn read(object: &PromotionPolicy, policy: &Policy, environments: &mut [Environment], context: &Context) {
    let cluster = &*context.cluster;
    let own = claimants(object, policy, cluster);
    let others: Vec<Rival> = context
        .objects
        .policies()
        .iter()
        .filter(|other| other.uid() != object.uid() && other.metadata.deletion_timestamp.is_none())
        .filter_map(|other| Some((other.clone(), reading::whole(other).ok()?)))
        .flat_map(|(other, read)| claimants(&other, &read, cluster))
        .map(|(_, rival)| rival)
        .collect();
    for environment in environments {
        let Some((name, mine)) = own.iter().find(|(name, _)| *name == environment.name) else {
            continue;
        };
        let siblings = own.iter().filter(|(other, _)| other != name);
        // Who does not meet it need not be carried along.
        let rivals = siblings.map(|(_, rival)| rival).chain(&others);
        let rivals = rivals.filter(|rival| {
            rival
                .claims
                .iter()
                .any(|theirs| mine.claims.iter().any(|own| own.meets(theirs)))
        });
        environment.claims = Some(Claims {
            own: mine.claims.clone(),
            held: mine.holds.clone().unwrap_or_default(),
            takes: mine.takes,
            order: mine.order.clone(),
            rivals: rivals.cloned().collect(),
        });
    }
}

/// A policy's environments as claimants, those that its namespace may promote.
fn claimants(object: &PromotionPolicy, policy: &Policy, cluster: &dyn Cluster) -> Vec<(String, Rival)> {
    let namespace = object.namespace().unwrap_or_default();
    let created = object
        .creation_timestamp()
        .map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let takes =
        defaults::policy_mode(&object.spec) == Mode::Enforce && !defaults::policy_suspended(&object.spec);
    let one = |(at, environment): (usize, &Declared)| {
        reading::admitted(policy, environment, &namespace, cluster).ok()?;
        let databricks = &environment.recipe.databricks;
        let connection = cluster.databricks_connection(&databricks.namespace, &databricks.name)?;
        let status = connection.status.as_ref()?;
        let workspace = status.workspace_id.as_deref()?;
        let row = reading::row(object, environment.name());
        let rival = Rival {
            policy: key(object),
            order: (created, object.uid().unwrap_or_default(), at),
            takes,
            claims: Claim::of(&environment.recipe, workspace, status.metastore_id.as_deref()),
            holds: row.map(|row| row.holds.iter().cloned().collect()),
        };
        Some((environment.name().to_owned(), rival))
    };
    policy.environments.iter().enumerate().filter_map(one).collect()
}
