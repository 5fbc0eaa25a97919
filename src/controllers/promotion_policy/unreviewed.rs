//! Commits that got around review and stop what lies on top of them, and the person who accepts them all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::ResourceExt as _;
use lockstep_core::api::Promotion;
use lockstep_core::api::promotion::{PromotionPhase, RangeCommit};
use lockstep_core::api::promotion_policy::{AcceptedCommit, PlanSubject};
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::gate::finding::FindingKind;
use lockstep_core::domain::promotion::gate::range::Acceptance;
use lockstep_core::domain::promotion::machine::kept;
use serde_json::json;

use super::approvals::{Ask, Wanted};
use super::gather::Environment;

/// Accepted commits that a status remembers.
const REMEMBERED: usize = 100;

/// What of the newest verdict nobody accounts for.
pub struct Unreviewed<'a> {
    promotion: &'a Promotion,
    commits: Vec<&'a RangeCommit>,
    /// The status shows all of them.
    all: bool,
}

/// Looks at the newest promotion that was judged: what older ones were refused for, it is refused for too.
pub fn unreviewed(environment: &Environment) -> Option<Unreviewed<'_>> {
    let judged = |promotion: &&Arc<Promotion>| {
        let status = promotion.status.as_ref();
        status.is_some_and(|status| status.range.is_some() && status.judged_at.is_some())
    };
    let newest = environment
        .siblings
        .iter()
        .filter(judged)
        .filter_map(|promotion| Some((kept::place(&promotion.spec)?, promotion)))
        .max_by_key(|(place, _)| *place)?;
    let promotion = newest.1.as_ref();
    let own = promotion.spec.deploy.as_ref()?.revision.as_str();
    let range = promotion.status.as_ref()?.range.as_ref()?;
    let nobodys = |commit: &&RangeCommit| commit.standing == "Unreviewed";
    // What speaks against a change itself is no ancestor, and nobody can accept it.
    let commits = range.commits.iter().filter(nobodys);
    let commits: Vec<&RangeCommit> = commits.filter(|commit| commit.commit != own).collect();
    let shown = i64::try_from(range.commits.len()).unwrap_or_default();
    // They come first.
    let all = range.count <= shown || !range.commits.iter().all(|commit| nobodys(&commit));
    (!commits.is_empty()).then_some(Unreviewed {
        promotion,
        commits,
        all,
    })
}

impl<'a> Unreviewed<'a> {
    /// Commits that nobody has accepted yet.
    pub fn left(&self, accepted: &BTreeMap<CommitId, Acceptance>) -> Vec<&'a RangeCommit> {
        let is_left = |commit: &&&'a RangeCommit| !accepted.contains_key(&CommitId(commit.commit.clone()));
        self.commits.iter().filter(is_left).copied().collect()
    }

    /// The plan that accepts them; `None`: there is nothing to accept, more than anybody could read, or not all of it
    /// is known.
    pub fn plan(&self, environment: &Environment) -> Option<Wanted> {
        let left = self.left(&environment.remembered.accepted);
        let names: BTreeSet<&str> = left.iter().map(|commit| commit.commit.as_str()).collect();
        let hands = |commit: &RangeCommit| environment.hands.get(&CommitId(commit.commit.clone()));
        // Whoever wrote it must not be the one to accept it, so that has to be known.
        let interested: Option<Vec<_>> = left.iter().map(|commit| hands(commit)).collect();
        let interested = interested.filter(|_| self.all && !left.is_empty())?;
        let lines = left.iter().zip(&interested).map(|(commit, hands)| {
            let by: Vec<String> = hands.iter().map(ToString::to_string).collect();
            let by = by.join(" and ");
            let why = commit.message.as_deref().unwrap_or_default();
            format!("accept commit {} by {by} as it is: {why}", commit.commit)
        });
        let name = &environment.name;
        Some(Wanted {
            subject: PlanSubject::Commit,
            environment: Some(name.clone()),
            effect: json!(names),
            message: format!(
                "environment {name}: nobody accounts for {}, which stops {}: revert by a reviewed change, or accept it",
                names
                    .iter()
                    .map(|commit| format!("commit {commit}"))
                    .collect::<Vec<_>>()
                    .join(", "),
                self.promotion.name_any()
            ),
            lines: lines.collect(),
            interested: interested
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect(),
        })
    }

    /// The promotion that would pass now, if nothing else spoke against it.
    pub fn to_judge_again(&self, accepted: &BTreeMap<CommitId, Acceptance>) -> Option<&'a Promotion> {
        let status = self.promotion.status.as_ref()?;
        let found = status.verdict.as_ref().map(|verdict| verdict.findings.as_slice());
        let alone = found.unwrap_or_default().iter().all(|finding| {
            let kind: Option<FindingKind> = serde_json::from_value(json!(finding.kind)).ok();
            kind.is_some_and(|kind| kind == FindingKind::UnreviewedAncestor || kind.can_be_overridden())
        });
        let refused = status.phase == Some(PromotionPhase::Refused);
        (refused && alone && self.left(accepted).is_empty()).then_some(self.promotion)
    }

    /// Those left, as a status shows them.
    pub fn names(&self, accepted: &BTreeMap<CommitId, Acceptance>) -> Vec<String> {
        let left = self.left(accepted).into_iter();
        left.map(|commit| commit.commit.clone()).collect()
    }
}

/// The commits of a plan that a person said yes to.
pub fn accepted(
    ask: &Ask,
    unreviewed: &Unreviewed<'_>,
    environment: &Environment,
    at: jiff::Timestamp,
) -> BTreeMap<CommitId, Acceptance> {
    let Ok(approval) = &ask.approval else {
        return BTreeMap::new();
    };
    let acceptance = Acceptance {
        approval: approval.name_any(),
        by: approval.spec.approver.clone(),
        at,
    };
    let left = unreviewed.left(&environment.remembered.accepted).into_iter();
    left.map(|commit| (CommitId(commit.commit.clone()), acceptance.clone()))
        .collect()
}

/// As a status remembers them, the newest first.
pub fn rows(accepted: &BTreeMap<CommitId, Acceptance>) -> Vec<AcceptedCommit> {
    let mut all: Vec<_> = accepted.iter().collect();
    all.sort_by_key(|(_, acceptance)| std::cmp::Reverse(acceptance.at));
    let row = |(commit, acceptance): (&CommitId, &Acceptance)| {
        let Acceptance { approval, by, at } = acceptance;
        AcceptedCommit {
            commit: commit.0.clone(),
            approval: approval.clone(),
            by: by.clone(),
            at: *at,
        }
    };
    all.into_iter().take(REMEMBERED).map(row).collect()
}

/// What a status remembers.
pub fn read(rows: &[AcceptedCommit]) -> BTreeMap<CommitId, Acceptance> {
    let one = |row: &AcceptedCommit| {
        let AcceptedCommit {
            commit,
            approval,
            by,
            at,
        } = row;
        let acceptance = Acceptance {
            approval: approval.clone(),
            by: by.clone(),
            at: *at,
        };
        (CommitId(commit.clone()), acceptance)
    };
    rows.iter().map(one).collect()
}
