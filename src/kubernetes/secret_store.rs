//! A Kubernetes Secret as a store of rotated values. While the last value lives on it stands under `previous.<key>`, so
//! that a consumer that was given a file a moment ago still finds what it logs in with.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client};
use lockstep_core::api::{ADOPT, CREDENTIAL, OWNER};
use lockstep_core::domain::ports::{Permit, SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::stores::{Contents, Entry, Owned, Owner, Store};
use lockstep_core::domain::rotation::value::{Fields, Value};
use tokio::time::timeout;

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const US: &str = "lockstep";
/// Before the keys of the last value.
const PREVIOUS: &str = "previous.";
/// Longest time a request may take. Well below what is left of a lease at its worst.
const DEADLINE: Duration = Duration::from_secs(6);

/// One Secret.
pub struct SecretStore {
    api: Api<Secret>,
    permit: Arc<dyn Permit>,
    namespace: String,
    name: String,
    /// Its `type`.
    kind: String,
    address: String,
    /// As it was read last; what people put on it stays.
    seen: Mutex<Option<ObjectMeta>>,
}

impl SecretStore {
    pub fn new(client: &Client, permit: Arc<dyn Permit>, namespace: &str, name: &str, kind: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            permit,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            kind: kind.to_owned(),
            address: format!("kubernetes://secrets/{namespace}/{name}"),
            seen: Mutex::default(),
        }
    }

    fn fail(&self, kind: SystemErrorKind, message: &str) -> SystemError {
        let message = format!("Secret {}/{} {message}", self.namespace, self.name);
        SystemError::new("Kubernetes", kind, message)
    }

    fn permitted(&self) -> Result<(), SystemError> {
        self.permit.check(DEADLINE).map_err(|why| {
            self.fail(
                SystemErrorKind::NoPermit,
                &format!("cannot be written: {}", why.0),
            )
        })
    }

    /// The API server's messages name fields and never values of a Secret's data.
    async fn send<T>(
        &self,
        verb: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<Option<T>, SystemError> {
        let writes = verb != "read";
        let lost = if writes {
            SystemErrorKind::OutcomeUnknown
        } else {
            SystemErrorKind::Unreachable
        };
        match timeout(DEADLINE, call).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(kube::Error::Api(status))) => match status.code {
                404 if status.is_not_found() && verb != "created" => Ok(None),
                403 => Err(self.fail(
                    SystemErrorKind::Forbidden,
                    &format!(
                        "may not be {verb} by Lockstep: let its ServiceAccount get, create, update and delete Secrets there \
                         ({})",
                        status.reason
                    ),
                )),
                409 => Err(self.fail(SystemErrorKind::Stale, "was changed by another hand meanwhile")),
                429 => Err(self.fail(SystemErrorKind::Throttled, "must wait: the API server is busy")),
                code if code >= 500 => {
                    Err(self.fail(lost, &format!("was not {verb}: the API server answers {code}")))
                }
                code => Err(self.fail(
                    SystemErrorKind::Refused,
                    &format!("was not {verb}: {code} {}", status.reason),
                )),
            },
            Ok(Err(_)) => Err(self.fail(lost, &format!("was not {verb}: the API server was not reached"))),
            Err(_) => Err(self.fail(lost, &format!("was not {verb}: no answer in time"))),
        }
    }

    fn meta(&self, entry: &Entry<'_>, version: &str) -> ObjectMeta {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let seen = seen.unwrap_or_default();
        let mut labels = seen.labels.unwrap_or_default();
        let name = entry.owner.name.rsplit('/').next().unwrap_or_default();
        labels.insert(MANAGED_BY.into(), US.into());
        // A label's value holds 63 characters at most; the annotation says who it is for certain.
        labels.insert(CREDENTIAL.into(), name.chars().take(63).collect());
        let mut annotations = seen.annotations.unwrap_or_default();
        annotations.insert(OWNER.into(), entry.owner.uid.clone());
        ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            labels: Some(labels),
            annotations: Some(annotations),
            resource_version: (!version.is_empty()).then(|| version.to_owned()),
            owner_references: seen.owner_references,
            finalizers: seen.finalizers,
            ..ObjectMeta::default()
        }
    }
}

