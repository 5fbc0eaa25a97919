//! Plans that wait for people's yes, as the operator shows them in status.

use kube::ResourceExt as _;
use lockstep_core::api::plan_approval::PlanRef;
use lockstep_core::api::promotion_policy::{PendingPlan, PlanSubject};
use lockstep_core::api::{Promotion, PromotionPolicy};
use serde::Serialize;

use super::{no_environment, row};

/// One plan, and whose it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    #[serde(rename = "object")]
    pub of: PlanRef,
    #[serde(flatten)]
    pub plan: PendingPlan,
}

impl Pending {
    /// People who must say yes.
    pub fn approvers(&self) -> usize {
        let asked = self
            .plan
            .approvers
            .and_then(|number| usize::try_from(number).ok());
        asked.unwrap_or(1).max(1)
    }
}

/// Of a policy.
pub fn pending_of_policy(policy: &PromotionPolicy) -> Vec<Pending> {
    let of = PlanRef {
        kind: "PromotionPolicy".into(),
        namespace: policy.namespace().unwrap_or_default(),
        name: policy.name_any(),
        uid: policy.uid().unwrap_or_default(),
    };
    let plans = policy.status.as_ref().map(|status| status.plans.as_slice());
    all(&of, plans.unwrap_or_default())
}

/// Of a promotion.
pub fn pending_of_promotion(promotion: &Promotion) -> Vec<Pending> {
    let of = PlanRef {
        kind: "Promotion".into(),
        namespace: promotion.namespace().unwrap_or_default(),
        name: promotion.name_any(),
        uid: promotion.uid().unwrap_or_default(),
    };
    let plans = promotion.status.as_ref().map(|status| status.plans.as_slice());
    all(&of, plans.unwrap_or_default())
}

fn all(of: &PlanRef, plans: &[PendingPlan]) -> Vec<Pending> {
    let pending = |plan: &PendingPlan| Pending {
        of: of.clone(),
        plan: plan.clone(),
    };
    plans.iter().map(pending).collect()
}

/// The one that is meant: that of this digest, or the only one there is.
pub fn choose(pending: &[Pending], digest: Option<&str>) -> Result<Pending, String> {
    let found = match (digest, pending) {
        (Some(digest), _) => pending.iter().find(|pending| pending.plan.digest == digest),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    if let Some(found) = found {
        return Ok(found.clone());
    }
    let known: Vec<String> = pending
        .iter()
        .map(|pending| format!("{} ({:?})", pending.plan.digest, pending.plan.subject))
        .collect();
    Err(match (digest, known.is_empty()) {
        (_, true) => "nothing waits for an approval: status.plans is empty".into(),
        (Some(digest), false) => {
            format!(
                "no plan of digest {digest} waits: status.plans has {}",
                known.join(", ")
            )
        }
        (None, false) => format!(
            "several plans wait: name the one you mean with --digest: {}",
            known.join(", ")
        ),
    })
}

/// The plan that ends the hold of an environment, and the hold itself.
pub fn resumption(policy: &PromotionPolicy, environment: &str) -> Result<Pending, String> {
    if !policy
        .spec
        .environments
        .iter()
        .any(|known| known.name == environment)
    {
        return Err(no_environment(policy, environment));
    }
    let Some(held) = row(policy, environment).and_then(|row| row.held.as_ref()) else {
        return Err(format!(
            "environment {environment} is not held: there is nothing to resume"
        ));
    };
    // What is held because of what nobody explains goes on once that is acknowledged.
    let ends = |subject: PlanSubject| {
        subject == PlanSubject::Resume || (subject == PlanSubject::Runs && held.promotion.is_none())
    };
    let is_it = |pending: &Pending| {
        ends(pending.plan.subject) && pending.plan.environment.as_deref() == Some(environment)
    };
    pending_of_policy(policy).into_iter().find(is_it).ok_or_else(|| {
        format!(
            "environment {environment} is held, but status.plans of PromotionPolicy {} has no plan that ends it: wait \
             for the operator's next pass; a yes may have been given already",
            policy.name_any()
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::samples::policy;
    use super::*;

    fn held(environments: serde_json::Value) -> PromotionPolicy {
        policy(json!({"environments": environments, "plans": [
            {"subject": "WeakerGate", "digest": "sha256:a"},
            {"subject": "Resume", "environment": "staging", "digest": "sha256:b"},
            {"subject": "Resume", "environment": "prod", "digest": "sha256:c", "approvers": 1},
        ]}))
    }

    #[test]
    fn the_hold_of_this_environment_is_what_is_resumed() {
        let policy = held(json!([{"name": "prod", "held": {"reason": "it failed"}}, {"name": "staging"}]));
        let found = resumption(&policy, "prod").unwrap();
        assert_eq!(
            (found.plan.digest.as_str(), found.of.uid.as_str()),
            ("sha256:c", "uid-fraud")
        );
        assert!(resumption(&policy, "staging").unwrap_err().contains("not held"));
        assert!(resumption(&policy, "live").unwrap_err().contains("staging, prod"));
    }

    #[test]
    fn what_is_held_because_nobody_explains_it_goes_on_when_that_is_acknowledged() {
        let with = |hold: serde_json::Value| {
            policy(json!({
                "environments": [{"name": "prod", "held": hold}],
                "plans": [{"subject": "Runs", "environment": "prod", "digest": "sha256:d"}],
            }))
        };
        let strange = with(json!({"reason": "1 run that no promotion explains"}));
        assert_eq!(resumption(&strange, "prod").unwrap().plan.digest, "sha256:d");
        let failed = with(json!({"reason": "it failed", "promotion": "fraud.prod.1.a"}));
        assert!(resumption(&failed, "prod").unwrap_err().contains("next pass"));
    }

    #[test]
    fn a_hold_without_a_plan_is_waited_for() {
        let mut policy = held(json!([{"name": "prod", "held": {"reason": "it failed"}}]));
        policy.status.as_mut().unwrap().plans.pop();
        assert!(resumption(&policy, "prod").unwrap_err().contains("next pass"));
    }

    #[test]
    fn of_several_plans_one_must_be_named() {
        let all = pending_of_policy(&held(json!([])));
        assert!(choose(&all, None).unwrap_err().contains("sha256:b (Resume)"));
        assert_eq!(
            choose(&all, Some("sha256:a")).unwrap().plan.subject,
            PlanSubject::WeakerGate
        );
        assert!(choose(&all, Some("sha256:z")).unwrap_err().contains("sha256:z"));
        assert_eq!(choose(&all[..1], None).unwrap().plan.digest, "sha256:a");
        assert!(choose(&[], None).unwrap_err().contains("nothing waits"));
        assert_eq!(all[0].approvers(), 1, "unless it says more");
    }
}
