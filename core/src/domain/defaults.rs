//! What an unset field means: the one table.

use crate::api::ServiceCredentialSpec;
use crate::api::access_binding::{AccessBindingSpec, Foreign, Membership, RefAction, Safety};
use crate::api::promotion_policy::{
    self as policy, GateAgents, GateApproval, OnUnexplained, SubmitRequirements,
};
use crate::api::promotion_step;
use crate::api::reference::{ConnectionRef, Mode, OnDelete};
use crate::api::text::Duration;

use super::ports::{ConnectionKey, ConnectionKind};
use super::promotion::machine::rollback::OnRollback;
use super::promotion::machine::state::OnFailure;

/// How often drift is looked for, in seconds.
pub const INTERVAL: u64 = 600;
/// How long a PlanApproval lives, in seconds.
pub const APPROVAL_LIFETIME: i64 = 86_400;
/// Days after which no PlanApproval counts, whatever it says: the world that its approver saw is another by then.
pub const LONGEST_APPROVAL_DAYS: i64 = 30;
/// How long one try of a step may take, in seconds.
pub const STEP_TIMEOUT: u64 = 7_200;
/// Tries of a step, the first included.
pub const STEP_ATTEMPTS: u32 = 3;
/// The zone in which a window's start is read.
pub const TIME_ZONE: &str = "UTC";
/// How long the last value of a credential lives on after the new one is everywhere, in seconds.
pub const OVERLAP: u64 = 7_200;
/// Region whose endpoints are asked for a service that has no regions.
pub const AWS_REGION: &str = "us-east-1";
/// Deletions this close to each other are one flood, in seconds.
pub const FLOOD: i64 = 600;

pub fn mode(spec: &AccessBindingSpec) -> Mode {
    spec.mode.unwrap_or(Mode::Observe)
}

pub fn suspended(spec: &AccessBindingSpec) -> bool {
    spec.suspend.unwrap_or(false)
}

/// The mode of a policy.
pub fn policy_mode(spec: &policy::PromotionPolicySpec) -> Mode {
    spec.mode.unwrap_or(Mode::Observe)
}

pub fn policy_suspended(spec: &policy::PromotionPolicySpec) -> bool {
    spec.suspend.unwrap_or(false)
}

/// The mode of a credential.
pub fn credential_mode(spec: &ServiceCredentialSpec) -> Mode {
    spec.mode.unwrap_or(Mode::Observe)
}

pub fn credential_suspended(spec: &ServiceCredentialSpec) -> bool {
    spec.suspend.unwrap_or(false)
}

/// Whether nobody else mints for the identity.
pub fn exclusive(spec: &ServiceCredentialSpec) -> bool {
    spec.exclusive.unwrap_or(false)
}

/// What becomes of a credential when its object goes.
pub fn credential_on_delete(spec: &ServiceCredentialSpec) -> OnDelete {
    spec.on_delete.unwrap_or(OnDelete::Revoke)
}

/// Distinct people who must have approved.
pub fn approvals(approval: &GateApproval) -> u32 {
    at_least_one(approval.count, 1)
}

/// Distinct humans who must have approved what an agent made.
pub fn agent_approvals(agents: Option<&GateAgents>) -> u32 {
    at_least_one(agents.and_then(|agents| agents.count), 2)
}

/// Admission refuses less than one; whatever got past it counts as unset.
fn at_least_one(count: Option<i32>, default: u32) -> u32 {
    count
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| *count > 0)
        .unwrap_or(default)
}

pub fn submit_requirements(gate: &policy::Gate) -> SubmitRequirements {
    gate.submit_requirements.unwrap_or(SubmitRequirements::Managed)
}

pub fn on_failure(on_failure: Option<policy::OnFailure>) -> OnFailure {
    match on_failure {
        Some(policy::OnFailure::Rollback) => OnFailure::Rollback,
        Some(policy::OnFailure::Hold) | None => OnFailure::Hold,
    }
}

pub fn on_unexplained(on_unexplained: Option<OnUnexplained>) -> OnUnexplained {
    on_unexplained.unwrap_or(OnUnexplained::Hold)
}

pub fn job_run(run: Option<bool>) -> bool {
    run.unwrap_or(true)
}

pub fn on_rollback(on_rollback: Option<promotion_step::OnRollback>) -> OnRollback {
    match on_rollback {
        Some(promotion_step::OnRollback::Run) => OnRollback::Run,
        Some(promotion_step::OnRollback::Skip) | None => OnRollback::Skip,
    }
}

/// Seconds that one try of a step may take, or what is wrong with the text.
pub fn step_timeout(timeout: Option<&Duration>) -> Result<u64, String> {
    timeout.map_or(Ok(STEP_TIMEOUT), Duration::seconds)
}

pub fn step_attempts(attempts: Option<i32>) -> u32 {
    at_least_one(attempts, STEP_ATTEMPTS)
}

/// Seconds for which a success must have stood, or what is wrong with the text.
pub fn soak(soak: Option<&Duration>) -> Result<u64, String> {
    soak.map_or(Ok(0), Duration::seconds)
}

/// How much of an environment is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Promotions that have ended.
    pub keep: usize,
    /// Directories of code.
    pub directories: usize,
}

