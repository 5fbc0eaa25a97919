//! Policies as pictures and promotions as a table.

use std::fmt::Write as _;

use anstyle::Style;
use jiff::Timestamp;

use super::super::output::{clean, paint, style, table};
use super::super::words::{age, ahead, brought, moment, short};
use super::boxes::{Drawn, draw};
use super::list::Overview;
use crate::queries::promotions::pending::Pending;
use crate::queries::promotions::picture::{Brought, Counted, Picture, Place};
use crate::queries::promotions::rows::Row;
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::promotion_policy::PlanSubject;

/// Letters of a line where nobody says how wide the screen is.
const WIDTH: usize = 100;

/// The whole answer. `fancy`: on a terminal.
pub(super) fn overview(overview: &Overview, all: bool, fancy: bool, now: Timestamp) -> String {
    let width = comfy_table::Table::new().width().map_or(WIDTH, usize::from);
    let mut text = String::new();
    for policy in &overview.policies {
        text.push_str(&picture(policy, width, fancy, now));
        text.push('\n');
    }
    if overview.policies.is_empty() {
        text.push_str("There is no PromotionPolicy here.\n\n");
    }
    if overview.promotions.is_empty() {
        text.push_str("There are no promotions here.\n");
    } else {
        text.push_str(&promotions(&overview.promotions, all, now));
    }
    text
}

/// One policy.
fn picture(policy: &Picture, width: usize, fancy: bool, now: Timestamp) -> String {
    let Picture {
        namespace,
        name,
        project,
        enforces,
        suspended,
        not_ready,
        frozen,
        environments,
        pending,
    } = policy;
    let mode = match (suspended, enforces) {
        (true, _) => "suspended: nothing is read, judged or begun",
        (false, true) => "enforces",
        (false, false) => "observes: judges, and runs nothing",
    };
    let mut text = format!(
        "{} {}\n",
        paint(
            style::STRONG,
            &clean(&format!("PromotionPolicy {namespace}/{name}"))
        ),
        paint(style::FAINT, &clean(&format!("({project}, {mode})")))
    );
    let mut say = |colour: Style, what: &str, words: &str| {
        let _ = writeln!(text, "{} {}", paint(colour, what), clean(words));
    };
    if let Some(why) = not_ready.as_ref().filter(|_| !suspended) {
        say(style::REMOVE, "not ready:", why);
    }
    for freeze in frozen {
        let rollbacks = if freeze.rollbacks { ", rollbacks too" } else { "" };
        let words = format!(
            "until {} by ChangeFreeze {}{rollbacks}: {}",
            moment(freeze.until),
            freeze.freeze,
            freeze.reason
        );
        say(style::SET, "frozen", &words);
    }
    for waits in pending {
        say(style::SET, "asked:", &asked(waits));
    }
    text.push_str(&draw(&columns(environments, now), width, fancy));
    text
}

/// What a person is asked to say yes to, and how.
fn asked(pending: &Pending) -> String {
    let of = &pending.of;
    let environment = pending.plan.environment.as_deref();
    if let (PlanSubject::Resume, Some(environment)) = (pending.plan.subject, environment) {
        return format!(
            "environment {environment} is held   lockstep promotions resume {} {environment} -n {}",
            of.name, of.namespace
        );
    }
    let place = environment.map(|environment| format!(" of {environment}"));
    format!(
        "{:?}{}{}   lockstep approve promotionpolicy/{} -n {} --digest {}",
        pending.plan.subject,
        place.unwrap_or_default(),
        pending
            .plan
            .summary
            .first()
            .map(|first| format!(": {first}"))
            .unwrap_or_default(),
        of.name,
        of.namespace,
        pending.plan.digest
    )
}

/// Environments of the same depth stand in one column.
fn columns(environments: &[Place], now: Timestamp) -> Vec<Vec<Drawn>> {
    let mut columns: Vec<(usize, Vec<Drawn>)> = Vec::new();
    for place in environments {
        let drawn = Drawn {
            name: clean(&place.name),
            lines: lines(place, now),
        };
        match columns.last_mut() {
            Some((depth, boxes)) if *depth == place.depth => boxes.push(drawn),
            _ => columns.push((place.depth, vec![drawn])),
        }
    }
    columns.into_iter().map(|(_, boxes)| boxes).collect()
}

