//! Puts one merged change before the gate: everything between what runs and what it would bring, read and judged
//! commit by commit. Reads only; the same for a promotion and for somebody who asks before the merge.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use lockstep_core::api::PromotionPolicy;
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::ports::{ConnectionKey, SystemError};
use lockstep_core::domain::promotion::gate::evidence::{
    ChangeNumber, CommitId, Evidence, Governance, TreeId,
};
use lockstep_core::domain::promotion::gate::finding::Verdict;
use lockstep_core::domain::promotion::gate::freeze::Stopped;
use lockstep_core::domain::promotion::gate::people::GroupUuid;
use lockstep_core::domain::promotion::gate::range::{self, Acceptance, JudgedChange, Judgement, Question};
use lockstep_core::domain::promotion::gate::rules::Rules;
use lockstep_core::domain::promotion::gate::{self, Case, Moment, Success, Surroundings, ahead};
use lockstep_core::domain::promotion::machine::kept;
use lockstep_core::domain::promotion::ports::reviews::{ChangeRef, Inquiry, Review, Watched};

use super::super::Context;
use super::super::branches::{Branches, History};
use super::super::governed;

/// Evidence is read anew after so long: votes and groups move.
const FRESH: SignedDuration = SignedDuration::from_secs(30);
/// And after so long more for each change of the range, or what was read first of many would be too old before the
/// last one was read, and nobody would ever come to an end.
const FRESH_EACH: SignedDuration = SignedDuration::from_secs(2);
/// Changes of one range that are read at once: a first look at a long range is a matter of minutes otherwise.
const READS: usize = 8;
/// Gerrit's own group of machines has a name and no fixed uuid; members that the server marks count without it.
const SERVICE_USERS: Option<GroupUuid> = None;

/// What is judged.
pub struct Subject<'a> {
    pub policy: &'a PromotionPolicy,
    pub rules: &'a Rules,
    pub surroundings: &'a Surroundings,
    pub connection: &'a ConnectionKey,
    pub on: &'a Watched,
    /// Its revision: the merged one, or the newest.
    pub own: &'a CommitId,
    /// The commit that would be deployed.
    pub deployed: &'a CommitId,
    pub change: ChangeNumber,
    /// It is not merged: judged as if it were submitted now.
    pub open: bool,
    /// The commit that runs.
    pub current: Option<&'a CommitId>,
    pub baseline: &'a CommitId,
    /// Commits that a person accepted.
    pub accepted: &'a BTreeMap<CommitId, Acceptance>,
    pub moment: Moment<'a>,
}

/// What came of it.
pub struct Judged {
    pub verdict: Verdict,
    /// The change itself as it was read.
    pub found: Option<Arc<Evidence>>,
    /// Digest of the rules that judged it.
    pub rules: String,
    pub range: Judgement,
    /// Of the change itself first.
    pub evidence: Vec<Arc<Evidence>>,
    /// The tree that would be deployed.
    pub tree: TreeId,
    /// The changes that it would bring.
    pub brought: Vec<Success>,
}

