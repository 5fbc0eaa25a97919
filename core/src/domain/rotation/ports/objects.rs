//! Objects of rotation as the watch caches hold them, and what a controller does to the cluster besides. Reads are cheap
//! and answer from memory.

use std::sync::Arc;

use async_trait::async_trait;

use crate::api::service_credential::Restarted;
use crate::api::{CredentialStore, ServiceCredential};
use crate::domain::ports::SystemError;

/// Credentials and stores.
#[async_trait]
pub trait Credentials: Send + Sync {
    fn credential(&self, namespace: &str, name: &str) -> Option<Arc<ServiceCredential>>;
    /// Every credential, in no order.
    fn credentials(&self) -> Vec<Arc<ServiceCredential>>;
    fn credential_store(&self, namespace: &str, name: &str) -> Option<Arc<CredentialStore>>;
    /// Every store, in no order.
    fn credential_stores(&self) -> Vec<Arc<CredentialStore>>;
    /// Those that share one of these [claim words](crate::domain::rotation::claims), in no order.
    fn sharing(&self, words: &[String]) -> Vec<Arc<ServiceCredential>>;

    /// Has a workload start its pods anew, once for each mark: one that bears it already is left alone. One that is not
    /// there is an error of kind `NotFound`.
    async fn restart(&self, namespace: &str, what: &Restarted, mark: &str) -> Result<(), SystemError>;
}
