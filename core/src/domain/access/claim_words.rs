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
            match object.object() {
                Some((kind, ObjectName::Name(name))) => {
                    words.insert(format!("{kind} {name}"));
                    words.insert(format!("{kind}{BY_NAME}"));
                }
                Some((kind, ObjectName::Id(_))) => {
                    words.insert(format!("{kind}{BY_ID}"));
                }
                None => {}
            }
        }
    }
    words
}

const BY_NAME: &str = " by name";
const BY_ID: &str = " by id";

/// The words of those whom a binding with these words may meet. By id and by name one object has two words, and only
/// its system knows: whoever names it one way is looked for among all who name its type the other way.
pub fn words_to_meet(words: &BTreeSet<String>) -> BTreeSet<String> {
    let mut meeting = BTreeSet::new();
    for word in words {
        if let Some(kind) = word.strip_suffix(BY_NAME) {
            meeting.insert(format!("{kind}{BY_ID}"));
            continue;
        }
        if let Some(kind) = word.strip_suffix(BY_ID) {
            meeting.insert(format!("{kind}{BY_NAME}"));
        }
        meeting.insert(word.clone());
    }
    meeting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_id_and_by_name_an_object_is_met_and_by_two_names_it_is_not() {
        let words = |words: &[&str]| -> BTreeSet<String> { words.iter().map(ToString::to_string).collect() };
        let named = words(&["jobs fraud-train", "jobs by name"]);
        let other = words(&["jobs other", "jobs by name"]);
        let by_id = words(&["jobs by id"]);
        assert!(!words_to_meet(&named).is_disjoint(&by_id));
        assert!(!words_to_meet(&by_id).is_disjoint(&named));
        assert!(!words_to_meet(&by_id).is_disjoint(&by_id));
        assert!(!words_to_meet(&named).is_disjoint(&named));
        assert!(words_to_meet(&named).is_disjoint(&other));
    }
}
