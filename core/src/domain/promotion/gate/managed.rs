//! The gate as submit requirements of Gerrit, so that reviewers see the same rule before they submit. What can be said
//! there is a part of it: nobody whom the gate passes is stopped, and what only the gate knows it judges afterwards.
//!
//! A requirement of ours bears the policy's name. What is absent is created, what is equal is ours, what another hand
//! has made of ours is put back, and what stands under our name without ever having been ours waits for a person.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::rules::Rules;
use crate::api::access_binding::Origin;
use crate::api::promotion_policy::ConfiguredRow;
use crate::domain::promotion::ports::reviews::{Requirement, RequirementChanges, Requirements};

/// The most distinct voters that Gerrit can count (`count>=` of its label operator, 3.13).
const COUNTABLE: u32 = 5;

/// A name that Gerrit's expressions cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no submit requirement can name {0:?}, because Gerrit splits it at the comma: rename it, or set gate.submitRequirements to Existing"
)]
pub struct Unspeakable(pub String);

/// Whose requirements they are.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    pub namespace: &'a str,
    pub policy: &'a str,
}

/// What a policy's rules, by environment, are in Gerrit. Environments that ask for the same share one requirement.
pub fn wanted(
    owner: Owner<'_>,
    rules: &BTreeMap<String, Rules>,
) -> Result<BTreeMap<String, Requirement>, Unspeakable> {
    let Owner { namespace, policy } = owner;
    let mut wanted = BTreeMap::new();
    let mut add = |kind: &str, said: Vec<Said<'_>>| {
        for (first, (expression, words, branches)) in together(said) {
            let infix = first
                .map(|environment| format!("-{environment}"))
                .unwrap_or_default();
            let requirement = Requirement {
                description: format!(
                    "{words}. Lockstep keeps this for PromotionPolicy {namespace}/{policy}."
                ),
                applicable_if: Some(applies_to(&branches)),
                submittable_if: expression,
                override_if: None,
                children_may_override: false,
            };
            wanted.insert(
                format!("Lockstep-{namespace}-{policy}{infix}-{kind}"),
                requirement,
            );
        }
    };
    let mut approvals = Vec::new();
    let mut verifications = Vec::new();
    for (environment, rules) in rules {
        let (expression, words) = approval(rules)?;
        approvals.push((environment.as_str(), expression, words, rules.branch.as_str()));
        if let Some((expression, words)) = verification(rules)? {
            verifications.push((environment.as_str(), expression, words, rules.branch.as_str()));
        }
    }
    add("Approval", approvals);
    add("Verification", verifications);
    Ok(wanted)
}

