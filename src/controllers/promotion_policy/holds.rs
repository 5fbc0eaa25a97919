//! A held environment, and the person who lets it go on: the hold as it stands is a plan with a digest, so that a yes
//! to one hold says nothing about the next.

use std::sync::Arc;

use jiff::Timestamp;
use lockstep_core::api::PlanApproval;
use lockstep_core::api::promotion_policy::{PendingPlan, PlanSubject};
use lockstep_core::domain::approval::{Asked, Refused, find};
use lockstep_core::domain::plan::{EffectDigest, Risk};
use lockstep_core::domain::ports::ObjectKey;
use lockstep_core::domain::promotion::machine::queue::Hold;
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// What approvals are held against.
pub struct Approvals<'a> {
    pub object: &'a ObjectKey,
    pub all: &'a [Arc<PlanApproval>],
    pub changed_by: Option<&'a str>,
    pub protected_since: Option<Timestamp>,
    pub now: Timestamp,
}

/// A hold as a plan.
#[derive(Clone, Debug)]
pub struct Resumption {
    pub environment: String,
    pub digest: EffectDigest,
    pub hold: Hold,
    /// The yes that counts, else why none does.
    pub approval: Result<PlanApproval, Vec<Refused>>,
}

/// The digest of this very hold.
fn digest(object: &ObjectKey, environment: &str, hold: &Hold) -> EffectDigest {
    let text = json!({"resume": {"policy": object.uid, "environment": environment, "hold": hold}});
    let mut hash = Sha256::new();
    hash.update(b"lockstep-resume-v1\n");
    hash.update(text.to_string());
    EffectDigest(format!("sha256:{}", hex::encode(hash.finalize())))
}

/// What ends a hold, and whether somebody has said so.
pub fn resumption(approvals: &Approvals<'_>, environment: &str, hold: &Hold) -> Resumption {
    let digest = digest(approvals.object, environment, hold);
    let asked = Asked {
        object: approvals.object,
        digest: &digest,
        // Nobody gains a right by it.
        risk: &Risk::default(),
        changed_by: approvals.changed_by,
        protected_since: approvals.protected_since,
        now: approvals.now,
    };
    let approval = find(approvals.all.iter().map(AsRef::as_ref), asked).cloned();
    Resumption {
        environment: environment.to_owned(),
        digest,
        hold: hold.clone(),
        approval,
    }
}

impl Resumption {
    /// As a status shows it while it waits for a person.
    pub fn pending(&self) -> Option<PendingPlan> {
        self.approval.is_err().then(|| PendingPlan {
            subject: PlanSubject::Resume,
            environment: Some(self.environment.clone()),
            digest: self.digest.0.clone(),
            approvers: Some(1),
            summary: vec![format!(
                "let environment {} go on: {}",
                self.environment,
                self.hold.reason.chars().take(900).collect::<String>()
            )],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_to_one_hold_says_nothing_about_the_next() {
        let object = ObjectKey {
            kind: "PromotionPolicy".into(),
            namespace: "ml".into(),
            name: "fraud".into(),
            uid: "1".into(),
        };
        let hold = |reason: &str| Hold {
            promotion: None,
            reason: reason.into(),
        };
        let one = digest(&object, "prod", &hold("a failed"));
        assert_eq!(one, digest(&object, "prod", &hold("a failed")));
        let again = ObjectKey {
            uid: "2".into(),
            ..object.clone()
        };
        for other in [
            digest(&object, "prod", &hold("b failed")),
            digest(&object, "staging", &hold("a failed")),
            digest(&again, "prod", &hold("a failed")),
        ] {
            assert_ne!(one, other);
        }
    }
}
