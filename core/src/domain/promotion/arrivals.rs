//! Which changes a branch brings, in the order in which they came: one place for each commit of its own line (first
//! parents, from the baseline on), and at each the changes that came with it. A change of a chain that Gerrit merged
//! by one merge commit is deployed by that commit, whatever its place within the chain.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use crate::domain::promotion::gate::range::Commit;

/// One change as it reached the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub change: ChangeNumber,
    /// Its merged revision.
    pub own: CommitId,
    /// The first commit of the branch's own line that holds it: what is deployed.
    pub deployed: CommitId,
    /// Commits from the baseline to the deployed one along first parents; the baseline itself is 0.
    pub position: u64,
}

/// Everything that arrived after the baseline, oldest first. Empty where the baseline is not on the branch's own line:
/// then nobody can say what came after it.
pub fn arrivals(
    graph: &BTreeMap<CommitId, Commit>,
    tip: &CommitId,
    baseline: &CommitId,
    merged: &BTreeMap<CommitId, ChangeNumber>,
) -> Vec<Arrival> {
    let Some(line) = line(graph, tip, baseline) else {
        return Vec::new();
    };
    let mut held = BTreeSet::new();
    take(graph, baseline, &mut held);
    let mut found = Vec::new();
    for (position, deployed) in (1..).zip(line) {
        let mut came = take(graph, deployed, &mut held);
        // What was taken last lies deepest: the change that the merge names comes last, and is the one that runs.
        came.reverse();
        found.extend(came.into_iter().filter_map(|own| {
            Some(Arrival {
                change: *merged.get(own)?,
                own: own.clone(),
                deployed: deployed.clone(),
                position,
            })
        }));
    }
    found
}

/// How many commits along first parents one lies above another; `None`: it does not, or the tip does not hold both.
pub fn distance(
    graph: &BTreeMap<CommitId, Commit>,
    tip: &CommitId,
    from: &CommitId,
    to: &CommitId,
) -> Option<u64> {
    let line = line(graph, tip, from)?;
    if from == to {
        return Some(0);
    }
    let at = line.into_iter().position(|commit| commit == to)?;
    u64::try_from(at).ok()?.checked_add(1)
}

/// Whether a commit lies on the branch's own line.
pub fn is_on_line(graph: &BTreeMap<CommitId, Commit>, tip: &CommitId, commit: &CommitId) -> bool {
    line(graph, tip, commit).is_some()
}

/// The branch's own commits after the baseline, oldest first.
fn line<'a>(
    graph: &'a BTreeMap<CommitId, Commit>,
    tip: &'a CommitId,
    baseline: &CommitId,
) -> Option<Vec<&'a CommitId>> {
    let (mut line, mut at) = (Vec::new(), tip);
    while at != baseline {
        line.push(at);
        at = graph.get(at)?.parents.first()?;
    }
    line.reverse();
    Some(line)
}

/// What a commit holds beyond what is held already, which it joins.
fn take<'a>(
    graph: &'a BTreeMap<CommitId, Commit>,
    from: &'a CommitId,
    held: &mut BTreeSet<&'a CommitId>,
) -> Vec<&'a CommitId> {
    let (mut came, mut open) = (Vec::new(), vec![from]);
    while let Some(commit) = open.pop() {
        if held.insert(commit) {
            came.push(commit);
            open.extend(graph.get(commit).into_iter().flat_map(|node| &node.parents));
        }
    }
    came
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::promotion::gate::evidence::TreeId;

    fn id(name: &str) -> CommitId {
        CommitId(name.to_owned())
    }

    fn graph(rows: &[(&str, &[&str])]) -> BTreeMap<CommitId, Commit> {
        rows.iter()
            .map(|(name, parents)| {
                let commit = Commit {
                    parents: parents.iter().map(|parent| id(parent)).collect(),
                    tree: TreeId((*name).to_owned()),
                    automatic_merge: None,
                    reverts: None,
                    hands: BTreeSet::new(),
                };
                (id(name), commit)
            })
            .collect()
    }

    fn of(graph: &BTreeMap<CommitId, Commit>, tip: &str, merged: &[(&str, u64)]) -> Vec<(u64, String, u64)> {
        let merged = merged
            .iter()
            .map(|(commit, number)| (id(commit), ChangeNumber(*number)))
            .collect();
        arrivals(graph, &id(tip), &id("base"), &merged)
            .into_iter()
            .map(|arrival| (arrival.change.0, arrival.deployed.0, arrival.position))
            .collect()
    }

    #[test]
    fn on_a_straight_line_each_change_is_its_own_commit() {
        let graph = graph(&[
            ("base", &[]),
            ("a", &["base"]),
            ("pushed", &["a"]),
            ("b", &["pushed"]),
        ]);
        let found = of(&graph, "b", &[("a", 1), ("b", 2)]);
        assert_eq!(found, [(1, "a".to_owned(), 1), (2, "b".to_owned(), 3)]);
        assert!(of(&graph, "base", &[("a", 1)]).is_empty());
    }

    #[test]
    fn a_merged_chain_is_deployed_by_its_merge_and_the_change_that_the_merge_names_comes_last() {
        let graph = graph(&[
            ("base", &[]),
            ("other", &["base"]),
            ("low", &["base"]),
            ("top", &["low"]),
            ("merge", &["other", "top"]),
        ]);
        let found = of(&graph, "merge", &[("other", 1), ("low", 2), ("top", 3)]);
        let merge = || "merge".to_owned();
        assert_eq!(
            found,
            [(1, "other".to_owned(), 1), (2, merge(), 2), (3, merge(), 2)]
        );
    }

    #[test]
    fn a_branch_that_lost_its_baseline_brings_nothing() {
        let graph = graph(&[("a", &["else"]), ("else", &[])]);
        assert!(of(&graph, "a", &[("a", 1)]).is_empty());
    }
}
