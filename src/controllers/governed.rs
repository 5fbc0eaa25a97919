//! Who is in the groups whose votes count, and who says so: the AccessBinding that holds a group.

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{AccessBinding, PromotionPolicy};
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::Cluster;
use lockstep_core::domain::promotion::evidence::Governance;

/// The binding that holds a group's members; an authoritative one before any other.
pub fn by(group: &Target, cluster: &dyn Cluster) -> Option<Governance> {
    let address = group.to_string();
    let holds = |binding: &AccessBinding| {
        let inventory = binding.status.as_ref().and_then(|status| status.inventory.as_ref());
        inventory.is_some_and(|rows| rows.iter().any(|row| row.target == address))
    };
    let held = cluster.bindings().into_iter().filter(|binding| holds(binding));
    held.map(|binding| governance(group, &binding))
        .max_by_key(|governance| (governance.authoritative, governance.enforcing))
}

fn governance(group: &Target, binding: &AccessBinding) -> Governance {
    let status = binding.status.as_ref();
    let rows = status.and_then(|status| status.inventory.as_deref()).unwrap_or_default();
    let ready = status.is_some_and(|status| {
        let ready = status.conditions.iter().find(|said| ConditionType::Ready.is(&said.type_));
        ready.is_some_and(|said| said.status == "True")
    });
    Governance {
        binding: format!("{}/{}", binding.namespace().unwrap_or_default(), binding.name_any()),
        authoritative: Inventory::read(rows).0.authoritative.contains(group),
        enforcing: ready
            && defaults::mode(&binding.spec) == Mode::Enforce
            && !defaults::suspended(&binding.spec)
            && binding.metadata.deletion_timestamp.is_none(),
    }
}

/// Since when it matters by whose hand somebody came into a group.
pub fn since(policy: &PromotionPolicy) -> Timestamp {
    let gate = policy.status.as_ref().and_then(|status| status.gate.as_ref());
    let made = policy.metadata.creation_timestamp.as_ref().map(|time| time.0);
    gate.and_then(|gate| gate.since)
        .or(made)
        .unwrap_or(Timestamp::UNIX_EPOCH)
}
