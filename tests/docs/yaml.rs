//! YAML in the guide is an object, a fragment of a spec, or values of the chart, and is accepted as such.

use lockstep_core::api::{
    ADOPT, CANCEL, CHANGED_BY, COMPROMISED, GROUP, HOST, REQUESTED_AT, RETRY, ROTATE, crd,
};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::offline::Judge;
use crate::pages::{Block, Page, no, page, pages, read, split};

pub fn schema(kind: &str) -> Option<Value> {
    let crd = crd::all().into_iter().find(|crd| crd.spec.names.kind == kind)?;
    let schema = crd.spec.versions[0]
        .schema
        .as_ref()?
        .open_api_v3_schema
        .as_ref()?;
    Some(serde_json::to_value(schema).unwrap())
}

/// What a fragment needs besides itself.
fn rest_of(kind: &str) -> Value {
    let secret = json!({"secretRef": {"name": "x"}});
    match kind {
        "GerritConnection" => json!({"url": "https://g.example.com", "auth": {"basic": secret}}),
        "DatabricksConnection" => json!({"host": "https://d.example.com", "auth": {"oauthSecret": secret}}),
        "PromotionPolicy" => json!({
            "gerrit": {"connectionRef": {"name": "x"}, "project": "x"},
            "gate": {"approval": {"label": "A", "group": "x"}, "verification": {"label": "B", "group": "x"}},
            "steps": [{"name": "x", "job": {"name": "x"}}],
            "environments": [{
                "name": "x", "branch": "x", "databricks": {"connectionRef": {"name": "x"}},
                "runAs": {"applicationId": "00000000-0000-4000-8000-000000000000"},
            }],
        }),
        "ServiceCredential" => json!({
            "issuer": {"gerritToken": {"connectionRef": {"name": "x"}, "account": "x", "lifetime": "21d"}},
            "schedule": {"every": "7d"},
            "stores": [{"kubernetesSecret": {"name": "x", "keys": {"value": "x"}}}],
        }),
        _ => json!({}),
    }
}

pub fn parse(text: &str) -> Result<Vec<Value>, String> {
    serde_yaml_ng::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).map_err(|error| error.to_string()))
        .collect()
}

/// Every YAML block is an object, a fragment of a spec, or values of the chart, and is accepted as such.
fn wrong_yaml(page: &Page) -> Vec<String> {
    let values = &parse(&read("charts/lockstep/values.yaml")).unwrap()[0];
    let mut wrong = Vec::new();
    for Block { text, .. } in split(&page.text)
        .0
        .into_iter()
        .filter(|block| block.language == "yaml")
    {
        let at = format!(
            "{}: {:?}",
            page.path.display(),
            text.lines().next().unwrap_or_default()
        );
        let first = text.lines().next().unwrap_or_default();
        let fragment = first
            .strip_prefix("# spec of an ")
            .or_else(|| first.strip_prefix("# spec of a "));
        let objects = match parse(&text) {
            Ok(objects) => objects,
            Err(error) => {
                wrong.push(format!("{at}: {error}"));
                continue;
            }
        };
        for object in objects {
            let found = if first == "# values of the chart" {
                unknown_values(&object, values, "")
            } else if let Some(kind) = fragment {
                let mut spec = rest_of(kind);
                spec.as_object_mut()
                    .unwrap()
                    .extend(object.as_object().cloned().unwrap_or_default());
                judge(kind, "example", &spec)
            } else {
                whole(&object)
            };
            wrong.extend(found.into_iter().map(|why| format!("{at}: {why}")));
        }
    }
    wrong
}

fn judge(kind: &str, name: &str, spec: &Value) -> Vec<String> {
    match schema(kind) {
        Some(schema) => Judge::default().object(&schema, name, spec, None),
        None => vec![format!("there is no kind {kind}")],
    }
}