pub fn history(history: Option<&policy::History>) -> History {
    let number = |field: fn(&policy::History) -> Option<i32>, default| {
        history
            .and_then(field)
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| *number > 0)
            .unwrap_or(default)
    };
    History {
        keep: number(|history| history.keep, 50),
        directories: number(|history| history.directories, 5),
    }
}

/// Seconds between drift checks. Admission holds the bounds; an unreadable value falls back, never to zero.
pub fn interval(interval: Option<&Duration>) -> u64 {
    interval
        .and_then(|text| text.seconds().ok())
        .filter(|seconds| *seconds > 0)
        .unwrap_or(INTERVAL)
}

pub fn membership(membership: Option<Membership>) -> Membership {
    membership.unwrap_or(Membership::Authoritative)
}

pub fn foreign(foreign: Option<Foreign>) -> Foreign {
    foreign.unwrap_or(Foreign::Report)
}

pub fn action(action: Option<RefAction>) -> RefAction {
    action.unwrap_or(RefAction::Allow)
}

pub fn on_delete(spec: &AccessBindingSpec) -> OnDelete {
    spec.on_delete.unwrap_or(OnDelete::Revoke)
}

/// The connection a reference means, seen from an object's namespace.
pub fn connection(kind: ConnectionKind, reference: &ConnectionRef, own_namespace: &str) -> ConnectionKey {
    ConnectionKey {
        kind,
        namespace: reference
            .namespace
            .clone()
            .unwrap_or_else(|| own_namespace.to_owned()),
        name: reference.name.clone(),
    }
}

/// The brakes' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Percent of the declared people that may go at once.
    pub max_removals: u32,
    /// Percent of the declared people that may come at once.
    pub max_additions: u32,
    /// Fewest people a group may be left with.
    pub min_members: usize,
}

pub fn limits(safety: Option<&Safety>) -> Limits {
    let percent = |field: fn(&Safety) -> Option<&crate::api::text::Percent>, default| {
        safety
            .and_then(field)
            .and_then(|text| text.value().ok())
            .unwrap_or(default)
    };
    Limits {
        max_removals: percent(|safety| safety.max_removals.as_ref(), 25),
        max_additions: percent(|safety| safety.max_additions.as_ref(), 50),
        min_members: safety
            .and_then(|safety| safety.min_members)
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_means_what_the_table_says() {
        let spec = AccessBindingSpec::default();
        assert_eq!(mode(&spec), Mode::Observe);
        assert!(!suspended(&spec));
        assert_eq!(interval(spec.interval.as_ref()), 600);
        assert_eq!(membership(None), Membership::Authoritative);
        assert_eq!(foreign(None), Foreign::Report);
        assert_eq!(action(None), RefAction::Allow);
        assert_eq!(on_delete(&spec), OnDelete::Revoke);
        assert_eq!(
            limits(None),
            Limits {
                max_removals: 25,
                max_additions: 50,
                min_members: 1
            }
        );
        let reference = ConnectionRef {
            name: "prod".into(),
            namespace: None,
        };
        assert_eq!(
            connection(ConnectionKind::Databricks, &reference, "ml-fraud").namespace,
            "ml-fraud"
        );
        assert_eq!(APPROVAL_LIFETIME, 24 * 3_600);
    }

    #[test]
    fn an_unset_field_of_a_policy_means_what_the_table_says() {
        let spec: policy::PromotionPolicySpec = serde_json::from_value(serde_json::json!({
            "gerrit": {"connectionRef": {"name": "gerrit"}, "project": "ml/fraud"},
            "gate": {
                "approval": {"label": "Code-Review", "group": "leads"},
                "verification": {"label": "Verified", "group": "ci"},
            },
            "environments": [],
        }))
        .unwrap();
        assert_eq!(policy_mode(&spec), Mode::Observe);
        assert!(!policy_suspended(&spec));
        assert_eq!(interval(spec.interval.as_ref()), 600);
        assert_eq!(submit_requirements(&spec.gate), SubmitRequirements::Managed);
        assert_eq!(approvals(&spec.gate.approval), 1);
        assert_eq!(agent_approvals(spec.gate.agents.as_ref()), 2);
        assert_eq!(spec.gate.trusted_automation, None);
        assert_eq!(spec.gate.allow_overridden, None);
        assert_eq!(on_failure(None), OnFailure::Hold);
        assert_eq!(on_unexplained(None), OnUnexplained::Hold);
        assert!(job_run(None));
        assert_eq!(on_rollback(None), OnRollback::Skip);
        assert_eq!(step_timeout(None), Ok(2 * 3_600));
        assert_eq!(step_attempts(None), 3);
        assert_eq!(soak(None), Ok(0));
        let kept = History {
            keep: 50,
            directories: 5,
        };
        assert_eq!(history(spec.history.as_ref()), kept);
        assert_eq!(TIME_ZONE, "UTC");
    }

    #[test]
    fn nobody_can_ask_for_no_approval_and_no_attempt() {
        for count in [0, -1] {
            let approval = GateApproval {
                count: Some(count),
                ..GateApproval::default()
            };
            assert_eq!(approvals(&approval), 1);
            assert_eq!(step_attempts(Some(count)), 3);
        }
    }
}
