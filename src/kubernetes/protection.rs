//! Whether the admission policy is in force that holds an approval's `approver` to be who asked. While it is not, no
//! approval counts.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Client};
use lockstep_core::api::GROUP;
use tokio::task::JoinSet;

use super::arrival::{Arrived, Kind};
use super::cache::Cache;
use super::name::Name;

/// Name of the policy and of its binding.
pub const POLICY: &str = "lockstep-approvals";
/// What the policy must demand, as the chart has it (a test compares them). A policy of this name that demands
/// something else protects nobody, whoever put it there.
pub const RULE: &str = "object.spec.approver == request.userInfo.username \
    || (request.operation == 'UPDATE' && object.spec == oldObject.spec)";
/// Name of the policy that lets nobody but the operator make a Promotion that deploys, and of its binding.
pub const DEPLOYS_POLICY: &str = "lockstep-deploys";
/// What that policy must demand, as the chart has it; whom it lets is the chart's to say.
pub const DEPLOYS_RULE: &str = "!has(object.spec.deploy) || request.userInfo.username in variables.deployers";

/// What an admission policy must do, whatever else it does.
struct Demand {
    name: &'static str,
    rule: &'static str,
    resource: &'static str,
    operations: &'static [&'static str],
}

const APPROVALS: Demand = Demand {
    name: POLICY,
    rule: RULE,
    resource: "planapprovals",
    operations: &["CREATE", "UPDATE"],
};
const DEPLOYS: Demand = Demand {
    name: DEPLOYS_POLICY,
    rule: DEPLOYS_RULE,
    resource: "promotions",
    operations: &["CREATE"],
};

impl Kind for ValidatingAdmissionPolicy {}
impl Kind for ValidatingAdmissionPolicyBinding {}

/// The one policy and the one binding that matter here, watched by name.
pub struct Protection {
    policy: Arc<Cache<ValidatingAdmissionPolicy>>,
    binding: Arc<Cache<ValidatingAdmissionPolicyBinding>>,
}

impl Protection {
    pub(super) fn new() -> Self {
        Self {
            policy: Cache::new(|_, _, _| {}),
            binding: Cache::new(|_, _, _| {}),
        }
    }

    pub(super) fn follow(&self, client: &Client, tasks: &mut JoinSet<()>) {
        fn one<K: Kind>(cache: &Arc<Cache<K>>, client: &Client, tasks: &mut JoinSet<()>) {
            let api: Api<Arrived<K>> = Api::all(client.clone());
            let config = watcher::Config::default().fields(&format!("metadata.name={POLICY}"));
            tasks.spawn(cache.clone().follow(api, config));
        }
        one(&self.policy, client, tasks);
        one(&self.binding, client, tasks);
    }

    pub(super) async fn synced(&self) {
        self.policy.synced().await;
        self.binding.synced().await;
    }

    /// Since when the policy is in force; `None`: it is not.
    pub fn since(&self) -> Option<Timestamp> {
        let name = Name::new("", POLICY);
        since(
            self.policy.get(&name).as_deref(),
            self.binding.get(&name).as_deref(),
        )
    }
}

/// Since when both have been there, if they protect: what was approved before, nobody held to a name.
pub(super) fn since(
    policy: Option<&ValidatingAdmissionPolicy>,
    binding: Option<&ValidatingAdmissionPolicyBinding>,
) -> Option<Timestamp> {
    if !protects(policy, binding) {
        return None;
    }
    let made = |meta: &ObjectMeta| meta.creation_timestamp.as_ref().map(|time| time.0);
    made(&policy?.metadata).max(made(&binding?.metadata))
}

/// Whether approvers are held to their names.
pub(super) fn protects(
    policy: Option<&ValidatingAdmissionPolicy>,
    binding: Option<&ValidatingAdmissionPolicyBinding>,
) -> bool {
    is_met(&APPROVALS, policy, binding)
}

