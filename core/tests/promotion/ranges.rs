//! Every commit of the range is accounted for, or named.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId, TreeId};
use lockstep_core::domain::promotion::gate::finding::{Finding, FindingKind};
use lockstep_core::domain::promotion::gate::range::{
    Acceptance, Baseline, Commit, JudgedChange, Judgement, Question, Standing, baseline, judge,
};

use crate::review::{at, commit};

/// A history `a <- b <- c <- ...` whose commits are all merged changes that pass, numbered from 1.
struct History {
    graph: BTreeMap<CommitId, Commit>,
    changes: BTreeMap<CommitId, JudgedChange>,
    accepted: BTreeMap<CommitId, Acceptance>,
    tip: CommitId,
    current: Option<CommitId>,
    baseline: CommitId,
}

fn node(parents: &[&str], tree: &str) -> Commit {
    Commit {
        parents: parents.iter().map(|name| commit(name)).collect(),
        tree: TreeId(tree.into()),
        automatic_merge: None,
        reverts: None,
        hands: BTreeSet::new(),
    }
}

fn history(names: &[&str]) -> History {
    let mut graph = BTreeMap::new();
    let mut changes = BTreeMap::new();
    let mut parent: Option<&str> = None;
    for (number, name) in (1..).zip(names) {
        graph.insert(commit(name), node(parent.as_slice(), &format!("tree of {name}")));
        changes.insert(
            commit(name),
            JudgedChange {
                number: ChangeNumber(number),
                findings: Vec::new(),
            },
        );
        parent = Some(name);
    }
    History {
        graph,
        changes,
        accepted: BTreeMap::new(),
        tip: commit(names.last().unwrap()),
        current: None,
        baseline: commit(names[0]),
    }
}

impl History {
    fn judge(&self) -> Judgement {
        judge(&Question {
            graph: &self.graph,
            tip: &self.tip,
            own: &self.tip,
            current: self.current.as_ref(),
            baseline: &self.baseline,
            changes: &self.changes,
            accepted: &self.accepted,
        })
    }

    /// Pushed around review: no change holds it.
    fn pushed(&mut self, name: &str) {
        self.changes.remove(&commit(name));
    }

    fn fails(&mut self, name: &str, kind: FindingKind) {
        let change = self.changes.get_mut(&commit(name)).unwrap();
        change.findings.push(Finding::new(kind, "because"));
    }

    /// Commits that nobody accounts for, and the kinds of findings.
    fn found(&self) -> (Vec<String>, Vec<FindingKind>) {
        let judgement = self.judge();
        let unexplained = judgement.unexplained().into_iter();
        let unexplained = unexplained.map(|commit| commit.0.clone()).collect();
        let kinds = judgement.findings().iter().map(|finding| finding.kind).collect();
        (unexplained, kinds)
    }

    fn assert_unreviewed(&self, names: &[&str]) {
        let (unexplained, kinds) = self.found();
        assert_eq!(unexplained, names);
        assert_eq!(
            kinds.contains(&FindingKind::UnreviewedAncestor),
            !names.is_empty()
        );
    }
}

#[test]
fn a_range_of_reviewed_changes_passes() {
    let history = history(&["a", "b", "c"]);
    history.assert_unreviewed(&[]);
    assert_eq!(history.judge().commits.len(), 2);
}

#[test]
fn what_was_pushed_around_review_does_not_ride_along_under_a_clean_change() {
    let mut history = history(&["a", "b", "c"]);
    history.pushed("b");
    history.assert_unreviewed(&["b"]);
}

#[test]
fn what_the_gate_refused_does_not_ride_along_either() {
    let mut history = history(&["a", "b", "c"]);
    history.fails("b", FindingKind::NotEnoughApprovals);
    history.assert_unreviewed(&["b"]);
    let message = history.judge().findings()[0].message.clone();
    assert!(
        message.contains("commit b: change 2 does not pass: NotEnoughApprovals"),
        "{message}"
    );
}

#[test]
fn what_waits_below_makes_what_is_above_wait() {
    let mut history = history(&["a", "b", "c"]);
    history.fails("b", FindingKind::Soaking);
    assert_eq!(history.found(), (Vec::new(), vec![FindingKind::Soaking]));
}

#[test]
fn the_changes_own_findings_are_not_said_twice() {
    let mut history = history(&["a", "b"]);
    history.fails("b", FindingKind::Vetoed);
    let (unexplained, kinds) = history.found();
    assert_eq!((unexplained, kinds), (vec!["b".to_owned()], Vec::new()));
}

#[test]
fn before_the_baseline_and_below_what_runs_nothing_is_asked() {
    let mut history = history(&["a", "b", "c", "d"]);
    history.pushed("a");
    history.pushed("b");
    history.baseline = commit("b");
    history.assert_unreviewed(&[]);
    history.baseline = commit("a");
    history.assert_unreviewed(&["b"]);
    history.current = Some(commit("b"));
    history.assert_unreviewed(&[]);
}

