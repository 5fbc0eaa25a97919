//! What the API server would say to an object, without storing it: schema, CEL rules and admission, as they are in
//! force there.

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use kube::{Api, Client};
use serde_json::Value;

/// Who an applied file comes from, unless it says otherwise.
const MANAGER: &str = "lockstep-plan";

/// Asks with a dry run. `Ok(None)`: it would be stored; `Ok(Some(why))`: it could not be asked; `Err`: it would be
/// refused, one sentence with the field each.
pub async fn rehearse(client: &Client, object: &Value) -> Result<Option<String>, Vec<String>> {
    let Ok(mut applied) = serde_json::from_value::<DynamicObject>(object.clone()) else {
        return Ok(Some("it has no metadata".into()));
    };
    let Some(TypeMeta { api_version, kind }) = applied.types.clone() else {
        return Ok(Some("it has no kind".into()));
    };
    let Some((group, version)) = api_version.split_once('/') else {
        return Ok(Some("it has no group".into()));
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    let namespace = applied
        .metadata
        .namespace
        .clone()
        .unwrap_or_else(|| client.default_namespace().to_owned());
    let Some(name) = applied.metadata.name.clone() else {
        return Ok(Some("it has no name".into()));
    };
    applied.metadata.managed_fields = None;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
    let params = PatchParams::apply(MANAGER).force().dry_run().validation_strict();
    match api.patch(&name, &params, &Patch::Apply(&applied)).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            let mut told: Vec<String> = causes
                // What it did not look at is no fault of the object's.
                .filter(|cause| !cause.message.contains("some validation rules were not checked"))
                .map(|cause| format!("{}: {}", cause.field, cause.message))
                .collect();
            if told.is_empty() {
                told.push(status.message.clone());
            }
            Err(told)
        }
        Err(kube::Error::Api(status)) => Ok(Some(status.message.clone())),
        Err(error) => Ok(Some(error.to_string())),
    }
}
