//! What is accepted and refused, offline: `rules.yaml` beside this file, and the manifests in `examples/`.

use std::collections::BTreeSet;

use lockstep_core::api::{PromotionPolicy, ServiceCredential};
use lockstep_core::domain::promotion::policy;
use lockstep_core::domain::rotation::declared::Declared;
use serde::Deserialize;
use serde_json::Value;

use super::offline::Judge;
use super::schemas::{each, root, schema};

/// One line of `rules.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    pub kind: String,
    pub why: String,
    /// Of the object, where it matters.
    pub name: Option<String>,
    pub spec: Value,
    pub old: Option<Value>,
    pub refused: Option<String>,
}

pub fn all() -> Vec<Example> {
    let mut yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(include_str!("rules.yaml")).unwrap();
    yaml.apply_merge().unwrap();
    serde_yaml_ng::from_value(yaml).unwrap()
}

/// The objects in a manifest of `examples/`, with its placeholders filled in.
pub fn manifest(file: &str) -> Vec<Value> {
    let mut text = std::fs::read_to_string(root().join("examples").join(file)).unwrap();
    for (name, value) in [
        ("GERRIT_URL", "http://127.0.0.1:8080"),
        ("GERRIT_HOST", "127.0.0.1:8080"),
        ("GERRIT_ADMIN_USER", "admin"),
        ("GERRIT_ADMIN_PASSWORD", "example"),
        ("DATABRICKS_SIM_URL", "http://127.0.0.1:8081"),
        ("DATABRICKS_SIM_HOST", "127.0.0.1:8081"),
        ("DATABRICKS_SIM_ACCOUNT_URL", "http://127.0.0.1:8081"),
        (
            "DATABRICKS_SIM_ACCOUNT_ID",
            "5c0a7f5e-0000-4000-8000-10c857e90000",
        ),
        ("DATABRICKS_SIM_CLIENT_ID", "5c0a7f5e-0000-4000-8000-10c857e90001"),
        ("DATABRICKS_SIM_CLIENT_SECRET", "example"),
        ("DATABRICKS_SIM_TOKEN", "example"),
        ("BINDING_UID", "0b7e8f3a-1111-2222-3333-444455556666"),
        (
            "PLAN_DIGEST",
            "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ),
        ("APPROVER", "kubernetes-admin"),
    ] {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    let objects = serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|object| !object.is_null())
        .collect::<Vec<_>>();
    // Expressions of a policy begin with small letters.
    let text = serde_json::to_string(&objects).unwrap();
    let placeholder = |rest: &str| rest.starts_with(|c: char| c.is_ascii_uppercase());
    let left: Vec<&str> = text
        .split("${")
        .skip(1)
        .filter(|rest| placeholder(rest))
        .collect();
    assert_eq!(
        left,
        Vec::<&str>::new(),
        "{file}: a placeholder that nobody fills in"
    );
    objects
}

pub const MANIFESTS: &[&str] = &[
    "connections.yaml",
    "team.yaml",
    "approval.yaml",
    "promotion.yaml",
    "freeze.yaml",
    "credential.yaml",
];

#[test]
fn what_is_right_is_accepted_and_what_is_wrong_is_refused_with_its_reason() {
    let (mut judge, mut surprises) = (Judge::default(), Vec::new());
    for Example {
        kind,
        why,
        name,
        spec,
        old,
        refused,
    } in all()
    {
        let name = name.as_deref().unwrap_or("example");
        let wrong = judge.object(schema(&kind), name, &spec, old.as_ref());
        let expected = match &refused {
            Some(message) => wrong.iter().any(|wrong| wrong.contains(message)),
            None => wrong.is_empty(),
        };
        if !expected {
            surprises.push(format!("{kind}: {why}: expected {refused:?}, got {wrong:?}"));
        }
    }
    assert!(surprises.is_empty(), "{surprises:#?}");

    // Every rule and pattern has met both.
    let mut untried = BTreeSet::new();
    for crd in lockstep_core::api::crd::all() {
        let kind = crd.spec.names.kind;
        each(schema(&kind), &kind, &mut |at, node| {
            let rules = node["x-kubernetes-validations"].as_array().into_iter().flatten();
            for rule in rules
                .map(|rule| &rule["rule"])
                .chain([&node["pattern"]])
                .filter_map(Value::as_str)
            {
                for (seen, answer) in [(&judge.said_yes, "accepted"), (&judge.said_no, "refused")] {
                    if !seen.contains(rule) {
                        untried.insert(format!("{at}: nothing is {answer} by {rule}"));
                    }
                }
            }
        });
    }
    assert!(untried.is_empty(), "{untried:#?}");
}

#[test]
fn the_manifests_in_examples_are_accepted() {
    let mut judge = Judge::default();
    for file in MANIFESTS {
        for object in manifest(file) {
            if object["apiVersion"] != "lockstep.dev/v1alpha1" {
                continue;
            }
            let kind = object["kind"].as_str().unwrap();
            let name = object["metadata"]["name"].as_str().unwrap();
            let wrong = judge.object(schema(kind), name, &object["spec"], None);
            assert!(wrong.is_empty(), "{file}: {kind}: {wrong:#?}");
            if kind == "PromotionPolicy" {
                let policy: PromotionPolicy = serde_json::from_value(object.clone()).unwrap();
                let read = policy::read(&policy.spec, "ml-fraud");
                assert!(read.is_ok(), "{file}: {read:#?}");
            }
            if kind == "ServiceCredential" {
                let credential: ServiceCredential = serde_json::from_value(object.clone()).unwrap();
                let read = Declared::read(&credential.spec, "ml-fraud", jiff::Timestamp::UNIX_EPOCH);
                assert!(read.is_ok(), "{file}: {read:#?}");
            }
        }
    }
}

#[test]
fn every_manifest_in_examples_is_tried() {
    let files = std::fs::read_dir(root().join("examples")).unwrap();
    let manifests = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let tried: BTreeSet<String> = MANIFESTS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(manifests.collect::<BTreeSet<_>>(), tried);
}
