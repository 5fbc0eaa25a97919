//! One path of the engine as a store of a rotation.
//!
//! Whose the path is stands in its custom metadata, which Vault writes apart from the data and without check-and-set. So a
//! new path is first claimed by a version that holds nothing but our name, written only if there is none yet; then it is
//! labelled; only then the values come. Whoever else writes there in between makes the next step fail, and a crash
//! leaves a claim that says whose it is. A path that others made and offer is labelled first as well.

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_core::api::ADOPT;
use lockstep_core::api::{CREDENTIAL, OWNER};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::stores::{Contents, Entry, Owned, Owner, Store};
use lockstep_core::domain::rotation::value::{Fields, Value};

use super::kv::{Engine, Labels};

/// Stands in a version for the owner of a path that has none.
const NOBODY: &str = "-";

/// One path of one engine.
pub struct VaultStore {
    engine: Arc<Engine>,
    path: String,
    address: String,
}

impl VaultStore {
    pub(super) fn new(engine: Arc<Engine>, path: &str) -> Self {
        // A namespace is the beginning of a path: reached by header or by mount, it is one place.
        let address = format!("vault://{}/{}/{path}", engine.rest.place, engine.mount);
        Self {
            engine,
            path: path.to_owned(),
            address,
        }
    }

    /// Makes a new path ours; the version that a write must find.
    async fn claim(&self, owner: &Owner) -> Result<u64, SystemError> {
        let fields: Fields = labels(owner)
            .into_iter()
            .map(|(key, text)| (key, Value::new(text)))
            .collect();
        self.engine.write(&self.path, &fields, 0).await
    }

    fn owned(&self, labels: &Labels) -> Owned {
        if let Some(uid) = labels.get(OWNER) {
            return Owned::By(Owner {
                uid: uid.clone(),
                name: labels.get(CREDENTIAL).cloned().unwrap_or_default(),
            });
        }
        match labels.get(ADOPT) {
            Some(name) => Owned::Offered(name.clone()),
            None => Owned::Foreign(format!(
                "a secret that Lockstep did not make (`vault kv metadata get -mount={} {}`): choose another path, or let it \
                 be taken over by the custom metadata {ADOPT} with <namespace>/<name> of the ServiceCredential",
                self.engine.mount, self.path
            )),
        }
    }

    /// Number and owner of a version that was read.
    fn read_as<'a>(&self, version: &'a str) -> Result<(u64, &'a str), SystemError> {
        let parsed = version
            .split_once(' ')
            .and_then(|(number, owner)| Some((number.parse().ok()?, owner)));
        parsed.ok_or_else(|| {
            let message = format!("{}: {version:?} is no version that was read there", self.path);
            self.engine.rest.error(SystemErrorKind::Stale, message)
        })
    }
}

fn labels(owner: &Owner) -> Labels {
    Labels::from([
        (OWNER.to_owned(), owner.uid.clone()),
        (CREDENTIAL.to_owned(), owner.name.clone()),
    ])
}

/// Whose claim a version is; `None`: it holds something else.
fn claimed(fields: &Fields) -> Option<Owner> {
    let text = |key: &str| fields.get(key).map(|value| value.expose().to_owned());
    match (text(OWNER), text(CREDENTIAL)) {
        (Some(uid), Some(name)) if fields.len() == 2 => Some(Owner { uid, name }),
        _ => None,
    }
}

#[async_trait]
impl Store for VaultStore {
    fn address(&self) -> &str {
        &self.address
    }

    async fn read(&self) -> Result<Contents, SystemError> {
        self.engine.look().await?;
        let (number, labels, mut fields) = match self.engine.read(&self.path).await? {
            Some(newest) => (newest.number, newest.labels, newest.fields),
            // A path may have labels before it has a version.
            None => match self.engine.about(&self.path).await? {
                Some(about) => (about.number, about.labels, Fields::new()),
                None => return Ok(Contents::absent()),
            },
        };
        let mut owned = self.owned(&labels);
        if let Some(owner) = claimed(&fields) {
            fields.clear();
            if !labels.contains_key(OWNER) {
                owned = Owned::By(owner);
            }
        }
        let labelled = labels.get(OWNER).map_or(NOBODY, String::as_str);
        Ok(Contents {
            owned,
            version: format!("{number} {labelled}"),
            fields,
            previous: Fields::new(),
        })
    }

    async fn write(&self, entry: &Entry<'_>, version: &str) -> Result<(), SystemError> {
        // The engine keeps versions of its own.
        let Entry {
            owner,
            fields,
            previous: _,
        } = entry;
        self.engine.look().await?;
        let (newest, labelled) = if version.is_empty() {
            (self.claim(owner).await?, NOBODY)
        } else {
            self.read_as(version)?
        };
        if labelled == owner.uid {
            return self.engine.write(&self.path, fields, newest).await.map(|_| ());
        }
        let label = self.engine.label(&self.path, &labels(owner)).await;
        label.map_err(SystemError::partly)?;
        let written = self.engine.write(&self.path, fields, newest).await;
        written.map(|_| ()).map_err(SystemError::partly)
    }

    async fn remove(&self, version: &str) -> Result<(), SystemError> {
        self.engine.look().await?;
        let read = self.read_as(version).ok().map(|(number, _)| number);
        match self.engine.about(&self.path).await? {
            None => Ok(()),
            // Vault deletes without check-and-set: what is written between the two calls is lost.
            Some(about) if Some(about.number) == read => self.engine.erase(&self.path).await,
            Some(about) => Err(self.engine.rest.error(
                SystemErrorKind::Stale,
                format!(
                    "{}: the newest version is {}, and not the one that was read; nothing was removed",
                    self.path, about.number
                ),
            )),
        }
    }
}
