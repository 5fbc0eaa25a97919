//! Credentials as a table, and one of them whole.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::super::output::{clean, count, paint, style, table};
use super::super::words::{age, ahead, moment};
use crate::queries::credentials::{Detail, Everything, GenerationLine, Line, Row};

/// The list.
pub(super) fn rows(rows: &[Row], all: bool, now: Timestamp) -> String {
    if rows.is_empty() {
        return "There is no ServiceCredential here.\n".to_owned();
    }
    let mut head = vec![
        "name", "ready", "reason", "current", "age", "next", "expires", "others", "issuer",
    ];
    if all {
        head.insert(0, "namespace");
    }
    let cells = rows.iter().map(|row| {
        let Row {
            namespace,
            name,
            enforces: _,
            ready,
            reason,
            issuer,
            current,
            minted,
            next,
            expires,
            strangers,
        } = row;
        let mut cells = vec![
            clean(name),
            if *ready { "yes" } else { "NO" }.to_owned(),
            clean(reason),
            current.map(|number| number.to_string()).unwrap_or_default(),
            minted.map(|minted| age(minted, now)).unwrap_or_default(),
            next.map(|next| ahead(next, now)).unwrap_or_default(),
            expires.map(|expires| ahead(expires, now)).unwrap_or_default(),
            strangers.to_string(),
            clean(issuer),
        ];
        if all {
            cells.insert(0, clean(namespace));
        }
        cells
    });
    table(&head, cells.collect())
}

/// Everything that anybody holds.
pub(super) fn everything(all: &Everything, now: Timestamp) -> String {
    let Everything { credentials, unseen } = all;
    let mut text = String::new();
    if credentials.is_empty() {
        text.push_str("There is no credential in sight.\n");
    } else {
        let cells = credentials.iter().map(|line| line_of(line, now));
        text.push_str(&table(
            &["what", "of", "id", "age", "used", "expires", "rotated by", ""],
            cells.collect(),
        ));
        let _ = writeln!(
            text,
            "\n{}, {} that nobody rotates",
            count(credentials.len(), "credential", "credentials"),
            all.ungoverned()
        );
    }
    for why in unseen {
        let _ = writeln!(text, "{} {}", paint(style::SET, "not seen:"), clean(why));
    }
    text
}

fn line_of(line: &Line, now: Timestamp) -> Vec<String> {
    let Line {
        kind,
        address: _,
        owner,
        person,
        id,
        comment,
        made,
        expires,
        last_used,
        governed_by,
        advice,
    } = line;
    let who = if *person {
        format!("{owner} (a person)")
    } else {
        owner.clone()
    };
    let named = if comment.is_empty() {
        id.clone()
    } else {
        format!("{id} ({comment})")
    };
    let since = |at: &Option<Timestamp>, never: &str| {
        at.map_or_else(|| never.to_owned(), |at| format!("{} ago", age(at, now)))
    };
    vec![
        (*kind).to_owned(),
        clean(&who),
        clean(&named),
        made.map(|made| age(made, now)).unwrap_or_default(),
        since(last_used, ""),
        expires.map_or_else(|| "never".to_owned(), |expires| ahead(expires, now)),
        governed_by.as_deref().map_or_else(|| "NOBODY".to_owned(), clean),
        (*advice).to_owned(),
    ]
}

/// One credential whole.
pub(super) fn detail(detail: &Detail, now: Timestamp) -> String {
    let Detail {
        row,
        message,
        address,
        generations,
        stores,
        used_by,
        strangers_there,
        blocked,
    } = detail;
    let colour = if row.ready { style::ADD } else { style::REMOVE };
    let mut text = format!(
        "{}  {}\n",
        paint(
            style::STRONG,
            &clean(&format!("ServiceCredential {}/{}", row.namespace, row.name))
        ),
        paint(colour, &clean(&row.reason))
    );
    let mut line = |name: &str, words: &str| {
        if !words.is_empty() {
            let _ = writeln!(
                text,
                "  {} {}",
                paint(style::FAINT, &format!("{name:<8}")),
                clean(words)
            );
        }
    };
    line("issuer", &row.issuer);
    line("", address.as_deref().unwrap_or_default());
    line("says", message);
    line("blocked", blocked.as_deref().unwrap_or_default());
    if !row.enforces {
        line("mode", "observes: nothing is minted");
    }
    let next = row
        .next
        .map(|next| format!("{} ({})", ahead(next, now), moment(next)));
    line("next", &next.unwrap_or_default());
    line("used by", &used_by.join(", "));
    if !generations.is_empty() {
        let _ = writeln!(text, "\n{}", paint(style::STRONG, "Generations"));
        let cells = generations.iter().rev().map(|one| generation(one, now));
        text.push_str(&table(
            &["number", "state", "id", "age", "expires", "ends"],
            cells.collect(),
        ));
    }
    if !stores.is_empty() {
        let _ = writeln!(text, "\n{}", paint(style::STRONG, "Stores"));
        let cells = stores.iter().map(|(name, held)| {
            let held = held.map_or_else(
                || "nothing of ours".to_owned(),
                |held| format!("generation {held}"),
            );
            vec![clean(name), held]
        });
        text.push_str(&table(&["place", "holds"], cells.collect()));
    }
    if !strangers_there.is_empty() {
        let _ = writeln!(
            text,
            "\n{}",
            paint(
                style::SET,
                &format!(
                    "{} of this identity that Lockstep did not mint",
                    count(strangers_there.len(), "credential", "credentials")
                )
            )
        );
        for id in strangers_there {
            let _ = writeln!(text, "  {}", clean(id));
        }
    }
    text
}

fn generation(one: &GenerationLine, now: Timestamp) -> Vec<String> {
    let GenerationLine {
        number,
        state,
        id,
        fingerprint: _,
        minted,
        expires,
        ends,
        why,
    } = one;
    let state = why
        .as_ref()
        .map_or_else(|| state.clone(), |why| format!("{state} ({why})"));
    let ends = ends.map(|ends| {
        if ends > now {
            ahead(ends, now)
        } else {
            format!("{} ago", age(ends, now))
        }
    });
    vec![
        number.to_string(),
        clean(&state),
        clean(id.as_deref().unwrap_or_default()),
        minted.map(|minted| age(minted, now)).unwrap_or_default(),
        expires.map(|expires| ahead(expires, now)).unwrap_or_default(),
        ends.unwrap_or_default(),
    ]
}
