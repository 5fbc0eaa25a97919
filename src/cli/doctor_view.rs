//! The doctor's screen: one line per check, marked in colour on a terminal and in plain letters in a pipe.

use std::fmt::Write as _;

use super::doctor::{Mark, Report};
use super::output::{clean, paint, style};

/// Widest first column that still leaves room for what is said.
const WIDEST: usize = 48;

pub(super) fn report(report: &Report, fancy: bool) -> String {
    let mut text = String::new();
    let width = report
        .checks
        .iter()
        .map(|check| check.what.chars().count())
        .max()
        .unwrap_or(0)
        .min(WIDEST);
    let mut area = "";
    for check in &report.checks {
        if check.area != area {
            area = check.area;
            let _ = writeln!(text, "{}", paint(style::STRONG, area));
        }
        let _ = writeln!(
            text,
            "  {} {:width$}  {}",
            mark(check.mark, fancy),
            clean(&check.what),
            clean(&check.says)
        );
    }
    let sum = match report.broken {
        0 if report.checks.iter().any(|check| check.mark == Mark::Note) => {
            "Nothing is seen to be broken; the notes say what to know.".to_owned()
        }
        0 => "Everything is as it should be.".to_owned(),
        1 => "1 check failed.".to_owned(),
        several => format!("{several} checks failed."),
    };
    let _ = writeln!(text, "\n{}", paint(style::STRONG, &sum));
    text
}

/// A mark that also reads without colours, and without letters beyond ASCII in a pipe.
pub(super) fn mark(mark: Mark, fancy: bool) -> String {
    match (mark, fancy) {
        (Mark::Good, true) => paint(style::ADD, "✓"),
        (Mark::Note, true) => paint(style::SET, "!"),
        (Mark::Bad, true) => paint(style::REMOVE, "✗"),
        (Mark::Good, false) => "ok  ".into(),
        (Mark::Note, false) => "note".into(),
        (Mark::Bad, false) => "FAIL".into(),
    }
}
