//! What a status shows of a promotion, bounded and in words.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion::{
    EvidenceRow, FindingRow, PromotionPhase, RangeCommit, RangeStatus, StepRow, StepRowState, VerdictStatus,
    VoteRow,
};
use lockstep_core::domain::promotion::gate::evidence::Evidence;
use lockstep_core::domain::promotion::gate::finding::{Finding, FindingKind, Verdict};
use lockstep_core::domain::promotion::gate::range::{Judgement, Standing};
use lockstep_core::domain::promotion::machine::kept::Kept;
use lockstep_core::domain::promotion::machine::ready::Course;
use lockstep_core::domain::promotion::machine::state::{
    End, FailureKind, Phase, Promotion, Step, StepState, Words,
};
use lockstep_core::domain::promotion::policy::Action;
use lockstep_core::domain::promotion::ports::deployments::words;

use super::super::super::promotion_policy::unreviewed;

/// Commits of a range that are shown.
const COMMITS: usize = 50;
/// Changes whose evidence is shown.
const CHANGES: usize = 20;
/// Votes, requirements and findings of one row.
const FEW: usize = 16;
/// Longest value of a step that is shown; longer ones are kept beside.
const VALUE: usize = 256;
/// Longest message of a finding.
const MESSAGE: usize = 2_000;

fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

pub(super) fn phase(phase: &Phase) -> PromotionPhase {
    match phase {
        Phase::Waiting => PromotionPhase::Waiting,
        Phase::Running => PromotionPhase::Running,
        Phase::Undoing(_) => PromotionPhase::Undoing,
        Phase::Ended(End::Succeeded) => PromotionPhase::Succeeded,
        Phase::Ended(End::Failed { .. }) => PromotionPhase::Failed,
        Phase::Ended(End::Refused) => PromotionPhase::Refused,
        Phase::Ended(End::Superseded(_)) => PromotionPhase::Superseded,
        Phase::Ended(End::Cancelled) => PromotionPhase::Cancelled,
    }
}

/// The reason that shows why a step failed.
pub(super) fn failure(kind: FailureKind) -> Reason {
    match kind {
        FailureKind::CodeTampered => Reason::CodeTampered,
        FailureKind::JobRunsOtherCode => Reason::JobRunsOtherCode,
        FailureKind::UnreviewedModel => Reason::UnreviewedModel,
        FailureKind::Cancelled => Reason::Cancelled,
        FailureKind::Refused => Reason::Refused,
        FailureKind::InternalError
        | FailureKind::CloudFailure
        | FailureKind::Failed
        | FailureKind::TimedOut => Reason::Failed,
    }
}

/// The reason of a finding: its own name.
pub(super) fn reason(kind: FindingKind) -> Reason {
    match kind {
        FindingKind::NotMerged => Reason::NotMerged,
        FindingKind::NotInBranch => Reason::NotInBranch,
        FindingKind::UnsupportedGerritVersion => Reason::UnsupportedGerritVersion,
        FindingKind::GateBelowFloor => Reason::GateBelowFloor,
        FindingKind::MergedAroundReview => Reason::MergedAroundReview,
        FindingKind::LabelRedefined => Reason::LabelRedefined,
        FindingKind::Vetoed => Reason::Vetoed,
        FindingKind::NotEnoughApprovals => Reason::NotEnoughApprovals,
        FindingKind::SelfApproval => Reason::SelfApproval,
        FindingKind::VoteOnBehalf => Reason::VoteOnBehalf,
        FindingKind::MachineApproval => Reason::MachineApproval,
        FindingKind::ApproverGroupUngoverned => Reason::ApproverGroupUngoverned,
        FindingKind::ContentChangedAfterApproval => Reason::ContentChangedAfterApproval,
        FindingKind::NotVerified => Reason::NotVerified,
        FindingKind::AgentNeedsHumans => Reason::AgentNeedsHumans,
        FindingKind::DiffersFromUpstream => Reason::DiffersFromUpstream,
        FindingKind::UpstreamMissing => Reason::UpstreamMissing,
        FindingKind::Soaking => Reason::Soaking,
        FindingKind::UnreviewedAncestor => Reason::UnreviewedAncestor,
        FindingKind::Frozen => Reason::Frozen,
        FindingKind::OutsideWindow => Reason::OutsideWindow,
    }
}

/// The step it is at.
pub(super) fn where_it_is(promotion: &Promotion) -> String {
    let done = |step: &&Step| step.state == StepState::Done;
    let at = promotion.steps.iter().find(|step| !done(step));
    let count = promotion.steps.iter().filter(done).count();
    at.map_or_else(String::new, |step| {
        format!("step {} ({} of {})", step.name, count + 1, promotion.steps.len())
    })
}

fn finding(finding: &Finding) -> FindingRow {
    FindingRow {
        kind: finding.kind.to_string(),
        message: cut(&finding.message, MESSAGE),
        again: finding.again,
    }
}

pub(super) fn verdict(verdict: &Verdict) -> VerdictStatus {
    VerdictStatus {
        passes: Some(verdict.passes()),
        findings: verdict.findings.iter().map(finding).collect(),
        overridden: verdict.overridden.iter().take(4).map(finding).collect(),
        exceptions: unreviewed::rows(&verdict.exceptions),
    }
}