/// Whether nobody but those whom the policy names makes a Promotion that deploys.
pub(super) fn reserves_deploys(
    policy: Option<&ValidatingAdmissionPolicy>,
    binding: Option<&ValidatingAdmissionPolicyBinding>,
) -> bool {
    is_met(&DEPLOYS, policy, binding)
}

/// Whether both exist, belong together, fail closed and deny, for every object whatever its namespace and labels.
fn is_met(
    demand: &Demand,
    policy: Option<&ValidatingAdmissionPolicy>,
    binding: Option<&ValidatingAdmissionPolicyBinding>,
) -> bool {
    let (Some(policy), Some(binding)) = (policy, binding) else {
        return false;
    };
    let going = policy.metadata.deletion_timestamp.is_some() || binding.metadata.deletion_timestamp.is_some();
    let bound = &binding.spec;
    let denies = bound.policy_name == demand.name
        && bound.validation_actions.iter().any(|action| action == "Deny")
        && bound.param_ref.is_none()
        && bound.match_resources.as_ref().is_none_or(|narrowed| {
            narrowed.resource_rules.as_ref().is_none_or(Vec::is_empty) && selects_all(narrowed)
        });
    let demands = policy.spec.as_ref().is_some_and(|spec| {
        let rules = spec.validations.iter().flatten();
        spec.failure_policy.as_deref().unwrap_or("Fail") == "Fail"
            && spec.match_conditions.as_ref().is_none_or(Vec::is_empty)
            && spec.param_kind.is_none()
            && spec
                .match_constraints
                .as_ref()
                .is_some_and(|constraints| covers(demand, constraints))
            && rules
                .map(|rule| words(&rule.expression))
                .any(|rule| rule == words(demand.rule))
    });
    demands && denies && !going
}

/// An expression without its line breaks.
fn words(expression: &str) -> Vec<&str> {
    expression.split_whitespace().collect()
}

/// Whether everything that the demand is about is looked at.
fn covers(demand: &Demand, constraints: &MatchResources) -> bool {
    let looked_at = |operation: &str| {
        let rules = constraints.resource_rules.iter().flatten();
        rules
            .into_iter()
            .any(|rule| names(rule, demand.resource, operation))
    };
    demand.operations.iter().all(|operation| looked_at(operation)) && selects_all(constraints)
}

fn names(rule: &NamedRuleWithOperations, resource: &str, operation: &str) -> bool {
    let NamedRuleWithOperations {
        api_groups,
        api_versions,
        operations,
        resource_names,
        resources,
        scope,
    } = rule;
    let has = |list: &Option<Vec<String>>, word: &str| {
        list.iter()
            .flatten()
            .any(|listed| listed == "*" || listed == word)
    };
    has(api_groups, GROUP)
        && has(api_versions, "*")
        && has(operations, operation)
        && has(resources, resource)
        && resource_names.as_ref().is_none_or(Vec::is_empty)
        && scope.as_deref() != Some("Cluster")
}

