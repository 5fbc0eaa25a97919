//! The secrets engine's own words: versions of data below `data/`, what is said of all of them below `metadata/`.

use std::collections::BTreeMap;

use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::value::{Fields, Value};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;
use tokio::sync::OnceCell;

use super::rest::{DATA, Rest, encoded};
use crate::clients::http::{Answer, Call, Effect};

const NOT_VAULT: &str = "404 in other words than Vault's: something in front of it answers";

/// Labels of a path: what Vault calls custom metadata.
pub(super) type Labels = BTreeMap<String, String>;

/// The newest version of a path.
pub(super) struct Version {
    /// Counted from 1.
    pub number: u64,
    pub labels: Labels,
    /// Empty where it was deleted.
    pub fields: Fields,
}

/// What is known of a path beside its values.
pub(super) struct About {
    /// The newest version; 0: there never was one.
    pub number: u64,
    pub labels: Labels,
}

#[derive(Deserialize)]
struct Read {
    data: ReadData,
}

#[derive(Deserialize)]
struct ReadData {
    #[serde(default)]
    data: Option<BTreeMap<String, Field>>,
    metadata: ReadMetadata,
}

#[derive(Deserialize)]
struct ReadMetadata {
    version: u64,
    #[serde(default)]
    custom_metadata: Option<Labels>,
}

/// A value; whatever is no text is taken as the JSON it is.
struct Field(Value);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Value::new(
            match serde_json::Value::deserialize(deserializer)? {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            },
        )))
    }
}

#[derive(Deserialize)]
struct Metadata {
    data: MetadataData,
}

#[derive(Deserialize)]
struct MetadataData {
    current_version: u64,
    #[serde(default)]
    custom_metadata: Option<Labels>,
}

#[derive(Deserialize)]
struct Written {
    data: WrittenData,
}

#[derive(Deserialize)]
struct WrittenData {
    version: u64,
}

#[derive(Deserialize)]
struct Mounted {
    data: MountedData,
}

#[derive(Deserialize)]
struct MountedData {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    options: Option<BTreeMap<String, String>>,
}

/// What an engine says where nothing is.
#[derive(Deserialize)]
struct Nothing {
    errors: Vec<String>,
}

/// A body that is made for the one call, out of values that nothing else serialises.
struct Exposed<'a>(&'a Fields);

impl Serialize for Exposed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value.expose())))
    }
}

/// Whether Vault says that nothing is mounted there.
fn no_handler(answer: &Answer) -> bool {
    answer.status == StatusCode::NOT_FOUND && answer.text().contains("no handler for route")
}

/// One engine, mounted somewhere.
pub(super) struct Engine {
    pub rest: Rest,
    pub mount: String,
    looked: OnceCell<()>,
}

impl Engine {
    pub fn new(rest: Rest, mount: String) -> Self {
        Self {
            rest,
            mount,
            looked: OnceCell::new(),
        }
    }

    /// Whether a KV engine of version 2 is mounted there, asked once. Version 1 would take `data/` for a part of the path
    /// and overwrite whatever is there.
    pub async fn look(&self) -> Result<(), SystemError> {
        let look = || async {
            let path = format!("v1/sys/internal/ui/mounts/{}", encoded(&self.mount));
            let call = Call::get("/v1/sys/internal/ui/mounts/{mount}", path, DATA);
            let answer = self.rest.send(call).await?;
            let mount = &self.mount;
            if answer.status == StatusCode::FORBIDDEN {
                return Err(answer.named(
                    SystemErrorKind::Forbidden,
                    &format!(
                        "403: no secrets engine is mounted at {mount}/, or the token's policy names no path below it"
                    ),
                ));
            }
            let Mounted {
                data: MountedData { kind, options },
            } = answer.success()?.json()?;
            let version = options.and_then(|options| options.get("version").cloned());
            match (kind.as_str(), version.as_deref()) {
                ("kv", Some("2")) => Ok(()),
                ("kv", _) => Err(self.rest.error(
                    SystemErrorKind::Refused,
                    format!("{mount}/ is a KV engine of version 1, which cannot check before it writes: `vault kv enable-versioning {mount}`, or mount another"),
                )),
                (other, _) => Err(self.rest.error(
                    SystemErrorKind::Refused,
                    format!("{mount}/ is a secrets engine of type {other}; it must be kv, version 2"),
                )),
            }
        };
        self.looked.get_or_try_init(look).await.copied()
    }

