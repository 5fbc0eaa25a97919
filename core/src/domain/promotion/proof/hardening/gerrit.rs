//! The holes of a governed branch in Gerrit. Each check is a small function of what was read; all are asked.

use std::collections::{BTreeMap, BTreeSet};

use super::rights::{Holder, ProjectRights, capable, holders};
use super::{Hardening, Hole, HoleKind};
use crate::domain::access::grant::Privilege;
use crate::domain::promotion::gate::rules::Rules;
use crate::domain::promotion::ports::reviews::{Ground, Requirements};
use crate::domain::promotion::proof::completeness::Unseen;

/// Holders that are named one by one.
const NAMED: usize = 10;
/// Kinds of a new patch set that bring nothing that was not reviewed.
const HARMLESS: [&str; 4] = [
    "changekind:NO_CHANGE",
    "changekind:NO_CODE_CHANGE",
    "changekind:TRIVIAL_REBASE",
    "changekind:MERGE_FIRST_PARENT_UPDATE",
];

/// What is known of one branch.
#[derive(Clone, Copy, Debug)]
pub struct Branch<'a> {
    pub ground: &'a Ground,
    pub requirements: &'a Requirements,
    pub rules: &'a Rules,
}

impl<'a> Branch<'a> {
    fn chain(&self) -> &'a [ProjectRights] {
        &self.ground.rights
    }

    fn head(&self) -> String {
        format!("refs/heads/{}", self.rules.branch)
    }

    fn upload(&self) -> String {
        format!("refs/for/refs/heads/{}", self.rules.branch)
    }

    /// The votes that count.
    fn labels(&self) -> BTreeSet<&'a str> {
        let rules = self.rules;
        let verification = rules
            .verification
            .as_ref()
            .map(|verification| &verification.label);
        verification
            .into_iter()
            .chain([&rules.approval.label])
            .map(String::as_str)
            .collect()
    }

    fn held(&self, at: &str, permissions: &[&str]) -> BTreeSet<Holder<'a>> {
        permissions
            .iter()
            .flat_map(|permission| holders(self.chain(), at, permission, |_| true))
            .collect()
    }
}

