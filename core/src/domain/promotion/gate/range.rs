//! The gate over a range: every commit between what runs and what shall run is accounted for, or named. What was
//! pushed around review does not ride along under a clean change, and what was once refused stays refused until a
//! reviewed revert or a person's approval deals with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::evidence::{ChangeNumber, CommitId, TreeId};
use super::finding::{Class, Finding, FindingKind};
use super::only_waits;
use super::people::Email;

/// One commit of the branch's history, as git has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub parents: Vec<CommitId>,
    pub tree: TreeId,
    /// For a commit with two parents: the tree that merging them without rename detection and without conflict gives.
    /// `None`: it conflicts or was not computed.
    pub automatic_merge: Option<TreeId>,
    /// The commit whose exact inverse this one is, proven by comparing their patches.
    pub reverts: Option<CommitId>,
    /// Who wrote and who committed it, by their own word.
    pub hands: BTreeSet<Email>,
}

/// A person's yes to a commit that nobody accounts for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acceptance {
    /// Name of the PlanApproval.
    pub approval: String,
    /// The approver's user name in the cluster.
    pub by: String,
    pub at: Timestamp,
}

impl fmt::Display for Acceptance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { approval, by, at } = self;
        write!(f, "accepted by {by} at {at} (PlanApproval {approval})")
    }
}

/// One merged change of the project and what the gate said of it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedChange {
    pub number: ChangeNumber,
    pub findings: Vec<Finding>,
}

/// What the branch is held against.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    pub graph: &'a BTreeMap<CommitId, Commit>,
    pub tip: &'a CommitId,
    /// The merged revision of the change that is promoted; what speaks against it alone is shown as its own findings.
    pub own: &'a CommitId,
    /// The commit that runs; `None`: nothing has run yet.
    pub current: Option<&'a CommitId>,
    /// Where the history that must be explained begins.
    pub baseline: &'a CommitId,
    /// By the exact commit that Gerrit merged: neither an older patch set nor a copy of it is the change.
    pub changes: &'a BTreeMap<CommitId, JudgedChange>,
    /// Commits that a person accepted.
    pub accepted: &'a BTreeMap<CommitId, Acceptance>,
}

/// How one commit is accounted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// The merged revision of a change that passes, or only waits.
    Change(ChangeNumber),
    /// Gerrit's own merge of a change, with nothing added.
    MergeOf(ChangeNumber),
    /// Not reviewed, and taken back by a reviewed change.
    RevertedBy(ChangeNumber),
    /// Not reviewed, and accepted by a person.
    AcceptedBy(Acceptance),
    /// Why it is not accounted for.
    Unreviewed(String),
}

/// The whole range, commit by commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    pub tip: CommitId,
    pub own: CommitId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<CommitId>,
    pub baseline: CommitId,
    pub commits: BTreeMap<CommitId, Standing>,
    /// What the changes of the range wait for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Finding>,
    /// Why the history itself cannot be relied on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<String>,
}

impl Judgement {
    /// What speaks against the range.
    pub fn findings(&self) -> Vec<Finding> {
        let unreviewed = self
            .commits
            .iter()
            .filter_map(|(commit, standing)| match standing {
                Standing::Unreviewed(why) if *commit != self.own => Some(format!("commit {commit}: {why}")),
                _ => None,
            });
        let against: Vec<String> = self.broken.iter().cloned().chain(unreviewed).collect();
        let mut findings = self.waiting.clone();
        if !against.is_empty() {
            findings.push(Finding::new(
                FindingKind::UnreviewedAncestor,
                format!(
                    "{}: revert it by a reviewed change, or let a person accept it by a PlanApproval of the policy's plan",
                    against.join("; ")
                ),
            ));
        }
        findings
    }

    /// Commits that nobody accounts for.
    pub fn unexplained(&self) -> BTreeSet<&CommitId> {
        self.commits
            .iter()
            .filter(|(_, standing)| matches!(standing, Standing::Unreviewed(_)))
            .map(|(commit, _)| commit)
            .collect()
    }

    /// Accepted commits: the exceptions to be recorded.
    pub fn exceptions(&self) -> BTreeMap<CommitId, Acceptance> {
        self.commits
            .iter()
            .filter_map(|(commit, standing)| match standing {
                Standing::AcceptedBy(acceptance) => Some((commit.clone(), acceptance.clone())),
                _ => None,
            })
            .collect()
    }
}

/// Accounts for every commit that the tip brings and what runs, or lies before the baseline, does not hold.
pub fn judge(question: &Question<'_>) -> Judgement {
    let Question {
        graph,
        tip,
        own,
        current,
        baseline,
        changes,
        accepted: _,
    } = *question;
    let mut broken = Vec::new();
    let of_tip = ancestry(graph, tip);
    if !of_tip.contains(baseline) {
        broken.push(format!(
            "the baseline {baseline} is no ancestor of the tip {tip}, so the branch was rewritten"
        ));
    }
    let mut known = ancestry(graph, baseline);
    if let Some(current) = current {
        if of_tip.contains(current) {
            known.extend(ancestry(graph, current));
        } else {
            // What runs may hold what was taken out of the branch; it proves nothing about what is in it.
            broken.push(format!(
                "the commit that runs, {current}, is no ancestor of the tip {tip}, so the branch was rewound"
            ));
        }
    }
    let range: BTreeSet<&CommitId> = of_tip.difference(&known).copied().collect();
    let mut commits: BTreeMap<CommitId, Standing> = range
        .iter()
        .map(|commit| ((*commit).clone(), standing(question, commit)))
        .collect();
    excuse(question, &range, &mut commits);
    let waiting = range
        .iter()
        .filter_map(|commit| changes.get(*commit))
        .flat_map(|change| &change.findings)
        .filter(|finding| finding.kind.class() == Class::Waits)
        .cloned()
        .collect();
    Judgement {
        tip: tip.clone(),
        own: own.clone(),
        current: current.cloned(),
        baseline: baseline.clone(),
        commits,
        waiting,
        broken,
    }
}

