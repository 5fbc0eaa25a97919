//! What a person is asked to say yes to, and whether somebody has: each is a plan with a digest over exactly what it
//! does, so that a yes to one says nothing about the next.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use lockstep_core::api::PlanApproval;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion_policy::{PendingPlan, PlanSubject};
use lockstep_core::domain::approval::{Asked, Refused, find};
use lockstep_core::domain::plan::{EffectDigest, Risk};
use lockstep_core::domain::ports::ObjectKey;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Lines of a plan that a status shows.
const LINES: usize = 10;
/// Characters of each.
const LINE: usize = 1_000;

/// What approvals are held against.
pub struct Approvals<'a> {
    pub object: &'a ObjectKey,
    pub all: &'a [Arc<PlanApproval>],
    pub changed_by: Option<&'a str>,
    pub protected_since: Option<Timestamp>,
    pub now: Timestamp,
}

/// What is wanted of a person.
pub struct Wanted {
    pub subject: PlanSubject,
    /// `None`: it is about the whole policy.
    pub environment: Option<String>,
    /// Exactly what it does.
    pub effect: Value,
    /// One sentence: what waits for it.
    pub message: String,
    /// What the person who approves reads.
    pub lines: Vec<String>,
    /// Addresses of those who must not be the ones to say yes.
    pub interested: BTreeSet<String>,
}

/// A plan, and the yes to it.
#[derive(Clone, Debug)]
pub struct Ask {
    pub subject: PlanSubject,
    pub environment: Option<String>,
    pub digest: EffectDigest,
    pub message: String,
    lines: Vec<String>,
    /// The yes that counts, else why none does.
    pub approval: Result<PlanApproval, Vec<Refused>>,
}

fn digest(
    object: &ObjectKey,
    subject: PlanSubject,
    environment: Option<&String>,
    effect: &Value,
) -> EffectDigest {
    let text =
        json!({"policy": object.uid, "subject": subject, "environment": environment, "effect": effect});
    let mut hash = Sha256::new();
    hash.update(b"lockstep-asked-v1\n");
    hash.update(text.to_string());
    EffectDigest(format!("sha256:{}", hex::encode(hash.finalize())))
}

impl Approvals<'_> {
    /// Asks, and looks whether somebody has answered.
    pub fn ask(&self, wanted: Wanted) -> Ask {
        let Wanted {
            subject,
            environment,
            effect,
            message,
            lines,
            interested,
        } = wanted;
        let digest = digest(self.object, subject, environment.as_ref(), &effect);
        let risk = Risk {
            gaining_identities: interested,
            ..Risk::default()
        };
        let asked = Asked {
            object: self.object,
            digest: &digest,
            risk: &risk,
            changed_by: self.changed_by,
            protected_since: self.protected_since,
            now: self.now,
        };
        let approval = find(self.all.iter().map(AsRef::as_ref), asked).cloned();
        Ask {
            subject,
            environment,
            digest,
            message,
            lines,
            approval,
        }
    }
}

impl Ask {
    /// As a status shows it while it waits for a person.
    pub fn pending(&self) -> Option<PendingPlan> {
        let cut = |line: &String| line.chars().take(LINE).collect::<String>();
        let mut summary: Vec<String> = self.lines.iter().take(LINES).map(cut).collect();
        if let (Some(last), true) = (summary.last_mut(), self.lines.len() > LINES) {
            *last = format!("and {} more", self.lines.len() - LINES + 1);
        }
        self.approval.is_err().then(|| PendingPlan {
            subject: self.subject,
            environment: self.environment.clone(),
            digest: self.digest.0.clone(),
            approvers: Some(1),
            summary,
        })
    }

    /// Why a policy says that it waits.
    pub fn reason(&self) -> Reason {
        match self.subject {
            PlanSubject::Resume | PlanSubject::Runs => Reason::Held,
            PlanSubject::MovedBaseline => Reason::BaselineMoved,
            PlanSubject::Commit => Reason::UnreviewedAncestor,
            _ => Reason::AwaitingApproval,
        }
    }

    /// What waits, how to say yes to it, and why nobody has.
    pub fn sentence(&self, object: &ObjectKey) -> Option<String> {
        let refused = self.approval.as_ref().err()?;
        let ObjectKey { namespace, name, .. } = object;
        let digest = &self.digest;
        let mut text = format!(
            "{}; to say yes: lockstep approve promotionpolicy/{name} -n {namespace} --digest {digest}",
            self.message
        );
        if !refused.is_empty() {
            let why: Vec<&str> = refused.iter().map(|refused| refused.message.as_str()).collect();
            text = format!("{text}; not released: {}", why.join("; "));
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(uid: &str) -> ObjectKey {
        ObjectKey {
            kind: "PromotionPolicy".into(),
            namespace: "ml".into(),
            name: "fraud".into(),
            uid: uid.into(),
        }
    }

    #[test]
    fn a_yes_to_one_plan_says_nothing_about_the_next() {
        let prod = "prod".to_owned();
        let of = |uid: &str, subject, environment: Option<&String>, effect: &str| {
            digest(&policy(uid), subject, environment, &json!(effect))
        };
        let one = of("1", PlanSubject::Resume, Some(&prod), "a failed");
        assert_eq!(one, of("1", PlanSubject::Resume, Some(&prod), "a failed"));
        for other in [
            of("1", PlanSubject::Resume, Some(&prod), "b failed"),
            of("1", PlanSubject::Resume, None, "a failed"),
            of("1", PlanSubject::Commit, Some(&prod), "a failed"),
            of("2", PlanSubject::Resume, Some(&prod), "a failed"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_long_plan_says_how_much_of_it_is_not_shown() {
        let object = policy("1");
        let approvals = Approvals {
            object: &object,
            all: &[],
            changed_by: None,
            protected_since: None,
            now: Timestamp::UNIX_EPOCH,
        };
        let ask = |lines: usize| {
            let wanted = Wanted {
                subject: PlanSubject::Commit,
                environment: None,
                effect: json!(lines),
                message: "it waits".into(),
                lines: (1..=lines).map(|line| format!("line {line}")).collect(),
                interested: BTreeSet::new(),
            };
            approvals.ask(wanted).pending().unwrap().summary
        };
        assert_eq!(ask(10).last().unwrap(), "line 10");
        assert_eq!(
            (ask(12).len(), ask(12).last().unwrap().as_str()),
            (10, "and 3 more")
        );
    }
}