pub(super) fn range(range: &Judgement) -> RangeStatus {
    let number = |number: u64| i64::try_from(number).ok();
    let commit = |(commit, standing): (&_, &Standing)| {
        let (standing, change, message) = match standing {
            Standing::Change(change) => ("Change", number(change.0), None),
            Standing::MergeOf(change) => ("MergeOf", number(change.0), None),
            Standing::RevertedBy(change) => ("RevertedBy", number(change.0), None),
            Standing::AcceptedBy(acceptance) => ("AcceptedBy", None, Some(acceptance.to_string())),
            Standing::Unreviewed(why) => ("Unreviewed", None, Some(why.clone())),
        };
        RangeCommit {
            commit: ToString::to_string(commit),
            standing: standing.to_owned(),
            change,
            message: message.map(|text| cut(&text, VALUE)),
        }
    };
    // What nobody accounts for is what people look for.
    let mut commits: Vec<_> = range.commits.iter().collect();
    commits.sort_by_key(|(_, standing)| match standing {
        Standing::Unreviewed(_) => 0,
        Standing::AcceptedBy(_) => 1,
        Standing::Change(_) | Standing::MergeOf(_) | Standing::RevertedBy(_) => 2,
    });
    RangeStatus {
        tip: range.tip.to_string(),
        current: range.current.as_ref().map(ToString::to_string),
        baseline: range.baseline.to_string(),
        count: i64::try_from(commits.len()).unwrap_or(i64::MAX),
        commits: commits.into_iter().take(COMMITS).map(commit).collect(),
    }
}

pub(super) fn evidence(all: &[Arc<Evidence>]) -> Vec<EvidenceRow> {
    all.iter()
        .take(CHANGES)
        .map(|change| evidence_row(change))
        .collect()
}

fn evidence_row(change: &Evidence) -> EvidenceRow {
    let name = |id| cut(&change.people.name(id), 256);
    let uploader = change
        .patch_sets
        .values()
        .next_back()
        .and_then(|set| set.uploader);
    EvidenceRow {
        change: i64::try_from(change.number.0).unwrap_or(i64::MAX),
        revision: change.revision.to_string(),
        tree: change.tree.as_ref().map(|tree| tree.0.clone()),
        owner: name(change.owner),
        uploader: uploader.map(name),
        author: change
            .author
            .as_ref()
            .map(|author| cut(&author.email.to_string(), 256)),
        submitter: change.submitter.map(name),
        submitted: change.submitted,
        votes: change
            .votes
            .iter()
            .flatten()
            .filter(|vote| vote.value != 0)
            .take(FEW)
            .map(|vote| VoteRow {
                label: vote.label.clone(),
                value: vote.value,
                by: name(vote.account),
                at: vote.time,
            })
            .collect(),
        requirements: change
            .requirements
            .iter()
            .flatten()
            .take(FEW)
            .map(|(name, status)| cut(&format!("{name}: {status:?}"), 320))
            .collect(),
        meta_rev_id: change.meta_rev_id.clone(),
        digest: None,
    }
}

fn shown(words: &Words) -> BTreeMap<String, String> {
    words
        .iter()
        .filter(|(_, value)| value.len() <= VALUE)
        .map(|(word, value)| (word.clone(), value.clone()))
        .collect()
}

/// What a step does, in one word.
fn kind(step: &Step, course: Option<&Course>) -> &'static str {
    let taken = course.and_then(|course| course.recipe.steps.iter().find(|taken| taken.name == step.name));
    match taken.map(|step| &step.action) {
        Some(Action::Files { .. }) => "files",
        Some(Action::Job(_)) => "job",
        Some(Action::ModelAlias { .. }) => "modelAlias",
        Some(Action::ServingEndpoint { .. }) => "servingEndpoint",
        None => "",
    }
}

pub(super) fn steps(kept: &Kept, course: Option<&Course>) -> Vec<StepRow> {
    kept.promotion
        .steps
        .iter()
        .map(|step| row(step, course))
        .collect()
}

fn row(step: &Step, course: Option<&Course>) -> StepRow {
    let (state, attempt, message, started) = match &step.state {
        StepState::Pending => (StepRowState::Pending, None, None, None),
        StepState::Prepared => (StepRowState::Prepared, None, None, None),
        StepState::Acting { attempt, since, .. } => {
            (StepRowState::Acting, Some(*attempt), None, Some(*since))
        }
        StepState::Stopping { attempt, why, .. } => (
            StepRowState::Stopping,
            Some(*attempt),
            Some(why.message.clone()),
            None,
        ),
        StepState::Done => (StepRowState::Done, None, None, None),
        StepState::Failed(why) => (StepRowState::Failed, None, Some(why.message.clone()), None),
        StepState::Undoing { since, .. } => (StepRowState::Undoing, None, None, *since),
        StepState::Undone => (StepRowState::Undone, None, None, None),
        StepState::NotUndone(why) => (StepRowState::NotUndone, None, Some(why.clone()), None),
    };
    let time = |word: &str| step.outputs.get(word).and_then(|text| text.parse().ok());
    StepRow {
        name: step.name.to_string(),
        kind: kind(step, course).to_owned(),
        state,
        attempt: attempt.map(i64::from),
        external_id: step.outputs.get(words::ADDRESS).cloned(),
        link: step.outputs.get(words::LINK).cloned(),
        outputs: shown(&step.outputs),
        undo: step.undo.as_ref().map(shown).unwrap_or_default(),
        started_at: started.or_else(|| time(words::STARTED)),
        ended_at: time(words::ENDED),
        message: message.map(|text| cut(&text, 2_000)),
    }
}
