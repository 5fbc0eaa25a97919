//! How bindings stand: which are not in step, and which hold rights that nobody looks after any more.

use kube::ResourceExt as _;
use lockstep_core::api::AccessBinding;
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::reference::{Mode, OnDelete};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::defaults;

/// One binding that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `namespace/name`.
    pub binding: String,
    pub why: String,
    /// Whether something is broken, rather than merely worth knowing.
    pub broken: bool,
}

/// What is to be said about one binding, most urgent first; nothing for one that is in step.
pub fn standing(binding: &AccessBinding) -> Vec<Standing> {
    let name = format!(
        "{}/{}",
        binding.namespace().unwrap_or_default(),
        binding.name_any()
    );
    let status = binding.status.clone().unwrap_or_default();
    let (inventory, unreadable) = Inventory::read(status.inventory.as_deref().unwrap_or_default());
    let say = |broken, why: String| Standing {
        binding: name.clone(),
        why,
        broken,
    };
    let mut found = Vec::new();
    if let Some(said) = status
        .conditions
        .iter()
        .find(|said| ConditionType::Ready.is(&said.type_) && said.status != "True")
    {
        found.push(say(
            true,
            format!("not Ready ({}): {}", said.reason, said.message),
        ));
    }
    found.extend(
        unreadable
            .into_iter()
            .map(|why| say(true, format!("its inventory is not understood: {why}"))),
    );
    if inventory.is_empty() {
        return found;
    }
    let rights = inventory.rows.len() + inventory.groups.len();
    if defaults::suspended(&binding.spec) {
        found.push(say(
            false,
            format!("suspended while {rights} rights are held: drift stays"),
        ));
    } else if defaults::mode(&binding.spec) == Mode::Observe {
        found.push(say(
            false,
            format!("only observes while {rights} rights are held: drift stays"),
        ));
    }
    if defaults::on_delete(&binding.spec) == OnDelete::Orphan {
        found.push(say(
            false,
            format!("onDelete is Orphan: its deletion leaves {rights} rights behind"),
        ));
    }
    found
}
