//! Decides, purely: what was gathered in, a plan and the approvals that release parts of it out.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use lockstep_core::api::{CHANGED_BY, PlanApproval};
use lockstep_core::domain::access::decide::{Decision, decide, release};
use lockstep_core::domain::access::diff::Phase;
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::approval::{Asked, Refused, find};
use lockstep_core::domain::plan::{BlockedChange, Brake, BrakeRule, Change, EffectDigest, Plan, Risk};
use lockstep_core::domain::ports::{Cluster, ObjectKey};

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
    /// Why approvals do not count for this.
    pub refused: Vec<Refused>,
}

/// The approvals there are for one object, and what they are all held against.
struct Approvals<'a> {
    object: &'a ObjectKey,
    all: Vec<Arc<PlanApproval>>,
    changed_by: Option<String>,
    protected_since: Option<Timestamp>,
    now: Timestamp,
}

impl<'a> Approvals<'a> {
    fn of(object: &'a ObjectKey, cluster: &dyn Cluster, now: Timestamp) -> Self {
        let binding = cluster.binding(&object.namespace, &object.name);
        Self {
            object,
            all: cluster.approvals(object),
            changed_by: binding.and_then(|binding| binding.annotations().get(CHANGED_BY).cloned()),
            protected_since: cluster.approvals_protected_since(),
            now,
        }
    }

    /// The one that counts for this digest, else why none does.
    fn find(&self, digest: &EffectDigest, risk: &Risk) -> Result<PlanApproval, Vec<Refused>> {
        let asked = Asked {
            object: self.object,
            digest,
            risk,
            changed_by: self.changed_by.as_deref(),
            protected_since: self.protected_since,
            now: self.now,
        };
        find(self.all.iter().map(AsRef::as_ref), asked).cloned()
    }
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
    let approvals = Approvals::of(&gathered.question.me.key, &*context.cluster, now);
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
        match approvals.find(&digest, &decision.plan.risk) {
            Ok(approval) => {
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
    let abandon = abandon(gathered, &approvals, &decision);
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
fn abandon(gathered: &Gathered, approvals: &Approvals<'_>, decision: &Decision) -> Option<Abandon> {
    if gathered.question.phase != Phase::Deleting || gathered.question.orphan {
        return None;
    }
    // What may have been given by a write that nobody can look up is left behind with the rest.
    let mut held = decision.inventory.clone();
    for intent in &gathered.question.intents {
        let (begun, _) = Inventory::read(&intent.adds);
        held.rows.extend(begun.rows);
        held.groups.extend(begun.groups);
    }
    let left: Vec<Change> = held
        .targets()
        .into_iter()
        .filter(|target| gathered.is_lost(target))
        .map(|target| {
            let mut change = Change::new(target.clone(), target.label());
            change.remove = held.on(&target).map(|(right, _)| right).collect();
            change.delete = held.groups.contains_key(&target);
            change
        })
        .collect();
    if left.is_empty() {
        return None;
    }
    let digest = EffectDigest::of(&left);
    let (approval, refused) = match approvals.find(&digest, &decision.plan.risk) {
        Ok(approval) => (Some(approval), Vec::new()),
        Err(refused) => (None, refused),
    };
    Some(Abandon {
        changes: left,
        digest,
        approval,
        refused,
    })
}

/// Words for a condition about approvals that do not count; nothing where there are none.
pub fn not_released(refused: &[Refused]) -> String {
    if refused.is_empty() {
        return String::new();
    }
    let why: Vec<&str> = refused.iter().map(|refused| refused.message.as_str()).collect();
    format!("; not released: {}", why.join("; "))
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
