//! Whether now is the time.

use super::super::Moment;
use super::super::finding::{Finding, FindingKind};
use super::super::freeze::{self, Freeze, Stopped};
use jiff::Timestamp;

pub fn frozen(moment: &Moment<'_>) -> Option<Finding> {
    frozen_by(moment.freezes, moment.stopped, moment.now)
}

/// What freezes say to whom they stop.
pub fn frozen_by(freezes: &[Freeze], stopped: &Stopped<'_>, now: Timestamp) -> Option<Finding> {
    let applying = freeze::applying(freezes, stopped, now);
    let over = applying.iter().map(|freeze| freeze.until).max();
    let names: Vec<String> = applying
        .iter()
        .map(|freeze| {
            format!(
                "ChangeFreeze {}/{} until {}: {}",
                freeze.namespace, freeze.name, freeze.until, freeze.reason
            )
        })
        .collect();
    (!names.is_empty()).then(|| Finding::new(FindingKind::Frozen, names.join("; ")).again(over))
}

pub fn outside_window(moment: &Moment<'_>) -> Option<Finding> {
    if moment.windows.open_at(moment.now) {
        return None;
    }
    let next = moment.windows.next_opening(moment.now);
    let when = next.map_or_else(
        || "and does not open in the foreseeable time: look at windows.allow and windows.deny".to_owned(),
        |next| format!("and opens at {next}"),
    );
    Some(Finding::new(FindingKind::OutsideWindow, format!("the window is closed {when}")).again(next))
}