fn owned(meta: &ObjectMeta, kind: &str, wanted: &str) -> Owned {
    let annotation = |key: &str| meta.annotations.as_ref().and_then(|all| all.get(key));
    if let Some(uid) = annotation(OWNER) {
        let namespace = meta.namespace.clone().unwrap_or_default();
        let name = meta.labels.as_ref().and_then(|all| all.get(CREDENTIAL));
        return Owned::By(Owner {
            uid: uid.clone(),
            name: format!("{namespace}/{}", name.map_or("?", String::as_str)),
        });
    }
    if kind != wanted {
        return Owned::Foreign(format!("a Secret of type {kind} that Lockstep did not make"));
    }
    match annotation(ADOPT) {
        Some(name) => Owned::Offered(format!(
            "{}/{name}",
            meta.namespace.as_deref().unwrap_or_default()
        )),
        None => Owned::Foreign(format!(
            "a Secret that Lockstep did not make: choose another name, or let it be taken over by the annotation {ADOPT} \
             with the name of the ServiceCredential"
        )),
    }
}

fn split(data: BTreeMap<String, ByteString>) -> (Fields, Fields) {
    let (mut fields, mut previous) = (Fields::new(), Fields::new());
    for (key, bytes) in data {
        let value = Value::new(String::from_utf8_lossy(&bytes.0).into_owned());
        match key.strip_prefix(PREVIOUS) {
            Some(key) => previous.insert(key.to_owned(), value),
            None => fields.insert(key, value),
        };
    }
    (fields, previous)
}

#[async_trait]
impl Store for SecretStore {
    fn address(&self) -> &str {
        &self.address
    }

    async fn read(&self) -> Result<Contents, SystemError> {
        let found = self.send("read", self.api.get(&self.name)).await?;
        let meta = found.as_ref().map(|secret| secret.metadata.clone());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = meta;
        let Some(secret) = found else {
            return Ok(Contents::absent());
        };
        let kind = secret.type_.as_deref().unwrap_or("Opaque");
        let (fields, previous) = split(secret.data.unwrap_or_default());
        Ok(Contents {
            owned: owned(&secret.metadata, kind, &self.kind),
            version: secret.metadata.resource_version.unwrap_or_default(),
            fields,
            previous,
        })
    }

    async fn write(&self, entry: &Entry<'_>, version: &str) -> Result<(), SystemError> {
        self.permitted()?;
        let bytes = |value: &Value| ByteString(value.expose().as_bytes().to_vec());
        let now = entry
            .fields
            .iter()
            .map(|(key, value)| (key.clone(), bytes(value)));
        let before = entry
            .previous
            .iter()
            .map(|(key, value)| (format!("{PREVIOUS}{key}"), bytes(value)));
        let secret = Secret {
            metadata: self.meta(entry, version),
            data: Some(now.chain(before).collect()),
            type_: Some(self.kind.clone()),
            ..Secret::default()
        };
        let parameters = PostParams::default();
        let written = if version.is_empty() {
            self.send("created", self.api.create(&parameters, &secret))
                .await?
        } else {
            let replaced = self.api.replace(&self.name, &parameters, &secret);
            self.send("updated", replaced).await?
        };
        match written {
            Some(_) => Ok(()),
            None => Err(self.fail(SystemErrorKind::Stale, "was deleted by another hand meanwhile")),
        }
    }

    async fn remove(&self, version: &str) -> Result<(), SystemError> {
        self.permitted()?;
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                resource_version: Some(version.to_owned()),
                uid: None,
            }),
            ..DeleteParams::default()
        };
        self.send("deleted", self.api.delete(&self.name, &parameters))
            .await
            .map(drop)
    }
}