#[test]
fn a_reviewed_revert_takes_back_what_was_pushed_around_review() {
    let mut history = history(&["a", "b", "c", "d"]);
    history.pushed("b");
    history.graph.get_mut(&commit("c")).unwrap().reverts = Some(commit("b"));
    history.assert_unreviewed(&[]);
    assert_eq!(
        history.judge().commits[&commit("b")],
        Standing::RevertedBy(ChangeNumber(3))
    );
}

#[test]
fn a_revert_that_nobody_reviewed_or_that_comes_before_takes_back_nothing() {
    let mut pushed = history(&["a", "b", "c", "d"]);
    pushed.pushed("b");
    pushed.pushed("c");
    pushed.graph.get_mut(&commit("c")).unwrap().reverts = Some(commit("b"));
    pushed.assert_unreviewed(&["b", "c"]);

    let mut before = history(&["a", "b", "c", "d"]);
    before.pushed("c");
    before.graph.get_mut(&commit("b")).unwrap().reverts = Some(commit("c"));
    before.assert_unreviewed(&["c"]);
}

#[test]
fn a_person_can_accept_a_commit_and_that_is_recorded_as_an_exception() {
    let mut history = history(&["a", "b", "c"]);
    history.pushed("b");
    let yes = Acceptance {
        approval: "accept-b".into(),
        by: "lead@example.com".into(),
        at: at(30),
    };
    history.accepted.insert(commit("b"), yes.clone());
    history.assert_unreviewed(&[]);
    let judgement = history.judge();
    assert_eq!(judgement.exceptions(), BTreeMap::from([(commit("b"), yes)]));
}

/// `a <- b`, and `a <- c` merged by `m`, which is no change.
fn diverged() -> History {
    let mut history = history(&["a", "b"]);
    history.graph.insert(commit("c"), node(&["a"], "tree of c"));
    history.changes.insert(
        commit("c"),
        JudgedChange {
            number: ChangeNumber(3),
            findings: Vec::new(),
        },
    );
    let mut merge = node(&["b", "c"], "both");
    merge.automatic_merge = Some(TreeId("both".into()));
    history.graph.insert(commit("m"), merge);
    history.tip = commit("m");
    history
}

#[test]
fn gerrits_own_merge_is_explained() {
    let history = diverged();
    history.assert_unreviewed(&[]);
    assert_eq!(
        history.judge().commits[&commit("m")],
        Standing::MergeOf(ChangeNumber(3))
    );
}

#[test]
fn a_merge_that_was_edited_is_not_explained_and_names_the_submit_types_that_avoid_it() {
    for tree in [Some(TreeId("other".into())), None] {
        let mut history = diverged();
        history.graph.get_mut(&commit("m")).unwrap().automatic_merge = tree;
        let judgement = history.judge();
        assert_eq!(judgement.unexplained(), BTreeSet::from([&commit("m")]));
        let Standing::Unreviewed(why) = &judgement.commits[&commit("m")] else {
            panic!("explained")
        };
        assert!(why.contains("Rebase Always"), "{why}");
    }
}

#[test]
fn a_merge_of_what_nobody_reviewed_is_not_explained() {
    let mut history = diverged();
    history.pushed("c");
    // The tip is no change, so its own finding must not swallow this.
    history.graph.insert(commit("z"), node(&["m"], "z"));
    history.changes.insert(
        commit("z"),
        JudgedChange {
            number: ChangeNumber(9),
            findings: Vec::new(),
        },
    );
    history.tip = commit("z");
    history.assert_unreviewed(&["c", "m"]);
}

#[test]
fn all_parents_are_walked() {
    let mut history = diverged();
    history.graph.insert(commit("x"), node(&["a"], "x"));
    history.graph.get_mut(&commit("c")).unwrap().parents = vec![commit("x")];
    history.assert_unreviewed(&["x"]);
}

#[test]
fn a_branch_that_was_rewritten_is_seen() {
    let mut rewound = history(&["a", "b", "c"]);
    rewound.current = Some(commit("elsewhere"));
    assert_eq!(rewound.found().1, [FindingKind::UnreviewedAncestor]);

    let mut unrelated = history(&["a", "b", "c"]);
    unrelated.baseline = commit("elsewhere");
    assert!(unrelated.found().1.contains(&FindingKind::UnreviewedAncestor));
}

#[test]
fn history_that_could_not_be_read_is_not_explained() {
    let mut history = history(&["a", "b", "c"]);
    history.graph.remove(&commit("b"));
    let (unexplained, kinds) = history.found();
    assert_eq!(unexplained, ["b"]);
    assert!(kinds.contains(&FindingKind::UnreviewedAncestor));
}

#[test]
fn a_policy_made_anew_launders_nothing() {
    let (a, b, tip) = (commit("a"), commit("b"), commit("tip"));
    assert_eq!(baseline(None, None, &tip), Baseline::FirstSight(tip.clone()));
    assert_eq!(baseline(None, Some(&a), &tip), Baseline::Declared(a.clone()));
    assert_eq!(baseline(Some(&a), None, &tip), Baseline::Recorded(a.clone()));
    let moved = baseline(Some(&a), Some(&b), &tip);
    assert_eq!(moved.commit(), &a);
    assert!(matches!(moved, Baseline::Moved { .. }));
}
