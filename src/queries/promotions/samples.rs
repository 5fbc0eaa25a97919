//! Objects as tests need them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::promotion_policy::PolicyEnvironment;
use lockstep_core::api::{ChangeFreeze, Promotion, PromotionPolicy};
use lockstep_core::domain::promotion::gate::freeze::Freeze;
use serde_json::{Value, json};

use super::Sight;

/// The commit of every sample; eight digits of it stand in names.
pub const REVISION: &str = "89abcdef0123456789abcdef0123456789abcdef";

pub fn at(clock: &str) -> Timestamp {
    format!("2026-07-04T{clock}:00Z").parse().unwrap()
}

pub fn environments(all: &[(&str, &[&str])]) -> Vec<PolicyEnvironment> {
    let environment = |(name, requires): &(&str, &[&str])| {
        let requires: Vec<Value> = requires
            .iter()
            .map(|name| json!({"environment": name, "soak": "1h"}))
            .collect();
        let all = json!({
            "name": name, "branch": name, "databricks": {"connectionRef": {"name": name}},
            "runAs": {"applicationId": "00000000-0000-4000-8000-000000000000"}, "requires": requires,
        });
        serde_json::from_value(all).unwrap()
    };
    all.iter().map(environment).collect()
}

/// Policy `fraud` of namespace `ml`, which goes to staging and then to prod.
pub fn policy(status: Value) -> PromotionPolicy {
    let spec = json!({
        "mode": "Enforce",
        "gerrit": {"connectionRef": {"name": "gerrit"}, "project": "ml/fraud"},
        "gate": {"approval": {"label": "Code-Review", "group": "leads"}, "verification": {"label": "Verified", "group": "ci"}},
        "environments": environments(&[("staging", &[]), ("prod", &["staging"])]),
    });
    let mut policy = PromotionPolicy::new("fraud", serde_json::from_value(spec).unwrap());
    policy.metadata.namespace = Some("ml".into());
    policy.metadata.uid = Some("uid-fraud".into());
    policy.status = Some(serde_json::from_value(status).unwrap());
    policy
}

pub fn freeze(name: &str, spec: Value) -> Freeze {
    let mut freeze = ChangeFreeze::new(name, serde_json::from_value(spec).unwrap());
    freeze.metadata.namespace = Some("ml".into());
    Freeze::declared(&freeze, "lockstep-system")
}

pub fn sight(policies: Vec<PromotionPolicy>, promotions: Vec<Promotion>) -> Sight {
    Sight {
        policies,
        promotions,
        freezes: Vec::new(),
    }
}

/// A promotion of policy `fraud`, bit by bit.
pub struct Made {
    object: Promotion,
    /// Steps as its machine has them.
    steps: Vec<Value>,
    /// Steps as it took them from the policy.
    taken: Vec<Value>,
}

impl Made {
    pub fn new(name: &str, spec: Value) -> Self {
        let mut object = Promotion::new(name, serde_json::from_value(spec).unwrap());
        object.metadata.namespace = Some("ml".into());
        object.metadata.uid = Some(format!("uid-{name}"));
        Self {
            object,
            steps: Vec::new(),
            taken: Vec::new(),
        }
    }

    pub fn deploy(environment: &str, change: i64) -> Self {
        let spec = json!({
            "policyRef": {"name": "fraud"}, "environment": environment,
            "deploy": {"change": change, "revision": REVISION, "position": change, "attempt": 1},
        });
        Self::new(&format!("fraud.{environment}.{change}.89abcdef"), spec)
    }

    pub fn position(mut self, position: i64) -> Self {
        if let Some(deploy) = &mut self.object.spec.deploy {
            deploy.position = position;
        }
        self
    }

    pub fn made(mut self, clock: &str) -> Self {
        self.object.metadata.creation_timestamp = Some(Time(at(clock)));
        self
    }

    pub fn status(mut self, status: Value) -> Self {
        self.object.status = Some(serde_json::from_value(status).unwrap());
        self
    }

    /// A step that is done and left this.
    pub fn left(mut self, name: &str, outputs: Value) -> Self {
        self.steps
            .push(json!({"name": name, "timeout": 60, "attempts": 1, "state": "done", "outputs": outputs}));
        self
    }

    /// What the policy said of a step.
    pub fn taking(mut self, name: &str, action: Value) -> Self {
        self.taken
            .push(json!({"name": name, "timeout": 60, "attempts": 1, "action": action}));
        self
    }

    /// In this phase, as the machine spells it.
    pub fn machine(mut self, phase: Value, on_failure: &str, ended: Option<&str>) -> Self {
        let spec = &self.object.spec;
        let change = spec.deploy.as_ref().map_or(1, |deploy| deploy.change);
        let name = self.object.metadata.name.clone().unwrap();
        let mut status = json!(self.object.status.clone().unwrap_or_default());
        status["machine"] = json!({
            "promotion": {
                "name": name, "onFailure": on_failure, "phase": phase, "steps": self.steps,
                "subject": {"policyUid": "uid-fraud", "environment": spec.environment, "change": change,
                            "revision": REVISION, "cause": {"deploy": {"attempt": 1}}},
            },
            "ended": ended.map(at), "told": true,
        });
        let key = |name: &str| json!({"kind": "Gerrit", "namespace": "platform", "name": name});
        status["taken"] = json!({
            "recipe": {"environment": spec.environment, "databricks": key("prod"), "runAs": "u",
                       "onFailure": on_failure, "steps": self.taken},
            "gerrit": key("gerrit"), "on": {"project": "ml/fraud", "branch": "prod"}, "tree": "t",
        });
        status["endedAt"] = json!(ended.map(at));
        self.object.status = Some(serde_json::from_value(status).unwrap());
        self
    }

    pub fn succeeded(self, ended: &str) -> Self {
        let made = self.machine(json!({"ended": "succeeded"}), "Hold", Some(ended));
        let mut status = json!(made.object.status);
        status["phase"] = json!(PromotionPhase::Succeeded);
        status["conditions"] = json!([{"type": ConditionType::Ready.to_string(), "status": "True", "reason": Reason::Succeeded.to_string(), "message": "",
                                       "lastTransitionTime": "2026-07-04T00:00:00Z"}]);
        made.status(status)
    }

    pub fn object(self) -> Promotion {
        self.object
    }
}
