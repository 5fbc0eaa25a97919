//! Labels that the gate asks for and that the project does not have: with `gate.submitRequirements: Managed` they are made,
//! before anybody can know what the gate means. What is there is left as it is; what we made goes when no gate asks for it
//! any more.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion_policy::{ConfiguredRow, Gate, SubmitRequirements};
use lockstep_core::api::reference::Mode;
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::{
    ConnectionKind, Event, KeepError, Note, ObjectKey, SystemError, SystemErrorKind,
};
use lockstep_core::domain::promotion::gate::managed_labels::{Decision, Place, decide};
use lockstep_core::domain::promotion::gate::rules::GovernedLabel;
use lockstep_core::domain::promotion::ports::reviews::Review;

use super::super::Context;
use super::apply::{Kept, keep};
use super::aside::{self, Aside, Pass, Told};
use super::gather::Gathered;
use super::key;
use super::requirements::{Trouble, address, entry, project_of};

/// Whether labels that are missing are made for this policy.
pub fn are_made(policy: &PromotionPolicy) -> bool {
    defaults::submit_requirements(&policy.spec.gate) == SubmitRequirements::Managed
        && defaults::policy_mode(&policy.spec) == Mode::Enforce
}

/// What is held of a policy's labels.
pub fn held(policy: &PromotionPolicy) -> Vec<ConfiguredRow> {
    let status = policy.status.as_ref();
    status
        .and_then(|status| status.labels.clone())
        .unwrap_or_default()
}

/// The labels that a gate asks for.
fn asked_by(gate: &Gate) -> BTreeSet<String> {
    [&gate.approval.label, &gate.verification.label]
        .into_iter()
        .cloned()
        .collect()
}

/// The labels of a project that gates of other policies ask for, through whichever connection.
fn asked_by_others(policy: &PromotionPolicy, target: &str, context: &Context) -> BTreeSet<String> {
    let here = |other: &PromotionPolicy| {
        let namespace = other.namespace().unwrap_or_default();
        let gerrit = &other.spec.gerrit;
        let key = defaults::connection(ConnectionKind::Gerrit, &gerrit.connection_ref, &namespace);
        let connection = context.cluster.gerrit_connection(&key.namespace, &key.name);
        let server = connection.and_then(|connection| connection.status.as_ref()?.server.clone());
        server.is_some_and(|server| address(&server, &gerrit.project) == target)
    };
    context
        .objects
        .policies()
        .iter()
        .filter(|other| other.uid() != policy.uid() && other.metadata.deletion_timestamp.is_none())
        .filter(|other| here(other))
        .flat_map(|other| asked_by(&other.spec.gate))
        .collect()
}

/// Makes what is missing, where that is due, and says what keeps it from being there.
pub async fn follow(memory: &Aside, pass: Pass<'_>, configured_anew: impl Fn(Timestamp) -> bool) -> Told {
    let Pass {
        policy,
        gathered,
        context,
        ..
    } = pass;
    let now = context.clock.now();
    let Ok(read) = &gathered.policy else {
        return Told::default();
    };
    let lacks = !gathered.lacks.is_empty();
    if let Some(told) = memory.told(policy, now, configured_anew)
        && !(lacks && told.sayings.is_empty())
    {
        return told;
    }
    let enforces = defaults::policy_mode(&policy.spec) == Mode::Enforce;
    let needed = are_made(policy) || !held(policy).is_empty();
    let connection = context
        .cluster
        .gerrit_connection(&read.gerrit.namespace, &read.gerrit.name);
    let server = connection.and_then(|connection| connection.status.as_ref()?.server.clone());
    // Whom the connections' owners let promote nothing, nothing is made for.
    let admitted = gathered
        .environments
        .iter()
        .any(|environment| environment.declared.is_ok());
    let (Some(server), true) = (server, enforces && needed && admitted) else {
        return Told::default();
    };
    let interval = aside::interval(policy);
    let mut told = Told::default();
    let here = Here {
        pass,
        server: &server,
        object: key(policy),
        wrote: memory.wrote(policy),
    };
    let again = match here.bring_about(&read.project, &mut told).await {
        Ok(()) if told.wrote => now,
        Ok(()) => now.checked_add(interval).unwrap_or(now),
        Err(Trouble::System(error)) => {
            told.trouble(error.reason(), error.to_string());
            aside::again(&error, now, interval)
        }
        Err(Trouble::Keep(error)) => {
            tracing::warn!(%error, "labels wait: what is meant could not be kept");
            now
        }
    };
    if lacks && told.sayings.is_empty() {
        let names: Vec<&str> = gathered.lacks.iter().map(String::as_str).collect();
        let message = format!("label {} is being made in {}", names.join(", "), read.project);
        told.trouble(Reason::Progressing, message);
    }
    memory.put(policy, now, again, told.clone());
    told
}