/// What is said of one environment, what runs first.
fn lines(place: &Place, now: Timestamp) -> Vec<(Style, String)> {
    let Place {
        name: _,
        depth: _,
        after,
        runs,
        acts,
        waits,
        held,
        next_window,
        counted,
        unexplained_commits,
    } = place;
    let mut lines = Vec::new();
    let mut say = |colour: Style, words: String| lines.push((colour, clean(&words)));
    match runs {
        Some(runs) => {
            let since = runs.since.map(|since| format!(" since {}", age(since, now)));
            say(
                style::ADD,
                format!("runs {}{}", what(runs), since.unwrap_or_default()),
            );
        }
        None => say(style::FAINT, "nothing was brought here yet".into()),
    }
    if let Some(acts) = acts {
        let phase = match acts.phase {
            Some(PromotionPhase::Undoing) => "goes back",
            Some(_) => "acts",
            None => "acts, not seen",
        };
        let note = if acts.note.is_empty() {
            String::new()
        } else {
            format!(": {}", acts.note)
        };
        let since = acts.since.map(|since| format!(", {}", age(since, now)));
        say(
            style::NOTE,
            format!("{phase} {}{note}{}", what(acts), since.unwrap_or_default()),
        );
    }
    if let Some(waits) = waits {
        let note = if waits.note.is_empty() {
            "not judged yet"
        } else {
            &waits.note
        };
        let again = waits.again.filter(|again| *again > now);
        let again = again.map(|again| format!(", again {}", ahead(again, now)));
        say(
            style::SET,
            format!("waits {}: {note}{}", what(waits), again.unwrap_or_default()),
        );
    }
    if let Some(held) = held {
        let since = held.since.map(|since| format!(" since {}", age(since, now)));
        say(
            style::REMOVE,
            format!("HELD{}: {}", since.unwrap_or_default(), held.reason),
        );
    }
    if let Some(window) = next_window.filter(|window| *window > now) {
        say(
            style::SET,
            format!("next window {} ({})", ahead(window, now), moment(window)),
        );
    }
    if *unexplained_commits > 0 {
        let commits = super::super::output::count(*unexplained_commits, "commit", "commits");
        say(style::REMOVE, format!("{commits} that nobody accounts for"));
    }
    if let Some(counted) = counted {
        let colour = if counted.unexplained > 0 {
            style::REMOVE
        } else {
            style::FAINT
        };
        say(colour, count(counted));
    }
    for upstream in after {
        let soak = upstream.soak.as_ref().map(|soak| format!(", soak {soak}"));
        say(
            style::FAINT,
            format!("after {}{}", upstream.environment, soak.unwrap_or_default()),
        );
    }
    lines
}

/// Change and commit, or the promotion where they are unknown.
fn what(brought_: &Brought) -> String {
    let words = brought(brought_.change, brought_.revision.as_deref());
    if words.is_empty() {
        brought_.promotion.clone()
    } else {
        words
    }
}

fn count(counted: &Counted) -> String {
    let Counted {
        total,
        explained,
        acknowledged,
        unexplained,
        unseen,
    } = counted;
    let mut words = vec![format!("{total} runs"), format!("{explained} explained")];
    if *acknowledged > 0 {
        words.push(format!("{acknowledged} acknowledged"));
    }
    words.push(format!("{unexplained} unexplained"));
    if *unseen > 0 {
        words.push(format!("{unseen} parts not seen"));
    }
    words.join(", ")
}

fn promotions(rows: &[Row], all: bool, now: Timestamp) -> String {
    let mut head = vec!["name", "change", "revision", "phase", "reason", "age"];
    if all {
        head.insert(0, "namespace");
    }
    let cells = rows.iter().map(|row| {
        let mut cells = vec![
            clean(&row.name),
            row.change.map(|change| change.to_string()).unwrap_or_default(),
            clean(row.revision.as_deref().map(short).unwrap_or_default()),
            row.phase.map_or_else(String::new, |phase| format!("{phase:?}")),
            reason(row),
            row.made.map(|made| age(made, now)).unwrap_or_default(),
        ];
        if all {
            cells.insert(0, clean(&row.namespace));
        }
        cells
    });
    table(&head, cells.collect())
}

fn reason(row: &Row) -> String {
    let gone = row
        .directory_gone
        .then(|| "directory gone: no way back to it".to_owned());
    let reason = Some(clean(&row.reason)).filter(|reason| !reason.is_empty());
    let words: Vec<String> = [reason, gone].into_iter().flatten().collect();
    words.join("; ")
}

#[cfg(test)]
#[path = "list_view_tests.rs"]
mod tests;
