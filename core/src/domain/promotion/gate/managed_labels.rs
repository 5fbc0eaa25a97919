//! The labels that the gate asks for, where a project has none of that name. What is there already is never written over,
//! whatever it is: its range and function are the gate's to judge. What we made and another hand has changed is theirs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::rules::GovernedLabel;
use crate::api::access_binding::Origin;
use crate::api::promotion_policy::ConfiguredRow;
use crate::domain::promotion::ports::configuration::{DefinedLabel, Label, LabelChanges};

/// One thing in two versions of Gerrit.
const NO_FUNCTION: [&str; 2] = ["NoBlock", "NoOp"];

/// The label that is made: the same for approval and verification, so that policies of one project can share it. Votes go
/// with the patch set they were cast on.
pub fn standard() -> Label {
    let values = [
        (-1, "Must not be promoted"),
        (0, "Nothing said"),
        (1, "May be promoted"),
    ];
    Label {
        description: "Made by Lockstep for the gates of PromotionPolicies.".into(),
        values: values.map(|(vote, words)| (vote, words.to_owned())).into(),
        function: "NoBlock".into(),
        copied_if: Some("changekind:NO_CHANGE".into()),
    }
}

/// What is known of one project.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub project: &'a str,
    /// The project's address.
    pub target: &'a str,
    /// Labels as they count there.
    pub seen: &'a BTreeMap<String, DefinedLabel>,
    /// What we hold there.
    pub held: &'a [ConfiguredRow],
    /// Labels that gates of other policies of this project ask for.
    pub shared: &'a BTreeSet<String>,
    /// Labels as the gate in force knows them.
    pub governed: &'a BTreeMap<String, GovernedLabel>,
}

/// What is to be done about a project's own labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What is held in the project once all of `write` is done.
    pub rows: Vec<ConfiguredRow>,
    pub write: LabelChanges,
    /// One line for every change.
    pub lines: Vec<String>,
    /// What another hand did to what is ours, one sentence each.
    pub drift: Vec<String>,
    /// Why a label that is missing is not made.
    pub refused: Vec<String>,
}

/// Decides about the labels that a gate asks for.
pub fn decide(wanted: &BTreeSet<String>, place: &Place<'_>, now: Timestamp) -> Decision {
    let mut decision = Decision::default();
    let Place {
        project,
        target,
        seen,
        held,
        shared,
        governed,
    } = *place;
    let row = |name: &str, ours: Option<&ConfiguredRow>, confirming| ConfiguredRow {
        target: target.to_owned(),
        name: name.to_owned(),
        digest: digest(&standard()),
        origin: Origin::Created,
        since: ours.map_or(now, |row| row.since),
        confirming,
    };
    for name in wanted {
        let ours = held.iter().find(|row| row.name == *name);
        match (seen.get(name), ours) {
            // By its words it is ours, so that a lost status loses nothing.
            (Some(there), ours) if is_ours(there, project, ours) => decision.rows.push(row(name, ours, None)),
            (Some(_), Some(_)) => decision.drift.push(changed(name)),
            (Some(_), None) => {}
            (None, _) if governed.get(name).is_some_and(|governed| !is_standard(governed)) => {
                decision.refused.push(format!(
                    "label {name} is gone, and the gate in force knows another than Lockstep would make: bring it back"
                ));
            }
            (None, ours) => {
                match ours {
                    Some(row) if row.confirming.is_none() => {
                        decision
                            .drift
                            .push(format!("label {name} was removed by another hand"));
                        decision.lines.push(format!("put label {name} back"));
                    }
                    _ => decision.lines.push(format!("create label {name}")),
                }
                decision.write.0.insert(name.clone(), Some(standard()));
                decision.rows.push(row(name, ours, Some(now)));
            }
        }
    }
    for ours in held.iter().filter(|row| !wanted.contains(&row.name)) {
        let name = &ours.name;
        match seen.get(name) {
            Some(there) if !is_ours(there, project, Some(ours)) => decision.drift.push(changed(name)),
            // The other policy holds it from its next look on.
            Some(_) if !shared.contains(name) => {
                // Held until a reading shows that it is gone.
                decision.rows.push(ours.clone());
                decision.write.0.insert(name.clone(), None);
                decision.lines.push(format!("remove label {name}"));
            }
            _ => {}
        }
    }
    decision
}

fn changed(name: &str) -> String {
    format!("label {name} was changed by another hand: it stays as it is, and will not go with the policy")
}

/// Whether it is what we made, in the project itself.
fn is_ours(there: &DefinedLabel, project: &str, row: Option<&ConfiguredRow>) -> bool {
    let label = digest(&there.label);
    there.project == project && (label == digest(&standard()) || row.is_some_and(|row| row.digest == label))
}

fn is_standard(governed: &GovernedLabel) -> bool {
    let values = standard().values;
    let ends = (values.keys().next(), values.keys().next_back());
    ends == (Some(&governed.min), Some(&governed.max))
        && NO_FUNCTION.iter().all(|name| governed.functions.contains(*name))
}