fn whole(object: &Value) -> Vec<String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let mut wrong = Vec::new();
    for field in ["apiVersion", "kind"] {
        if object[field].as_str().is_none() {
            wrong.push(format!("says neither {field} nor whose spec it is"));
        }
    }
    let annotations = object["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten();
    for (key, _) in annotations.filter(|(key, _)| key.starts_with(GROUP)) {
        let read = [
            HOST,
            REQUESTED_AT,
            CHANGED_BY,
            CANCEL,
            RETRY,
            ROTATE,
            COMPROMISED,
            ADOPT,
        ];
        if !read.contains(&key.as_str()) {
            wrong.push(format!("nobody reads the annotation {key}"));
        }
    }
    let group = object["apiVersion"].as_str().unwrap_or_default();
    if group.starts_with(GROUP) {
        if group != format!("{GROUP}/{}", lockstep_core::api::VERSION) {
            wrong.push(format!("there is no version {group}"));
        }
        for field in ["name", "namespace"] {
            if object["metadata"][field].as_str().is_none() {
                wrong.push(format!("has no {field}"));
            }
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        wrong.extend(judge(kind, name, &object["spec"]));
        wrong.extend(does_not_parse(kind, object));
    }
    wrong
}

/// The schema is one reading of an object, serde another.
fn does_not_parse(kind: &str, object: &Value) -> Option<String> {
    use lockstep_core::api::{
        AccessBinding, ChangeFreeze, CredentialStore, DatabricksConnection, GerritConnection, PlanApproval,
        Promotion, PromotionPolicy, ServiceCredential,
    };
    fn as_kind<K: serde::de::DeserializeOwned>(object: &Value) -> Option<String> {
        let parsed = serde_json::from_value::<K>(object.clone());
        parsed.err().map(|error| error.to_string())
    }
    match kind {
        "AccessBinding" => as_kind::<AccessBinding>(object),
        "GerritConnection" => as_kind::<GerritConnection>(object),
        "DatabricksConnection" => as_kind::<DatabricksConnection>(object),
        "PlanApproval" => as_kind::<PlanApproval>(object),
        "PromotionPolicy" => as_kind::<PromotionPolicy>(object),
        "Promotion" => as_kind::<Promotion>(object),
        "ChangeFreeze" => as_kind::<ChangeFreeze>(object),
        "CredentialStore" => as_kind::<CredentialStore>(object),
        "ServiceCredential" => as_kind::<ServiceCredential>(object),
        _ => Some(format!("there is no kind {kind}")),
    }
}

fn unknown_values(found: &Value, known: &Value, at: &str) -> Vec<String> {
    let Some(fields) = found.as_object() else {
        return Vec::new();
    };
    let unknown = fields.iter().flat_map(|(name, value)| match known.get(name) {
        Some(known) => unknown_values(value, known, &format!("{at}{name}.")),
        None => vec![format!("the chart has no value {at}{name}")],
    });
    unknown.collect()
}

#[test]
fn every_yaml_block_is_accepted() {
    let pages = pages();
    let blocks = pages.iter().flat_map(|page| split(&page.text).0);
    assert!(blocks.filter(|block| block.language == "yaml").count() > 10);
    no(pages.iter().flat_map(wrong_yaml).collect());
}

#[test]
fn yaml_that_is_wrong_is_noticed() {
    let yaml = |text: &str| wrong_yaml(&page("docs/x.md", &format!("```yaml\n{text}\n```\n")));
    let object = |spec: &str| {
        format!(
            "apiVersion: lockstep.dev/v1alpha1\nkind: AccessBinding\nmetadata: {{name: x, namespace: y}}\nspec: {spec}"
        )
    };
    assert!(yaml(&object("{mode: Enforce}")).is_empty());
    for wrong in [
        object("{mode: Force}"),
        object("{mod: Enforce}"),
        object("{interval: 1s}"),
        object("{databricks: {catalog: {connectionRef: {name: x}, grants: []}}}"),
        object("{}").replace("v1alpha1", "v1"),
        object("{}").replace("namespace: y", ""),
        "mode: Enforce".into(),
        "# spec of an AccessBinding\nmembers: [{person: {mail: a@x}}]".into(),
        "# spec of an AccessBinding\nmembers: [{}]".into(),
        "# spec of a GerritConnection\nurl: http://g.example.com".into(),
        "# values of the chart\nimage: {name: x}".into(),
        "apiVersion: v1\nkind: Secret\nmetadata: {annotations: {lockstep.dev/hosts: x}}".into(),
        "a: [".into(),
    ] {
        assert!(!yaml(&wrong).is_empty(), "accepted:\n{wrong}");
    }
}
