//! Files of manifests, read as strictly as the API server would: what is misspelt is named with its document and
//! field, because a misspelt field would otherwise be a right that silently stays away.

use std::collections::BTreeMap;
use std::io::Read as _;

use kube::ResourceExt as _;
use lockstep_core::api::{
    AccessBinding, ChangeFreeze, DatabricksConnection, GROUP, GerritConnection, Promotion, PromotionPolicy,
    VERSION,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

/// What files hold, as far as it bears on access.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    pub(super) bindings: Vec<AccessBinding>,
    pub(super) gerrit: Vec<GerritConnection>,
    pub(super) databricks: Vec<DatabricksConnection>,
    pub(super) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Objects of other kinds, which change no plan here.
    pub(super) skipped: Vec<String>,
    /// Where each binding stands: `team.yaml, document 2`.
    pub(super) places: BTreeMap<(String, String), String>,
    /// Objects of ours as they were written, for the API server's own judgement.
    pub(super) written: Vec<(String, Value)>,
}

/// Reads files, or `-` for stdin. All errors are told, not just the first.
pub(super) fn read(paths: &[String], namespace: &str) -> Result<Manifests, String> {
    let mut manifests = Manifests::default();
    let mut errors = Vec::new();
    for path in paths {
        match text(path) {
            Ok(text) => errors.extend(manifests.take(path, &text, namespace)),
            Err(error) => errors.push(format!("{path}: {error}")),
        }
    }
    if errors.is_empty() {
        Ok(manifests)
    } else {
        Err(errors.join("\n"))
    }
}

fn text(path: &str) -> std::io::Result<String> {
    if path == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
}

impl Manifests {
    fn take(&mut self, path: &str, text: &str, namespace: &str) -> Vec<String> {
        let name = if path == "-" { "stdin" } else { path };
        let mut errors = Vec::new();
        for (at, document) in serde_yaml_ng::Deserializer::from_str(text).enumerate() {
            let place = format!("{name}, document {}", at + 1);
            match Value::deserialize(document) {
                Ok(Value::Null) => {}
                Ok(object) => errors.extend(self.object(&place, object, namespace)),
                Err(error) => {
                    // Nothing after a syntax error can be told apart.
                    errors.push(format!("{place}: {error}"));
                    break;
                }
            }
        }
        errors
    }

