//! Promotions as people look at them, read from what the operator keeps in status: nothing outside is asked, but for
//! what is not merged yet.
//!
//! * [`picture`]: a policy's environments in order, with what runs, acts and is held in each.
//! * [`rows`]: promotions, newest first.
//! * [`detail`]: everything about one of them.
//! * [`orders`]: what cancelling, trying again and breaking the glass would do, and when they make no sense.
//! * [`way_back`]: what a rollback would change.
//! * [`ahead`]: what a change would come to, asked before the merge; [`change_words`]: what people call it.
//! * [`pending`]: plans that wait for people's yes.

pub mod ahead;
pub mod change_words;
pub mod detail;
mod differences;
pub mod orders;
pub mod pending;
pub mod picture;
mod recorded;
pub mod rows;
#[cfg(test)]
mod samples;
pub mod way_back;

pub use differences::Difference;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::promotion::{PromotionPhase, Purpose, StepRow, StepRowState};
use lockstep_core::api::promotion_policy::EnvironmentStatus;
use lockstep_core::api::{Promotion, PromotionPolicy};
use lockstep_core::domain::promotion::gate::freeze::Freeze;
use serde::Serialize;

/// Everything that was read, from one namespace or from all.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    pub policies: Vec<PromotionPolicy>,
    pub promotions: Vec<Promotion>,
    pub freezes: Vec<Freeze>,
}

impl Sight {
    /// The promotions of a policy.
    pub fn of<'a>(&'a self, policy: &PromotionPolicy) -> impl Iterator<Item = &'a Promotion> + use<'a> {
        let (namespace, name) = (policy.namespace(), policy.name_any());
        self.promotions.iter().filter(move |promotion| {
            promotion.namespace() == namespace && promotion.spec.policy_ref.name == name
        })
    }

    /// A policy by its namespace and name.
    pub fn policy(&self, namespace: Option<&str>, name: &str) -> Option<&PromotionPolicy> {
        let named = |policy: &&PromotionPolicy| {
            policy.name_any() == name && policy.metadata.namespace.as_deref() == namespace
        };
        self.policies.iter().find(named)
    }
}

/// What a promotion is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    Deploy,
    Rollback,
    Override,
}

impl Kind {
    fn of(promotion: &Promotion) -> Option<Self> {
        Some(match promotion.spec.purpose()? {
            Purpose::Deploy(_) => Self::Deploy,
            Purpose::Rollback(_) => Self::Rollback,
            Purpose::Override(_) => Self::Override,
        })
    }
}

/// Where a promotion stands; nobody has looked at one without a status.
fn phase(promotion: &Promotion) -> Option<PromotionPhase> {
    promotion.status.as_ref()?.phase
}

/// Whether it came to an end.
fn has_ended(phase: PromotionPhase) -> bool {
    match phase {
        PromotionPhase::Waiting | PromotionPhase::Running | PromotionPhase::Undoing => false,
        PromotionPhase::Succeeded
        | PromotionPhase::Failed
        | PromotionPhase::Refused
        | PromotionPhase::Superseded
        | PromotionPhase::Cancelled => true,
    }
}

/// Gerrit's number and the commit that is brought.
fn change(promotion: &Promotion) -> (Option<i64>, Option<String>) {
    if let Some(deploy) = &promotion.spec.deploy {
        return (Some(deploy.change), Some(deploy.deployed().to_owned()));
    }
    let status = promotion.status.as_ref();
    let revision = status.and_then(|status| status.revision.clone());
    (status.and_then(|status| status.change), revision)
}

fn made(promotion: &Promotion) -> Option<Timestamp> {
    promotion.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

/// Newest first: by when it was made, and of one moment by its place in the branch.
fn newness(promotion: &Promotion) -> impl Ord + use<> {
    let place = promotion.spec.deploy.as_ref();
    let place = place.map(|deploy| (deploy.position, deploy.attempt));
    std::cmp::Reverse((made(promotion), place, promotion.name_any()))
}

/// Reason and message of its Ready condition.
fn said(promotion: &Promotion) -> Option<(&str, &str)> {
    says(promotion, ConditionType::Ready)
}

/// Whether somebody has looked at what the glass was broken for, of an override that came to an end.
fn review(promotion: &Promotion) -> Option<(&str, &str)> {
    says(promotion, ConditionType::Reviewed)
}

fn says(promotion: &Promotion, kind: ConditionType) -> Option<(&str, &str)> {
    let conditions = &promotion.status.as_ref()?.conditions;
    let said = conditions.iter().find(|said| kind.is(&said.type_))?;
    Some((&said.reason, &said.message))
}

/// The step it is at: the first that is not done.
fn at_step(steps: &[StepRow]) -> Option<String> {
    let at = steps.iter().position(|step| step.state != StepRowState::Done)?;
    Some(format!("step {} ({} of {})", steps[at].name, at + 1, steps.len()))
}

/// What a policy remembers of an environment.
fn row<'a>(policy: &'a PromotionPolicy, environment: &str) -> Option<&'a EnvironmentStatus> {
    let rows = policy.status.as_ref()?.environments.as_ref()?;
    rows.iter().find(|row| row.name == environment)
}

/// An environment that the policy does not have.
fn no_environment(policy: &PromotionPolicy, environment: &str) -> String {
    let known: Vec<&str> = policy
        .spec
        .environments
        .iter()
        .map(|known| known.name.as_str())
        .collect();
    format!(
        "PromotionPolicy {} has no environment {environment}: write one of {}",
        policy.name_any(),
        known.join(", ")
    )
}
