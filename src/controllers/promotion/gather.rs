//! Reads: the policy, what the environment remembers, what others want, and, as long as nothing has begun, everything
//! that the gate asks about.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::{Promotion, PromotionPolicy};
use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::promotion::gate::finding::FindingKind;
use lockstep_core::domain::promotion::gate::freeze::Freeze;
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept::{self, Found, Lifted};
use lockstep_core::domain::promotion::machine::queue::{self, Contenders};
use lockstep_core::domain::promotion::machine::state::Phase;

use super::super::Context;
use super::super::branches::{Branches, LATE};
use super::super::promotion_policy::reading::{self, Declared};
use super::glass;
use super::judge::Judged;
use super::question::{Question, Unjudged};
use super::way_back::{self, NoWay, WayBack};

/// Everything that a pass knows.
pub struct Gathered {
    pub policy: Option<Arc<PromotionPolicy>>,
    pub kept: Found,
    /// What the policy says of the environment; `None`: there is no policy, or no such environment, any more.
    pub declared: Option<Declared>,
    pub environment: queue::Environment,
    pub contenders: Contenders,
    pub freezes: Vec<Freeze>,
    /// Only as long as it waits.
    pub judged: Option<Result<Judged, SystemError>>,
    /// What people have lifted of its findings, as long as it waits.
    pub lifted: Option<Lifted>,
    /// Only of a rollback that waits.
    pub way_back: Option<WayBack>,
    /// What speaks against it may be gone in a moment.
    pub late: bool,
    /// Why it cannot be judged or go on.
    pub problem: Option<(Reason, String)>,
}

/// Reads.
pub async fn gather(branches: &Branches, promotion: &Promotion, context: &Context) -> Gathered {
    let namespace = promotion.namespace().unwrap_or_default();
    let spec = &promotion.spec;
    let policy = context.objects.policy(&namespace, &spec.policy_ref.name);
    let kept = kept::read(promotion.status.as_ref());
    let status = policy
        .as_deref()
        .map(|policy| reading::remembered(policy, &spec.environment));
    let siblings = context.objects.promotions_of(&namespace, &spec.policy_ref.name);
    let waits = match &kept {
        Found::Nothing => true,
        Found::Kept(kept) => kept.0.promotion.phase == Phase::Waiting,
        Found::Unreadable(_) => false,
    };
    // Nobody takes the place of what has begun: it need not know who else is there.
    let contenders = if waits {
        contenders(&siblings, &spec.environment)
    } else {
        Contenders::new()
    };
    let mut gathered = Gathered {
        declared: None,
        environment: status
            .as_ref()
            .map(|status| status.environment.clone())
            .unwrap_or_default(),
        contenders,
        freezes: context.objects.freezes(),
        judged: None,
        lifted: None,
        way_back: None,
        late: false,
        problem: None,
        policy,
        kept,
    };
    let Some(policy) = gathered.policy.clone() else {
        let message = format!("PromotionPolicy {} does not exist", spec.policy_ref.name);
        gathered.problem = Some((Reason::DependencyNotReady, message));
        return gathered;
    };
    match reading::declared(&policy, &spec.environment, &*context.cluster) {
        Ok(declared) => gathered.declared = Some(declared),
        Err(problem) => {
            gathered.problem = Some(problem);
            return gathered;
        }
    }
    if let (true, Some(wish), Some(declared)) = (waits, &spec.rollback, &gathered.declared) {
        let uid = policy.uid().unwrap_or_default();
        match way_back::find(wish, &uid, declared, context).await {
            Ok(found) => gathered.way_back = Some(found),
            Err(NoWay::Error(error)) => gathered.problem = Some((error.reason(), error.to_string())),
            Err(NoWay::Refused(reason, message)) => gathered.problem = Some((reason, message)),
        }
        return gathered;
    }
    let (Some(deploy), Some(declared), Some(status)) = (&spec.deploy, &gathered.declared, status) else {
        return gathered;
    };
    if waits {
        let question = Question {
            policy: &policy,
            declared,
            status: &status,
            siblings: &siblings,
            freezes: &gathered.freezes,
        };
        match question.judge(branches, deploy, context).await {
            Ok(mut judged) => {
                if let Some(message) = late(promotion, &judged, context.clock.now()) {
                    gathered.problem = Some((Reason::Progressing, message));
                    gathered.late = true;
                    return gathered;
                }
                gathered.lifted = glass::lifted(&siblings, &promotion.name_any(), &spec.environment);
                if let Some(lifted) = &gathered.lifted {
                    judged.verdict = judged.verdict.lifting(&lifted.findings);
                }
                gathered.judged = Some(Ok(judged));
            }
            Err(Unjudged::Error(error)) => gathered.judged = Some(Err(error)),
            Err(Unjudged::NotYet(message)) => gathered.problem = Some((Reason::Progressing, message)),
        }
    }
    gathered
}

/// Whether the index may not list yet what accounts for a commit: nothing is refused that only comes late.
fn late(promotion: &Promotion, judged: &Judged, now: Timestamp) -> Option<String> {
    if !judged.verdict.has(FindingKind::UnreviewedAncestor) {
        return None;
    }
    let made = promotion.metadata.creation_timestamp.as_ref()?.0;
    let until = made.checked_add(LATE).ok().filter(|until| now < *until)?;
    let finding = judged
        .verdict
        .findings
        .iter()
        .find(|finding| finding.kind == FindingKind::UnreviewedAncestor);
    let message = finding
        .map(|finding| finding.message.as_str())
        .unwrap_or_default();
    Some(format!(
        "Gerrit is asked again until {until}, as it may list a merged change late: {message}"
    ))
}

/// Promotions of one environment as the queue sees them.
pub fn contenders(siblings: &[Arc<Promotion>], environment: &str) -> Contenders {
    siblings
        .iter()
        .filter(|promotion| promotion.spec.environment == environment)
        .filter_map(|promotion| Some((PromotionName(promotion.name_any()), kept::contender(promotion)?)))
        .collect()
}
