//! Answers that go on: objects whose arrays are cut at a hundred rows, and listings.

use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use serde_json::Value;

use super::super::plane::Plane;
use crate::clients::http::Call;

/// More pages than anything here fills: an answer that never ends must not hold us for ever.
const MOST_PAGES: usize = 2_000;

fn next(page: &Value) -> Option<String> {
    let token = page.get("next_page_token").and_then(Value::as_str)?;
    (!token.is_empty()).then(|| token.to_owned())
}

fn endless(plane: &Plane, first: &Call) -> SystemError {
    let message = format!("{} comes in pages without end", first.label());
    plane.error(SystemErrorKind::BadAnswer, message)
}

/// A whole object, its cut arrays put together; `below`: the field that holds them. `None`: it does not exist.
pub(super) async fn whole(
    plane: &Plane,
    first: &Call,
    below: Option<&str>,
) -> Result<Option<Value>, SystemError> {
    let Some(mut object) = plane.find::<Value>(first.clone()).await? else {
        return Ok(None);
    };
    let mut token = next(&object);
    for _ in 0..MOST_PAGES {
        let Some(at) = token else {
            return Ok(Some(object));
        };
        let Some(mut page) = plane.find::<Value>(first.clone().query("page_token", at)).await? else {
            return Ok(None);
        };
        token = next(&page);
        let (into, from) = match below {
            Some(below) => (object.get_mut(below), page.get_mut(below).map(Value::take)),
            None => (Some(&mut object), Some(page)),
        };
        append(into, from);
    }
    Err(endless(plane, first))
}

fn append(into: Option<&mut Value>, from: Option<Value>) {
    let (Some(Value::Object(into)), Some(Value::Object(from))) = (into, from) else {
        return;
    };
    for (name, value) in from {
        if let Value::Array(mut rows) = value {
            match into.get_mut(&name) {
                Some(Value::Array(before)) => before.append(&mut rows),
                _ => {
                    into.insert(name, Value::Array(rows));
                }
            }
        }
    }
}

/// All rows of a listing; a page may be empty and still not be the last. `enough` ends it early.
pub async fn rows(
    plane: &Plane,
    first: &Call,
    items: &str,
    mut enough: impl FnMut(&[Value]) -> bool,
) -> Result<Vec<Value>, SystemError> {
    let (mut all, mut call) = (Vec::new(), first.clone());
    for _ in 0..MOST_PAGES {
        let mut page: Value = plane.read(call).await?;
        let token = next(&page);
        if let Some(Value::Array(rows)) = page.get_mut(items) {
            all.append(rows);
        }
        match token {
            Some(token) if !enough(&all) => call = first.clone().query("page_token", token),
            _ => return Ok(all),
        }
    }
    Err(endless(plane, first))
}

/// All rows of a listing, each turned into what is wanted of it before the next page is asked for.
pub async fn each<T>(
    plane: &Plane,
    first: &Call,
    items: &str,
    read: impl Fn(&Value) -> T + Send,
) -> Result<Vec<T>, SystemError> {
    let (mut all, mut call) = (Vec::new(), first.clone());
    for _ in 0..MOST_PAGES {
        let page: Value = plane.read(call).await?;
        let rows = page.get(items).and_then(Value::as_array);
        all.extend(rows.into_iter().flatten().map(&read));
        match next(&page) {
            Some(token) => call = first.clone().query("page_token", token),
            None => return Ok(all),
        }
    }
    Err(endless(plane, first))
}

/// Ids are numbers or strings; numbers are longer than a double holds exactly, so they are never read as one.
pub fn id(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
