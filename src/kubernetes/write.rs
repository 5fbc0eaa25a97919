//! The few writes to Kubernetes, in one place: under a permit, in time, and their answers taken into the cache.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use lockstep_core::domain::ports::{KeepError, ObjectKey, Permit};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::arrival::{Arrived, Kind};
use super::cache::Cache;

/// Longest time a write to the API server may take. Well below what is left of a lease at its worst.
const DEADLINE: Duration = Duration::from_secs(6);

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
        // The uid keeps a later object of the same name from inheriting what is said of this one.
        let body = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": object.name, "namespace": object.namespace, "uid": object.uid},
            "status": status,
        });
        let api = self.api::<K>(object);
        let params = PatchParams::apply(manager).force();
        let body = Patch::Apply(&body);
        let written = self
            .send("status", object, api.patch_status(&object.name, &params, &body))
            .await?;
        cache.learn(written);
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
            .send("status", object, api.patch_status(&object.name, &params, &body))
            .await?;
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
            .send("finalizer", object, api.patch(&object.name, &params, body))
            .await?;
        cache.learn(written);
        Ok(())
    }

    async fn send<T>(
        &self,
        what: &'static str,
        object: &ObjectKey,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, KeepError> {
        let fail = |message: String| KeepError {
            what,
            message: format!("{object}: {message}"),
        };
        self.permit
            .check(DEADLINE)
            .map_err(|refused| fail(refused.to_string()))?;
        match timeout(DEADLINE, request).await {
            Ok(answer) => answer.map_err(|error| fail(error.to_string())),
            Err(_) => Err(fail(format!(
                "the API server did not answer within {} s",
                DEADLINE.as_secs()
            ))),
        }
    }
}
