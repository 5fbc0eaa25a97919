//! Words that people meet are explained: reasons, fields, levels, metrics and values.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lockstep_core::api::crd;
use lockstep_core::api::objects::ObjectAccess;
use lockstep_core::domain::access::catalog;
use serde_json::{Value, json};

use crate::pages::{Page, page, pages, read, root, rows, spans};
use crate::yaml::{parse, schema};

fn sources(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_name().is_some_and(|name| name != "condition.rs")
        {
            let text = fs::read_to_string(&path).unwrap();
            found.push(text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
        }
    }
}

/// Reasons that some code gives.
fn reasons_given() -> BTreeSet<String> {
    let all = read("core/src/api/condition.rs");
    let (_, body) = all.split_once("pub enum Reason {").unwrap();
    let (body, _) = body.split_once('}').unwrap();
    let mut code = Vec::new();
    for directory in ["src", "core/src"] {
        sources(&root().join(directory), &mut code);
    }
    let used: BTreeSet<&str> = code
        .iter()
        .flat_map(|text| text.split("Reason::").skip(1))
        .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next())
        .collect();
    let names = body
        .lines()
        .map(|line| line.trim().trim_end_matches(','))
        .filter(|line| !line.is_empty() && !line.starts_with("//"));
    names
        .filter(|reason| used.contains(reason))
        .map(ToOwned::to_owned)
        .collect()
}

/// Words that the first cells of tables explain whose header cell is `header`.
fn explained(pages: &[Page], header: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for page in pages {
        let mut within = false;
        for (_, cells) in rows(&page.text) {
            // A table begins where its header is followed by dashes; headers of other tables end this one.
            if cells[0] == header {
                within = true;
            } else if !cells[0].starts_with('`') && !cells[0].starts_with('-') {
                within = false;
            } else if within {
                words.extend(spans(&cells[0]).map(ToOwned::to_owned));
            }
        }
    }
    words
}

/// Fields of all specs, with the kind they belong to.
fn fields(schema: &Value, at: &str, found: &mut BTreeSet<(String, String)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        found.insert((at.to_owned(), name.clone()));
        fields(property, &format!("{at}.{name}"), found);
    }
    if schema["items"].is_object() {
        fields(&schema["items"], at, found);
    }
}

#[test]
fn every_reason_that_is_given_is_explained_and_no_other() {
    let (given, explained) = (reasons_given(), explained(&pages(), "reason"));
    assert!(given.len() > 30, "{given:?}");
    let unexplained: Vec<_> = given.difference(&explained).collect();
    assert!(unexplained.is_empty(), "in no table of reasons: {unexplained:?}");
    let never: Vec<_> = explained.difference(&given).collect();
    assert!(never.is_empty(), "explained, but never given: {never:?}");
}

#[test]
fn every_field_is_spoken_of() {
    let text: String = pages().into_iter().map(|page| page.text).collect();
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    let mut all = BTreeSet::new();
    for kind in crd::all().into_iter().map(|crd| crd.spec.names.kind) {
        fields(&schema(&kind).unwrap()["properties"]["spec"], &kind, &mut all);
    }
    assert!(all.len() > 100);
    // Below what has no effect yet nothing is explained.
    let missing: Vec<_> = all
        .iter()
        .filter(|(at, name)| !words.contains(name.as_str()) && !at.contains(".promotion"))
        .filter(|(at, _)| !at.contains(".events") && !at.contains(".audit"))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_level_of_every_object_type_stands_in_the_table() {
    let mut told = BTreeSet::new();
    for (_, cells) in rows(&read("docs/access-binding.md")) {
        let [keys, levels, reach] = &cells[..] else {
            continue;
        };
        let levels: Vec<&str> = spans(levels).collect();
        if !levels.first().is_some_and(|level| level.starts_with("CAN_")) {
            continue;
        }
        let keys: Vec<&str> = spans(keys)
            .filter(|key| !["tokens", "passwords"].contains(key))
            .collect();
        for key in keys {
            let named = ["name", "path"].into_iter().find_map(|by| {
                let name = if key == "authorization" {
                    json!("tokens")
                } else {
                    json!({by: "x"})
                };
                serde_json::from_value::<ObjectAccess>(json!({key: name, "level": levels[0]}))
                    .ok()?
                    .object()
            });
            let (path, _) = named.unwrap_or_else(|| panic!("no key {key}"));
            let row = catalog::object_type(path).unwrap();
            assert_eq!(row.levels, levels, "{key}");
            assert_eq!(spans(reach).collect::<Vec<_>>(), [row.reach], "{key}");
            told.insert(path);
        }
    }
    let all: BTreeSet<&str> = catalog::OBJECT_TYPES.iter().map(|row| row.path).collect();
    assert_eq!(told, all);
}

#[test]
fn every_metric_is_explained() {
    let mut code = Vec::new();
    sources(&root().join("src"), &mut code);
    let registered: BTreeSet<&str> = code
        .iter()
        .flat_map(|text| text.split("registry.register").skip(1))
        .filter_map(|rest| rest.split('"').nth(1))
        .collect();
    assert!(registered.len() > 10, "{registered:?}");
    let told = explained(&pages(), "metric");
    for name in registered {
        // Units and `_total` are appended when they are served.
        assert!(
            told.iter().any(|told| told.starts_with(name)),
            "{name} is not explained"
        );
    }
}

#[test]
fn every_value_that_is_named_is_one_of_the_chart() {
    let values = &parse(&read("charts/lockstep/values.yaml")).unwrap()[0];
    let named = explained(&pages(), "value");
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        let pointer = format!("/{}", name.trim_end_matches(".*").replace('.', "/"));
        assert!(
            values.pointer(&pointer).is_some(),
            "the chart has no value {name}"
        );
    }
}

#[test]
fn what_stands_in_another_table_is_not_explained() {
    let told = explained(
        &[page(
            "docs/x.md",
            "| reason | a |\n| --- | --- |\n| `Ab` `C` | x |\n\n| other | b |\n| --- | --- |\n| `D` | x |\n",
        )],
        "reason",
    );
    assert_eq!(told, BTreeSet::from(["Ab".to_owned(), "C".to_owned()]));
}
