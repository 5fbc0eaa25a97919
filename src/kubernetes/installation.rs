//! How Lockstep stands in this cluster: definitions, admission policies, and who leads. Read with the caller's rights.

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt as _};
use lockstep_core::api::crd;

use super::protection::{DEPLOYS_POLICY, POLICY, protects, reserves_deploys};

/// Name of the policy that stamps who changed a spec, of its binding, and of the one that guards the stamp.
pub const CHANGED_BY_POLICY: &str = "lockstep-changed-by";
/// A lease that was not renewed for this long has no holder that lives.
const DEAD: i64 = 30;

/// One fact, as far as it could be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    Found(T),
    Absent,
    /// Why it could not be seen.
    Hidden(String),
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    pub holder: String,
    pub renewed: Option<Timestamp>,
    pub alive: bool,
}

/// Everything there is to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Definition names, and whether each is as this version of Lockstep makes it.
    pub definitions: Vec<(String, Seen<bool>)>,
    /// Whether the policy that ties approvers to their names is in force.
    pub approvals: Seen<bool>,
    /// Whether nobody but the operator can make a Promotion that deploys.
    pub deploys: Seen<bool>,
    /// Whether who changed a spec is stamped.
    pub changed_by: Seen<bool>,
    pub leader: Seen<Leader>,
}

fn seen<T>(answer: kube::Result<Option<T>>) -> Seen<T> {
    match answer {
        Ok(Some(found)) => Seen::Found(found),
        Ok(None) => Seen::Absent,
        Err(kube::Error::Api(status)) if status.is_forbidden() => Seen::Hidden("you may not read it".into()),
        Err(error) => Seen::Hidden(error.to_string()),
    }
}

impl Installation {
    pub async fn read(client: &Client, operator_namespace: &str, lease: &str, now: Timestamp) -> Self {
        let (definitions, approvals, deploys, changed_by, leader) = futures::join!(
            definitions(client),
            Box::pin(admission(client, POLICY, protects)),
            Box::pin(admission(client, DEPLOYS_POLICY, reserves_deploys)),
            changed_by(client),
            leader(client, operator_namespace, lease, now),
        );
        Self {
            definitions,
            approvals,
            deploys,
            changed_by,
            leader,
        }
    }
}

async fn definitions(client: &Client) -> Vec<(String, Seen<bool>)> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut found = Vec::new();
    for wanted in crd::all() {
        let name = wanted.name_any();
        let answer = match seen(api.get_opt(&name).await) {
            Seen::Found(there) => Seen::Found(is_current(&wanted, &there)),
            Seen::Absent => Seen::Absent,
            Seen::Hidden(why) => Seen::Hidden(why),
        };
        found.push((name, answer));
    }
    found
}

/// Whether every version we make is there with the same schema; what the API server fills in elsewhere is its own.
fn is_current(wanted: &CustomResourceDefinition, there: &CustomResourceDefinition) -> bool {
    wanted.spec.versions.iter().all(|version| {
        there
            .spec
            .versions
            .iter()
            .any(|known| known.name == version.name && known.schema == version.schema && known.served)
    })
}

/// Whether a policy and a binding of that name do what they must.
async fn admission(
    client: &Client,
    name: &str,
    meets: fn(Option<&ValidatingAdmissionPolicy>, Option<&ValidatingAdmissionPolicyBinding>) -> bool,
) -> Seen<bool> {
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let (policy, binding) = futures::join!(policies.get_opt(name), bindings.get_opt(name));
    match (seen(policy), seen(binding)) {
        (Seen::Hidden(why), _) | (_, Seen::Hidden(why)) => Seen::Hidden(why),
        (Seen::Found(policy), Seen::Found(binding)) => Seen::Found(meets(Some(&policy), Some(&binding))),
        _ => Seen::Absent,
    }
}

/// The kind is young: clusters serve it in different versions, or not at all.
async fn changed_by(client: &Client) -> Seen<bool> {
    for version in ["v1", "v1beta1", "v1alpha1"] {
        let api = |kind: &str| -> Api<DynamicObject> {
            let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", version, kind);
            // The plural of this kind is not the one that a rule would guess.
            let plural = if kind.kind.ends_with("Binding") {
                "mutatingadmissionpolicybindings"
            } else {
                "mutatingadmissionpolicies"
            };
            Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, plural))
        };
        let (policy, binding) = (
            api("MutatingAdmissionPolicy"),
            api("MutatingAdmissionPolicyBinding"),
        );
        let (policy, binding) = futures::join!(
            policy.get_opt(CHANGED_BY_POLICY),
            binding.get_opt(CHANGED_BY_POLICY)
        );
        match (seen(policy), seen(binding)) {
            (Seen::Hidden(why), _) | (_, Seen::Hidden(why)) => return Seen::Hidden(why),
            (Seen::Found(_), Seen::Found(_)) => return Seen::Found(true),
            _ => {}
        }
    }
    Seen::Absent
}

async fn leader(client: &Client, namespace: &str, name: &str, now: Timestamp) -> Seen<Leader> {
    let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
    match seen(api.get_opt(name).await) {
        Seen::Found(lease) => {
            let spec = lease.spec.unwrap_or_default();
            let renewed = spec.renew_time.map(|time| time.0);
            match spec.holder_identity.filter(|holder| !holder.is_empty()) {
                Some(holder) => Seen::Found(Leader {
                    holder,
                    renewed,
                    alive: renewed.is_some_and(|at| now.duration_since(at).as_secs() < DEAD),
                }),
                None => Seen::Absent,
            }
        }
        Seen::Absent => Seen::Absent,
        Seen::Hidden(why) => Seen::Hidden(why),
    }
}
