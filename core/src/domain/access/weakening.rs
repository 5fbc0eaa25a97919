//! Rights by which somebody could get around the gate of a PromotionPolicy: given by a binding only after a person said
//! yes to exactly that.

use std::collections::BTreeSet;

use super::administrative::rules_over_refs;
use super::grant::{Privilege, Right, Target};
use super::overlap::ref_patterns_overlap;
use crate::api::access_binding::RefAction;
use crate::domain::plan::Change;

/// Branches whose merges run, and where the rights on them come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Governed {
    /// `namespace/name` of the PromotionPolicy.
    pub policy: String,
    pub server: String,
    pub project: String,
    /// Projects that it inherits rights from.
    pub ancestors: BTreeSet<String>,
    /// Short names.
    pub branches: BTreeSet<String>,
}

impl Governed {
    /// Whether rights on a pattern of a project count on one of the branches, or on the rules themselves, and allow what
    /// goes around review. Pushing for review does not.
    fn is_opened_by(&self, target: &Target, privilege: &Privilege) -> bool {
        let Target::GerritRef {
            server,
            project,
            ref_name,
        } = target
        else {
            return false;
        };
        let Privilege::Rule { permission, .. } = privilege else {
            return false;
        };
        if *server != self.server || (*project != self.project && !self.ancestors.contains(project)) {
            return false;
        }
        let on = |prefix: &str| {
            let mut branches = self.branches.iter();
            branches.any(|branch| ref_patterns_overlap(ref_name, &format!("{prefix}{branch}")))
        };
        let permission = permission.to_lowercase();
        match permission.as_str() {
            "push" | "delete" | "owner" | "submitas" => on("refs/heads/") || rules_over(ref_name, privilege),
            // Merging what was reviewed is what people are for; with a push for review it merges what was not.
            "submit" => on("refs/for/refs/heads/") || rules_over(ref_name, privilege),
            other if other.starts_with("forge") || other.starts_with("labelas-") => on("refs/heads/"),
            _ => rules_over(ref_name, privilege),
        }
    }
}

/// Whether the right changes the rules themselves.
fn rules_over(ref_name: &str, privilege: &Privilege) -> bool {
    ref_patterns_overlap(ref_name, "refs/meta/config") && rules_over_refs(ref_name, privilege)
}

/// Why a change opens a way around a gate, one sentence for each policy.
pub fn weakened(change: &Change, governed: &[Governed]) -> Vec<String> {
    let allows = |right: &&Right| {
        matches!(
            &right.1,
            Privilege::Rule {
                action: RefAction::Allow,
                ..
            }
        )
    };
    let blocks = |right: &&Right| {
        matches!(
            &right.1,
            Privilege::Rule {
                action: RefAction::Block,
                ..
            }
        )
    };
    let given = change.add.iter().filter(allows);
    // What is blocked may be allowed elsewhere.
    let lifted = change
        .remove
        .iter()
        .filter(blocks)
        .filter(|right| !change.add.contains(*right));
    let all: Vec<(&Right, &str)> = given
        .map(|right| (right, "would get"))
        .chain(lifted.map(|right| (right, "would lose")))
        .collect();
    let mut sentences = Vec::new();
    for governed in governed {
        let opened: Vec<String> = all
            .iter()
            .filter(|((_, privilege), _)| governed.is_opened_by(&change.target, &allowed(privilege)))
            .map(|((who, privilege), verb)| format!("{} {verb} {privilege}", who.name))
            .collect();
        if !opened.is_empty() {
            sentences.push(format!(
                "{}: {}, around the gate of PromotionPolicy {}",
                change.label,
                opened.join(", "),
                governed.policy
            ));
        }
    }
    sentences
}

/// The same right as it would be allowed.
fn allowed(privilege: &Privilege) -> Privilege {
    match privilege {
        Privilege::Rule {
            permission,
            force,
            range,
            action: _,
        } => Privilege::Rule {
            permission: permission.clone(),
            action: RefAction::Allow,
            force: *force,
            range: *range,
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::grant::Principal;
    use super::*;

    fn governed() -> Vec<Governed> {
        vec![Governed {
            policy: "ml/fraud".into(),
            server: "g".into(),
            project: "ml/fraud".into(),
            ancestors: ["All-Projects".to_owned()].into(),
            branches: ["prod".to_owned()].into(),
        }]
    }

    fn change(project: &str, ref_name: &str) -> Change {
        let target = Target::GerritRef {
            server: "g".into(),
            project: project.into(),
            ref_name: ref_name.into(),
        };
        Change::new(target, format!("{project} {ref_name}"))
    }

    fn right(privilege: &str) -> Right {
        (Principal::group("t", "team"), privilege.parse().unwrap())
    }

    fn opens(project: &str, ref_name: &str, privilege: &str) -> bool {
        let mut change = change(project, ref_name);
        change.add.insert(right(privilege));
        !weakened(&change, &governed()).is_empty()
    }

    #[test]
    fn what_gets_around_review_weakens_the_gate() {
        for (project, ref_name, privilege, expected) in [
            ("ml/fraud", "refs/heads/prod", "push", true),
            ("ml/fraud", "refs/heads/*", "push force", true),
            ("All-Projects", "refs/*", "push", true),
            ("ml/fraud", "^refs/heads/p.*", "push", true),
            ("ml/fraud", "refs/heads/other", "push", false),
            ("ml/other", "refs/heads/prod", "push", false),
            ("ml/fraud", "refs/heads/prod", "push BLOCK", false),
            ("ml/fraud", "refs/for/refs/heads/*", "push", false),
            ("ml/fraud", "refs/for/refs/heads/*", "submit", true),
            ("ml/fraud", "refs/heads/prod", "submit", false),
            ("ml/fraud", "refs/heads/prod", "owner", true),
            ("ml/fraud", "refs/heads/prod", "forgeAuthor", true),
            ("ml/fraud", "refs/heads/prod", "labelAs-Code-Review -2..+2", true),
            ("ml/fraud", "refs/heads/prod", "label-Code-Review -2..+2", false),
            ("ml/fraud", "refs/heads/prod", "submitAs", true),
            ("ml/fraud", "refs/meta/config", "push", true),
            ("ml/fraud", "refs/meta/config", "submit", true),
            ("ml/fraud", "refs/meta/config", "read", false),
            ("ml/fraud", "refs/heads/prod", "read", false),
        ] {
            assert_eq!(
                opens(project, ref_name, privilege),
                expected,
                "{project} {ref_name} {privilege}"
            );
        }
    }

    #[test]
    fn who_lifts_a_block_opens_what_it_closed() {
        let mut lifted = change("ml/fraud", "refs/heads/prod");
        lifted.remove.insert(right("push BLOCK"));
        let said = weakened(&lifted, &governed());
        assert_eq!(
            said,
            [
                "ml/fraud refs/heads/prod: team would lose push BLOCK, around the gate of PromotionPolicy ml/fraud"
            ]
        );
        let mut taken = change("ml/fraud", "refs/heads/prod");
        taken.remove.insert(right("push"));
        assert_eq!(weakened(&taken, &governed()), [""; 0]);
    }
}
