//! The look afterwards: a third person says that they have seen what the glass was broken for.

use std::collections::BTreeSet;

use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::promotion_policy::PlanSubject;
use lockstep_core::domain::approval::counting;
use lockstep_core::domain::promotion::gate::break_glass::{AfterReview, Yes, after_review};
use serde_json::json;

use super::plan::{Deciding, hash, pending, said_before, with, yes};

impl Deciding<'_> {
    /// Whether somebody has looked at it, and else what they are asked to look at.
    pub(super) fn look(&mut self, phase: PromotionPhase) {
        let glass = &self.planned.glass;
        if let Some(done) = &glass.reviewed {
            self.planned.review = Some(AfterReview::Done(said_before(done)));
            return;
        }
        let finished = glass.ended_at.unwrap_or(self.now);
        let before: BTreeSet<Yes> = glass.approvals.iter().map(said_before).collect();
        let approvers: Vec<&str> = glass.approvals.iter().map(|row| row.approver.as_str()).collect();
        let digest = hash(
            &json!({"afterReview": {
                "uid": self.me.uid, "promotion": self.wish.promotion, "findings": self.wish.findings, "came to": phase,
                "at": finished, "message": glass.message, "approvers": approvers,
            }})
            .to_string(),
        );
        let approvals = self.gathered.approvals.iter().map(AsRef::as_ref);
        let (counted, refused) = counting(approvals, self.asked(&digest));
        let after: BTreeSet<Yes> = counted.iter().map(|approval| yes(approval)).collect();
        let people = &self.gathered.people;
        let review = after_review(
            finished,
            self.requester().as_ref(),
            &before,
            &after,
            people,
            self.now,
        );
        if let AfterReview::Done(third) = &review {
            let used = counted.into_iter().find(|approval| yes(approval) == *third);
            self.planned.uses = used
                .map(|approval| (approval.clone(), digest))
                .into_iter()
                .collect();
        } else {
            let summary = vec![
                format!(
                    "look at what {} let happen: it {phase:?} at {finished}; asked for because {}; approved by {}",
                    self.planned.what,
                    self.wish.reason,
                    approvers.join(" and ")
                ),
                with(
                    "nobody has yet; neither who asked, nor who approved, nor who made the change counts"
                        .into(),
                    &refused,
                ),
            ];
            let environment = &self.promotion.spec.environment;
            self.planned.pending = Some(pending(PlanSubject::AfterReview, environment, digest, 1, summary));
        }
        self.planned.review = Some(review);
    }
}
