//! The serving endpoint step: one entity of an endpoint gets another version, and the rest stays. An update is pending
//! until the new version is ready, and the old one serves until then, so a failed update has changed nothing.
//!
//! Environment variables that are secrets are not echoed by the vendor, so a configuration that was read lacks them:
//! endpoints that need secrets must take them from the model or an instance profile.

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::machine::state::{Failure, FailureKind, Words};
use lockstep_core::domain::promotion::ports::deployments::{
    DeployError, EndpointStep, Endpoints, Progress, Restoration, words,
};
use reqwest::Method;
use serde_json::Value;

use super::super::limits::Family;
use super::super::plane::Plane;
use super::super::segment;
use super::super::system::Inner;
use super::pages;
use super::served::{Essence, essence, input, wanted};
use crate::clients::http::{Call, Effect};

pub(super) struct ServingEndpoints(Arc<Inner>);

/// An endpoint as the workspace shows it.
pub struct Endpoint(pub Value);

/// An endpoint by name; `None`: it does not exist.
pub async fn get(plane: &Plane, name: &str) -> Result<Option<Endpoint>, SystemError> {
    let path = format!("/api/2.0/serving-endpoints/{}", segment(name));
    let call = Call::get("/api/2.0/serving-endpoints/{name}", path, Family::Other.name());
    Ok(plane.find(call).await?.map(Endpoint))
}

impl Endpoint {
    fn word(&self, pointer: &str) -> &str {
        self.0
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub fn live(&self) -> Option<&Value> {
        self.0.get("config")
    }

    pub fn pending(&self) -> Option<&Value> {
        self.0.get("pending_config")
    }

    fn is_updating(&self) -> bool {
        self.word("/state/config_update") == "IN_PROGRESS"
    }

    /// When the update that failed last was last heard of; `None`: the last one did not fail.
    fn failed_update(&self) -> Option<String> {
        let failed = matches!(
            self.word("/state/config_update"),
            "UPDATE_FAILED" | "UPDATE_CANCELED"
        );
        failed.then(|| pages::id(self.0.get("last_updated_timestamp")).unwrap_or_default())
    }

    /// What the system says of entities that did not come up.
    fn complaint(&self) -> String {
        let rows = self
            .pending()
            .and_then(|config| config.get("served_entities")?.as_array());
        let words: Vec<&str> = rows
            .into_iter()
            .flatten()
            .filter_map(|entity| entity.pointer("/state/deployment_state_message")?.as_str())
            .filter(|words| !words.is_empty())
            .collect();
        words.join("; ")
    }

    pub fn config_version(&self) -> String {
        let version = self
            .live()
            .and_then(|config| pages::id(config.get("config_version")));
        version.unwrap_or_default()
    }
}

/// What the step wants and what was there, as values to be compared.
struct Sides {
    config: Value,
    wanted: Essence,
    saved: Essence,
    saved_config: Option<Value>,
}

impl Sides {
    fn of(step: &EndpointStep, undo: &Words) -> Result<Self, DeployError> {
        let saved_config: Option<Value> = undo
            .get(words::CONFIG)
            .and_then(|text| serde_json::from_str(text).ok());
        let config = wanted(step, saved_config.as_ref()).map_err(DeployError::Fails)?;
        Ok(Self {
            wanted: essence(Some(&config)),
            saved: essence(saved_config.as_ref()),
            config,
            saved_config,
        })
    }
}

fn taken(step: &EndpointStep, now: &Essence, sides: &Sides) -> String {
    format!(
        "endpoint {} serves {now}, and served {} when the step began: another hand changed it, and it is left",
        step.name, sides.saved
    )
}

fn gone(step: &EndpointStep) -> String {
    format!("endpoint {} does not exist, or we may not see it", step.name)
}

fn refuse<T>(message: String) -> Result<T, DeployError> {
    Err(DeployError::fails(FailureKind::Refused, message))
}

impl ServingEndpoints {
    pub fn new(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    fn plane(&self) -> &Plane {
        &self.0.workspace.plane
    }

    async fn find(&self, step: &EndpointStep) -> Result<Option<Endpoint>, SystemError> {
        get(self.plane(), &step.name).await
    }

    /// Begins an update. Never sent twice: an update whose answer was lost shows as pending.
    async fn put(&self, step: &EndpointStep, config: &Value) -> Result<(), SystemError> {
        let path = format!("/api/2.0/serving-endpoints/{}/config", segment(&step.name));
        let route = "/api/2.0/serving-endpoints/{name}/config";
        let call = Call::new(Method::PUT, route, path, Family::Other.name(), Effect::Once);
        self.plane().write(call.json(config)).await.map(|_| ())
    }

    async fn outputs(&self, step: &EndpointStep, endpoint: &Endpoint) -> Result<Words, SystemError> {
        let id = format!("{}/config/{}", segment(&step.name), endpoint.config_version());
        let config = input(endpoint.live()).map(|config| config.to_string());
        let address = super::in_workspace(&self.0, "serving-endpoints", "").await?;
        Ok([
            (words::ENDPOINT.to_owned(), step.name.clone()),
            (words::CONFIG.to_owned(), config.unwrap_or_default()),
            (words::VERSION.to_owned(), step.version.to_string()),
            (words::ADDRESS.to_owned(), format!("{address}{id}")),
        ]
        .into())
    }
}

#[async_trait]
impl Endpoints for ServingEndpoints {
    async fn prepare(&self, step: &EndpointStep) -> Result<Words, DeployError> {
        let Some(endpoint) = self.find(step).await? else {
            return refuse(gone(step));
        };
        if endpoint.is_updating() {
            // What it will serve in a moment is what must be saved.
            let message = format!("endpoint {} is being updated by another hand", step.name);
            return Err(self.plane().error(SystemErrorKind::Stale, message).into());
        }
        let config = input(endpoint.live()).map(|config| config.to_string());
        let undo: Words = [
            (words::ENDPOINT.to_owned(), step.name.clone()),
            (words::CONFIG.to_owned(), config.unwrap_or_default()),
            (
                words::FAILED_UPDATE.to_owned(),
                endpoint.failed_update().unwrap_or_default(),
            ),
        ]
        .into();
        Sides::of(step, &undo)?;
        Ok(undo)
    }

