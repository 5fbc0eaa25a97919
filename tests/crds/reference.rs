//! The API reference in `docs/reference/`, made from the CRDs: one page a kind, one row a field.

use std::fmt::Write as _;

use lockstep_core::api::crd;
use serde_json::Value;

use super::schemas::{current, root, schema};

/// One line of prose in a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// What a field may hold, in words.
fn shape(node: &Value) -> String {
    if let Some(words) = node["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("`{word}`"))
            .collect();
        return words.join(", ");
    }
    let most = |key: &str| {
        node[key]
            .as_u64()
            .map_or(String::new(), |most| format!(" of at most {most}"))
    };
    match node["type"].as_str() {
        Some("string") if node["format"] == "date-time" => "time".to_owned(),
        Some("string") => format!("string{}", most("maxLength")),
        Some("integer") => match (node["minimum"].as_f64(), node["maximum"].as_f64()) {
            (Some(least), Some(most)) => format!("integer, {least} to {most}"),
            _ => "integer".to_owned(),
        },
        Some("array") => format!("list{}: {}", most("maxItems"), shape(&node["items"])),
        Some("object") if node["additionalProperties"].is_object() => {
            format!(
                "map{}: {}",
                most("maxProperties"),
                shape(&node["additionalProperties"])
            )
        }
        Some(other) => other.to_owned(),
        None => "any".to_owned(),
    }
}

fn rows(page: &mut String, rules: &mut Vec<(String, String)>, at: &str, node: &Value) {
    for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
        rules.push((at.to_owned(), rule["message"].as_str().unwrap().to_owned()));
    }
    let required: Vec<&str> = node["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, property) in node["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        let must = if required.contains(&name.as_str()) {
            " **required**"
        } else {
            ""
        };
        let description = property["description"].as_str().unwrap_or_default();
        writeln!(
            page,
            "| `{at}`{must} | {} | {} |",
            cell(&shape(property)),
            cell(description)
        )
        .unwrap();
        // Conditions are Kubernetes' own, and described there.
        if name != "conditions" {
            rows(page, rules, &at, property);
        }
    }
    if node["items"].is_object() {
        rows(page, rules, &format!("{at}[]"), &node["items"]);
    }
}

#[test]
fn the_reference_is_current() {
    for crd in crd::all() {
        let names = &crd.spec.names;
        let schema = schema(&names.kind);
        let mut page = format!(
            "# {}\n\n{}\n\n",
            names.kind,
            schema["description"].as_str().unwrap()
        );
        let short = names
            .short_names
            .iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        writeln!(
            page,
            "`{}/v1alpha1`, namespaced. `kubectl get {}` or `{short}`; `kubectl get lockstep` lists all kinds.\n",
            crd.spec.group, names.plural
        )
        .unwrap();
        let mut rules = Vec::new();
        for part in ["spec", "status"] {
            writeln!(
                page,
                "## {part}\n\n| field | holds | meaning |\n| --- | --- | --- |"
            )
            .unwrap();
            rows(&mut page, &mut rules, part, &schema["properties"][part]);
            page.push('\n');
        }
        page.push_str("## What the API server refuses\n\n| where | says |\n| --- | --- |\n");
        for (at, message) in rules {
            writeln!(page, "| `{at}` | {} |", cell(&message)).unwrap();
        }
        current(
            root().join("docs/reference").join(format!("{}.md", names.plural)),
            &page,
        );
    }
}
