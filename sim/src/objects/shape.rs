//! Objects that only need to exist, to be found by name and to be granted on. They differ in where their id and
//! name stand and in how they are asked for: one row each.

use serde_json::{Map, Value, json};

use super::named::by_kind;
use crate::call::{Call, page};
use crate::error::ApiError;
use crate::permissions::kinds;
use crate::route::{Answer, Reply};
use crate::state::{Object, State};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Get,
    List,
    Delete,
}

impl Operation {
    pub fn is_write(self) -> bool {
        matches!(self, Self::Create | Self::Delete)
    }
}

/// What an id is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdForm {
    /// A number in JSON.
    Number,
    /// Digits in a string.
    Digits,
    Uuid,
    Hex,
    /// The name is the id.
    Name,
}

#[derive(Debug)]
pub struct Shape {
    /// `{type}` of the permissions API.
    pub kind: &'static str,
    pub id_form: IdForm,
    pub id_field: &'static str,
    pub name_field: &'static str,
    /// Where the list stands in the answer to a listing.
    pub list_key: &'static str,
    /// Parameter of get and delete, in the path, the query or the body.
    pub key: &'static str,
    /// Whether that parameter is the name rather than the id.
    pub by_name: bool,
    /// Field that wraps the object in the body of a create.
    pub wrapper: Option<&'static str>,
    /// Whether two may bear the same name.
    pub unique: bool,
    /// Whether a create answers with the whole object or its id only.
    pub whole: bool,
    /// Fields every such object has, as JSON.
    pub defaults: &'static str,
}

fn noun(shape: &Shape) -> &'static str {
    kinds::by_path(shape.kind).map_or("Object", |kind| kind.noun)
}

