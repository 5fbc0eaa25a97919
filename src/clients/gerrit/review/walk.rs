//! Which commits of a history must be read to know what a tip has and others do not reach, newest first, as git walks.
//! Dates only decide in which order: a forged one makes the walk longer, and reaches nobody's commit.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_core::domain::promotion::gate::evidence::CommitId;

/// From where a commit is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reached {
    tip: bool,
    known: bool,
}

#[derive(Debug)]
struct Seen {
    parents: Vec<CommitId>,
    date: Timestamp,
    reached: Reached,
}

/// A walk: asked for the next commit to read, told what it is, until nothing is left to read.
#[derive(Debug)]
pub(super) struct Walk {
    seen: BTreeMap<CommitId, Seen>,
    queue: BTreeSet<(Timestamp, CommitId)>,
    wanted: Vec<(CommitId, Reached)>,
}

impl Walk {
    pub fn new(tip: &CommitId, known: &BTreeSet<CommitId>) -> Self {
        let (from_tip, from_known) = (
            Reached {
                tip: true,
                known: false,
            },
            Reached {
                tip: false,
                known: true,
            },
        );
        let known = known.iter().map(|commit| (commit.clone(), from_known));
        Self {
            seen: BTreeMap::new(),
            queue: BTreeSet::new(),
            wanted: std::iter::once((tip.clone(), from_tip)).chain(known).collect(),
        }
    }

    /// The commit to read next; the same until it is [added](Self::add).
    pub fn next_unread(&mut self) -> Option<CommitId> {
        loop {
            while let Some((commit, reached)) = self.wanted.last().cloned() {
                let Some(seen) = self.seen.get_mut(&commit) else {
                    return Some(commit);
                };
                self.wanted.pop();
                let both = Reached {
                    tip: seen.reached.tip || reached.tip,
                    known: seen.reached.known || reached.known,
                };
                if both != seen.reached {
                    seen.reached = both;
                    self.queue.insert((seen.date, commit));
                }
            }
            let undecided = |commit: &CommitId| {
                let seen = self.seen.get(commit);
                seen.is_some_and(|seen| seen.reached.tip && !seen.reached.known)
            };
            if !self.queue.iter().any(|(_, commit)| undecided(commit)) {
                return None;
            }
            let (_, commit) = self.queue.pop_last()?;
            if let Some(Seen { parents, reached, .. }) = self.seen.get(&commit) {
                let parents = parents.iter().map(|parent| (parent.clone(), *reached));
                self.wanted.extend(parents);
            }
        }
    }

    pub fn add(&mut self, commit: CommitId, parents: Vec<CommitId>, date: Timestamp) {
        let seen = Seen {
            parents,
            date,
            reached: Reached::default(),
        };
        self.seen.insert(commit, seen);
    }

    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// What the tip has and the others do not reach.
    pub fn beyond(&self) -> Vec<CommitId> {
        let beyond = |seen: &Seen| seen.reached.tip && !seen.reached.known;
        let commits = self.seen.iter().filter(|(_, seen)| beyond(seen));
        commits.map(|(commit, _)| commit.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(name: &str) -> CommitId {
        CommitId(name.into())
    }

    /// Names of what is read, in a history of `commit: parents` whose dates are those numbers.
    fn read(history: &[(&str, i64, &[&str])], tip: &str, known: &[&str]) -> BTreeSet<String> {
        let known = known.iter().map(|name| commit(name)).collect();
        let mut walk = Walk::new(&commit(tip), &known);
        let mut read = BTreeSet::new();
        while let Some(next) = walk.next_unread() {
            let (_, date, parents) = history.iter().find(|(name, ..)| *name == next.0).unwrap();
            let parents = parents.iter().map(|name| commit(name)).collect();
            assert!(read.insert(next.0.clone()), "{next} is read twice");
            walk.add(next, parents, Timestamp::from_second(*date).unwrap());
        }
        assert_eq!(walk.len(), read.len());
        assert!(walk.beyond().iter().all(|commit| !known.contains(commit)));
        read
    }

    const HISTORY: &[(&str, i64, &[&str])] = &[
        ("root", 1, &[]),
        ("old", 2, &["root"]),
        ("fork", 3, &["old"]),
        ("current", 5, &["fork"]),
        ("side", 4, &["fork"]),
        ("tip", 6, &["current", "side"]),
    ];

    #[test]
    fn a_walk_ends_where_what_is_known_begins() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert_eq!(read(HISTORY, "current", &["fork"]), names(&["current", "fork"]));
        // The side branch began below what is known: the two must be seen to meet.
        let all = read(HISTORY, "tip", &["current"]);
        assert!(all.is_superset(&names(&["tip", "current", "side", "fork"])) && !all.contains("root"));
        assert_eq!(read(HISTORY, "tip", &[]).len(), HISTORY.len());
        assert_eq!(read(HISTORY, "fork", &["fork"]), names(&["fork"]));
    }

    #[test]
    fn a_forged_date_makes_nothing_known() {
        let mut history = HISTORY.to_vec();
        history[4].1 = 1_000;
        let read = read(&history, "tip", &["current"]);
        assert!(read.contains("side") && read.contains("fork"));
    }
}
