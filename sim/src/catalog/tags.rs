//! Tags of securables. The literal for models is UNCONFIRMED: `functions` is what the SDK's note on registered
//! models suggests [GO service/catalog/interface.go]; versions of models have tags through MLflow only.

use serde_json::{Value, json};

use super::kinds::{Kind, by_name};
use super::rights::{is_metastore_admin, owns, privileged, uses};
use super::{find, rights::visible};
use crate::call::{Call, page};
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::models::{Tag, Tags};
use crate::state::{Securable, State};

/// `entity_type` in requests, and the securable type it means [TF docs/resources/entity_tag_assignment.md].
const TYPES: &[(&str, &str)] = &[
    ("catalogs", "CATALOG"),
    ("schemas", "SCHEMA"),
    ("tables", "TABLE"),
    ("volumes", "VOLUME"),
    ("functions", "FUNCTION"),
];

const ASSIGNMENT: &[&str] = &[
    "entity_type",
    "entity_name",
    "tag_key",
    "tag_value",
    "source_type",
    "update_time",
    "updated_by",
];

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.1/unity-catalog/entity-tag-assignments", create).body(ASSIGNMENT),
    read(
        "GET",
        "/api/2.1/unity-catalog/entity-tag-assignments/{entity_type}/{entity_name}/tags",
        list,
    )
    .query(&["max_results", "page_token"]),
    read(
        "GET",
        "/api/2.1/unity-catalog/entity-tag-assignments/{entity_type}/{entity_name}/tags/{tag_key}",
        get,
    ),
    write(
        "PATCH",
        "/api/2.1/unity-catalog/entity-tag-assignments/{entity_type}/{entity_name}/tags/{tag_key}",
        update,
    )
    .query(&["update_mask"])
    .body(ASSIGNMENT),
    write(
        "DELETE",
        "/api/2.1/unity-catalog/entity-tag-assignments/{entity_type}/{entity_name}/tags/{tag_key}",
        delete,
    ),
];

/// What a tag may look like (docs.databricks.com/aws/en/database-objects/tags).
pub fn check(key: &str, value: &str) -> Result<(), ApiError> {
    if key.is_empty() || key.chars().count() > 255 || key.contains(['.', ',', '-', '=', '/', ':']) {
        return Err(ApiError::invalid(format!(
            "Tag key '{key}' must have 1 to 255 characters and none of . , - = / :"
        )));
    }
    if value.chars().count() > 1000 {
        return Err(ApiError::invalid(format!(
            "The value of tag '{key}' is longer than 1000 characters"
        )));
    }
    Ok(())
}

pub fn tag(call: &Call, state: &State, value: String) -> Tag {
    Tag {
        value,
        updated_by: crate::identity::name(state, call.caller),
        updated_at: call.now,
    }
}

/// Adds or changes a tag; an object has at most 50.
pub fn put(tags: &mut Tags, key: &str, tag: Tag) -> Result<(), ApiError> {
    check(key, &tag.value)?;
    if tags.len() >= 50 && !tags.contains_key(key) {
        return Err(ApiError::invalid("An object cannot have more than 50 tags"));
    }
    tags.insert(key.to_owned(), tag);
    Ok(())
}

fn named<'a>(
    state: &'a State,
    entity_type: &str,
    name: &str,
) -> Result<(&'static Kind, &'a Securable), ApiError> {
    let kind = TYPES
        .iter()
        .find(|(word, _)| *word == entity_type)
        .and_then(|(_, kind)| by_name(kind))
        .ok_or_else(|| ApiError::invalid(format!("'{entity_type}' is not a valid entity type")))?;
    Ok((kind, find(state, kind, name)?))
}