pub fn read(call: &Call, state: &State, operation: Operation, shape: &'static Shape) -> Answer {
    if operation == Operation::Get {
        return find(call, state, shape).map(|object| Reply::ok(Value::Object(object.body.clone())));
    }
    let workspace = call.workspace();
    let wanted = call.query(shape.name_field);
    let all: Vec<Value> = state
        .objects
        .of_kind(workspace, shape.kind)
        .filter(|object| wanted.is_none_or(|name| object.name == name))
        .map(|object| Value::Object(object.body.clone()))
        .collect();
    let size = call
        .query_number("page_size")?
        .or(call.query_number("max_results")?);
    if shape.kind == "dbsql-dashboards" {
        return counted(call, all, size, shape);
    }
    let (rows, next) = page(call, all, size, 100, 1000)?;
    let mut body = json!({shape.list_key: rows});
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

/// The oldest listing counts pages and hands out no tokens [GO service/sql/impl.go, DashboardsAPI.List].
fn counted(call: &Call, mut all: Vec<Value>, size: Option<usize>, shape: &Shape) -> Answer {
    if let Some(words) = call.query("q").map(str::to_lowercase) {
        let name = |row: &Value| row[shape.name_field].as_str().unwrap_or_default().to_lowercase();
        all.retain(|row| name(row).contains(&words));
    }
    let size = size.filter(|size| *size > 0).unwrap_or(25).min(250);
    let page = call.query_number("page")?.unwrap_or(1).max(1);
    let count = all.len();
    let rows: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
    Ok(Reply::ok(
        json!({shape.list_key: rows, "count": count, "page": page, "page_size": size}),
    ))
}

fn find<'a>(call: &Call, state: &'a State, shape: &'static Shape) -> Result<&'a Object, ApiError> {
    let key = match call.param(shape.key) {
        "" => call.text(shape.key)?,
        key => key.to_owned(),
    };
    let workspace = call.workspace();
    let found = if shape.by_name {
        state.objects.named(workspace, shape.kind, &key).next()
    } else {
        state.objects.get(workspace, shape.kind, &key)
    };
    found.ok_or_else(|| {
        let message = format!("{} {key} does not exist", noun(shape));
        // [GO apierr/error_overrides.go]: clusters/get disguises not-found as a bad request.
        if shape.kind == "clusters" {
            ApiError::invalid(message)
        } else {
            ApiError::missing(message)
        }
    })
}

pub fn write(call: &Call, state: &mut State, operation: Operation, shape: &'static Shape) -> Answer {
    if operation == Operation::Delete {
        return delete(call, state, shape);
    }
    let mut body = match shape.wrapper {
        None => call.object()?.clone(),
        Some(wrapper) => call
            .object()?
            .get(wrapper)
            .and_then(Value::as_object)
            .ok_or_else(|| ApiError::invalid(format!("Missing required field: {wrapper}")))?
            .clone(),
    };
    let name = body
        .remove(shape.name_field)
        .and_then(|name| name.as_str().map(ToOwned::to_owned))
        .filter(|name| !name.is_empty())
        .ok_or_else(|| ApiError::invalid(format!("Missing required field: {}", shape.name_field)))?;
    if shape.unique
        && state
            .objects
            .named(call.workspace(), shape.kind, &name)
            .next()
            .is_some()
    {
        return Err(ApiError::exists(format!(
            "{} with name {name} already exists",
            noun(shape)
        )));
    }
    let id = create(
        state,
        call.workspace(),
        shape,
        &name,
        None,
        &body,
        call.caller,
        call.now,
    );
    let object = state.objects.get(call.workspace(), shape.kind, &id);
    let body = object.map(|object| object.body.clone()).unwrap_or_default();
    if shape.whole {
        return Ok(Reply::ok(Value::Object(body)));
    }
    Ok(Reply::ok(json!({shape.id_field: body.get(shape.id_field)})))
}

/// Makes an object with its defaults, its creator's row, and the fields of `body`.
#[allow(clippy::too_many_arguments)] // What is known about a new object is a flat list; a struct would be built to be taken apart.
pub fn create(
    state: &mut State,
    workspace: u64,
    shape: &Shape,
    name: &str,
    id: Option<&str>,
    body: &Map<String, Value>,
    creator: u64,
    now: i64,
) -> String {
    let id = id.map_or_else(|| new_id(state, shape, name), ToOwned::to_owned);
    let creator_name = crate::identity::name(state, creator);
    let defaults = shape
        .defaults
        .replace("$CREATOR", &creator_name)
        .replace("\"$NOW\"", &now.to_string());
    let mut fields: Map<String, Value> = serde_json::from_str(&defaults).unwrap_or_default();
    fields.extend(body.clone());
    fields.insert(shape.name_field.to_owned(), json!(name));
    let id_value = match shape.id_form {
        IdForm::Number => id
            .parse::<u64>()
            .map_or_else(|_| json!(id), |number| json!(number)),
        _ => json!(id),
    };
    fields.insert(shape.id_field.to_owned(), id_value);
    let acl = kinds::by_path(shape.kind)
        .and_then(kinds::Kind::creator_level)
        .filter(|_| creator != 0)
        .map(|level| (creator, level.to_owned()))
        .into_iter()
        .collect();
    let object = Object {
        id: id.clone(),
        name: name.to_owned(),
        body: fields,
        creator,
        acl,
    };
    state.objects.insert(workspace, shape.kind, object);
    id
}

fn new_id(state: &mut State, shape: &Shape, name: &str) -> String {
    match shape.id_form {
        IdForm::Number | IdForm::Digits => state.new_id().to_string(),
        IdForm::Uuid => state.new_uuid(),
        IdForm::Hex => state.new_uuid().replace('-', ""),
        IdForm::Name => name.to_owned(),
    }
}

fn delete(call: &Call, state: &mut State, shape: &'static Shape) -> Answer {
    let object = find(call, state, shape)?;
    let id = object.id.clone();
    may_manage(call, state, shape.kind, object)?;
    state.objects.remove(call.workspace(), shape.kind, &id);
    Ok(Reply::empty())
}

pub fn may_manage(call: &Call, state: &State, kind: &'static str, object: &Object) -> Result<(), ApiError> {
    let Some(row) = kinds::by_path(kind) else {
        return Ok(());
    };
    let admin = state.directory.is_workspace_admin(call.workspace(), call.caller);
    if admin || crate::permissions::acl::can_manage(state, call.workspace(), row, object, call.caller) {
        return Ok(());
    }
    let name = crate::identity::name(state, call.caller);
    Err(ApiError::denied(format!(
        "{name} does not have Manage permissions on {} {}.",
        row.noun.to_lowercase(),
        object.id
    )))
}

/// The row of a kind, for seeding.
pub fn of(kind: &str) -> Option<&'static Shape> {
    by_kind(kind)
}
