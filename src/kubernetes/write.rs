//! The few writes to Kubernetes, in one place: under a permit, in time, and their answers taken into the cache.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Request;
use kube::{Api, Client};
use lockstep_core::domain::ports::{KeepError, ObjectKey, Permit};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::arrival::{Arrived, Kind};
use super::cache::Cache;
use super::name::Name;

/// Longest time a write to the API server may take. Well below what is left of a lease at its worst.
const DEADLINE: Duration = Duration::from_secs(6);
/// How often a status is written against a newer version before the pass gives up.
const ATTEMPTS: u32 = 4;

/// Writes while this replica leads.
#[derive(Clone)]
pub(super) struct Writer {
    client: Client,
    permit: Arc<dyn Permit>,
}

impl Writer {
    pub(super) fn new(client: Client, permit: Arc<dyn Permit>) -> Self {
        Self { client, permit }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Whether this replica leads for so long at least; else why not.
    pub(super) fn permitted(&self, needed: Duration) -> Result<(), String> {
        self.permit.check(needed).map_err(|why| why.0)
    }

    fn api<K: Kind<Scope = NamespaceResourceScope>>(&self, object: &ObjectKey) -> Api<Arrived<K>> {
        Api::namespaced(self.client.clone(), &object.namespace)
    }

    /// Makes `status` the whole of what this manager says in the status of this very object.
    pub(super) async fn apply_status<K: Kind<Scope = NamespaceResourceScope>>(
        &self,
        cache: &Cache<K>,
        object: &ObjectKey,
        manager: &str,
        status: &Value,
    ) -> Result<(), KeepError> {
        let name = Name::new(&object.namespace, &object.name);
        let gone = || KeepError {
            what: "status",
            message: format!("{object} is gone, or another one took its name"),
        };
        let api = self.api::<K>(object);
        let params = PatchParams::apply(manager).force();
        for attempt in 1.. {
            // A status subresource pays no heed to a uid; the version alone keeps a later object of the same name
            // from inheriting what is said of this one.
            let version = cache.version(&name, &object.uid).ok_or_else(gone)?;
            let body = json!({
                "apiVersion": K::api_version(&()),
                "kind": K::kind(&()),
                "metadata": {"name": object.name, "namespace": object.namespace, "resourceVersion": version},
                "status": status,
            });
            let body = Patch::Apply(&body);
            let written = self
                .send(object, api.patch_status(&object.name, &params, &body))
                .await;
            match written {
                Ok(written) => {
                    cache.learn(written);
                    return Ok(());
                }
                // Somebody changed it meanwhile, most likely its spec. What we say of it stays true of what we saw.
                Err(Unsent::Conflict(_)) if attempt < ATTEMPTS => {
                    let newer = self.send(object, api.get_opt(&object.name)).await;
                    cache.learn(newer.map_err(|error| error.keep("status"))?.ok_or_else(gone)?);
                }
                Err(error) => return Err(error.keep("status")),
            }
        }
        Ok(())
    }

    /// Patches the status under whatever precondition the patch holds.
    pub(super) async fn patch_status<K: Kind<Scope = NamespaceResourceScope>>(
        &self,
        cache: &Cache<K>,
        object: &ObjectKey,
        manager: &str,
        body: &Value,
    ) -> Result<(), KeepError> {
        let api = self.api::<K>(object);
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        let body = Patch::Merge(body);
        let written = self
            .send(object, api.patch_status(&object.name, &params, &body))
            .await
            .map_err(|error| error.keep("status"))?;
        cache.learn(written);
        Ok(())
    }

    /// Patches the object by operations, the tests among them first.
    pub(super) async fn patch<K, P>(
        &self,
        cache: &Cache<K>,
        object: &ObjectKey,
        body: &Patch<P>,
    ) -> Result<(), KeepError>
    where
        K: Kind<Scope = NamespaceResourceScope>,
        P: Serialize + Debug,
    {
        let api = self.api::<K>(object);
        let params = PatchParams::default();
        let written = self
            .send(object, api.patch(&object.name, &params, body))
            .await
            .map_err(|error| error.keep("finalizer"))?;
        cache.learn(written);
        Ok(())
    }

    /// Makes an object under its name; one of this name that is there already is left as it is.
    pub(super) async fn make<K: Kind<Scope = NamespaceResourceScope> + Serialize>(
        &self,
        cache: &Cache<K>,
        object: &ObjectKey,
        manager: &str,
        body: &K,
    ) -> Result<(), KeepError> {
        let refuse = |error: String| KeepError {
            what: "object",
            message: format!("{object}: {error}"),
        };
        let body = serde_json::to_vec(body).map_err(|error| refuse(error.to_string()))?;
        let params = PostParams {
            field_manager: Some(manager.to_owned()),
            ..PostParams::default()
        };
        let request = Request::new(K::url_path(&(), Some(&object.namespace)))
            .create(&params, body)
            .map_err(|error| refuse(error.to_string()))?;
        match self
            .send(object, self.client.request::<Arrived<K>>(request))
            .await
        {
            Ok(made) => cache.learn_made(made),
            Err(Unsent::Exists(_)) => {}
            Err(error) => return Err(error.keep("object")),
        }
        Ok(())
    }

    /// Deletes this very object; one that is gone is deleted.
    pub(super) async fn delete<K: Kind<Scope = NamespaceResourceScope>>(
        &self,
        cache: &Cache<K>,
        object: &ObjectKey,
    ) -> Result<(), KeepError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(object.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let api = self.api::<K>(object);
        let going = match self.send(object, api.delete(&object.name, &params)).await {
            // A finalizer holds it back.
            Ok(answer) => answer.left(),
            Err(Unsent::Gone(_)) => None,
            // Another one bears its name, so this one is gone; the watch will show the other.
            Err(Unsent::Conflict(_)) => return Ok(()),
            Err(error) => return Err(error.keep("object")),
        };
        match going {
            Some(going) => cache.learn(going),
            None => cache.forget(&Name::new(&object.namespace, &object.name), &object.uid),
        }
        Ok(())
    }

    async fn send<T>(
        &self,
        object: &ObjectKey,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Unsent> {
        self.permit
            .check(DEADLINE)
            .map_err(|refused| Unsent::Other(format!("{object}: {refused}")))?;
        match timeout(DEADLINE, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Unsent::because(object, &error)),
            Err(_) => Err(Unsent::Other(format!(
                "{object}: the API server did not answer within {} s",
                DEADLINE.as_secs()
            ))),
        }
    }
}

/// A write that did not take effect, as far as is known.
enum Unsent {
    /// The object has changed since it was seen.
    Conflict(String),
    /// There is one of this name.
    Exists(String),
    /// There is none of this name.
    Gone(String),
    Other(String),
}

impl Unsent {
    fn because(object: &ObjectKey, error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Other(format!("{object}: {error}"));
        };
        let message = format!("{object}: {}", status.message);
        if status.is_already_exists() {
            Self::Exists(message)
        } else if status.is_conflict() {
            Self::Conflict(message)
        } else if status.is_not_found() {
            Self::Gone(message)
        } else {
            Self::Other(format!("{object}: {error}"))
        }
    }

    fn keep(self, what: &'static str) -> KeepError {
        let (Self::Conflict(message) | Self::Exists(message) | Self::Gone(message) | Self::Other(message)) =
            self;
        KeepError { what, message }
    }
}