/// A commit and everything below it, as far as the graph is known; unknown ends are in it.
fn ancestry<'a>(graph: &'a BTreeMap<CommitId, Commit>, from: &'a CommitId) -> BTreeSet<&'a CommitId> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(commit) = open.pop() {
        if seen.insert(commit) {
            open.extend(graph.get(commit).into_iter().flat_map(|node| &node.parents));
        }
    }
    seen
}

fn standing(question: &Question<'_>, commit: &CommitId) -> Standing {
    let Some(node) = question.graph.get(commit) else {
        return Standing::Unreviewed("it could not be read".into());
    };
    match question.changes.get(commit) {
        Some(change) if only_waits(&change.findings) => Standing::Change(change.number),
        Some(change) => {
            let refusing: Vec<String> = change
                .findings
                .iter()
                .filter(|finding| finding.kind.class() == Class::Refuses)
                .map(ToString::to_string)
                .collect();
            Standing::Unreviewed(format!(
                "{} does not pass: {}",
                change.number,
                refusing.join("; ")
            ))
        }
        None => explained_merge(question, node).unwrap_or_else(Standing::Unreviewed),
    }
}

/// A merge commit that Gerrit made of a merged revision, with nothing added by hand.
fn explained_merge(question: &Question<'_>, node: &Commit) -> Result<Standing, String> {
    let [_, merged] = node.parents.as_slice() else {
        return Err("it belongs to no merged change, so it was pushed around review".into());
    };
    let Some(change) = question.changes.get(merged) else {
        return Err(format!(
            "it merges {merged}, which is not the merged revision of a change"
        ));
    };
    match &node.automatic_merge {
        Some(tree) if *tree == node.tree => Ok(Standing::MergeOf(change.number)),
        Some(_) => Err(format!(
            "it merges {} but its tree is not what merging gives by itself: it was edited; submit types Fast Forward \
             Only, Rebase Always and Cherry Pick make no such commits",
            change.number
        )),
        None => Err(format!(
            "it merges {} and the merge could not be computed again; submit types Fast Forward Only, Rebase Always and \
             Cherry Pick make no such commits",
            change.number
        )),
    }
}

/// Lets pass what a reviewed change of the range took back, and what a person accepted.
fn excuse(question: &Question<'_>, range: &BTreeSet<&CommitId>, commits: &mut BTreeMap<CommitId, Standing>) {
    let mut excuses: BTreeMap<CommitId, Standing> = BTreeMap::new();
    for commit in range {
        let reverted = question.graph.get(*commit).and_then(|node| node.reverts.as_ref());
        if let (Some(reverted), Some(Standing::Change(number))) = (reverted, commits.get(*commit))
            && ancestry(question.graph, commit).contains(reverted)
        {
            excuses.insert(reverted.clone(), Standing::RevertedBy(*number));
        }
    }
    for (commit, acceptance) in question.accepted {
        excuses.insert(commit.clone(), Standing::AcceptedBy(acceptance.clone()));
    }
    for (commit, standing) in commits {
        if matches!(standing, Standing::Unreviewed(_))
            && let Some(excuse) = excuses.remove(commit)
        {
            *standing = excuse;
        }
    }
}

/// Whose history a baseline begins: kept in the record, so that deleting and re-creating a policy launders nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaselineKey {
    pub server: String,
    pub project: String,
    pub branch: String,
    pub workspace: String,
}

impl fmt::Display for BaselineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            project,
            branch,
            workspace,
        } = self;
        write!(
            f,
            "branch {branch} of {project} at {server} to workspace {workspace}"
        )
    }
}

/// Where the history that must be explained begins, and how that came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// As the record has it.
    Recorded(CommitId),
    /// The policy names it, and the record had none.
    Declared(CommitId),
    /// The tip at first sight: to be recorded, and not run.
    FirstSight(CommitId),
    /// The policy names another than the record: the record's stands until a PlanApproval moves it.
    Moved { recorded: CommitId, declared: CommitId },
}

impl Baseline {
    /// The commit that counts.
    pub fn commit(&self) -> &CommitId {
        match self {
            Self::Recorded(commit) | Self::Declared(commit) | Self::FirstSight(commit) => commit,
            Self::Moved { recorded, .. } => recorded,
        }
    }
}

/// What the baseline is: the record wins over the policy, and the policy over what is seen.
pub fn baseline(recorded: Option<&CommitId>, declared: Option<&CommitId>, tip: &CommitId) -> Baseline {
    match (recorded, declared) {
        (Some(recorded), Some(declared)) if recorded != declared => Baseline::Moved {
            recorded: recorded.clone(),
            declared: declared.clone(),
        },
        (Some(recorded), _) => Baseline::Recorded(recorded.clone()),
        (None, Some(declared)) => Baseline::Declared(declared.clone()),
        (None, None) => Baseline::FirstSight(tip.clone()),
    }
}
