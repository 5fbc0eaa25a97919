//! Whether the labels still mean what the policy means, and whether somebody said no.

use std::collections::BTreeSet;

use super::super::Case;
use super::super::finding::{Finding, FindingKind};

/// The labels that decide.
fn governed<'a>(case: &Case<'a>) -> BTreeSet<&'a str> {
    let verification = case.rules.verification.as_ref();
    std::iter::once(case.rules.approval.label.as_str())
        .chain(verification.map(|verification| verification.label.as_str()))
        .collect()
}

pub fn label_redefined(case: &Case<'_>) -> Option<Finding> {
    let mut against = Vec::new();
    for label in governed(case) {
        let (Some(ours), Some(theirs)) = (case.rules.labels.get(label), case.change.labels.get(label)) else {
            against.push(format!("the definition of label {label} is unknown"));
            continue;
        };
        if (theirs.min, theirs.max) != (ours.min, ours.max) {
            against.push(format!(
                "label {label} runs from {} to {}, governed is {} to {}",
                theirs.min, theirs.max, ours.min, ours.max
            ));
        }
        if !ours.functions.contains(&theirs.function) {
            let allowed: Vec<&str> = ours.functions.iter().map(String::as_str).collect();
            against.push(format!(
                "label {label} has function {:?}, governed is {}",
                theirs.function,
                allowed.join(" or ")
            ));
        }
    }
    (!against.is_empty()).then(|| {
        Finding::new(
            FindingKind::LabelRedefined,
            format!(
                "{}: {}: restore the label in the project",
                case.change.number,
                against.join("; ")
            ),
        )
    })
}

pub fn vetoed(case: &Case<'_>) -> Option<Finding> {
    let kind = FindingKind::Vetoed;
    let number = case.change.number;
    let Some(votes) = &case.change.votes else {
        return Some(Finding::new(
            kind,
            format!("{number}: its votes could not be read, so a veto may stand"),
        ));
    };
    let labels = governed(case);
    let bottom = |label: &str| {
        let ours = case.rules.labels.get(label).map(|governed| governed.min);
        let theirs = case.change.labels.get(label).map(|defined| defined.min);
        // Unknown bottoms make every negative vote a veto.
        ours.max(theirs).unwrap_or(-1).min(-1)
    };
    let vetoes: BTreeSet<String> = votes
        .iter()
        .filter(|vote| labels.contains(vote.label.as_str()) && vote.value <= bottom(&vote.label))
        .map(|vote| {
            let who = case.change.people.name(vote.account);
            format!("{who} voted {}{:+}", vote.label, vote.value)
        })
        .collect();
    (!vetoes.is_empty()).then(|| {
        let vetoes: Vec<String> = vetoes.into_iter().collect();
        Finding::new(kind, format!("{number}: {}: the veto stands", vetoes.join("; ")))
    })
}
