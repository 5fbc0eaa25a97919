//! What a job is: the definition in the reviewed tree (the body of Jobs `create` as YAML) made into settings, and
//! whether a job in the workspace still is what its settings say.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::sources::{self, Frame};
use crate::domain::promotion::expressions::{Values, expand};
use crate::domain::promotion::machine::state::{Failure, FailureKind};

/// Longest definition that is read: bytes. A job of a thousand tasks is a tenth of it.
pub const LONGEST: usize = 1024 * 1024;
/// Job parameters by which a run says what it belongs to, so that the audit table joins back.
pub const PROMOTION: &str = "lockstep_promotion";
pub const KEY: &str = "lockstep_key";
pub const CHANGE: &str = "gerrit_change";
pub const REVISION: &str = "gerrit_revision";
const OURS: [&str; 4] = [PROMOTION, KEY, CHANGE, REVISION];
/// Settings that decide what runs and as whom. Others (who is told, when it starts) are no other code.
const CODE: [&str; 5] = ["tasks", "job_clusters", "environments", "git_source", "run_as"];
/// What names a row of a list in settings.
const NAMES: [&str; 4] = ["task_key", "job_cluster_key", "environment_key", "name"];

/// The settings that a definition means in this promotion. `path` is where in the tree it stands.
pub fn settings(path: &str, yaml: &str, values: &Values<'_>, frame: &Frame<'_>) -> Result<Value, Failure> {
    let refuse = |why: String| Failure::new(FailureKind::Refused, format!("{path}: {why}"));
    if yaml.len() > LONGEST {
        return Err(refuse(format!("is longer than {LONGEST} bytes")));
    }
    // By way of YAML's own values, which refuse a key that stands twice: a reader sees the first, a parser the last.
    let parsed: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(yaml).map_err(|error| refuse(format!("is no YAML: {error}")))?;
    let parsed =
        serde_json::to_value(&parsed).map_err(|error| refuse(format!("says what JSON cannot: {error}")))?;
    let Value::Object(mut settings) = parsed else {
        return Err(refuse("must be the body of Jobs create: a mapping".into()));
    };
    for value in settings.values_mut() {
        fill(value, values).map_err(&refuse)?;
    }
    if settings.contains_key("access_control_list") {
        return Err(refuse(
            "access_control_list is not taken: who may use the job is what an AccessBinding declares".into(),
        ));
    }
    fixed(&mut settings, "name", json!(frame.name)).map_err(&refuse)?;
    let run_as = json!({"service_principal_name": frame.run_as});
    fixed(&mut settings, "run_as", run_as).map_err(&refuse)?;
    declare_ours(&mut settings).map_err(&refuse)?;
    let mut settings = Value::Object(settings);
    sources::resolve(&mut settings, frame)?;
    sources::check(&settings, frame)?;
    Ok(settings)
}

