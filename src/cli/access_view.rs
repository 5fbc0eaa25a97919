//! Answers about access as people read them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::output::{clean, count, paint, style, table};
use crate::queries::of_person::{self, by_system};
use crate::queries::removal::Removal;
use crate::queries::who_can::{self, Held, Person};
use crate::queries::why::Giver;

/// Targets with their rows, and whoever is behind a group.
pub(super) fn who_can(answers: &[who_can::Answer]) -> String {
    let mut text = String::new();
    for answer in answers {
        let _ = writeln!(
            text,
            "{}  {}",
            paint(style::STRONG, &clean(&answer.label)),
            paint(style::FAINT, &clean(&answer.target))
        );
        let mut rows = Vec::new();
        for held in &answer.rights {
            rows.push(vec![
                clean(&held.who),
                clean(&held.what),
                String::new(),
                because(&held.given_by, held.foreign, held.protected),
            ]);
            rows.extend(held.people.iter().flatten().map(|person| behind(held, person)));
        }
        if rows.is_empty() {
            text.push_str("nobody holds a direct right here\n");
        } else {
            text.push_str(&table(&["who", "can", "through", "because of"], rows));
        }
        if !answer.note.is_empty() {
            let _ = writeln!(text, "{}", paint(style::FAINT, &answer.note));
        }
        text.push('\n');
    }
    text
}

fn behind(held: &Held, person: &Person) -> Vec<String> {
    vec![
        format!("  {}", clean(&person.who)),
        clean(&held.what),
        clean(&person.through.join(" > ")),
        because(&person.given_by, person.foreign, person.protected),
    ]
}

fn because(givers: &[Giver], foreign: bool, protected: bool) -> String {
    if protected {
        return "the system itself: owner, administrators or Lockstep".into();
    }
    if foreign {
        return "FOREIGN: no binding declares it".into();
    }
    let words: Vec<String> = givers
        .iter()
        .map(|giver| {
            let mut words = vec![giver.binding.clone()];
            words.extend(giver.members.iter().cloned());
            if !giver.enforced {
                words.push("observes only".into());
            }
            match giver.origin {
                Some(origin) => words.push(format!("{origin:?}").to_lowercase()),
                None => words.push("declared, not held".into()),
            }
            clean(&words.join(", "))
        })
        .collect();
    words.join("; ")
}

/// One person's accounts, and rights by system.
pub(super) fn of_person(answer: &of_person::Answer) -> String {
    let mut text = format!("{}\n", paint(style::STRONG, &clean(&answer.person)));
    let accounts: BTreeMap<&str, String> = answer
        .accounts
        .iter()
        .map(|account| {
            let active = if account.active { "" } else { ", INACTIVE" };
            (
                account.system.as_str(),
                format!("{} ({}{active})", account.name, account.principal),
            )
        })
        .collect();
    let rights = by_system(&answer.rights);
    for (system, account) in &accounts {
        let _ = writeln!(text, "  is {} in {}", clean(account), clean(system));
    }
    for (system, rights) in rights {
        let _ = writeln!(text, "\n{}", paint(style::STRONG, &clean(system)));
        let rows = rights
            .iter()
            .map(|right| {
                vec![
                    clean(&right.label),
                    clean(&right.what),
                    clean(&right.through.join(" > ")),
                    because(&right.given_by, right.foreign, false),
                ]
            })
            .collect();
        text.push_str(&table(&["on", "can", "through", "because of"], rows));
    }
    if answer.rights.is_empty() {
        text.push_str("  holds nothing on the targets in sight\n");
    }
    text
}

/// The edits, as a list of things to do.
pub(super) fn removal(removal: &Removal) -> String {
    let mut text = String::new();
    let person = clean(&removal.person);
    if removal.accounts.is_empty() {
        let _ = writeln!(
            text,
            "no system in sight knows {person}; bindings may name them all the same"
        );
    }
    if removal.edits.is_empty() && removal.sources.is_empty() && removal.foreign.is_empty() {
        let _ = writeln!(
            text,
            "Nothing to do: no binding in sight names {person}, and no foreign right is held."
        );
        return text;
    }
    if !removal.edits.is_empty() {
        let rows = removal
            .edits
            .iter()
            .map(|edit| {
                vec![
                    clean(&format!("AccessBinding {}/{}", edit.namespace, edit.binding)),
                    edit.path.clone(),
                    clean(&edit.entry),
                ]
            })
            .collect();
        let heading = format!("Take out {}:", count(removal.edits.len(), "entry", "entries"));
        text.push_str(&section(&heading, &["object", "path", "entry"], rows));
        text.push('\n');
    }
    if !removal.sources.is_empty() {
        let rows = removal
            .sources
            .iter()
            .map(|source| {
                vec![
                    clean(&source.group),
                    clean(&source.connection),
                    clean(&format!(
                        "{}/{} {}",
                        source.namespace, source.binding, source.path
                    )),
                ]
            })
            .collect();
        let heading = "Take the person out of these groups, which bindings follow:";
        text.push_str(&section(heading, &["group", "reached by", "followed by"], rows));
        text.push('\n');
    }
    if !removal.foreign.is_empty() {
        let rows = removal
            .foreign
            .iter()
            .map(|row| vec![clean(&row.label), clean(&row.what), clean(&row.target)])
            .collect();
        let heading = "Take away by hand, because no binding declares it:";
        text.push_str(&section(heading, &["on", "right", "address"], rows));
    }
    text
}

fn section(heading: &str, columns: &[&str], rows: Vec<Vec<String>>) -> String {
    format!("{}\n{}", paint(style::STRONG, heading), table(columns, rows))
}
