//! Whether an independent check found the merged content sound.

use super::super::Case;
use super::super::evidence::Vote;
use super::super::finding::{Finding, FindingKind};
use super::super::people::Person;
use super::super::rules::Verification;
use super::weigh::{cast_by_itself, is_in, speaks_for_what_was_merged};

pub fn not_verified(case: &Case<'_>) -> Option<Finding> {
    let kind = FindingKind::NotVerified;
    let number = case.change.number;
    let Some(rule) = &case.rules.verification else {
        return Some(Finding::new(
            kind,
            "gate.verification is not set: name the label and the group of the checks",
        ));
    };
    let top = case.rules.labels.get(&rule.label).map(|governed| governed.max);
    let votes = case.change.votes.iter().flatten();
    let mut at_top: Vec<&Vote> = votes
        .filter(|vote| vote.label == rule.label && Some(vote.value) == top)
        .collect();
    at_top.sort();
    let mut against = Vec::new();
    for vote in at_top {
        let why = objections(case, rule, vote);
        if why.is_empty() {
            return None;
        }
        let who = case.change.people.name(vote.account);
        against.push(format!(
            "{}{:+} of {who} does not count because {}",
            vote.label,
            vote.value,
            why.join(" and ")
        ));
    }
    let mut message = format!(
        "{number} needs a vote {} at the top by an account of group {}, before the submit",
        rule.label, rule.group_name
    );
    if case.change.votes.is_none() {
        message.push_str("; its votes could not be read");
    }
    if !against.is_empty() {
        message = format!("{message}; {}", against.join("; "));
    }
    Some(Finding::new(kind, message))
}

fn objections(case: &Case<'_>, rule: &Verification, vote: &Vote) -> Vec<String> {
    let change = case.change;
    let mut why: Vec<String> = speaks_for_what_was_merged(change, vote)
        .into_iter()
        .map(|objection| objection.why)
        .collect();
    why.extend(cast_by_itself(vote).err());
    match is_in(change, &rule.group, vote.account) {
        Ok(true) => {}
        Ok(false) => why.push(format!("it is not in group {}", rule.group_name)),
        Err(unknown) => why.push(unknown),
    }
    let voter = change.people.behind(vote.account);
    match interested(case) {
        Ok(interested) => why.extend(
            interested
                .iter()
                .filter(|(person, _)| person.is(&voter))
                .map(|(_, part)| format!("it {part}")),
        ),
        Err(unknown) => why.push(unknown),
    }
    why
}

/// Who has a part in the change that a check must not have: who wrote the text is no matter here.
fn interested(case: &Case<'_>) -> Result<Vec<(Person, String)>, String> {
    let change = case.change;
    let people = &change.people;
    let submitter = change.submitter.ok_or("its submitter is unknown")?;
    let mut found = vec![
        (people.behind(change.owner), "owns the change".to_owned()),
        (people.behind(submitter), "submitted the change".to_owned()),
    ];
    for (number, set) in change.patch_sets.iter().filter(|(_, set)| !set.by_submit) {
        let (Some(uploader), Some(real)) = (set.uploader, set.real_uploader) else {
            return Err(format!("the uploader of patch set {number} is unknown"));
        };
        for account in [uploader, real] {
            found.push((people.behind(account), format!("uploaded patch set {number}")));
        }
    }
    Ok(found)
}
