//! What somebody says has changed in Gerrit. A hint is unsigned and never believed: it names what to look at sooner than
//! the next poll would, and whether anything is different there is read from Gerrit itself.

/// Bytes of a longer project or branch: nobody can declare one, so nobody looks at it.
const LONGEST_NAME: usize = 1_024;
/// Bytes of a longer group UUID.
const LONGEST_UUID: usize = 128;

/// A place in Gerrit that may be worth a look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hint {
    /// A branch, by its short name.
    Branch { project: String, branch: String },
    /// Rights, labels and submit requirements of a project: its ref `refs/meta/config`.
    Config { project: String },
    /// A group, its members included.
    Group { uuid: String },
}

impl Hint {
    /// What a ref that moved is worth; `None`: nobody governs such refs, and a merge moves a dozen of them.
    pub fn of_ref(project: &str, ref_name: &str) -> Option<Self> {
        if project.is_empty() || project.len() > LONGEST_NAME || ref_name.len() > LONGEST_NAME {
            return None;
        }
        // Every group edit is a commit on a ref of the project All-Users, which a site may call otherwise; nobody else
        // has such refs.
        if let Some(place) = ref_name.strip_prefix("refs/groups/") {
            let (_, uuid) = place.split_once('/')?;
            let plausible = !uuid.is_empty() && uuid.len() <= LONGEST_UUID && !uuid.contains('/');
            return plausible.then(|| Self::Group {
                uuid: uuid.to_owned(),
            });
        }
        let project = project.to_owned();
        if ref_name == "refs/meta/config" {
            return Some(Self::Config { project });
        }
        // Short where the event is about a change, and in old versions of Gerrit.
        let branch = match ref_name.strip_prefix("refs/heads/") {
            Some(branch) => branch,
            None if ref_name.starts_with("refs/") => return None,
            None => ref_name,
        };
        (!branch.is_empty()).then(|| Self::Branch {
            project,
            branch: branch.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_is_worth_a_look_if_somebody_may_govern_it() {
        let branch = |branch: &str| {
            Some(Hint::Branch {
                project: "ml/fraud".into(),
                branch: branch.into(),
            })
        };
        let uuid = "a1".repeat(20);
        for (ref_name, expected) in [
            ("refs/heads/prod", branch("prod")),
            ("prod", branch("prod")),
            ("release/2026", branch("release/2026")),
            ("refs/heads/release/2026", branch("release/2026")),
            (
                "refs/meta/config",
                Some(Hint::Config {
                    project: "ml/fraud".into(),
                }),
            ),
            (
                format!("refs/groups/a1/{uuid}").as_str(),
                Some(Hint::Group { uuid: uuid.clone() }),
            ),
            ("refs/changes/01/1/meta", None),
            ("refs/meta/group-names", None),
            ("refs/sequences/groups", None),
            ("refs/users/04/1000004", None),
            ("refs/tags/v1", None),
            ("refs/heads/", None),
            ("refs/groups/a1", None),
            ("refs/groups/a1/", None),
            ("refs/groups/a1/../b2", None),
            ("", None),
        ] {
            assert_eq!(Hint::of_ref("ml/fraud", ref_name), expected, "{ref_name}");
        }
    }

    #[test]
    fn what_nobody_can_declare_is_no_hint() {
        let long = "x".repeat(LONGEST_NAME + 1);
        assert_eq!(Hint::of_ref("", "prod"), None);
        assert_eq!(Hint::of_ref(&long, "prod"), None);
        assert_eq!(Hint::of_ref("p", &long), None);
        let uuid = "x".repeat(LONGEST_UUID + 1);
        assert_eq!(Hint::of_ref("All-Users", &format!("refs/groups/xx/{uuid}")), None);
    }
}
