//! One promotion, with everything that its status tells.

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::promotion::{
    ApprovalRow, EvidenceRow, FindingRow, OverridableFinding, PromotionPhase, Purpose, RangeStatus, StepRow,
    VoteRow,
};
use lockstep_core::api::promotion_policy::AcceptedCommit;
use lockstep_core::api::{CANCEL, CHANGED_BY, Promotion, PromotionPolicy, RETRY};
use serde::Serialize;

use super::pending::{Pending, pending_of_promotion};
use super::rows::why;
use super::{Kind, change, made, phase, review};

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    pub namespace: String,
    pub name: String,
    pub policy: String,
    pub environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<i64>,
    /// The commit that is deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Which try, of a deploy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<PromotionPhase>,
    pub reason: String,
    pub message: String,
    pub times: Times,
    /// A person wants it to stop.
    pub cancelled: bool,
    /// A person wants it tried again.
    pub retried: bool,
    /// Whether the gate has judged it and nothing speaks against it.
    pub passes: bool,
    pub findings: Vec<FindingRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<FindingRow>,
    /// Commits that nobody reviewed and a person accepted, without which it would not pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<AcceptedCommit>,
    /// Who let it go on, of an override.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalRow>,
    /// Whether somebody has looked at what the glass was broken for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
    /// Digest of the rules that judged it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// Its own change first.
    pub changes: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<RangeStatus>,
    pub steps: Vec<StepRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Pending>,
}

/// What a person asked for, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Of a rollback where it goes, of an override what it lifts over its findings.
    pub promotion: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<OverridableFinding>,
    pub reason: String,
    /// Where the cluster stamps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// When what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// When it is looked at again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
}

/// One change of the range: who had which hand in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    #[serde(flatten)]
    pub evidence: EvidenceRow,
    /// Votes of the label by which the policy's gate approves.
    pub approved: Vec<VoteRow>,
    /// Votes of the label by which the policy's gate verifies.
    pub verified: Vec<VoteRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_votes: Vec<VoteRow>,
}

/// Everything about a promotion; the policy says which label means what, where it is still there.
pub fn detail(promotion: &Promotion, policy: Option<&PromotionPolicy>) -> Detail {
    let status = promotion.status.clone().unwrap_or_default();
    let (change, revision) = change(promotion);
    let (reason, message) = why(promotion);
    let annotations = promotion.annotations();
    let pending = pending_of_promotion(promotion);
    let verdict = status.verdict.unwrap_or_default();
    Detail {
        namespace: promotion.namespace().unwrap_or_default(),
        name: promotion.name_any(),
        policy: promotion.spec.policy_ref.name.clone(),
        environment: promotion.spec.environment.clone(),
        kind: Kind::of(promotion),
        asked: asked(promotion),
        change,
        revision,
        attempt: promotion.spec.deploy.as_ref().map(|deploy| deploy.attempt),
        phase: phase(promotion),
        reason,
        message,
        times: Times {
            made: made(promotion),
            judged: status.judged_at,
            started: status.started_at,
            ended: status.ended_at,
            next: status.next_action,
        },
        cancelled: annotations.contains_key(CANCEL),
        retried: annotations.contains_key(RETRY),
        passes: verdict.passes == Some(true),
        findings: verdict.findings,
        overridden: verdict.overridden,
        exceptions: verdict.exceptions,
        approvals: status.glass.map(|glass| glass.approvals).unwrap_or_default(),
        review: review(promotion).map(|(_, message)| message.to_owned()),
        rules: status.rules,
        changes: status
            .evidence
            .into_iter()
            .map(|row| hands(row, policy))
            .collect(),
        range: status.range,
        steps: status.steps,
        pending,
    }
}

fn asked(promotion: &Promotion) -> Option<Asked> {
    let by = promotion.annotations().get(CHANGED_BY).cloned();
    match promotion.spec.purpose()? {
        Purpose::Deploy(_) => None,
        Purpose::Rollback(rollback) => Some(Asked {
            promotion: rollback.to.clone(),
            findings: Vec::new(),
            reason: rollback.reason.clone(),
            by,
        }),
        Purpose::Override(wish) => Some(Asked {
            promotion: wish.promotion.clone(),
            findings: wish.findings.clone(),
            reason: wish.reason.clone(),
            by,
        }),
    }
}

fn hands(row: EvidenceRow, policy: Option<&PromotionPolicy>) -> Change {
    let gate = policy.map(|policy| &policy.spec.gate);
    let approval = gate.map(|gate| gate.approval.label.as_str());
    let verification = gate.map(|gate| gate.verification.label.as_str());
    let (mut approved, mut verified, mut other_votes) = (Vec::new(), Vec::new(), Vec::new());
    for vote in &row.votes {
        let label = Some(vote.label.as_str());
        if label == approval {
            approved.push(vote.clone());
        } else if label == verification {
            verified.push(vote.clone());
        } else {
            other_votes.push(vote.clone());
        }
    }
    Change {
        evidence: row,
        approved,
        verified,
        other_votes,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::samples::{Made, policy};
    use super::*;

    #[test]
    fn votes_are_told_apart_by_what_the_policys_labels_are_for() {
        let vote = |label: &str| json!({"label": label, "value": 2, "by": label});
        let promotion = Made::deploy("prod", 42)
            .status(json!({"verdict": {"passes": true}, "evidence": [{
                "change": 42, "revision": "89abcdef", "owner": "Ada",
                "votes": [vote("Verified"), vote("Code-Review"), vote("Style")],
            }]}))
            .object();
        let by = |votes: &[VoteRow]| votes.iter().map(|vote| vote.by.clone()).collect::<Vec<_>>();
        let known = detail(&promotion, Some(&policy(json!({}))));
        assert!(known.passes);
        let change = &known.changes[0];
        assert_eq!(by(&change.approved), ["Code-Review"]);
        assert_eq!(by(&change.verified), ["Verified"]);
        assert_eq!(by(&change.other_votes), ["Style"]);
        let unknown = detail(&promotion, None);
        assert_eq!(
            unknown.changes[0].other_votes.len(),
            3,
            "without its policy no label means anything"
        );
    }

    #[test]
    fn an_override_says_what_was_asked_for_and_by_whom() {
        let spec = json!({"policyRef": {"name": "fraud"}, "environment": "prod", "override":
            {"promotion": "fraud.prod.42.89abcdef", "findings": ["Soaking"], "reason": "it burns"}});
        let mut promotion = Made::new("glass", spec).object();
        promotion.metadata.annotations = Some([(CHANGED_BY.to_owned(), "ada@x".to_owned())].into());
        let asked = detail(&promotion, None).asked.unwrap();
        assert_eq!(asked.promotion, "fraud.prod.42.89abcdef");
        assert_eq!(asked.findings, [OverridableFinding::Soaking]);
        assert_eq!(
            (asked.reason.as_str(), asked.by.as_deref()),
            ("it burns", Some("ada@x"))
        );
        assert_eq!(detail(&Made::deploy("prod", 1).object(), None).asked, None);
    }
}