type Check = fn(&Branch<'_>) -> Option<Hole>;
const CHECKS: [Check; 14] = [
    direct_push,
    forced_push,
    branch_replacement,
    submit_on_push,
    owned_rules,
    vote_for_others,
    submit_for_others,
    forged_identity,
    lasting_votes,
    pushed_merges,
    deleted_changes,
    overridable_requirement,
    redefinable_requirement,
    whole_topics,
];

/// Everything that is open on one branch.
pub fn open(branch: &Branch<'_>) -> Hardening {
    let mut hardening = Hardening::default();
    for project in branch.chain().iter().filter(|project| !project.visible) {
        hardening.unseen.push(Unseen {
            what: format!("access rights of {}", project.project),
            why: "our account does not own its refs/*".into(),
        });
    }
    if branch.ground.whole_topic.is_none() {
        hardening.unseen.push(Unseen {
            what: "change.submitWholeTopic of the server".into(),
            why: "the server does not say it".into(),
        });
    }
    hardening.holes = CHECKS.iter().filter_map(|check| check(branch)).collect();
    hardening
}

fn hole(kind: HoleKind, place: &str, who: &BTreeSet<Holder<'_>>, fix: String) -> Option<Hole> {
    if who.is_empty() {
        return None;
    }
    let mut named: Vec<String> = who.iter().take(NAMED).map(ToString::to_string).collect();
    if who.len() > NAMED {
        named.push(format!("{} more", who.len() - NAMED));
    }
    Some(Hole {
        kind,
        place: place.to_owned(),
        who: named,
        fix,
    })
}

fn direct_push(branch: &Branch<'_>) -> Option<Hole> {
    let head = branch.head();
    let fix = format!("take push on {head} away, or BLOCK it for Registered Users");
    hole(HoleKind::DirectPush, &head, &branch.held(&head, &["push"]), fix)
}

fn forced_push(branch: &Branch<'_>) -> Option<Hole> {
    let head = branch.head();
    let forced = |privilege: &Privilege| matches!(privilege, Privilege::Rule { force: true, .. });
    let who = holders(branch.chain(), &head, "push", forced);
    hole(
        HoleKind::ForcedPush,
        &head,
        &who,
        format!("take the force out of push on {head}: history could be rewritten"),
    )
}

fn branch_replacement(branch: &Branch<'_>) -> Option<Hole> {
    let head = branch.head();
    let who = branch.held(&head, &["delete"]);
    let fix = format!("take delete on {head} away: who deletes and creates a branch brings any history");
    hole(HoleKind::BranchReplacement, &head, &who, fix)
}

/// A push for review with `%submit` merges without a look at labels and requirements (seen on Gerrit 3.13.5).
fn submit_on_push(branch: &Branch<'_>) -> Option<Hole> {
    let upload = branch.upload();
    let fix = format!("take submit on {upload} away: the push option %submit merges unreviewed");
    hole(
        HoleKind::SubmitOnPush,
        &upload,
        &branch.held(&upload, &["submit"]),
        fix,
    )
}

fn owned_rules(branch: &Branch<'_>) -> Option<Hole> {
    let config = "refs/meta/config";
    let mut who = branch.held(config, &["owner", "push"]);
    who.extend(branch.held(&branch.head(), &["owner"]));
    let fix = "leave owner, and push on refs/meta/config, to those who may change the rules".to_owned();
    hole(HoleKind::OwnedRules, config, &who, fix)
}

fn vote_for_others(branch: &Branch<'_>) -> Option<Hole> {
    let head = branch.head();
    let permissions: Vec<String> = branch
        .labels()
        .into_iter()
        .map(|label| format!("labelAs-{label}"))
        .collect();
    let permissions: Vec<&str> = permissions.iter().map(String::as_str).collect();
    let mut who = branch.held(&head, &permissions);
    who.extend(capable(branch.chain(), "runAs"));
    let fix = format!("take {} and the capability runAs away", permissions.join(", "));
    hole(HoleKind::VoteForOthers, &head, &who, fix)
}

fn submit_for_others(branch: &Branch<'_>) -> Option<Hole> {
    let head = branch.head();
    let fix = format!("take submitAs on {head} away");
    hole(
        HoleKind::SubmitForOthers,
        &head,
        &branch.held(&head, &["submitAs"]),
        fix,
    )
}

fn forged_identity(branch: &Branch<'_>) -> Option<Hole> {
    let head = branch.head();
    let permissions = ["forgeAuthor", "forgeCommitter", "forgeServerAsCommitter"];
    let who = branch.held(&head, &permissions);
    let fix = format!(
        "take {} on {head} away: a forged author could approve his own change",
        permissions.join(", ")
    );
    hole(HoleKind::ForgedIdentity, &head, &who, fix)
}

/// A vote that stays on a patch set with other content, where somebody else can add one.
fn lasting_votes(branch: &Branch<'_>) -> Option<Hole> {
    let lasting: Vec<&str> = branch
        .labels()
        .into_iter()
        .filter(|label| {
            let copied = branch.ground.copied.get(*label);
            copied.is_some_and(|condition| outlives_content(condition))
        })
        .collect();
    if lasting.is_empty() {
        return None;
    }
    let upload = branch.upload();
    let fix = format!(
        "let votes on {} be copied for changekind NO_CHANGE, NO_CODE_CHANGE and TRIVIAL_REBASE only",
        lasting.join(", ")
    );
    hole(
        HoleKind::LastingVotes,
        &upload,
        &branch.held(&upload, &["addPatchSet", "push"]),
        fix,
    )
}

/// Whether a copy condition may hold for a patch set that brings something new. Vetoes may always stay.
fn outlives_content(condition: &str) -> bool {
    let condition = condition.replace(['(', ')'], " ");
    let alternatives = condition.split(" OR ").flat_map(|part| part.split(" or "));
    alternatives
        .map(str::trim)
        .filter(|alternative| !alternative.is_empty())
        .any(|alternative| {
            let mut atoms = alternative.split_whitespace();
            !atoms.any(|atom| HARMLESS.contains(&atom) || matches!(atom, "is:MIN" | "is:NEGATIVE"))
        })
}

fn pushed_merges(branch: &Branch<'_>) -> Option<Hole> {
    let upload = branch.upload();
    let fix = format!("take pushMerge on {upload} away: reviewers are not shown what a merge brings along");
    hole(
        HoleKind::PushedMerges,
        &upload,
        &branch.held(&upload, &["pushMerge"]),
        fix,
    )
}

fn deleted_changes(branch: &Branch<'_>) -> Option<Hole> {
    let head = branch.head();
    let fix = format!("take deleteChanges on {head} away: what was said on a change would be lost");
    hole(
        HoleKind::DeletedChanges,
        &head,
        &branch.held(&head, &["deleteChanges"]),
        fix,
    )
}

/// Requirements that the gate asks for, as they apply.
fn required<'a>(
    branch: &Branch<'a>,
) -> BTreeMap<&'a str, &'a crate::domain::promotion::ports::reviews::Requirement> {
    let asked = |name: &str| branch.rules.required.contains(name);
    branch
        .requirements
        .all
        .iter()
        .filter(|(name, _)| asked(name))
        .map(|(name, requirement)| (name.as_str(), requirement))
        .collect()
}

fn plain(kind: HoleKind, place: &str, fix: String) -> Hole {
    Hole {
        kind,
        place: place.to_owned(),
        who: Vec::new(),
        fix,
    }
}

fn overridable_requirement(branch: &Branch<'_>) -> Option<Hole> {
    let names: Vec<&str> = required(branch)
        .into_iter()
        .filter(|(name, requirement)| {
            requirement.override_if.is_some() && !branch.rules.allow_overridden.contains(*name)
        })
        .map(|(name, _)| name)
        .collect();
    if names.is_empty() {
        return None;
    }
    let fix = format!(
        "take the override expression out of submit requirement {}",
        names.join(", ")
    );
    Some(plain(
        HoleKind::OverridableRequirement,
        &branch.rules.project,
        fix,
    ))
}

fn redefinable_requirement(branch: &Branch<'_>) -> Option<Hole> {
    let names: Vec<&str> = required(branch)
        .into_iter()
        .filter(|(name, requirement)| {
            requirement.children_may_override && !branch.requirements.own.contains_key(*name)
        })
        .map(|(name, _)| name)
        .collect();
    if names.is_empty() {
        return None;
    }
    let fix = format!(
        "set canOverrideInChildProjects of submit requirement {} to false where it is defined",
        names.join(", ")
    );
    Some(plain(
        HoleKind::RedefinableRequirement,
        &branch.rules.project,
        fix,
    ))
}

fn whole_topics(branch: &Branch<'_>) -> Option<Hole> {
    if branch.ground.whole_topic != Some(true) {
        return None;
    }
    let fix =
        "set change.submitWholeTopic to false: one submit brings in changes of other projects".to_owned();
    Some(plain(HoleKind::WholeTopics, "the server", fix))
}

#[cfg(test)]
#[path = "gerrit_tests.rs"]
mod tests;
