//! Unity Catalog: securables sufficient to exist, to be found and to be granted on; grants; the metastore. One
//! metastore serves all workspaces of the account.

pub mod grants;
pub mod kinds;
pub mod rights;
pub mod tags;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::call::{Call, page};
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::{Securable, State};
use kinds::{Kind, by_name};
pub use rights::metastore_owner;
use rights::{may_create, may_manage, visible};

/// Fields the server alone sets: what a client sends there is overlooked, so that a creator cannot be forged.
const SERVER_SET: &[&str] = &[
    "aliases",
    "browse_only",
    "created_at",
    "created_by",
    "full_name",
    "metastore_id",
    "owner",
    "updated_at",
    "updated_by",
];

/// What sets models apart from functions, which share a type and a namespace.
pub const MODEL: &str = "FUNCTION_REGISTERED_MODEL";

/// Collection in the path, type, key of listings, whether it holds models.
const COLLECTIONS: &[(&str, &str, &str, bool)] = &[
    ("catalogs", "CATALOG", "catalogs", false),
    ("schemas", "SCHEMA", "schemas", false),
    ("tables", "TABLE", "tables", false),
    ("volumes", "VOLUME", "volumes", false),
    ("functions", "FUNCTION", "functions", false),
    ("models", "FUNCTION", "registered_models", true),
    (
        "external-locations",
        "EXTERNAL_LOCATION",
        "external_locations",
        false,
    ),
    (
        "storage-credentials",
        "STORAGE_CREDENTIAL",
        "storage_credentials",
        false,
    ),
    ("credentials", "CREDENTIAL", "credentials", false),
    ("connections", "CONNECTION", "connections", false),
    ("shares", "SHARE", "shares", false),
    ("recipients", "RECIPIENT", "recipients", false),
    ("providers", "PROVIDER", "providers", false),
];

const LIST_QUERY: &[&str] = &[
    "catalog_name",
    "schema_name",
    "max_results",
    "page_token",
    "include_browse",
    "include_unbound",
    "purpose",
    "omit_columns",
    "omit_properties",
    "omit_username",
    "include_manifest_capabilities",
    "data_provider_global_metastore_id",
    "data_recipient_global_metastore_id",
    "parent",
];

pub const ROUTES: &[Route] = &[
    read("GET", "/api/2.1/unity-catalog/metastore_summary", summary),
    read(
        "GET",
        "/api/2.1/unity-catalog/current-metastore-assignment",
        assignment,
    ),
    read("GET", "/api/2.1/unity-catalog/metastores", metastores).query(&["max_results", "page_token"]),
    read("GET", "/api/2.1/unity-catalog/{collection}", list).query(LIST_QUERY),
    read("GET", "/api/2.1/unity-catalog/{collection}/{full_name}", get).query(&[
        "include_browse",
        "include_aliases",
        "include_delta_metadata",
        "include_manifest_capabilities",
        "include_shared_data",
    ]),
    write("POST", "/api/2.1/unity-catalog/{collection}", create),
    write("PATCH", "/api/2.1/unity-catalog/{collection}/{full_name}", update),
    write(
        "DELETE",
        "/api/2.1/unity-catalog/{collection}/{full_name}",
        delete,
    )
    .query(&["force"]),
];

type Collection = (&'static Kind, &'static str, bool);

fn collection(call: &Call) -> Result<Collection, ApiError> {
    let name = call.param("collection");
    COLLECTIONS
        .iter()
        .find(|(path, ..)| *path == name)
        .and_then(|(_, kind, key, models)| Some((by_name(kind)?, *key, *models)))
        .ok_or_else(|| {
            ApiError::new(
                404,
                "ENDPOINT_NOT_FOUND",
                format!("No API found for unity-catalog/{name}"),
            )
        })
}

pub fn is_model(securable: &Securable) -> bool {
    securable.body.get("securable_kind").and_then(Value::as_str) == Some(MODEL)
}

pub fn find<'a>(state: &'a State, kind: &Kind, full_name: &str) -> Result<&'a Securable, ApiError> {
    state
        .securables
        .get(&(kind.name, full_name.to_lowercase()))
        .map(Arc::as_ref)
        .ok_or_else(|| {
            let code = match kind.name {
                "CATALOG" => "CATALOG_DOES_NOT_EXIST",
                "SCHEMA" => "SCHEMA_DOES_NOT_EXIST",
                "TABLE" => "TABLE_DOES_NOT_EXIST",
                _ => "RESOURCE_DOES_NOT_EXIST",
            };
            ApiError::new(404, code, format!("{} '{full_name}' does not exist.", kind.noun))
        })
}

