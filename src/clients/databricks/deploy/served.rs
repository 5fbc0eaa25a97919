//! What a serving endpoint serves, as a value: the part of a configuration that can be sent back, what of it tells two
//! apart, and the configuration that gives one entity its new version.

use std::collections::BTreeMap;

use lockstep_core::domain::promotion::machine::state::{Failure, FailureKind};
use lockstep_core::domain::promotion::ports::deployments::EndpointStep;
use serde_json::{Map, Value, json};

/// Fields of a served entity that an update takes (databricks-sdk-go, service/serving/model.go
/// `ServedEntityInput`); the others are the system's own words about it.
const INPUT: &[&str] = &[
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
/// How a new entity is sized where no other says it.
const SIZE: [&str; 3] = ["workload_size", "workload_type", "scale_to_zero_enabled"];

fn rows<'a>(config: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    config
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn target(route: &Value) -> &str {
    match text(route, "served_entity_name") {
        "" => text(route, "served_model_name"),
        name => name,
    }
}

/// A configuration as it can be sent back; `None`: it serves nothing.
pub(super) fn input(config: Option<&Value>) -> Option<Value> {
    let config = config?;
    let entities: Vec<Value> = rows(config, "/served_entities")
        .filter_map(Value::as_object)
        .map(|entity| {
            let kept = entity
                .iter()
                .filter(|(name, value)| INPUT.contains(&name.as_str()) && !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
        })
        .collect();
    if entities.is_empty() {
        return None;
    }
    let routes: Vec<Value> = rows(config, "/traffic_config/routes")
        .map(|route| {
            json!({"served_entity_name": target(route), "traffic_percentage": route["traffic_percentage"]})
        })
        .collect();
    let mut input = json!({"served_entities": entities});
    if !routes.is_empty() {
        input["traffic_config"] = json!({"routes": routes});
    }
    if let Some(capture) = config.get("auto_capture_config").and_then(Value::as_object) {
        let asked = ["catalog_name", "schema_name", "table_name_prefix", "enabled"];
        let kept: Map<String, Value> = asked
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), capture.get(name)?.clone())))
            .collect();
        input["auto_capture_config"] = Value::Object(kept);
    }
    Some(input)
}

/// What tells two configurations apart: which version answers under which name, and how often. The system fills in
/// the rest as it likes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Essence {
    entities: BTreeMap<String, (String, String)>,
    shares: BTreeMap<String, u64>,
}

pub(super) fn essence(config: Option<&Value>) -> Essence {
    let Some(config) = config else {
        return Essence::default();
    };
    let entities: BTreeMap<String, (String, String)> = rows(config, "/served_entities")
        .map(|entity| {
            let what = (text(entity, "entity_name"), text(entity, "entity_version"));
            (
                text(entity, "name").to_owned(),
                (what.0.to_owned(), what.1.to_owned()),
            )
        })
        .collect();
    let mut shares: BTreeMap<String, u64> = rows(config, "/traffic_config/routes")
        .map(|route| {
            let share = route["traffic_percentage"].as_u64().unwrap_or(0);
            (target(route).to_owned(), share)
        })
        .filter(|(_, share)| *share > 0)
        .collect();
    // One alone needs no route, and gets all.
    if let (Some(name), 1, true) = (entities.keys().next(), entities.len(), shares.is_empty()) {
        shares.insert(name.clone(), 100);
    }
    Essence { entities, shares }
}

impl std::fmt::Display for Essence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.entities.is_empty() {
            return f.write_str("nothing");
        }
        for (at, (name, (entity, version))) in self.entities.iter().enumerate() {
            let share = self.shares.get(name).copied().unwrap_or(0);
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{entity} version {version} as {name} ({share} %)")?;
        }
        Ok(())
    }
}

