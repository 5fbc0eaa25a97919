//! What a version is, how it comes to be, and how the catalog's API shows it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalog::{self, tags};
use crate::error::ApiError;
use crate::state::models::{Tag, Version};
use crate::state::{Securable, State};

/// What a client says of a new version.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub source: String,
    pub run_id: Option<String>,
    pub run_workspace: Option<u64>,
    pub model_id: Option<String>,
    pub comment: String,
    pub tags: BTreeMap<String, String>,
}

pub fn missing(full_name: &str, version: &str) -> ApiError {
    ApiError::missing(format!(
        "Model Version '{full_name}' version {version} does not exist."
    ))
}

pub fn find<'a>(state: &'a State, full_name: &str, version: &str) -> Result<&'a Version, ApiError> {
    let number: u64 = version
        .parse()
        .map_err(|_| ApiError::invalid(format!("'{version}' is not a version number")))?;
    state
        .models
        .get(full_name)
        .and_then(|model| model.versions.get(&number))
        .ok_or_else(|| missing(full_name, version))
}

/// Adds a version that waits for its files, and returns its number. The creator comes from who calls, whatever the
/// client says.
pub fn create(state: &mut State, full_name: &str, draft: Draft, creator: u64, now: i64) -> u64 {
    let by = crate::identity::name(state, creator);
    let id = state.new_uuid();
    let model = state.models.edit(full_name);
    model.last += 1;
    let Draft {
        source,
        run_id,
        run_workspace,
        model_id,
        comment,
        tags,
    } = draft;
    let version = Version {
        number: model.last,
        id,
        status: "PENDING_REGISTRATION",
        source,
        run_id,
        run_workspace,
        model_id,
        comment,
        created_at: now,
        created_by: by.clone(),
        updated_at: now,
        updated_by: by.clone(),
        tags: tags
            .into_iter()
            .map(|(key, value)| {
                let tag = Tag {
                    value,
                    updated_by: by.clone(),
                    updated_at: now,
                };
                (key, tag)
            })
            .collect(),
        files: BTreeMap::new(),
    };
    let number = version.number;
    model.versions.insert(number, version);
    number
}

/// As `create` and finalize in one, of a model that is made if it is missing: what scripts and seeds do.
pub fn register(state: &mut State, full_name: &str, draft: Draft, creator: u64, now: i64) {
    if let Ok(kind) = super::rights::kind() {
        let body = Map::from_iter([("securable_kind".to_owned(), json!(catalog::MODEL))]);
        let owner = crate::identity::name(state, creator);
        catalog::seed(state, kind, full_name, &owner, &body, now);
    }
    let number = create(state, full_name, draft, creator, now);
    if let Some(version) = state.models.edit(full_name).versions.get_mut(&number) {
        version.status = "READY";
    }
}

/// Aliases of a model, or those of one version of it.
pub fn aliases(state: &State, full_name: &str, version: Option<u64>) -> Value {
    let rows: Vec<Value> = state
        .models
        .get(full_name)
        .into_iter()
        .flat_map(|model| &model.aliases)
        .filter(|(_, number)| version.is_none_or(|wanted| wanted == **number))
        .map(|(alias, number)| json!({"alias_name": alias, "version_num": number}))
        .collect();
    json!(rows)
}

pub fn render(state: &State, model: &Securable, version: &Version) -> Map<String, Value> {
    let part = |name: &str| model.body.get(name).cloned().unwrap_or_default();
    let location = model.body.get("storage_location").and_then(Value::as_str);
    let mut body = Map::from_iter([
        ("catalog_name".to_owned(), part("catalog_name")),
        ("schema_name".to_owned(), part("schema_name")),
        ("model_name".to_owned(), part("name")),
        ("version".to_owned(), json!(version.number)),
        ("id".to_owned(), json!(version.id)),
        ("metastore_id".to_owned(), json!(state.metastore_id)),
        ("status".to_owned(), json!(version.status)),
        ("source".to_owned(), json!(version.source)),
        ("comment".to_owned(), json!(version.comment)),
        (
            "storage_location".to_owned(),
            json!(format!(
                "{}/versions/{}",
                location.unwrap_or("s3://metastore/models"),
                version.id
            )),
        ),
        ("created_at".to_owned(), json!(version.created_at)),
        ("created_by".to_owned(), json!(version.created_by)),
        ("updated_at".to_owned(), json!(version.updated_at)),
        ("updated_by".to_owned(), json!(version.updated_by)),
    ]);
    if let Some(run) = &version.run_id {
        body.insert("run_id".to_owned(), json!(run));
    }
    if let Some(workspace) = version.run_workspace {
        body.insert("run_workspace_id".to_owned(), json!(workspace));
    }
    body
}

/// Removes a version with the aliases that point to it [GO service/catalog/interface.go].
pub fn delete(state: &mut State, full_name: &str, number: u64) {
    let model = state.models.edit(full_name);
    model.versions.remove(&number);
    model.aliases.retain(|_, version| *version != number);
}

/// Points an alias at a version that is there.
pub fn set_alias(state: &mut State, full_name: &str, alias: &str, number: u64) -> Result<(), ApiError> {
    find(state, full_name, &number.to_string())?;
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let like_a_version = alias
        .strip_prefix(['v', 'V'])
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()));
    if alias.is_empty() || alias.len() > 255 || !alias.chars().all(plain) || like_a_version {
        return Err(ApiError::invalid(format!("'{alias}' is not a valid alias")));
    }
    state
        .models
        .edit(full_name)
        .aliases
        .insert(alias.to_owned(), number);
    Ok(())
}

pub fn set_tag(
    state: &mut State,
    full_name: &str,
    number: u64,
    key: &str,
    tag: Option<Tag>,
) -> Result<(), ApiError> {
    let Some(version) = state.models.edit(full_name).versions.get_mut(&number) else {
        return Err(missing(full_name, &number.to_string()));
    };
    match tag {
        Some(tag) => tags::put(&mut version.tags, key, tag),
        None => {
            version.tags.remove(key);
            Ok(())
        }
    }
}
