//! Decides, purely: whether two people have let it go on, what becomes of what they lifted, and whether a third has
//! looked at it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion::{ApprovalRow, GlassStatus, Override, PromotionPhase};
use lockstep_core::api::promotion_policy::{PendingPlan, PlanSubject};
use lockstep_core::api::{CANCEL, CHANGED_BY, PlanApproval, Promotion};
use lockstep_core::domain::approval::{Asked, Refused, bare, counting};
use lockstep_core::domain::plan::{EffectDigest, Risk};
use lockstep_core::domain::ports::ObjectKey;
use lockstep_core::domain::promotion::gate::break_glass::{
    AFTER_REVIEW, APPROVERS, AfterReview, NotLifted, Override as Wish, Yes, approvers,
};
use lockstep_core::domain::promotion::gate::people::Email;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::key;
use super::gather::Gathered;
use super::kind;
use super::target::{self, did_nothing, findings, phase, risk, says, sentence};

/// What is to be kept and said.
#[derive(Debug)]
pub(super) struct Planned {
    pub glass: GlassStatus,
    /// Approvals that are used in this pass, and for which plan.
    pub uses: Vec<(PlanApproval, EffectDigest)>,
    /// What waits for people.
    pub pending: Option<PendingPlan>,
    pub phase: PromotionPhase,
    pub said: (Reason, String),
    /// It goes nowhere until somebody changes something.
    pub stalled: bool,
    /// Where the look afterwards stands.
    pub review: Option<AfterReview>,
    /// What it lets the promotion pass, for the record.
    pub what: String,
}

/// Decides.
pub(super) fn plan(promotion: &Promotion, wish: &Override, gathered: &Gathered, now: Timestamp) -> Planned {
    let mut deciding = Deciding {
        promotion,
        wish,
        gathered,
        me: key(promotion),
        risk: risk(gathered.target.as_deref()),
        now,
        planned: Planned {
            glass: gathered.glass.clone(),
            uses: Vec::new(),
            pending: None,
            phase: PromotionPhase::Waiting,
            said: (Reason::Progressing, String::new()),
            stalled: false,
            review: None,
            what: what(wish),
        },
    };
    if deciding.planned.glass.ended.is_none() {
        if deciding.planned.glass.lifted_at.is_none() {
            deciding.ask();
        }
        if deciding.planned.glass.lifted_at.is_some() && deciding.planned.glass.ended.is_none() {
            deciding.follow();
        }
    }
    if let Some(ended) = deciding.planned.glass.ended {
        deciding.ended(ended);
    }
    deciding.planned
}

/// What is lifted of what.
fn what(wish: &Override) -> String {
    let kinds: Vec<String> = wish
        .findings
        .iter()
        .map(|finding| kind(*finding).to_string())
        .collect();
    format!("{} of promotion {}", kinds.join(", "), wish.promotion)
}

pub(super) fn hash(text: &str) -> EffectDigest {
    let mut hash = Sha256::new();
    hash.update(b"lockstep-override-v1\n");
    hash.update(text);
    EffectDigest(format!("sha256:{}", hex::encode(hash.finalize())))
}

pub(super) fn yes(approval: &PlanApproval) -> Yes {
    Yes {
        approval: approval.name_any(),
        approver: Email::from(bare(&approval.spec.approver)),
    }
}

pub(super) fn said_before(row: &ApprovalRow) -> Yes {
    Yes {
        approval: row.approval.clone(),
        approver: Email::from(bare(&row.approver)),
    }
}

/// One pass's deciding.
pub(super) struct Deciding<'a> {
    pub(super) promotion: &'a Promotion,
    pub(super) wish: &'a Override,
    pub(super) gathered: &'a Gathered,
    pub(super) me: ObjectKey,
    pub(super) risk: Risk,
    pub(super) now: Timestamp,
    pub(super) planned: Planned,
}