/// The configuration that the step wants, made from the saved one.
pub(super) fn wanted(step: &EndpointStep, saved: Option<&Value>) -> Result<Value, Failure> {
    if let Some(config) = &step.config {
        return Ok(config.clone());
    }
    let mut entities: Vec<Value> = saved
        .into_iter()
        .flat_map(|saved| rows(saved, "/served_entities").cloned())
        .collect();
    let version = step.version.to_string();
    match entities
        .iter_mut()
        .find(|entity| text(entity, "name") == step.served_entity)
    {
        Some(entity) => {
            entity["entity_name"] = json!(step.entity);
            entity["entity_version"] = json!(version);
        }
        None => {
            let mut entity = json!({"name": step.served_entity, "entity_name": step.entity, "entity_version": version,
                                    "workload_size": "Small", "scale_to_zero_enabled": true});
            for name in SIZE {
                if let Some(value) = entities.first().and_then(|first| first.get(name)) {
                    entity[name] = value.clone();
                }
            }
            entities.push(entity);
        }
    }
    let before = essence(saved).shares;
    let others: Vec<(&str, u64)> = entities
        .iter()
        .map(|entity| text(entity, "name"))
        .filter(|name| *name != step.served_entity)
        .map(|name| (name, before.get(name).copied().unwrap_or(0)))
        .collect();
    let share = u64::from(step.traffic.min(100));
    if others.is_empty() && share != 100 {
        let message = format!(
            "endpoint {} serves nothing but {}: trafficPercentage must be 100, not {share}",
            step.name, step.served_entity
        );
        return Err(Failure::new(FailureKind::Refused, message));
    }
    let mut routes = vec![json!({"served_entity_name": step.served_entity, "traffic_percentage": share})];
    for (name, share) in shared(&others, 100 - share) {
        routes.push(json!({"served_entity_name": name, "traffic_percentage": share}));
    }
    let mut wanted = json!({"served_entities": entities, "traffic_config": {"routes": routes}});
    if let Some(capture) = saved.and_then(|saved| saved.get("auto_capture_config")) {
        wanted["auto_capture_config"] = capture.clone();
    }
    Ok(wanted)
}

/// What is left, in the proportions of before; the first takes what does not divide.
fn shared<'a>(others: &[(&'a str, u64)], left: u64) -> Vec<(&'a str, u64)> {
    let sum: u64 = others.iter().map(|(_, share)| share).sum();
    let mut shares: Vec<(&str, u64)> = others
        .iter()
        .map(|(name, share)| (*name, (share * left).checked_div(sum).unwrap_or(0)))
        .collect();
    let given: u64 = shares.iter().map(|(_, share)| share).sum();
    if let Some(first) = shares.first_mut() {
        first.1 += left - given;
    }
    shares
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn step(served: &str, traffic: u8) -> EndpointStep {
        EndpointStep {
            name: "scorer".into(),
            served_entity: served.into(),
            entity: "ml.fraud.scorer".into(),
            version: 8,
            traffic,
            config: None,
        }
    }

    fn shown() -> Value {
        json!({"config_version": 3, "served_entities": [
            {"name": "a", "entity_name": "ml.fraud.scorer", "entity_version": "7", "workload_size": "Large",
             "creator": "ada", "state": {"deployment": "DEPLOYMENT_READY"}},
            {"name": "b", "entity_name": "ml.fraud.other", "entity_version": "1"},
        ], "traffic_config": {"routes": [
            {"served_model_name": "a", "served_entity_name": "a", "traffic_percentage": 70},
            {"served_model_name": "b", "traffic_percentage": 30},
        ]}})
    }

    #[test]
    fn what_is_sent_back_is_what_was_said_without_the_systems_own_words() {
        let input = input(Some(&shown())).unwrap();
        assert_eq!(input["served_entities"][0].get("state"), None);
        assert_eq!(input["served_entities"][0]["workload_size"], "Large");
        assert_eq!(essence(Some(&input)), essence(Some(&shown())));
        assert_eq!(super::input(Some(&json!({}))), None);
    }

    #[test]
    fn one_entity_gets_its_version_and_the_others_keep_their_proportions() {
        let saved = input(Some(&shown()));
        let config = wanted(&step("a", 70), saved.as_ref()).unwrap();
        assert_eq!(
            essence(Some(&config)).to_string(),
            "ml.fraud.scorer version 8 as a (70 %), ml.fraud.other version 1 as b (30 %)"
        );
        assert_eq!(config["served_entities"][0]["workload_size"], "Large");
        let canary = wanted(&step("c", 5), saved.as_ref()).unwrap();
        assert_eq!(
            essence(Some(&canary)).shares,
            [("a".into(), 67), ("b".into(), 28), ("c".into(), 5)].into()
        );
        assert_eq!(canary["served_entities"][2]["workload_size"], "Large");
        let first = wanted(&step("c", 100), None).unwrap();
        assert_eq!(
            essence(Some(&first)).to_string(),
            "ml.fraud.scorer version 8 as c (100 %)"
        );
        assert!(wanted(&step("c", 50), None).is_err());
    }
}
