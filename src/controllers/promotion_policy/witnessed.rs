//! Runs of workspaces as they were last listed, shared by everybody who counts: one listing for each connection whatever
//! the number of policies and identities, and only of what began since it was last counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::ConnectionKey;
use lockstep_core::domain::promotion::policy::Policy;
use lockstep_core::domain::promotion::ports::deployments::{DeployError, Witness};
use lockstep_core::domain::promotion::proof::completeness::Runs;
use lockstep_core::domain::promotion::proof::ledger::Ledger;

use super::super::Context;
use super::reading;

/// The longest time that one listing covers: after a long rest it is caught up in pieces, each of which fits in memory.
const PIECE: SignedDuration = SignedDuration::from_hours(6);
/// A piece that ends so long ago lacks nothing that a listing might bring later.
const LONG_AGO: SignedDuration = SignedDuration::from_mins(30);
/// By how much the workspace's clock may be ahead of ours.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// One listing.
#[derive(Debug)]
pub(super) struct Listed {
    /// When it began.
    taken: Timestamp,
    from: Timestamp,
    identities: BTreeSet<String>,
    pub runs: Runs,
    /// What began before this can no longer be missing in it.
    pub settled: Option<Timestamp>,
    /// Whether it goes up to now.
    pub current: bool,
}

type Slot = Arc<tokio::sync::Mutex<Option<Arc<Listed>>>>;

/// The listings. Losing them costs a listing.
#[derive(Default)]
pub(super) struct Witnessed(Mutex<BTreeMap<ConnectionKey, Slot>>);

impl Witnessed {
    /// Runs since `from`, listed not before `fresh`.
    pub async fn runs(
        &self,
        connection: &ConnectionKey,
        witness: &dyn Witness,
        from: Timestamp,
        fresh: Timestamp,
        context: &Context,
    ) -> Result<Arc<Listed>, DeployError> {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(connection.clone()).or_default().clone()
        };
        let mut slot = slot.lock().await;
        let identities = identities(connection, context);
        if let Some(listed) = slot.as_ref()
            && listed.taken >= fresh
            && listed.from <= from
            && (listed.current || listed.settled > Some(from))
            && listed.identities.is_superset(&identities)
        {
            return Ok(listed.clone());
        }
        let now = context.clock.now();
        let piece = from.checked_add(PIECE).unwrap_or(Timestamp::MAX);
        let (current, to) = if now.duration_since(piece) > LONG_AGO {
            (false, piece)
        } else {
            (true, now.checked_add(AHEAD).unwrap_or(Timestamp::MAX))
        };
        let runs = witness.runs(&identities, from, to).await?;
        let settled = if current {
            runs.newest.map(Ledger::settled)
        } else {
            // Nothing of so long ago is still to come.
            Some(to)
        };
        let listed = Arc::new(Listed {
            taken: now,
            from,
            identities,
            runs,
            settled,
            current,
        });
        *slot = Some(listed.clone());
        Ok(listed)
    }
}

/// Everybody who runs something behind a connection on behalf of a policy that may.
fn identities(connection: &ConnectionKey, context: &Context) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    each(context, |_, _, policy, namespace| {
        for environment in &policy.environments {
            let recipe = &environment.recipe;
            if recipe.databricks == *connection
                && !all.contains(&recipe.run_as)
                && reading::admitted(policy, environment, namespace, &*context.cluster).is_ok()
            {
                all.insert(recipe.run_as.clone());
            }
        }
    });
    all
}

/// Uids and environments of all policies that run something as this identity behind this connection.
pub(super) fn sharing(
    connection: &ConnectionKey,
    run_as: &str,
    context: &Context,
) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    each(context, |uid, _, policy, _| {
        for environment in &policy.environments {
            let recipe = &environment.recipe;
            if recipe.databricks == *connection && recipe.run_as == run_as {
                all.insert((uid.to_owned(), environment.name().to_owned()));
            }
        }
    });
    all
}

fn each(context: &Context, mut with: impl FnMut(&str, &str, &Policy, &str)) {
    for object in context.objects.policies() {
        if defaults::policy_suspended(&object.spec) {
            continue;
        }
        let Ok(policy) = reading::whole(&object) else {
            continue;
        };
        let namespace = object.namespace().unwrap_or_default();
        with(
            &object.uid().unwrap_or_default(),
            &object.name_any(),
            &policy,
            &namespace,
        );
    }
}