/// What a securable inherits from, nearest first: schema, catalog.
pub fn parents<'a>(state: &'a State, kind: &Kind, full_name: &str) -> Vec<(&'static Kind, &'a Securable)> {
    let parts: Vec<&str> = full_name.split('.').collect();
    (1..kind.parts)
        .rev()
        .filter_map(|depth| {
            let above = by_name(if depth == 1 { "CATALOG" } else { "SCHEMA" })?;
            let name = parts.get(..depth)?.join(".");
            Some((above, find(state, above, &name).ok()?))
        })
        .collect()
}

fn summary(_: &Call, state: &State) -> Answer {
    Ok(Reply::ok(json!({
        "metastore_id": state.metastore_id,
        "name": "metastore",
        "owner": metastore_owner(state),
        "cloud": "aws",
        "region": "us-west-2",
        "global_metastore_id": format!("aws:us-west-2:{}", state.metastore_id),
        "privilege_model_version": "1.0",
    })))
}

fn assignment(call: &Call, state: &State) -> Answer {
    Ok(Reply::ok(json!({
        "metastore_id": state.metastore_id, "workspace_id": call.workspace(), "default_catalog_name": "main",
    })))
}

fn metastores(call: &Call, state: &State) -> Answer {
    summary(call, state).map(|reply| Reply::ok(json!({"metastores": [reply.body]})))
}

