//! The CRDs as documents: generated files are current, nothing has a default, everything is bounded and described.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use lockstep_core::api::crd;
use serde_json::Value;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The schema of a kind.
pub fn schema(kind: &str) -> &'static Value {
    static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
        let schemas = crd::all()
            .into_iter()
            .map(|crd| (crd.spec.names.kind.clone(), schema_of(&crd)));
        schemas.collect()
    });
    SCHEMAS.get(kind).unwrap_or_else(|| panic!("no kind {kind}"))
}

fn schema_of(crd: &CustomResourceDefinition) -> Value {
    let schema = crd.spec.versions[0].schema.as_ref().unwrap();
    serde_json::to_value(schema.open_api_v3_schema.as_ref().unwrap()).unwrap()
}

/// Visits every node below `schema`, with its path.
pub fn each(schema: &Value, at: &str, visit: &mut dyn FnMut(&str, &Value)) {
    visit(at, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        each(property, &format!("{at}.{name}"), visit);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            each(&schema[key], &format!("{at}{mark}"), visit);
        }
    }
}

/// What `text` should be in the file at `path`; `LOCKSTEP_WRITE=1` writes it.
pub fn current(path: PathBuf, text: &str) {
    if std::env::var("LOCKSTEP_WRITE").as_deref() == Ok("1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{} is stale: run LOCKSTEP_WRITE=1 cargo test -p lockstep --test crds --test chart --no-fail-fast",
        path.display()
    );
}

#[test]
fn generated_files_are_current() {
    for crd in crd::all() {
        let file = root()
            .join("crds")
            .join(format!("{}.yaml", crd.spec.names.plural));
        current(file, &serde_yaml_ng::to_string(&crd).unwrap());
    }
    let kinds = fs::read_dir(root().join("crds")).unwrap().count();
    assert_eq!(kinds, crd::all().len(), "crds/ holds a file that no kind makes");
}

/// A default in the schema shows up in what GitOps tools read back, and they report drift for ever.
#[test]
fn nothing_has_a_default_and_nothing_is_nullable() {
    for crd in crd::all() {
        each(&schema_of(&crd), &crd.spec.names.kind, &mut |at, node| {
            assert!(node.get("default").is_none(), "{at} has a default");
            assert!(node.get("nullable").is_none(), "{at} is nullable");
            let nulls = node["enum"]
                .as_array()
                .is_some_and(|words| words.iter().any(Value::is_null));
            assert!(!nulls, "{at} lists null among its words");
            let format = node["format"].as_str().unwrap_or_default();
            assert!(
                !format.starts_with("uint"),
                "{at}: the API server warns about {format}"
            );
        });
    }
}

#[test]
fn every_string_list_and_map_is_bounded() {
    for crd in crd::all() {
        each(&schema_of(&crd), &crd.spec.names.kind, &mut |at, node| {
            // The items of `conditions` are Kubernetes' own type.
            if at.contains(".conditions[]") {
                return;
            }
            let has = |key: &str| node.get(key).is_some();
            match node["type"].as_str() {
                Some("string") => assert!(
                    has("maxLength") || has("enum") || node["format"] == "date-time",
                    "{at} has no maxLength"
                ),
                Some("array") => assert!(has("maxItems"), "{at} has no maxItems"),
                Some("object") if has("additionalProperties") => {
                    assert!(has("maxProperties"), "{at} has no maxProperties");
                }
                Some("integer") if at.contains(".spec.") => {
                    assert!(has("minimum") && has("maximum"), "{at} has no range");
                }
                _ => {}
            }
        });
    }
}

/// What `kubectl explain` shows.
#[test]
fn every_field_of_spec_is_described() {
    let mut bare = Vec::new();
    for crd in crd::all() {
        each(
            &schema_of(&crd)["properties"]["spec"],
            &crd.spec.names.kind,
            &mut |at, node| {
                if !at.ends_with("[]") && !at.ends_with("{}") && node["description"].as_str().is_none() {
                    bare.push(at.to_owned());
                }
            },
        );
    }
    assert!(bare.is_empty(), "no description: {bare:#?}");
}

#[test]
fn lists_of_our_kinds_read_well() {
    for crd in crd::all() {
        let kind = &crd.spec.names.kind;
        assert_eq!(crd.spec.group, "lockstep.dev");
        assert_eq!(crd.spec.scope, "Namespaced");
        assert_eq!(
            crd.spec.names.categories.as_deref(),
            Some(&["lockstep".to_owned()][..]),
            "{kind}"
        );
        let version = &crd.spec.versions[0];
        let columns: Vec<&str> = version
            .additional_printer_columns
            .iter()
            .flatten()
            .map(|column| column.name.as_str())
            .collect();
        assert!(
            columns.starts_with(&["Ready", "Reason"]) && columns.ends_with(&["Age"]),
            "{kind}: {columns:?}"
        );
        assert!(version.subresources.as_ref().unwrap().status.is_some(), "{kind}");
        let conditions = &schema_of(&crd)["properties"]["status"]["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map", "{kind}");
        assert_eq!(conditions["x-kubernetes-list-map-keys"][0], "type", "{kind}");
    }
}
