//! `lockstep doctor`: whether everything Lockstep stands on is there, on one screen.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::domain::ports::{Cluster as _, ConnectionKey, Probe};
use serde::Serialize;
use serde_json::Value;

use super::doctor_policies::managed;
use super::doctor_tenants::tenants;
use super::doctor_view;
use super::output::{Format, Output};
use super::progress::Progress;
use super::scope::Scope;
use super::{Failure, Outcome, block_on};
use crate::queries::standing::standing;
use crate::runtime::{Installation, Leader, Reading, Seen};

/// Check the installation, the connections and what their identities lack
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep doctor -n ml-fraud          connections and bindings of one namespace
  lockstep doctor -A                   of all namespaces in sight
  lockstep doctor --probe -n ml-fraud  try every behaviour of Gerrit and Databricks that Lockstep relies on

--probe writes to the connections' systems, under names that begin with lockstep-probe-, and takes away what it
made, also after a failure. It needs the rights that the operator needs.

Exit codes:
  0   everything is as it should be
  1   something is broken, deviates from what Lockstep relies on, or could not be tried
  64  the command line is not understood")]
pub(super) struct DoctorArgs {
    /// Connections and bindings of all namespaces
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    all: bool,
    /// Try every behaviour that Lockstep relies on, in a scratch prefix of the connections' own systems
    #[arg(long)]
    probe: bool,
    /// Only this connection
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Name of the operator's Lease
    #[arg(long, default_value = "lockstep", value_name = "NAME")]
    lease_name: String,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    output: Output,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Mark {
    Good,
    /// Works, and somebody should know.
    Note,
    Bad,
}

/// One line of the screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) area: &'static str,
    pub(super) what: String,
    pub(super) mark: Mark,
    pub(super) says: String,
}

/// The whole screen.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) broken: usize,
    pub(super) checks: Vec<Check>,
}

pub(super) fn doctor(args: DoctorArgs) -> Result<Outcome, Failure> {
    block_on(async move {
        if args.probe {
            return super::probe::probe(&args.scope, args.all, args.connection.as_deref(), args.output).await;
        }
        let progress = Progress::start();
        let checks = examine(&args, &progress).await?;
        drop(progress);
        let broken = checks.iter().filter(|check| check.mark == Mark::Bad).count();
        let report = Report { broken, checks };
        let fancy = args.output.output == Format::Table && std::io::stdout().is_terminal();
        args.output
            .print(&report, |report| doctor_view::report(report, fancy))?;
        if broken > 0 {
            return Err(Failure(format!("{broken} of the checks failed")));
        }
        Ok(Outcome::Done)
    })
}

async fn examine(args: &DoctorArgs, progress: &Progress) -> Result<Vec<Check>, Failure> {
    let place = args.scope.connect().await?;
    progress.say("looking at the installation");
    let installed = Installation::read(
        &place.client,
        &args.scope.operator_namespace,
        &args.lease_name,
        Timestamp::now(),
    )
    .await;
    let mut checks = installation(&installed);
    if installed
        .definitions
        .iter()
        .any(|(_, seen)| *seen == Seen::Absent)
    {
        return Ok(checks);
    }
    let reading = args
        .scope
        .read(&place, BTreeSet::from([place.namespace.clone()]), progress)
        .await?;
    let wanted = |namespace: &str| args.all || namespace == place.namespace;
    let keys: Vec<ConnectionKey> = reading
        .connections()
        .into_iter()
        .filter(|key| wanted(&key.namespace))
        .filter(|key| args.connection.as_ref().is_none_or(|name| *name == key.name))
        .collect();
    if keys.is_empty() {
        checks.push(Check {
            area: "connections",
            what: "connections".into(),
            mark: Mark::Note,
            says: "none here: look elsewhere with -n or -A".into(),
        });
    }
    for key in &keys {
        progress.say(&format!("asking {key}"));
        checks.extend(connection(&reading, key).await);
        checks.push(tenants(&reading, key));
    }
    let mut bindings = reading.listing.bindings();
    bindings.retain(|binding| wanted(&binding.namespace().unwrap_or_default()));
    let troubles: Vec<_> = bindings.iter().flat_map(|binding| standing(binding)).collect();
    let broken: BTreeSet<&str> = troubles
        .iter()
        .filter(|trouble| trouble.broken)
        .map(|trouble| trouble.binding.as_str())
        .collect();
    checks.push(Check {
        area: "bindings",
        what: "in step".into(),
        mark: if broken.is_empty() { Mark::Good } else { Mark::Bad },
        says: format!("{} of {}", bindings.len() - broken.len(), bindings.len()),
    });
    checks.extend(troubles.into_iter().map(|trouble| Check {
        area: "bindings",
        what: trouble.binding,
        mark: if trouble.broken { Mark::Bad } else { Mark::Note },
        says: trouble.why,
    }));
    for policy in reading.context.objects.policies() {
        if wanted(&policy.namespace().unwrap_or_default()) {
            checks.extend(managed(&reading, &policy).await);
        }
    }
    Ok(checks)
}