/// Reads and judges.
pub async fn judge(
    branches: &Branches,
    review: &dyn Review,
    subject: &Subject<'_>,
    history: &History,
    context: &Context,
) -> Result<Judged, SystemError> {
    let now = subject.moment.now;
    let held: BTreeSet<&CommitId> = [Some(subject.baseline), subject.current]
        .into_iter()
        .flatten()
        .collect();
    let inside = reach(&history.graph, subject.deployed, &held);
    let own = (subject.own, subject.change);
    let others = history.merged.iter().map(|(commit, number)| (commit, *number));
    let others: Vec<_> = others.filter(|(commit, _)| inside.contains(commit)).collect();
    let reading = Reading {
        branches,
        review,
        subject,
        history,
        branch: reach(&history.graph, &history.tip, &BTreeSet::new()),
        rules: subject.rules.digest(),
        fresh: fresh(now, others.len()),
        context,
    };
    let wanted: BTreeMap<&CommitId, ChangeNumber> = others.into_iter().chain([own]).collect();
    let mut evidence: BTreeMap<CommitId, Arc<Evidence>> = reading.all(wanted).await?;
    let found = evidence.get(subject.own).cloned();
    if let (true, Some(change)) = (subject.open, &found) {
        evidence.insert(subject.own.clone(), Arc::new(ahead::as_submitted(change, now)));
    }
    let case = |change: &Evidence| {
        gate::judge_change(&Case {
            rules: subject.rules,
            change,
            surroundings: subject.surroundings,
            now,
        })
    };
    let changes: BTreeMap<CommitId, JudgedChange> = history
        .merged
        .iter()
        .filter_map(|(commit, number)| {
            let change = evidence.get(commit)?;
            let judged = JudgedChange {
                number: *number,
                findings: case(change),
            };
            Some((commit.clone(), judged))
        })
        .collect();
    let range = range::judge(&Question {
        graph: &history.graph,
        tip: subject.deployed,
        own: subject.own,
        current: subject.current,
        baseline: subject.baseline,
        changes: &changes,
        accepted: subject.accepted,
    });
    let Some(change) = evidence.remove(subject.own) else {
        return Err(super::super::unread(
            subject.connection,
            &subject.change.to_string(),
        ));
    };
    let verdict = gate::judge(
        &Case {
            rules: subject.rules,
            change: &change,
            surroundings: subject.surroundings,
            now,
        },
        &range,
        &subject.moment,
    );
    let tree = match history.graph.get(subject.deployed) {
        Some(commit) => commit.tree.clone(),
        None => {
            return Err(super::super::unread(
                subject.connection,
                &subject.deployed.to_string(),
            ));
        }
    };
    let mut others: Vec<Arc<Evidence>> = evidence.into_values().collect();
    others.sort_by_key(|change| Reverse((change.submitted, change.number)));
    let evidence: Vec<Arc<Evidence>> = [change].into_iter().chain(others).collect();
    let brought = evidence.iter().take(kept::BROUGHT);
    let brought = brought.map(|change| success(change, now)).collect();
    Ok(Judged {
        verdict,
        found,
        rules: subject.rules.digest(),
        range,
        evidence,
        tree,
        brought,
    })
}

/// A change as it counts for the environments after this one, once it has succeeded here.
fn success(change: &Evidence, at: Timestamp) -> Success {
    Success {
        change: change.number,
        change_id: change.change_id.clone(),
        revision: change.revision.clone(),
        patch: change.patch.clone(),
        cherry_pick_of: change.cherry_pick_of,
        at,
        taken_back: false,
    }
}

/// What a commit holds and `held` do not.
pub fn reach<'a>(
    graph: &'a BTreeMap<CommitId, range::Commit>,
    from: &'a CommitId,
    held: &BTreeSet<&'a CommitId>,
) -> BTreeSet<&'a CommitId> {
    let mut below = BTreeSet::new();
    let mut open: Vec<&CommitId> = held.iter().copied().collect();
    while let Some(commit) = open.pop() {
        if below.insert(commit) {
            open.extend(graph.get(commit).into_iter().flat_map(|node| &node.parents));
        }
    }
    let (mut inside, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(commit) = open.pop() {
        if !below.contains(commit) && inside.insert(commit) {
            open.extend(graph.get(commit).into_iter().flat_map(|node| &node.parents));
        }
    }
    inside
}

/// Groups that a gate asks about.
pub fn groups(rules: &Rules) -> BTreeSet<GroupUuid> {
    let approval = [rules.approval.group.clone()];
    let verification = rules
        .verification
        .iter()
        .map(|verification| verification.group.clone());
    let agents = rules.agents.identities.iter();
    let agents = agents.flat_map(|identity| [Some(identity.group.clone()), identity.sponsors.clone()]);
    approval
        .into_iter()
        .chain(verification)
        .chain(agents.flatten())
        .collect()
}

/// How old evidence may be that is read with that of so many others.
fn fresh(now: Timestamp, others: usize) -> Timestamp {
    let others = i32::try_from(others).unwrap_or(i32::MAX);
    let longest = FRESH.saturating_add(FRESH_EACH.saturating_mul(others));
    now.checked_sub(longest).unwrap_or(now)
}

