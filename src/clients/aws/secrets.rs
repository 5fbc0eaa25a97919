//! One secret of Secrets Manager as a store of a rotation: its text is a JSON object of the fields, its tags say whose it is.
//!
//! A version is put there first under a label of its own, which no consumer reads. Then `AWSCURRENT` is moved to it from
//! the very version that was read; AWS refuses that if it is elsewhere by now, and moves `AWSPREVIOUS` along.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::Tag;
use lockstep_core::api::ADOPT;
use lockstep_core::api::{CREDENTIAL, OWNER};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::stores::{Contents, Entry, Owned, Owner, Store};
use lockstep_core::domain::rotation::value::{Fields, Value};

use super::refusal;

const CURRENT: &str = "AWSCURRENT";
/// Where a version waits until it is current.
const PENDING: &str = "LOCKSTEP_PENDING";
/// Stands in a version for the owner of a secret that has none.
const NOBODY: &str = "-";
/// Longest value of a tag.
const TAG_LIMIT: usize = 256;
const SYSTEM: &str = "secretsmanager";

/// One secret.
pub struct SecretsManagerStore {
    client: Client,
    name: String,
    address: String,
}

/// What is known of a secret beside its text.
struct About {
    owned: Owned,
    /// The version that consumers read; `None`: there is none.
    current: Option<String>,
}

impl SecretsManagerStore {
    pub(super) fn new(config: &SdkConfig, place: &str, name: &str) -> Self {
        Self {
            client: Client::new(config),
            name: name.to_owned(),
            address: format!("{place}/{name}"),
        }
    }

    /// Whether it may be asked for at all.
    pub(super) async fn probe(&self) -> Result<(), SystemError> {
        self.about().await.map(|_| ())
    }

    fn refuse(&self, kind: SystemErrorKind, why: &str) -> SystemError {
        SystemError::new(SYSTEM, kind, format!("{}: {why}", self.name))
    }

    /// `None`: there is no secret of this name.
    async fn about(&self) -> Result<Option<About>, SystemError> {
        let asked = self.client.describe_secret().secret_id(&self.name).send().await;
        let found = match asked {
            Ok(found) => found,
            Err(error) if refusal::code(&error) == Some("ResourceNotFoundException") => return Ok(None),
            Err(error) => return Err(refusal::error(SYSTEM, "DescribeSecret", &self.name, &error)),
        };
        if let Some(deleted) = found.deleted_date() {
            let since = deleted.secs();
            return Err(self.refuse(
                SystemErrorKind::Refused,
                &format!("it is scheduled for deletion (since {since}, seconds of Unix time): restore it, or wait until it is gone"),
            ));
        }
        let stages = found.version_ids_to_stages();
        let current = stages.and_then(|stages| {
            let holds = |labels: &Vec<String>| labels.iter().any(|label| label == CURRENT);
            let version = stages.iter().find(|(_, labels)| holds(labels));
            version.map(|(version, _)| version.clone())
        });
        Ok(Some(About {
            owned: self.owned(found.tags()),
            current,
        }))
    }

    fn owned(&self, tags: &[Tag]) -> Owned {
        let value = |key: &str| {
            let tag = tags.iter().find(|tag| tag.key() == Some(key));
            tag.and_then(Tag::value).map(ToOwned::to_owned)
        };
        if let Some(uid) = value(OWNER) {
            let name = value(CREDENTIAL).unwrap_or_default();
            return Owned::By(Owner { uid, name });
        }
        match value(ADOPT) {
            Some(name) => Owned::Offered(name),
            None => Owned::Foreign(format!(
                "a secret that Lockstep did not make (`aws secretsmanager describe-secret --secret-id {}`): choose another \
                 name, or let it be taken over by the tag {ADOPT} with <namespace>/<name> of the ServiceCredential",
                self.name
            )),
        }
    }

    async fn create(&self, owner: &Owner, text: &str) -> Result<(), SystemError> {
        let created = self
            .client
            .create_secret()
            .name(&self.name)
            .secret_string(text)
            .set_tags(Some(tags(owner)))
            .send()
            .await;
        created
            .map(|_| ())
            .map_err(|error| refusal::error(SYSTEM, "CreateSecret", &self.name, &error))
    }

    async fn tag(&self, owner: &Owner) -> Result<(), SystemError> {
        let tagged = self
            .client
            .tag_resource()
            .secret_id(&self.name)
            .set_tags(Some(tags(owner)))
            .send()
            .await;
        tagged
            .map(|_| ())
            .map_err(|error| refusal::error(SYSTEM, "TagResource", &self.name, &error))
    }

