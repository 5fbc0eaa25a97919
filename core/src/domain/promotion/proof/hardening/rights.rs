//! Who holds a right on a ref, as Gerrit works it out from a project and all it inherits from. Where that cannot be told
//! from the patterns alone, a right is taken to be held: a doubt is a hole.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::access_binding::RefAction;
use crate::domain::access::grant::{Principal, Privilege};
use crate::domain::access::overlap::ref_patterns_overlap;

/// Everybody who is logged in, and everybody.
const EVERYBODY: [&str; 2] = ["global:Registered-Users", "global:Anonymous-Users"];
/// The section of what is no ref.
pub const CAPABILITIES: &str = "GLOBAL_CAPABILITIES";

/// The rules of one permission on one pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionRules {
    /// Less exact patterns, and what is inherited, do not count beside it.
    pub exclusive: bool,
    pub rules: Vec<(Principal, Privilege)>,
}

/// Rights that one project defines: by pattern, then by permission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectRights {
    pub project: String,
    /// Whether all of it was shown to us.
    pub visible: bool,
    pub sections: BTreeMap<String, BTreeMap<String, PermissionRules>>,
}

/// Somebody who holds a right, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder<'a> {
    pub who: &'a Principal,
    pub project: &'a str,
    pub pattern: &'a str,
}

impl std::fmt::Display for Holder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} of {})", self.who.name, self.pattern, self.project)
    }
}

/// One section that may match a ref.
struct Section<'a> {
    project: &'a str,
    /// How far from the project itself.
    depth: usize,
    pattern: &'a str,
    /// It matches for certain.
    certain: bool,
    rules: &'a PermissionRules,
}

impl Section<'_> {
    /// The most exact first, and a project before what it inherits from.
    fn order(&self, at: &str) -> (bool, std::cmp::Reverse<usize>, usize) {
        (
            self.pattern != at,
            std::cmp::Reverse(self.pattern.len()),
            self.depth,
        )
    }
}

fn action(privilege: &Privilege) -> Option<(RefAction, bool)> {
    match privilege {
        Privilege::Rule { action, force, .. } => Some((*action, *force)),
        _ => None,
    }
}

/// Who holds the permission on the ref. `counts`: whether an ALLOW is of the kind that is asked about.
pub fn holders<'a>(
    chain: &'a [ProjectRights],
    at: &str,
    permission: &str,
    counts: impl Fn(&Privilege) -> bool,
) -> BTreeSet<Holder<'a>> {
    let mut sections: Vec<Section<'a>> = Vec::new();
    for (depth, project) in chain.iter().enumerate() {
        for (pattern, permissions) in &project.sections {
            let Some(rules) = permissions.get(permission) else {
                continue;
            };
            if pattern == CAPABILITIES || !ref_patterns_overlap(pattern, at) {
                continue;
            }
            sections.push(Section {
                project: &project.project,
                depth,
                pattern,
                certain: !pattern.starts_with('^') && !pattern.contains("${"),
                rules,
            });
        }
    }
    sections.sort_by_key(|section| section.order(at));
    let mut held = BTreeSet::new();
    let mut denied: BTreeSet<&Principal> = BTreeSet::new();
    for section in &sections {
        for (who, privilege) in &section.rules.rules {
            match action(privilege) {
                Some((RefAction::Allow, _)) if counts(privilege) && !denied.contains(who) => {
                    held.insert(Holder {
                        who,
                        project: section.project,
                        pattern: section.pattern,
                    });
                }
                Some((RefAction::Deny, _)) if section.certain => {
                    denied.insert(who);
                }
                _ => {}
            }
        }
        if section.rules.exclusive && section.certain {
            break;
        }
    }
    blocked(&sections, held)
}

/// Without those whom a BLOCK stops. One who is allowed beside it, or on a more exact pattern of the same project that is
/// exclusive, is an exception to it.
fn blocked<'a>(sections: &[Section<'a>], mut held: BTreeSet<Holder<'a>>) -> BTreeSet<Holder<'a>> {
    for (at, section) in sections.iter().enumerate() {
        if !section.certain {
            continue;
        }
        for (stopped, privilege) in &section.rules.rules {
            // A forced push alone is a lesser thing than a push, and a range stops a part of the votes only.
            let stops = matches!(
                privilege,
                Privilege::Rule {
                    action: RefAction::Block,
                    force: false,
                    range: None,
                    ..
                }
            );
            if !stops {
                continue;
            }
            let everybody = EVERYBODY.contains(&stopped.subject.as_str());
            held.retain(|holder| {
                let excepted = sections[..=at].iter().any(|other| {
                    let here = other.pattern == section.pattern || other.rules.exclusive;
                    other.depth == section.depth
                        && here
                        && other.pattern == holder.pattern
                        && other.project == holder.project
                });
                excepted || !(everybody || holder.who == stopped)
            });
        }
    }
    held
}

