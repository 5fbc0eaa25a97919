//! What a serving endpoint may be asked to serve.

use serde_json::{Map, Value, json};

use crate::call::{Call, only};
use crate::error::ApiError;
use crate::models::{rights, versions};
use crate::state::State;

const ENTITY: &[&str] = &[
    "burst_scaling_enabled",
    "entity_name",
    "entity_version",
    "environment_vars",
    "external_model",
    "instance_profile_arn",
    "max_provisioned_concurrency",
    "max_provisioned_throughput",
    "min_provisioned_concurrency",
    "min_provisioned_throughput",
    "name",
    "provisioned_model_units",
    "scale_to_zero_enabled",
    "workload_size",
    "workload_type",
];

/// The configuration as the endpoint will show it; nothing if it serves nothing.
pub fn checked(call: &Call, state: &State, wanted: &Map<String, Value>) -> Result<Option<Value>, ApiError> {
    let rows = |name: &str| {
        wanted
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut entities = Vec::new();
    for row in rows("served_entities") {
        let fields = row
            .as_object()
            .ok_or_else(|| ApiError::malformed("A served entity must be an object"))?;
        entities.push(entity(call, state, fields.clone())?);
    }
    for row in rows("served_models") {
        entities.push(entity(call, state, older(&row))?);
    }
    if entities.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = entities
        .iter()
        .filter_map(|entity| entity["name"].as_str().map(ToOwned::to_owned))
        .collect();
    if let Some(twice) = names
        .iter()
        .find(|name| names.iter().filter(|other| other == name).count() > 1)
    {
        return Err(ApiError::invalid(format!(
            "Duplicate served entity name '{twice}'"
        )));
    }
    let routes = routes(wanted.get("traffic_config"), &names)?;
    let mut config = json!({"served_entities": entities, "traffic_config": {"routes": routes}});
    if let Some(capture) = wanted.get("auto_capture_config") {
        config["auto_capture_config"] = capture.clone();
    }
    Ok(Some(config))
}

/// The older words for the same.
fn older(row: &Value) -> Map<String, Value> {
    let mut fields = row.as_object().cloned().unwrap_or_default();
    for (old, new) in [("model_name", "entity_name"), ("model_version", "entity_version")] {
        if let Some(value) = fields.remove(old) {
            fields.insert(new.to_owned(), value);
        }
    }
    fields
}

fn entity(call: &Call, state: &State, mut fields: Map<String, Value>) -> Result<Value, ApiError> {
    only(&fields, ENTITY)?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (name, version) = (text("entity_name").to_owned(), text("entity_version").to_owned());
    if name.contains('.') {
        // The maker of the endpoint must be able to run what it serves.
        let model = rights::allowed(call, state, &name, rights::Act::Read)?;
        let found = versions::find(state, &model.full_name, &version)?;
        if found.status != "READY" {
            return Err(ApiError::new(
                400,
                "INVALID_STATE",
                format!("Version {version} of {name} is {}", found.status),
            ));
        }
    } else if !fields.contains_key("external_model")
        && state
            .objects
            .named(call.workspace(), "registered-models", &name)
            .next()
            .is_none()
    {
        return Err(ApiError::missing(format!(
            "RegisteredModel '{name}' does not exist."
        )));
    }
    if text("name").is_empty() {
        // The dots of a full name are not allowed in it; how they are replaced is UNCONFIRMED.
        let short = format!("{}-{version}", name.replace('.', "_"));
        fields.insert("name".to_owned(), json!(short));
    }
    // Secrets are not echoed.
    if let Some(Value::Object(variables)) = fields.get_mut("environment_vars") {
        variables.retain(|_, value| !value.as_str().is_some_and(|text| text.contains("{{secrets/")));
    }
    let creator = crate::identity::name(state, call.caller);
    fields.insert("creator".to_owned(), json!(creator));
    fields.insert("creation_timestamp".to_owned(), json!(call.now));
    fields.insert(
        "state".to_owned(),
        json!({"deployment": "DEPLOYMENT_CREATING", "deployment_state_message": ""}),
    );
    Ok(Value::Object(fields))
}

/// Several entities need routes of their own that add up to 100.
fn routes(given: Option<&Value>, names: &[String]) -> Result<Vec<Value>, ApiError> {
    let rows: Vec<Value> = given
        .and_then(|given| given["routes"].as_array())
        .cloned()
        .unwrap_or_default();
    match (rows.is_empty(), names) {
        (true, [one]) => {
            return Ok(vec![json!({"served_model_name": one, "served_entity_name": one,
                                  "traffic_percentage": 100})]);
        }
        (true, _) => {
            return Err(ApiError::invalid(
                "traffic_config is required when more than one entity is served",
            ));
        }
        (false, _) => {}
    }
    let mut sum = 0;
    let mut shown = Vec::new();
    for row in &rows {
        let name = row["served_entity_name"]
            .as_str()
            .or(row["served_model_name"].as_str())
            .unwrap_or_default();
        if !names.iter().any(|known| known == name) {
            return Err(ApiError::invalid(format!(
                "The route to '{name}' leads to no served entity"
            )));
        }
        let share = row["traffic_percentage"].as_u64().unwrap_or(0);
        sum += share;
        shown.push(
            json!({"served_model_name": name, "served_entity_name": name, "traffic_percentage": share}),
        );
    }
    if sum != 100 {
        return Err(ApiError::invalid(format!(
            "The traffic percentages must add up to 100, but are {sum}"
        )));
    }
    Ok(shown)
}

/// What became of every entity of a configuration.
pub fn set_state(config: &mut Value, deployment: &str, message: &str) {
    for entity in config["served_entities"].as_array_mut().into_iter().flatten() {
        entity["state"] = json!({"deployment": deployment, "deployment_state_message": message});
    }
}
