//! `lockstep access`: who can do what, and why.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::{Args, Subcommand};
use kube::ResourceExt as _;
use lockstep_core::api::AccessBinding;
use lockstep_core::domain::access::grant::System;
use lockstep_core::domain::ports::Cluster as _;

use super::access_view;
use super::output::Output;
use super::progress::Progress;
use super::scope::Scope;
use super::{Failure, Outcome, block_on};
use crate::queries::look::{Looker, concerned};
use crate::queries::of_person::of_person;
use crate::queries::removal::removal;
use crate::queries::subject;
use crate::queries::survey::Survey;
use crate::queries::who_can::who_can;
use crate::runtime::Reading;

/// Ask who can do what in Gerrit and Databricks, and which binding gives it
#[derive(Args, Debug)]
pub(super) struct AccessArgs {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    WhoCan(WhoCan),
    Of(Of),
    Remove(Remove),
}

/// Who can do what on a target, through which groups, given by which binding and member entry
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep access who-can job/fraud-train
  lockstep access who-can 'project/ml/fraud refs/heads/prod'
  lockstep access who-can group/ml-fraud
  lockstep access who-can schema/ml_prod.fraud
  lockstep access who-can databricks://123/jobs/77 --output json

Rights that no binding declares are shown as foreign. Inherited rights are not rows of the target; the answer says
where they come from.

Exit codes:
  0   answered
  1   failed, nothing of that name is in sight, or part of it could not be read
  64  the command line is not understood")]
struct WhoCan {
    /// Canonical address, or TYPE/NAME
    #[arg(value_name = "TARGET", num_args = 1..=2, required = true)]
    target: Vec<String>,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    output: Output,
}

/// What a person can do: accounts, groups, and what those may do
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep access of ada@example.com
  lockstep access of fraud-ci               a service user of Gerrit
  lockstep access of 7f3c1a52-...           a service principal, by application id

Looked at are the targets that bindings in sight name; --namespace takes only that namespace's bindings.

Exit codes:
  0   answered
  1   failed, nobody of that name is known, or part of it could not be read
  64  the command line is not understood")]
struct Of {
    /// E-mail address, user name, application id or account number
    person: String,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    output: Output,
}

/// The edits that take a person out; nothing is changed
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep access remove ada@example.com
  lockstep access remove ada@example.com --output json

Named are the entries to take out of bindings, the groups that bring the person in as a member source, and the
rights that no binding declares and somebody must take away by hand.

Exit codes:
  0   answered: nothing to edit
  1   failed, or part of it could not be read
  2   answered: there are edits to make
  64  the command line is not understood")]
struct Remove {
    /// E-mail address, user name or application id
    person: String,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    output: Output,
}

pub(super) fn access(args: AccessArgs) -> Result<Outcome, Failure> {
    block_on(async move {
        match args.question {
            Question::WhoCan(args) => find_who(args).await,
            Question::Of(args) => find_rights(args).await,
            Question::Remove(args) => find_edits(args).await,
        }
    })
}

async fn find_who(args: WhoCan) -> Result<Outcome, Failure> {
    let progress = Progress::start();
    let place = args.scope.connect().await?;
    let reading = args
        .scope
        .read(&place, BTreeSet::from([place.namespace.clone()]), &progress)
        .await?;
    let reached = reading.systems();
    let systems: BTreeSet<System> = reached.iter().flat_map(|(_, systems)| systems.clone()).collect();
    let systems: Vec<System> = systems.into_iter().collect();
    let words = args.target.join(" ");
    let meanings = subject::candidates(&words, &systems).map_err(Failure)?;
    progress.say("looking at the target");
    let looker = Looker {
        context: &reading.context,
        reached: &reached,
        fresh: reading.context.clock.now(),
    };
    let mut survey = Survey::default();
    let targets = looker.locate(&mut survey, &meanings).await;
    looker.observe(&mut survey, targets.clone()).await;
    let bindings = concerned(&survey, &reading.context, &meanings);
    survey.merge(take(&reading, &bindings, &looker, &progress).await);
    drop(progress);
    let mut answers: Vec<_> = targets
        .iter()
        .filter_map(|target| who_can(&survey, target))
        .collect();
    // Words may mean something in several systems; where one of them has it, the others are of no interest.
    if answers.iter().any(|answer| answer.present) {
        answers.retain(|answer| answer.present);
    }
    if answers.iter().all(|answer| !answer.present) {
        incomplete(&survey)?;
        return Err(Failure(format!("nothing in sight is called {words:?}")));
    }
    args.output
        .print(&answers, |answers| access_view::who_can(answers))?;
    incomplete(&survey)?;
    Ok(Outcome::Done)
}

async fn find_rights(args: Of) -> Result<Outcome, Failure> {
    let survey = survey_all(&args.scope).await?;
    let answer = of_person(&survey, &args.person);
    if answer.accounts.is_empty() {
        incomplete(&survey)?;
        return Err(Failure(format!(
            "no system in sight knows {:?}: write an e-mail address, a user name or an application id",
            args.person
        )));
    }
    args.output.print(&answer, access_view::of_person)?;
    incomplete(&survey)?;
    Ok(Outcome::Done)
}

async fn find_edits(args: Remove) -> Result<Outcome, Failure> {
    let survey = survey_all(&args.scope).await?;
    let answer = removal(&survey, &args.person);
    args.output.print(&answer, access_view::removal)?;
    incomplete(&survey)?;
    let nothing = answer.edits.is_empty() && answer.sources.is_empty() && answer.foreign.is_empty();
    Ok(if nothing { Outcome::Done } else { Outcome::Differs })
}

async fn survey_all(scope: &Scope) -> Result<Survey, Failure> {
    let progress = Progress::start();
    let place = scope.connect().await?;
    let reading = scope
        .read(&place, BTreeSet::from([place.namespace.clone()]), &progress)
        .await?;
    let mut bindings = reading.listing.bindings();
    bindings.retain(|binding| scope.namespace.is_none() || binding.namespace() == scope.namespace);
    let reached = reading.systems();
    let looker = Looker {
        context: &reading.context,
        reached: &reached,
        fresh: reading.context.clock.now(),
    };
    let mut survey = take(&reading, &bindings, &looker, &progress).await;
    progress.say("reading everybody's accounts");
    looker.directories(&mut survey).await;
    // Groups of strangers on the targets, and whoever is in them.
    let targets = survey.observed.keys().cloned().collect();
    looker.observe(&mut survey, targets).await;
    Ok(survey)
}

async fn take(
    reading: &Reading,
    bindings: &[Arc<AccessBinding>],
    looker: &Looker<'_>,
    progress: &Progress,
) -> Survey {
    let all = bindings.len();
    let tell = |done: usize| {
        progress.say(&format!(
            "reading Gerrit and Databricks: {done} of {all} bindings"
        ))
    };
    tell(0);
    Survey::take(bindings, &reading.context, looker.fresh, &tell).await
}

/// An answer that misses something must not pass for a whole one.
fn incomplete(survey: &Survey) -> Result<(), Failure> {
    if survey.unread.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = survey
        .unread
        .values()
        .map(|problem| format!("  {}: {}", problem.label, problem.message))
        .collect();
    Err(Failure(super::output::clean_lines(&format!(
        "the answer is incomplete, because this could not be read:\n{}",
        missing.join("\n")
    ))))
}