/// Expressions in every string below; keys are left alone.
fn fill(value: &mut Value, values: &Values<'_>) -> Result<(), String> {
    match value {
        Value::String(text) => *text = expand(text, values).map_err(|error| error.to_string())?,
        Value::Array(rows) => rows.iter_mut().try_for_each(|row| fill(row, values))?,
        Value::Object(fields) => fields.values_mut().try_for_each(|field| fill(field, values))?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// Sets what is not the definition's to choose.
fn fixed(settings: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), String> {
    match settings.get(name) {
        Some(other) if *other != value => Err(format!(
            "{name} is {other}, but the policy says {value}: leave it out"
        )),
        _ => {
            settings.insert(name.to_owned(), value);
            Ok(())
        }
    }
}

/// Declares the parameters that name a run: values for undeclared ones are not promised to be taken.
fn declare_ours(settings: &mut Map<String, Value>) -> Result<(), String> {
    let declared = settings.entry("parameters").or_insert_with(|| json!([]));
    let rows = declared.as_array_mut().ok_or("parameters must be a list")?;
    for name in OURS {
        if rows.iter().any(|row| row["name"] == name) {
            return Err(format!("parameter {name} is set by Lockstep: leave it out"));
        }
        rows.push(json!({"name": name, "default": ""}));
    }
    Ok(())
}

/// The parameters that a run is started with.
pub fn parameters(
    given: &BTreeMap<String, String>,
    promotion: &str,
    key: &str,
    change: u64,
    revision: &str,
) -> BTreeMap<String, String> {
    let mut all = given.clone();
    for (name, value) in OURS
        .into_iter()
        .zip([promotion, key, &change.to_string(), revision])
    {
        all.insert(name.to_owned(), value.to_owned());
    }
    all
}

/// Fails with `JobRunsOtherCode` unless a job with these settings runs this step's code as its identity. `run_as`
/// is what the system says the job runs as, where its settings do not.
pub fn check(actual: &Value, run_as: Option<&str>, frame: &Frame<'_>) -> Result<(), Failure> {
    let stated = actual
        .pointer("/run_as/service_principal_name")
        .and_then(Value::as_str);
    let who = stated.or(run_as);
    if who != Some(frame.run_as) {
        let who = who.unwrap_or("somebody else");
        return Err(frame.other_code(&format!("it runs as {who}, not as {}", frame.run_as)));
    }
    sources::check(actual, frame)
}

/// Where settings in the workspace differ from those that were set, as far as what runs is concerned; `None`:
/// nowhere. The system adds fields of its own and orders rows as it likes.
pub fn difference(actual: &Value, expected: &Value) -> Option<String> {
    CODE.into_iter().find_map(|name| {
        let nothing = &Value::Null;
        let actual = actual.get(name).unwrap_or(nothing);
        let expected = expected.get(name).unwrap_or(nothing);
        if is_nothing(expected) && !is_nothing(actual) {
            return Some(format!("{name} was added"));
        }
        covers(actual, expected, name)
    })
}

/// Whether a field that nobody asked for could bring code.
fn brings_code(name: &str) -> bool {
    let others = [
        "libraries",
        "new_cluster",
        "existing_cluster_id",
        "environment_key",
        "job_cluster_key",
    ];
    name.ends_with("_task") || others.contains(&name)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(rows) => rows.is_empty(),
        Value::Object(fields) => fields.values().all(is_nothing),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// The first place where `actual` lacks what `expected` says.
fn covers(actual: &Value, expected: &Value, place: &str) -> Option<String> {
    match (actual, expected) {
        (actual, expected) if is_nothing(actual) && is_nothing(expected) => None,
        (Value::Object(found), Value::Object(fields)) => {
            let added = found.iter().find(|(name, value)| {
                brings_code(name) && !is_nothing(value) && fields.get(*name).is_none_or(is_nothing)
            });
            if let Some((name, _)) = added {
                return Some(format!("{place}.{name} was added"));
            }
            let nothing = &Value::Null;
            fields.iter().find_map(|(name, value)| {
                covers(
                    found.get(name).unwrap_or(nothing),
                    value,
                    &format!("{place}.{name}"),
                )
            })
        }
        (Value::Array(found), Value::Array(rows)) if found.len() > rows.len() => {
            Some(format!("{place} has {} rows more", found.len() - rows.len()))
        }
        (Value::Array(found), Value::Array(rows)) => rows.iter().enumerate().find_map(|(at, row)| {
            let named = NAMES.iter().find_map(|name| Some((*name, row.get(*name)?)));
            let place = match named {
                Some((_, Value::String(name))) => format!("{place}[{name}]"),
                _ => format!("{place}[{at}]"),
            };
            let same = match named {
                Some((name, value)) => found.iter().find(|row| row.get(name) == Some(value)),
                None => found.get(at),
            };
            match same {
                Some(same) => covers(same, row, &place),
                None => Some(format!("{place} is gone")),
            }
        }),
        (actual, expected) if actual == expected => None,
        _ => Some(format!("{place} has changed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId};

    fn made(yaml: &str) -> Result<Value, Failure> {
        let revision = CommitId("12345678aa".into());
        let variables = [("catalog".to_owned(), "ml: prod".to_owned())].into();
        let values = Values {
            revision: &revision,
            change: ChangeNumber(7),
            environment: "prod",
            variables: &variables,
        };
        let frame = Frame {
            name: "fraud-train",
            run_as: "app",
            revision: &revision,
            directory: Some("/Workspace/lockstep/12345678aa"),
        };
        settings("jobs/train.yml", yaml, &values, &frame)
    }

    const PLAIN: &str = "tasks:\n- task_key: train\n  spark_python_task: {python_file: train.py, parameters: ['${env.catalog}']}\n";

    #[test]
    fn a_definition_gets_name_identity_paths_and_values() {
        let settings = made(PLAIN).unwrap();
        assert_eq!(settings["name"], "fraud-train");
        assert_eq!(settings["run_as"], json!({"service_principal_name": "app"}));
        let task = &settings["tasks"][0]["spark_python_task"];
        assert_eq!(task["python_file"], "/Workspace/lockstep/12345678aa/train.py");
        // A value with a colon stays one value.
        assert_eq!(task["parameters"][0], "ml: prod");
        assert_eq!(
            settings["parameters"][0],
            json!({"name": PROMOTION, "default": ""})
        );
    }

    #[test]
    fn what_is_not_the_definitions_to_choose_is_refused() {
        for (more, kind, word) in [
            (
                "run_as: {user_name: ada@example.com}\n",
                FailureKind::Refused,
                "run_as",
            ),
            ("name: other\n", FailureKind::Refused, "name"),
            ("access_control_list: []\n", FailureKind::Refused, "AccessBinding"),
            (
                "parameters: [{name: gerrit_change, default: '1'}]\n",
                FailureKind::Refused,
                "gerrit_change",
            ),
            ("description: ${nothing}\n", FailureKind::Refused, "${nothing}"),
            ("tasks: []\n", FailureKind::Refused, "tasks"),
            (
                "git_source: {git_branch: main}\n",
                FailureKind::JobRunsOtherCode,
                "git_commit",
            ),
        ] {
            let why = made(&format!("{PLAIN}{more}")).unwrap_err();
            assert_eq!(why.kind, kind, "{more}: {why:?}");
            assert!(why.message.contains(word), "{more}: {why:?}");
        }
        assert!(made("- a list").is_err());
        assert!(made(": {").is_err());
    }

    #[test]
    fn what_the_system_adds_is_no_difference_and_what_people_change_is() {
        let expected = made(PLAIN).unwrap();
        let mut actual = expected.clone();
        actual["format"] = json!("MULTI_TASK");
        actual["tasks"][0]["timeout_seconds"] = json!(0);
        actual["tasks"][0]["libraries"] = json!([]);
        actual["email_notifications"] = json!({"on_failure": ["ada@example.com"]});
        assert_eq!(difference(&actual, &expected), None);
        let mut changed = actual.clone();
        changed["tasks"][0]["spark_python_task"]["python_file"] = json!("/Users/eve/train.py");
        let why = difference(&changed, &expected).unwrap();
        assert_eq!(why, "tasks[train].spark_python_task.python_file has changed");
        let mut more = actual.clone();
        more["tasks"]
            .as_array_mut()
            .unwrap()
            .push(json!({"task_key": "evil"}));
        assert_eq!(difference(&more, &expected).unwrap(), "tasks has 1 rows more");
        let mut library = actual.clone();
        library["tasks"][0]["libraries"] = json!([{"pypi": {"package": "evil==1"}}]);
        assert_eq!(
            difference(&library, &expected).unwrap(),
            "tasks[train].libraries was added"
        );
        let mut git = actual.clone();
        git["git_source"] = json!({"git_branch": "x"});
        assert_eq!(difference(&git, &expected).unwrap(), "git_source was added");
        let mut who = actual.clone();
        who["run_as"] = json!({"user_name": "eve@example.com"});
        assert!(difference(&who, &expected).is_some());
    }
}
