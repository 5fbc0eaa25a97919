//! Where a right comes from: the bindings that declare it and the member entries behind it, or nobody.

use lockstep_core::api::access_binding::Origin;
use lockstep_core::api::reference::Mode;
use lockstep_core::domain::access::grant::{Grant, Target};
use serde::Serialize;

use super::survey::Survey;

/// One binding that gives a right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Giver {
    /// `namespace/name`.
    pub binding: String,
    /// Whether the binding is `Enforce`; a binding that observes gives nothing.
    pub enforced: bool,
    /// Whether Lockstep gave the right or found it there; unset: it is declared and not held yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The member entries that name the person, for memberships: `spec.members[0] (person ada@example.com)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// Every binding that declares this right.
pub(super) fn givers(survey: &Survey, grant: &Grant) -> Vec<Giver> {
    survey
        .bindings
        .iter()
        .filter(|binding| binding.claims.contains(grant))
        .map(|binding| Giver {
            binding: format!("{}/{}", binding.key.namespace, binding.key.name),
            enforced: binding.mode == Mode::Enforce,
            origin: binding.inventory.rows.get(grant).map(|held| held.origin),
            members: binding
                .entries
                .iter()
                .zip(&binding.people)
                .filter(|(_, meant)| {
                    meant
                        .get(&grant.target.system())
                        .is_some_and(|people| people.contains(&grant.principal))
                })
                .map(|(entry, _)| format!("{} ({})", entry.path, entry.words))
                .collect(),
        })
        .collect()
}

/// Whether the row is one that is never anybody's to give: the owner's, the administrators', our own.
pub(super) fn is_protected(survey: &Survey, target: &Target, grant: &Grant) -> bool {
    survey
        .observed
        .get(target)
        .is_some_and(|seen| seen.protected.contains(&grant.principal))
}