/// Whether nothing is left out by namespace, by label or by name. The API server fills in selectors that select all.
fn selects_all(resources: &MatchResources) -> bool {
    let all = |selector: &Option<LabelSelector>| {
        selector.as_ref().is_none_or(|selector| {
            selector
                .match_labels
                .as_ref()
                .is_none_or(std::collections::BTreeMap::is_empty)
                && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
        })
    };
    all(&resources.namespace_selector)
        && all(&resources.object_selector)
        && resources
            .exclude_resource_rules
            .as_ref()
            .is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn policy() -> Value {
        json!({"metadata": {"name": POLICY}, "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {},
                "resourceRules": [{
                    "apiGroups": ["lockstep.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
                    "resources": ["planapprovals"], "scope": "*",
                }],
            },
            "validations": [{"expression": RULE}],
        }})
    }

    fn binding() -> Value {
        json!({"metadata": {"name": POLICY}, "spec": {"policyName": POLICY, "validationActions": ["Deny"]}})
    }

    /// What comes of the two with one value changed in one of them.
    fn with(policy_at: &str, binding_at: &str, value: Value) -> bool {
        let (mut policy, mut binding) = (policy(), binding());
        for (object, at) in [(&mut policy, policy_at), (&mut binding, binding_at)] {
            if let Some((parent, key)) = at.rsplit_once('/') {
                let parent = object.pointer_mut(parent).unwrap();
                match key.parse::<usize>() {
                    Ok(index) => parent[index] = value.clone(),
                    Err(_) => parent[key] = value.clone(),
                }
            }
        }
        let policy: ValidatingAdmissionPolicy = serde_json::from_value(policy).unwrap();
        let binding: ValidatingAdmissionPolicyBinding = serde_json::from_value(binding).unwrap();
        protects(Some(&policy), Some(&binding))
    }

    #[test]
    fn the_shipped_policy_protects_and_no_narrower_one() {
        assert!(with("", "", json!(null)));
        let labelled = json!({"matchLabels": {"team": "x"}});
        for (at, value) in [
            ("/spec/failurePolicy", json!("Ignore")),
            ("/spec/validations", json!([{"expression": "true"}])),
            (
                "/spec/matchConditions",
                json!([{"name": "never", "expression": "false"}]),
            ),
            ("/spec/matchConstraints/namespaceSelector", labelled.clone()),
            ("/spec/matchConstraints/objectSelector", labelled.clone()),
            (
                "/spec/matchConstraints/excludeResourceRules",
                json!([{"resourceNames": ["x"]}]),
            ),
            (
                "/spec/matchConstraints/resourceRules/0/operations",
                json!(["CREATE"]),
            ),
            (
                "/spec/matchConstraints/resourceRules/0/resources",
                json!(["nothing"]),
            ),
            (
                "/spec/matchConstraints/resourceRules/0/resourceNames",
                json!(["one"]),
            ),
            ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
        ] {
            assert!(!with(at, "", value.clone()), "policy {at}: {value}");
        }
        for (at, value) in [
            ("/spec/policyName", json!("other")),
            ("/spec/validationActions", json!(["Warn", "Audit"])),
            ("/spec/paramRef", json!({"name": "x"})),
            ("/spec/matchResources", json!({"namespaceSelector": labelled})),
            (
                "/spec/matchResources",
                json!({"resourceRules": [{"resources": ["other"]}]}),
            ),
        ] {
            assert!(!with("", at, value.clone()), "binding {at}: {value}");
        }
    }

    #[test]
    fn what_the_api_server_fills_in_and_more_rules_do_no_harm() {
        let filled = json!({"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}});
        assert!(with("", "/spec/matchResources", filled));
        let folded = RULE.replace(" || ", "\n  || ");
        let more = json!([{"expression": "size(object.spec.reason) > 5"}, {"expression": folded}]);
        assert!(with("/spec/validations", "", more));
        assert!(!protects(None, None));
    }

    #[test]
    fn deploys_are_reserved_by_the_shipped_policy_alone() {
        let reserved = |rule: &str, operation: &str| {
            let policy = json!({"metadata": {"name": DEPLOYS_POLICY}, "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": ["lockstep.dev"], "apiVersions": ["*"], "operations": [operation],
                    "resources": ["promotions"],
                }]},
                "variables": [{"name": "deployers", "expression": "['system:serviceaccount:lockstep:lockstep']"}],
                "validations": [{"expression": rule}],
            }});
            let binding = json!({"metadata": {"name": DEPLOYS_POLICY},
                "spec": {"policyName": DEPLOYS_POLICY, "validationActions": ["Deny"]}});
            let policy: ValidatingAdmissionPolicy = serde_json::from_value(policy).unwrap();
            let binding: ValidatingAdmissionPolicyBinding = serde_json::from_value(binding).unwrap();
            reserves_deploys(Some(&policy), Some(&binding))
        };
        assert!(reserved(DEPLOYS_RULE, "CREATE"));
        assert!(!reserved("true", "CREATE"));
        assert!(!reserved(DEPLOYS_RULE, "DELETE"));
    }
}
