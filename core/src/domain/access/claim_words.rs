//! How bindings that may meet on a target find each other.

use std::collections::BTreeSet;

use crate::api::access_binding::AccessBindingSpec;
use crate::api::objects::ObjectName;

/// Words that two bindings share if they can meet on a target: cheap to compute from the spec alone, so that a
/// change of one binding finds the others it concerns without looking at all of them.
pub fn claim_words(spec: &AccessBindingSpec) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for gerrit in spec.gerrit.iter().flatten() {
        words.insert(format!("group {}", gerrit.group.name.to_lowercase()));
        for access in gerrit.access.iter().flatten() {
            words.insert(format!("ref {} {}", access.project, access.ref_));
        }
    }
    let Some(databricks) = &spec.databricks else {
        return words;
    };
    if let Some(account) = &databricks.account {
        words.insert(format!("group {}", account.group.name.to_lowercase()));
        for role in account.service_principal_roles.iter().flatten() {
            words.insert(format!("servicePrincipal {}", role.application_id.to_lowercase()));
        }
    }
    for grant in databricks.catalog.iter().flat_map(|catalog| &catalog.grants) {
        if let Some((kind, name)) = grant.securable() {
            words.insert(format!("{kind} {}", name.to_lowercase()));
        }
    }
    for workspace in databricks.workspaces.iter().flatten() {
        if let Some(group) = &workspace.group {
            words.insert(format!("group {}", group.name.to_lowercase()));
        }
        for object in workspace.objects.iter().flatten() {
            // By id and by name the same object has two words; whoever mixes both is found by its type.
            match object.object() {
                Some((kind, ObjectName::Name(name))) => words.insert(format!("{kind} {name}")),
                Some((kind, ObjectName::Id(_))) => words.insert(format!("{kind} by id")),
                None => false,
            };
        }
    }
    words
}
