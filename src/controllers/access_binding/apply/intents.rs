//! Intents of a pass: what is about to be written, what a person had to release first, and what of earlier passes
//! nobody has looked up yet.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lockstep_core::api::access_binding::Intent;
use lockstep_core::domain::access::decide::{intent, still_open};
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::ports::{JournalState, SystemError, SystemErrorKind};

use super::super::Gathered;
use super::super::plan::Planned;

pub(super) struct Intents {
    /// Begun by earlier passes, and not known to have come to anything or nothing.
    open: Vec<Intent>,
    /// Of this pass's plan.
    planned: Vec<Intent>,
    /// Targets whose changes a person releases, by an approval that this pass uses or an earlier one used.
    released: BTreeSet<String>,
    /// Whether the approval is still to be used.
    unused: bool,
}

impl Intents {
    pub fn of(gathered: &Gathered, planned: &Planned, now: Timestamp) -> Self {
        let decision = &planned.decision;
        let mine = decision.plan.changes.iter();
        let mine: Vec<Intent> = mine
            .map(|change| intent(change, decision.authoritative.contains(&change.target), now))
            .collect();
        let question = &gathered.question;
        let released: BTreeSet<String> = planned.released.iter().map(ToString::to_string).collect();
        let unused = planned.approval.is_some();
        // A change that is still to be released takes nothing's place yet.
        let replaced: BTreeSet<&str> = mine
            .iter()
            .map(|intent| intent.target.as_str())
            .filter(|target| !(unused && released.contains(*target)))
            .collect();
        let open = question.intents.iter().filter(|intent| {
            !replaced.contains(intent.target.as_str()) && still_open(intent, &question.world, now)
        });
        Self {
            open: open.cloned().collect(),
            planned: mine,
            released,
            unused,
        }
    }

    /// What may be journalled before the approval is used.
    pub fn free(&self) -> Vec<Intent> {
        let waits = |intent: &Intent| self.unused && self.released.contains(&intent.target);
        let planned = self.planned.iter().filter(|intent| !waits(intent));
        self.open.iter().chain(planned).cloned().collect()
    }

    /// Everything that this pass begins, and what earlier ones began.
    pub fn all(&self) -> Vec<Intent> {
        self.open.iter().chain(&self.planned).cloned().collect()
    }

    /// What is left once everything was tried. What failed without an effect is planned anew; what may have had one
    /// is looked up by its intent, and what a person released stays released. A write that was begun by an earlier
    /// pass and meets its own traces now (`Stale`: the name is taken) is looked up too.
    pub fn left(self, before: Option<&JournalState>, failed: &[(String, SystemError)]) -> Vec<Intent> {
        let begun = |intent: &Intent| {
            let before = before.iter().flat_map(|before| &before.intents);
            before.into_iter().any(|old| old.digest == intent.digest)
        };
        let planned = self.planned.into_iter().filter(|intent| {
            let Ok(target) = intent.target.parse::<Target>() else {
                return false;
            };
            let Some((_, error)) = failed.iter().find(|(unit, _)| *unit == target.write_unit()) else {
                return false;
            };
            match error.kind {
                SystemErrorKind::OutcomeUnknown => true,
                _ if error.partly || self.released.contains(&intent.target) => true,
                SystemErrorKind::Stale => begun(intent),
                _ => false,
            }
        });
        self.open.into_iter().chain(planned).collect()
    }
}
