//! The model alias step: one alias of one registered model in Unity Catalog, moved from where it was seen to where it
//! is to be. The API has no compare-and-set, so it is read just before it is written, and what another hand did since
//! is reported, not overwritten.

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::machine::state::{Failure, FailureKind, Words};
use lockstep_core::domain::promotion::ports::deployments::{
    AliasStep, DeployError, Models, Progress, Restoration, words,
};
use lockstep_core::domain::promotion::proof::provenance::ModelVersion;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::limits::Family;
use super::super::plane::Plane;
use super::super::segment;
use super::super::system::Inner;
use super::{pages, runs};
use crate::clients::http::{Call, Effect};

const MODEL: &str = "/api/2.1/unity-catalog/models/{full_name}";
const ALIAS: &str = "/api/2.1/unity-catalog/models/{full_name}/aliases/{alias}";
const VERSIONS: &str = "/api/2.1/unity-catalog/models/{full_name}/versions";
const VERSION: &str = "/api/2.1/unity-catalog/models/{full_name}/versions/{version}";

pub(super) struct RegisteredModels(Arc<Inner>);

#[derive(Deserialize)]
struct Pointed {
    version: u64,
}

fn path(model: &str) -> String {
    format!("/api/2.1/unity-catalog/models/{}", segment(model))
}

/// Where an alias points; `None`: nowhere.
pub(super) async fn pointed(plane: &Plane, model: &str, alias: &str) -> Result<Option<u64>, SystemError> {
    let path = format!("{}/aliases/{}", path(model), segment(alias));
    let found: Option<Pointed> = plane.find(Call::get(ALIAS, path, Family::Other.name())).await?;
    Ok(found.map(|pointed| pointed.version))
}

/// All versions of a model, as the server describes them.
pub(super) async fn versions(plane: &Plane, model: &str) -> Result<Vec<ModelVersion>, SystemError> {
    let path = format!("{}/versions", path(model));
    let call = Call::get(VERSIONS, path, Family::Other.name()).query("max_results", "1000");
    let rows = pages::rows(plane, &call, "model_versions", |_| false).await?;
    Ok(rows.iter().filter_map(|row| described(model, row)).collect())
}