    async fn act(&self, step: &EndpointStep, undo: &Words) -> Result<(), DeployError> {
        let sides = Sides::of(step, undo)?;
        let Some(endpoint) = self.find(step).await? else {
            return refuse(gone(step));
        };
        let (live, pending) = (essence(endpoint.live()), essence(endpoint.pending()));
        if endpoint.is_updating() {
            if pending == sides.wanted {
                return Ok(());
            }
            let message = format!(
                "endpoint {} is being updated to {pending} by another hand",
                step.name
            );
            return Err(self.plane().error(SystemErrorKind::Stale, message).into());
        }
        if live == sides.wanted {
            return Ok(());
        }
        if live != sides.saved {
            return refuse(taken(step, &live, &sides));
        }
        Ok(self.put(step, &sides.config).await?)
    }

    async fn observe(&self, step: &EndpointStep, undo: &Words) -> Result<Progress, DeployError> {
        let sides = Sides::of(step, undo)?;
        let Some(endpoint) = self.find(step).await? else {
            return Ok(Progress::Failed(Failure::new(FailureKind::Failed, gone(step))));
        };
        let live = essence(endpoint.live());
        if endpoint.is_updating() {
            return Ok(Progress::Going(Words::new()));
        }
        if live == sides.wanted {
            let ready = endpoint.word("/state/ready") == "READY";
            return Ok(if ready {
                Progress::Succeeded(self.outputs(step, &endpoint).await?)
            } else {
                Progress::Going(Words::new())
            });
        }
        let pending = endpoint.pending().map(|config| essence(Some(config)));
        let before = undo.get(words::FAILED_UPDATE).filter(|before| !before.is_empty());
        if let Some(failed) = endpoint.failed_update()
            && before != Some(&failed)
            && pending.is_none_or(|pending| pending == sides.wanted)
        {
            let message = format!(
                "endpoint {} could not be brought to serve {}: {}; it still serves {live}",
                step.name,
                sides.wanted,
                endpoint.complaint()
            );
            return Ok(Progress::Failed(Failure::new(FailureKind::Failed, message)));
        }
        Ok(if live == sides.saved {
            Progress::Absent
        } else {
            Progress::Failed(Failure::new(FailureKind::Failed, taken(step, &live, &sides)))
        })
    }

    async fn undo(&self, step: &EndpointStep, undo: &Words) -> Result<(), DeployError> {
        let sides = Sides::of(step, undo)?;
        let Some(endpoint) = self.find(step).await? else {
            return refuse(gone(step));
        };
        let live = essence(endpoint.live());
        // The vendor takes no second update during one, and has no call to end it: it is waited for.
        if endpoint.is_updating() || live == sides.saved {
            return Ok(());
        }
        if live != sides.wanted {
            return refuse(taken(step, &live, &sides));
        }
        match &sides.saved_config {
            Some(saved) => Ok(self.put(step, saved).await?),
            None => refuse(format!(
                "endpoint {} served nothing before, and cannot be made to serve nothing again: it still serves {live}",
                step.name
            )),
        }
    }

    async fn undone(&self, step: &EndpointStep, undo: &Words) -> Result<Restoration, DeployError> {
        let sides = Sides::of(step, undo)?;
        let Some(endpoint) = self.find(step).await? else {
            return Ok(Restoration::TakenByOthers(gone(step)));
        };
        let live = essence(endpoint.live());
        Ok(if endpoint.is_updating() {
            Restoration::NotUndone
        } else if live == sides.saved {
            Restoration::Undone
        } else if live == sides.wanted {
            Restoration::NotUndone
        } else {
            Restoration::TakenByOthers(taken(step, &live, &sides))
        })
    }
}
