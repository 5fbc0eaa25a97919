//! Asking an endpoint. The prediction is who made it: that is what a rollout changes.

use serde_json::{Value, json};

use super::at_least;
use crate::call::Call;
use crate::error::ApiError;
use crate::route::{Answer, Reply};
use crate::state::State;

/// As many predictions as there are inputs.
fn inputs(body: &Value) -> usize {
    ["dataframe_records", "instances", "inputs", "input"]
        .iter()
        .find_map(|name| body.get(*name)?.as_array())
        .or_else(|| body.get("dataframe_split")?["data"].as_array())
        .map_or(1, Vec::len)
}

pub fn answer(call: &Call, state: &State) -> Answer {
    let object = at_least(call, state, "CAN_QUERY")?;
    let config = object.body.get("config").cloned().unwrap_or_default();
    // Spread over the routes by the clock; the shares hold over time.
    let mut at = u64::try_from(call.now.rem_euclid(100)).unwrap_or(0);
    let route = config["traffic_config"]["routes"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|route| {
            let share = route["traffic_percentage"].as_u64().unwrap_or(0);
            let hit = at < share;
            at = at.saturating_sub(share);
            hit
        });
    let Some(name) = route.and_then(|route| route["served_entity_name"].as_str()) else {
        return Err(ApiError::new(
            400,
            "INVALID_STATE",
            format!("Endpoint '{}' is not ready.", object.name),
        ));
    };
    let entity = config["served_entities"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entity| entity["name"] == name)
        .cloned()
        .unwrap_or_default();
    let one = json!({"model": entity["entity_name"], "version": entity["entity_version"]});
    let predictions = vec![one; inputs(&call.body)];
    Ok(Reply::ok(json!({"predictions": predictions})).header("served-model-name", name))
}