/// What a look is about.
struct Here<'a> {
    pass: Pass<'a>,
    server: &'a str,
    object: ObjectKey,
    /// The last look ended with a write.
    wrote: bool,
}

impl Here<'_> {
    /// What is written is looked at again in the next pass.
    async fn bring_about(&self, project: &str, told: &mut Told) -> Result<(), Trouble> {
        let Pass {
            policy,
            gathered,
            context,
            ..
        } = self.pass;
        let connection = gathered.policy.as_ref().map(|read| read.gerrit.clone());
        let Ok(connection) = connection else { return Ok(()) };
        let review = context.reviews.open(&connection).await?;
        let target = address(self.server, project);
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            held(policy).into_iter().partition(|row| row.target == target);
        let asked = asked_by(&policy.spec.gate);
        let mut shared = asked_by_others(policy, &target, context);
        let wanted = if are_made(policy) {
            asked
        } else {
            // Whoever only reads still reads them.
            shared.extend(asked);
            BTreeSet::new()
        };
        let seen = review.system().defined_labels(project).await?;
        let place = Place {
            project,
            target: &target,
            seen: &seen,
            held: &here,
            shared: &shared,
            governed: &governed(gathered),
        };
        let decision = decide(&wanted, &place, context.clock.now());
        if self.wrote && !decision.write.0.is_empty() {
            // Whoever fights over them would be fought at every pass.
            let message = format!(
                "written, and not so a moment later: {}",
                decision.lines.join("; ")
            );
            told.trouble(Reason::NotConfirmed, message);
            return Ok(());
        }
        if !decision.refused.is_empty() {
            told.trouble(Reason::Unresolved, decision.refused.join("; "));
        }
        let rows: Vec<_> = decision.rows.iter().chain(&elsewhere).cloned().collect();
        self.write(&*review, project, &decision, &rows).await?;
        told.wrote = !decision.write.0.is_empty();
        self.leave_elsewhere(&*review, rows, &target, told).await
    }

    /// Keeps and records first what is then written.
    async fn write(
        &self,
        review: &dyn Review,
        project: &str,
        decision: &Decision,
        rows: &[ConfiguredRow],
    ) -> Result<(), Trouble> {
        let context = self.pass.context;
        if !decision.drift.is_empty() {
            let note = Note {
                reason: Reason::Drifted,
                message: decision.drift.join("; "),
                warning: true,
            };
            context.cluster.note(&self.object, note).await;
        }
        if decision.write.0.is_empty() {
            return Ok(self.keep(rows).await?);
        }
        let line = format!("{project}: {}", decision.lines.join("; "));
        record(&self.object, Event::Intent, &line, context).await?;
        self.keep(rows).await?;
        match review.system().write_labels(project, &decision.write).await {
            Ok(_) => Ok(record(&self.object, Event::Succeeded, &line, context).await?),
            Err(error) => {
                let said = format!("{project}: {error}");
                record(&self.object, Event::Failed, &said, context).await?;
                Err(error.into())
            }
        }
    }

    /// Takes back what stands where the policy does not point any more.
    async fn leave_elsewhere(
        &self,
        review: &dyn Review,
        mut rows: Vec<ConfiguredRow>,
        here: &str,
        told: &mut Told,
    ) -> Result<(), Trouble> {
        let Pass { policy, context, .. } = self.pass;
        let old: BTreeSet<String> = rows
            .iter()
            .map(|row| row.target.clone())
            .filter(|target| target != here)
            .collect();
        for target in old {
            let there: Vec<ConfiguredRow> = rows.iter().filter(|row| row.target == target).cloned().collect();
            let Some(project) = project_of(&target, self.server) else {
                let names: Vec<&str> = there.iter().map(|row| row.name.as_str()).collect();
                let message = format!(
                    "label {} stands at {target}, which the connection does not reach: point the policy there once more, or remove it by hand",
                    names.join(", ")
                );
                told.trouble(Reason::RevokeWaiting, message);
                continue;
            };
            take_back(policy, review, &project, &there, context).await?;
            rows.retain(|row| row.target != target);
            self.keep(&rows).await?;
        }
        Ok(())
    }

    async fn keep(&self, rows: &[ConfiguredRow]) -> Result<(), KeepError> {
        let Pass {
            policy,
            planned,
            context,
            ..
        } = self.pass;
        let held = Kept {
            labels: rows.to_vec(),
            ..Kept::of(policy, context)
        };
        keep(policy, planned, &held, context).await
    }
}

