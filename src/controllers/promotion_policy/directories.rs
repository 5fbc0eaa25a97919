//! Directories of code beyond those that a policy keeps. They are looked for where the count has just seen them stand,
//! and only while no promotion is at work in the environment.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::domain::ports::{ConnectionKey, Entry, Event, KeepError};
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept;
use lockstep_core::domain::promotion::machine::rollback::{Recorded, disposable};
use lockstep_core::domain::promotion::machine::state::Phase;
use lockstep_core::domain::promotion::ports::deployments::words;
use lockstep_core::domain::promotion::proof::completeness::{Act, Occurrence};

use super::super::Context;
use super::gather::Environment;

/// Directories that go, of one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Old {
    pub databricks: ConnectionKey,
    pub directories: BTreeSet<String>,
}

/// Those that stand there and that nobody needs any more.
pub fn old(
    environment: &Environment,
    record: &[Recorded],
    standing: &[&Occurrence],
    keep: usize,
) -> BTreeSet<String> {
    let gone = disposable(record, keep, &needed(environment));
    let standing: BTreeSet<&str> = standing
        .iter()
        .filter(|found| found.act == Act::Files)
        .map(|found| found.address.as_str())
        .collect();
    let stands = |address: &String| {
        standing.iter().any(|found| {
            address == found
                || address
                    .strip_prefix(found)
                    .is_some_and(|rest| rest.starts_with("%2F"))
        })
    };
    let steps = record.iter().flat_map(|recorded| &recorded.steps);
    let left = steps.filter_map(|step| {
        let directory = step.outputs.get(words::DIRECTORY)?;
        let address = step.outputs.get(words::ADDRESS)?;
        (gone.contains(directory) && stands(address)).then(|| directory.clone())
    });
    left.collect()
}

/// Promotions whose directories stay: what runs, acts, holds, and what a person wants to go back to.
fn needed(environment: &Environment) -> BTreeSet<PromotionName> {
    let remembered = &environment.remembered.environment;
    let held = remembered.held.as_ref().and_then(|held| held.promotion.clone());
    let wanted = environment.siblings.iter().filter_map(|promotion| {
        let wish = promotion.spec.rollback.as_ref()?;
        let contender = kept::contender(promotion)?;
        (!matches!(contender.phase, Phase::Ended(_))).then(|| PromotionName(wish.to.clone()))
    });
    let unfinished = environment
        .contenders
        .iter()
        .filter(|(_, contender)| matches!(contender.phase, Phase::Running | Phase::Undoing(_)))
        .map(|(name, _)| name.clone());
    [remembered.current.clone(), remembered.acting.clone(), held]
        .into_iter()
        .flatten()
        .chain(wanted)
        .chain(unfinished)
        .collect()
}

/// Deletes them, each announced in the record before. One that cannot be deleted is tried again after the next count.
pub async fn delete(
    policy: &PromotionPolicy,
    environment: &str,
    old: &Old,
    context: &Context,
) -> Result<(), KeepError> {
    let deployment = match context.deployments.open(&old.databricks).await {
        Ok(deployment) => deployment,
        Err(error) => {
            tracing::warn!(%error, "old directories stay for now");
            return Ok(());
        }
    };
    for directory in &old.directories {
        let entry = |event, note: String| Entry {
            time: context.clock.now(),
            actor: context.actor.clone(),
            object: super::key(policy),
            event,
            changes: Vec::new(),
            digest: None,
            gained: Vec::new(),
            gave_up: Vec::new(),
            note: format!("environment {environment}: {note}"),
            promotion: None,
            credential: None,
        };
        let intent = format!("directory {directory} is deleted, as it is beyond spec.history.directories");
        context.record.append(entry(Event::Intent, intent)).await?;
        let done = deployment.files().delete(directory).await;
        let outcome = match &done {
            Ok(()) => entry(Event::Succeeded, format!("directory {directory} is deleted")),
            Err(error) => {
                tracing::warn!(policy = policy.name_any(), %directory, %error, "an old directory stays for now");
                entry(Event::Failed, format!("directory {directory} stays: {error}"))
            }
        };
        context.record.append(outcome).await?;
    }
    Ok(())
}