impl Deciding<'_> {
    pub(super) fn asked<'b>(&'b self, digest: &'b EffectDigest) -> Asked<'b> {
        Asked {
            object: &self.me,
            digest,
            risk: &self.risk,
            changed_by: self.promotion.annotations().get(CHANGED_BY).map(String::as_str),
            protected_since: self.gathered.protected_since,
            now: self.now,
        }
    }

    pub(super) fn requester(&self) -> Option<Email> {
        let by = self.promotion.annotations().get(CHANGED_BY)?;
        Some(Email::from(bare(by)))
    }

    fn end(&mut self, phase: PromotionPhase, at: Timestamp, message: impl Into<String>) {
        let glass = &mut self.planned.glass;
        glass.ended = Some(phase);
        glass.ended_at = Some(at);
        glass.message = Some(message.into()).filter(|message| !message.is_empty());
    }

    fn wait(&mut self, reason: Reason, message: impl Into<String>) {
        self.planned.said = (reason, message.into());
    }

    fn cancelled(&self) -> bool {
        self.promotion.annotations().contains_key(CANCEL)
    }

    /// As long as nothing is lifted: whether it can be, and whether two people want it.
    fn ask(&mut self) {
        let (name, spec) = (&self.wish.promotion, &self.promotion.spec);
        if self.cancelled() {
            return self.end(
                PromotionPhase::Cancelled,
                self.now,
                "a person cancelled it before anything was lifted",
            );
        }
        if let Some((reason, message)) = self.gathered.problem.clone() {
            self.planned.stalled = reason != Reason::DependencyNotReady;
            return self.wait(reason, message);
        }
        let Some(target) = self.gathered.target.clone() else {
            let message = format!(
                "override.promotion: there is no promotion {name} in this namespace: create another override that names one"
            );
            self.planned.stalled = true;
            return self.wait(Reason::NotFound, message);
        };
        let refused = |why: String| format!("override.promotion: promotion {name} {why}");
        let elsewhere =
            target.spec.policy_ref != spec.policy_ref || target.spec.environment != spec.environment;
        let why = if target.spec.deploy.is_none() {
            "is no deploy: only one that brings what merged can be lifted over its findings".to_owned()
        } else if elsewhere {
            format!(
                "belongs to environment {} of PromotionPolicy {}: name those in the override",
                target.spec.environment, target.spec.policy_ref.name
            )
        } else {
            target::not_waiting(&target).unwrap_or_default()
        };
        if !why.is_empty() {
            return self.end(PromotionPhase::Refused, self.now, refused(why));
        }
        if target
            .status
            .as_ref()
            .is_none_or(|status| status.judged_at.is_none())
        {
            return self.wait(
                Reason::Progressing,
                format!("promotion {name} has not been judged yet"),
            );
        }
        self.count(&target);
    }

    fn count(&mut self, target: &Promotion) {
        let wish = Wish {
            findings: self.wish.findings.iter().copied().map(kind).collect(),
            reason: self.wish.reason.clone(),
            requested_by: self.requester(),
        };
        let digest = hash(
            &json!({"override": {
                "uid": self.me.uid, "of": target.uid(), "findings": wish.findings, "reason": wish.reason,
            }})
            .to_string(),
        );
        let approvals = self.gathered.approvals.iter().map(AsRef::as_ref);
        let (counted, refused) = counting(approvals, self.asked(&digest));
        let all: BTreeSet<Yes> = counted.iter().map(|approval| yes(approval)).collect();
        match approvers(&wish, &all, &self.gathered.people) {
            Ok(two) => {
                let used = counted
                    .into_iter()
                    .filter(|approval| two.contains(&yes(approval)));
                self.planned.uses = used.map(|approval| (approval.clone(), digest.clone())).collect();
                self.planned.glass.lifted_at = Some(self.now);
            }
            Err(why @ NotLifted::NotEnoughPeople { .. }) => {
                self.planned.pending = Some(self.plan_to_lift(target, digest));
                self.wait(Reason::AwaitingApproval, with(why.to_string(), &refused));
            }
            Err(why) => self.end(PromotionPhase::Refused, self.now, why.to_string()),
        }
    }

    fn plan_to_lift(&self, target: &Promotion, digest: EffectDigest) -> PendingPlan {
        let deploy = target.spec.deploy.as_ref();
        let change =
            deploy.map(|deploy| format!(" (change {}, commit {})", deploy.change, deploy.deployed()));
        let mut summary = vec![format!(
            "lift {}{}: {}",
            self.planned.what,
            change.unwrap_or_default(),
            self.wish.reason
        )];
        let named = |kind: &str| {
            self.wish
                .findings
                .iter()
                .any(|named| super::kind(*named).to_string() == kind)
        };
        let found = findings(target);
        summary.extend(found.iter().map(|(kind, message)| {
            let word = if named(kind) { "lifts" } else { "still waits for" };
            format!("{word} {kind}: {message}")
        }));
        pending(
            PlanSubject::Override,
            &self.promotion.spec.environment,
            digest,
            APPROVERS,
            summary,
        )
    }

    /// Once it is lifted: what becomes of it.
    fn follow(&mut self) {
        let name = &self.wish.promotion;
        let Some(target) = self.gathered.target.clone() else {
            let message = format!("promotion {name} was deleted before its end was seen");
            return self.end_with_review(PromotionPhase::Failed, self.now, message);
        };
        let at = phase(&target);
        self.planned.phase = at;
        let ended_at = target
            .status
            .as_ref()
            .and_then(|status| status.ended_at)
            .unwrap_or(self.now);
        let says = says(&target);
        match at {
            PromotionPhase::Waiting if self.cancelled() => {
                self.end(
                    PromotionPhase::Cancelled,
                    self.now,
                    "a person cancelled it before anything went on",
                );
            }
            PromotionPhase::Waiting => {
                let left: Vec<_> = findings(&target)
                    .into_iter()
                    .filter(|(found, _)| {
                        !self
                            .wish
                            .findings
                            .iter()
                            .any(|named| kind(*named).to_string() == *found)
                    })
                    .collect();
                let message = match (&self.gathered.held, left.is_empty()) {
                    (_, false) => format!(
                        "two people lifted {}; it still waits for {}",
                        self.planned.what,
                        sentence(&left)
                    ),
                    (Some(held), true) => format!(
                        "two people lifted {}; the environment is held, which no override ends: {held}",
                        self.planned.what
                    ),
                    (None, true) => format!(
                        "two people lifted {}; it goes on as soon as it has the turn",
                        self.planned.what
                    ),
                };
                self.wait(Reason::Waiting, message);
            }
            PromotionPhase::Running => self.wait(Reason::Running, format!("promotion {name}: {says}")),
            PromotionPhase::Undoing => self.wait(Reason::Undoing, format!("promotion {name}: {says}")),
            PromotionPhase::Succeeded | PromotionPhase::Failed => self.end_with_review(at, ended_at, says),
            PromotionPhase::Refused | PromotionPhase::Superseded | PromotionPhase::Cancelled => {
                self.end(
                    at,
                    ended_at,
                    format!("promotion {name} ended without doing anything: {says}"),
                );
            }
        }
    }

    fn end_with_review(&mut self, phase: PromotionPhase, at: Timestamp, message: String) {
        self.end(phase, at, message);
        let due = at.checked_add(SignedDuration::from_hours(AFTER_REVIEW));
        self.planned.glass.review_due = Some(due.unwrap_or(Timestamp::MAX));
    }

    /// What is said of its end, and whether somebody has looked at it.
    fn ended(&mut self, phase: PromotionPhase) {
        self.planned.phase = phase;
        let reason = match phase {
            PromotionPhase::Succeeded => Reason::Succeeded,
            PromotionPhase::Superseded => Reason::Superseded,
            PromotionPhase::Cancelled => Reason::Cancelled,
            PromotionPhase::Refused => Reason::Refused,
            _ => Reason::Failed,
        };
        let message = self.planned.glass.message.clone().unwrap_or_default();
        self.planned.said = (reason, message);
        if self.planned.glass.review_due.is_some() && !did_nothing(phase) {
            self.look(phase);
        }
    }
}

pub(super) fn pending(
    subject: PlanSubject,
    environment: &str,
    digest: EffectDigest,
    approvers: usize,
    summary: Vec<String>,
) -> PendingPlan {
    let cut = |line: String| line.chars().take(1_000).collect();
    PendingPlan {
        subject,
        environment: Some(environment.to_owned()),
        digest: digest.0,
        approvers: i64::try_from(approvers).ok(),
        summary: summary.into_iter().take(10).map(cut).collect(),
    }
}

pub(super) fn with(text: String, refused: &[Refused]) -> String {
    let others: Vec<&str> = refused.iter().map(|refused| refused.message.as_str()).collect();
    if others.is_empty() {
        text
    } else {
        format!("{text}; not counted: {}", others.join("; "))
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