    /// The newest version; `None`: there is none.
    pub async fn read(&self, path: &str) -> Result<Option<Version>, SystemError> {
        let call = Call::get("/v1/{mount}/data/{path}", self.data(path), DATA);
        let answer = self.rest.send(call).await?;
        // What was deleted answers 404 as well, and says then of which version.
        let gone = answer.status == StatusCode::NOT_FOUND;
        if gone && answer.json::<Read>().is_err() {
            return self.provably_missing(&answer).map(|()| None);
        }
        let answer = if gone { answer } else { self.judge(answer, "read")? };
        let Read {
            data: ReadData { data, metadata },
        } = answer.json()?;
        let fields = data.unwrap_or_default();
        Ok(Some(Version {
            number: metadata.version,
            labels: metadata.custom_metadata.unwrap_or_default(),
            fields: fields
                .into_iter()
                .map(|(key, Field(value))| (key, value))
                .collect(),
        }))
    }

    /// What is known beside the values; `None`: Vault has never heard of the path.
    pub async fn about(&self, path: &str) -> Result<Option<About>, SystemError> {
        let call = Call::get("/v1/{mount}/metadata/{path}", self.metadata(path), DATA);
        let answer = self.rest.send(call).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return self.provably_missing(&answer).map(|()| None);
        }
        let Metadata {
            data:
                MetadataData {
                    current_version,
                    custom_metadata,
                },
        } = self.judge(answer, "read")?.json()?;
        Ok(Some(About {
            number: current_version,
            labels: custom_metadata.unwrap_or_default(),
        }))
    }

    /// Writes one more version if the newest is this one; its number. `Stale` where it is not.
    pub async fn write(&self, path: &str, fields: &Fields, newest: u64) -> Result<u64, SystemError> {
        let call = Call::new(
            Method::POST,
            "/v1/{mount}/data/{path}",
            self.data(path),
            DATA,
            // The second of two would find the first one's version and be taken for refused.
            Effect::Once,
        )
        .json(&json!({"options": {"cas": newest}, "data": Exposed(fields)}));
        let answer = self.rest.send(call).await?;
        if answer.status == StatusCode::BAD_REQUEST && answer.text().contains("check-and-set parameter") {
            return Err(answer.named(
                SystemErrorKind::Stale,
                &format!("check-and-set: version {newest} is no longer the newest; nothing was written"),
            ));
        }
        let Written {
            data: WrittenData { version },
        } = self.judge(answer, "create and update")?.json()?;
        Ok(version)
    }

    /// Labels a path, in place of every label that it had.
    pub async fn label(&self, path: &str, labels: &Labels) -> Result<(), SystemError> {
        let call = Call::new(
            Method::POST,
            "/v1/{mount}/metadata/{path}",
            self.metadata(path),
            DATA,
            Effect::Repeatable,
        )
        .json(&json!({"custom_metadata": labels}));
        let answer = self.rest.send(call).await?;
        self.judge(answer, "create and update").map(|_| ())
    }

    /// Takes a path away with all its versions.
    pub async fn erase(&self, path: &str) -> Result<(), SystemError> {
        let call = Call::new(
            Method::DELETE,
            "/v1/{mount}/metadata/{path}",
            self.metadata(path),
            DATA,
            Effect::Repeatable,
        );
        let answer = self.rest.send(call).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return self.provably_missing(&answer);
        }
        self.judge(answer, "delete").map(|_| ())
    }

    fn data(&self, path: &str) -> String {
        format!("v1/{}/data/{}", encoded(&self.mount), encoded(path))
    }

    fn metadata(&self, path: &str) -> String {
        format!("v1/{}/metadata/{}", encoded(&self.mount), encoded(path))
    }

    /// 404 of an engine says that nothing is there; 404 of anything else says nothing.
    fn provably_missing(&self, answer: &Answer) -> Result<(), SystemError> {
        if no_handler(answer) {
            return Err(answer.named(
                SystemErrorKind::NotFound,
                &format!("404: no secrets engine is mounted at {}/", self.mount),
            ));
        }
        match answer.json::<Nothing>() {
            Ok(Nothing { errors }) if errors.is_empty() => Ok(()),
            _ => Err(answer.bad(NOT_VAULT)),
        }
    }

    /// What a refusal means, in words of ours: Vault's may hold what it was sent.
    fn judge(&self, answer: Answer, capability: &str) -> Result<Answer, SystemError> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(match answer.status {
            StatusCode::FORBIDDEN => answer.named(
                SystemErrorKind::Forbidden,
                &format!("403: the token's policy must allow to {capability} there"),
            ),
            StatusCode::NOT_FOUND if no_handler(&answer) => answer.named(
                SystemErrorKind::NotFound,
                &format!("404: no secrets engine is mounted at {}/", self.mount),
            ),
            StatusCode::NOT_FOUND => answer.bad(NOT_VAULT),
            _ => answer.error(),
        })
    }
}