/// Removes what is still as we made it, and what no other gate asks for.
pub async fn take_back(
    policy: &PromotionPolicy,
    review: &dyn Review,
    project: &str,
    rows: &[ConfiguredRow],
    context: &Context,
) -> Result<(), Trouble> {
    let Some(target) = rows.first().map(|row| row.target.clone()) else {
        return Ok(());
    };
    let object = key(policy);
    let seen = match review.system().defined_labels(project).await {
        Ok(seen) => seen,
        Err(error) if error.kind == SystemErrorKind::NotFound => {
            // Gone with its project, or only hidden with its configuration: then it is still ours to remove.
            review.system().configuring(project).await?;
            let kind = SystemErrorKind::Refused;
            return Err(SystemError { kind, ..error }.into());
        }
        Err(error) => return Err(error.into()),
    };
    let place = Place {
        project,
        target: &target,
        seen: &seen,
        held: rows,
        shared: &asked_by_others(policy, &target, context),
        governed: &BTreeMap::new(),
    };
    let decision = decide(&BTreeSet::new(), &place, context.clock.now());
    let removes = |row: &&ConfiguredRow| !decision.write.0.contains_key(&row.name);
    let stay: Vec<&str> = rows
        .iter()
        .filter(removes)
        .filter(|row| seen.contains_key(&row.name))
        .map(|row| row.name.as_str())
        .collect();
    if !stay.is_empty() {
        let line = format!("{target}: label {} stays", stay.join(", "));
        record(&object, Event::Abandoned, &line, context).await?;
    }
    if decision.write.0.is_empty() {
        return Ok(());
    }
    let line = format!("{target}: {}", decision.lines.join("; "));
    record(&object, Event::Intent, &line, context).await?;
    review.system().write_labels(project, &decision.write).await?;
    record(&object, Event::Succeeded, &line, context).await?;
    Ok(())
}

async fn record(object: &ObjectKey, event: Event, note: &str, context: &Context) -> Result<(), KeepError> {
    context
        .record
        .append(entry(object, event, note, context))
        .await
        .map(drop)
}

/// Labels as the gates in force know them.
fn governed(gathered: &Gathered) -> BTreeMap<String, GovernedLabel> {
    let gates = gathered.environments.iter();
    let gates = gates.filter_map(|environment| environment.remembered.gate.as_ref()?.as_ref().ok());
    gates.flat_map(|gate| gate.rules.labels.clone()).collect()
}

/// What to say where a label is missing and nobody makes it.
pub fn missing(policy: &PromotionPolicy, names: &BTreeSet<String>) -> SystemError {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fix = match defaults::submit_requirements(&policy.spec.gate) {
        SubmitRequirements::Managed => "mode Enforce would make it",
        SubmitRequirements::Existing => "make it, or set gate.submitRequirements to Managed",
    };
    let project = &policy.spec.gerrit.project;
    SystemError::new(
        "spec.gate",
        SystemErrorKind::Connection(Reason::Unresolved),
        format!("project {project} has no label {}: {fix}", names.join(", ")),
    )
}
