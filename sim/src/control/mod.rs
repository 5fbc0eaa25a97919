//! `/_sim/`: how a test looks into the world, fills it, breaks it, and stops it at a chosen moment. Never limited,
//! never faulted, never journaled.

pub mod faults;
pub mod journal;
pub mod more;
pub mod scripts;
pub mod seed;
pub mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::dispatch::Incoming;
use crate::error::{ApiError, Dialect};
use crate::response::Outgoing;
use crate::world::{Gate, World, lock};

pub async fn answer(world: &Arc<World>, incoming: &Incoming) -> Outgoing {
    match control(world, incoming).await {
        Ok(value) => Outgoing::json(200, &value),
        Err(error) => Outgoing::json(error.status, &error.body(Dialect::Standard)),
    }
}

fn body<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, ApiError> {
    serde_json::from_slice(&incoming.body).map_err(|error| ApiError::malformed(error.to_string()))
}

async fn control(world: &Arc<World>, incoming: &Incoming) -> Result<Value, ApiError> {
    let path = incoming.uri.path();
    world.tick();
    match (incoming.method.as_str(), path) {
        ("GET", "/_sim/health") => Ok(json!({"status": "ok"})),
        ("POST", "/_sim/reset") => {
            world.reset();
            Ok(json!({}))
        }
        ("POST", "/_sim/seed") => world.seed(&body(incoming)?),
        ("GET", "/_sim/snapshot") if incoming.uri.query() == Some("stable=true") => {
            Ok(snapshot::stable(&world.state()))
        }
        ("GET", "/_sim/snapshot") => Ok(snapshot::render(&world.state())),
        ("GET", "/_sim/journal") => read_journal(world, incoming).await,
        ("POST", "/_sim/journal/clear") => {
            lock(&world.journal).clear();
            Ok(json!({}))
        }
        ("GET", "/_sim/counts") => Ok(lock(&world.journal).counts()),
        ("GET", "/_sim/faults") => Ok(json!({"faults": lock(&world.faults).rules})),
        ("POST", "/_sim/faults") => add_faults(world, incoming),
        ("DELETE", "/_sim/faults") => {
            lock(&world.faults).rules.clear();
            Ok(json!({}))
        }
        ("GET", "/_sim/scripts") => Ok(scripts::all(&world.state())),
        ("POST", "/_sim/scripts") => scripts::add(&mut world.state_mut(), body(incoming)?),
        ("DELETE", "/_sim/scripts") => {
            world.state_mut().runs.scripts.clear();
            Ok(json!({}))
        }
        ("POST", "/_sim/scripts/release") => {
            let now = world.now();
            scripts::release(&mut world.state_mut(), &body(incoming)?, now)
        }
        ("GET", "/_sim/settings") => settings(world),
        ("POST", "/_sim/settings") => change_settings(world, incoming),
        ("POST", "/_sim/release") => {
            world.gate.send_replace(Gate::Open);
            Ok(json!({}))
        }
        ("GET", "/_sim/halt") => Ok(halt(world)),
        ("GET", "/_sim/routes") => Ok(routes(world)),
        (method, _) => Err(ApiError::new(
            404,
            "ENDPOINT_NOT_FOUND",
            format!("No control endpoint {method} {path}"),
        )),
    }
}

fn halt(world: &World) -> Value {
    match *world.gate.borrow() {
        Gate::Open => json!({"halted": false}),
        Gate::Counting(left) => json!({"halted": false, "writesLeft": left}),
        Gate::Shut => json!({"halted": true}),
    }
}

fn routes(world: &World) -> Value {
    let mut rows: Vec<Value> = world
        .table
        .routes()
        .map(|route| {
            json!({"method": route.method, "route": route.template, "write": route.is_write(),
                   "plane": format!("{:?}", route.plane).to_lowercase(), "limit": route.family.map(crate::limits::Family::name)})
        })
        .collect();
    rows.sort_by_key(ToString::to_string);
    json!({"routes": rows})
}

/// One rule, a list of rules, or `{"faults": [...]}`: all are added behind those that are there.
fn add_faults(world: &World, incoming: &Incoming) -> Result<Value, ApiError> {
    let value: Value = body(incoming)?;
    let rows = match value {
        Value::Array(rows) => rows,
        Value::Object(mut fields) if fields.contains_key("faults") => match fields.remove("faults") {
            Some(Value::Array(rows)) => rows,
            _ => return Err(ApiError::malformed("faults must be a list")),
        },
        one => vec![one],
    };
    let rules = rows
        .into_iter()
        .map(serde_json::from_value)
        .collect::<Result<Vec<faults::Fault>, _>>()
        .map_err(|error| ApiError::malformed(error.to_string()))?;
    let mut faults = lock(&world.faults);
    faults.rules.extend(rules);
    Ok(json!({"faults": faults.rules}))
}

fn settings(world: &World) -> Result<Value, ApiError> {
    serde_json::to_value(world.settings()).map_err(|error| ApiError::malformed(error.to_string()))
}

/// Only what is named changes.
fn change_settings(world: &World, incoming: &Incoming) -> Result<Value, ApiError> {
    let changes: serde_json::Map<String, Value> = body(incoming)?;
    let mut merged = settings(world)?;
    if let Some(fields) = merged.as_object_mut() {
        // The countdown is an order, not a state: a change of something else must not start it again.
        if !changes.contains_key("haltAfterWrite") {
            fields.insert("haltAfterWrite".into(), Value::Null);
        }
        fields.extend(changes.clone());
    }
    let gate = *world.gate.borrow();
    world.change_settings(
        serde_json::from_value(merged).map_err(|error| ApiError::malformed(error.to_string()))?,
    );
    if !changes.contains_key("haltAfterWrite") {
        world.gate.send_replace(gate);
    }
    settings(world)
}

/// `?since=N&writes=true&limit=N&wait=SECONDS`: with `wait`, answers as soon as a matching newer entry exists.
async fn read_journal(world: &Arc<World>, incoming: &Incoming) -> Result<Value, ApiError> {
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(incoming.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let number = |name: &str| -> Result<Option<u64>, ApiError> {
        match query.iter().find(|(key, _)| key == name) {
            None => Ok(None),
            Some((_, text)) => text
                .parse()
                .map(Some)
                .map_err(|_| ApiError::invalid(format!("{name} must be a whole number"))),
        }
    };
    let since = number("since")?.unwrap_or(0);
    let limit = usize::try_from(number("limit")?.unwrap_or(100_000)).unwrap_or(usize::MAX);
    let writes = query
        .iter()
        .any(|(key, value)| key == "writes" && value == "true");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(number("wait")?.unwrap_or(0).min(600));
    let mut journaled = world.journaled.subscribe();
    loop {
        journaled.borrow_and_update();
        let (entries, last) = {
            let journal = lock(&world.journal);
            (json!(journal.since(since, writes, limit)), journal.last())
        };
        let found = entries.as_array().is_some_and(|rows| !rows.is_empty());
        if found
            || tokio::time::timeout_at(deadline, journaled.changed())
                .await
                .is_err()
        {
            return Ok(json!({"entries": entries, "last": last}));
        }
    }
}
