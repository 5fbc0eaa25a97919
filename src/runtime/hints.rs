//! Hints that wait to be followed. However many are posted, few are held and each connection is looked at no more often
//! than its default poll would: a flood costs Gerrit nothing that polling does not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lockstep_core::domain::hint::Hint;
use lockstep_core::domain::ports::ConnectionKey;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Different hints that one connection may hold. A project or group of which nobody declares anything takes a place too,
/// since who is concerned is asked later.
const HELD: usize = 256;
/// How long a connection that was hinted at is left alone; as long as the default of `events.poll`.
const PAUSE: Duration = Duration::from_secs(5);
/// A day: nothing is due before something is heard.
const LONG: Duration = Duration::from_hours(24);

/// What became of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    New,
    /// The same one waits already, and will be followed once.
    Known,
    /// As many wait as may.
    Full,
    /// This replica does not lead.
    NotLeading,
}

/// Hints by connection: a pure structure, given the time.
#[derive(Debug)]
struct Queue {
    waiting: BTreeMap<ConnectionKey, Line>,
    pause: Duration,
}

#[derive(Debug)]
struct Line {
    hints: BTreeSet<Hint>,
    not_before: Instant,
}

impl Queue {
    fn new(pause: Duration) -> Self {
        Self {
            waiting: BTreeMap::new(),
            pause,
        }
    }

    fn add(&mut self, connection: &ConnectionKey, hint: Hint, now: Instant) -> Added {
        let line = self.waiting.entry(connection.clone()).or_insert_with(|| Line {
            hints: BTreeSet::new(),
            not_before: now,
        });
        if line.hints.contains(&hint) {
            return Added::Known;
        }
        if line.hints.len() >= HELD {
            return Added::Full;
        }
        line.hints.insert(hint);
        Added::New
    }

    /// Everything that may be followed now.
    fn take(&mut self, now: Instant) -> BTreeMap<ConnectionKey, BTreeSet<Hint>> {
        // Who has rested and heard nothing new is forgotten.
        self.waiting
            .retain(|_, line| !line.hints.is_empty() || line.not_before > now);
        let due = self.waiting.iter_mut().filter(|(_, line)| line.not_before <= now);
        due.map(|(connection, line)| {
            line.not_before = now + self.pause;
            (connection.clone(), std::mem::take(&mut line.hints))
        })
        .collect()
    }

    /// When something may be followed next.
    fn next_due(&self) -> Option<Instant> {
        let lines = self.waiting.values().filter(|line| !line.hints.is_empty());
        lines.map(|line| line.not_before).min()
    }
}

/// The hints of this replica: heard while it leads, refused while it does not.
#[derive(Debug)]
pub(super) struct Hints {
    /// `None`: it does not lead, and whoever does knows nothing of what is heard here.
    queue: Mutex<Option<Queue>>,
    heard: Notify,
    pause: Duration,
}

impl Default for Hints {
    fn default() -> Self {
        Self {
            queue: Mutex::default(),
            heard: Notify::new(),
            pause: PAUSE,
        }
    }
}

/// Hints are heard until this is dropped.
pub(super) struct Hearing(Arc<Hints>);

impl Hints {
    /// Begins to hear.
    pub fn hear(self: &Arc<Self>) -> Hearing {
        *self.queue() = Some(Queue::new(self.pause));
        Hearing(self.clone())
    }

    pub fn is_hearing(&self) -> bool {
        self.queue().is_some()
    }

    pub fn add(&self, connection: &ConnectionKey, hint: Hint) -> Added {
        let mut queue = self.queue();
        let Some(queue) = queue.as_mut() else {
            return Added::NotLeading;
        };
        let added = queue.add(connection, hint, Instant::now());
        if added == Added::New {
            self.heard.notify_one();
        }
        added
    }

    fn queue(&self) -> MutexGuard<'_, Option<Queue>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hearing {
    /// Hands out what is due, and waits until something is.
    pub async fn next(&self) -> BTreeMap<ConnectionKey, BTreeSet<Hint>> {
        let Self(hints) = self;
        loop {
            let now = Instant::now();
            let (taken, due) = hints
                .queue()
                .as_mut()
                .map_or_else(Default::default, |queue| (queue.take(now), queue.next_due()));
            if !taken.is_empty() {
                return taken;
            }
            let due = due.unwrap_or(now + LONG);
            tokio::select! {
                () = hints.heard.notified() => {}
                () = sleep_until(due) => {}
            }
        }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        *self.0.queue() = None;
    }
}

#[cfg(test)]
mod tests {
    use lockstep_core::domain::ports::ConnectionKind;
    use proptest::prelude::*;

    use super::*;

    fn connection(number: u8) -> ConnectionKey {
        ConnectionKey {
            kind: ConnectionKind::Gerrit,
            namespace: "platform".into(),
            name: format!("gerrit-{number}"),
        }
    }

    fn hint(number: u16) -> Hint {
        Hint::Config {
            project: number.to_string(),
        }
    }

