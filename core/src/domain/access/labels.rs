//! The labels on which a project's changes are voted: a right on a label is worth something within its values only.

use std::collections::{BTreeMap, BTreeSet};

use super::grant::Privilege;

/// Labels of one project, inherited ones included, and the values of each.
pub type Labels = BTreeMap<String, BTreeSet<i32>>;

/// How the permissions begin that are rights on a label.
const ON_A_LABEL: [&str; 3] = ["label-", "labelAs-", "removeLabel-"];

/// The label that a privilege speaks of.
pub fn label(privilege: &Privilege) -> Option<&str> {
    let Privilege::Rule { permission, .. } = privilege else {
        return None;
    };
    ON_A_LABEL
        .iter()
        .find_map(|beginning| permission.strip_prefix(beginning))
}

/// Why a privilege means nothing in a project with these labels. Gerrit 3.13.5 takes both faults with 200 and then
/// nobody can vote, so they must be found here.
pub fn fault(privilege: &Privilege, labels: &Labels) -> Option<String> {
    let name = label(privilege)?;
    let Some(values) = labels.get(name) else {
        let all: Vec<_> = labels
            .iter()
            .map(|(name, values)| format!("{name} ({})", listed(values)))
            .collect();
        return Some(format!(
            "the project has no label {name}; it has {}",
            all.join(", ")
        ));
    };
    let Privilege::Rule {
        range: Some((min, max)),
        ..
    } = privilege
    else {
        return None;
    };
    let beyond =
        values.first().is_some_and(|least| min < least) || values.last().is_some_and(|most| max > most);
    beyond.then(|| {
        format!(
            "{min:+}..{max:+} goes beyond the values of the label {name}: {}",
            listed(values)
        )
    })
}

fn listed(values: &BTreeSet<i32>) -> String {
    let shown = |value: &i32| match value {
        0 => "0".to_owned(),
        value => format!("{value:+}"),
    };
    values.iter().map(shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_on_a_label_stays_within_its_values() {
        let labels = Labels::from([
            ("Code-Review".to_owned(), (-2..=2).collect()),
            ("Verified".to_owned(), (-1..=1).collect()),
        ]);
        let fault = |text: &str| fault(&text.parse().unwrap(), &labels);
        for fine in [
            "label-Code-Review -2..+2",
            "label-Verified BLOCK -1..+0",
            "removeLabel-Verified",
            "push force",
        ] {
            assert_eq!(fault(fine), None, "{fine}");
        }
        assert_eq!(
            fault("label-Code-Review -3..+1").as_deref(),
            Some("-3..+1 goes beyond the values of the label Code-Review: -2, -1, 0, +1, +2")
        );
        for missing in ["label-Code-Revue -1..+1", "removeLabel-Code-Revue"] {
            assert_eq!(
                fault(missing).as_deref(),
                Some(
                    "the project has no label Code-Revue; it has Code-Review (-2, -1, 0, +1, +2), Verified (-1, 0, +1)"
                )
            );
        }
    }
}