/// Who holds a global capability.
pub fn capable<'a>(chain: &'a [ProjectRights], capability: &str) -> BTreeSet<Holder<'a>> {
    let mut held = BTreeSet::new();
    for project in chain {
        let rules = project
            .sections
            .get_key_value(CAPABILITIES)
            .and_then(|(pattern, permissions)| Some((pattern, permissions.get(capability)?)));
        let Some((pattern, rules)) = rules else { continue };
        for (who, privilege) in &rules.rules {
            if matches!(action(privilege), Some((RefAction::Allow, _))) {
                held.insert(Holder {
                    who,
                    project: &project.project,
                    pattern,
                });
            }
        }
    }
    held
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A project's rights, as `pattern permission[!] group[: rule]`; `!` makes it exclusive.
    pub(in super::super) fn project(name: &str, lines: &[&str]) -> ProjectRights {
        let mut rights = ProjectRights {
            project: name.into(),
            visible: true,
            sections: BTreeMap::new(),
        };
        for line in lines {
            let mut words = line.splitn(4, ' ');
            let (pattern, permission) = (words.next().unwrap(), words.next().unwrap());
            let (group, rule) = (words.next().unwrap(), words.next().unwrap_or_default());
            let bare = permission.trim_end_matches('!');
            let permissions = rights.sections.entry(pattern.into()).or_default();
            let rules = permissions.entry(bare.into()).or_default();
            rules.exclusive |= bare != permission;
            let privilege = format!("{bare} {rule}").trim().parse().unwrap();
            rules.rules.push((Principal::group(group, group), privilege));
        }
        rights
    }

    fn push(chain: &[ProjectRights]) -> Vec<&str> {
        holders(chain, "refs/heads/prod", "push", |_| true)
            .into_iter()
            .map(|holder| holder.who.subject.as_str())
            .collect()
    }

    #[test]
    fn a_right_is_held_by_whatever_pattern_matches_in_whatever_ancestor() {
        let chain = [
            project("ml", &["refs/heads/prod push leads", "refs/tags/* push taggers"]),
            project(
                "All-Projects",
                &["refs/heads/* push admins", "^refs/heads/p.* push some"],
            ),
        ];
        assert_eq!(push(&chain), ["admins", "leads", "some"]);
    }

    #[test]
    fn what_is_exclusive_shuts_out_the_rest_and_a_denial_one_group() {
        let above = project(
            "All-Projects",
            &["refs/heads/* push admins", "refs/heads/* push leads"],
        );
        let exclusive = project("ml", &["refs/heads/prod push! release"]);
        assert_eq!(push(&[exclusive, above.clone()]), ["release"]);
        let denial = project("ml", &["refs/heads/prod push admins DENY"]);
        assert_eq!(push(&[denial, above.clone()]), ["leads"]);
        // An expression may not match after all.
        let doubtful = project("ml", &["^refs/heads/(prod|x) push! release"]);
        assert_eq!(push(&[doubtful, above]), ["admins", "leads", "release"]);
    }

    #[test]
    fn a_block_stops_its_group_or_everybody_but_those_beside_it() {
        let below = project("ml", &["refs/heads/prod push leads", "refs/heads/* push admins"]);
        let all = project("All-Projects", &["refs/* push global:Registered-Users BLOCK"]);
        assert_eq!(push(&[below.clone(), all]), [""; 0]);
        let one = project("All-Projects", &["refs/* push leads BLOCK"]);
        assert_eq!(push(&[below.clone(), one]), ["admins"]);
        let excepted = project(
            "All-Projects",
            &["refs/* push global:Registered-Users BLOCK", "refs/* push release"],
        );
        assert_eq!(push(&[below.clone(), excepted]), ["release"]);
        let forced = project(
            "All-Projects",
            &["refs/* push global:Registered-Users BLOCK force"],
        );
        assert_eq!(push(&[below, forced]), ["admins", "leads"]);
        let doubtful = project(
            "ml",
            &[
                "^refs/heads/.* push global:Registered-Users BLOCK",
                "refs/heads/prod push leads",
            ],
        );
        assert_eq!(push(&[doubtful]), ["leads"]);
    }

    #[test]
    fn capabilities_are_no_rights_on_refs() {
        let chain = [project("All-Projects", &["GLOBAL_CAPABILITIES runAs bots"])];
        assert_eq!(capable(&chain, "runAs").len(), 1);
        assert!(holders(&chain, "refs/heads/prod", "runAs", |_| true).is_empty());
    }
}
