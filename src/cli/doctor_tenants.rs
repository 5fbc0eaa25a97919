//! Who may use a connection, in one line: what stands in its tenant entries, so that nobody reads YAML to see it.

use lockstep_core::domain::ports::{Cluster as _, ConnectionKey, ConnectionKind};
use serde_json::Value;

use super::doctor::{Check, Mark};
use crate::runtime::Reading;

/// The line of one connection.
pub(super) fn tenants(reading: &Reading, key: &ConnectionKey) -> Check {
    let (namespace, name) = (&key.namespace, &key.name);
    let entries = match key.kind {
        ConnectionKind::Gerrit => {
            let connection = reading.listing.gerrit_connection(namespace, name);
            serde_json::to_value(connection.and_then(|found| found.spec.tenants.clone()))
        }
        ConnectionKind::Databricks => {
            let connection = reading.listing.databricks_connection(namespace, name);
            serde_json::to_value(connection.and_then(|found| found.spec.tenants.clone()))
        }
    };
    let (mark, says) = line(&entries.unwrap_or_default());
    Check {
        area: "connections",
        what: key.to_string(),
        mark,
        says,
    }
}

fn line(entries: &Value) -> (Mark, String) {
    let entries = entries.as_array().map_or(&[][..], Vec::as_slice);
    if entries.is_empty() {
        return (Mark::Note, "nobody may use it: it has no tenants".into());
    }
    let told: Vec<(bool, String)> = entries.iter().map(entry).collect();
    let mark = if told.iter().all(|(allows, _)| *allows) {
        Mark::Good
    } else {
        Mark::Note
    };
    let words: Vec<String> = told.into_iter().map(|(_, words)| words).collect();
    (mark, format!("for {}", words.join("; ")))
}

/// Whether an entry allows anything, and what.
fn entry(tenant: &Value) -> (bool, String) {
    let words = |at: &str| -> Vec<&str> {
        let list = tenant.pointer(at).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let pairs = |at: &str| {
        tenant
            .pointer(at)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    };
    let names = words("/namespaces/names").join(", ");
    let labels: Vec<String> = pairs("/namespaces/matchLabels")
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let labels = labels.join(",");
    let (someone, who) = match (names.as_str(), labels.as_str()) {
        ("", "") => (false, "no namespace".to_owned()),
        (names, "") => (true, names.to_owned()),
        ("", labels) => (true, format!("namespaces with {labels}")),
        (names, labels) => (true, format!("{names} if with {labels}")),
    };
    let uses = words("/uses").join(", ");
    let reach: Vec<&str> = pairs("/reach")
        .filter(|(_, patterns)| patterns.as_array().is_some_and(|patterns| !patterns.is_empty()))
        .map(|(key, _)| key.as_str())
        .collect();
    let administrative = tenant.pointer("/administrative") == Some(&Value::Bool(true));
    let allows = someone && !uses.is_empty() && !reach.is_empty();
    let or = |text: String, none: &str| if text.is_empty() { none.to_owned() } else { text };
    let mut said = format!(
        "{who}: {} within {}",
        or(uses, "no use"),
        or(reach.join(", "), "nothing")
    );
    if administrative {
        said += ", administrative";
    }
    (allows, said)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_entry_says_who_may_what_how_far() {
        let entries = json!([
            {"namespaces": {"names": ["ml-fraud", "ml-risk"]}, "uses": ["Access"],
             "reach": {"groups": ["ml-*"], "jobs": ["*"], "catalogs": []}},
            {"namespaces": {"matchLabels": {"team": "platform"}}, "uses": ["Access", "Rotation"],
             "administrative": true, "reach": {"workspace": ["*"]}},
        ]);
        let (mark, says) = line(&entries);
        assert_eq!(mark, Mark::Good);
        assert_eq!(
            says,
            "for ml-fraud, ml-risk: Access within groups, jobs; \
             namespaces with team=platform: Access, Rotation within workspace, administrative"
        );
    }

    #[test]
    fn what_allows_nothing_is_noted() {
        for (entries, says) in [
            (json!(null), "nobody may use it: it has no tenants"),
            (json!([]), "nobody may use it: it has no tenants"),
            (
                json!([{"namespaces": {}, "reach": {"groups": ["*"]}}]),
                "for no namespace: no use within groups",
            ),
            (
                json!([{"namespaces": {"names": ["a"]}, "uses": ["Access"]}]),
                "for a: Access within nothing",
            ),
        ] {
            assert_eq!(line(&entries), (Mark::Note, says.to_owned()));
        }
    }
}