    #[test]
    fn the_first_hint_is_followed_at_once_and_those_right_after_it_together() {
        let (mut queue, now) = (Queue::new(PAUSE), Instant::now());
        assert_eq!(queue.add(&connection(1), hint(1), now), Added::New);
        assert_eq!(queue.take(now).len(), 1);
        let soon = now + PAUSE / 2;
        assert_eq!(
            queue.add(&connection(1), hint(1), soon),
            Added::New,
            "it may be another edit"
        );
        assert_eq!(queue.add(&connection(1), hint(1), soon), Added::Known);
        assert_eq!(queue.add(&connection(1), hint(2), soon), Added::New);
        assert_eq!(queue.add(&connection(2), hint(1), soon), Added::New);
        let taken = queue.take(soon);
        assert_eq!(
            taken.keys().collect::<Vec<_>>(),
            [&connection(2)],
            "each connection rests by itself"
        );
        assert_eq!(queue.next_due(), Some(now + PAUSE));
        assert_eq!(
            queue.take(now + PAUSE)[&connection(1)],
            BTreeSet::from([hint(1), hint(2)])
        );
    }

    #[test]
    fn nothing_is_kept_of_a_connection_at_rest() {
        let (mut queue, now) = (Queue::new(PAUSE), Instant::now());
        queue.add(&connection(1), hint(1), now);
        queue.take(now);
        assert_eq!(queue.next_due(), None);
        assert!(queue.take(now + PAUSE).is_empty());
        assert!(queue.waiting.is_empty());
    }

    #[test]
    fn one_connections_flood_leaves_room_for_another() {
        let (mut queue, now) = (Queue::new(PAUSE), Instant::now());
        let flood =
            (0..=u16::try_from(HELD).unwrap()).map(|number| queue.add(&connection(1), hint(number), now));
        let last = flood.collect::<Vec<_>>();
        assert_eq!(last.iter().filter(|added| **added == Added::New).count(), HELD);
        assert_eq!(last.last(), Some(&Added::Full));
        assert_eq!(
            queue.add(&connection(1), hint(0), now),
            Added::Known,
            "it is followed all the same"
        );
        assert_eq!(queue.add(&connection(2), hint(0), now), Added::New);
    }

    /// What may happen to a queue.
    #[derive(Clone, Debug)]
    enum Step {
        Add(u8, u16),
        /// Time goes by, in milliseconds, and what is due is taken.
        Take(u64),
    }

    /// Enough between two takes that lines fill up.
    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let add = (0..2u8, 0..400u16).prop_map(|(connection, hint)| Step::Add(connection, hint));
        let step = prop_oneof![600 => add, 1 => (0..8_000u64).prop_map(Step::Take)];
        proptest::collection::vec(step, 0..2_500)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_line_grows_beyond_its_bound_and_what_was_taken_in_comes_out_once(steps in steps()) {
            let (mut queue, mut now) = (Queue::new(PAUSE), Instant::now());
            let mut inside: BTreeMap<ConnectionKey, BTreeSet<Hint>> = BTreeMap::new();
            let mut followed: BTreeMap<ConnectionKey, Instant> = BTreeMap::new();
            for step in steps.into_iter().chain([Step::Take(8_000)]) {
                match step {
                    Step::Add(number, what) => {
                        let (connection, hint) = (connection(number), hint(what));
                        let held = inside.entry(connection.clone()).or_default();
                        let expected = match (held.contains(&hint), held.len() == HELD) {
                            (true, _) => Added::Known,
                            (false, true) => Added::Full,
                            (false, false) => Added::New,
                        };
                        prop_assert_eq!(queue.add(&connection, hint.clone(), now), expected);
                        if expected == Added::New {
                            held.insert(hint);
                        }
                        prop_assert!(queue.waiting[&connection].hints.len() <= HELD);
                    }
                    Step::Take(millis) => {
                        now += Duration::from_millis(millis);
                        for (connection, hints) in queue.take(now) {
                            prop_assert!(!hints.is_empty());
                            prop_assert_eq!(inside.remove(&connection), Some(hints));
                            let last = followed.insert(connection, now);
                            prop_assert!(last.is_none_or(|last| now - last >= PAUSE));
                        }
                        let left = inside.values().any(|hints| !hints.is_empty());
                        prop_assert_eq!(queue.next_due().is_some(), left);
                        prop_assert!(queue.next_due().is_none_or(|due| due > now && due <= now + PAUSE));
                    }
                }
            }
            prop_assert!(inside.is_empty(), "eight seconds without news leave nothing behind");
            prop_assert!(queue.waiting.len() <= 2);
        }
    }

    #[tokio::test]
    async fn hints_are_heard_while_somebody_leads() {
        let pause = Duration::from_millis(100);
        let hints = Arc::new(Hints {
            pause,
            ..Hints::default()
        });
        assert_eq!(hints.add(&connection(1), hint(1)), Added::NotLeading);
        let hearing = hints.hear();
        assert_eq!(hints.add(&connection(1), hint(1)), Added::New);
        let before = Instant::now();
        assert_eq!(hearing.next().await[&connection(1)], BTreeSet::from([hint(1)]));
        let waits = async {
            tokio::task::yield_now().await;
            assert_eq!(hints.add(&connection(1), hint(2)), Added::New);
        };
        let (taken, ()) = tokio::join!(hearing.next(), waits);
        assert_eq!(taken[&connection(1)], BTreeSet::from([hint(2)]));
        assert!(before.elapsed() >= pause, "it rested in between");
        hints.add(&connection(2), hint(3));
        drop(hearing);
        assert_eq!(hints.add(&connection(2), hint(3)), Added::NotLeading);
        let hearing = hints.hear();
        assert!(
            hints.queue().as_ref().unwrap().waiting.is_empty(),
            "who leads again begins with nothing"
        );
        drop(hearing);
    }
}