fn list(call: &Call, state: &State) -> Answer {
    let (kind, key, models) = collection(call)?;
    let prefix = match (call.query("catalog_name"), call.query("schema_name")) {
        (Some(catalog), Some(schema)) => format!("{catalog}.{schema}.").to_lowercase(),
        (Some(catalog), None) => format!("{catalog}.").to_lowercase(),
        (None, None) if kind.parts < 2 || models => String::new(),
        _ => return Err(ApiError::invalid("Missing required field: catalog_name")),
    };
    if kind.parts > 1 && !prefix.is_empty() {
        let mut parts = prefix.trim_end_matches('.').splitn(2, '.');
        if let (Some(above), Some(catalog)) = (by_name("CATALOG"), parts.next()) {
            find(state, above, catalog)?;
        }
    }
    let all: Vec<Value> = state
        .securables
        .range((kind.name, prefix.clone())..)
        .take_while(|((name, full), _)| *name == kind.name && full.starts_with(&prefix))
        .map(|(_, securable)| securable)
        .filter(|securable| kind.name != "FUNCTION" || is_model(securable) == models)
        .filter(|securable| visible(call, state, kind, securable))
        .map(|securable| render(securable))
        .collect();
    let (rows, next) = page(call, all, call.query_number("max_results")?, 1000, 1000)?;
    let mut body = json!({});
    if !rows.is_empty() {
        body[key] = json!(rows);
    }
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

fn render(securable: &Securable) -> Value {
    let mut body = securable.body.clone();
    body.insert("owner".into(), json!(securable.owner));
    Value::Object(body)
}

fn get(call: &Call, state: &State) -> Answer {
    let (kind, _, models) = collection(call)?;
    let full_name = call.param("full_name");
    let securable = find(state, kind, full_name)?;
    if kind.name == "FUNCTION" && is_model(securable) != models {
        return Err(ApiError::missing(format!("'{full_name}' does not exist.")));
    }
    if !visible(call, state, kind, securable) {
        return Err(ApiError::denied(format!(
            "User does not have USE on {} '{full_name}'.",
            kind.noun
        )));
    }
    let mut body = render(securable);
    if models && call.query("include_aliases") == Some("true") {
        body["aliases"] = crate::models::versions::aliases(state, &securable.full_name, None);
    }
    Ok(Reply::ok(body))
}

/// Puts a securable into the metastore, or leaves the one that is there.
pub fn seed(
    state: &mut State,
    kind: &'static Kind,
    full_name: &str,
    owner: &str,
    extra: &Map<String, Value>,
    now: i64,
) {
    let key = (kind.name, full_name.to_lowercase());
    if state.securables.contains_key(&key) {
        return;
    }
    let parts: Vec<&str> = full_name.split('.').collect();
    let mut body = extra.clone();
    body.insert("name".into(), json!(parts.last().copied().unwrap_or(full_name)));
    body.insert("full_name".into(), json!(full_name));
    body.insert("metastore_id".into(), json!(state.metastore_id));
    body.insert("created_at".into(), json!(now));
    body.insert("created_by".into(), json!(owner));
    body.insert("updated_at".into(), json!(now));
    body.insert("updated_by".into(), json!(owner));
    if kind.parts > 1 {
        body.insert("catalog_name".into(), json!(parts[0]));
    }
    if kind.parts > 2 && parts.len() > 1 {
        body.insert("schema_name".into(), json!(parts[1]));
    }
    let securable = Securable {
        full_name: full_name.to_owned(),
        owner: owner.to_owned(),
        body,
        grants: BTreeMap::new(),
    };
    state.securables.insert(key, Arc::new(securable));
}

pub fn create(call: &Call, state: &mut State) -> Answer {
    let (kind, _, models) = collection(call)?;
    let mut body = match call.object()?.get("function_info").and_then(Value::as_object) {
        Some(inner) => inner.clone(),
        None => call.object()?.clone(),
    };
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let above: Vec<String> = ["catalog_name", "schema_name"]
        .iter()
        .take(kind.parts.saturating_sub(1))
        .map(|name| text(name))
        .collect();
    let name = text("name");
    if name.is_empty() || above.iter().any(String::is_empty) || name.contains(['.', '/', ' ']) {
        return Err(ApiError::invalid(format!(
            "A valid name is required to create a {}",
            kind.noun.to_lowercase()
        )));
    }
    let full_name = above.iter().cloned().chain([name]).collect::<Vec<_>>().join(".");
    if !above.is_empty() {
        let parent = by_name(if above.len() == 1 { "CATALOG" } else { "SCHEMA" });
        if let Some(parent) = parent {
            let securable = find(state, parent, &above.join("."))?;
            may_create(call, state, parent, securable, kind, models)?;
        }
    }
    if find(state, kind, &full_name).is_ok() {
        return Err(ApiError::exists(format!(
            "{} '{full_name}' already exists",
            kind.noun
        )));
    }
    body.retain(|name, _| !SERVER_SET.contains(&name.as_str()));
    if models {
        body.insert("securable_kind".into(), json!(MODEL));
        let location = format!("s3://metastore/models/{}", state.new_uuid());
        body.entry("storage_location").or_insert(json!(location));
    }
    let owner = crate::identity::name(state, call.caller);
    seed(state, kind, &full_name, &owner, &body, call.now);
    Ok(Reply::ok(render(find(state, kind, &full_name)?)))
}

pub fn update(call: &Call, state: &mut State) -> Answer {
    let (kind, ..) = collection(call)?;
    let securable = find(state, kind, call.param("full_name"))?;
    may_manage(call, state, kind, securable)?;
    let key = (kind.name, securable.full_name.to_lowercase());
    let mut changes = call.object()?.clone();
    let owner = match changes.remove("owner").as_ref().and_then(Value::as_str) {
        None => None,
        Some(name) => Some(grants::principal(state, name).ok_or_else(|| {
            ApiError::new(
                404,
                "PRINCIPAL_DOES_NOT_EXIST",
                format!("Could not find principal with name {name}"),
            )
        })?),
    };
    if changes.contains_key("new_name") {
        return Err(ApiError::new(
            501,
            "NOT_IMPLEMENTED",
            "This simulator does not rename securables",
        ));
    }
    changes.retain(|name, _| !SERVER_SET.contains(&name.as_str()));
    if is_model(securable) {
        // Nothing else of a model can be changed [GO service/catalog/interface.go RegisteredModelsService].
        changes.retain(|name, _| name == "comment");
    }
    changes.insert("updated_at".into(), json!(call.now));
    changes.insert(
        "updated_by".into(),
        json!(crate::identity::name(state, call.caller)),
    );
    if let Some(securable) = state.securables.get_mut(&key).map(Arc::make_mut) {
        securable.body.extend(changes);
        if let Some(owner) = owner {
            securable.owner = owner;
        }
    }
    Ok(Reply::ok(render(find(state, kind, &key.1)?)))
}

pub fn delete(call: &Call, state: &mut State) -> Answer {
    let (kind, ..) = collection(call)?;
    let securable = find(state, kind, call.param("full_name"))?;
    may_manage(call, state, kind, securable)?;
    let name = securable.full_name.to_lowercase();
    let below = format!("{name}.");
    let holds = |(other, full): &(&'static str, String)| {
        kind.parts < 3
            && full.starts_with(&below)
            && by_name(other).is_some_and(|other| other.parts > kind.parts)
    };
    let children: Vec<(&'static str, String)> = state
        .securables
        .keys()
        .filter(|key| matches!(kind.name, "CATALOG" | "SCHEMA") && holds(key))
        .cloned()
        .collect();
    if !children.is_empty() && call.query("force") != Some("true") {
        return Err(ApiError::new(
            400,
            "INVALID_STATE",
            format!("{} '{name}' is not empty", kind.noun),
        ));
    }
    for (kind, name) in children.into_iter().chain([(kind.name, name)]) {
        state.forget_securable(kind, &name);
    }
    Ok(Reply::empty())
}