fn installation(installed: &Installation) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut say = |what: &str, mark, says: String| {
        checks.push(Check {
            area: "installation",
            what: what.to_owned(),
            mark,
            says,
        });
    };
    for (name, seen) in &installed.definitions {
        let (mark, says) = match seen {
            Seen::Found(true) => (Mark::Good, "installed and current".into()),
            Seen::Found(false) => (
                Mark::Bad,
                "another version's: `lockstep crds | kubectl apply --server-side -f -`".into(),
            ),
            Seen::Absent => (
                Mark::Bad,
                "missing: `lockstep crds | kubectl apply --server-side -f -`".into(),
            ),
            Seen::Hidden(why) => (Mark::Note, format!("not seen: {why}")),
        };
        say(name, mark, says);
    }
    let (mark, says) = match &installed.approvals {
        Seen::Found(true) => (Mark::Good, "approvers are held to their own names".into()),
        Seen::Found(false) => (
            Mark::Bad,
            "the policy is there but does not do what the chart's does: no approval counts".into(),
        ),
        Seen::Absent => (
            Mark::Bad,
            "no admission policy: no approval counts until the chart is installed".into(),
        ),
        Seen::Hidden(why) => (Mark::Note, format!("not seen: {why}")),
    };
    say("approvals", mark, says);
    let (mark, says) = match &installed.deploys {
        Seen::Found(true) => (
            Mark::Good,
            "nobody but the operator makes promotions that deploy".into(),
        ),
        Seen::Found(false) => (
            Mark::Bad,
            "the policy is there but does not do what the chart's does: anybody who may create promotions can deploy"
                .into(),
        ),
        Seen::Absent => (
            Mark::Bad,
            "no admission policy: anybody who may create promotions can deploy; set promotions.protect in the chart"
                .into(),
        ),
        Seen::Hidden(why) => (Mark::Note, format!("not seen: {why}")),
    };
    say("deploys", mark, says);
    let (mark, says) = match &installed.changed_by {
        Seen::Found(_) => (
            Mark::Good,
            "whoever changed a spec cannot approve its plan".into(),
        ),
        Seen::Absent => (
            Mark::Note,
            "who changed a spec is not stamped: its author could approve the plan".into(),
        ),
        Seen::Hidden(why) => (Mark::Note, format!("not seen: {why}")),
    };
    say("changed-by", mark, says);
    let (mark, says) = match &installed.leader {
        Seen::Found(Leader {
            holder, alive: true, ..
        }) => (Mark::Good, holder.clone()),
        Seen::Found(Leader { holder, renewed, .. }) => (
            Mark::Bad,
            format!(
                "{holder} has not renewed its lease since {}",
                renewed.map_or_else(|| "ever".into(), |at| at.to_string())
            ),
        ),
        Seen::Absent => (
            Mark::Bad,
            "nobody leads: no operator runs in its namespace".into(),
        ),
        Seen::Hidden(why) => (Mark::Note, format!("not seen: {why}")),
    };
    say("leader", mark, says);
    checks
}

async fn connection(reading: &Reading, key: &ConnectionKey) -> Vec<Check> {
    let check = |mark, says: String| Check {
        area: "connections",
        what: key.to_string(),
        mark,
        says,
    };
    match reading.context.probes.probe(key).await {
        Ok(Probe {
            status,
            lacks,
            allowance: _,
        }) => {
            let mut checks = vec![check(Mark::Good, facts(&status))];
            checks.extend(reading.pace(key).map(|pace| {
                let says = format!(
                    "drift is looked for at {} % of the intervals: {} reads a check, {} a minute allowed",
                    pace.interval_percent, pace.reads_per_check, pace.budget_per_minute
                );
                check(Mark::Note, says)
            }));
            checks.extend(
                lacks
                    .into_iter()
                    .map(|lack| check(Mark::Bad, format!("the identity lacks: {lack}"))),
            );
            checks
        }
        Err(error) => vec![check(Mark::Bad, format!("{}: {error}", error.reason()))],
    }
}

/// Version, system and identity in one line.
fn facts(status: &Value) -> String {
    let word = |path: &str| {
        status
            .pointer(path)
            .map(|value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), ToOwned::to_owned)
            })
            .filter(|text| !text.is_empty() && text != "null")
    };
    let facts = [
        ("server", word("/server")),
        ("version", word("/version")),
        ("as", word("/account/username").or_else(|| word("/identity/name"))),
        ("workspace", word("/workspaceId")),
        ("account", word("/accountId")),
        ("metastore", word("/metastoreId")),
        ("cloud", word("/cloud")),
        ("people are managed", word("/identityManagement")),
    ];
    let facts: Vec<String> = facts
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name} {value}")))
        .collect();
    facts.join(", ")
}