type Key = (&'static str, String);

/// The entity of the path, if the caller may tag it.
fn taggable(call: &Call, state: &State, entity_type: &str, name: &str) -> Result<Key, ApiError> {
    let (kind, securable) = named(state, entity_type, name)?;
    let caller = call.caller;
    let may = is_metastore_admin(state, caller)
        || ((owns(state, caller, securable)
            || privileged(state, caller, kind, securable, &["APPLY_TAG", "MANAGE"]))
            && (kind.parts < 2 || uses(state, caller, &securable.full_name)));
    if may {
        return Ok((kind.name, securable.full_name.to_lowercase()));
    }
    Err(ApiError::denied(format!(
        "User does not have APPLY TAG on {} '{}'.",
        kind.noun, securable.full_name
    )))
}

fn render(entity_type: &str, name: &str, key: &str, tag: &Tag) -> Value {
    json!({"entity_type": entity_type, "entity_name": name, "tag_key": key, "tag_value": tag.value,
           "updated_by": tag.updated_by, "update_time": crate::world::rfc3339(tag.updated_at)})
}

fn create(call: &Call, state: &mut State) -> Answer {
    let (entity_type, name) = (call.text("entity_type")?, call.text("entity_name")?);
    let key = call.text("tag_key")?;
    let at = taggable(call, state, &entity_type, &name)?;
    let value = call
        .body
        .get("tag_value")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let tag = tag(call, state, value.to_owned());
    let held = state.tags.entry(at).or_default();
    if held.contains_key(&key) {
        return Err(ApiError::new(
            409,
            "ALREADY_EXISTS",
            format!("Tag '{key}' is already assigned to {name}"),
        ));
    }
    put(held, &key, tag.clone())?;
    Ok(Reply::ok(render(&entity_type, &name, &key, &tag)))
}

fn readable(call: &Call, state: &State) -> Result<Key, ApiError> {
    let (kind, securable) = named(state, call.param("entity_type"), call.param("entity_name"))?;
    if !visible(call, state, kind, securable) {
        return Err(ApiError::denied(format!(
            "User does not have USE on {} '{}'.",
            kind.noun, securable.full_name
        )));
    }
    Ok((kind.name, securable.full_name.to_lowercase()))
}

fn missing(call: &Call) -> ApiError {
    ApiError::missing(format!(
        "Tag '{}' is not assigned to {}",
        call.param("tag_key"),
        call.param("entity_name")
    ))
}

fn shown(call: &Call, tag: &Tag) -> Answer {
    Ok(Reply::ok(render(
        call.param("entity_type"),
        call.param("entity_name"),
        call.param("tag_key"),
        tag,
    )))
}

fn get(call: &Call, state: &State) -> Answer {
    let at = readable(call, state)?;
    let held = state.tags.get(&at);
    shown(
        call,
        held.and_then(|held| held.get(call.param("tag_key")))
            .ok_or_else(|| missing(call))?,
    )
}

fn list(call: &Call, state: &State) -> Answer {
    let at = readable(call, state)?;
    let rows: Vec<Value> = state
        .tags
        .get(&at)
        .into_iter()
        .flatten()
        .map(|(key, tag)| render(call.param("entity_type"), call.param("entity_name"), key, tag))
        .collect();
    let (rows, next) = page(call, rows, call.query_number("max_results")?, 100, 1000)?;
    let mut body = json!({"tag_assignments": rows});
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

fn update(call: &Call, state: &mut State) -> Answer {
    let at = taggable(call, state, call.param("entity_type"), call.param("entity_name"))?;
    if call.query("update_mask") != Some("tag_value") {
        return Err(ApiError::invalid("update_mask must be tag_value"));
    }
    let value = call
        .body
        .get("tag_value")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let tag = tag(call, state, value.to_owned());
    let held = state.tags.entry(at).or_default();
    if !held.contains_key(call.param("tag_key")) {
        return Err(missing(call));
    }
    put(held, call.param("tag_key"), tag.clone())?;
    shown(call, &tag)
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let at = taggable(call, state, call.param("entity_type"), call.param("entity_name"))?;
    state
        .tags
        .entry(at)
        .or_default()
        .remove(call.param("tag_key"))
        .map(|_| Reply::empty())
        .ok_or_else(|| missing(call))
}