/// The same; `None`: there is no such model that we may see.
pub(super) async fn versions_of(
    plane: &Plane,
    model: &str,
) -> Result<Option<Vec<ModelVersion>>, SystemError> {
    match versions(plane, model).await {
        Ok(versions) => Ok(Some(versions)),
        Err(error) if error.kind == SystemErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn described(model: &str, row: &Value) -> Option<ModelVersion> {
    let text = |name: &str| row.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    Some(ModelVersion {
        model: model.to_owned(),
        version: row.get("version")?.as_u64()?,
        created_by: text("created_by").filter(|name| !name.is_empty()),
        created_at: runs::moment(row.get("created_at")),
        claims_run: text("run_id").filter(|run| !run.is_empty()),
    })
}

impl RegisteredModels {
    pub fn new(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    fn plane(&self) -> &Plane {
        &self.0.workspace.plane
    }

    async fn pointed(&self, step: &AliasStep) -> Result<Option<u64>, SystemError> {
        pointed(self.plane(), &step.model, &step.alias).await
    }

    async fn row(&self, model: &str, version: u64) -> Result<Option<Value>, SystemError> {
        let path = format!("{}/versions/{version}", path(model));
        self.plane()
            .find(Call::get(VERSION, path, Family::Other.name()))
            .await
    }

    async fn point(&self, step: &AliasStep, version: Option<u64>) -> Result<(), SystemError> {
        let path = format!("{}/aliases/{}", path(&step.model), segment(&step.alias));
        let (method, body) = match version {
            Some(version) => (Method::PUT, Some(json!({"version_num": version}))),
            None => (Method::DELETE, None),
        };
        let mut call = Call::new(method, ALIAS, path, Family::Other.name(), Effect::Repeatable);
        if let Some(body) = body {
            call = call.json(&body);
        }
        let response = self.plane().send(call).await?;
        if version.is_none() && response.proves_absence() {
            return Ok(());
        }
        response.success().map(|_| ())
    }
}

fn saved(undo: &Words) -> Option<u64> {
    undo.get(words::VERSION).and_then(|text| text.parse().ok())
}

fn shown(version: Option<u64>) -> String {
    version.map_or_else(
        || "at no version".to_owned(),
        |version| format!("at version {version}"),
    )
}

fn moved(step: &AliasStep, now: Option<u64>, undo: &Words) -> String {
    format!(
        "alias {} of {} points {}, and pointed {} when the step began: another hand moved it, and it is left there",
        step.alias,
        step.model,
        shown(now),
        shown(saved(undo))
    )
}

#[async_trait]
impl Models for RegisteredModels {
    async fn prepare(&self, step: &AliasStep) -> Result<Words, DeployError> {
        let now = self.pointed(step).await?;
        if now.is_none() {
            // No alias and no model are worded alike.
            let call = Call::get(MODEL, path(&step.model), Family::Other.name());
            if self.plane().find::<Value>(call).await?.is_none() {
                let message = format!("model {} does not exist, or we may not see it", step.model);
                return Err(DeployError::fails(FailureKind::Refused, message));
            }
        }
        Ok([
            (words::MODEL.to_owned(), step.model.clone()),
            (words::ALIAS.to_owned(), step.alias.clone()),
            (
                words::VERSION.to_owned(),
                now.map(|version| version.to_string()).unwrap_or_default(),
            ),
        ]
        .into())
    }

    async fn act(&self, step: &AliasStep, undo: &Words) -> Result<(), DeployError> {
        let now = self.pointed(step).await?;
        if now == Some(step.version) {
            return Ok(());
        }
        let refuse = |why: String| Err(DeployError::fails(FailureKind::Refused, why));
        if now != saved(undo) {
            return refuse(moved(step, now, undo));
        }
        let Some(row) = self.row(&step.model, step.version).await? else {
            return refuse(format!("{} has no version {}", step.model, step.version));
        };
        let status = row.get("status").and_then(Value::as_str).unwrap_or_default();
        if status != "READY" {
            return refuse(format!(
                "{} version {} is {status}, not READY",
                step.model, step.version
            ));
        }
        Ok(self.point(step, Some(step.version)).await?)
    }

    async fn observe(&self, step: &AliasStep, undo: &Words) -> Result<Progress, DeployError> {
        let now = self.pointed(step).await?;
        if now == Some(step.version) {
            let below = format!("aliases/{}/{}", segment(&step.alias), step.version);
            return Ok(Progress::Succeeded(
                [
                    (words::MODEL.to_owned(), step.model.clone()),
                    (words::ALIAS.to_owned(), step.alias.clone()),
                    (words::VERSION.to_owned(), step.version.to_string()),
                    (
                        words::ADDRESS.to_owned(),
                        super::in_model(&self.0, &step.model, &below).await?,
                    ),
                ]
                .into(),
            ));
        }
        Ok(if now == saved(undo) {
            Progress::Absent
        } else {
            Progress::Failed(Failure::new(FailureKind::Failed, moved(step, now, undo)))
        })
    }

    async fn undo(&self, step: &AliasStep, undo: &Words) -> Result<(), DeployError> {
        let (now, before) = (self.pointed(step).await?, saved(undo));
        if now == before {
            Ok(())
        } else if now == Some(step.version) {
            Ok(self.point(step, before).await?)
        } else {
            Err(DeployError::fails(FailureKind::Refused, moved(step, now, undo)))
        }
    }

    async fn undone(&self, step: &AliasStep, undo: &Words) -> Result<Restoration, DeployError> {
        let now = self.pointed(step).await?;
        Ok(if now == saved(undo) {
            Restoration::Undone
        } else if now == Some(step.version) {
            Restoration::NotUndone
        } else {
            Restoration::TakenByOthers(moved(step, now, undo))
        })
    }

    async fn versions(&self, model: &str) -> Result<Vec<ModelVersion>, DeployError> {
        Ok(versions(self.plane(), model).await?)
    }

    async fn version(&self, model: &str, version: u64) -> Result<Option<ModelVersion>, DeployError> {
        let row = self.row(model, version).await?;
        Ok(row.and_then(|row| described(model, &row)))
    }
}
