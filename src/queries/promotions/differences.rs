//! Where two JSON documents differ, field by field.

use serde::Serialize;
use serde_json::Value;

/// One thing that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    pub what: String,
    /// Unset: nothing, or it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Unset: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Fields that differ, with their paths as `tasks[0].timeout_seconds`.
pub fn differences(from: &Value, to: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(from), Some(to), &mut found);
    found
}

fn compare(at: &str, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<Difference>) {
    match (from, to) {
        (from, to) if from == to => {}
        (Some(Value::Object(from)), Some(Value::Object(to))) => {
            let new = to.keys().filter(|key| !from.contains_key(*key));
            for key in from.keys().chain(new) {
                let dot = if at.is_empty() { "" } else { "." };
                compare(&format!("{at}{dot}{key}"), from.get(key), to.get(key), found);
            }
        }
        (Some(Value::Array(from)), Some(Value::Array(to))) => {
            for index in 0..from.len().max(to.len()) {
                compare(&format!("{at}[{index}]"), from.get(index), to.get(index), found);
            }
        }
        (from, to) => found.push(Difference {
            what: at.to_owned(),
            from: from.map(plain),
            to: to.map(plain),
        }),
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_named_and_by_its_whole_path() {
        let from = json!({"name": "train", "tasks": [{"key": "a", "retries": 1}, {"key": "b"}], "old": true});
        let to = json!({"name": "train", "tasks": [{"key": "a", "retries": 2}], "new": {"x": "y"}});
        let difference = |what: &str, from: Option<&str>, to: Option<&str>| Difference {
            what: what.into(),
            from: from.map(Into::into),
            to: to.map(Into::into),
        };
        let mut found = differences(&from, &to);
        found.sort_by(|one, other| one.what.cmp(&other.what));
        assert_eq!(
            found,
            [
                difference("new", None, Some(r#"{"x":"y"}"#)),
                difference("old", Some("true"), None),
                difference("tasks[0].retries", Some("1"), Some("2")),
                difference("tasks[1]", Some(r#"{"key":"b"}"#), None),
            ]
        );
        assert!(differences(&to, &to).is_empty());
    }
}
