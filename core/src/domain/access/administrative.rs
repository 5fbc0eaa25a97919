//! What lets its holder rule over others' rights, and so needs an administrative tenant entry. Levels and privileges
//! of Databricks that do stand in [`super::catalog`].

use super::grant::Privilege;
use super::overlap::ref_patterns_overlap;
use crate::api::access_binding::RefAction;
use crate::api::permissions::canonical;

/// Groups of which every member is an administrator, in Gerrit and in Databricks. Databricks compares names without
/// case, and a second Gerrit group that only looks so is worth the same care.
pub(super) fn rules_by_membership(group: &str) -> bool {
    group.eq_ignore_ascii_case("Administrators") || group.eq_ignore_ascii_case("admins")
}

/// What is wrong with a permission's name, if anything is. Gerrit takes it in any case; here one that is not in
/// Gerrit's own would be another permission.
pub(super) fn misspelt(privilege: &Privilege) -> Option<String> {
    let Privilege::Rule { permission, .. } = privilege else {
        return None;
    };
    match canonical(permission) {
        Some(known) if known == *permission => None,
        Some(known) => Some(format!(
            "Gerrit spells the permission {permission:?} {known:?}: write it so"
        )),
        None => Some(format!("Gerrit has no permission {permission:?}")),
    }
}

/// Rights that let their holder give rights, speak as others, or change what the gate reads. A BLOCK or DENY only
/// takes away.
pub(super) fn rules_over_refs(ref_name: &str, privilege: &Privilege) -> bool {
    let Privilege::Rule {
        permission,
        action: RefAction::Allow,
        ..
    } = privilege
    else {
        return false;
    };
    let permission = permission.to_lowercase();
    permission == "owner"
        || permission.starts_with("forge")
        || permission.starts_with("labelas-")
        || permission == "submitas"
        || (permission != "read" && ref_patterns_overlap(ref_name, "refs/meta/config"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_over_others_need_administrative() {
        let rule = |permission: &str, action| Privilege::Rule {
            permission: permission.into(),
            action,
            force: false,
            range: None,
        };
        for (permission, ref_name, action, expected) in [
            ("push", "refs/heads/*", RefAction::Allow, false),
            ("owner", "refs/heads/*", RefAction::Allow, true),
            ("forgeAuthor", "refs/heads/x", RefAction::Allow, true),
            ("push", "refs/meta/config", RefAction::Allow, true),
            ("read", "refs/meta/config", RefAction::Allow, false),
            ("push", "refs/*", RefAction::Allow, true),
            ("push", "refs/meta/config", RefAction::Block, false),
            // Gerrit takes a permission in any case, and each alternative of an expression by itself.
            ("Owner", "refs/heads/*", RefAction::Allow, true),
            ("ForgeAuthor", "refs/heads/x", RefAction::Allow, true),
            ("SubmitAs", "refs/heads/x", RefAction::Allow, true),
            ("LabelAs-Code-Review", "refs/heads/x", RefAction::Allow, true),
            ("READ", "refs/meta/config", RefAction::Allow, false),
            ("push", "^refs/heads/(a)|refs/meta/config", RefAction::Allow, true),
            ("push", "^refs/heads/(a|b)$", RefAction::Allow, false),
        ] {
            assert_eq!(
                rules_over_refs(ref_name, &rule(permission, action)),
                expected,
                "{permission} {ref_name}"
            );
        }
    }
}
