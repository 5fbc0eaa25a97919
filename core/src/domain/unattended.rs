//! Rights that nobody looks after: they were given, and what would take them back again is switched off.

use std::fmt;

use super::defaults;
use crate::api::AccessBinding;
use crate::api::reference::{Mode, OnDelete};

/// What is switched off while a binding holds rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unattended {
    /// `suspend: true`: nothing is read or written.
    Suspended,
    /// `mode: Observe`: nothing is written.
    Observe,
    /// `onDelete: Orphan`: what is held will be left behind.
    Orphan,
}

impl Unattended {
    pub const ALL: [Self; 3] = [Self::Suspended, Self::Observe, Self::Orphan];

    /// Whether this binding holds rights although this is switched off. Several may be at once.
    pub fn is(self, binding: &AccessBinding) -> bool {
        let status = binding.status.as_ref();
        let rows = status.and_then(|status| status.inventory.as_ref());
        let off = match self {
            Self::Suspended => defaults::suspended(&binding.spec),
            Self::Observe => defaults::mode(&binding.spec) == Mode::Observe,
            Self::Orphan => defaults::on_delete(&binding.spec) == OnDelete::Orphan,
        };
        off && rows.is_some_and(|rows| !rows.is_empty())
    }
}

impl fmt::Display for Unattended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn binding(spec: Value, holds: bool) -> AccessBinding {
        let row = json!({
            "target": "gerrit://site/groups/u", "principals": ["account:7"], "privilege": "member",
            "origin": "Created", "since": "2026-11-22T00:00:00Z",
        });
        let inventory = if holds { json!([row]) } else { json!([]) };
        serde_json::from_value(json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "AccessBinding", "metadata": {"name": "x"},
            "spec": spec, "status": {"inventory": inventory},
        }))
        .unwrap()
    }

    #[test]
    fn rights_are_unattended_only_while_some_are_held() {
        let why = |spec: Value, holds| -> Vec<String> {
            let binding = binding(spec, holds);
            let all = Unattended::ALL.into_iter().filter(|why| why.is(&binding));
            all.map(|why| why.to_string()).collect()
        };
        assert!(why(json!({"mode": "Enforce"}), true).is_empty());
        assert_eq!(why(json!({}), true), ["Observe"]);
        assert!(why(json!({"suspend": true, "onDelete": "Orphan"}), false).is_empty());
        assert_eq!(
            why(
                json!({"mode": "Enforce", "suspend": true, "onDelete": "Orphan"}),
                true
            ),
            ["Suspended", "Orphan"]
        );
    }
}
