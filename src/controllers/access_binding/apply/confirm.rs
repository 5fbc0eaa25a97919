//! Databricks' readings go backwards for a minute: what was written there counts as confirmed only when a second,
//! later reading shows it too. Until then it stays `confirming`. Where no listing shows a target, and each look costs a
//! call of its own, one reading decides: the next one is that of the next check, and a row that it lacks is given anew.

use lockstep_core::domain::access::grant::{Grant, Target};
use lockstep_core::domain::access::inventory::Held;
use lockstep_core::domain::ports::ConnectionKind;

use super::super::{Controller, Gathered, Sightings};
use super::Outcome;

pub(super) fn confirm_twice(controller: &Controller, gathered: &Gathered, outcome: &mut Outcome) {
    let before = &gathered.question.me.inventory;
    let observed = &gathered.question.world.observed;
    let lags = |target: &Target| {
        let alone = observed.get(target).is_some_and(|seen| seen.alone);
        target.system().kind() == ConnectionKind::Databricks && !alone
    };
    // Confirmed by this pass's readings: confirming before, and no longer.
    let newly = |now: &Held, before: Option<&Held>| {
        let held = before.copied()?;
        (now.confirming.is_none() && held.confirming.is_some()).then_some(held)
    };
    let rows: Vec<(Grant, Held)> = outcome
        .inventory
        .rows
        .iter()
        .filter(|(grant, _)| lags(&grant.target))
        .filter_map(|(grant, held)| Some((grant.clone(), newly(held, before.rows.get(grant))?)))
        .collect();
    let groups: Vec<(Target, Held)> = outcome
        .inventory
        .groups
        .iter()
        .filter(|(target, _)| lags(target))
        .filter_map(|(target, held)| Some((target.clone(), newly(held, before.groups.get(target))?)))
        .collect();
    let writes = rows.iter().map(|(grant, held)| (&grant.target, held));
    let writes = writes.chain(groups.iter().map(|(target, held)| (target, held)));
    let sightings: Sightings = writes
        .filter_map(|(target, held)| {
            let seen = observed.get(target)?;
            Some(((target.clone(), held.confirming?), seen.taken))
        })
        .collect();
    let twice = controller.seen_twice(&gathered.question.me.key.uid, sightings);
    let once = |target: &Target, held: &Held| {
        let written = held.confirming?;
        (!twice.contains(&(target.clone(), written))).then_some(written)
    };
    let pending = &mut outcome.planned.decision.pending;
    for (grant, held) in rows {
        if let Some(written) = once(&grant.target, &held) {
            pending.insert(grant.target.clone(), written);
            outcome.inventory.rows.insert(grant, held);
        }
    }
    for (target, held) in groups {
        if let Some(written) = once(&target, &held) {
            pending.insert(target.clone(), written);
            outcome.inventory.groups.insert(target, held);
        }
    }
}