    /// The new version's id.
    async fn put(&self, text: &str) -> Result<String, SystemError> {
        let put = self
            .client
            .put_secret_value()
            .secret_id(&self.name)
            .secret_string(text)
            .version_stages(PENDING)
            .send()
            .await
            .map_err(|error| refusal::error(SYSTEM, "PutSecretValue", &self.name, &error))?;
        put.version_id().map(ToOwned::to_owned).ok_or_else(|| {
            self.refuse(
                SystemErrorKind::OutcomeUnknown,
                "PutSecretValue answered without a version",
            )
        })
    }

    /// Makes a version the one that consumers read, in place of `from`.
    async fn promote(&self, version: &str, from: &str) -> Result<(), SystemError> {
        let moved = self
            .client
            .update_secret_version_stage()
            .secret_id(&self.name)
            .version_stage(CURRENT)
            .move_to_version_id(version)
            .remove_from_version_id(from)
            .send()
            .await;
        moved.map(|_| ()).map_err(|error| match refusal::code(&error) {
            Some("InvalidParameterException") => self.refuse(
                SystemErrorKind::Stale,
                &format!("{CURRENT} is no longer at version {from}; consumers read what they read before"),
            ),
            _ => refusal::error(SYSTEM, "UpdateSecretVersionStage", &self.name, &error),
        })
    }
}

fn tags(owner: &Owner) -> Vec<Tag> {
    let tag = |key: &str, value: &str| {
        let value: String = value.chars().take(TAG_LIMIT).collect();
        Tag::builder().key(key).value(value).build()
    };
    vec![tag(OWNER, &owner.uid), tag(CREDENTIAL, &owner.name)]
}

/// The fields of a text of ours; of any other there are none.
fn fields(text: &str) -> Fields {
    let parsed: Result<BTreeMap<String, String>, _> = serde_json::from_str(text);
    let parsed = parsed.unwrap_or_default();
    parsed
        .into_iter()
        .map(|(key, value)| (key, Value::new(value)))
        .collect()
}

fn text(fields: &Fields) -> Value {
    let exposed: BTreeMap<&str, &str> = fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.expose()))
        .collect();
    Value::new(serde_json::to_string(&exposed).unwrap_or_default())
}

#[async_trait]
impl Store for SecretsManagerStore {
    fn address(&self) -> &str {
        &self.address
    }

    async fn read(&self) -> Result<Contents, SystemError> {
        let Some(About { owned, current }) = self.about().await? else {
            return Ok(Contents::absent());
        };
        let Some(version) = current else {
            return Ok(Contents {
                owned,
                ..Contents::absent()
            });
        };
        let asked = self.client.get_secret_value().secret_id(&self.name);
        let found = asked
            .version_id(&version)
            .send()
            .await
            .map_err(|error| refusal::error(SYSTEM, "GetSecretValue", &self.name, &error))?;
        let tagged = match &owned {
            Owned::By(owner) => &owner.uid,
            _ => NOBODY,
        };
        Ok(Contents {
            version: format!("{version} {tagged}"),
            owned,
            fields: found.secret_string().map(fields).unwrap_or_default(),
            previous: Fields::new(),
        })
    }

    async fn write(&self, entry: &Entry<'_>, version: &str) -> Result<(), SystemError> {
        // AWS keeps the last version itself.
        let Entry {
            owner,
            fields,
            previous: _,
        } = entry;
        let text = text(fields);
        if version.is_empty() {
            return self.create(owner, text.expose()).await;
        }
        let (current, tagged) = version.split_once(' ').unwrap_or((version, NOBODY));
        if tagged != owner.uid {
            self.tag(owner).await?;
        }
        let next = self.put(text.expose()).await?;
        self.promote(&next, current).await.map_err(SystemError::partly)
    }

    async fn remove(&self, version: &str) -> Result<(), SystemError> {
        let Some(About { owned: _, current }) = self.about().await? else {
            return Ok(());
        };
        let current = current.unwrap_or_default();
        if Some(current.as_str()) != version.split(' ').next() {
            return Err(self.refuse(
                SystemErrorKind::Stale,
                "another version is current than the one that was read; nothing was removed",
            ));
        }
        // AWS deletes without a condition: what is written from the last call until this one is lost.
        let deleted = self
            .client
            .delete_secret()
            .secret_id(&self.name)
            .force_delete_without_recovery(true)
            .send()
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if refusal::code(&error) == Some("ResourceNotFoundException") => Ok(()),
            Err(error) => Err(refusal::error(SYSTEM, "DeleteSecret", &self.name, &error)),
        }
    }
}
