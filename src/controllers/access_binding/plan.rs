//! Decides, purely: what was gathered in, a plan and the approvals that release parts of it out.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use lockstep_core::api::PlanApproval;
use lockstep_core::domain::access::decide::{Decision, decide, release};
use lockstep_core::domain::access::diff::Phase;
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::approval::{Asked, Refused, find};
use lockstep_core::domain::plan::{BlockedChange, Brake, BrakeRule, Change, EffectDigest, Plan};

use super::super::Context;
use super::Gathered;

/// A removal rests on a reading no older than this.
const REMOVAL_READ: SignedDuration = SignedDuration::from_secs(5);

/// What was decided, and what releases it.
pub struct Planned {
    pub decision: Decision,
    /// The approval that this pass uses, and the digest it names.
    pub approval: Option<(PlanApproval, EffectDigest)>,
    /// Targets of the changes that a person released.
    pub released: BTreeSet<Target>,
    /// Why other approvals do not count.
    pub refused: Vec<Refused>,
    /// What is left behind when a person abandons what cannot be reached; `None`: nothing is.
    pub abandon: Option<Abandon>,
}

/// Rights that no connection reaches any more.
pub struct Abandon {
    pub changes: Vec<Change>,
    pub digest: EffectDigest,
    pub approval: Option<PlanApproval>,
}

impl Planned {
    /// Whether something is to be taken away on the word of a reading that is too old for that.
    pub fn must_look_again(&self, now: Timestamp) -> bool {
        let oldest = now.checked_sub(REMOVAL_READ).unwrap_or(now);
        let removes = self
            .decision
            .plan
            .changes
            .iter()
            .any(|change| !change.remove.is_empty() || change.delete);
        removes && self.decision.removals_read.is_some_and(|taken| taken < oldest)
    }
}

/// Decides, and lets approvals release what brakes hold.
pub fn decide_now(gathered: &Gathered, context: &Context, now: Timestamp) -> Planned {
    let mut decision = decide(&gathered.question, now);
    let uid = &gathered.question.me.key.uid;
    let approvals = context.cluster.approvals(uid);
    let binding = &gathered.question.me.key;
    let changed_by = context
        .cluster
        .binding(&binding.namespace, &binding.name)
        .and_then(|binding| {
            binding
                .metadata
                .annotations
                .as_ref()?
                .get(lockstep_core::api::CHANGED_BY)
                .cloned()
        });
    let mut planned_approval = None;
    let mut refused = Vec::new();
    // What a person released stays released while its writes are under way: the approval itself is used up.
    let begun: BTreeSet<&str> = gathered
        .question
        .intents
        .iter()
        .map(|intent| intent.digest.as_str())
        .collect();
    let resumed = !decision.plan.blocked.is_empty()
        && decision
            .plan
            .blocked
            .iter()
            .all(|blocked| begun.contains(blocked.change.digest().0.as_str()));
    let mut released = BTreeSet::new();
    if resumed {
        released.extend(blocked_targets(&decision.plan));
        release(&mut decision.plan);
    }
    if let Some(digest) = decision.plan.blocked_digest() {
        let protected = context.cluster.approvals_protected();
        let risk = decision.plan.risk.clone();
        let asked = Asked {
            uid,
            digest: &digest,
            risk: &risk,
            changed_by: changed_by.as_deref(),
            protected,
            now,
        };
        match find(approvals.iter().map(std::convert::AsRef::as_ref), asked) {
            Ok(approval) => {
                let approval = approval.clone();
                released.extend(blocked_targets(&decision.plan));
                let takeovers = release(&mut decision.plan);
                // Whoever approves a takeover approves that the group is Lockstep's from now on.
                decision.authoritative.extend(
                    takeovers
                        .into_iter()
                        .map(|change| change.target)
                        .filter(Target::is_group),
                );
                planned_approval = Some((approval, digest));
            }
            Err(why) => refused = why,
        }
    }
    let abandon = abandon(gathered, context, &decision, now);
    Planned {
        decision,
        approval: planned_approval,
        released,
        refused,
        abandon,
    }
}

fn blocked_targets(plan: &Plan) -> impl Iterator<Item = Target> {
    plan.blocked.iter().map(|blocked| blocked.change.target.clone())
}

/// A deletion whose connection is gone waits for a person who accepts what is left behind.
fn abandon(gathered: &Gathered, context: &Context, decision: &Decision, now: Timestamp) -> Option<Abandon> {
    if gathered.question.phase != Phase::Deleting || gathered.question.orphan {
        return None;
    }
    let left: Vec<Change> = decision
        .inventory
        .targets()
        .into_iter()
        .filter(|target| gathered.unreachable.contains(&target.system()))
        .map(|target| {
            let mut change = Change::new(target.clone(), target.label());
            change.remove = decision.inventory.on(&target).map(|(right, _)| right).collect();
            change.delete = decision.inventory.groups.contains_key(&target);
            change
        })
        .collect();
    if left.is_empty() {
        return None;
    }
    let digest = EffectDigest::of(&left);
    let uid = &gathered.question.me.key.uid;
    let approvals = context.cluster.approvals(uid);
    let risk = decision.plan.risk.clone();
    let protected = context.cluster.approvals_protected();
    let asked = Asked {
        uid,
        digest: &digest,
        risk: &risk,
        changed_by: None,
        protected,
        now,
    };
    let approval = find(approvals.iter().map(std::convert::AsRef::as_ref), asked)
        .ok()
        .cloned();
    Some(Abandon {
        changes: left,
        digest,
        approval,
    })
}

/// The brakes of a plan in one sentence each.
pub fn reasons(blocked: &[BlockedChange]) -> Vec<String> {
    let brakes = blocked.iter().flat_map(|blocked| &blocked.brakes);
    brakes
        .map(|Brake { rule, message }: &Brake| format!("{}: {message}", word(*rule)))
        .collect()
}

fn word(rule: BrakeRule) -> String {
    format!("{rule:?}")
}
