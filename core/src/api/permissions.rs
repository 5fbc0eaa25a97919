//! Gerrit's permissions. Gerrit compares their names without case, so a name counts only as Gerrit itself spells it:
//! what is not in this table can be nobody's right under another spelling.

/// Every permission on refs without a label of its own (`Permission.java` of Gerrit 3.13, and `aiReview` of 3.14).
pub const PERMISSIONS: &[&str] = &[
    "abandon",
    "addPatchSet",
    "aiReview",
    "create",
    "createSignedTag",
    "createTag",
    "delete",
    "deleteChanges",
    "deleteOwnChanges",
    "editCustomKeyedValues",
    "editHashtags",
    "editTopicName",
    "forgeAuthor",
    "forgeCommitter",
    "forgeServerAsCommitter",
    "owner",
    "push",
    "pushMerge",
    "read",
    "rebase",
    "removeReviewer",
    "revert",
    "submit",
    "submitAs",
    "toggleWipState",
    "viewPrivateChanges",
];

/// Beginnings of permissions that name a label.
pub const OF_LABELS: &[&str] = &["label-", "labelAs-", "removeLabel-"];

/// A permission as Gerrit spells it, whichever case it is written in; `None`: Gerrit has no such permission.
/// Names of labels keep their spelling.
pub fn canonical(name: &str) -> Option<String> {
    if let Some(known) = PERMISSIONS.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        return Some((*known).to_owned());
    }
    OF_LABELS.iter().find_map(|known| {
        let (start, label) = name.split_at_checked(known.len())?;
        (start.eq_ignore_ascii_case(known) && !label.is_empty()).then(|| format!("{known}{label}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_gerrits_and_never_the_writers() {
        for (written, meant) in [
            ("Owner", Some("owner")),
            ("FORGEAUTHOR", Some("forgeAuthor")),
            ("push", Some("push")),
            ("LabelAs-Code-Review", Some("labelAs-Code-Review")),
            ("label-code-review", Some("label-code-review")),
            ("label-", None),
            ("administrateServer", None),
            ("push ", None),
        ] {
            assert_eq!(canonical(written).as_deref(), meant, "{written}");
        }
    }
}
