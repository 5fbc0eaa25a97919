//! A scratch model in the scratch schema, and serving endpoints, which are only read.

use lockstep_core::domain::ports::SystemErrorKind;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::deploy::{pages, serving};
use super::super::segment;
use super::Bench;
use crate::clients::contract::{Broken, Held, demand};

const MODELS: &str = "/api/2.1/unity-catalog/models";
const CREATE_VERSION: &str = "/api/2.0/mlflow/unity-catalog/model-versions/create";
const FINALIZE_VERSION: &str = "/api/2.0/mlflow/unity-catalog/model-versions/finalize";

fn path(model: &str) -> String {
    format!("{MODELS}/{}", segment(model))
}

pub(super) async fn model(b: &Bench<'_>) -> Result<Held, Broken> {
    let schema = b.schema.get("scratch schema")?;
    let (catalog, schema) = schema.split_once('.').unwrap_or_default();
    let body = json!({"name": "scratch", "catalog_name": catalog, "schema_name": schema});
    let said = b.send(Method::POST, MODELS, &body).await?;
    said.made("models")?;
    let model = format!("{catalog}.{schema}.scratch");
    b.undo(&format!("model {model}"), Method::DELETE, path(&model), None);
    let listed = b
        .get(&format!("{}/versions", path(&model)), &[("max_results", "1000")])
        .await?;
    let none = listed.json["model_versions"].as_array().is_none_or(Vec::is_empty);
    demand(listed.is_success() && none, || listed.show())?;
    let alias = b.get(&format!("{}/aliases/prod", path(&model)), &[]).await?;
    demand(alias.absent, || alias.show())?;
    b.model.set(model);
    Ok(None)
}

/// A version without files; `Skipped` where the server demands some.
async fn version(b: &Bench<'_>, model: &str) -> Result<u64, Broken> {
    let body = json!({"name": model, "source": format!("dbfs:/Shared/{}", b.prefix)});
    let said = b.send(Method::POST, CREATE_VERSION, &body).await?;
    let number = said.word("/model_version/version").parse::<u64>();
    let (true, Ok(number)) = (said.is_success(), number) else {
        let why = format!("a version without a run cannot be made here: {}", said.show());
        return Err(Broken::Skipped(why));
    };
    let what = format!("version {number} of {model}");
    b.undo(
        &what,
        Method::DELETE,
        format!("{}/versions/{number}", path(model)),
        None,
    );
    let body = json!({"name": model, "version": number.to_string()});
    let said = b.send(Method::POST, FINALIZE_VERSION, &body).await?;
    if !said.is_success() {
        let why = format!(
            "a version without files cannot be completed here: {}",
            said.show()
        );
        return Err(Broken::Skipped(why));
    }
    Ok(number)
}

pub(super) async fn alias(b: &Bench<'_>) -> Result<Held, Broken> {
    let model = b.model.get("scratch model")?;
    let number = version(b, &model).await?;
    let listed = b
        .get(&format!("{}/versions", path(&model)), &[("max_results", "1000")])
        .await?;
    let row = listed.json["model_versions"][0].clone();
    let named =
        row["version"] == json!(number) && row["created_by"].is_string() && row["created_at"].is_u64();
    demand(named, || format!("{} {row}", listed.show()))?;

    let alias = format!("{}/aliases/prod", path(&model));
    for _ in 0..2 {
        let said = b
            .send(Method::PUT, &alias, &json!({"version_num": number}))
            .await?;
        demand(said.is_success(), || said.show())?;
    }
    let said = b.get(&alias, &[]).await?;
    demand(said.is_success() && said.json["version"] == json!(number), || {
        format!("{} {}", said.show(), said.json)
    })?;
    for _ in 0..2 {
        let said = b.call(b.plane, Method::DELETE, &alias, &[], None).await?;
        demand(said.is_success() || said.absent, || said.show())?;
    }
    let said = b.get(&alias, &[]).await?;
    demand(said.absent, || said.show())?;
    Ok(None)
}

pub(super) async fn stranger(b: &Bench<'_>) -> Result<Held, Broken> {
    let model = b.model.get("scratch model")?;
    let alias = format!("{}/aliases/never", path(&model));
    let said = b
        .send(Method::PUT, &alias, &json!({"version_num": 999_999}))
        .await?;
    demand(matches!(said.status, 400 | 404), || said.show())?;
    let said = b.get(&alias, &[]).await?;
    demand(said.absent, || said.show())?;
    Ok(None)
}

pub(super) async fn endpoints(b: &Bench<'_>) -> Result<Held, Broken> {
    let nothing = serving::get(b.plane, &format!("{}-nothing", b.prefix)).await;
    match nothing {
        Ok(None) => {}
        Ok(Some(_)) => return Err(Broken::Seen("an endpoint by the name of nothing".into())),
        Err(error) if error.kind == SystemErrorKind::Forbidden => {
            return Err(Broken::Skipped(format!(
                "the identity may not see endpoints: {error}"
            )));
        }
        Err(error) => return Err(error.into()),
    }
    let said = b.get("/api/2.0/serving-endpoints", &[]).await?;
    demand(said.is_success(), || said.show())?;
    let rows = said.json["endpoints"].as_array().cloned().unwrap_or_default();
    for name in rows.iter().filter_map(|row| row["name"].as_str()) {
        // Between listing and reading it may have gone.
        let Some(endpoint) = serving::get(b.plane, name).await? else {
            continue;
        };
        let state = endpoint.0.pointer("/state/config_update").and_then(Value::as_str);
        let Some(live) = endpoint.live().filter(|_| state.is_some()) else {
            // The vendor's own endpoints for foundation models say neither.
            continue;
        };
        demand(pages::id(live.get("config_version")).is_some(), || {
            format!("{name} serves {live}")
        })?;
        return Ok(None);
    }
    Ok(Some("no endpoint with a configuration is in sight".into()))
}