/// Reads the changes of one range.
struct Reading<'a> {
    branches: &'a Branches,
    review: &'a dyn Review,
    subject: &'a Subject<'a>,
    history: &'a History,
    /// All that the branch holds.
    branch: BTreeSet<&'a CommitId>,
    /// Digest of the rules.
    rules: String,
    fresh: Timestamp,
    context: &'a Context,
}

impl Reading<'_> {
    async fn all(
        &self,
        wanted: BTreeMap<&CommitId, ChangeNumber>,
    ) -> Result<BTreeMap<CommitId, Arc<Evidence>>, SystemError> {
        let read = |(commit, number): (&CommitId, ChangeNumber)| {
            let commit = commit.clone();
            async move {
                let found = self.evidence(&commit, number).await?;
                Ok((commit, found))
            }
        };
        stream::iter(wanted.into_iter().map(read))
            .buffer_unordered(READS)
            .try_collect()
            .await
    }

    /// What is known of the change of a merged commit. Of many who ask at once one reads.
    async fn evidence(&self, commit: &CommitId, number: ChangeNumber) -> Result<Arc<Evidence>, SystemError> {
        let Self {
            branches, subject, ..
        } = *self;
        let remembered = || branches.remembered(subject.connection, number, &self.rules, self.fresh);
        if let Some(known) = remembered() {
            return Ok(known);
        }
        let turn = branches.turn(subject.connection, number);
        let _turn = turn.lock().await;
        if let Some(known) = remembered() {
            return Ok(known);
        }
        let now = self.context.clock.now();
        let evidence = Arc::new(self.read(commit, number, now).await?);
        branches.remember(subject.connection, number, &self.rules, now, evidence.clone());
        Ok(evidence)
    }

    async fn read(
        &self,
        commit: &CommitId,
        number: ChangeNumber,
        now: Timestamp,
    ) -> Result<Evidence, SystemError> {
        let Self {
            review,
            subject,
            history,
            ..
        } = *self;
        let change = ChangeRef {
            project: subject.on.project.clone(),
            number,
        };
        let ahead = subject.open && commit == subject.own;
        let by_git = self.branch.contains(commit) && !ahead;
        let inquiry = Inquiry {
            groups: groups(subject.rules),
            service_users: SERVICE_USERS,
            since: governed::since(subject.policy),
            fresh: now.checked_sub(FRESH).unwrap_or(now),
            by_git,
        };
        let mut evidence = review.system().evidence(&change, &inquiry).await?;
        if let Some(node) = history.graph.get(&evidence.revision) {
            let repository = review.repository(subject.on);
            evidence.tree = Some(node.tree.clone());
            evidence.patch = repository.patch(&evidence.revision).await?;
            // Of another revision than the one that merged nobody knows where it is.
            if by_git && evidence.revision == *commit {
                evidence.in_branch = Some(true);
                evidence.paths = Some(repository.paths(commit).await?);
            }
        }
        for (uuid, group) in &mut evidence.groups {
            group.governed_by = governance(uuid, subject.connection, self.context);
        }
        Ok(evidence)
    }
}

/// The binding that declares who is in a group, if there is one.
fn governance(group: &GroupUuid, connection: &ConnectionKey, context: &Context) -> Option<Governance> {
    let connection = context
        .cluster
        .gerrit_connection(&connection.namespace, &connection.name)?;
    let server = connection.status.as_ref()?.server.clone()?;
    governed::by(
        &Target::GerritGroup {
            server,
            uuid: group.0.clone(),
        },
        &*context.cluster,
    )
}

/// Whom a freeze would stop.
pub fn stopped<'a>(
    policy: &'a PromotionPolicy,
    labels: &'a BTreeMap<String, String>,
    rollback: bool,
) -> Stopped<'a> {
    Stopped {
        kind: "PromotionPolicy",
        namespace: policy.metadata.namespace.as_deref().unwrap_or_default(),
        labels,
        rollback,
    }
}
