//! Whether the admission policy is in force that holds an approval's `approver` to be who asked. While it is not, no
//! approval counts.

use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::task::JoinSet;

use super::arrival::{Arrived, Kind};
use super::cache::Cache;
use super::name::Name;

/// Name of the policy and of its binding.
pub const POLICY: &str = "lockstep-approvals";

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

    /// Whether the policy is in force.
    pub fn holds(&self) -> bool {
        let name = Name::new("", POLICY);
        protects(
            self.policy.get(&name).as_deref(),
            self.binding.get(&name).as_deref(),
        )
    }
}

/// Whether both exist, belong together, fail closed and deny.
pub(super) fn protects(
    policy: Option<&ValidatingAdmissionPolicy>,
    binding: Option<&ValidatingAdmissionPolicyBinding>,
) -> bool {
    let (Some(policy), Some(binding)) = (policy, binding) else {
        return false;
    };
    let closed = policy
        .spec
        .as_ref()
        .is_some_and(|spec| spec.failure_policy.as_deref().unwrap_or("Fail") == "Fail");
    let spec = &binding.spec;
    let denies = spec.policy_name == POLICY && spec.validation_actions.iter().any(|action| action == "Deny");
    let going = policy.metadata.deletion_timestamp.is_some() || binding.metadata.deletion_timestamp.is_some();
    closed && denies && !going
}
