//! `lockstep doctor --probe`: the assumptions about other systems, tried on the caller's own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

use lockstep_core::domain::ports::ConnectionKey;
use serde::Serialize;

use super::doctor::Mark;
use super::doctor_view::mark;
use super::output::{Format, Output, clean, count, paint, style};
use super::progress::Progress;
use super::scope::Scope;
use super::{Failure, Outcome};
use crate::runtime::{CameOut, Finding};

/// What came of one connection's suite.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Suite {
    connection: String,
    /// Why nothing could be tried at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    deviations: usize,
    findings: Vec<Finding>,
}

pub(super) async fn probe(
    scope: &Scope,
    all: bool,
    only: Option<&str>,
    output: Output,
) -> Result<Outcome, Failure> {
    let progress = Progress::start();
    let place = scope.connect().await?;
    let reading = scope
        .read(&place, BTreeSet::from([place.namespace.clone()]), &progress)
        .await?;
    let keys: Vec<ConnectionKey> = reading
        .connections()
        .into_iter()
        .filter(|key| all || key.namespace == place.namespace)
        .filter(|key| only.is_none_or(|name| name == key.name))
        .collect();
    if keys.is_empty() {
        return Err(Failure(format!(
            "there is no such connection in namespace {}: look elsewhere with -n or -A",
            place.namespace
        )));
    }
    let mut suites = Vec::new();
    for key in &keys {
        let tell = |what: &str| progress.say(&format!("{key}: {what}"));
        let suite = match reading.contract(key, &tell).await {
            Ok(findings) => Suite {
                connection: key.to_string(),
                failed: None,
                deviations: findings.iter().filter(|finding| finding.deviates()).count(),
                findings,
            },
            Err(error) => Suite {
                connection: key.to_string(),
                failed: Some(error.to_string()),
                deviations: 0,
                findings: Vec::new(),
            },
        };
        suites.push(suite);
    }
    drop(progress);
    let fancy = output.output == Format::Table && std::io::stdout().is_terminal();
    output.print(&suites, |suites| view(suites, fancy))?;
    let deviations: usize = suites.iter().map(|suite| suite.deviations).sum();
    let failed = suites.iter().filter(|suite| suite.failed.is_some()).count();
    if deviations + failed > 0 {
        return Err(Failure(format!(
            "{}, {} could not be tried",
            count(deviations, "deviation", "deviations"),
            count(failed, "connection", "connections")
        )));
    }
    Ok(Outcome::Done)
}

fn view(suites: &[Suite], fancy: bool) -> String {
    let mut text = String::new();
    for suite in suites {
        let _ = writeln!(text, "{}", paint(style::STRONG, &clean(&suite.connection)));
        if let Some(why) = &suite.failed {
            let _ = writeln!(text, "  {} {}", mark(Mark::Bad, fancy), clean(why));
        }
        for finding in &suite.findings {
            let (how, more) = match &finding.came_out {
                CameOut::Holds { note } => (Mark::Good, note.clone()),
                CameOut::Skipped { why } => (Mark::Note, Some(format!("skipped: {why}"))),
                CameOut::Deviates { expected, seen } => (
                    Mark::Bad,
                    Some(format!(
                        "expected {expected}; seen {seen} (source: {})",
                        finding.source
                    )),
                ),
            };
            let _ = writeln!(text, "  {} {}", mark(how, fancy), clean(&finding.name));
            if let Some(more) = more {
                let _ = writeln!(text, "       {}", paint(style::FAINT, &clean(&more)));
            }
        }
        let _ = writeln!(
            text,
            "  {} tried, {}\n",
            suite.findings.len(),
            count(suite.deviations, "deviation", "deviations")
        );
    }
    text
}
