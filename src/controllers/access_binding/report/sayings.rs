//! What a pass came to, in conditions: each a short function of the facts, the most telling reason first.

use std::time::Duration;

use jiff::Timestamp;
use lockstep_core::api::access_binding::PlanStatus;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::domain::access::diff::Phase;
use lockstep_core::domain::outcome::{Saying, most_urgent, next_check};
use lockstep_core::domain::plan::{BrakeRule, EffectDigest, Plan, Problem};
use lockstep_core::domain::ports::ErrorClass;

use super::super::super::Next;
use super::super::apply::Outcome;
use super::super::{Gathered, plan};

/// How soon a write is looked for: long enough that many share one listing, short enough that people wait for it.
const CONFIRM: Duration = Duration::from_secs(3);
/// Lines of a plan that status shows.
const LINES: usize = 20;

/// What the sayings rest on.
pub(super) struct Facts<'a> {
    gathered: &'a Gathered,
    outcome: &'a Outcome,
    /// What was changed by hand, one sentence each.
    drifts: &'a [String],
    pub(super) phase: Phase,
    problems: Vec<&'a Problem>,
    classes: Vec<ErrorClass>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(gathered: &'a Gathered, outcome: &'a Outcome, drifts: &'a [String]) -> Self {
        let errors = gathered
            .errors
            .iter()
            .chain(outcome.failed.iter().map(|(_, error)| error));
        let mut classes: Vec<ErrorClass> = errors
            .map(lockstep_core::domain::ports::SystemError::class)
            .collect();
        if outcome.kept.is_err() {
            classes.push(ErrorClass::RetrySoon);
        }
        let problems: Vec<&Problem> = outcome.planned.decision.plan.problems.iter().collect();
        Self {
            gathered,
            outcome,
            drifts,
            phase: gathered.question.phase,
            problems,
            classes,
        }
    }

    pub(super) fn sayings(&self) -> Vec<Saying> {
        let decision = &self.outcome.planned.decision;
        let mut sayings = vec![self.ready()];
        let waits_for_change = self
            .problems
            .iter()
            .any(|problem| is_spec_problem(problem.reason))
            || self
                .outcome
                .failed
                .iter()
                .any(|(_, error)| error.class() == ErrorClass::WaitForChange);
        if waits_for_change && !self.retries_soon() {
            let Saying { reason, message, .. } = self.ready();
            sayings.push(Saying::new(ConditionType::Stalled, true, reason, message));
        }
        if self.outcome.enforced && (!decision.pending.is_empty() || self.retries_soon()) {
            let (reason, message) = if decision.pending.is_empty() {
                (Reason::Progressing, "trying again soon".to_owned())
            } else {
                (
                    Reason::Confirming,
                    format!(
                        "{} targets were written and are not seen yet",
                        decision.pending.len()
                    ),
                )
            };
            sayings.push(Saying::new(ConditionType::Reconciling, true, reason, message));
        }
        sayings.push(self.drifted());
        if !decision.plan.conflicts.is_empty() {
            let message = sentences(decision.plan.conflicts.iter());
            sayings.push(Saying::new(
                ConditionType::Conflict,
                true,
                Reason::ClaimedByAnother,
                message,
            ));
        }
        if let Some(saying) = self.blocked() {
            sayings.push(saying);
        }
        sayings.extend(self.weakens_gate());
        sayings
    }

    fn ready(&self) -> Saying {
        let say =
            |status, reason, message: String| Saying::new(ConditionType::Ready, status, reason, message);
        let decision = &self.outcome.planned.decision;
        if let Err(error) = &self.outcome.kept {
            return say(false, Reason::Failed, error.to_string());
        }
        if let Some((unit, error)) = self.outcome.failed.first() {
            return say(false, error.reason(), format!("{unit}: {error}"));
        }
        if let Some(abandon) = &self.outcome.planned.abandon {
            return say(
                false,
                Reason::RevokeWaiting,
                format!(
                    "no connection reaches what is still held; bring one back, or leave it behind with a PlanApproval of {}{}",
                    abandon.digest,
                    plan::not_released(&abandon.refused)
                ),
            );
        }
        if let Some(problem) = self.problems.first() {
            return say(
                false,
                problem.reason.unwrap_or(Reason::Failed),
                sentences(self.problems.iter().copied()),
            );
        }
        if let Some(error) = self.gathered.errors.first() {
            return say(false, error.reason(), error.to_string());
        }
        if self.phase == Phase::Deleting {
            return say(
                false,
                Reason::Revoking,
                "what was given is being taken back".into(),
            );
        }
        if self.gathered.question.inventory_lost {
            return say(
                false,
                Reason::InventoryLost,
                "status and record no longer say what was given: rights are added, none are removed".into(),
            );
        }
        if !self.outcome.enforced {
            return say(
                true,
                Reason::Observing,
                format!("mode is Observe: {}", self.counts()),
            );
        }
        if !decision.plan.blocked.is_empty() {
            return say(
                false,
                Reason::AwaitingApproval,
                plan::reasons(&decision.plan.blocked).join("; "),
            );
        }
        if decision.doubtful {
            let doubt = decision
                .members
                .unresolved
                .iter()
                .find(|missing| !Reason::NoAccount.is(&missing.reason));
            let (reason, message) = doubt.map_or((Reason::Ambiguous, String::new()), |missing| {
                let reason = if Reason::IdentityChanged.is(&missing.reason) {
                    Reason::IdentityChanged
                } else {
                    Reason::Ambiguous
                };
                (
                    reason,
                    format!(
                        "{} in {}: {}; nobody is touched until the address is clear",
                        missing.who, missing.system, missing.reason
                    ),
                )
            });
            return say(false, reason, message);
        }
        if !decision.unconfirmed.is_empty() {
            return say(
                false,
                Reason::NotConfirmed,
                format!("written but never seen: {}", decision.unconfirmed.join(", ")),
            );
        }
        if !decision.pending.is_empty() || !self.outcome.written.is_empty() {
            return say(
                false,
                Reason::Confirming,
                "written, not yet seen in a fresh reading".into(),
            );
        }
        let missing = decision.members.unresolved.len();
        let message = if missing == 0 {
            String::from("in step")
        } else {
            format!("in step, but for {missing} people without an account")
        };
        say(true, Reason::Succeeded, message)
    }

    fn counts(&self) -> String {
        let plan = &self.outcome.planned.decision.plan;
        format!(
            "{} changes, {} people gaining, {} people losing",
            plan.lines().len(),
            plan.risk.gaining.len(),
            plan.risk.losing.len()
        )
    }

    fn drifted(&self) -> Saying {
        let decision = &self.outcome.planned.decision;
        if !self.outcome.enforced {
            let differs = !decision.plan.is_empty();
            let (reason, message) = if differs {
                let counts = std::iter::once(self.counts());
                let all: Vec<String> = counts.chain(self.drifts.iter().cloned()).collect();
                (Reason::Drifted, all.join("; "))
            } else {
                (Reason::InStep, "in step".to_owned())
            };
            return Saying::new(ConditionType::Drifted, differs, reason, message);
        }
        if self.drifts.is_empty() {
            return Saying::new(ConditionType::Drifted, false, Reason::InStep, "");
        }
        let repaired = self.outcome.failed.is_empty() && decision.plan.blocked.is_empty();
        let reason = if repaired {
            Reason::Repaired
        } else {
            Reason::Drifted
        };
        Saying::new(ConditionType::Drifted, true, reason, self.drifts.join("; "))
    }

    fn blocked(&self) -> Option<Saying> {
        let plan = &self.outcome.planned.decision.plan;
        let digest = plan.blocked_digest()?;
        if !self.outcome.enforced {
            return None;
        }
        let refused = &self.outcome.planned.refused;
        let message = plan::reasons(&plan.blocked).join("; ") + &plan::not_released(refused);
        let reason = if refused
            .iter()
            .any(|refused| refused.reason == Reason::ApprovalsUnprotected)
        {
            Reason::ApprovalsUnprotected
        } else {
            Reason::AwaitingApproval
        };
        Some(Saying::new(
            ConditionType::Blocked,
            true,
            reason,
            format!("approve {digest}: {message}"),
        ))
    }

    /// Whether something waits that would let people around a gate.
    fn weakens_gate(&self) -> Option<Saying> {
        let blocked = &self.outcome.planned.decision.plan.blocked;
        let why: Vec<&str> = blocked
            .iter()
            .flat_map(|blocked| &blocked.brakes)
            .filter(|brake| brake.rule == BrakeRule::WeakensGate)
            .map(|brake| brake.message.as_str())
            .collect();
        let message = why.join("; ");
        let saying = || {
            Saying::new(
                ConditionType::WeakensGate,
                true,
                Reason::AwaitingApproval,
                message,
            )
        };
        (!why.is_empty()).then(saying)
    }

    pub(super) fn plan(&self) -> Option<PlanStatus> {
        let plan = &self.outcome.planned.decision.plan;
        // What was written in this pass is no difference any more; what is blocked still is.
        let (digest, changes): (EffectDigest, Vec<_>) = if self.outcome.enforced {
            let digest = plan.blocked_digest()?;
            (
                digest,
                plan.blocked
                    .iter()
                    .map(|blocked| blocked.change.clone())
                    .collect(),
            )
        } else {
            (
                plan.blocked_digest().unwrap_or_else(|| plan.digest()),
                plan.all().cloned().collect(),
            )
        };
        if changes.is_empty() {
            return None;
        }
        let lines = Plan {
            changes,
            ..Plan::default()
        }
        .lines();
        Some(PlanStatus {
            digest: digest.0,
            changes: i64::try_from(lines.len()).unwrap_or(i64::MAX),
            people_gaining: i64::try_from(plan.risk.gaining.len()).unwrap_or(i64::MAX),
            people_losing: i64::try_from(plan.risk.losing.len()).unwrap_or(i64::MAX),
            summary: lines
                .into_iter()
                .take(LINES)
                .map(|line| line.chars().take(256).collect())
                .collect(),
        })
    }

    fn retries_soon(&self) -> bool {
        matches!(
            most_urgent(self.classes.iter().cloned()),
            Some(ErrorClass::RetrySoon | ErrorClass::RetryAt(_))
        )
    }

    /// When to come back; `interval` is what the connections can hold.
    pub(super) fn next(&self, now: Timestamp, interval: u64) -> Next {
        let decision = &self.outcome.planned.decision;
        match most_urgent(self.classes.iter().cloned()) {
            Some(ErrorClass::RetrySoon) => return Next::Backoff,
            Some(ErrorClass::RetryAt(at)) => return Next::After(until(now, at).max(Duration::from_secs(1))),
            _ => {}
        }
        let writes = !self.outcome.written.is_empty() || !decision.pending.is_empty();
        if self.outcome.enforced && writes {
            return Next::After(CONFIRM);
        }
        // What could not be repaired for good is tried again at the interval.
        let repaired = self.outcome.failed.is_empty() && decision.plan.blocked.is_empty();
        if self.outcome.enforced && !decision.drift.is_empty() && repaired {
            return Next::After(CONFIRM);
        }
        Next::After(until(now, next_check(now, interval)))
    }
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

/// Problems that only an edit mends.
fn is_spec_problem(reason: Option<Reason>) -> bool {
    matches!(
        reason,
        Some(
            Reason::InvalidSpec
                | Reason::OutOfReach
                | Reason::NotAllowed
                | Reason::NeedsAdministrative
                | Reason::TooLarge
                | Reason::LevelNotSupported
        )
    )
}

fn sentences<'a>(problems: impl Iterator<Item = &'a Problem>) -> String {
    let all: Vec<_> = problems
        .map(|problem| format!("{}: {}", problem.label, problem.message))
        .collect();
    all.join("; ")
}
