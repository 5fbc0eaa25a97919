//! What is due when: a pure structure, given the time. At most one pass per object is under way; what happens to an
//! object during its pass makes one more pass afterwards, never two at once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::controllers::Next;
use crate::kubernetes::{Subject, jittered};

/// First wait after a failure.
const FIRST: Duration = Duration::from_secs(1);
/// Longest wait after many.
const LAST: Duration = Duration::from_mins(5);

/// Objects and when they are looked at next.
#[derive(Debug, Default)]
pub struct Schedule {
    slots: HashMap<Subject, Slot>,
    /// Due by now, and before all others.
    first: BTreeSet<Subject>,
    /// Due by now, in the order in which they became so.
    ready: BTreeSet<(Instant, Subject)>,
    /// Due later.
    later: BTreeSet<(Instant, Subject)>,
    /// Not yet looked at with success since the beginning.
    unseen: HashSet<Subject>,
    running: usize,
    in_backoff: usize,
}

/// One object. Absent: nothing is due and nothing went wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    due: Option<Instant>,
    running: bool,
    /// Woken while a pass was under way.
    again: bool,
    /// Of what is due next: before all others.
    first: bool,
    /// Failed passes in a row.
    failures: u8,
}

/// How a pass ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The controller says when to come back.
    Said(Next),
    /// The object is no longer there.
    Gone,
    /// It took too long, panicked, or could not begin.
    Broke,
}

impl Schedule {
    /// Of all objects that there are at the beginning, one: due now, and unseen until a pass of it succeeds.
    pub fn begin(&mut self, subject: Subject, now: Instant) {
        self.unseen.insert(subject.clone());
        self.wake(subject, now);
    }

    /// Something happened to the object: it is due now, whatever it waited for.
    pub fn wake(&mut self, subject: Subject, now: Instant) {
        let slot = self.slots.entry(subject.clone()).or_default();
        if slot.running {
            slot.again = true;
            return;
        }
        if let Some(due) = slot.due {
            // Not in `later`: it is ready already, and keeps its place.
            if !self.later.remove(&(due, subject.clone())) {
                return;
            }
        }
        slot.due = Some(now);
        self.ready.insert((now, subject));
    }

    /// The same, and it does not wait behind others that are due.
    pub fn wake_first(&mut self, subject: Subject, now: Instant) {
        let slot = self.slots.entry(subject.clone()).or_default();
        slot.first = true;
        if slot.running {
            slot.again = true;
            return;
        }
        if let Some(due) = slot.due.replace(now) {
            let place = (due, subject.clone());
            let _ = self.later.remove(&place) || self.ready.remove(&place);
        }
        self.first.insert(subject);
    }

    /// The object that has waited longest, if one is due; its pass counts as under way from here.
    pub fn take(&mut self, now: Instant) -> Option<Subject> {
        while let Some((due, _)) = self.later.first()
            && *due <= now
        {
            self.ready.extend(self.later.pop_first());
        }
        let subject = match self.first.pop_first() {
            Some(subject) => subject,
            None => self.ready.pop_first()?.1,
        };
        if let Some(slot) = self.slots.get_mut(&subject) {
            slot.due = None;
            slot.first = false;
            slot.running = true;
            self.running += 1;
        }
        Some(subject)
    }

    /// When the next object is due.
    pub fn next_due(&self) -> Option<Instant> {
        if let Some(subject) = self.first.first() {
            return self.slots.get(subject)?.due;
        }
        let first = self.ready.first().or_else(|| self.later.first());
        first.map(|(due, _)| *due)
    }

    /// A pass ended.
    pub fn finish(&mut self, subject: &Subject, ended: Ended, now: Instant) {
        let Some(mut slot) = self.slots.remove(subject) else {
            return;
        };
        self.running = self.running.saturating_sub(1);
        self.in_backoff -= usize::from(slot.failures > 0);
        if !matches!(ended, Ended::Broke | Ended::Said(Next::Backoff)) && self.unseen.remove(subject) {
            // Ten thousand names are needed once.
            if self.unseen.is_empty() {
                self.unseen.shrink_to_fit();
            }
        }
        let wait = match ended {
            Ended::Said(Next::Backoff) | Ended::Broke => {
                slot.failures = slot.failures.saturating_add(1);
                Some(backoff(slot.failures))
            }
            Ended::Said(Next::After(wait)) => {
                slot.failures = 0;
                Some(wait)
            }
            Ended::Said(Next::AwaitChange) | Ended::Gone => {
                slot.failures = 0;
                None
            }
        };
        self.in_backoff += usize::from(slot.failures > 0);
        let due = if slot.again {
            Some(now)
        } else {
            wait.map(|wait| now + wait)
        };
        if let Some(due) = due {
            let first = slot.again && slot.first;
            if first {
                self.first.insert(subject.clone());
            } else {
                self.later.insert((due, subject.clone()));
            }
            let slot = Slot {
                due: Some(due),
                running: false,
                again: false,
                first,
                failures: slot.failures,
            };
            self.slots.insert(subject.clone(), slot);
        }
    }

    /// How many passes are under way.
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many objects wait after a failure.
    pub fn in_backoff(&self) -> usize {
        self.in_backoff
    }