    fn object(&mut self, place: &str, mut object: Value, namespace: &str) -> Vec<String> {
        let word = |field: &str| {
            object
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (version, kind) = (word("apiVersion"), word("kind"));
        if kind == "List" {
            let items = object
                .get_mut("items")
                .and_then(Value::as_array_mut)
                .map(std::mem::take);
            return items
                .into_iter()
                .flatten()
                .enumerate()
                .flat_map(|(at, item)| self.object(&format!("{place}, items[{at}]"), item, namespace))
                .collect();
        }
        if kind.is_empty() || version.is_empty() {
            return vec![format!("{place}: apiVersion and kind must be set")];
        }
        if version != format!("{GROUP}/{VERSION}") {
            if kind == "Namespace" {
                self.namespace(&object);
            } else {
                self.skipped.push(kind);
            }
            return if version.starts_with(GROUP) {
                vec![format!(
                    "{place}: apiVersion {version} is unknown: write {GROUP}/{VERSION}"
                )]
            } else {
                Vec::new()
            };
        }
        self.written.push((place.to_owned(), object.clone()));
        match kind.as_str() {
            "AccessBinding" => decode::<AccessBinding>(place, &object, namespace).map(|binding| {
                let key = (binding.namespace().unwrap_or_default(), binding.name_any());
                self.places.insert(key, place.to_owned());
                self.bindings.push(binding);
            }),
            "GerritConnection" => {
                decode::<GerritConnection>(place, &object, namespace).map(|found| self.gerrit.push(found))
            }
            "DatabricksConnection" => decode::<DatabricksConnection>(place, &object, namespace)
                .map(|found| self.databricks.push(found)),
            "PlanApproval" => {
                self.skipped.push(kind);
                Ok(())
            }
            "PromotionPolicy" => {
                decode::<PromotionPolicy>(place, &object, namespace).map(|_| self.skipped.push(kind))
            }
            "Promotion" => decode::<Promotion>(place, &object, namespace).map(|_| self.skipped.push(kind)),
            "ChangeFreeze" => {
                decode::<ChangeFreeze>(place, &object, namespace).map(|_| self.skipped.push(kind))
            }
            _ => Err(vec![format!("{place}: {GROUP} has no kind {kind}")]),
        }
        .err()
        .unwrap_or_default()
    }

    fn namespace(&mut self, object: &Value) {
        let Some(name) = object.pointer("/metadata/name").and_then(Value::as_str) else {
            return;
        };
        let labels = object.pointer("/metadata/labels").cloned().unwrap_or_default();
        let labels = serde_json::from_value(labels).unwrap_or_default();
        self.namespaces.insert(name.to_owned(), labels);
    }
}

fn decode<K>(place: &str, object: &Value, namespace: &str) -> Result<K, Vec<String>>
where
    K: DeserializeOwned + Serialize + kube::Resource<DynamicType = ()>,
{
    let mut decoded: K = serde_path_to_error::deserialize(object).map_err(|error| {
        let path = error.path().to_string();
        vec![format!("{place}: {path}: {}", error.into_inner())]
    })?;
    let mut unknown = Vec::new();
    let again = serde_json::to_value(&decoded).unwrap_or_default();
    if let (Some(written), Some(kept)) = (object.get("spec"), again.get("spec")) {
        lost("spec", written, kept, &mut unknown);
    }
    let mut errors: Vec<String> = unknown
        .into_iter()
        .map(|path| format!("{place}: {path}: there is no such field"))
        .collect();
    let meta = decoded.meta_mut();
    if meta.name.as_ref().is_none_or(String::is_empty) {
        errors.push(format!("{place}: metadata.name: must be set"));
    }
    meta.namespace.get_or_insert_with(|| namespace.to_owned());
    if errors.is_empty() {
        Ok(decoded)
    } else {
        Err(errors)
    }
}

/// Fields that were written and came out nowhere.
fn lost(path: &str, written: &Value, kept: &Value, unknown: &mut Vec<String>) {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            for (key, value) in written.iter().filter(|(_, value)| !value.is_null()) {
                let path = format!("{path}.{key}");
                match kept.get(key) {
                    Some(kept) => lost(&path, value, kept, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(written), Value::Array(kept)) => {
            for (at, (written, kept)) in written.iter().zip(kept).enumerate() {
                lost(&format!("{path}[{at}]"), written, kept, unknown);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        Manifests::default().take("f.yaml", text, "ml")
    }

    const HEAD: &str = "apiVersion: lockstep.dev/v1alpha1\nkind: AccessBinding\nmetadata: {name: b}\n";

    #[test]
    fn what_is_misspelt_is_named_with_document_and_field() {
        let first = format!("{HEAD}spec: {{members: []}}\n---\n");
        let typo = format!(
            "{first}{HEAD}spec: {{members: [{{person: {{email: a@x, gerritAcount: a}}}}], mod: Enforce}}\n"
        );
        let mut told = errors(&typo);
        told.sort();
        assert_eq!(
            told,
            [
                "f.yaml, document 2: spec.members[0].person.gerritAcount: there is no such field",
                "f.yaml, document 2: spec.mod: there is no such field",
            ]
        );
        let wrong = format!("{first}{HEAD}spec: {{mode: Sometimes}}\n");
        let told = errors(&wrong).remove(0);
        assert!(
            told.starts_with("f.yaml, document 2: spec.mode: unknown variant `Sometimes`"),
            "{told}"
        );
        let broken = format!("{first}a: [\n");
        assert!(errors(&broken)[0].starts_with("f.yaml, document 2: "));
        assert_eq!(
            errors("apiVersion: lockstep.dev/v1\nkind: AccessBinding\n"),
            ["f.yaml, document 1: apiVersion lockstep.dev/v1 is unknown: write lockstep.dev/v1alpha1"]
        );
        assert_eq!(
            errors("a: 1"),
            ["f.yaml, document 1: apiVersion and kind must be set"]
        );
    }

    #[test]
    fn other_kinds_are_left_aside_and_namespaces_lend_their_labels() {
        let mut manifests = Manifests::default();
        let text = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: ml, labels: {{team: fraud}}}}\n---\n---\napiVersion: v1\nkind: Secret\n---\n{HEAD}spec: {{}}\n"
        );
        assert_eq!(manifests.take("-", &text, "ml"), Vec::<String>::new());
        assert_eq!(manifests.namespaces["ml"]["team"], "fraud");
        assert_eq!(manifests.skipped, ["Secret"]);
        assert_eq!(manifests.bindings[0].namespace().as_deref(), Some("ml"));
        assert_eq!(manifests.places[&("ml".into(), "b".into())], "stdin, document 4");
    }
}