/// Environment, expression, words for people, branch.
type Said<'a> = (&'a str, String, String, &'a str);
/// Expression, words, branches; under the environment that tells it from the first, which needs none.
type Together<'a> = Vec<(Option<&'a str>, (String, String, Vec<&'a str>))>;

fn together(said: Vec<Said<'_>>) -> Together<'_> {
    let mut all: Together<'_> = Vec::new();
    for (environment, expression, words, branch) in said {
        match all.iter_mut().find(|(_, (known, ..))| *known == expression) {
            Some((_, (_, _, branches))) => branches.push(branch),
            None => {
                let infix = (!all.is_empty()).then_some(environment);
                all.push((infix, (expression, words, vec![branch])));
            }
        }
    }
    all
}

/// Configuration is never held up: whoever locks it cannot unlock it.
fn applies_to(branches: &[&str]) -> String {
    let mut branches: Vec<String> = branches
        .iter()
        .map(|branch| format!("branch:{}", quoted(branch)))
        .collect();
    branches.sort();
    format!("(-branch:refs/meta/config) AND ({})", branches.join(" OR "))
}

/// Whom Gerrit counts: of people in the group, and of those who did not make the patch set, one each; that it is the
/// same person only the gate sees.
fn approval(rules: &Rules) -> Result<(String, String), Unspeakable> {
    let approval = &rules.approval;
    let count = u32::try_from(rules.approvals()).unwrap_or(u32::MAX);
    let mut all = vec![
        best_of(&approval.label, &approval.group_name)?,
        label(&format!("{}=MAX,user=non_contributor", approval.label)),
        format!("(-{})", label_text(&format!("{}=MIN", approval.label))),
    ];
    if count > 1 {
        all.push(label(&format!(
            "{}=MAX,count>={}",
            approval.label,
            count.min(COUNTABLE)
        )));
    }
    let words = format!(
        "{count} of {} who neither own nor made the change must vote {} at its highest",
        approval.group_name, approval.label
    );
    Ok((all.join(" AND "), words))
}

fn verification(rules: &Rules) -> Result<Option<(String, String)>, Unspeakable> {
    let Some(verification) = &rules.verification else {
        return Ok(None);
    };
    let expression = best_of(&verification.label, &verification.group_name)?;
    let words = format!(
        "Somebody of {} must vote {} at its highest",
        verification.group_name, verification.label
    );
    Ok(Some((expression, words)))
}

fn best_of(name: &str, group: &str) -> Result<String, Unspeakable> {
    if group.contains(',') {
        return Err(Unspeakable(group.to_owned()));
    }
    Ok(label(&format!("{name}=MAX,group={group}")))
}

fn label(argument: &str) -> String {
    format!("({})", label_text(argument))
}

fn label_text(argument: &str) -> String {
    format!("label:{}", quoted(argument))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Names a requirement's body exactly.
pub fn digest(requirement: &Requirement) -> String {
    let mut hash = Sha256::new();
    hash.update(b"lockstep-requirement-v1\n");
    hash.update(serde_json::to_vec(requirement).unwrap_or_default());
    format!("sha256:{}", hex::encode(hash.finalize()))
}

/// What is to be done about a project's own requirements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What is held in the project once all of `write` is done; of what is only asked for nothing.
    pub rows: Vec<ConfiguredRow>,
    /// Needs nobody's yes.
    pub write: RequirementChanges,
    /// Would replace what is not ours.
    pub ask: RequirementChanges,
    /// One line for every change, those that are asked for included.
    pub lines: Vec<String>,
    /// What another hand did to what is ours, one sentence each.
    pub drift: Vec<String>,
}

impl Decision {
    /// Whether everything is so already.
    pub fn is_done(&self) -> bool {
        self.write.0.is_empty() && self.ask.0.is_empty()
    }
}

/// Decides. `held`: what we hold in this project; `target`: the project's address.
pub fn decide(
    wanted: &BTreeMap<String, Requirement>,
    seen: &Requirements,
    held: &[ConfiguredRow],
    target: &str,
    now: Timestamp,
) -> Decision {
    let mut decision = Decision::default();
    for (name, requirement) in wanted {
        let ours = held.iter().find(|row| row.name == *name);
        let there = seen.own.get(name);
        let row = |confirming| ConfiguredRow {
            target: target.to_owned(),
            name: name.clone(),
            digest: digest(requirement),
            origin: Origin::Created,
            since: ours.map_or(now, |row| row.since),
            confirming,
        };
        if there == Some(requirement) {
            // Name and words say whose it is, so that a lost status loses nothing.
            decision.rows.push(row(None));
            continue;
        }
        let change = (name.clone(), Some(requirement.clone()));
        match (ours, there) {
            (None, Some(_)) => {
                decision.ask.0.extend([change]);
                decision.lines.push(format!(
                    "replace submit requirement {name}, which we did not write"
                ));
                continue;
            }
            (None, None) => decision.lines.push(format!("create submit requirement {name}")),
            (Some(row), _) if row.confirming.is_some() || row.digest != digest(requirement) => {
                decision.lines.push(format!("set submit requirement {name}"));
            }
            (Some(_), there) => {
                let what = if there.is_some() {
                    "was changed"
                } else {
                    "was removed"
                };
                decision
                    .drift
                    .push(format!("submit requirement {name} {what} by another hand"));
                decision.lines.push(format!("put submit requirement {name} back"));
            }
        }
        decision.write.0.extend([change]);
        decision.rows.push(row(Some(now)));
    }
    for row in held.iter().filter(|row| !wanted.contains_key(&row.name)) {
        if seen.own.contains_key(&row.name) {
            // Held until a reading shows that it is gone.
            decision.rows.push(row.clone());
            decision.write.0.insert(row.name.clone(), None);
            decision
                .lines
                .push(format!("remove submit requirement {}", row.name));
        }
    }
    decision
}

/// The rows that a person's yes adds.
pub fn released(ask: &RequirementChanges, target: &str, now: Timestamp) -> Vec<ConfiguredRow> {
    let row = |(name, requirement): (&String, &Option<Requirement>)| {
        Some(ConfiguredRow {
            target: target.to_owned(),
            name: name.clone(),
            digest: digest(requirement.as_ref()?),
            origin: Origin::Created,
            since: now,
            confirming: Some(now),
        })
    };
    ask.0.iter().filter_map(row).collect()
}

#[cfg(test)]
#[path = "managed_tests.rs"]
pub(crate) mod tests;