    /// How many objects have had no pass that succeeded since the beginning.
    pub fn unseen(&self) -> usize {
        self.unseen.len()
    }

    /// How many objects are due and wait for room.
    pub fn waiting(&self) -> usize {
        self.first.len() + self.ready.len()
    }
}

fn backoff(failures: u8) -> Duration {
    let doublings = u32::from(failures.saturating_sub(1)).min(16);
    jittered((FIRST * 2u32.pow(doublings)).min(LAST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{KindName, Name};

    fn subject(name: &str) -> Subject {
        Subject::new(KindName::AccessBinding, Name::new("ml", name))
    }

    #[test]
    fn an_object_is_never_worked_on_twice_at_once() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.wake(subject("a"), now);
        schedule.wake(subject("a"), now);
        assert_eq!(schedule.take(now), Some(subject("a")));
        schedule.wake(subject("a"), now);
        schedule.wake(subject("a"), now);
        assert_eq!(schedule.take(now), None);
        schedule.finish(&subject("a"), Ended::Said(Next::AwaitChange), now);
        assert_eq!(
            schedule.take(now),
            Some(subject("a")),
            "what happened meanwhile makes one more pass"
        );
        schedule.finish(&subject("a"), Ended::Said(Next::AwaitChange), now);
        assert_eq!(schedule.take(now), None);
        assert!(schedule.slots.is_empty(), "nothing is kept of an object at rest");
    }

    #[test]
    fn an_object_is_unseen_until_a_pass_succeeds() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.begin(subject("a"), now);
        schedule.wake(subject("b"), now);
        for (ended, unseen) in [(Ended::Broke, 1), (Ended::Said(Next::AwaitChange), 0)] {
            schedule.wake(subject("a"), now);
            while schedule.take(now).is_some() {}
            schedule.finish(&subject("a"), ended, now);
            assert_eq!(schedule.unseen(), unseen);
        }
    }

    #[test]
    fn after_is_exact_and_a_change_does_not_wait_for_it() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        let wait = Duration::from_mins(10);
        schedule.wake(subject("a"), now);
        schedule.take(now);
        schedule.finish(&subject("a"), Ended::Said(Next::After(wait)), now);
        assert_eq!(schedule.next_due(), Some(now + wait));
        schedule.wake(subject("a"), now);
        assert_eq!(schedule.take(now), Some(subject("a")));
        assert_eq!(schedule.next_due(), None);
    }

    #[test]
    fn failures_wait_longer_each_time_until_one_pass_succeeds() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.wake(subject("a"), now);
        let mut waits = Vec::new();
        let mut at = now;
        for _ in 0..12 {
            schedule.take(at);
            schedule.finish(&subject("a"), Ended::Broke, at);
            let due = schedule.next_due().unwrap();
            waits.push(due - at);
            at = due;
        }
        assert_eq!(schedule.in_backoff(), 1);
        assert!(waits[0] <= FIRST && waits[3] >= FIRST * 4, "{waits:?}");
        assert!(waits[11] <= LAST && waits[11] >= LAST / 2, "{waits:?}");
        schedule.take(at);
        schedule.finish(&subject("a"), Ended::Said(Next::AwaitChange), at);
        assert_eq!(schedule.in_backoff(), 0);
        schedule.wake(subject("a"), at);
        schedule.take(at);
        schedule.finish(&subject("a"), Ended::Said(Next::Backoff), at);
        assert!(schedule.next_due().unwrap() - at <= FIRST);
    }

    #[test]
    fn what_must_not_wait_goes_before_all_that_is_due() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        for name in ["a", "b", "c", "d"] {
            schedule.wake(subject(name), now);
        }
        schedule.wake_first(subject("d"), now + Duration::from_secs(1));
        schedule.wake(subject("d"), now + Duration::from_secs(2));
        assert_eq!(
            (schedule.waiting(), schedule.next_due()),
            (4, Some(now + Duration::from_secs(1)))
        );
        assert_eq!(schedule.take(now), Some(subject("d")));
        assert_eq!(schedule.take(now), Some(subject("a")));
        // Whose pass is under way has another one before the others, too, and once.
        schedule.wake_first(subject("a"), now);
        schedule.finish(&subject("a"), Ended::Said(Next::AwaitChange), now);
        assert_eq!(schedule.take(now), Some(subject("a")));
        let later = now + Duration::from_secs(3);
        schedule.wake(subject("a"), later);
        schedule.finish(&subject("a"), Ended::Said(Next::AwaitChange), later);
        assert_eq!(schedule.take(later), Some(subject("b")));
        // What waited for later does not wait any longer.
        schedule.finish(&subject("d"), Ended::Said(Next::After(LAST)), later);
        schedule.wake_first(subject("d"), later);
        assert_eq!(schedule.take(later), Some(subject("d")));
        assert_eq!((schedule.waiting(), schedule.running()), (2, 2));
    }

    #[test]
    fn who_is_due_first_goes_first() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        let connection = Subject::new(KindName::GerritConnection, Name::new("z", "z"));
        schedule.wake(subject("a"), now);
        schedule.wake(connection.clone(), now);
        assert_eq!(
            schedule.take(now),
            Some(connection),
            "of those due at once, connections"
        );
        assert_eq!(schedule.waiting(), 1);
        assert_eq!(schedule.running(), 1);
    }
}