/// Names a label's definition exactly.
pub fn digest(label: &Label) -> String {
    let mut label = label.clone();
    if NO_FUNCTION.contains(&label.function.as_str()) {
        NO_FUNCTION[0].clone_into(&mut label.function);
    }
    let mut hash = Sha256::new();
    hash.update(b"lockstep-label-v1\n");
    hash.update(serde_json::to_vec(&label).unwrap_or_default());
    format!("sha256:{}", hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "gerrit://g/projects/ml%2Ffraud";
    const NAME: &str = "Promote";

    struct Scene {
        seen: BTreeMap<String, DefinedLabel>,
        held: Vec<ConfiguredRow>,
        shared: BTreeSet<String>,
        governed: BTreeMap<String, GovernedLabel>,
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn scene(label: Option<Label>, held: &[ConfiguredRow]) -> Scene {
        let project = "ml/fraud".to_owned();
        let seen = label.map(|label| (NAME.to_owned(), DefinedLabel { project, label }));
        Scene {
            seen: seen.into_iter().collect(),
            held: held.to_vec(),
            shared: BTreeSet::new(),
            governed: BTreeMap::new(),
        }
    }

    fn look(scene: &Scene, wanted: &[&str]) -> Decision {
        let wanted = wanted.iter().map(|name| (*name).to_owned()).collect();
        let place = Place {
            project: "ml/fraud",
            target: AT,
            seen: &scene.seen,
            held: &scene.held,
            shared: &scene.shared,
            governed: &scene.governed,
        };
        decide(&wanted, &place, at(9))
    }

    /// What is held once the label was made and seen.
    fn held() -> Vec<ConfiguredRow> {
        look(&scene(Some(standard()), &[]), &[NAME]).rows
    }

    fn as_taken(scene: &Scene) -> Decision {
        Decision {
            rows: scene.held.clone(),
            ..Decision::default()
        }
    }

    #[test]
    fn a_label_that_is_missing_is_made_once_and_then_held() {
        let made = look(&scene(None, &[]), &[NAME]);
        assert_eq!(made.write.0.get(NAME), Some(&Some(standard())));
        assert_eq!(made.lines, ["create label Promote"]);
        assert_eq!(made.rows[0].confirming, Some(at(9)));
        // A pass that ends before the write was seen makes it again, and calls nobody to account.
        let again = look(&scene(None, &made.rows), &[NAME]);
        assert_eq!((again.lines.len(), again.drift.len()), (1, 0));
        let there = scene(Some(standard()), &made.rows);
        let seen = look(&there, &[NAME]);
        assert!(seen.write.0.is_empty() && seen.rows[0].confirming.is_none());
        let after = scene(Some(standard()), &seen.rows);
        assert_eq!(look(&after, &[NAME]), as_taken(&after));
        let gone = look(&scene(None, &seen.rows), &[NAME]);
        assert_eq!(gone.drift, ["label Promote was removed by another hand"]);
        assert_eq!(gone.write.0.len(), 1);
    }

    #[test]
    fn a_label_that_others_made_or_changed_is_left_to_them() {
        let theirs = Label {
            values: [(0, "-".to_owned()), (2, "yes".to_owned())].into(),
            ..standard()
        };
        let there = scene(Some(theirs.clone()), &[]);
        assert_eq!(look(&there, &[NAME]), Decision::default());
        let changed = look(&scene(Some(theirs.clone()), &held()), &[NAME]);
        assert!(changed.rows.is_empty() && changed.write.0.is_empty());
        assert_eq!(changed.drift.len(), 1);
        // Not even when the policy needs it no more.
        let left = look(&scene(Some(theirs), &held()), &[]);
        assert!(left.rows.is_empty() && left.write.0.is_empty());
        // A parent's label counts, and is the parent's even if we made it there.
        let mut inherited = scene(Some(standard()), &[]);
        inherited.seen.get_mut(NAME).unwrap().project = "All-Projects".into();
        assert_eq!(look(&inherited, &[NAME]), Decision::default());
    }

    #[test]
    fn what_we_made_goes_when_nobody_asks_for_it_any_more() {
        let mut there = scene(Some(standard()), &held());
        let going = look(&there, &[]);
        assert_eq!(going.write.0.get(NAME), Some(&None));
        assert_eq!(going.rows, there.held);
        assert_eq!(look(&scene(None, &there.held), &[]), Decision::default());
        there.shared.insert(NAME.to_owned());
        assert_eq!(look(&there, &[]), Decision::default());
    }

    #[test]
    fn a_label_that_the_gate_in_force_knows_otherwise_is_not_made_again_as_another() {
        let mut gone = scene(None, &[]);
        let functions: BTreeSet<String> = NO_FUNCTION.map(str::to_owned).into();
        let mut governed = GovernedLabel {
            min: -2,
            max: 2,
            functions,
        };
        gone.governed.insert(NAME.to_owned(), governed.clone());
        let refused = look(&gone, &[NAME]);
        assert!(refused.write.0.is_empty() && refused.rows.is_empty());
        assert!(
            refused.refused[0].contains("label Promote is gone"),
            "{:?}",
            refused.refused
        );
        (governed.min, governed.max) = (-1, 1);
        gone.governed.insert(NAME.to_owned(), governed);
        assert_eq!(look(&gone, &[NAME]).write.0.len(), 1);
    }

    #[test]
    fn two_words_of_gerrit_for_no_function_make_no_difference() {
        let renamed = Label {
            function: "NoOp".into(),
            ..standard()
        };
        assert_eq!(digest(&renamed), digest(&standard()));
        let blocking = Label {
            function: "MaxWithBlock".into(),
            ..standard()
        };
        assert_ne!(digest(&blocking), digest(&standard()));
    }
}
